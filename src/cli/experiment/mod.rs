//! `endcap experiment`: reading an A/B test, planning one, and saying who is in which arm.

mod assign;
mod plan;
mod read;

use clap::Subcommand;

use crate::experiment::ExperimentError;
use crate::ingest::{self, Location, TableFile};

use super::Context;
use super::exit::{Exit, UsageError};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what came of an experiment, from its events
    Read(read::Args),
    /// Say how many units an experiment takes
    Plan(plan::Args),
    /// Say which arm households are in
    Assign(assign::Args),
}

pub async fn run(args: Args, _context: &Context) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Read(args) => read::run(args).await,
        Verb::Plan(args) => plan::run(args).await,
        Verb::Assign(args) => assign::run(args).await,
    }
}

/// Fetches a table named on the command line.
async fn table(location: &str) -> anyhow::Result<TableFile> {
    let location = Location::parse(location).map_err(|error| UsageError(error.to_string()))?;
    Ok(ingest::fetch(&location).await?)
}

/// A wrong call ends with 64, wrong data like any other input.
fn told(error: ExperimentError) -> anyhow::Error {
    if error.is_usage() { UsageError(error.to_string()).into() } else { error.into() }
}
