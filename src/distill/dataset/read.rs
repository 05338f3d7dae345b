//! Parquet as rows; whatever is wrong is named by file, column and row (counted from 1).

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{Date32Type, SchemaRef, UInt8Type};
use bytes::Bytes;
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::{KEY_SOURCES, KEY_TEMPLATE, KEY_VERSION, Origin, VERSION, keywords_schema, themes_schema};
use crate::distill::DistillError;
use crate::domain::stage::PlacementDesign;
use crate::domain::training::{GradedCandidate, KeywordExample, Split, ThemeExample};
use crate::domain::{Digest, SegmentContext};

/// Reads `themes.parquet`, rows in file order.
pub fn read_themes(path: &Path) -> Result<Vec<ThemeExample>, DistillError> {
    read(path, &themes_schema(), theme)
}

/// Reads `keywords.parquet`, rows in file order.
pub fn read_keywords(path: &Path) -> Result<Vec<KeywordExample>, DistillError> {
    read(path, &keywords_schema(), keyword)
}

/// What a file of the set says of itself.
pub fn read_origin(path: &Path) -> Result<Origin, DistillError> {
    origin(&path.display().to_string(), open(path)?.metadata())
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, DistillError> {
    let bytes = std::fs::read(path).map_err(|source| DistillError::Read { path: path.into(), source })?;
    ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
        .map_err(|source| DistillError::Parquet { file: path.display().to_string(), source })
}

fn origin(file: &str, metadata: &ParquetMetaData) -> Result<Origin, DistillError> {
    let value = |key: &str| {
        let pairs = metadata.file_metadata().key_value_metadata();
        let pair = pairs.into_iter().flatten().find(|pair| pair.key == key);
        pair.and_then(|pair| pair.value.clone()).unwrap_or_default()
    };
    let found = value(KEY_VERSION);
    if found != VERSION {
        return Err(DistillError::Version { file: file.into(), found });
    }
    let sources = Digest::parse(&value(KEY_SOURCES)).map_err(|error| DistillError::Column {
        file: file.into(),
        column: KEY_SOURCES.into(),
        problem: error.to_string(),
    })?;
    Ok(Origin { template: value(KEY_TEMPLATE), sources })
}

fn read<T>(
    path: &Path,
    schema: &SchemaRef,
    row: impl Fn(&Cells<'_>, usize) -> Result<T, DistillError>,
) -> Result<Vec<T>, DistillError> {
    let file = path.display().to_string();
    let builder = open(path)?;
    origin(&file, builder.metadata())?;
    check_schema(&file, builder.schema(), schema)?;
    let damaged = |source| DistillError::Parquet { file: file.clone(), source };
    let mut rows = Vec::new();
    for batch in builder.build().map_err(damaged)? {
        let batch: RecordBatch = batch.map_err(|error| damaged(ParquetError::from(error)))?;
        let cells = Cells { file: &file, first: rows.len() + 1, columns: batch.into() };
        for at in 0..cells.columns.len() {
            rows.push(row(&cells, at)?);
        }
    }
    Ok(rows)
}

fn check_schema(file: &str, found: &SchemaRef, expected: &SchemaRef) -> Result<(), DistillError> {
    for field in expected.fields() {
        let problem = match found.column_with_name(field.name()) {
            None => format!("is missing; it must be {}", field.data_type()),
            Some((_, column)) if column.data_type() != field.data_type() => {
                format!("must be {}, but is {}", field.data_type(), column.data_type())
            }
            Some((_, column)) if column.is_nullable() => "must not be nullable".into(),
            Some(_) => continue,
        };
        return Err(DistillError::Column { file: file.into(), column: field.name().clone(), problem });
    }
    Ok(())
}

/// A batch whose columns have the set's types and no nulls.
struct Cells<'a> {
    file: &'a str,
    /// Row number of the first.
    first: usize,
    columns: StructArray,
}

impl Cells<'_> {
    fn column(&self, name: &str) -> &ArrayRef {
        self.columns.column_by_name(name).expect("check_schema found every column")
    }

    fn refuse(&self, column: &str, at: usize, problem: String) -> DistillError {
        DistillError::Cell { file: self.file.into(), column: column.into(), row: self.first + at, problem }
    }

    fn text(&self, column: &str, at: usize) -> String {
        self.column(column).as_string::<i32>().value(at).to_owned()
    }

    fn texts(&self, column: &str, at: usize) -> Vec<String> {
        strings(&self.column(column).as_list::<i32>().value(at))
    }

    fn structs(&self, column: &str, at: usize) -> StructArray {
        self.column(column).as_list::<i32>().value(at).as_struct().clone()
    }

    fn date(&self, column: &str, at: usize) -> Result<NaiveDate, DistillError> {
        let days = self.column(column).as_primitive::<Date32Type>().value(at);
        Date32Type::to_naive_date_opt(days)
            .ok_or_else(|| self.refuse(column, at, format!("{days} days since 1970 is no date")))
    }

    fn split(&self, at: usize) -> Result<Split, DistillError> {
        let text = self.text("split", at);
        Split::parse(&text)
            .ok_or_else(|| self.refuse("split", at, format!("{text:?} is neither train nor validation")))
    }
}

fn strings(items: &ArrayRef) -> Vec<String> {
    items.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn theme(cells: &Cells<'_>, at: usize) -> Result<ThemeExample, DistillError> {
    let context: SegmentContext = serde_json::from_str(&cells.text("context", at))
        .map_err(|error| cells.refuse("context", at, error.to_string()))?;
    let placements = cells.structs("placements", at);
    let [titles, intents] = [0, 1].map(|column| strings(placements.column(column)));
    let concepts = placements.column(2).as_list::<i32>();
    let texts = titles.into_iter().zip(intents).enumerate();
    let placements = texts
        .map(|(i, (title, intent))| PlacementDesign { title, intent, concepts: strings(&concepts.value(i)) })
        .collect();
    Ok(ThemeExample {
        example_id: cells.text("example_id", at),
        as_of: cells.date("as_of", at)?,
        split: cells.split(at)?,
        context,
        persona: cells.text("persona", at),
        placements,
    })
}

fn keyword(cells: &Cells<'_>, at: usize) -> Result<KeywordExample, DistillError> {
    let candidates = cells.structs("candidates", at);
    let grades = candidates.column(1).as_primitive::<UInt8Type>();
    let texts = strings(candidates.column(0)).into_iter().zip(grades.values());
    let candidates: Vec<GradedCandidate> =
        texts.map(|(text, grade)| GradedCandidate { text, grade: *grade }).collect();
    let wrong = candidates.iter().find(|candidate| candidate.grade > 2);
    if let Some(GradedCandidate { text, grade }) = wrong {
        return Err(cells.refuse("candidates", at, format!("{text:?} has grade {grade}, not 0, 1 or 2")));
    }
    let chosen = cells.texts("chosen", at);
    let stray = chosen.iter().find(|text| !candidates.iter().any(|candidate| candidate.text == **text));
    if let Some(text) = stray {
        return Err(cells.refuse("chosen", at, format!("{text:?} is not one of the candidates")));
    }
    Ok(KeywordExample {
        example_id: cells.text("example_id", at),
        as_of: cells.date("as_of", at)?,
        split: cells.split(at)?,
        title: cells.text("title", at),
        concepts: cells.texts("concepts", at),
        candidates,
        chosen,
    })
}
