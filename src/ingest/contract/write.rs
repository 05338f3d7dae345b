//! Deterministic Parquet: fixed writer name and compression, no time stamps.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::super::IngestError;
use super::build;
use crate::domain::{ArmId, HouseholdId, Interaction, Keyword, Product, SegmentContext, SegmentId, UnitId};

/// The bytes of a Parquet file holding `batch`.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by("endcap".into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.into_inner()
}

pub fn write_segments(path: &Path, rows: &[SegmentContext]) -> Result<(), IngestError> {
    write(path, &build::segments(rows))
}

pub fn write_products(path: &Path, rows: &[Product]) -> Result<(), IngestError> {
    write(path, &build::products(rows))
}

pub fn write_keywords(path: &Path, rows: &[Keyword]) -> Result<(), IngestError> {
    write(path, &build::keywords(rows))
}

pub fn write_interactions(path: &Path, rows: &[Interaction]) -> Result<(), IngestError> {
    write(path, &build::interactions(rows))
}

pub fn write_assignments(path: &Path, rows: &BTreeMap<HouseholdId, SegmentId>) -> Result<(), IngestError> {
    write(path, &build::assignments(rows))
}

pub fn write_arms(path: &Path, rows: &BTreeMap<UnitId, ArmId>) -> Result<(), IngestError> {
    write(path, &build::arms(rows))
}

/// Writes beside `path` and renames, so that no reader sees half a file.
fn write(path: &Path, batch: &RecordBatch) -> Result<(), IngestError> {
    let refuse = |source| IngestError::Write { path: path.into(), source };
    let bytes = encode(batch).map_err(|error| refuse(error.into()))?;
    let part = path.with_extension("parquet.part");
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| refuse(error.into()))
}
