//! What `endcap replay --json` prints.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::arms::{Arm, FusedPages};
use super::compare::{Judged, Judgement, Lift, Panel};
use super::evaluate::{Metrics, Tally, evaluate};
use super::frontier::{self, Frontier, FrontierPoint};
use super::ground::Ground;
use super::page::Pages;
use super::page_figures::PageFigures;
use super::visits::{Skipped, Visits};
use crate::domain::{HouseholdId, SegmentId};
use crate::eval::Bootstrap;

/// All figures. Lifts are in percent; a key at the top is `null` where its arms were not replayed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Adds per page view of the fused page over the strong baseline, pooled over `pooled_over`.
    pub lift: Option<f64>,
    pub lift_low: Option<f64>,
    pub lift_high: Option<f64>,
    pub lift_p: Option<f64>,
    /// The same of the strong baseline over popularity: it must be above 0.
    pub baseline_over_popularity: Option<f64>,
    pub baseline_over_popularity_low: Option<f64>,
    /// The fused page over the ranker-only page: all adds, and those of products new to the household.
    pub fused_over_ranker: Option<Lift>,
    pub fused_new_adds_over_ranker: Option<Lift>,
    /// The clean origins; all where none of those replayed is.
    pub pooled_over: Vec<NaiveDate>,
    /// Whether `pooled_over` holds clean origins alone.
    pub pooled_clean: bool,
    /// Last day that the students' training contexts reach.
    pub training_end: NaiveDate,
    pub bootstrap: Bootstrap,
    pub pooled: Judgement,
    /// Pooled as `pooled` is; empty where the fused or the ranker-only page was not replayed.
    pub frontier: Vec<Frontier>,
    pub origins: Vec<OriginReport>,
}

/// One origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OriginReport {
    pub as_of: NaiveDate,
    /// First day after the held-out weeks.
    pub until: NaiveDate,
    /// The students' training contexts do not reach its held-out weeks.
    pub clean: bool,
    pub visits: usize,
    pub households: usize,
    pub segments: usize,
    pub segments_without_visits: usize,
    pub skipped: Skipped,
    /// Products of the catalogue, and those a page may show.
    pub products: usize,
    pub eligible: usize,
    pub arms: BTreeMap<Arm, ArmReport>,
    /// For pooling.
    #[serde(skip)]
    pub frontier: Vec<FrontierPoint>,
    pub by_segment: Vec<SegmentReport>,
}

/// One arm at one origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    #[serde(flatten)]
    pub judged: Judged,
    pub total: Tally,
    pub pages: PageFigures,
    /// Of the fused arm: pages that are the ranker's, and pages with less than half of the placements from the cascade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker_pages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_half: Option<usize>,
    /// Mean fit of its cascade placements' products with their titles, 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_fit: Option<f64>,
}

/// One segment at one origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentReport {
    pub segment_id: SegmentId,
    pub households: usize,
    pub visits: f64,
    pub adds_per_view: BTreeMap<Arm, f64>,
    /// Of the last arm over the strong baseline.
    pub lift: Option<Lift>,
}

/// What an origin's report is made of.
pub struct OriginParts<'a> {
    pub clean: bool,
    pub ground: &'a Ground<'a>,
    pub visits: &'a Visits,
    pub pages: &'a BTreeMap<Arm, Pages>,
    pub fused: Option<&'a FusedPages>,
    pub frontier: &'a [FrontierPoint],
}

impl OriginReport {
    /// Evaluates every arm on the same visits. Also the panel of households, for pooling.
    pub fn new(parts: &OriginParts<'_>, bootstrap: &Bootstrap) -> (Self, Panel) {
        let OriginParts { clean, ground, visits, pages, .. } = *parts;
        let metrics: BTreeMap<Arm, Metrics> =
            pages.iter().map(|(arm, pages)| (*arm, evaluate(pages, visits))).collect();
        let panel = panel(&metrics, visits, |_| true);
        let judgement = panel.judge(bootstrap);
        let by_segment = by_segment(&metrics, visits, bootstrap);
        let seen: BTreeMap<&SegmentId, f64> =
            by_segment.iter().map(|segment| (&segment.segment_id, segment.visits)).collect();
        let arm = |(arm, judged): (&Arm, &Judged)| {
            let fused = parts.fused.filter(|_| *arm == Arm::Fused);
            let report = ArmReport {
                judged: *judged,
                total: panel.total(*arm),
                pages: PageFigures::of(&pages[arm], ground, &seen),
                ranker_pages: fused.map(|fused| fused.ranker_pages),
                below_half: fused.map(|fused| fused.below_half),
                title_fit: fused.map(|fused| fused.title_fit),
            };
            (*arm, report)
        };
        let report = Self {
            as_of: visits.window.as_of,
            until: visits.window.until(),
            clean,
            visits: visits.len(),
            households: visits.households().len(),
            segments: visits.segments().len(),
            segments_without_visits: by_segment.iter().filter(|segment| segment.visits == 0.0).count(),
            skipped: visits.skipped,
            products: ground.catalog.len(),
            eligible: ground.eligible(),
            arms: judgement.iter().map(arm).collect(),
            frontier: parts.frontier.to_vec(),
            by_segment,
        };
        (report, panel)
    }
}

