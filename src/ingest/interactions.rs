//! `interactions.parquet`, streamed row by row, and `assignments.parquet`.

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDate;

use super::cells::{Cells, Range, Unique};
use super::table::Table;
use super::{IngestError, TableFile, contract};
use crate::domain::ids::MAX_ID_CHARS;
use crate::domain::{HouseholdId, IdError, ProductId, SegmentId};

/// A row of `interactions.parquet`, borrowed from the decoded batch. Its ids have been checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InteractionRow<'a> {
    pub household_id: &'a str,
    pub segment_id: &'a str,
    pub visit_id: &'a str,
    pub product_id: &'a str,
    pub date: NaiveDate,
    /// Units, ≥ 0.
    pub quantity: f32,
    /// Store currency; negative for a return.
    pub value: f32,
    /// Whether the product had been shown, where known.
    pub impression: Option<bool>,
}

/// Hands every interaction to `visit`, in file order; returns how many there are (none is allowed).
pub fn interactions(file: &TableFile, mut visit: impl FnMut(InteractionRow<'_>)) -> Result<u64, IngestError> {
    let mut ids = CheckedIds::default();
    Table::open(file, contract::interactions_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let row = interaction(rows, at)?;
            ids.check(rows, at, &row)?;
            visit(row);
        }
        Ok(())
    })
}

fn interaction<'a>(rows: &'a Cells<'_>, at: usize) -> Result<InteractionRow<'a>, IngestError> {
    let impression = rows.column("impression");
    Ok(InteractionRow {
        household_id: rows.raw("household_id", at),
        segment_id: rows.raw("segment_id", at),
        visit_id: rows.raw("visit_id", at),
        product_id: rows.raw("product_id", at),
        date: rows.date("date", at)?,
        quantity: rows.number("quantity", at, Range::Amount)?,
        value: rows.number("value", at, Range::Any)?,
        impression: (!impression.is_null(at)).then(|| rows.flag("impression", at)),
    })
}

/// The ids seen so far, so that each distinct one is checked (and copied) once.
#[derive(Default)]
struct CheckedIds {
    households: HashSet<String>,
    segments: HashSet<String>,
    products: HashSet<String>,
    visits: HashSet<String>,
}

impl CheckedIds {
    fn check(&mut self, rows: &Cells<'_>, at: usize, row: &InteractionRow<'_>) -> Result<(), IngestError> {
        let refuse = |column: &str, error: IdError| rows.refuse(column, at, error);
        check_once(&mut self.households, row.household_id, HouseholdId::parse)
            .map_err(|error| refuse("household_id", error))?;
        check_once(&mut self.segments, row.segment_id, SegmentId::parse)
            .map_err(|error| refuse("segment_id", error))?;
        check_once(&mut self.products, row.product_id, ProductId::parse)
            .map_err(|error| refuse("product_id", error))?;
        check_once(&mut self.visits, row.visit_id, check_visit).map_err(|error| refuse("visit_id", error))
    }
}

/// A visit's id has no type of its own: it only groups rows. It is checked as the opaque ids are.
fn check_visit(id: String) -> Result<(), IdError> {
    let kind = "visit_id";
    match id.chars().count() {
        0 => Err(IdError::Empty { kind }),
        chars if chars > MAX_ID_CHARS => Err(IdError::TooLong { kind, chars, max: MAX_ID_CHARS }),
        _ if id.chars().any(char::is_control) => {
            Err(IdError::Control { kind, value: id.escape_debug().to_string() })
        }
        _ => Ok(()),
    }
}

fn check_once<T>(
    seen: &mut HashSet<String>,
    id: &str,
    parse: impl Fn(String) -> Result<T, IdError>,
) -> Result<(), IdError> {
    if !seen.contains(id) {
        parse(id.to_owned())?;
        seen.insert(id.to_owned());
    }
    Ok(())
}

/// Reads which segment each household belongs to.
pub fn assignments(file: &TableFile) -> Result<BTreeMap<HouseholdId, SegmentId>, IngestError> {
    let mut assignments = BTreeMap::new();
    let mut ids = Unique::new("household_id");
    Table::open(file, contract::assignments_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let household: HouseholdId = rows.id("household_id", at)?;
            ids.note(rows, at, household.as_str())?;
            assignments.insert(household, rows.id("segment_id", at)?);
        }
        Ok(())
    })?;
    Ok(assignments)
}
