//! The metrics, each as one value a unit.
//!
//! A ratio of sums R = ΣY / ΣX over units has no variance of its own by unit. The delta method (Deng, Knoblich and Lu,
//! "Applying the delta method in metric analytics", KDD 2018) gives it that of the mean of R + (Y − R X) / X̄, its value
//! linearised a unit. With X = 1 that is Y, so means a unit need no case of their own.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::domain::experiment::Totals;

/// What an experiment is read for; the first decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    CartAddsPerPageView,
    CartAddsPerUnit,
    RevenuePerUnit,
    RevenuePerPageView,
}

/// A metric over some units.
#[derive(Debug, Clone, PartialEq)]
pub struct Linearised {
    /// ΣY / ΣX.
    pub estimate: f64,
    /// A value a unit; their mean is `estimate`, and their variance over the number of units is its variance.
    pub values: Vec<f64>,
}

impl Metric {
    pub const ALL: [Self; 4] =
        [Self::CartAddsPerPageView, Self::CartAddsPerUnit, Self::RevenuePerUnit, Self::RevenuePerPageView];

    /// The metric that decides.
    pub const PRIMARY: Self = Self::CartAddsPerPageView;

    /// Its key in JSON and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::CartAddsPerPageView => "cart-adds-per-page-view",
            Self::CartAddsPerUnit => "cart-adds-per-unit",
            Self::RevenuePerUnit => "revenue-per-unit",
            Self::RevenuePerPageView => "revenue-per-page-view",
        }
    }

    /// Its name in a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Self::CartAddsPerPageView => "cart adds per page view",
            Self::CartAddsPerUnit => "cart adds per unit",
            Self::RevenuePerUnit => "revenue per unit",
            Self::RevenuePerPageView => "revenue per page view",
        }
    }

    /// Y and X of a unit.
    fn parts(self, totals: &Totals) -> (f64, f64) {
        match self {
            Self::CartAddsPerPageView => (totals.cart_adds, totals.page_views),
            Self::CartAddsPerUnit => (totals.cart_adds, 1.0),
            Self::RevenuePerUnit => (totals.revenue, 1.0),
            Self::RevenuePerPageView => (totals.revenue, totals.page_views),
        }
    }

    /// The metric over `units`; `None` where nothing was viewed.
    pub fn linearise(self, units: &[Totals]) -> Option<Linearised> {
        let parts = units.iter().map(|unit| self.parts(unit));
        let (y, x) = parts.clone().fold((0.0, 0.0), |(y, x), part| (y + part.0, x + part.1));
        if x <= 0.0 {
            return None;
        }
        let (estimate, mean_x) = (y / x, x / units.len() as f64);
        let values = parts.map(|(y, x)| estimate + (y - estimate * x) / mean_x).collect();
        Some(Linearised { estimate, values })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|metric| metric.key() == text);
        found.ok_or_else(|| {
            let keys: Vec<&str> = Self::ALL.iter().map(|metric| metric.key()).collect();
            format!("{text:?} is not a metric; expected one of {}", keys.join(", "))
        })
    }
}
