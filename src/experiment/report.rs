//! The read-out: what `endcap experiment read --json` prints. Keys are stable; fields are added, never renamed.

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::ArmId;

use super::{Comparison, Metric, SampleRatio};

/// An experiment, read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the figures say, in a sentence.
    pub says: String,
    /// What they do not say.
    pub does_not_say: String,
    pub verdict: Verdict,
    pub control: ArmId,
    /// Of intervals and tests, 0..1.
    pub alpha: f64,
    /// The relative effect that the sequential test is tuned to.
    pub effect: f64,
    /// The control first.
    pub arms: Vec<ArmReport>,
    pub sample_ratio: SampleRatio,
    /// First and last day with events, where they have dates.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// The metric that decides first.
    pub metrics: Vec<MetricReport>,
}

/// What the metric that decides comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Verdict {
    /// The arms' sizes are wrong: no winner can be called.
    SampleRatioMismatch,
    /// This arm beats the control, and no other one by more.
    Better {
        arm: ArmId,
    },
    /// No arm beats the control, and this one is worst.
    Worse {
        arm: ArmId,
    },
    Inconclusive,
}

/// An arm's sums.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    pub arm: ArmId,
    pub units: usize,
    /// Of all units, as it is and as it was to be; 0..1.
    pub share: f64,
    pub expected_share: f64,
    pub page_views: f64,
    pub cart_adds: f64,
    pub revenue: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport {
    pub metric: Metric,
    /// What the pre-period took out; absent without one.
    pub cuped: Option<Reduction>,
    /// An arm each, in the order of the arms, adjusted where `cuped` is present.
    pub estimates: Vec<f64>,
    pub contrasts: Vec<Contrast>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reduction {
    pub theta: f64,
    /// Share of the differences' variance that is gone, averaged over the treatments; at most 1.
    pub variance_reduction: f64,
    /// Share of the units whose past is known.
    pub known: f64,
}

/// A treatment against the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    pub arm: ArmId,
    #[serde(flatten)]
    pub comparison: Comparison,
    /// By Holm, over the treatments.
    pub p_holm: f64,
    /// Absent where the control's estimate is not above 0: the mixture is relative to it.
    pub sequential: Option<Sequential>,
    /// The same comparison without the pre-period; present where there is one.
    pub unadjusted: Option<Unadjusted>,
}

/// What may be read at any time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sequential {
    /// Always valid: the least of all looks.
    pub p_value: f64,
    /// By Holm, over the treatments.
    pub p_holm: f64,
    /// The confidence sequence of the difference at the last look.
    pub low: f64,
    pub high: f64,
    /// Days looked at; 1 where the events have no dates.
    pub looks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Unadjusted {
    #[serde(flatten)]
    pub comparison: Comparison,
}
