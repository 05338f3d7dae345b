//! Arm (b), the strong baseline: static themes, which are the shop's aisles; all of an aisle's eligible products are
//! retrieved for it, the ranker orders them for the segment, and the placements with the most expected adds are shown, most
//! first.
//!
//! An aisle's products are on sale under its name and nothing else is, so its retrieval is exact. No limit a product type and
//! no other wish than expected adds weakens it.

use crate::domain::SegmentId;
use crate::replay::ground::{Ground, best};
use crate::replay::page::{ReplayPage, ReplayPlacement};

pub(super) fn page(ground: &Ground<'_>, segment: &SegmentId, expected: &[f64]) -> ReplayPage {
    let shape = ground.shape;
    let rows = ground.aisles().filter(|(_, places)| places.len() >= shape.min_products);
    let rows: Vec<(&str, Vec<usize>)> = rows
        .map(|(aisle, places)| {
            (aisle, best(places.iter().copied(), |at| expected[at], shape.products_per_placement))
        })
        .collect();
    let adds = |row: usize| rows[row].1.iter().map(|at| expected[*at]).sum();
    // Aisles are in order of name, which decides ties.
    let chosen = best(0..rows.len(), adds, shape.placements);
    let items = ground.items();
    let placement = |row: usize| ReplayPlacement {
        title: rows[row].0.to_owned(),
        cascade: false,
        products: rows[row].1.iter().map(|at| items[*at].product.product_id.clone()).collect(),
    };
    ReplayPage { segment_id: segment.clone(), placements: chosen.into_iter().map(placement).collect() }
}
