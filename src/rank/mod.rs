//! The pointwise rankers: smoothed purchase rates, and gradient-boosted trees over them.
//!
//! # Purchase rates
//! How often a segment buys a product, smoothed so that thin segments lean on the population.
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
//! ```
//!
//! So a product that the segment has never bought stands by its population rate times the segment's taste for
//! its type and aisle.
//!
//! A segment without a visit has `r = π` throughout: the population's score.

//! # The learned ranker
//! [`train`] grows gradient-boosted [`trees`](crate::trees) on [`Feature`]s as of earlier days and what was bought in the days
//! after; a [`LearnedRanker`] holds its scores behind the same door.

mod artifact;
mod baskets;
mod builder;
mod calibration;
mod card;
mod counts;
mod error;
mod examples;
mod features;
mod forecast;
mod history;
mod interner;
mod learned;
mod rates;
mod recent;
mod schema;
mod scoring;
mod settings;
mod shelves;
mod training;
mod trials;
mod vectors;

pub use artifact::{Description, RankerModel, Validation};
pub use builder::{Purchase, PurchaseRatesBuilder};
pub use calibration::Calibration;
pub use error::RankError;
pub use features::Shop;
pub use forecast::Forecast;
pub use history::{History, HistoryBuilder, Line};
pub use learned::LearnedRanker;
pub use rates::PurchaseRates;
pub use schema::{FEATURES, Feature, schema, schema_digest};
pub use settings::{Recipe, Settings};
pub use training::{adopt, train};
pub use vectors::{BoxError, TextVectors, TypeVectors};
