//! Visits and purchases before a date, numbered densely and independent of the order of the rows.

use std::collections::HashMap;

use chrono::NaiveDate;

use crate::domain::Catalog;

use super::interner::Interner;
use super::shelves::Shelves;

/// One row of `interactions.parquet`, as far as training reads it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub segment: &'a str,
    pub household: &'a str,
    /// Told apart by household.
    pub visit: &'a str,
    pub product: &'a str,
    pub date: NaiveDate,
    pub quantity: f32,
    /// Store currency, of the whole line.
    pub value: f32,
}

/// A visit of a household.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub segment: u32,
    pub household: u32,
    /// Days before `as_of`, >= 1.
    pub day: u32,
}

/// A product in a visit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bought {
    pub visit: u32,
    /// Place in the catalogue.
    pub product: u32,
    pub quantity: f64,
    pub value: f64,
}

/// Everything that was bought before `as_of`.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) as_of: NaiveDate,
    /// Sorted.
    pub(super) segments: Vec<String>,
    /// Sorted by segment, household and visit id.
    pub(super) visits: Vec<Visit>,
    /// Sorted by visit and product, each pair once.
    pub(super) bought: Vec<Bought>,
    pub(super) shelves: Shelves,
    /// Days from the oldest visit to `as_of`.
    pub(super) span: u32,
}

impl History {
    /// Nothing of this day or later is in it.
    pub fn as_of(&self) -> NaiveDate {
        self.as_of
    }

    /// Days from the oldest visit to `as_of`.
    pub fn span_days(&self) -> u32 {
        self.span
    }

    /// Segments with a visit, sorted.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }
}

struct RawLine {
    segment: u32,
    household: u32,
    visit: u32,
    /// `u32::MAX` outside the catalogue: the line makes its visit count and nothing else.
    product: u32,
    day: u32,
    quantity: f32,
    value: f32,
}

const UNKNOWN: u32 = u32::MAX;

/// Collects the lines of a [`History`]; they may come in any order.
pub struct HistoryBuilder {
    as_of: NaiveDate,
    shelves: Shelves,
    segments: Interner,
    households: Interner,
    visits: Interner,
    lines: Vec<RawLine>,
}

impl HistoryBuilder {
    pub fn new(catalog: &Catalog, as_of: NaiveDate) -> Self {
        Self {
            as_of,
            shelves: Shelves::new(catalog),
            segments: Interner::default(),
            households: Interner::default(),
            visits: Interner::default(),
            lines: Vec::new(),
        }
    }

    /// Adds one line; one of `as_of` or later is dropped.
    pub fn add(&mut self, line: Line<'_>) {
        let days = (self.as_of - line.date).num_days();
        if days < 1 {
            return;
        }
        self.lines.push(RawLine {
            segment: self.segments.id(line.segment),
            household: self.households.id(line.household),
            visit: self.visits.id(line.visit),
            product: self.shelves.product(line.product).unwrap_or(UNKNOWN),
            day: u32::try_from(days).unwrap_or(u32::MAX),
            quantity: line.quantity,
            value: line.value,
        });
    }

    pub fn finish(self) -> History {
        let mut lines = self.lines;
        let (segments, segment_places) = self.segments.into_sorted();
        let (_, household_places) = self.households.into_sorted();
        let (_, visit_places) = self.visits.into_sorted();
        for line in &mut lines {
            line.segment = segment_places[line.segment as usize];
            line.household = household_places[line.household as usize];
            line.visit = visit_places[line.visit as usize];
        }
        lines.sort_unstable_by(|a, b| {
            let key = |line: &RawLine| (line.segment, line.household, line.visit, line.product, line.day);
            let amounts = || a.quantity.total_cmp(&b.quantity).then(a.value.total_cmp(&b.value));
            key(a).cmp(&key(b)).then_with(amounts)
        });
        let mut visits = Vec::new();
        let mut bought = Vec::new();
        for lines in
            lines.chunk_by(|a, b| (a.segment, a.household, a.visit) == (b.segment, b.household, b.visit))
        {
            let day = lines.iter().map(|line| line.day).max().unwrap_or(1);
            bought.extend(purchases(visits.len() as u32, lines));
            visits.push(Visit { segment: lines[0].segment, household: lines[0].household, day });
        }
        History {
            as_of: self.as_of,
            span: visits.iter().map(|visit| visit.day).max().unwrap_or(0),
            segments,
            visits,
            bought,
            shelves: self.shelves,
        }
    }
}

/// The products of one visit's lines, amounts added up.
fn purchases(visit: u32, lines: &[RawLine]) -> impl Iterator<Item = Bought> {
    let known = lines.chunk_by(|a, b| a.product == b.product).filter(|lines| lines[0].product != UNKNOWN);
    known.map(move |lines| Bought {
        visit,
        product: lines[0].product,
        quantity: lines.iter().map(|line| f64::from(line.quantity)).sum(),
        value: lines.iter().map(|line| f64::from(line.value)).sum(),
    })
}

/// Visits of the label window and what they held, by segment and product.
pub(super) struct Labels {
    /// Visits a segment.
    pub visits: Vec<u32>,
    /// (segment, product) → visits that held it.
    pub bought: HashMap<(u32, u32), u32>,
}

impl History {
    /// Counts the visits of the `days` that begin `origin` days before `as_of`.
    pub(super) fn labels(&self, origin: u32, days: u32) -> Labels {
        let within = |visit: &Visit| visit.day <= origin && visit.day + days > origin;
        let mut visits = vec![0; self.segments.len()];
        for visit in self.visits.iter().filter(|visit| within(visit)) {
            visits[visit.segment as usize] += 1;
        }
        let mut bought = HashMap::new();
        for line in &self.bought {
            let visit = &self.visits[line.visit as usize];
            if within(visit) {
                *bought.entry((visit.segment, line.product)).or_insert(0) += 1;
            }
        }
        Labels { visits, bought }
    }
}
