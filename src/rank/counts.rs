//! What the features count: per segment and product, per product, per type, per segment.

use std::collections::HashMap;

use super::history::{Bought, History, Visit};

/// Days in which a visit's weight halves.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Days that count as lately.
const LATELY_DAYS: u32 = 14;
/// Visits without the product that stand beside a household's own, per mixture.
const MIX_PRIORS: [f64; 2] = [3.0, 10.0];
/// Days since last purchase over repurchase interval, at most.
const MOST_DUE: f64 = 4.0;

/// A segment's purchases of one product.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    pub product: u32,
    /// Visits that held it.
    pub visits: f64,
    pub recent: f64,
    /// Households that bought it.
    pub buyers: f64,
    /// Share of the segment's visits by households that bought it, and that bought it again.
    pub buyer_visits: f64,
    pub repeater_visits: f64,
    /// Per prior of [`MIX_PRIORS`].
    pub mix: [f64; 2],
    /// Days since.
    pub last: u32,
    /// Summed over repeaters, and their number.
    pub due: f64,
    pub repeaters: f64,
}

/// All segments' purchases of one product.
#[derive(Debug, Clone, Default)]
pub(super) struct Overall {
    pub visits: f64,
    pub lately: f64,
    pub recent: f64,
    pub quantity: f64,
    pub value: f64,
    pub quantity_lately: f64,
    pub value_lately: f64,
    pub last: Option<u32>,
    /// Buying households, those that bought again, and the sum of their mean intervals in days.
    pub buyers: f64,
    pub repeaters: f64,
    pub intervals: f64,
}

/// One segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    pub visits: f64,
    pub recent: f64,
    pub households: f64,
    pub concentration: f64,
    pub quantity: f64,
    pub value: f64,
    /// Sorted by product.
    pub own: Vec<Own>,
}

/// Counts of all visits more than `origin` days before `as_of`; days are counted from the origin.
pub(super) struct Counts {
    pub visits: f64,
    pub lately: f64,
    pub recent: f64,
    pub members: Vec<Members>,
    pub products: Vec<Overall>,
    /// Purchases of each type, and of them those of late.
    pub types: Vec<(f64, f64)>,
}

/// A purchase, ordered by segment, product, household and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    segment: u32,
    product: u32,
    household: u32,
    day: u32,
}

pub(super) fn recency(day: u32) -> f64 {
    (-f64::from(day) / HALF_LIFE_DAYS).exp2()
}

impl Counts {
    pub(super) fn new(history: &History, origin: u32) -> Self {
        let shelves = &history.shelves;
        let mut counts = Self {
            visits: 0.0,
            lately: 0.0,
            recent: 0.0,
            members: vec![Members::default(); history.segments.len()],
            products: vec![Overall::default(); shelves.product_type.len()],
            types: vec![(0.0, 0.0); shelves.type_aisle.len()],
        };
        let mut by_household: HashMap<(u32, u32), f64> = HashMap::new();
        for visit in history.visits.iter().filter(|visit| visit.day > origin) {
            counts.visit(visit, visit.day - origin);
            *by_household.entry((visit.segment, visit.household)).or_insert(0.0) += 1.0;
        }
        counts.households(&by_household);
        let mut entries = Vec::with_capacity(history.bought.len());
        for bought in &history.bought {
            let visit = &history.visits[bought.visit as usize];
            if visit.day > origin {
                let day = visit.day - origin;
                counts.purchase(bought, visit.segment, shelves.type_of(bought.product), day);
                let (segment, product, household) = (visit.segment, bought.product, visit.household);
                entries.push(Entry { segment, product, household, day });
            }
        }
        entries.sort_unstable();
        for entries in entries.chunk_by(|a, b| (a.segment, a.product) == (b.segment, b.product)) {
            counts.pair(entries, &by_household);
        }
        counts
    }

    fn visit(&mut self, visit: &Visit, day: u32) {
        self.visits += 1.0;
        self.recent += recency(day);
        self.lately += f64::from(u8::from(day <= LATELY_DAYS));
        let members = &mut self.members[visit.segment as usize];
        members.visits += 1.0;
        members.recent += recency(day);
    }

    fn households(&mut self, by_household: &HashMap<(u32, u32), f64>) {
        let mut sorted: Vec<(&(u32, u32), &f64)> = by_household.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        for ((segment, _), visits) in sorted {
            let members = &mut self.members[*segment as usize];
            members.households += 1.0;
            members.concentration += (visits / members.visits).powi(2);
        }
    }

    fn purchase(&mut self, bought: &Bought, segment: u32, kind: u32, day: u32) {
        let lately = f64::from(u8::from(day <= LATELY_DAYS));
        let members = &mut self.members[segment as usize];
        members.quantity += bought.quantity;
        members.value += bought.value;
        let product = &mut self.products[bought.product as usize];
        product.visits += 1.0;
        product.lately += lately;
        product.recent += recency(day);
        product.quantity += bought.quantity;
        product.value += bought.value;
        product.quantity_lately += bought.quantity * lately;
        product.value_lately += bought.value * lately;
        product.last = Some(product.last.map_or(day, |last| last.min(day)));
        let kind = &mut self.types[kind as usize];
        kind.0 += 1.0;
        kind.1 += lately;
    }

    /// `entries` are of one segment and product, sorted by household and day.
    fn pair(&mut self, entries: &[Entry], by_household: &HashMap<(u32, u32), f64>) {
        let (segment, product) = (entries[0].segment, entries[0].product);
        let total = self.members[segment as usize].visits;
        let mut own = Own { product, last: u32::MAX, ..Own::default() };
        let overall = &mut self.products[product as usize];
        for entries in entries.chunk_by(|a, b| a.household == b.household) {
            let visits = by_household.get(&(segment, entries[0].household)).copied().unwrap_or(1.0);
            let (share, times) = (visits / total, entries.len() as f64);
            let (last, first) = (entries[0].day, entries[entries.len() - 1].day);
            own.visits += times;
            own.recent += entries.iter().map(|entry| recency(entry.day)).sum::<f64>();
            own.buyers += 1.0;
            own.buyer_visits += share;
            own.last = own.last.min(last);
            for (mix, prior) in own.mix.iter_mut().zip(MIX_PRIORS) {
                *mix += share * times / (visits + prior);
            }
            overall.buyers += 1.0;
            if entries.len() > 1 {
                let interval = f64::from(first - last) / (times - 1.0);
                own.repeater_visits += share;
                own.repeaters += 1.0;
                own.due += (f64::from(last) / interval.max(1.0)).min(MOST_DUE);
                overall.repeaters += 1.0;
                overall.intervals += interval;
            }
        }
        self.members[segment as usize].own.push(own);
    }
}
