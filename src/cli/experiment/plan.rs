//! `endcap experiment plan`: a baseline and an effect → units and page views.

use crate::domain::ArmId;
use crate::experiment::{self, Allocation, Baseline, Design, Metric};
use crate::ingest;

use super::super::exit::{Exit, UsageError};
use super::super::output;
use super::{table, told};

const EXAMPLE: &str = "\
Example:
  endcap experiment plan --events last-month.parquet --effect 0.01
  endcap experiment plan --baseline 0.8 --variance 2.5 --views-per-unit 6

The events (unit, page_views, cart_adds, revenue) are to be as long as the experiment will be, without an experiment in \
them.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Parquet file of a time without an experiment, to take baseline and variance from
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "variance", "views_per_unit"])]
    events: Option<String>,
    /// The metric as it is now
    #[arg(long, required_unless_present = "events", requires = "variance")]
    baseline: Option<f64>,
    /// Variance of the metric's (linearised) value of a unit
    #[arg(long, required_unless_present = "events", requires = "baseline")]
    variance: Option<f64>,
    /// Page views of a unit over the experiment, to count page views as well
    #[arg(long, value_name = "VIEWS")]
    views_per_unit: Option<f64>,
    /// cart-adds-per-page-view, cart-adds-per-unit, revenue-per-unit or revenue-per-page-view
    #[arg(long, default_value_t = Metric::PRIMARY)]
    metric: Metric,
    /// Smallest relative effect to find
    #[arg(long, default_value_t = 0.01)]
    effect: f64,
    /// Chance of finding it
    #[arg(long, default_value_t = 0.8)]
    power: f64,
    /// Chance of a false alarm, over all treatments
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// How units will be allocated
    #[arg(long, value_name = "ARM:WEIGHT,…", default_value = "control:50,treatment:50")]
    arms: Allocation,
    /// The arm that the others are compared with
    #[arg(long, value_name = "ARM", default_value = "control")]
    control: ArmId,
    /// Correlation of a unit's value with its pre-period's, if CUPED will be used
    #[arg(long, default_value_t = 0.0)]
    correlation: f64,
    /// Units at hand; says which effect they would show
    #[arg(long, value_name = "N")]
    units: Option<u64>,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let baseline = match (&args.events, args.baseline, args.variance) {
        (Some(events), ..) => {
            let units: Vec<_> = ingest::activity(&table(events).await?)?.into_values().collect();
            Baseline::of(args.metric, &units).map_err(told)?
        }
        (None, Some(value), Some(variance)) => {
            Baseline { value, variance, views_per_unit: args.views_per_unit }
        }
        _ => return Err(UsageError("give --events, or --baseline and --variance".into()).into()),
    };
    let design = Design {
        metric: args.metric,
        baseline,
        effect: args.effect,
        power: args.power,
        alpha: args.alpha,
        allocation: args.arms,
        control: args.control,
        correlation: args.correlation,
        units: args.units,
    };
    let plan = experiment::plan(&design).map_err(told)?;
    if args.json {
        output::json(&plan)?;
    } else {
        print!("{}", experiment::plan_table(&plan));
    }
    Ok(Exit::Success)
}
