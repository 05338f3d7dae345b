//! A learned ranker's scores, behind the ranker's door.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ranker::Ranker;
use crate::domain::{Product, ProductId, SegmentId};

/// The probability that a visit of the segment buys the product, for every segment and product of a shop.
///
/// A segment without a visit gets the population's: the mean over segments, weighted by their visits. A product outside the
/// catalogue has 0.
#[derive(Debug, Clone)]
pub struct LearnedRanker {
    pub(super) places: HashMap<ProductId, u32>,
    /// In the catalogue's order.
    pub(super) segments: BTreeMap<String, Vec<f32>>,
    pub(super) population: Vec<f32>,
}

impl Ranker for LearnedRanker {
    /// The calibrated probability.
    fn purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        let Some(place) = self.places.get(&product.product_id) else { return 0.0 };
        self.segments.get(segment.as_str()).unwrap_or(&self.population)[*place as usize]
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