/// The households that `keep` takes, by segment, with every arm's tallies.
fn panel(metrics: &BTreeMap<Arm, Metrics>, visits: &Visits, keep: impl Fn(u32) -> bool) -> Panel {
    let arms: Vec<Arm> = metrics.keys().copied().collect();
    let mut panel = Panel::new(&arms);
    for (arm, metrics) in metrics {
        let rows = visits.households().iter().zip(&metrics.by_household);
        let rows = rows.filter(|((_, segment), _)| keep(*segment));
        panel
            .add(*arm, rows.map(|((household, _), tally): (&(HouseholdId, u32), &Tally)| (household, tally)));
    }
    panel
}

fn by_segment(
    metrics: &BTreeMap<Arm, Metrics>,
    visits: &Visits,
    bootstrap: &Bootstrap,
) -> Vec<SegmentReport> {
    let tallies: BTreeMap<Arm, Vec<Tally>> =
        metrics.iter().map(|(arm, metrics)| (*arm, metrics.by_segment(visits))).collect();
    let last = metrics.keys().next_back().copied();
    let segment = |(at, segment): (usize, &SegmentId)| {
        let panel = panel(metrics, visits, |one| one as usize == at);
        let judged = panel.judge(bootstrap);
        let lift = last.and_then(|arm| judged.get(&arm)?.over_baseline.adds);
        SegmentReport {
            segment_id: segment.clone(),
            households: panel.households(),
            visits: tallies.values().next().map_or(0.0, |all| all[at].visits),
            adds_per_view: tallies.iter().map(|(arm, all)| (*arm, all[at].adds_per_view())).collect(),
            lift,
        }
    };
    visits.segments().iter().enumerate().map(segment).collect()
}

impl Report {
    /// Pools the clean origins; all where none is clean.
    pub fn new(origins: Vec<(OriginReport, Panel)>, training_end: NaiveDate, bootstrap: Bootstrap) -> Self {
        let pooled_clean = origins.iter().any(|(origin, _)| origin.clean);
        let pooled: Vec<&(OriginReport, Panel)> =
            origins.iter().filter(|(origin, _)| origin.clean || !pooled_clean).collect();
        let mut all = pooled.first().map(|(_, panel)| panel.clone()).unwrap_or_default();
        pooled.iter().skip(1).for_each(|(_, panel)| all.pool(panel));
        let lines: Vec<&[FrontierPoint]> = pooled.iter().map(|(origin, _)| &*origin.frontier).collect();
        let frontier = frontier::pooled(&lines, &all);
        let judgement = all.judge(&bootstrap);
        let of = |arm: Arm| judgement.get(&arm);
        let lift = of(Arm::Fused).and_then(|fused| fused.over_baseline.adds);
        // The other way round is what was estimated: popularity over the baseline has its bounds exchanged.
        let baseline = of(Arm::Popularity).and_then(|popularity| popularity.over_baseline.adds).map(inverse);
        Self {
            lift: lift.map(|lift| lift.percent),
            lift_low: lift.map(|lift| lift.low),
            lift_high: lift.map(|lift| lift.high),
            lift_p: lift.map(|lift| lift.p),
            baseline_over_popularity: baseline.map(|lift| lift.percent),
            baseline_over_popularity_low: baseline.map(|lift| lift.low),
            fused_over_ranker: of(Arm::Fused).and_then(|fused| fused.over_ranker.adds),
            fused_new_adds_over_ranker: of(Arm::Fused).and_then(|fused| fused.over_ranker.new_adds),
            pooled_over: pooled.iter().map(|(origin, _)| origin.as_of).collect(),
            pooled_clean,
            training_end,
            bootstrap,
            pooled: judgement,
            frontier,
            origins: origins.into_iter().map(|(origin, _)| origin).collect(),
        }
    }
}

/// The lift of B over A from that of A over B: a percentile interval keeps under the monotone 1/x.
fn inverse(lift: Lift) -> Lift {
    let turn = |percent: f64| (100.0 / (100.0 + percent) - 1.0) * 100.0;
    Lift { percent: turn(lift.percent), low: turn(lift.high), high: turn(lift.low), p: lift.p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_a_lift() {
        let back = inverse(Lift { percent: -20.0, low: -50.0, high: 0.0, p: 0.04 });
        assert!((back.percent - 25.0).abs() < 1e-9 && back.low.abs() < 1e-9, "{back:?}");
        assert!((back.high - 100.0).abs() < 1e-9 && back.p == 0.04, "{back:?}");
    }
}
