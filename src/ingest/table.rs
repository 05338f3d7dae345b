//! Opening a Parquet file against a contract: columns checked at the door, values brought to the contract's types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::cells::Cells;
use super::{IngestError, TableFile};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// A Parquet file whose schema satisfies a contract.
pub(super) struct Table<'f> {
    file: &'f TableFile,
    contract: SchemaRef,
    reader: ParquetRecordBatchReader,
}

impl<'f> Table<'f> {
    /// Checks that `file` is Parquet and has the contract's columns in acceptable types.
    pub fn open(file: &'f TableFile, contract: SchemaRef) -> Result<Self, IngestError> {
        check_magic(file)?;
        let damaged = |source| IngestError::Damaged { file: file.name().into(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes().clone()).map_err(damaged)?;
        check_schema(file.name(), builder.schema(), &contract)?;
        let wanted = builder.schema().fields().iter().enumerate();
        let roots = wanted.filter(|(_, field)| contract.column_with_name(field.name()).is_some());
        let mask =
            ProjectionMask::roots(builder.parquet_schema(), roots.map(|(at, _)| at).collect::<Vec<_>>());
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(damaged)?;
        Ok(Self { file, contract, reader })
    }

    /// Hands every batch of rows to `visit`, in file order; returns the number of rows.
    pub fn each(
        self,
        mut visit: impl FnMut(&Cells<'_>) -> Result<(), IngestError>,
    ) -> Result<u64, IngestError> {
        let file = self.file.name();
        let mut rows = 0;
        for batch in self.reader {
            let batch = batch.map_err(|error| damaged(file, error))?;
            let columns = conform_batch(file, &batch, &self.contract, rows)?;
            visit(&Cells::rows(file, columns, rows))?;
            rows += batch.num_rows() as u64;
        }
        Ok(rows)
    }
}

fn check_magic(file: &TableFile) -> Result<(), IngestError> {
    let name = || file.name().to_owned();
    match file.bytes() {
        bytes if bytes.is_empty() => Err(IngestError::Empty { file: name() }),
        bytes if !bytes.starts_with(b"PAR1") => Err(IngestError::NotParquet { file: name() }),
        _ => Ok(()),
    }
}

fn damaged(file: &str, error: ArrowError) -> IngestError {
    IngestError::Damaged { file: file.into(), source: ParquetError::ArrowError(error.to_string()) }
}

fn check_schema(file: &str, found: &Schema, contract: &Schema) -> Result<(), IngestError> {
    for field in contract.fields() {
        match found.column_with_name(field.name()) {
            Some((_, column)) if accepts(field.data_type(), column.data_type()) => {}
            Some((_, column)) => {
                return Err(IngestError::ColumnType {
                    file: file.into(),
                    column: field.name().clone(),
                    expected: describe(field.data_type()),
                    found: describe(column.data_type()),
                });
            }
            None if field.is_nullable() => {}
            None => {
                let names: Vec<_> = found.fields().iter().map(|column| column.name().as_str()).collect();
                return Err(IngestError::MissingColumn {
                    file: file.into(),
                    column: field.name().clone(),
                    expected: describe(field.data_type()),
                    found: if names.is_empty() { "none".into() } else { names.join(", ") },
                });
            }
        }
    }
    Ok(())
}

/// Whether a column of type `found` can be brought to the contract's `expected`.
fn accepts(expected: &DataType, found: &DataType) -> bool {
    match (expected, found) {
        (DataType::Utf8, DataType::Dictionary(_, values)) => accepts(expected, values),
        (DataType::Utf8, found) => found.is_string(),
        (DataType::Float32, found) => matches!(found, DataType::Float32 | DataType::Float64),
        (DataType::Float64, found) => {
            found.is_integer() || matches!(found, DataType::Float32 | DataType::Float64)
        }
        (DataType::UInt32, found) => found.is_integer(),
        (DataType::List(item), DataType::List(other) | DataType::LargeList(other)) => {
            accepts(item.data_type(), other.data_type())
        }
        (DataType::Struct(fields), DataType::Struct(others)) => fields.iter().all(|field| {
            others.find(field.name()).is_some_and(|(_, other)| accepts(field.data_type(), other.data_type()))
        }),
        (DataType::Map(entry, _), DataType::Map(other, _)) => match (entry.data_type(), other.data_type()) {
            (DataType::Struct(fields), DataType::Struct(others)) => {
                let types = fields.iter().zip(others);
                types.into_iter().all(|(field, other)| accepts(field.data_type(), other.data_type()))
            }
            _ => false,
        },
        (expected, found) => expected == found,
    }
}

/// A type as the contract's documentation writes it.
fn describe(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "utf8".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::UInt32 => "u32".into(),
        DataType::Boolean => "bool".into(),
        DataType::List(item) | DataType::LargeList(item) => format!("list<{}>", describe(item.data_type())),
        DataType::Struct(fields) => {
            let inner =
                fields.iter().map(|field| format!("{}: {}", field.name(), describe(field.data_type())));
            format!("struct{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(fields) => {
                let inner = fields.iter().map(|field| describe(field.data_type()));
                format!("map<{}>", inner.collect::<Vec<_>>().join(", "))
            }
            other => format!("map<{other}>"),
        },
        other => other.to_string().to_lowercase(),
    }
}

fn conform_batch(
    file: &str,
    batch: &RecordBatch,
    contract: &Schema,
    first_row: u64,
) -> Result<StructArray, IngestError> {
    let row_of = |at: usize| first_row + at as u64 + 1;
    let mut columns = Vec::with_capacity(contract.fields().len());
    for field in contract.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(column) => conform(column, field, &Place { file, column: field.name(), row_of: &row_of })?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
    }
    let fields = contract.fields().clone();
    StructArray::try_new_with_length(fields, columns, None, batch.num_rows())
        .map_err(|error| damaged(file, error))
}

