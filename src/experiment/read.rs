//! From events to the read-out.

use crate::domain::ArmId;
use crate::domain::experiment::{Events, Totals};

use super::allocation::MAX_ARMS;
use super::headline::headline;
use super::report::{ArmReport, Contrast, MetricReport, Reduction, Report, Sequential, Unadjusted};
use super::{
    Allocation, Comparison, ExperimentError, Metric, Mixture, Sample, adjust, compare, holm, sample_ratio,
};

/// How an experiment is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub control: ArmId,
    /// 0..1; intervals have level 1 − alpha.
    pub alpha: f64,
    /// The relative effect the experiment was planned for, above 0: it tunes the sequential test.
    pub effect: f64,
    /// Who was to be in which arm; evenly where it is not said.
    pub allocation: Option<Allocation>,
}

/// Reads an experiment.
pub fn read(events: &Events, reading: &Reading) -> Result<Report, ExperimentError> {
    within_unit("alpha", reading.alpha)?;
    if !(reading.effect > 0.0 && reading.effect.is_finite()) {
        let demand = "a relative effect above 0";
        return Err(ExperimentError::OutOfRange { name: "effect", value: reading.effect, demand });
    }
    let order = order(events, &reading.control)?;
    let allocation = allocation(events, reading)?;
    let all = Arms::of(events, &order, events.units.iter().map(|unit| Some(unit.totals)));
    all.check(events, &order)?;
    let arms = arm_reports(events, &order, &all, &allocation);
    let counts: Vec<usize> = arms.iter().map(|arm| arm.units).collect();
    let shares: Vec<f64> = arms.iter().map(|arm| arm.expected_share).collect();
    let sample_ratio = sample_ratio(&counts, &shares);
    let sequential = sequential(events, &order, &all, reading);
    let metrics: Result<Vec<MetricReport>, _> = Metric::ALL
        .into_iter()
        .zip(sequential)
        .map(|(metric, sequential)| metric_report(metric, &all, sequential, &arms, reading.alpha))
        .collect();
    let metrics = metrics?;
    let days = events.days.first().zip(events.days.last()).map(|(first, last)| (first.date, last.date));
    let words = headline(&arms, &sample_ratio, &metrics[0], reading.alpha);
    Ok(Report {
        says: words.says,
        does_not_say: words.does_not_say,
        verdict: words.verdict,
        control: reading.control.clone(),
        alpha: reading.alpha,
        effect: reading.effect,
        arms,
        sample_ratio,
        days,
        metrics,
    })
}

/// Refuses what is not strictly within 0..1.
pub(super) fn within_unit(name: &'static str, value: f64) -> Result<(), ExperimentError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(ExperimentError::OutOfRange { name, value, demand: "between 0 and 1, both excluded" })
}

/// Places of the arms, the control's first.
fn order(events: &Events, control: &ArmId) -> Result<Vec<usize>, ExperimentError> {
    match events.arms.as_slice() {
        [arm] => return Err(ExperimentError::OneArm { arm: arm.clone() }),
        arms if arms.len() > MAX_ARMS => {
            return Err(ExperimentError::TooManyArms { arms: arms.len(), max: MAX_ARMS });
        }
        _ => {}
    }
    let first = events.arms.iter().position(|arm| arm == control).ok_or_else(|| {
        ExperimentError::NoControl { control: control.clone(), arms: names(events.arms.iter()) }
    })?;
    let others = (0..events.arms.len()).filter(|arm| *arm != first);
    Ok(std::iter::once(first).chain(others).collect())
}

fn allocation(events: &Events, reading: &Reading) -> Result<Allocation, ExperimentError> {
    let Some(allocation) = &reading.allocation else { return Ok(Allocation::even(&events.arms)) };
    let mut expected: Vec<&ArmId> = allocation.arms().collect();
    expected.sort();
    if !expected.iter().copied().eq(&events.arms) {
        let expected = names(expected.into_iter());
        return Err(ExperimentError::OtherArms { expected, found: names(events.arms.iter()) });
    }
    Ok(allocation.clone())
}

