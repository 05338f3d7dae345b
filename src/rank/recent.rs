//! What segments bought lately: purchase rates of the last [`RECENT_DAYS`], the momentum that a ranker trained on longer
//! windows averages away.
//!
//! With *V* visits of all segments and *v* of one within these days, *N* and *n* of them holding a product, and *m* =
//! [`PRIOR_VISITS`], a segment's rate is `(n + m · N/V) / (v + m)`: its own count, shrunk to everybody's (Zhai & Lafferty,
//! ACM TOIS 22(2), 2004, as in the room's own doc).

use std::collections::BTreeMap;

use crate::domain::SegmentId;

use super::history::History;
use super::rates::Sparse;

/// Days whose purchases are looked at.
pub(super) const RECENT_DAYS: u32 = 28;
/// Visits at everybody's rate that stand beside a segment's own, *m*: between 50, which found more adds in all on the Complete
/// Journey's origin 2017-10-02, and 500, which found more first purchases.
const PRIOR_VISITS: f64 = 100.0;

/// Rates of every segment and product.
#[derive(Debug, Clone)]
pub(super) struct RecentRates {
    /// By the product's place.
    population: Vec<f64>,
    segments: BTreeMap<String, (u32, Sparse)>,
}

impl RecentRates {
    pub(super) fn new(history: &History) -> Self {
        let mut visits = vec![0u32; history.segments.len()];
        for visit in history.visits.iter().filter(|visit| visit.day <= RECENT_DAYS) {
            visits[visit.segment as usize] += 1;
        }
        let mut held: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); history.segments.len()];
        let mut population = vec![0.0; history.shelves.product_type.len()];
        for line in &history.bought {
            let visit = &history.visits[line.visit as usize];
            if visit.day <= RECENT_DAYS {
                *held[visit.segment as usize].entry(line.product).or_insert(0) += 1;
                population[line.product as usize] += 1.0;
            }
        }
        let all: f64 = visits.iter().copied().map(f64::from).sum();
        population.iter_mut().for_each(|count| *count /= all.max(1.0));
        let counts = visits.into_iter().zip(held);
        let counts = counts.map(|(visits, held)| (visits, Sparse::new(held.into_iter().collect())));
        Self { population, segments: history.segments.iter().cloned().zip(counts).collect() }
    }

    /// Purchases a visit, 0..=1, of the product at this place of the catalogue.
    pub(super) fn rate(&self, segment: &SegmentId, place: u32) -> f32 {
        let population = self.population[place as usize];
        let rate = self.segments.get(segment.as_str()).map_or(population, |(visits, held)| {
            (held.get(place) + PRIOR_VISITS * population) / (f64::from(*visits) + PRIOR_VISITS)
        });
        rate as f32
    }
}
