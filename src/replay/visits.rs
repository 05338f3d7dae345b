//! The held-out visits, compiled for [`super::evaluate`]: read here, and by nothing that makes pages.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{History, ReplayError, Window};
use crate::domain::{HouseholdId, ProductId, SegmentId};
use crate::ingest::{InteractionRow, TableFile, interactions};

/// What did not become part of a visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Rows on days outside the window.
    pub other_days: u64,
    /// Rows of segments that have no page in this replay.
    pub other_segments: u64,
    /// Rows of products outside the catalogue. Their visits count; no page can show them.
    pub unknown_products: u64,
}

/// A product bought in a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bought {
    /// Place in the catalogue.
    pub product: u32,
    /// Not bought by the household in the 12 weeks before.
    pub new: bool,
}

/// One visit: so many views of its segment's page, and what was bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// Place among the segments.
    pub segment: u32,
    /// Place among the households.
    pub household: u32,
    /// Page views: 1 where the source has no record of them.
    pub views: u32,
    /// Its first purchase; the last is before the next visit's first.
    pub first: u32,
}

/// All visits of a window, in order of segment, household and visit id.
#[derive(Debug, Clone, PartialEq)]
pub struct Visits {
    pub window: Window,
    pub skipped: Skipped,
    segments: Vec<SegmentId>,
    /// With the segment of each.
    households: Vec<(HouseholdId, u32)>,
    visits: Vec<Visit>,
    bought: Vec<Bought>,
    /// Number of products of the catalogue.
    catalog: usize,
    places: HashMap<ProductId, u32>,
}

impl Visits {
    /// Reads the held-out purchases: a table of interactions, of which the window's rows count.
    ///
    /// # Errors
    /// Not one visit of one of `segments` is in the window.
    pub fn read(
        file: &TableFile,
        window: Window,
        history: &History,
        segments: &[SegmentId],
    ) -> Result<Self, ReplayError> {
        let mut builder = VisitsBuilder::new(window, history, segments);
        interactions(file, |row| builder.add(&row))?;
        let visits = builder.finish();
        if visits.is_empty() {
            let file = file.name().into();
            return Err(ReplayError::NoVisits { file, from: window.as_of, until: window.until() });
        }
        Ok(visits)
    }

    pub fn len(&self) -> usize {
        self.visits.len()
    }

    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// Those that the replay has pages of, visited or not, in order of id.
    pub fn segments(&self) -> &[SegmentId] {
        &self.segments
    }

    /// Each household and the place of its segment; those with a visit, in order of segment and id.
    pub fn households(&self) -> &[(HouseholdId, u32)] {
        &self.households
    }

    /// Each visit and what was bought in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Visit, &[Bought])> {
        let ends = self.visits.iter().skip(1).map(|visit| visit.first).chain([self.bought.len() as u32]);
        self.visits
            .iter()
            .zip(ends)
            .map(|(visit, end)| (*visit, &self.bought[visit.first as usize..end as usize]))
    }

    pub(super) fn place(&self, product: &ProductId) -> Option<usize> {
        self.places.get(product).map(|place| *place as usize)
    }

    pub(super) fn catalog(&self) -> usize {
        self.catalog
    }
}

/// (household, visit) → product → bought before; with the segment.
type Open = BTreeMap<(u32, HouseholdId, String), BTreeMap<u32, bool>>;

/// Collects rows, which may come in any order.
pub struct VisitsBuilder<'a> {
    window: Window,
    history: &'a History,
    segments: Vec<SegmentId>,
    open: Open,
    skipped: Skipped,
}

impl<'a> VisitsBuilder<'a> {
    /// `segments` are those with pages.
    pub fn new(window: Window, history: &'a History, segments: &[SegmentId]) -> Self {
        let mut segments = segments.to_vec();
        segments.sort();
        segments.dedup();
        Self { window, history, segments, open: BTreeMap::new(), skipped: Skipped::default() }
    }

    /// Adds one row. A product bought twice in a visit is one cart add.
    pub fn add(&mut self, row: &InteractionRow<'_>) {
        if !self.window.contains(row.date) {
            self.skipped.other_days += 1;
            return;
        }
        let segment = self.segments.binary_search_by(|segment| segment.as_str().cmp(row.segment_id));
        let (Ok(segment), Ok(household)) = (segment, HouseholdId::parse(row.household_id)) else {
            self.skipped.other_segments += 1;
            return;
        };
        let visit = self.open.entry((segment as u32, household, row.visit_id.to_owned())).or_default();
        match self.history.place(row.product_id) {
            Some(place) => {
                visit.entry(place).or_insert_with(|| !self.history.had(row.household_id, place));
            }
            None => self.skipped.unknown_products += 1,
        }
    }

    pub fn finish(self) -> Visits {
        let mut households: Vec<(HouseholdId, u32)> = Vec::new();
        let mut visits = Vec::with_capacity(self.open.len());
        let mut bought = Vec::new();
        for ((segment, household, _), products) in self.open {
            if households.last().is_none_or(|last| (last.1, &last.0) != (segment, &household)) {
                households.push((household, segment));
            }
            let household = households.len() as u32 - 1;
            visits.push(Visit { segment, household, views: 1, first: bought.len() as u32 });
            bought.extend(products.into_iter().map(|(product, new)| Bought { product, new }));
        }
        Visits {
            window: self.window,
            skipped: self.skipped,
            segments: self.segments,
            households,
            visits,
            bought,
            catalog: self.history.products(),
            places: self.history.places(),
        }
    }
}