fn names<'a>(arms: impl Iterator<Item = &'a ArmId>) -> String {
    arms.map(ArmId::as_str).collect::<Vec<_>>().join(", ")
}

/// Units by arm, the control's first.
struct Arms {
    totals: Vec<Vec<Totals>>,
    before: Vec<Vec<Option<Totals>>>,
}

impl Arms {
    /// `totals` a unit; `None` for one that was not seen yet.
    fn of(events: &Events, order: &[usize], totals: impl Iterator<Item = Option<Totals>>) -> Self {
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, arm)| rank[*arm] = at);
        let mut arms = Self { totals: vec![Vec::new(); order.len()], before: vec![Vec::new(); order.len()] };
        for (unit, totals) in events.units.iter().zip(totals) {
            if let Some(totals) = totals {
                arms.totals[rank[unit.arm]].push(totals);
                arms.before[rank[unit.arm]].push(unit.before);
            }
        }
        arms
    }

    /// Whether every arm has a spread and every metric a value.
    fn check(&self, events: &Events, order: &[usize]) -> Result<(), ExperimentError> {
        for (totals, arm) in self.totals.iter().zip(order) {
            let arm = || events.arms[*arm].clone();
            if totals.len() < 2 {
                return Err(ExperimentError::TooFewUnits { arm: arm(), units: totals.len() });
            }
            if totals.iter().all(|unit| unit.page_views == 0.0) {
                return Err(ExperimentError::NoPageViews { arm: arm() });
            }
        }
        Ok(())
    }

    /// The metric's samples; `None` where an arm has too few units or no page views.
    fn samples(&self, metric: Metric) -> Option<Samples> {
        if self.totals.iter().any(|arm| arm.len() < 2) {
            return None;
        }
        let values: Option<Vec<Vec<f64>>> =
            self.totals.iter().map(|arm| Some(metric.linearise(arm)?.values)).collect();
        let values = values?;
        let all = |arms: &[Vec<f64>]| arms.iter().map(|arm| Sample::of(arm)).collect();
        let adjusted = adjust(metric, &values, &self.before);
        Some(Samples {
            plain: all(&values),
            adjusted: adjusted.map(|adjustment| (adjustment.theta, all(&adjustment.arms))),
        })
    }
}

/// A metric's samples, an arm each.
struct Samples {
    plain: Vec<Sample>,
    /// θ and the adjusted samples.
    adjusted: Option<(f64, Vec<Sample>)>,
}

impl Samples {
    /// What is reported: adjusted where that is possible.
    fn best(&self) -> &[Sample] {
        self.adjusted.as_ref().map_or(&self.plain, |(_, samples)| samples)
    }
}

fn arm_reports(events: &Events, order: &[usize], arms: &Arms, allocation: &Allocation) -> Vec<ArmReport> {
    let reports = order.iter().zip(&arms.totals).map(|(arm, units)| {
        let mut sum = Totals::default();
        units.iter().for_each(|unit| sum += *unit);
        ArmReport {
            arm: events.arms[*arm].clone(),
            units: units.len(),
            share: units.len() as f64 / events.units.len() as f64,
            expected_share: allocation.share(&events.arms[*arm]),
            page_views: sum.page_views,
            cart_adds: sum.cart_adds,
            revenue: sum.revenue,
        }
    });
    reports.collect()
}

