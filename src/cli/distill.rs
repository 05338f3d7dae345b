//! `endcap distill`: teacher requests, their answers, and the training set made of them.

use std::path::PathBuf;

use clap::Subcommand;

use crate::distill::{self, Gate};

use super::exit::Exit;
use super::{Context, output, stage};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Judge a teacher's answers and write themes.parquet, keywords.parquet and the data card
    #[command(
        after_help = "Example:\n  endcap distill import --recorded ../shared/teacher --out models/training"
    )]
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Folder with contexts.jsonl, pages.jsonl and choices.jsonl
    #[arg(long, value_name = "DIR")]
    recorded: PathBuf,
    /// Folder the training set is written to
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    out: PathBuf,
    /// Print the summary as JSON, every dropped example with its reason
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.action {
        Action::Import(args) => import(&args, context),
    }
}

fn import(args: &ImportArgs, context: &Context) -> anyhow::Result<Exit> {
    let drafts = distill::import_recorded(&args.recorded)?;
    let policy = stage::policy(context)?;
    let gate = Gate {
        policy: &policy,
        placements: context.config.distill.placements,
        max_title_chars: context.config.themes.max_title_chars,
    };
    let set = distill::assemble(drafts, &gate, None)?;
    set.write(&args.out)?;
    let summary = set.summary();
    if args.json {
        output::json(&summary)?;
        return Ok(Exit::Success);
    }
    for (what, figures) in [("pages", &summary.themes), ("choices", &summary.keywords)] {
        let tally = figures.tally;
        println!(
            "{what}: {} train, {} validation ({} kept, {} repaired, {} dropped)",
            figures.train,
            figures.validation,
            tally.kept,
            tally.repaired,
            tally.dropped.len()
        );
        for (repair, count) in &tally.repairs {
            println!("  repaired, {repair}: {count}");
        }
        for (reason, count) in &figures.reasons {
            println!("  dropped, {reason}: {count}");
        }
    }
    println!("written to {}", args.out.display());
    Ok(Exit::Success)
}
