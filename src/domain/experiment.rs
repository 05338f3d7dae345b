//! What an experiment's events say: which unit saw which arm, and what it did.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{ArmId, UnitId};

/// What a unit did in a while; sums of its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    pub page_views: f64,
    pub cart_adds: f64,
    /// Store currency, less refunds.
    pub revenue: f64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.page_views += other.page_views;
        self.cart_adds += other.cart_adds;
        self.revenue += other.revenue;
    }
}

/// A unit of randomisation (a household) and what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitTotals {
    pub unit: UnitId,
    /// Place of its arm in [`Events::arms`].
    pub arm: usize,
    pub totals: Totals,
    /// Before the experiment, where known.
    pub before: Option<Totals>,
}

/// One day of an experiment: place of a unit in [`Events::units`], and what it did on that day.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    pub date: NaiveDate,
    pub rows: Vec<(usize, Totals)>,
}

/// An experiment's events, every unit in exactly one arm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Events {
    /// In order of id.
    pub arms: Vec<ArmId>,
    /// In order of id.
    pub units: Vec<UnitTotals>,
    /// In order of date; empty where the events have no dates.
    pub days: Vec<Day>,
}
