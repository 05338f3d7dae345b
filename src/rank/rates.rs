//! Smoothed purchase rates, behind the ranker's door. The formula stands in the room's own doc.

use std::collections::HashMap;

use crate::domain::ranker::Ranker;
use crate::domain::{Product, SegmentId};

use super::Settings;
use super::shelves::Shelves;

/// Visits, and how many of them held each product, type and aisle.
#[derive(Debug, Clone)]
pub(super) struct Counts<T> {
    pub visits: u32,
    pub products: T,
    pub types: T,
    pub aisles: T,
}

/// Counts of a few items among many, sorted by item.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse(Vec<(u32, u32)>);

impl Sparse {
    /// `counts` must be sorted by item.
    pub(super) fn new(counts: Vec<(u32, u32)>) -> Self {
        Self(counts)
    }

    pub(super) fn get(&self, item: u32) -> f64 {
        self.0.binary_search_by_key(&item, |(at, _)| *at).map_or(0.0, |at| f64::from(self.0[at].1))
    }
}

/// Purchase rates of every segment and of the population.
#[derive(Debug, Clone)]
pub struct PurchaseRates {
    settings: Settings,
    shelves: Shelves,
    visits: u32,
    population: PopulationRates,
    segments: HashMap<String, Counts<Sparse>>,
}

/// Purchases a visit, each > 0.
#[derive(Debug, Clone)]
struct PopulationRates {
    products: Vec<f64>,
    types: Vec<f64>,
    aisles: Vec<f64>,
}

impl PurchaseRates {
    pub(super) fn new(
        settings: Settings,
        shelves: Shelves,
        population: Counts<Vec<u32>>,
        segments: HashMap<String, Counts<Sparse>>,
    ) -> Self {
        let visits = population.visits;
        let population = PopulationRates::new(&population, &shelves, settings.population_prior_visits);
        Self { settings, shelves, visits, population, segments }
    }

    /// Visits the segment's rates rest on; `None` for a segment without any.
    pub fn visits(&self, segment: &SegmentId) -> Option<u32> {
        self.segments.get(segment.as_str()).map(|counts| counts.visits)
    }

    /// Visits of all segments together.
    pub fn population_visits(&self) -> u32 {
        self.visits
    }

    /// Smoothed purchases a visit, 0..=1; 0 for a product outside the catalogue the rates were built with.
    pub fn rate(&self, segment: &SegmentId, product: &Product) -> f64 {
        let Some(product) = self.shelves.product(product.product_id.as_str()) else { return 0.0 };
        match self.segments.get(segment.as_str()) {
            Some(counts) => self.segment_rate(counts, product),
            None => self.population.products[product as usize],
        }
    }

    fn segment_rate(&self, counts: &Counts<Sparse>, product: u32) -> f64 {
        self.levels(Some(counts), product).product
    }

    /// What is known of the segment, for [`PurchaseRates::levels`].
    pub(super) fn counts(&self, segment: &str) -> Option<&Counts<Sparse>> {
        self.segments.get(segment)
    }

    /// The rates of a product and of what it stands under; without `counts` those of the population.
    pub(super) fn levels(&self, counts: Option<&Counts<Sparse>>, product: u32) -> Levels {
        let (kind, aisle) = (self.shelves.type_of(product), self.shelves.aisle_of(product));
        let population = self.population.products[product as usize];
        let type_mean = self.population.types[kind as usize];
        let Some(counts) = counts else {
            return Levels {
                product: population,
                population,
                kind: type_mean,
                type_taste: 1.0,
                aisle_taste: 1.0,
            };
        };
        let prior = self.settings.prior_visits;
        let smooth = |bought: f64, mean: f64| (bought + prior * mean) / (f64::from(counts.visits) + prior);
        let aisle_mean = self.population.aisles[aisle as usize];
        let aisle_taste = smooth(counts.aisles.get(aisle), aisle_mean) / aisle_mean;
        let type_rate = smooth(counts.types.get(kind), type_mean * aisle_taste);
        let type_taste = type_rate / type_mean;
        let product = smooth(counts.products.get(product), population * type_taste).min(1.0);
        Levels { product, population, kind: type_rate, type_taste, aisle_taste }
    }
}

/// Smoothed purchases a visit along the hierarchy, and the segment's taste: its rate over what the level above expects.
pub(super) struct Levels {
    pub product: f64,
    pub population: f64,
    pub kind: f64,
    pub type_taste: f64,
    pub aisle_taste: f64,
}

impl PopulationRates {
    fn new(counts: &Counts<Vec<u32>>, shelves: &Shelves, prior: f64) -> Self {
        let smooth =
            |bought: u32, mean: f64| (f64::from(bought) + prior * mean) / (f64::from(counts.visits) + prior);
        let share = 1.0 / shelves.aisle_size.len().max(1) as f64;
        let aisles: Vec<f64> = counts.aisles.iter().map(|bought| smooth(*bought, share)).collect();
        let type_mean =
            |aisle: &u32| aisles[*aisle as usize] / f64::from(shelves.aisle_size[*aisle as usize]);
        let types: Vec<f64> = std::iter::zip(&counts.types, &shelves.type_aisle)
            .map(|(bought, aisle)| smooth(*bought, type_mean(aisle)))
            .collect();
        let product_mean = |kind: &u32| types[*kind as usize] / f64::from(shelves.type_size[*kind as usize]);
        let products = std::iter::zip(&counts.products, &shelves.product_type)
            .map(|(bought, kind)| smooth(*bought, product_mean(kind)))
            .collect();
        Self { products, types, aisles }
    }
}

impl Ranker for PurchaseRates {
    fn purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        self.rate(segment, product) as f32
    }
}
