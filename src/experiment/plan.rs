//! How many units an experiment takes: the power of a two-sided test of two means by the normal approximation (Kohavi,
//! Tang and Xu, 2020, section 17; with both tails, as statsmodels's `NormalIndPower`).

use serde::Serialize;

use crate::domain::ArmId;
use crate::domain::experiment::Totals;

use super::distribution::{normal_cdf, normal_quantile};
use super::read::within_unit;
use super::{Allocation, ExperimentError, Metric, Sample, inflation};

/// The metric without any experiment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// Above 0.
    pub value: f64,
    /// Variance of a unit's (linearised) value.
    pub variance: f64,
    /// Page views of a unit over the length of the experiment, where known.
    pub views_per_unit: Option<f64>,
}

impl Baseline {
    /// Of units that were all treated alike, over as long as the experiment is to run.
    pub fn of(metric: Metric, units: &[Totals]) -> Result<Self, ExperimentError> {
        if units.len() < 2 {
            return Err(ExperimentError::NoSpread { units: units.len() });
        }
        let none = ExperimentError::NoBaseline { metric: metric.label(), value: 0.0 };
        let linearised = metric.linearise(units).ok_or(none)?;
        let views = units.iter().map(|unit| unit.page_views).sum::<f64>() / units.len() as f64;
        let variance = Sample::of(&linearised.values).variance;
        Ok(Self { value: linearised.estimate, variance, views_per_unit: Some(views) })
    }
}

/// What an experiment is to find.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    pub metric: Metric,
    pub baseline: Baseline,
    /// Smallest relative effect to find, such as 0.01.
    pub effect: f64,
    /// Chance of finding it, 0..1.
    pub power: f64,
    /// Chance of finding something where there is nothing, 0..1.
    pub alpha: f64,
    pub allocation: Allocation,
    pub control: ArmId,
    /// Of a unit's value with its pre-period's, for CUPED; −1..1, 0 without.
    pub correlation: f64,
    /// Units at hand; the plan then says what they would show.
    pub units: Option<u64>,
}

/// What it takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub metric: Metric,
    pub baseline: Baseline,
    pub effect: f64,
    pub power: f64,
    /// As asked for, and for each of several treatments by Bonferroni.
    pub alpha: f64,
    pub alpha_per_treatment: f64,
    /// Variance left by CUPED, 0..1.
    pub variance_left: f64,
    pub total_units: u64,
    pub total_page_views: Option<u64>,
    pub arms: Vec<PlannedArm>,
    /// A test that may be read at any time takes at most so many times the units.
    pub sequential_inflation: f64,
    pub sequential_units: u64,
    pub sequential_page_views: Option<u64>,
    /// Smallest relative effect that the units at hand would show with this power; present if they were given.
    pub detectable_effect: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedArm {
    pub arm: ArmId,
    pub units: u64,
    pub page_views: Option<u64>,
}

/// Plans an experiment in which every treatment is compared with the control.
pub fn plan(design: &Design) -> Result<Plan, ExperimentError> {
    check(design)?;
    let treatments = design.allocation.arms().count() - 1;
    let alpha = design.alpha / treatments as f64;
    let needed = noncentrality(alpha, design.power);
    let variance_left = 1.0 - design.correlation.powi(2);
    // Variance of the difference, times the number of units, for the smallest treatment.
    let spread = design.baseline.variance * variance_left * inverse_shares(design);
    let units = spread * (needed / (design.effect * design.baseline.value)).powi(2);
    let inflation = inflation(alpha, design.power, needed);
    let views = |units: u64| design.baseline.views_per_unit.map(|views| (views * units as f64).ceil() as u64);
    let arms: Vec<PlannedArm> = design
        .allocation
        .arms()
        .map(|arm| {
            let own = (units * design.allocation.share(arm)).ceil().max(2.0) as u64;
            PlannedArm { arm: arm.clone(), units: own, page_views: views(own) }
        })
        .collect();
    let total_units = arms.iter().map(|arm| arm.units).sum();
    let sequential_units = (units * inflation).ceil() as u64;
    let detectable = |at_hand: u64| needed * (spread / at_hand as f64).sqrt() / design.baseline.value;
    Ok(Plan {
        metric: design.metric,
        baseline: design.baseline,
        effect: design.effect,
        power: design.power,
        alpha: design.alpha,
        alpha_per_treatment: alpha,
        variance_left,
        total_units,
        total_page_views: views(total_units),
        arms,
        sequential_inflation: inflation,
        sequential_units,
        sequential_page_views: views(sequential_units),
        detectable_effect: design.units.map(detectable),
    })
}

fn check(design: &Design) -> Result<(), ExperimentError> {
    within_unit("alpha", design.alpha)?;
    within_unit("power", design.power)?;
    let Baseline { value, variance, views_per_unit } = design.baseline;
    let out = |name, value, demand| Err(ExperimentError::OutOfRange { name, value, demand });
    let above = |value: f64| value > 0.0 && value.is_finite();
    if design.power <= design.alpha {
        return out("power", design.power, "above alpha");
    }
    if !above(design.effect) {
        return out("effect", design.effect, "a relative effect above 0");
    }
    if !above(value) {
        return Err(ExperimentError::NoBaseline { metric: design.metric.label(), value });
    }
    if !above(variance) {
        return out("variance", variance, "above 0");
    }
    if let Some(views) = views_per_unit.filter(|views| !above(*views)) {
        return out("views-per-unit", views, "above 0");
    }
    if !(design.correlation > -1.0 && design.correlation < 1.0) {
        return out("correlation", design.correlation, "between -1 and 1, both excluded");
    }
    if design.units == Some(0) {
        return out("units", 0.0, "above 0");
    }
    if !design.allocation.arms().any(|arm| *arm == design.control) {
        let arms: Vec<&str> = design.allocation.arms().map(ArmId::as_str).collect();
        return Err(ExperimentError::NoControl { control: design.control.clone(), arms: arms.join(", ") });
    }
    Ok(())
}

/// 1 / share of the control + 1 / share of the smallest treatment.
fn inverse_shares(design: &Design) -> f64 {
    let treatments = design.allocation.arms().filter(|arm| **arm != design.control);
    let least = treatments.map(|arm| design.allocation.share(arm)).fold(1.0, f64::min);
    1.0 / design.allocation.share(&design.control) + 1.0 / least
}

/// How many standard errors an effect must be to be found with `power` at level `alpha`, counting both tails.
fn noncentrality(alpha: f64, power: f64) -> f64 {
    let z = normal_quantile(1.0 - alpha / 2.0);
    let reached = |effect: f64| normal_cdf(effect - z) + normal_cdf(-effect - z);
    let (mut low, mut high) = (0.0, z + 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if reached(middle) < power { low = middle } else { high = middle }
    }
    high
}
