//! `endcap train`: fine-tune a stage's adapter on the training set, learn which candidates are relevant, grow the ranker's trees, or
//! learn fusion's weights.

mod ranker;
mod relevance;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;

use crate::config::clock::Stopwatch;
use crate::config::registry::Kind;
use crate::distill::dataset::{read_keywords, read_themes};
use crate::domain::Digest;
use crate::lm::{Tokenizer, Weights};
use crate::night::{Progress, write_whole};
use crate::train::{self, Corpus, Event, Job, Recipe, Trained, plot};

use super::exit::{Exit, UsageError};
use super::replay::{TuneArgs, tune};
use super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Stage 1: contexts to page designs
    #[command(after_help = "Example:\n  endcap train themes --out out/train/themes")]
    Themes(Run),
    /// Stage 2: candidates to keywords
    #[command(after_help = "Example:\n  endcap train keywords --share 0.25 --out out/train/keywords-quarter")]
    Keywords(Run),
    /// What stage 2's candidates are judged by, from graded candidates
    #[command(after_help = "Example:\n  endcap train relevance --out out/train/relevance")]
    Relevance(relevance::Args),
    /// The learned ranker, from the input tables
    #[command(
        after_help = "Examples:\n  endcap train ranker --out out/ranker     # then set rank.model = \"out/ranker\"\n  endcap train ranker --model ours.txt     # calibrate a LightGBM model of the same features"
    )]
    Ranker(ranker::Args),
    /// The weights of fusion, on replayed weeks before the test's
    #[command(
        after_help = "Example:\n  endcap train fusion --out out/fusion.toml     # then copy its [fuse] into your config"
    )]
    Fusion(TuneArgs),
    /// Rewrite an adapter of PEFT's layout in f32, checked against its base
    #[command(
        after_help = "Example:\n  endcap train convert --adapter downloaded --base tests/fixtures/peft/base --out out/adapter"
    )]
    Convert(Convert),
}

#[derive(Debug, clap::Args)]
struct Convert {
    /// Folder with adapter_config.json and adapter_model.safetensors
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The model it adapts: a GGUF, a folder that holds one, or a Hugging Face folder
    #[arg(long, value_name = "PATH")]
    base: PathBuf,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Folder with themes.parquet and keywords.parquet
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    training: PathBuf,
    /// Where checkpoints, curves and the adapter go; a training that was stopped goes on from its checkpoint there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Share of the training examples to use, 0..=1, for a learning curve
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share: f64,
    /// Stop once this many steps are taken and write the adapter as it is; the next call goes on
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<usize>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, serde::Serialize)]
struct Summary {
    adapter: PathBuf,
    steps: usize,
    /// Mean over answer tokens, nats: of the last step, and of held-out examples before and after.
    last_loss: Option<f64>,
    first_validation: Option<f64>,
    last_validation: Option<f64>,
    seconds: f64,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let settings = &context.config.train;
    match args.what {
        What::Themes(run) => {
            let path = run.training.join("themes.parquet");
            let corpus = Corpus::Themes(read_themes(&path)?);
            train(&run, &path, corpus, &settings.themes, context)
        }
        What::Keywords(run) => {
            let path = run.training.join("keywords.parquet");
            let corpus = Corpus::Keywords(read_keywords(&path)?);
            train(&run, &path, corpus, &settings.keywords, context)
        }
        What::Relevance(args) => relevance::run(&args, context),
        What::Ranker(args) => ranker::run(args, context).await,
        What::Fusion(args) => tune(args, context).await,
        What::Convert(convert) => {
            let config = Weights::load(&base(&convert.base)?)?.config;
            train::convert(&convert.adapter, &convert.out, &config)?;
            println!("{} -> {}", convert.adapter.display(), convert.out.display());
            Ok(Exit::Success)
        }
    }
}

fn train(
    run: &Run,
    data: &Path,
    mut corpus: Corpus,
    recipe: &Recipe,
    context: &Context,
) -> anyhow::Result<Exit> {
    if !(0.0..=1.0).contains(&run.share) {
        return Err(UsageError(format!("--share {} is not within 0..=1", run.share)).into());
    }
    let watch = Stopwatch::start();
    corpus.keep(run.share);
    let digest = Digest::of_reader(std::fs::File::open(data)?)?;
    let digest = Digest::of_parts([&digest.as_bytes()[..], &run.share.to_le_bytes()]);
    let student = &context.config.models.student;
    let files = tools::registry(context)?.resolve(student, Kind::CausalLm, &tools::roots(context))?.files;
    let base = tools::weights(student, &files)?;
    let device = context.config.device.open()?;
    let job = Job {
        recipe,
        corpus: &corpus,
        weights: &Weights::load(base)?,
        tokenizer: &Tokenizer::load(base)?,
        device: &device,
        data: digest,
        base: (student, files.digest),
        checkpoints: run.out.join("checkpoints"),
        stop_after: run.stop_after,
    };
    let progress = progress::reporter();
    let trained = job.run(&|event| tell(&event, &*progress))?;
    let adapter = write(&trained, &job, &run.out)?;
    report(&trained, adapter, watch.seconds(), run.json)
}

/// A Hugging Face folder is a base; any other folder holds one as GGUF.
fn base(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() || path.join("config.json").exists() {
        return Ok(path.into());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut found = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let gguf = found.find(|path| path.extension().is_some_and(|extension| extension == "gguf"));
    gguf.with_context(|| format!("{} holds neither config.json nor a .gguf file", path.display()))
}

/// A line a step in a log, a bar on a terminal.
fn tell(event: &Event<'_>, progress: &dyn Progress) {
    match event {
        Event::Started { tokens, resumed } => {
            progress.begin("train", "tokens", *tokens);
            if *resumed > 0 {
                tracing::info!(steps = resumed, "going on from a checkpoint");
            }
        }
        Event::Stepped(step) => {
            progress.advance(step.tokens as u64);
            tracing::info!(
                step = step.step,
                loss = format!("{:.3}", step.loss),
                norm = format!("{:.2}", step.gradient_norm),
                "trained"
            );
        }
        Event::Validated(validation) => {
            tracing::info!(step = validation.step, loss = format!("{:.4}", validation.loss), "held-out loss");
        }
        Event::Finished => progress.end(""),
    }
}

fn write(trained: &Trained, job: &Job<'_>, out: &Path) -> anyhow::Result<PathBuf> {
    let adapter = out.join("adapter");
    trained.save_adapter(&adapter, job.weights)?;
    write_whole(&out.join("curve.csv"), trained.curve.csv().as_bytes())?;
    write_whole(&out.join("curve.svg"), plot(&trained.curve)?.as_bytes())?;
    Ok(adapter)
}

fn report(trained: &Trained, adapter: PathBuf, seconds: f64, json: bool) -> anyhow::Result<Exit> {
    let curve = &trained.curve;
    let summary = Summary {
        adapter,
        steps: curve.steps.len(),
        last_loss: curve.steps.last().map(|step| step.loss),
        first_validation: curve.validation.first().map(|validation| validation.loss),
        last_validation: curve.validation.last().map(|validation| validation.loss),
        seconds,
    };
    if json {
        output::json(&summary)?;
    } else {
        let loss = |loss: Option<f64>| loss.map_or("-".into(), |loss| format!("{loss:.3}"));
        let (before, after) = (loss(summary.first_validation), loss(summary.last_validation));
        println!("{} steps in {seconds:.0} s; held-out loss {before} -> {after}", summary.steps);
        println!("adapter: {}", summary.adapter.display());
    }
    Ok(Exit::Success)
}
