//! Arms against each other, by the bootstrap over households.
//!
//! Visits of one household are not independent, so whole households are drawn, with replacement, and the same ones for every
//! arm: a lift is paired. A household that is in several origins of a pool is drawn with all its weeks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arms::Arm;
use super::evaluate::Tally;
use crate::domain::HouseholdId;
use crate::eval::{Bootstrap, Estimate};

/// One arm's mean over another's, less 1, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lift {
    pub percent: f64,
    pub low: f64,
    pub high: f64,
    /// Two-sided: how often a resample's lift is on the other side of 0, doubled (Efron & Tibshirani, *An Introduction to
    /// the Bootstrap*, 1993, ch. 15); never below 2 / (resamples + 1).
    pub p: f64,
}

/// One arm's figures with their intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judged {
    pub adds_per_view: Estimate,
    pub adds_per_visit: Estimate,
    pub attraction_per_view: Estimate,
    pub new_adds_per_view: Estimate,
    /// Share of the adds.
    pub novelty: Estimate,
    pub over_baseline: Against,
    pub over_ranker: Against,
}

/// An arm's lifts over one other; `None` where that one was not replayed or has nothing to divide by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Against {
    pub adds: Option<Lift>,
    pub attraction: Option<Lift>,
    pub new_adds: Option<Lift>,
}

/// All arms' figures.
pub type Judgement = BTreeMap<Arm, Judged>;

/// Households by arms.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    arms: Vec<Arm>,
    /// A household's tallies, in order of `arms`.
    rows: BTreeMap<HouseholdId, Vec<Tally>>,
}

/// What is estimated of one arm.
type Figure = fn(&Tally) -> (f64, f64);

const FIGURES: [Figure; 5] = [
    |tally| (tally.adds, tally.views),
    |tally| (tally.adds, tally.visits),
    |tally| (tally.attraction, tally.views),
    |tally| (tally.new_adds, tally.views),
    |tally| (tally.new_adds, tally.adds),
];
/// Places in [`FIGURES`] of what is compared.
const ADDS: usize = 0;
const ATTRACTION: usize = 2;
const NEW_ADDS: usize = 3;

impl Panel {
    pub fn new(arms: &[Arm]) -> Self {
        Self { arms: arms.to_vec(), rows: BTreeMap::new() }
    }

    /// Adds an arm's tallies of some households.
    pub fn add<'h>(&mut self, arm: Arm, rows: impl IntoIterator<Item = (&'h HouseholdId, &'h Tally)>) {
        let Some(column) = self.arms.iter().position(|one| *one == arm) else { return };
        let width = self.arms.len();
        for (household, tally) in rows {
            let row = self.rows.entry(household.clone()).or_insert_with(|| vec![Tally::default(); width]);
            row[column].merge(tally);
        }
    }

    /// Adds all of another panel of the same arms.
    pub fn pool(&mut self, other: &Self) {
        for (column, arm) in other.arms.iter().enumerate() {
            self.add(*arm, other.rows.iter().map(|(household, row)| (household, &row[column])));
        }
    }

    pub fn households(&self) -> usize {
        self.rows.len()
    }

    /// Sum over all households.
    pub fn total(&self, arm: Arm) -> Tally {
        let mut total = Tally::default();
        if let Some(column) = self.arms.iter().position(|one| *one == arm) {
            self.rows.values().for_each(|row| total.merge(&row[column]));
        }
        total
    }

    /// Every arm's figures and lifts. Empty without households.
    pub fn judge(&self, bootstrap: &Bootstrap) -> Judgement {
        if self.rows.is_empty() {
            return Judgement::new();
        }
        let rows: Vec<&[Tally]> = self.rows.values().map(Vec::as_slice).collect();
        let width = self.arms.len();
        let all: Vec<usize> = (0..rows.len()).collect();
        let totals = sums(&rows, &all, width);
        let mut draws: Vec<Vec<Tally>> = Vec::with_capacity(bootstrap.resamples);
        bootstrap.resample(rows.len(), |drawn| draws.push(sums(&rows, drawn, width)));
        let resampled = Resampled { arms: &self.arms, totals, draws, bootstrap };
        self.arms.iter().enumerate().map(|(column, arm)| (*arm, resampled.judged(column))).collect()
    }
}

fn sums(rows: &[&[Tally]], drawn: &[usize], width: usize) -> Vec<Tally> {
    let mut totals = vec![Tally::default(); width];
    for place in drawn {
        totals.iter_mut().zip(rows[*place]).for_each(|(total, tally)| total.merge(tally));
    }
    totals
}

/// All arms' sums: of all households, and of each resample.
struct Resampled<'a> {
    arms: &'a [Arm],
    totals: Vec<Tally>,
    draws: Vec<Vec<Tally>>,
    bootstrap: &'a Bootstrap,
}

