//! The pointwise ranker: how often a segment buys a product, smoothed so that thin segments lean on the
//! population.
//!
//! One level is a Beta prior whose mean is what the level above expects and whose weight is
//! [`Settings::prior_visits`] (*m*) imagined visits; it is the Dirichlet smoothing of Zhai & Lafferty, "A
//! study of smoothing methods for language models", ACM TOIS 22(2), 2004, with a visit in the place of a
//! word, stacked over the shop's hierarchy as in MacKay & Peto, "A hierarchical Dirichlet language model",
//! Natural Language Engineering 1(3), 1995. With *V* visits of the population, *v* of the segment, *N* and
//! *n* of those holding the item:
//!
//! ```text
//! population   π(aisle)   = (N + k / aisles of the shop)            / (V + k)
//!              π(type)    = (N + k · π(aisle) / types of the aisle) / (V + k)
//!              π(product) = (N + k · π(type) / products of the type) / (V + k)
//! segment      r(aisle)   = (n + m · π(aisle))                       / (v + m)
//!              r(type)    = (n + m · π(type) · r(aisle)/π(aisle))    / (v + m)
//!              r(product) = (n + m · π(product) · r(type)/π(type))   / (v + m)
//! score                   = r(product) / (r(product) + h)
//! ```
//!
//! So a product that the segment has never bought stands by its population rate times the segment's taste for
//! its type and aisle. The last line only rescales: it is monotone, 0 for never, 0.5 at the rate *h*
//! ([`Settings::half_rate`]), and approaches 1.
//!
//! A segment without a visit has `r = π` throughout: the population's score.

mod builder;
mod rates;
mod shelves;

use serde::{Deserialize, Serialize};

pub use builder::{Purchase, PurchaseRatesBuilder};
pub use rates::PurchaseRates;

/// How purchase rates are smoothed and scaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Weight of the prior in a segment's rate, *m*: visits, > 0. A segment with as many of its own is
    /// believed half. The default is the best of those tried (20 to 2,000, and no segments at all) by the
    /// likelihood of the next 28 days, given 84, over 96 segments of the Complete Journey. It is large
    /// because visits of one household repeat.
    pub prior_visits: f64,
    /// Weight of the prior in the population's rates, *k*: visits, > 0. Keeps products that nobody bought
    /// above 0.
    pub population_prior_visits: f64,
    /// The purchase rate that scores 0.5, *h*: purchases a visit, in (0, 1].
    pub half_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prior_visits: 2000.0, population_prior_visits: 20.0, half_rate: 0.005 }
    }
}

impl Settings {
    /// Checks every value; the message names the key.
    pub fn validate(&self) -> Result<(), String> {
        for (key, value) in
            [("prior_visits", self.prior_visits), ("population_prior_visits", self.population_prior_visits)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("{key} is {value}; it must be a finite number above 0"));
            }
        }
        if !(self.half_rate > 0.0 && self.half_rate <= 1.0) {
            return Err(format!("half_rate is {}; it must be above 0 and at most 1", self.half_rate));
        }
        Ok(())
    }
}
