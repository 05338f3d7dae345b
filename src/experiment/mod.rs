//! Experiments between pages: who sees which arm, how many units it takes, and what came of it.
//!
//! The unit of randomisation is the household, so a household's page views are not independent of each other. Every
//! metric is therefore brought to one value a unit, whose mean is the metric ([`Metric`]: the delta method), and arms are
//! compared by Welch's test on those values. A pre-period takes out what households differ by anyway (CUPED), units that
//! went astray are noticed before anybody reads a lift ([`SampleRatio`]), and reading every day is allowed for
//! ([`Mixture`]).
//!
//! `docs/experiments.md` has the formulas and the papers.

mod allocation;
mod compare;
mod cuped;
mod distribution;
mod error;
mod headline;
mod holm;
mod metric;
mod plan;
mod read;
mod report;
mod sample_ratio;
mod sequential;
mod table;
mod window;

#[cfg(test)]
mod simulation;

pub use allocation::Allocation;
pub use compare::{Comparison, Relative, Sample, compare};
pub use cuped::{Adjustment, adjust};
pub use error::ExperimentError;
pub use holm::holm;
pub use metric::{Linearised, Metric};
pub use plan::{Baseline, Design, Plan, plan};
pub use read::{Reading, read};
pub use report::{ArmReport, Contrast, MetricReport, Reduction, Report, Sequential, Unadjusted, Verdict};
pub use sample_ratio::{ALARM, SampleRatio, sample_ratio};
pub use sequential::{Mixture, inflation};
pub use table::{plan_table, table};
pub use window::{Window, with_before, within};
