//! A learned ranker's scores.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::{Product, ProductId, SegmentId};

/// The probability that a visit of the segment buys the product, for the segments it was asked for and every product of a shop.
///
/// A segment without a visit has the population's: the mean over segments, weighted by their visits. A product outside the
/// catalogue has 0.
#[derive(Debug, Clone)]
pub struct LearnedRanker {
    pub(super) places: HashMap<ProductId, u32>,
    /// In the catalogue's order.
    pub(super) segments: BTreeMap<SegmentId, Arc<[f32]>>,
}

impl LearnedRanker {
    /// The calibrated probability, 0..=1; `None` of a segment that was not scored.
    pub fn purchases(&self, segment: &SegmentId, product: &Product) -> Option<f32> {
        let scores = self.segments.get(segment)?;
        let place = self.places.get(&product.product_id);
        Some(place.map_or(0.0, |place| scores[*place as usize]))
    }
}

/// Mean over segments, weighted by their visits. Summed in the segments' order.
pub(super) fn population(segments: &[(f64, &Vec<f32>)], products: usize) -> Vec<f32> {
    let total: f64 = segments.iter().map(|(visits, _)| visits).sum();
    let mut sums = vec![0.0; products];
    for (visits, probabilities) in segments {
        for (sum, probability) in sums.iter_mut().zip(*probabilities) {
            *sum += visits / total * f64::from(*probability);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
