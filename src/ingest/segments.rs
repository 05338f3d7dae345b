//! `segments.parquet` → [`SegmentContext`].

use chrono::NaiveDate;

use super::cells::{Cells, Range, Unique};
use super::table::Table;
use super::text::MAX_TEXT_CHARS;
use super::{IngestError, TableFile, contract};
use crate::domain::SegmentContext;
use crate::domain::segment::{ActiveMerchandising, Distinctive, Shopping};

/// Reads the segments, sorted by id; none is allowed, and so is one without history (empty lists).
///
/// All rows share one `as_of`. `merchandising` is left empty: it is not part of this contract.
pub fn segments(file: &TableFile) -> Result<Vec<SegmentContext>, IngestError> {
    let mut segments: Vec<SegmentContext> = Vec::new();
    let mut ids = Unique::new("segment_id");
    Table::open(file, contract::segments_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let segment = segment(rows, at)?;
            ids.note(rows, at, segment.segment_id.as_str())?;
            let first = segments.first().map_or(segment.as_of, |first| first.as_of);
            check_as_of(rows, at, first, segment.as_of)?;
            segments.push(segment);
        }
        Ok(())
    })?;
    segments.sort_by(|a, b| a.segment_id.cmp(&b.segment_id));
    Ok(segments)
}

fn check_as_of(rows: &Cells<'_>, at: usize, first: NaiveDate, found: NaiveDate) -> Result<(), IngestError> {
    if first == found {
        return Ok(());
    }
    Err(IngestError::AsOf { file: rows.file().into(), row: rows.row(at), first, found })
}

fn segment(rows: &Cells<'_>, at: usize) -> Result<SegmentContext, IngestError> {
    Ok(SegmentContext {
        segment_id: rows.id("segment_id", at)?,
        as_of: rows.date("as_of", at)?,
        households: rows.count("households", at),
        demographics: rows.pairs("demographics", at)?,
        shopping: Shopping {
            visits_per_week: rows.number("visits_per_week", at, Range::Amount)?,
            basket_value: rows.number("basket_value", at, Range::Amount)?,
            private_label_share: rows.number("private_label_share", at, Range::Share)?,
            on_promotion_share: rows.number("on_promotion_share", at, Range::Share)?,
            evening_share: rows.number("evening_share", at, Range::Share)?,
            weekend_share: rows.number("weekend_share", at, Range::Share)?,
        },
        distinctive: distinctive(&rows.structs("distinctive", at)?)?,
        staples: rows.texts("staples", at)?,
        rising: rows.texts("rising", at)?,
        session: rows.pairs("session", at)?,
        merchandising: ActiveMerchandising::default(),
    })
}

fn distinctive(items: &Cells<'_>) -> Result<Vec<Distinctive>, IngestError> {
    let item = |at| {
        Ok(Distinctive {
            name: items.text("name", at, MAX_TEXT_CHARS)?,
            aisle: items.text("aisle", at, MAX_TEXT_CHARS)?,
            households: items.number("households", at, Range::Share)?,
            lift: items.number("lift", at, Range::Amount)?,
        })
    };
    (0..items.len()).map(item).collect()
}
