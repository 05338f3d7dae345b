//! A page as a replay sees it: which product stands where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::merchandising::PageShape;
use crate::domain::{ProductId, SegmentId};

/// One row of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPlacement {
    /// Empty in arms without placements.
    pub title: String,
    /// Whether the cascade wrote it.
    pub cascade: bool,
    /// First first.
    pub products: Vec<ProductId>,
}

/// A segment's page in one arm; rows from the top, products from the left, each product once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPage {
    pub segment_id: SegmentId,
    pub placements: Vec<ReplayPlacement>,
}

/// One arm's pages. A segment without one is an empty page.
pub type Pages = BTreeMap<SegmentId, ReplayPage>;

impl ReplayPage {
    pub fn empty(segment: &SegmentId) -> Self {
        Self { segment_id: segment.clone(), placements: Vec::new() }
    }

    /// A page without placements: `products` in reading order, in rows of the shape, as many as fit.
    pub fn grid(segment: &SegmentId, products: &[&ProductId], shape: PageShape) -> Self {
        let rows = products.chunks(shape.products_per_placement).take(shape.placements);
        let placements = rows.map(|row| ReplayPlacement {
            title: String::new(),
            cascade: false,
            products: row.iter().map(|id| (*id).clone()).collect(),
        });
        Self { segment_id: segment.clone(), placements: placements.collect() }
    }

    pub fn products(&self) -> impl Iterator<Item = &ProductId> {
        self.placements.iter().flat_map(|placement| &placement.products)
    }
}
