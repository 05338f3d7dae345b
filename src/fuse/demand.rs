//! What is expected of a product, whatever placement it stands in.

use crate::domain::ranker::Ranker;
use crate::domain::{Product, SegmentId};

use super::Settings;

/// What is expected of a product in one visit of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Purchases, by the ranker and by the last weeks alone; first purchases, an estimate of its own. Each >= 0.
    pub purchases: f32,
    pub recent_purchases: f32,
    pub first_purchases: f32,
    /// `(1 - momentum) · purchases + momentum · recent purchases + discovery · first purchases`.
    pub total: f32,
}

impl Settings {
    /// Weighs what `ranker` knows of a product. An answer that is no amount counts for nothing.
    pub fn demand(&self, ranker: &dyn Ranker, segment: &SegmentId, product: &Product) -> Demand {
        let sound = |amount: f32| if amount.is_finite() { amount.max(0.0) } else { 0.0 };
        let purchases = sound(ranker.purchases(segment, product));
        let recent_purchases = sound(ranker.recent_purchases(segment, product));
        let first_purchases = sound(ranker.first_purchases(segment, product));
        let total = (1.0 - self.momentum) * purchases
            + self.momentum * recent_purchases
            + self.discovery * first_purchases;
        Demand { purchases, recent_purchases, first_purchases, total }
    }
}
