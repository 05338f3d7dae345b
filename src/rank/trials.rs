//! First purchases: how often households buy what they have not had in a while.
//!
//! A ranker of purchases features what households buy anyway. What they would try is estimated apart, from the purchases
//! before `as_of`. Of the last [`RECENT_DAYS`] (a third of the history where that is less), *N* is a product's purchases by
//! households that had not bought it in the days before, each household once, and *V* all visits of households that had not:
//!
//! ```text
//! τ(type)    = Σ N / Σ V over the type's products
//! τ(product) = (N + m · τ(type)) / (V + m)
//! first      = τ(product) · share of the segment's visits by households that have not had it in FIRST_AFTER_DAYS
//! ```
//!
//! The purchase-cycle literature calls τ the trial rate, and what remains repeat (Fourt & Woodlock, "Early prediction of market
//! success for new grocery products", Journal of Marketing 25(2), 1960).

use std::collections::{BTreeMap, HashSet};

use crate::domain::SegmentId;

use super::history::{Bought, History, Visit};
use super::recent::RECENT_DAYS;

/// A purchase is a first one where the household had none for so long: 12 weeks.
const FIRST_AFTER_DAYS: u32 = 84;
/// Visits at the type's rate that stand beside a product's own, *m*.
const PRIOR_VISITS: f64 = 300.0;

/// Expected first purchases of every segment and product.
#[derive(Debug, Clone)]
pub(super) struct Trials {
    /// A product's place → τ.
    rates: Vec<f32>,
    /// Segment → its visits, and of these those by households that had a product.
    segments: BTreeMap<String, Holders>,
    /// The same of all visits.
    population: Holders,
}

/// Visits, and how many of them are by households that had a product in the last [`FIRST_AFTER_DAYS`].
#[derive(Debug, Clone, Default)]
struct Holders {
    visits: u32,
    with: BTreeMap<u32, u32>,
}

impl Holders {
    /// Share of the visits that are by households without the product; 1 where there are no visits.
    fn without(&self, place: u32) -> f32 {
        let with = self.with.get(&place).copied().unwrap_or(0);
        1.0 - with as f32 / self.visits.max(1) as f32
    }

    fn add(&mut self, visits: u32, products: impl Iterator<Item = usize>) {
        self.visits += visits;
        for product in products {
            *self.with.entry(product as u32).or_insert(0) += visits;
        }
    }
}

/// What is counted of one shop.
struct Tally {
    recent_days: u32,
    recent_visits: f64,
    /// By product: first purchases, and recent visits of households that had it.
    firsts: Vec<f64>,
    recent_with: Vec<f64>,
    segments: BTreeMap<String, Holders>,
    population: Holders,
}

impl Trials {
    pub(super) fn new(history: &History) -> Self {
        let products = history.shelves.product_type.len();
        let mut tally = Tally {
            recent_days: RECENT_DAYS.min(history.span / 3),
            recent_visits: 0.0,
            firsts: vec![0.0; products],
            recent_with: vec![0.0; products],
            segments: BTreeMap::new(),
            population: Holders::default(),
        };
        let mut bought = history.bought.iter().peekable();
        let mut at = 0;
        let same = |a: &Visit, b: &Visit| (a.segment, a.household) == (b.segment, b.household);
        for visits in history.visits.chunk_by(same) {
            let end = at + visits.len();
            let lines: Vec<&Bought> =
                std::iter::from_fn(|| bought.next_if(|line| (line.visit as usize) < end)).collect();
            let days = |line: &Bought| visits[line.visit as usize - at].day;
            tally.add(&history.segments[visits[0].segment as usize], visits, &lines, days);
            at = end;
        }
        Self {
            rates: tally.rates(&history.shelves.product_type),
            segments: tally.segments,
            population: tally.population,
        }
    }

    /// Of the product at this place of the catalogue, >= 0.
    pub(super) fn first_purchases(&self, segment: &SegmentId, place: u32) -> f32 {
        let holders = self.segments.get(segment.as_str()).unwrap_or(&self.population);
        self.rates[place as usize] * holders.without(place)
    }
}

impl Tally {
    /// All visits of one household.
    fn add(&mut self, segment: &str, visits: &[Visit], lines: &[&Bought], days: impl Fn(&Bought) -> u32) {
        let counted = |visit: &&Visit| visit.day <= FIRST_AFTER_DAYS;
        let number = visits.iter().filter(counted).count() as u32;
        let recent = visits.iter().filter(|visit| visit.day <= self.recent_days).count() as f64;
        let lines = || lines.iter().filter(|line| days(line) <= FIRST_AFTER_DAYS);
        let of = |recent: bool| {
            let within = lines().filter(|line| (days(line) <= self.recent_days) == recent);
            within.map(|line| line.product as usize).collect::<HashSet<usize>>()
        };
        let (before, lately) = (of(false), of(true));
        self.recent_visits += recent;
        for product in &before {
            self.recent_with[*product] += recent;
        }
        for product in lately.difference(&before) {
            self.firsts[*product] += 1.0;
        }
        let had = || before.union(&lately).copied();
        self.segments.entry(segment.to_owned()).or_default().add(number, had());
        self.population.add(number, had());
    }

    fn rates(&self, product_type: &[u32]) -> Vec<f32> {
        let chances = |product: usize| (self.recent_visits - self.recent_with[product]).max(1.0);
        let types = product_type.iter().map(|kind| *kind as usize + 1).max().unwrap_or(0);
        let mut of_type = vec![(0.0, 0.0); types];
        for (product, kind) in product_type.iter().enumerate() {
            let (firsts, visits) = &mut of_type[*kind as usize];
            *firsts += self.firsts[product];
            *visits += chances(product);
        }
        let rate = |(product, kind): (usize, &u32)| {
            let (firsts, visits) = of_type[*kind as usize];
            let prior = PRIOR_VISITS * firsts / visits;
            ((self.firsts[product] + prior) / (chances(product) + PRIOR_VISITS)) as f32
        };
        product_type.iter().enumerate().map(rate).collect()
    }
}
