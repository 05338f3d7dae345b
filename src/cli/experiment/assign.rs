//! `endcap experiment assign`: households → their arms, by a salted hash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::domain::{ArmId, Salt, UnitId};
use crate::experiment::Allocation;
use crate::ingest::{self, contract};

use super::super::exit::{Exit, UsageError};
use super::super::output;
use super::table;

const EXAMPLE: &str = "\
Example:
  endcap experiment assign --salt spring-2018 --arms control:50,treatment:50 --household 1234
  endcap experiment assign --salt spring-2018 --arms control:50,treatment:50 --households assignments.parquet \
--out arms.parquet

The arm is that of SHA-256(\"<salt>:<household>\"); docs/experiments.md has the bytes, for an edge function or SQL.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The experiment's own word: another salt is another, independent assignment
    #[arg(long)]
    salt: Salt,
    /// Arms and weights, in an order that stays
    #[arg(long, value_name = "ARM:WEIGHT,…")]
    arms: Allocation,
    /// A household; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "households")]
    household: Vec<UnitId>,
    /// Households: a Parquet file with household_id (such as assignments.parquet), or a text file of one a line
    #[arg(long, value_name = "FILE", conflicts_with = "household")]
    households: Option<String>,
    /// Write unit and arm as Parquet instead of printing them
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the arms as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let households: BTreeSet<UnitId> = match &args.households {
        Some(file) => ingest::households(&table(file).await?)?,
        None => args.household.into_iter().collect(),
    };
    let arms: BTreeMap<UnitId, ArmId> = households
        .into_iter()
        .map(|unit| {
            let arm = args.arms.assign(&args.salt, &unit).clone();
            (unit, arm)
        })
        .collect();
    if let Some(out) = &args.out {
        if out.is_dir() {
            return Err(UsageError(format!("{} is a folder; name a file", out.display())).into());
        }
        contract::write_arms(out, &arms)?;
    }
    match (args.json, &args.out) {
        (true, _) => output::json(&arms)?,
        (false, Some(out)) => println!("{} in {}", counts(&arms, &args.arms), out.display()),
        (false, None) => arms.iter().for_each(|(unit, arm)| println!("{unit}\t{arm}")),
    }
    Ok(Exit::Success)
}

/// "25 households: control 12, treatment 13", in the order of the allocation.
fn counts(arms: &BTreeMap<UnitId, ArmId>, allocation: &Allocation) -> String {
    let parts = allocation.arms().map(|arm| {
        let units = arms.values().filter(|other| *other == arm).count();
        format!("{arm} {units}")
    });
    format!("{}: {}", output::count(arms.len(), "household"), parts.collect::<Vec<_>>().join(", "))
}
