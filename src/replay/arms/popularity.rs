//! Arm (a): the products most visits of the last 12 weeks held, the same for every segment.

use crate::domain::SegmentId;
use crate::replay::ground::{Ground, best};
use crate::replay::page::ReplayPage;

pub(super) fn page(ground: &Ground<'_>, segment: &SegmentId) -> ReplayPage {
    let items = ground.items();
    let places = ground.shape.placements * ground.shape.products_per_placement;
    let chosen = best(0..items.len(), |at| f64::from(items[at].visits), places);
    let products: Vec<_> = chosen.into_iter().map(|at| &items[at].product.product_id).collect();
    ReplayPage::grid(segment, &products, ground.shape)
}
