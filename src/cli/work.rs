//! `endcap work`: one shard of a planned run, as a child of the cloud's array job computes it.
//!
//! It ends with 0 once every group of the shard has its checkpoint, whatever fell back: the night's own ending is publish's to
//! tell. On SIGTERM, which a machine that is taken away sends, the model call in flight is finished, its answers are kept, and
//! it ends with 75 so that it is started again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Span;

use crate::config::clock::Stopwatch;
use crate::domain::RunId;
use crate::night::{Computed, IndexMark, Inputs, Metrics, Night, Plan, Quiet, Stop, Workspace};
use crate::trace::{self, step};

use super::exit::{Exit, INTERRUPTED, UsageError};
use super::tools::{self, Loaded};
use super::{Context, output, progress};

/// From SIGTERM to an end by force, which costs the answers in flight and nothing else: less than the two minutes' notice.
const GRACE: Duration = Duration::from_secs(100);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "AWS_BATCH_JOB_ARRAY_INDEX says which shard; without it all of them are computed.\n\nExample:\n  \
                  endcap work --run 2017-11-20-0123456789ab"
)]
pub struct Args {
    /// The run, as `endcap plan` named it
    #[arg(long, value_name = "RUN_ID")]
    run: RunId,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let stop = Stop::default();
    listen(stop.clone())?;
    let workspace = tools::workspace(context).await?;
    let plan = Plan::read(&workspace, &args.run).await?;
    let plan = plan.ok_or_else(|| UsageError(format!("run {} has no plan; plan it first", args.run)))?;
    trace::of_run(&plan.run_id);
    let shard = context.variables.array_index()?;
    Span::current().record("shard", shard);
    let groups = groups(&plan, shard)?;
    let computed = match groups.is_empty() {
        true => Computed::default(),
        false => compute(&plan, &groups, (&workspace, &stop), context).await?,
    };
    let cost = (watch.seconds(), context.config.night.worker_usd_per_hour);
    let deployment = context.variables.deployment.as_deref();
    println!("{}", Metrics::of_work(&plan.run_id, &computed, cost).line(deployment, context.clock.now()));
    let Computed { resumed, groups: done, stopped, .. } = computed;
    let (all, before) = (output::count(groups.len(), "group"), resumed);
    tracing::info!(run_id = %plan.run_id, resumed, done, stopped, "{all} of this shard, {before} done before");
    Ok(if stopped { Exit::Interrupted } else { Exit::Success })
}

/// From now on SIGTERM asks to stop, and ends the process where that takes too long.
fn listen(stop: Stop) -> std::io::Result<()> {
    let mut signals = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        signals.recv().await;
        tracing::warn!("asked to stop; the model call in flight is finished first");
        stop.ask();
        tokio::time::sleep(GRACE).await;
        tracing::warn!("the model call in flight took too long; its answers are lost");
        std::process::exit(INTERRUPTED.into());
    });
    Ok(())
}

/// The groups of the shard that the array index names, all without one.
fn groups(plan: &Plan, index: Option<usize>) -> Result<Vec<usize>, UsageError> {
    let Some(index) = index else { return Ok((0..plan.groups.len()).collect()) };
    plan.shards.get(index).cloned().ok_or_else(|| {
        let shards = output::count(plan.shards.len(), "shard");
        UsageError(format!("the plan of {} has {shards}, there is no shard {index}", plan.run_id))
    })
}

async fn compute(
    plan: &Plan,
    groups: &[usize],
    (workspace, stop): (&Workspace, &Stop),
    context: &Context,
) -> anyhow::Result<Computed> {
    let config = &context.config;
    let today = context.clock.now().date_naive();
    let mut inputs = Inputs::load(&config.paths.inputs, &config.rank, today).await?;
    inputs.keep_planned(plan);
    let copy = tools::index_copy(context).await?;
    let index = copy.as_ref().map_or(Path::new(&config.paths.index), TempDir::path).to_string_lossy();
    let models = tools::load(context, &index, &inputs);
    let mut loaded = trace::within(step!("models"), models).await?;
    require_index(&inputs, &loaded, workspace).await?;
    tools::recall(&loaded.tools).await?;
    let ranker = tools::ranker(context).await?;
    if let Some(ranker) = &ranker {
        loaded.models.insert("ranker".into(), ranker.digest());
    }
    let recipe = config.recipe(loaded.models.clone());
    let own = Plan::new(&inputs, &recipe, &config.night, plan.started_at).run_id;
    if own != plan.run_id {
        let message = "inputs, config and models here make the run";
        return Err(UsageError(format!(
            "{message} {own}, not {}; plan again, or use what it names",
            plan.run_id
        ))
        .into());
    }
    if let Some(ranker) = ranker {
        inputs.learn(&ranker, &plan.members(groups.iter().copied()), &*loaded.tools.encoder)?;
    }
    let night = Night {
        inputs: &inputs,
        policy: &loaded.policy,
        settings: config.stages(),
        plan,
        recipe: &recipe,
        workspace,
        // Lines for a person have no place among JSON logs.
        progress: if context.variables.logs_json()? { Arc::new(Quiet) } else { progress::reporter() },
    };
    Ok(night.compute(&loaded.tools, groups.iter().copied(), stop).await?)
}

/// Many workers share the index, so none of them brings it up to date.
async fn require_index(inputs: &Inputs, loaded: &Loaded, workspace: &Workspace) -> anyhow::Result<()> {
    let mark = IndexMark::new(inputs.files.catalogue(), loaded.encoder);
    match workspace.read::<IndexMark>(&workspace.index()).await? {
        Some(found) if found == mark => Ok(()),
        _ => Err(UsageError("the index is behind the catalogue; run `endcap index` first".into()).into()),
    }
}
