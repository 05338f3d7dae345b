//! What was bought before `as_of`, as far as a replay asks: how popular each product was, and what each household had.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};

use super::ReplayError;
use crate::domain::{Catalog, ProductId};
use crate::ingest::{InteractionRow, TableFile, interactions};

/// Days before `as_of` in which a product bought is not new to its household: 12 weeks.
pub const HISTORY_DAYS: u64 = 84;

/// Purchases of the 12 weeks before `as_of`.
#[derive(Debug, Clone)]
pub struct History {
    as_of: NaiveDate,
    from: NaiveDate,
    /// Product → its place in the catalogue.
    places: HashMap<ProductId, u32>,
    /// Visits that held each product, by its place in the catalogue.
    visits_with: Vec<u32>,
    households: HashMap<String, u32>,
    bought: HashSet<(u32, u32)>,
    visit_numbers: HashMap<(u32, String), u32>,
    counted: HashSet<(u32, u32)>,
}

impl History {
    pub fn new(catalog: &Catalog, as_of: NaiveDate) -> Self {
        let places = catalog.iter().zip(0..).map(|(product, at)| (product.product_id.clone(), at));
        Self {
            as_of,
            from: as_of.checked_sub_days(Days::new(HISTORY_DAYS)).unwrap_or(NaiveDate::MIN),
            places: places.collect(),
            visits_with: vec![0; catalog.len()],
            households: HashMap::new(),
            bought: HashSet::new(),
            visit_numbers: HashMap::new(),
            counted: HashSet::new(),
        }
    }

    /// Reads the table of interactions that the pages are made from.
    ///
    /// # Errors
    /// A row on or after `as_of`: with it, the ranker would have seen what it is judged by.
    pub fn read(catalog: &Catalog, as_of: NaiveDate, file: &TableFile) -> Result<Self, ReplayError> {
        let mut history = Self::new(catalog, as_of);
        let mut future = None;
        interactions(file, |row| {
            if row.date < as_of {
                history.add(&row);
            } else if future.is_none() {
                future = Some((row.household_id.to_owned(), row.date));
            }
        })?;
        match future {
            Some((household, date)) => {
                Err(ReplayError::Future { file: file.name().into(), household, date, as_of })
            }
            None => Ok(history),
        }
    }

    /// Adds one row; rows outside the 12 weeks and the catalogue change nothing.
    pub fn add(&mut self, row: &InteractionRow<'_>) {
        if row.date < self.from || row.date >= self.as_of {
            return;
        }
        let Some(product) = self.place(row.product_id) else { return };
        let next = self.households.len() as u32;
        let household = *self.households.entry(row.household_id.to_owned()).or_insert(next);
        self.bought.insert((household, product));
        let next = self.visit_numbers.len() as u32;
        let visit = *self.visit_numbers.entry((household, row.visit_id.to_owned())).or_insert(next);
        if self.counted.insert((visit, product)) {
            self.visits_with[product as usize] += 1;
        }
    }

    /// The product's place in the catalogue.
    pub fn place(&self, product: &str) -> Option<u32> {
        self.places.get(product).copied()
    }

    /// Number of products of the catalogue.
    pub(super) fn products(&self) -> usize {
        self.visits_with.len()
    }

    /// Every product's place in the catalogue.
    pub(super) fn places(&self) -> HashMap<ProductId, u32> {
        self.places.clone()
    }

    /// Visits that held the product at this place of the catalogue.
    pub fn visits_with(&self, place: u32) -> u32 {
        self.visits_with.get(place as usize).copied().unwrap_or(0)
    }

    /// Whether the household had bought the product.
    pub fn had(&self, household: &str, place: u32) -> bool {
        self.households.get(household).is_some_and(|household| self.bought.contains(&(*household, place)))
    }
}
