//! The command line: one file a verb. The only room that prints, and that uses `anyhow`.

mod bench;
mod cost;
mod distill;
mod eval;
mod exit;
mod experiment;
mod explain;
mod index;
mod output;
mod prepare;
mod progress;
mod replay;
mod rollback;
mod rules;
mod run;
pub mod serve;
mod stage;
mod status;
mod summary;
mod tools;
mod train;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::{Instrument, Span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::clock::Clock;
use crate::config::env::Variables;
use crate::config::{Config, ConfigError};
use crate::trace::{self, Tracer};

use exit::Exit;

/// Precomputes one personalised storefront page per customer segment, every night, with a cascade of small language
/// models, and publishes the pages as JSON manifests that a CDN serves.
#[derive(Debug, Parser)]
#[command(name = "endcap", version, propagate_version = true, after_help = exit::HELP)]
struct Args {
    /// Config file (TOML) or s3://bucket/key; every key has a default
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Turn a public data set into the input tables
    Prepare(prepare::Args),
    /// Embed keywords and products and bring the LanceDB tables up to date
    Index(index::Args),
    /// Say what tonight's run would be, and write its plan
    Plan(run::PlanArgs),
    /// Run the night: plan, stages, checkpoints, publish
    Run(run::RunArgs),
    /// Compute one shard of a planned run: a child of the cloud's array job
    Work(work::Args),
    /// Publish a run whose shards are all finished
    Publish(run::PublishArgs),
    /// Point back at an older run, after checking it whole
    Rollback(rollback::Args),
    /// Show what is published
    Status(status::Args),
    /// Show the published storefront in a browser
    Serve(serve::ServeArgs),
    /// Run one stage over JSON lines, through the code of the night
    Stage(stage::Args),
    /// Fine-tune a student's adapter, or train the ranker
    Train(train::Args),
    /// Print one page's whole story
    Explain(explain::Args),
    /// Check the merchandising rules, or say which of them fire on a day
    Rules(rules::Args),
    /// Ask a teacher, or import its recorded answers, and write the students' training set
    Distill(distill::Args),
    /// Reckon what nights in the cloud take and cost
    Cost(cost::Args),
    /// Measure rates on this machine
    Bench(bench::Args),
    /// Judge the models' answers on held-out segments
    Eval(eval::Args),
    /// Plan, assign and read an A/B test of pages
    Experiment(experiment::Args),
    /// Replay held-out weeks: would shoppers have added more from these pages?
    Replay(replay::Args),
}

impl Verb {
    /// The span of a verb of the night; none of any other.
    fn span(&self) -> Span {
        match self {
            Self::Plan(_) => trace::verb("plan"),
            Self::Run(_) => trace::verb("run"),
            Self::Work(_) => trace::verb("work"),
            Self::Publish(_) => trace::verb("publish"),
            Self::Rollback(_) => trace::verb("rollback"),
            _ => Span::none(),
        }
    }
}

/// What every verb is given.
pub(crate) struct Context {
    pub config: Config,
    pub variables: Variables,
    pub clock: Clock,
}

/// Runs a command line, the program's name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors. Nothing is left to tell if the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() };
        }
    };
    let variables = Variables::read();
    let finished =
        start_log(&variables).map_err(Into::into).and_then(|tracer| dispatch(args, variables, &tracer));
    match finished {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", output::chain(&error));
            Exit::of(&error).into()
        }
    }
}

fn dispatch(args: Args, variables: Variables, tracer: &Tracer) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tracer.keep_sending();
        let span = args.verb.span();
        let ended = carry_out(args, variables).instrument(span.clone()).await;
        let exit = ended.as_ref().map_or_else(Exit::of, |exit| *exit);
        span.record("exit_code", exit.code());
        if let Some(kind) = exit.failure() {
            span.record("error", kind);
        }
        drop(span);
        tracer.flush().await;
        ended
    })
}

async fn carry_out(args: Args, variables: Variables) -> anyhow::Result<Exit> {
    let file = args.config.or_else(|| variables.config.clone());
    let clock = Clock::new(variables.now()?);
    let config = Config::load(file.as_deref(), &variables).await?;
    let context = Context { config, variables, clock };
    match args.verb {
        Verb::Prepare(args) => prepare::run(args, &context).await,
        Verb::Index(args) => index::run(args, &context).await,
        Verb::Plan(args) => run::plan(args, &context).await,
        Verb::Run(args) => run::run(args, &context).await,
        Verb::Work(args) => work::run(args, &context).await,
        Verb::Publish(args) => run::publish(args, &context).await,
        Verb::Rollback(args) => rollback::run(args, &context).await,
        Verb::Status(args) => status::run(args, &context).await,
        Verb::Serve(args) => {
            let paths = &context.config.paths;
            let options = args
                .options(&paths.publish, paths.work_folder())
                .with_publish(context.config.publish.clone());
            serve::serve(options, serve::shutdown_signal()).await?;
            Ok(Exit::Success)
        }
        Verb::Stage(args) => stage::run(args, &context).await,
        // The model computes for an hour; nothing else is on this runtime.
        Verb::Train(args) => train::run(args, &context).await,
        Verb::Explain(args) => explain::run(args, &context).await,
        Verb::Rules(args) => rules::run(args, &context).await,
        Verb::Distill(args) => distill::run(args, &context).await,
        Verb::Cost(args) => cost::run(args, &context),
        Verb::Bench(args) => bench::run(args, &context).await,
        Verb::Eval(args) => eval::run(args, &context).await,
        Verb::Experiment(args) => experiment::run(args, &context).await,
        Verb::Replay(args) => replay::run(args, &context).await,
    }
}

/// Logs go to stderr; `ENDCAP_LOG` sets the filter, `ENDCAP_LOG_FORMAT` the form. Traces go to a collector, if one is named.
fn start_log(variables: &Variables) -> Result<Tracer, ConfigError> {
    let filter = EnvFilter::new(variables.log.as_deref().unwrap_or("warn,endcap=info"));
    let log = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let traces = variables.traces();
    Ok(match variables.logs_json()? {
        true => trace::start(log.json().flatten_event(true), filter, traces),
        false => trace::start(log.with_ansi(output::is_terminal()), filter, traces),
    })
}
