//! `endcap distill`: teacher requests, their answers, and the training set made of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::config::env::Variables;
use crate::datasets::complete_journey::Taxonomy;
use crate::distill::client::{Client, Event, Hooks, Outcome};
use crate::distill::journal::Journal;
use crate::distill::requests::{self, Request};
use crate::distill::{self, AnswerFiles, Drafts, Gate, Ratings, Settings, Summary, check_answer};

use super::exit::{Exit, UsageError};
use super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write teacher requests in the OpenAI batch format
    #[command(after_help = "Examples:
  endcap distill export --stage themes --contexts contexts.jsonl --out themes-requests.jsonl
  endcap distill export --stage keywords --placements choices.jsonl --out keywords-requests.jsonl")]
    Export(ExportArgs),
    /// Send requests to the endpoint of ENDCAP_TEACHER_URL; started again, it sends what has no answer yet
    #[command(after_help = "Example:
  ENDCAP_TEACHER_URL=https://host/v1 ENDCAP_TEACHER_KEY=... \\
    endcap distill send --requests themes-requests.jsonl --answers themes-answers.jsonl")]
    Send(SendArgs),
    /// Judge a teacher's answers and write themes.parquet, keywords.parquet and the data card
    #[command(after_help = "Examples:
  endcap distill import --recorded ../shared/teacher --out models/training
  endcap distill import --answers themes-answers.jsonl --contexts contexts.jsonl --out out/training")]
    Import(ImportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// A context's page
    Themes,
    /// A placement's keywords
    Keywords,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[arg(long, value_enum, default_value = "themes")]
    stage: Stage,
    /// Contexts, JSON lines; for stage themes
    #[arg(long, value_name = "FILE", required_if_eq("stage", "themes"))]
    contexts: Option<PathBuf>,
    /// Placements with title, concepts and candidates, JSON lines; for stage keywords
    #[arg(long, value_name = "FILE", required_if_eq("stage", "keywords"))]
    placements: Option<PathBuf>,
    /// Batch file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    /// Batch file of requests
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,
    /// Journal of answers; begun where it does not exist
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,
    /// Send again what failed for good at an earlier start
    #[arg(long)]
    retry_failed: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum JudgeKind {
    /// The gate's rules alone
    Rules,
    /// The rules, then scores by the endpoint of ENDCAP_TEACHER_URL
    Llm,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Folder with contexts.jsonl, pages.jsonl and choices.jsonl
    #[arg(long, value_name = "DIR", required_unless_present = "answers", conflicts_with = "answers")]
    recorded: Option<PathBuf>,
    /// Journals of `send`, or downloaded batch outputs
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "contexts")]
    answers: Vec<PathBuf>,
    /// The contexts that were asked about
    #[arg(long, value_name = "FILE")]
    contexts: Option<PathBuf>,
    /// The placements that were asked about; for answers of stage keywords
    #[arg(long, value_name = "FILE")]
    placements: Option<PathBuf>,
    /// Who judges what the set keeps
    #[arg(long, value_enum, default_value = "rules")]
    judge: JudgeKind,
    /// Folder the training set is written to
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    out: PathBuf,
    /// Print the summary as JSON, every dropped example with its reason
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.action {
        Action::Export(args) => export(&args, &context.config.distill),
        Action::Send(args) => send(&args, context).await,
        Action::Import(args) => import(&args, context).await,
    }
}

/// What `export --json` prints.
#[derive(Serialize)]
struct Exported<'a> {
    requests: usize,
    out: &'a Path,
}

fn export(args: &ExportArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let source = match args.stage {
        Stage::Themes => &args.contexts,
        Stage::Keywords => &args.placements,
    };
    let source = source.as_deref().ok_or_else(|| UsageError("no file to export from".into()))?;
    let requests = match args.stage {
        Stage::Themes => requests::themes_requests(source, settings)?,
        Stage::Keywords => requests::keywords_requests(source, settings)?,
    };
    requests::write_requests(&args.out, &requests)?;
    if args.json {
        output::json(&Exported { requests: requests.len(), out: &args.out })?;
    } else {
        println!("{} written to {}", output::count(requests.len(), "request"), args.out.display());
    }
    Ok(Exit::Success)
}

fn client<'a>(variables: &Variables, settings: &'a Settings) -> anyhow::Result<Client<'a>> {
    let Some(url) = variables.teacher_url() else {
        let problem = "no teacher is configured: set ENDCAP_TEACHER_URL to a base such as https://host/v1";
        return Err(UsageError(problem.into()).into());
    };
    Ok(Client::new(url, variables.teacher_key(), settings)?)
}

