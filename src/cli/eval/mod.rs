//! `endcap eval`: judges the models' answers on held-out segments.

mod ask;
mod cases;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};

use crate::datasets::complete_journey::Taxonomy;
use crate::eval::{Answers, Bootstrap, ProductType, Rubric, Shelf, System, evaluate, markdown, terminal};

use super::exit::Exit;
use super::{Context, output, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Themes and keywords of base, students and teacher, by one judge, with intervals
    #[command(
        after_help = "Examples:\n  endcap eval students --json > eval.json\n  endcap eval students --systems students,teacher --limit 10 --report eval.md"
    )]
    Students(StudentsArgs),
}

#[derive(Debug, clap::Args)]
struct StudentsArgs {
    /// Folder of the training set; its validation rows are asked
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    training: PathBuf,
    /// Who judges the themes (docs/evaluation.md)
    #[arg(long, value_enum, default_value_t = JudgeChoice::Rubric)]
    judge: JudgeChoice,
    /// Only the first N contexts, and the placements of their pages
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Who is judged: base-zero-shot, base-few-shot, students, teacher; the teacher always is [default: all]
    #[arg(long, value_name = "SYSTEMS", value_delimiter = ',', value_parser = system)]
    systems: Vec<System>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Also write the report as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum JudgeChoice {
    /// Deterministic: policy, retrieval, specificity, distinctness and rules
    Rubric,
}

fn system(text: &str) -> Result<System, String> {
    System::parse(text).ok_or_else(|| {
        let known: Vec<&str> = System::ALL.into_iter().map(System::id).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.what {
        What::Students(args) => students(args, context).await,
    }
}

async fn students(args: StudentsArgs, context: &Context) -> anyhow::Result<Exit> {
    let held_out = cases::HeldOut::load(&args.training, args.limit)?;
    let cases = held_out.cases();
    let taxonomy = Taxonomy::committed()?;
    let policy = tools::taxonomy_policy(context, &taxonomy)?;
    let (memory, encoder) = tools::encoder(context)?;
    let shelf = Shelf::new(product_types(taxonomy), &memory)?;
    let judge = match args.judge {
        JudgeChoice::Rubric => Rubric::new(&policy, &shelf, &memory),
    };
    let wanted = |system: &System| args.systems.is_empty() || args.systems.contains(system);
    let asked: Vec<System> =
        System::ALL.into_iter().filter(|system| *system != System::Teacher).filter(wanted).collect();
    let mut answers = Vec::new();
    if !asked.is_empty() {
        let asker = ask::Asker::new(context, &policy, (&memory, encoder)).await?;
        for system in asked {
            answers.push(asker.answers(system, &cases).await?);
        }
    }
    answers.push(Answers::of_teacher(&cases));
    let report = evaluate(&judge, &memory, &cases, &answers, Bootstrap::default())?;
    if let Some(path) = &args.report {
        std::fs::write(path, markdown(&report))
            .with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    if args.json {
        output::json(&report)?;
    } else {
        print!("{}", terminal(&report));
    }
    Ok(Exit::Success)
}

fn product_types(taxonomy: Taxonomy) -> impl Iterator<Item = ProductType> {
    taxonomy.rows.into_iter().map(|row| ProductType { name: row.name, aisle: row.aisle, tags: row.tags })
}
