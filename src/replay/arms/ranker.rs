//! Arm (c): the products the ranker expects the segment to buy most, in reading order, without placements.
//!
//! It maximises the expected adds of so many products, so what themes cost or bring is measured against it.

use crate::domain::SegmentId;
use crate::replay::ground::{Ground, best};
use crate::replay::page::ReplayPage;

pub(super) fn page(ground: &Ground<'_>, segment: &SegmentId, expected: &[f64]) -> ReplayPage {
    let items = ground.items();
    let places = ground.shape.placements * ground.shape.products_per_placement;
    let chosen = best(0..items.len(), |at| expected[at], places);
    let products: Vec<_> = chosen.into_iter().map(|at| &items[at].product.product_id).collect();
    ReplayPage::grid(segment, &products, ground.shape)
}
