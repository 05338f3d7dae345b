//! The purchases after `as_of`, for a replay's evaluator: the one place of this room that looks ahead.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::NaiveDate;
use serde::Serialize;

use super::journey::Journey;
use super::{DatasetError, PrepareOptions, currency, id};
use crate::domain::{HouseholdId, Interaction, ProductId, SegmentId};
use crate::ingest::{self, Location, contract};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldOutReport {
    pub from: NaiveDate,
    /// First day that is not held out.
    pub until: NaiveDate,
    pub purchases: usize,
}

/// Writes to `file`, in the contract of interactions, what the households that [`super::prepare`] gave a segment bought in
/// the `days` from `as_of` on: every product of the source, of the catalogue or not.
pub async fn held_out(
    options: &PrepareOptions,
    days: u64,
    file: &Path,
) -> Result<HeldOutReport, DatasetError> {
    let assigned = Location::Local(options.out.join(contract::ASSIGNMENTS));
    let assignments = ingest::assignments(&ingest::fetch(&assigned).await?)?;
    let mut segments: Vec<SegmentId> = assignments.values().cloned().collect();
    segments.sort();
    segments.dedup();
    let (journey, until) = Journey::ahead(options, days).await?;
    journey.keep("members", members(&assignments, &segments)?)?;
    let purchases = purchases(&journey, &segments).await?;
    contract::write_interactions(file, &purchases)?;
    Ok(HeldOutReport { from: options.as_of, until, purchases: purchases.len() })
}

fn members(
    assignments: &BTreeMap<HouseholdId, SegmentId>,
    segments: &[SegmentId],
) -> Result<RecordBatch, DatasetError> {
    let mut households = Vec::with_capacity(assignments.len());
    let mut places = Vec::with_capacity(assignments.len());
    for (household, segment) in assignments {
        let number: i64 = household.as_str().parse().map_err(|_| DatasetError::Answer {
            query: "held_out",
            problem: format!("household_id {household} is not a number of the source"),
        })?;
        households.push(number);
        places.push(segments.binary_search(segment).unwrap_or_default() as i64);
    }
    let columns: [(&str, ArrayRef); 2] = [
        ("household_id", Arc::new(Int64Array::from(households))),
        ("segment", Arc::new(Int64Array::from(places))),
    ];
    Ok(RecordBatch::try_from_iter(columns).expect("two columns of one length"))
}

async fn purchases(journey: &Journey, segments: &[SegmentId]) -> Result<Vec<Interaction>, DatasetError> {
    let lines = journey.ask("held_out", include_str!("sql/held_out.sql")).await?;
    let [household, segment, basket, product, quantity, cents] =
        ["household_id", "segment", "basket_id", "product_id", "quantity", "cents"]
            .map(|name| lines.integers(name));
    let (household, segment, basket, product) = (household?, segment?, basket?, product?);
    let (quantity, cents, days) = (quantity?, cents?, lines.dates("day")?);
    let purchase = |at: usize| {
        Ok(Interaction {
            household_id: id(household.value(at).to_string(), HouseholdId::parse)?,
            segment_id: segments[segment.value(at) as usize].clone(),
            visit_id: basket.value(at).to_string(),
            product_id: id(product.value(at).to_string(), ProductId::parse)?,
            date: Date32Type::to_naive_date_opt(days.value(at)).unwrap_or_default(),
            quantity: quantity.value(at) as f32,
            value: currency(cents.value(at) as f64),
            impression: None,
        })
    };
    (0..lines.len()).map(purchase).collect()
}
