//! What first purchases cost: all adds against adds of products new to the household, as fusion's `discovery` grows.
//!
//! Two lines. One is the fused page. The other, its control, is a page of as many products without placements, chosen by the same
//! demand ([`crate::fuse::Demand`]): between the lines lies what the generated themes themselves cost or bring.

use serde::Serialize;

use super::arms::{Fusion, chosen, fused};
use super::compare::Panel;
use super::evaluate::{Tally, evaluate};
use super::visits::Visits;
use super::{Arm, Pages};
use crate::domain::stage::JudgedPage;
use crate::domain::{Product, SegmentContext, SegmentId};
use crate::fuse;

/// Both lines at one weight of first purchases, summed over visits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrontierPoint {
    pub discovery: f32,
    pub fused: Tally,
    /// Chosen by the same demand, without placements.
    pub unthemed: Tally,
}

/// Both lines at one weight over the ranker-only page, percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Frontier {
    pub discovery: f32,
    pub fused: OverRanker,
    pub unthemed: OverRanker,
}

/// Lifts over the ranker-only page, percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverRanker {
    pub adds: f64,
    pub new_adds: f64,
}

/// The pages of each weight in `discovery`, evaluated on `visits`; all other settings stay.
pub fn frontier(
    fusion: Fusion<'_>,
    settings: &fuse::Settings,
    pages: &[(&SegmentContext, Option<&JudgedPage>)],
    (discovery, visits): (&[f32], &Visits),
) -> Vec<FrontierPoint> {
    let point = |discovery: &f32| {
        let settings = fuse::Settings { discovery: *discovery, ..settings.clone() };
        let total = |pages: &Pages| evaluate(pages, visits).total;
        let demand = |segment: &SegmentId, product: &Product| {
            settings.demand(fusion.ranker, segment, product).total.into()
        };
        let segments: Vec<SegmentId> = pages.iter().map(|(context, _)| context.segment_id.clone()).collect();
        FrontierPoint {
            discovery: *discovery,
            fused: total(&fused(fusion, &settings, pages).pages),
            unthemed: total(&chosen(fusion.ground, &segments, &demand)),
        }
    };
    discovery.iter().map(point).collect()
}

/// The points of several origins as one line over the pooled ranker-only page; empty where that was not replayed.
pub(super) fn pooled(origins: &[&[FrontierPoint]], panel: &Panel) -> Vec<Frontier> {
    let ranker = panel.total(Arm::Ranker);
    let Some((first, others)) = origins.split_first().filter(|_| ranker.adds > 0.0) else {
        return Vec::new();
    };
    let mut sums = first.to_vec();
    for origin in others {
        for (sum, point) in sums.iter_mut().zip(origin.iter()) {
            sum.fused.merge(&point.fused);
            sum.unthemed.merge(&point.unthemed);
        }
    }
    let percent = |one: f64, other: f64| if other > 0.0 { (one / other - 1.0) * 100.0 } else { 0.0 };
    let over = |tally: &Tally| OverRanker {
        adds: percent(tally.adds_per_view(), ranker.adds_per_view()),
        new_adds: percent(tally.new_adds_per_view(), ranker.new_adds_per_view()),
    };
    let line = sums.iter().map(|point| Frontier {
        discovery: point.discovery,
        fused: over(&point.fused),
        unthemed: over(&point.unthemed),
    });
    line.collect()
}
