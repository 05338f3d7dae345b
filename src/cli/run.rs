//! `endcap plan`, `run` and `publish`: the night, whole or in parts.

use std::sync::Arc;

use anyhow::Context as _;
use tracing::Span;

use crate::config::clock::Stopwatch;
use crate::domain::manifest::to_bytes;
use crate::night::{
    self, Ending, IndexMark, Inputs, Night, PageKeys, Plan, Planner, Progress, Publication, Recipe, Report,
    Shard, Stop, Workspace, write_whole,
};
use crate::publish::{self, Store};
use crate::rank::RankerModel;
use crate::trace::{self, step};

use super::exit::Exit;
use super::tools::{self, Loaded};
use super::{Context, output, progress, summary};

/// Which inputs, and how many of their segments.
#[derive(Debug, clap::Args)]
struct Scope {
    /// Input tables: a folder or s3://bucket/prefix [default: paths.inputs]
    #[arg(long, value_name = "LOCATION")]
    inputs: Option<String>,
    /// Only the first N segments by id, or `all`
    #[arg(long, value_name = "N|all", default_value = "all", value_parser = segments)]
    segments: Segments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segments {
    All,
    First(usize),
}

fn segments(text: &str) -> Result<Segments, String> {
    match text {
        "all" => Ok(Segments::All),
        number => number.parse().map(Segments::First).map_err(|_| "expected a number or `all`".into()),
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap plan --segments 24 --json")]
pub struct PlanArgs {
    #[command(flatten)]
    scope: Scope,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  endcap run --segments 24\n  endcap run --shard 0/4      # one of four machines; then: endcap publish"
)]
pub struct RunArgs {
    #[command(flatten)]
    scope: Scope,
    /// Compute shard I of N only (0-based) and publish nothing
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap publish --json")]
pub struct PublishArgs {
    #[command(flatten)]
    scope: Scope,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Everything a run works with, loaded.
struct Opened {
    /// Where the inputs lie.
    from: String,
    inputs: Inputs,
    loaded: Loaded,
    recipe: Recipe,
    ranker: Option<RankerModel>,
    plan: Plan,
    workspace: Workspace,
    store: Arc<dyn Store>,
    progress: Arc<dyn Progress>,
}

impl Opened {
    async fn new(scope: &Scope, context: &Context) -> anyhow::Result<Self> {
        let config = &context.config;
        let inputs = inputs(scope, context).await?;
        let progress = progress::reporter();
        let models = tools::load(context, &config.paths.index, &inputs);
        let mut loaded = trace::within(step!("models"), models).await?;
        let workspace = tools::workspace(context).await?;
        let mark = IndexMark::new(inputs.files.catalogue(), loaded.encoder);
        let tables = (&inputs.catalog, &inputs.keywords[..]);
        tools::refresh_index(&loaded.tools.index, tables, (&workspace, mark), &*progress).await?;
        tools::recall(&loaded.tools).await?;
        let ranker = tools::ranker(context).await?;
        if let Some(ranker) = &ranker {
            loaded.models.insert("ranker".into(), ranker.digest());
        }
        let store = publish::open(&config.paths.publish, &config.publish).await?;
        let recipe = config.recipe(loaded.models.clone());
        let keys = PageKeys::new(&inputs, &recipe, &loaded.policy, (&config.fuse, &config.night));
        let planner = Planner {
            workspace: &workspace,
            store: &*store,
            inputs: &inputs,
            recipe: &recipe,
            keys: &keys,
            settings: &config.night,
        };
        let plan = planner.plan(context.clock.now()).await?;
        let from = scope.inputs.clone().unwrap_or_else(|| config.paths.inputs.clone());
        Ok(Self { from, inputs, loaded, recipe, ranker, plan, workspace, store, progress })
    }

    /// Lets the ranker score the segments of `groups`, which is seconds of work for some hundred of them.
    fn learn(&mut self, groups: impl IntoIterator<Item = usize>) -> anyhow::Result<()> {
        let Some(ranker) = &self.ranker else { return Ok(()) };
        Ok(self.inputs.learn(ranker, &self.plan.members(groups), &*self.loaded.tools.encoder)?)
    }

    fn night<'a>(&'a self, context: &'a Context) -> Night<'a> {
        Night {
            inputs: &self.inputs,
            policy: &self.loaded.policy,
            settings: context.config.stages(),
            plan: &self.plan,
            recipe: &self.recipe,
            workspace: &self.workspace,
            progress: Arc::clone(&self.progress),
        }
    }
}

async fn inputs(scope: &Scope, context: &Context) -> anyhow::Result<Inputs> {
    let config = &context.config;
    let from = scope.inputs.as_deref().unwrap_or(&config.paths.inputs);
    let mut inputs = Inputs::load(from, &config.rank, context.clock.now().date_naive()).await?;
    if let Segments::First(most) = scope.segments {
        inputs.keep_first(most);
    }
    inputs.require_harmony()?;
    Ok(inputs)
}

pub async fn plan(args: PlanArgs, context: &Context) -> anyhow::Result<Exit> {
    let opened = Opened::new(&args.scope, context).await?;
    let plan = &opened.plan;
    if args.json {
        output::json(plan)?;
    } else {
        let groups = output::count(plan.groups.len(), "group");
        let segments = output::count(plan.segments(), "segment");
        let (reused, shards) = (plan.reused(), output::count(plan.shards.len(), "shard"));
        println!("{}: {segments}, {reused} reused, the rest in {groups} and {shards}", plan.run_id);
    }
    Ok(Exit::Success)
}

pub async fn run(args: RunArgs, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    Span::current().record("shard", args.shard.map(|shard| shard.index));
    let mut opened = Opened::new(&args.scope, context).await?;
    let groups = args.shard.unwrap_or(Shard::WHOLE).groups(opened.plan.groups.len());
    opened.learn(groups.clone())?;
    let night = opened.night(context);
    let resumed = night.compute(&opened.loaded.tools, groups, &Stop::default()).await?.resumed;
    match args.shard {
        Some(shard) => {
            let groups = shard.groups(opened.plan.groups.len()).count();
            let groups = output::count(groups, "group");
            println!("shard {shard} of {} is done: {groups}, {resumed} of them before", opened.plan.run_id);
            Ok(Exit::Success)
        }
        None => conclude(&opened, context, resumed, watch, args.json).await,
    }
}

pub async fn publish(args: PublishArgs, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let mut opened = Opened::new(&args.scope, context).await?;
    let groups = opened.plan.groups.len();
    opened.learn(0..groups)?;
    conclude(&opened, context, groups, watch, args.json).await
}

/// Publishes, writes the report, prints it.
async fn conclude(
    opened: &Opened,
    context: &Context,
    resumed: usize,
    watch: Stopwatch,
    json: bool,
) -> anyhow::Result<Exit> {
    let config = &context.config;
    let store = &*opened.store;
    let assignments = night::load_assignments(&opened.from, &config.publish).await?;
    let how = Publication { assignments, ..Publication::whole(context.clock.now()) };
    let mut closing = opened.night(context).publish(store, &how).await?;
    closing.resumed_groups = resumed;
    if closing.ending != Ending::Stopped {
        publish::follow_if_set(store, &config.publish.edge_store, how.now).await?;
        publish::sweep(store, config.publish.keep_runs, &config.publish).await?;
    }
    let report: Report = closing.report(&opened.plan, watch.seconds());
    let bytes = to_bytes(&report).context("the report could not be written as JSON")?;
    write_whole(&config.paths.report, &bytes)?;
    if json {
        output::json(&report)?;
    } else {
        print!("{}", summary::of(&report, &config.paths));
    }
    Ok(report.ending.into())
}