/// Where an array's values stand in the file, for messages.
struct Place<'a> {
    file: &'a str,
    column: &'a str,
    row_of: &'a dyn Fn(usize) -> u64,
}

impl Place<'_> {
    fn null(&self, at: usize) -> IngestError {
        IngestError::Null { file: self.file.into(), column: self.column.into(), row: (self.row_of)(at) }
    }

    fn damaged(&self, error: ArrowError) -> IngestError {
        damaged(self.file, error)
    }
}

/// Brings `array` to the type of the contract's `field`, checking for nulls on the way.
fn conform(array: &ArrayRef, field: &Field, place: &Place<'_>) -> Result<ArrayRef, IngestError> {
    if !field.is_nullable() {
        let nulls = array.logical_nulls();
        if let Some(at) = nulls.and_then(|nulls| (0..nulls.len()).find(|at| nulls.is_null(*at))) {
            return Err(place.null(at));
        }
    }
    match field.data_type() {
        DataType::List(item) => conform_list(array, item, place),
        DataType::Struct(fields) => {
            let found = array.as_struct();
            let columns = fields.iter().map(|field| match found.column_by_name(field.name()) {
                Some(column) => {
                    let column_name = format!("{}.{}", place.column, field.name());
                    conform(column, field, &Place { column: &column_name, ..*place })
                }
                None => Ok(new_null_array(field.data_type(), found.len())),
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = found.nulls().cloned();
            let conformed = StructArray::try_new_with_length(fields.clone(), columns, nulls, found.len());
            Ok(Arc::new(conformed.map_err(|error| place.damaged(error))?))
        }
        DataType::Map(entry, _) => conform_map(array, entry, place),
        target => conform_leaf(array, target, place),
    }
}

fn conform_list(array: &ArrayRef, item: &FieldRef, place: &Place<'_>) -> Result<ArrayRef, IngestError> {
    let small = match array.data_type() {
        DataType::LargeList(found) => {
            cast(array, &DataType::List(found.clone())).map_err(|e| place.damaged(e))?
        }
        _ => array.clone(),
    };
    let list = small.as_list::<i32>();
    let row_of = |at: usize| owner(list.offsets(), at, place);
    let values = conform(list.values(), item, &Place { row_of: &row_of, ..*place })?;
    let conformed = ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned());
    Ok(Arc::new(conformed.map_err(|error| place.damaged(error))?))
}

fn conform_map(array: &ArrayRef, entry: &FieldRef, place: &Place<'_>) -> Result<ArrayRef, IngestError> {
    let map = array.as_map();
    let DataType::Struct(fields) = entry.data_type() else {
        return Err(place.damaged(ArrowError::SchemaError("a map without entries".into())));
    };
    let row_of = |at: usize| owner(map.offsets(), at, place);
    let inner = Place { row_of: &row_of, ..*place };
    let columns =
        fields.iter().zip(map.entries().columns()).map(|(field, column)| conform(column, field, &inner));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let length = map.entries().len();
    let entries = StructArray::try_new_with_length(fields.clone(), columns, None, length);
    let conformed = entries.and_then(|entries| {
        MapArray::try_new(entry.clone(), map.offsets().clone(), entries, map.nulls().cloned(), false)
    });
    Ok(Arc::new(conformed.map_err(|error| place.damaged(error))?))
}

/// The file's row whose list holds item `at`.
fn owner(offsets: &OffsetBuffer<i32>, at: usize, place: &Place<'_>) -> u64 {
    let row = offsets.partition_point(|offset| *offset as usize <= at).saturating_sub(1);
    (place.row_of)(row)
}

fn conform_leaf(array: &ArrayRef, target: &DataType, place: &Place<'_>) -> Result<ArrayRef, IngestError> {
    if array.data_type() == target {
        return Ok(array.clone());
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let converted = cast_with_options(array, target, &options).map_err(|error| place.damaged(error))?;
    let nulls = array.logical_nulls();
    let was_null = |at: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(at));
    match (0..array.len()).find(|at| converted.is_null(*at) && !was_null(*at)) {
        Some(at) => Err(IngestError::Cell {
            file: place.file.into(),
            column: place.column.into(),
            row: (place.row_of)(at),
            problem: format!("the value does not fit {}", describe(target)),
        }),
        None => Ok(converted),
    }
}