impl Resampled<'_> {
    fn judged(&self, column: usize) -> Judged {
        let [adds_per_view, adds_per_visit, attraction_per_view, new_adds_per_view, novelty] =
            [0, 1, 2, 3, 4].map(|figure| self.estimate(column, figure));
        Judged {
            adds_per_view,
            adds_per_visit,
            attraction_per_view,
            new_adds_per_view,
            novelty,
            over_baseline: self.against(column, Arm::Baseline),
            over_ranker: self.against(column, Arm::Ranker),
        }
    }

    fn estimate(&self, column: usize, figure: usize) -> Estimate {
        let mean = |totals: &[Tally]| value(&totals[column], figure);
        let value = mean(&self.totals).unwrap_or(0.0);
        self.bootstrap.interval(value, self.draws.iter().filter_map(|totals| mean(totals)).collect())
    }

    fn against(&self, column: usize, other: Arm) -> Against {
        match self.arms.iter().position(|arm| *arm == other) {
            Some(base) if base != column => Against {
                adds: self.lift(column, base, ADDS),
                attraction: self.lift(column, base, ATTRACTION),
                new_adds: self.lift(column, base, NEW_ADDS),
            },
            _ => Against::default(),
        }
    }

    fn lift(&self, column: usize, base: usize, figure: usize) -> Option<Lift> {
        let percent = |totals: &[Tally]| {
            let below = value(&totals[base], figure).filter(|below| *below > 0.0)?;
            Some((value(&totals[column], figure)? / below - 1.0) * 100.0)
        };
        let observed = percent(&self.totals)?;
        let lifts: Vec<f64> = self.draws.iter().filter_map(|totals| percent(totals)).collect();
        let p = p_value(&lifts);
        let Estimate { value, low, high } = self.bootstrap.interval(observed, lifts);
        Some(Lift { percent: value, low, high, p })
    }
}

fn value(tally: &Tally, figure: usize) -> Option<f64> {
    let (above, below) = FIGURES[figure](tally);
    (below > 0.0).then(|| above / below)
}

fn p_value(lifts: &[f64]) -> f64 {
    let (up, down) = (lifts.iter().filter(|lift| **lift >= 0.0), lifts.iter().filter(|lift| **lift <= 0.0));
    let other = up.count().min(down.count()) as f64;
    (2.0 * (other + 1.0) / (lifts.len() as f64 + 1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn household(number: usize) -> HouseholdId {
        HouseholdId::parse(format!("h{number}")).expect("id")
    }

    fn tally(views: f64, adds: f64) -> Tally {
        Tally { views, visits: views, adds, new_adds: adds / 2.0, attraction: adds / 3.0 }
    }

    fn panel(rows: &[(f64, f64, f64)]) -> Panel {
        let mut panel = Panel::new(&[Arm::Baseline, Arm::Fused]);
        for (number, (views, baseline, fused)) in rows.iter().enumerate() {
            panel.add(Arm::Baseline, [(&household(number), &tally(*views, *baseline))]);
            panel.add(Arm::Fused, [(&household(number), &tally(*views, *fused))]);
        }
        panel
    }

    /// 10 % more adds in every household: whatever is drawn, the lift is 10 %.
    #[test]
    fn a_lift_is_paired() {
        let rows: Vec<_> =
            (1..40).map(|n| (f64::from(n), f64::from(n * n % 7), f64::from(n * n % 7) * 1.1)).collect();
        let judged = panel(&rows).judge(&Bootstrap::default());
        let lift = judged[&Arm::Fused].over_baseline.adds.expect("lift");
        assert!((lift.percent - 10.0).abs() < 1e-9 && (lift.high - lift.low).abs() < 1e-9, "{lift:?}");
        assert!(lift.p < 0.002, "{lift:?}");
        assert_eq!(judged[&Arm::Baseline].over_baseline, Against::default());
        assert_eq!(judged[&Arm::Fused].over_ranker, Against::default());
    }

    #[test]
    fn equal_arms_have_no_lift_and_no_significance() {
        let judged = panel(&[(3.0, 1.0, 1.0), (5.0, 2.0, 2.0)]).judge(&Bootstrap::default());
        let lift = judged[&Arm::Fused].over_baseline.adds.expect("lift");
        assert_eq!((lift.percent, lift.low, lift.high, lift.p), (0.0, 0.0, 0.0, 1.0));
    }

    #[test]
    fn nothing_to_divide_by_is_no_lift_and_no_household_is_no_judgement() {
        let judged = panel(&[(3.0, 0.0, 1.0)]).judge(&Bootstrap::default());
        assert_eq!(judged[&Arm::Fused].over_baseline.adds, None);
        assert!(panel(&[]).judge(&Bootstrap::default()).is_empty());
    }

    /// A household seen at two origins is one cluster with the sum of both.
    #[test]
    fn a_pool_merges_households() {
        let mut pooled = panel(&[(3.0, 1.0, 2.0), (4.0, 1.0, 1.0)]);
        pooled.pool(&panel(&[(2.0, 1.0, 1.0)]));
        assert_eq!(pooled.households(), 2);
        assert_eq!(pooled.total(Arm::Fused), tally(9.0, 4.0));
    }

    /// Two arms that draw from one distribution: a 95 % interval misses 0 in about 1 of 20 panels.
    #[test]
    fn false_alarms_are_as_rare_as_they_say() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let bootstrap = Bootstrap { resamples: 400, ..Bootstrap::default() };
        let alarms = (0..200).filter(|_| {
            let rows: Vec<_> = (0..80)
                .map(|_| {
                    let taste: f64 = random.gen_range(0.0..4.0);
                    (4.0, taste + random.gen_range(0.0..2.0), taste + random.gen_range(0.0..2.0))
                })
                .collect();
            let lift = panel(&rows).judge(&bootstrap)[&Arm::Fused].over_baseline.adds.expect("lift");
            lift.p < 0.05
        });
        let alarms = alarms.count();
        assert!((2..=22).contains(&alarms), "{alarms} of 200");
    }
}
