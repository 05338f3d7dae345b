//! The door behind which a ranker stands.

use super::{Product, SegmentId};

/// A pointwise ranker: how likely a segment is to want a product, seen alone.
///
/// The first one counts purchases ([`crate::rank`]); a learned one comes behind the same door.
pub trait Ranker: Send + Sync {
    /// 0..1, higher is likelier; comparable between the products of one segment. A segment that the ranker
    /// has never seen gets the population's score.
    fn score(&self, segment: &SegmentId, product: &Product) -> f32;
}
