//! Everything the past says, behind the ranker's door.

use crate::domain::ranker::Ranker;
use crate::domain::{Catalog, Product, SegmentId};

use super::baskets::Baskets;
use super::history::History;
use super::learned::LearnedRanker;
use super::rates::PurchaseRates;
use super::recent::RecentRates;
use super::shelves::Shelves;
use super::trials::Trials;

/// Purchases by the learned ranker, of the segments that it scored, or the purchase rates; recent and first purchases and
/// affinities by counting.
#[derive(Debug, Clone)]
pub struct Forecast {
    shelves: Shelves,
    rates: PurchaseRates,
    learned: Option<LearnedRanker>,
    recent: RecentRates,
    trials: Trials,
    baskets: Baskets,
}

impl Forecast {
    /// `rates` and `history` are of the same interactions and catalogue.
    pub fn new(catalog: &Catalog, history: &History, rates: PurchaseRates) -> Self {
        Self {
            shelves: Shelves::new(catalog),
            rates,
            learned: None,
            recent: RecentRates::new(history),
            trials: Trials::new(history),
            baskets: Baskets::new(history),
        }
    }

    /// `learned` answers for purchases of the segments that it scored from now on.
    pub fn learn(&mut self, learned: LearnedRanker) {
        self.learned = Some(learned);
    }
}

impl Ranker for Forecast {
    fn purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        let learned = self.learned.as_ref().and_then(|learned| learned.purchases(segment, product));
        learned.unwrap_or_else(|| self.rates.purchases(segment, product))
    }

    fn recent_purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        let place = self.shelves.product(product.product_id.as_str());
        place.map_or(0.0, |place| self.recent.rate(segment, place))
    }

    fn first_purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        let place = self.shelves.product(product.product_id.as_str());
        place.map_or(0.0, |place| self.trials.first_purchases(segment, place))
    }

    fn affinity(&self, with: &Product, product: &Product) -> f32 {
        let type_of = |product: &Product| {
            self.shelves.product(product.product_id.as_str()).map(|place| self.shelves.type_of(place))
        };
        match (type_of(with), type_of(product)) {
            (Some(with), Some(kind)) => self.baskets.affinity(with, kind) as f32,
            _ => 0.0,
        }
    }
}