/// Sends `requests` with a journal at `answers`, and shows how far it is.
async fn ask(
    client: &Client<'_>,
    requests: &[Request],
    answers: &Path,
    retry_failed: bool,
) -> anyhow::Result<Outcome> {
    let progress = progress::reporter();
    progress.begin("teacher", "answers", requests.len() as u64);
    let tell = |event| {
        if event == Event::Done {
            progress.advance(1);
        }
    };
    let hooks = Hooks { check: &check_answer, progress: &tell, retry_failed };
    let outcome = client.send(requests, Journal::open(answers)?, &hooks).await?;
    progress.end(&format!("{} from the journal, {:.2} USD", outcome.resumed, outcome.spent_usd));
    Ok(outcome)
}

async fn send(args: &SendArgs, context: &Context) -> anyhow::Result<Exit> {
    let requests = requests::read_requests(&args.requests)?;
    let client = client(&context.variables, &context.config.distill)?;
    let outcome = ask(&client, &requests, &args.answers, args.retry_failed).await?;
    let missing = outcome.failed.len() + outcome.unreachable.len() + outcome.unsent;
    if args.json {
        output::json(&outcome)?;
    } else {
        print_outcome(&outcome);
    }
    Ok(if missing == 0 { Exit::Success } else { Exit::Fallbacks })
}

fn print_outcome(outcome: &Outcome) {
    let Outcome { answered, resumed, failed, unreachable, unsent, retries, spent_usd } = outcome;
    println!("{answered} answered, {resumed} answered before, {retries} retries, {spent_usd:.4} USD in all");
    for (what, list) in [("failed", failed), ("unreachable", unreachable)] {
        for request in list {
            println!("  {what}, {}: {}", request.custom_id, request.reason);
        }
    }
    if *unsent > 0 {
        println!("  {unsent} not sent: the cost cap leaves no room (distill.cost_cap_usd)");
    }
}

fn drafts(args: &ImportArgs) -> anyhow::Result<Drafts> {
    if let Some(folder) = &args.recorded {
        return Ok(distill::import_recorded(folder)?);
    }
    let contexts = args.contexts.as_deref().ok_or_else(|| UsageError("--contexts is missing".into()))?;
    let files = AnswerFiles { answers: &args.answers, contexts, placements: args.placements.as_deref() };
    Ok(distill::import_answers(&files)?)
}

async fn import(args: &ImportArgs, context: &Context) -> anyhow::Result<Exit> {
    let drafts = drafts(args)?;
    let policy = tools::taxonomy_policy(context, &Taxonomy::committed()?)?;
    let gate = Gate {
        policy: &policy,
        placements: context.config.distill.placements,
        max_title_chars: context.config.themes.max_title_chars,
    };
    let ratings = match args.judge {
        JudgeKind::Rules => None,
        JudgeKind::Llm => Some(judge(&drafts, &gate, context).await?),
    };
    let set = distill::assemble(drafts, &gate, ratings.as_ref())?;
    set.write(&args.out)?;
    if args.json {
        output::json(&set.summary())?;
    } else {
        print_summary(&set.summary());
        println!("written to {}", args.out.display());
    }
    Ok(Exit::Success)
}

/// Asks the endpoint about every page that passes the rules; its answers are kept in the work folder.
async fn judge(drafts: &Drafts, gate: &Gate<'_>, context: &Context) -> anyhow::Result<Ratings> {
    let settings = &context.config.distill;
    let asked = distill::judge_requests(drafts, gate, settings)?;
    let Some(work) = context.config.paths.work_folder() else {
        return Err(
            UsageError("the judge's answers need a work root that is a folder (paths.work)".into()).into()
        );
    };
    let journal = work.join("distill/judge.jsonl");
    let requests: Vec<Request> = asked.iter().map(|(_, request)| request.clone()).collect();
    let outcome = ask(&client(&context.variables, settings)?, &requests, &journal, false).await?;
    if outcome.unsent + outcome.unreachable.len() > 0 {
        print_outcome(&outcome);
        anyhow::bail!("not every page is judged; run it again to go on where it stopped");
    }
    let answers = distill::read_answers(&journal).context("the judge's answers")?;
    Ok(distill::ratings_of(&asked, &answers, settings))
}

fn print_summary(summary: &Summary<'_>) {
    for (what, figures) in [("pages", &summary.themes), ("choices", &summary.keywords)] {
        let (tally, train, validation) = (figures.tally, figures.train, figures.validation);
        let dropped = tally.dropped.len();
        println!(
            "{what}: {train} train, {validation} validation ({} kept, {} repaired, {dropped} dropped)",
            tally.kept, tally.repaired
        );
        for (repair, count) in &tally.repairs {
            println!("  repaired, {repair}: {count}");
        }
        for (reason, count) in &figures.reasons {
            println!("  dropped, {reason}: {count}");
        }
    }
}
