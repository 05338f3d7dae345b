//! The door behind which a ranker stands.

use super::{Product, SegmentId};

/// What purchases of the past say of a segment and a product.
pub trait Ranker: Send + Sync {
    /// The product seen alone: expected purchases a visit of the segment, 0..=1. A segment that was never seen has the
    /// population's, an unknown product 0.
    fn purchases(&self, segment: &SegmentId, product: &Product) -> f32;

    /// The same by the last weeks alone, 0..=1: what is gaining or losing just now.
    fn recent_purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        self.purchases(segment, product)
    }

    /// Expected purchases a visit that are their household's first in a while, >= 0. It is an estimate of its own and may
    /// exceed [`Ranker::purchases`]. 0 where nothing is known.
    fn first_purchases(&self, _segment: &SegmentId, _product: &Product) -> f32 {
        0.0
    }

    /// How much oftener visits that hold `with`'s type hold `product`'s than visits of the average purchase do: 1 as
    /// often, 2 twice. 0 where nothing is known.
    fn affinity(&self, _with: &Product, _product: &Product) -> f32 {
        0.0
    }
}
