//! Counts visits from interaction rows, one at a time.

use std::collections::HashMap;

use crate::domain::Catalog;

use super::Settings;
use super::interner::Interner;
use super::rates::{Counts, PurchaseRates, Sparse};
use super::shelves::Shelves;

/// One row of `interactions.parquet`, as far as the ranker reads it.
#[derive(Debug, Clone, Copy)]
pub struct Purchase<'a> {
    pub segment: &'a str,
    pub household: &'a str,
    /// Told apart by household: two households may use the same number.
    pub visit: &'a str,
    pub product: &'a str,
}

/// Builds [`PurchaseRates`]; rows may come in any order, 12 bytes are kept of each.
pub struct PurchaseRatesBuilder {
    settings: Settings,
    shelves: Shelves,
    segments: Interner,
    households: Interner,
    visit_names: Interner,
    visits: HashMap<(u32, u32), u32>,
    /// (segment, visit, product); a product outside the catalogue is [`UNKNOWN`].
    rows: Vec<(u32, u32, u32)>,
}

/// Sorts last, and still makes its visit count.
const UNKNOWN: u32 = u32::MAX;

impl PurchaseRatesBuilder {
    pub fn new(catalog: &Catalog, settings: Settings) -> Self {
        Self {
            settings,
            shelves: Shelves::new(catalog),
            segments: Interner::default(),
            households: Interner::default(),
            visit_names: Interner::default(),
            visits: HashMap::new(),
            rows: Vec::new(),
        }
    }

    /// Adds one row. A product bought twice in a visit counts once; a product outside the catalogue counts as
    /// a visit.
    pub fn add(&mut self, row: Purchase<'_>) {
        let segment = self.segments.id(row.segment);
        let key = (self.households.id(row.household), self.visit_names.id(row.visit));
        let next = self.visits.len() as u32;
        let visit = *self.visits.entry(key).or_insert(next);
        let product = self.shelves.product(row.product).unwrap_or(UNKNOWN);
        self.rows.push((segment, visit, product));
    }

    /// Counts what was added.
    pub fn finish(mut self) -> PurchaseRates {
        self.rows.sort_unstable();
        self.rows.dedup();
        let mut counter = Counter::new(&self.shelves);
        let mut segments = HashMap::with_capacity(self.segments.len());
        let names = self.segments.into_names();
        for rows in self.rows.chunk_by(|a, b| a.0 == b.0) {
            let counts = counter.count_segment(&self.shelves, rows);
            segments.insert(names[rows[0].0 as usize].clone(), counts);
        }
        PurchaseRates::new(self.settings, self.shelves, counter.population(), segments)
    }
}

/// Visits with each item of one level of the hierarchy: of the segment being counted, and of all so far.
struct Tally {
    all: Vec<u32>,
    segment: Vec<u32>,
    touched: Vec<u32>,
}

impl Tally {
    fn new(items: usize) -> Self {
        Self { all: vec![0; items], segment: vec![0; items], touched: Vec::new() }
    }

    /// Counts one visit that holds `items`, which may repeat.
    fn visit(&mut self, mut items: Vec<u32>) {
        items.sort_unstable();
        items.dedup();
        for item in items {
            let count = &mut self.segment[item as usize];
            if *count == 0 {
                self.touched.push(item);
            }
            *count += 1;
            self.all[item as usize] += 1;
        }
    }

    fn take_segment(&mut self) -> Sparse {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        let counts = touched.iter().map(|item| (*item, std::mem::take(&mut self.segment[*item as usize])));
        Sparse::new(counts.collect())
    }
}

struct Counter {
    visits: u32,
    products: Tally,
    types: Tally,
    aisles: Tally,
}

impl Counter {
    fn new(shelves: &Shelves) -> Self {
        Self {
            visits: 0,
            products: Tally::new(shelves.product_type.len()),
            types: Tally::new(shelves.type_aisle.len()),
            aisles: Tally::new(shelves.aisle_size.len()),
        }
    }

    /// `rows` are all of one segment, sorted, each once.
    fn count_segment(&mut self, shelves: &Shelves, rows: &[(u32, u32, u32)]) -> Counts<Sparse> {
        let mut visits = 0;
        for visit in rows.chunk_by(|a, b| a.1 == b.1) {
            visits += 1;
            let products: Vec<u32> =
                visit.iter().map(|row| row.2).filter(|product| *product != UNKNOWN).collect();
            self.types.visit(products.iter().map(|product| shelves.type_of(*product)).collect());
            self.aisles.visit(products.iter().map(|product| shelves.aisle_of(*product)).collect());
            self.products.visit(products);
        }
        self.visits += visits;
        Counts {
            visits,
            products: self.products.take_segment(),
            types: self.types.take_segment(),
            aisles: self.aisles.take_segment(),
        }
    }

    fn population(self) -> Counts<Vec<u32>> {
        Counts {
            visits: self.visits,
            products: self.products.all,
            types: self.types.all,
            aisles: self.aisles.all,
        }
    }
}
