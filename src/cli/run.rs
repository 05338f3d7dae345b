//! `endcap plan`, `run` and `publish`: the night, whole or in parts.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::clock::Stopwatch;
use crate::domain::manifest::to_bytes;
use crate::keywords;
use crate::night::{
    Ending, Inputs, Night, Plan, Progress, Recipe, Report, Shard, StageSettings, Workspace, write_whole,
};
use crate::publish::{self, Store};

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
    inputs: Inputs,
    loaded: Loaded,
    plan: Plan,
    workspace: Workspace,
    store: Arc<dyn Store>,
    progress: Arc<dyn Progress>,
}

impl Opened {
    async fn new(scope: &Scope, context: &Context) -> anyhow::Result<Self> {
        let config = &context.config;
        let mut inputs = inputs(scope, context).await?;
        let progress = progress::reporter();
        let mut loaded = tools::load(context, &inputs.catalog, &inputs.keywords).await?;
        if let Some(digest) = tools::learn(context, &mut inputs, &loaded.tools.encoder)? {
            loaded.models.insert("ranker".into(), digest);
        }
        refresh_index(&loaded, &inputs, &*progress).await?;
        let workspace = Workspace::new(&config.paths.work);
        let store = publish::open(&config.paths.publish, &config.publish).await?;
        let recipe = recipe(context, &loaded);
        let planned = Plan::new(&inputs, &recipe, &config.night, context.clock.now());
        // A run that is published already keeps its start time, even where the work root that knew it is gone.
        let published = publish::read_index(&*store, &planned.run_id).await?;
        let start = published.map_or(planned.started_at, |index| index.generated_at);
        let plan = Plan::open(&workspace, &inputs, &recipe, &config.night, start)?;
        Ok(Self { inputs, loaded, plan, workspace, store, progress })
    }

    fn night<'a>(&'a self, context: &'a Context) -> Night<'a> {
        let config = &context.config;
        Night {
            inputs: &self.inputs,
            tools: &self.loaded.tools,
            settings: StageSettings {
                themes: &config.themes,
                keywords: &config.keywords,
                fuse: &config.fuse,
                publish: &config.publish,
                night: &config.night,
            },
            plan: &self.plan,
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

/// An index that is behind the catalogue is brought up to date; one that is not costs a glance.
async fn refresh_index(loaded: &Loaded, inputs: &Inputs, progress: &dyn Progress) -> anyhow::Result<()> {
    let index = &loaded.tools.index;
    progress.begin("index", "texts", 0);
    index.update(&inputs.keywords, &inputs.catalog, &|texts| progress.advance(texts)).await?;
    progress.end("");
    Ok(())
}

fn recipe(context: &Context, loaded: &Loaded) -> Recipe {
    let config = &context.config;
    Recipe {
        models: loaded.models.clone(),
        config: config.digest(),
        templates: vec![config.themes.mode.version(), keywords::VERSION],
    }
}

pub async fn plan(args: PlanArgs, context: &Context) -> anyhow::Result<Exit> {
    let opened = Opened::new(&args.scope, context).await?;
    let plan = &opened.plan;
    if args.json {
        output::json(plan)?;
    } else {
        let groups = output::count(plan.groups.len(), "group");
        println!("{}: {} in {groups}", plan.run_id, output::count(plan.segments(), "segment"));
    }
    Ok(Exit::Success)
}

pub async fn run(args: RunArgs, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let opened = Opened::new(&args.scope, context).await?;
    let night = opened.night(context);
    let resumed = night.compute(args.shard.unwrap_or(Shard::WHOLE)).await?;
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
    let opened = Opened::new(&args.scope, context).await?;
    let groups = opened.plan.groups.len();
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
    let mut closing = opened.night(context).publish(store, context.clock.now()).await?;
    closing.resumed_groups = resumed;
    if closing.ending != Ending::Stopped {
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