fn metric_report(
    metric: Metric,
    all: &Arms,
    sequential: Option<Vec<Sequential>>,
    arms: &[ArmReport],
    alpha: f64,
) -> Result<MetricReport, ExperimentError> {
    let no_views = || ExperimentError::NoPageViews { arm: arms[0].arm.clone() };
    let samples = all.samples(metric).ok_or_else(no_views)?;
    let against = |samples: &[Sample]| -> Vec<Comparison> {
        samples[1..].iter().map(|sample| compare(&samples[0], sample, alpha)).collect()
    };
    let (best, plain) = (against(samples.best()), against(&samples.plain));
    let p_holm = holm(&best.iter().map(|comparison| comparison.p_value).collect::<Vec<_>>());
    let contrasts = (0..best.len()).map(|at| Contrast {
        arm: arms[at + 1].arm.clone(),
        comparison: best[at],
        p_holm: p_holm[at],
        sequential: sequential.as_ref().map(|sequential| sequential[at]),
        unadjusted: samples.adjusted.as_ref().map(|_| Unadjusted { comparison: plain[at] }),
    });
    let contrasts = contrasts.collect();
    let cuped = samples.adjusted.as_ref().map(|(theta, _)| Reduction {
        theta: *theta,
        variance_reduction: reduction(&best, &plain),
        known: known(all),
    });
    let estimates = samples.best().iter().map(|sample| sample.mean).collect();
    Ok(MetricReport { metric, cuped, estimates, contrasts })
}

fn reduction(best: &[Comparison], plain: &[Comparison]) -> f64 {
    let gone = |best: &Comparison, plain: &Comparison| match plain.standard_error {
        0.0 => 0.0,
        error => 1.0 - (best.standard_error / error).powi(2),
    };
    best.iter().zip(plain).map(|(best, plain)| gone(best, plain)).sum::<f64>() / best.len() as f64
}

fn known(arms: &Arms) -> f64 {
    let all = || arms.before.iter().flatten();
    all().flatten().count() as f64 / all().count() as f64
}

/// The sequential test of one metric, look after look.
struct Running {
    metric: Metric,
    /// Least p-value so far, a treatment each.
    least: Vec<f64>,
    /// The latest look's confidence sequences.
    last: Option<Vec<(f64, f64)>>,
    looks: usize,
}

impl Running {
    /// Looks once more. A day on which an arm has too few units for a spread is passed over.
    fn look(&mut self, arms: &Arms, reading: &Reading) {
        let Some(samples) = arms.samples(self.metric) else { return };
        self.looks += 1;
        // The mixture follows the control's estimate alone, never a difference.
        let tau = reading.effect * samples.plain[0].mean;
        if tau <= 0.0 {
            self.last = None;
            return;
        }
        let mixture = Mixture { tau };
        let control = samples.best()[0];
        let treatments = samples.best()[1..].iter().zip(&mut self.least).map(|(treatment, least)| {
            let difference = treatment.mean - control.mean;
            let variance = treatment.of_mean() + control.of_mean();
            *least = least.min(mixture.p_value(difference, variance));
            let half = mixture.half_width(variance, reading.alpha);
            (difference - half, difference + half)
        });
        self.last = Some(treatments.collect());
    }

    fn finish(self) -> Option<Vec<Sequential>> {
        let p_holm = holm(&self.least);
        let found = self.last?.into_iter().enumerate().map(|(at, (low, high))| Sequential {
            p_value: self.least[at],
            p_holm: p_holm[at],
            low,
            high,
            looks: self.looks,
        });
        Some(found.collect())
    }
}

/// The sequential tests of [`Metric::ALL`]: a look at the end of each day, or one where the events have no dates.
fn sequential(
    events: &Events,
    order: &[usize],
    all: &Arms,
    reading: &Reading,
) -> [Option<Vec<Sequential>>; Metric::ALL.len()] {
    let least = vec![1.0; order.len() - 1];
    let mut running =
        Metric::ALL.map(|metric| Running { metric, least: least.clone(), last: None, looks: 0 });
    let mut look = |arms: &Arms| running.iter_mut().for_each(|running| running.look(arms, reading));
    let mut so_far: Vec<Option<Totals>> = vec![None; events.units.len()];
    for day in &events.days {
        for (place, row) in &day.rows {
            *so_far[*place].get_or_insert_default() += *row;
        }
        look(&Arms::of(events, order, so_far.iter().copied()));
    }
    if events.days.is_empty() {
        look(all);
    }
    running.map(Running::finish)
}
