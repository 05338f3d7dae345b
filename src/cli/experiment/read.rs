//! `endcap experiment read`: events → what they say.

use chrono::NaiveDate;

use crate::domain::ArmId;
use crate::experiment::{self, Allocation, Reading, Window};
use crate::ingest;

use super::super::exit::Exit;
use super::super::output;
use super::{table, told};

const EXAMPLE: &str = "\
Example:
  endcap experiment read --events events.parquet --pre pre.parquet --arms control:50,treatment:50

The events hold unit, arm, page_views, cart_adds and revenue, a row a unit or several; optionally date, and a pre-period \
as pre_page_views, pre_cart_adds and pre_revenue. docs/experiments.md says how to read the answer.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Parquet file of the experiment's events: a path or s3://bucket/key
    #[arg(long, value_name = "FILE")]
    events: String,
    /// Parquet file of what the units did before (unit, page_views, cart_adds, revenue), for CUPED
    #[arg(long, value_name = "FILE")]
    pre: Option<String>,
    /// The arm that the others are compared with
    #[arg(long, value_name = "ARM", default_value = "control")]
    control: ArmId,
    /// How units were allocated, as in control:50,treatment:50 [default: evenly]
    #[arg(long, value_name = "ARM:WEIGHT,…")]
    arms: Option<Allocation>,
    /// Chance of a false alarm; intervals have level 1 - alpha
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Relative effect the experiment was planned for; tunes the always-valid test
    #[arg(long, default_value_t = 0.01)]
    effect: f64,
    /// First day to read
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Last day to read
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// Print the whole read-out as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut events = ingest::events(&table(&args.events).await?)?;
    if let Some(pre) = &args.pre {
        let before = ingest::activity(&table(pre).await?)?;
        let known = experiment::with_before(&mut events, &before);
        if known == 0 {
            eprintln!("warning: no unit of the events is in {pre}; nothing is adjusted");
        }
    }
    let window = Window { from: args.from, until: args.until };
    let events = experiment::within(events, &window).map_err(told)?;
    let reading =
        Reading { control: args.control, alpha: args.alpha, effect: args.effect, allocation: args.arms };
    let report = experiment::read(&events, &reading).map_err(told)?;
    if args.json {
        output::json(&report)?;
    } else {
        print!("{}", experiment::table(&report));
    }
    Ok(Exit::Success)
}
