//! CUPED: variance reduction with a pre-period (Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online
//! controlled experiments by utilizing pre-experiment data", WSDM 2013).
//!
//! A unit's value Z becomes Z − θ (P − P̄), P being the same metric before the experiment. θ is pooled from within the
//! arms, P̄ is the mean of all units, so an arm's mean moves only by what chance gave it beforehand. A unit of unknown
//! past is given P = P̄, that is, left as it is. For a ratio both Z and P are the linearised values.

use crate::domain::experiment::Totals;

use super::Metric;

/// What the pre-period did.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    pub theta: f64,
    /// Adjusted values, an arm each.
    pub arms: Vec<Vec<f64>>,
}

/// Adjusts `values`, an arm each, by what their units did `before`; `None` where the past says nothing.
pub fn adjust(metric: Metric, values: &[Vec<f64>], before: &[Vec<Option<Totals>>]) -> Option<Adjustment> {
    let past = past(metric, before)?;
    let theta = theta(values, &past)?;
    let all = || past.iter().flatten();
    let centre = all().sum::<f64>() / all().count() as f64;
    let arms = values.iter().zip(&past).map(|(values, past)| {
        values.iter().zip(past).map(|(value, past)| value - theta * (past - centre)).collect()
    });
    Some(Adjustment { theta, arms: arms.collect() })
}

/// The metric's values before the experiment. A ratio and its mean are those of all units with a known past: before the
/// experiment there was one group.
fn past(metric: Metric, before: &[Vec<Option<Totals>>]) -> Option<Vec<Vec<f64>>> {
    let known: Vec<Totals> = before.iter().flatten().flatten().copied().collect();
    let linearised = metric.linearise(&known)?;
    let mut values = linearised.values.into_iter();
    let arms = before.iter().map(|arm| {
        let value = |unit: &Option<Totals>| match unit {
            Some(_) => values.next(),
            None => Some(linearised.estimate),
        };
        arm.iter().map(value).collect::<Option<Vec<f64>>>()
    });
    arms.collect()
}

/// Pooled covariance of value and past over the pooled variance of the past; `None` where the past has none.
fn theta(values: &[Vec<f64>], past: &[Vec<f64>]) -> Option<f64> {
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (values, past) in values.iter().zip(past) {
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
        let (of_values, of_past) = (mean(values), mean(past));
        for (value, past) in values.iter().zip(past) {
            covariance += (value - of_values) * (past - of_past);
            variance += (past - of_past).powi(2);
        }
    }
    (variance > 0.0).then(|| covariance / variance)
}
