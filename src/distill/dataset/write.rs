//! Rows as Parquet: fixed writer name and compression, no time stamps.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, ListArray, RecordBatch, StringArray, StructArray, UInt8Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Date32Type, Field, Fields, SchemaRef};
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{
    KEY_SOURCES, KEY_TEMPLATE, KEY_VERSION, Origin, VERSION, candidate_fields, keywords_schema,
    placement_fields, themes_schema,
};
use crate::distill::{DistillError, write_whole};
use crate::domain::stage::PlacementDesign;
use crate::domain::training::{GradedCandidate, KeywordExample, ThemeExample};

/// zstd's level: the files are committed and read often, written seldom.
const LEVEL: i32 = 19;

/// Writes `themes.parquet`, rows in the order given.
pub fn write_themes(path: &Path, rows: &[ThemeExample], origin: &Origin) -> Result<(), DistillError> {
    // A context has no map whose keys are not text, so writing it as JSON cannot fail.
    let contexts = rows.iter().map(|row| serde_json::to_string(&row.context).unwrap_or_default());
    let columns = vec![
        texts(rows.iter().map(|row| &row.example_id)),
        dates(rows.iter().map(|row| row.as_of)),
        texts(rows.iter().map(|row| row.split.as_str())),
        texts(contexts),
        texts(rows.iter().map(|row| &row.persona)),
        placements(rows),
    ];
    write(path, themes_schema(), columns, origin)
}

/// Writes `keywords.parquet`, rows in the order given.
pub fn write_keywords(path: &Path, rows: &[KeywordExample], origin: &Origin) -> Result<(), DistillError> {
    let columns = vec![
        texts(rows.iter().map(|row| &row.example_id)),
        dates(rows.iter().map(|row| row.as_of)),
        texts(rows.iter().map(|row| row.split.as_str())),
        texts(rows.iter().map(|row| &row.title)),
        text_lists(rows.iter().map(|row| row.concepts.as_slice())),
        candidates(rows),
        text_lists(rows.iter().map(|row| row.chosen.as_slice())),
    ];
    write(path, keywords_schema(), columns, origin)
}

fn write(
    path: &Path,
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    origin: &Origin,
) -> Result<(), DistillError> {
    let refuse = |source: ParquetError| DistillError::Parquet { file: path.display().to_string(), source };
    let batch = RecordBatch::try_new(schema, columns).map_err(|error| refuse(error.into()))?;
    let bytes = encode(&batch, origin).map_err(refuse)?;
    write_whole(path, &bytes)
}

fn encode(batch: &RecordBatch, origin: &Origin) -> Result<Vec<u8>, ParquetError> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let metadata = vec![
        pair(KEY_VERSION, VERSION.into()),
        pair(KEY_TEMPLATE, origin.template.clone()),
        pair(KEY_SOURCES, origin.sources.to_hex()),
    ];
    let properties = WriterProperties::builder()
        .set_created_by("endcap".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.into_inner()
}

fn texts(values: impl Iterator<Item = impl AsRef<str>>) -> ArrayRef {
    // Collected first: arrow wants to know how many there are, and flattened lists cannot say.
    Arc::new(StringArray::from_iter_values(values.collect::<Vec<_>>()))
}

fn dates(values: impl Iterator<Item = NaiveDate>) -> ArrayRef {
    Arc::new(values.map(|date| Some(Date32Type::from_naive_date(date))).collect::<Date32Array>())
}

fn lists(lengths: impl Iterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let item = Arc::new(Field::new("item", items.data_type().clone(), false));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), items, None))
}

fn text_lists<'a>(cells: impl Iterator<Item = &'a [String]> + Clone) -> ArrayRef {
    lists(cells.clone().map(<[String]>::len), texts(cells.flatten()))
}

fn structs(fields: Fields, columns: Vec<ArrayRef>) -> ArrayRef {
    Arc::new(StructArray::new(fields, columns, None))
}

fn placements(rows: &[ThemeExample]) -> ArrayRef {
    let all: Vec<&PlacementDesign> = rows.iter().flat_map(|row| &row.placements).collect();
    let columns = vec![
        texts(all.iter().map(|placement| &placement.title)),
        texts(all.iter().map(|placement| &placement.intent)),
        text_lists(all.iter().map(|placement| placement.concepts.as_slice())),
    ];
    lists(rows.iter().map(|row| row.placements.len()), structs(placement_fields(), columns))
}

fn candidates(rows: &[KeywordExample]) -> ArrayRef {
    let all: Vec<&GradedCandidate> = rows.iter().flat_map(|row| &row.candidates).collect();
    let grades = UInt8Array::from_iter_values(all.iter().map(|candidate| candidate.grade));
    let columns = vec![texts(all.iter().map(|candidate| &candidate.text)), Arc::new(grades)];
    lists(rows.iter().map(|row| row.candidates.len()), structs(candidate_fields(), columns))
}
