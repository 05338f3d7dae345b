//! Cells of a table that has been brought to its contract's types: each access names column and row when it fails.

use std::collections::BTreeMap;
use std::fmt::Display;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{Date32Type, Float32Type, Float64Type, UInt32Type};
use chrono::NaiveDate;

use super::IngestError;
use super::text::{MAX_ITEMS, MAX_TEXT_CHARS, clean};

/// What a number must be besides finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Any,
    /// 0 or more.
    Amount,
    /// More than 0.
    Positive,
    /// 0..1.
    Share,
    /// At most 1 (a margin may be a loss).
    AtMostOne,
}

impl Range {
    fn contains(self, value: f64) -> bool {
        match self {
            Self::Any => true,
            Self::Amount => value >= 0.0,
            Self::Positive => value > 0.0,
            Self::Share => (0.0..=1.0).contains(&value),
            Self::AtMostOne => value <= 1.0,
        }
    }

    fn demand(self) -> &'static str {
        match self {
            Self::Any => "finite",
            Self::Amount => "0 or more",
            Self::Positive => "above 0",
            Self::Share => "a share within 0..1",
            Self::AtMostOne => "at most 1",
        }
    }
}

/// Some rows of a table, or the structs of one list cell.
pub(super) struct Cells<'a> {
    file: &'a str,
    columns: StructArray,
    numbering: Numbering<'a>,
}

/// How a position becomes a row number of the file.
#[derive(Clone, Copy)]
enum Numbering<'a> {
    /// Rows that follow each other, after so many earlier ones.
    After(u64),
    /// Items of one list cell: its column and row.
    Within(&'a str, u64),
}

impl<'a> Cells<'a> {
    pub fn rows(file: &'a str, columns: StructArray, earlier: u64) -> Self {
        Self { file, columns, numbering: Numbering::After(earlier) }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn file(&self) -> &'a str {
        self.file
    }

    /// The column, in the contract's type.
    pub fn column(&self, name: &str) -> &ArrayRef {
        self.columns.column_by_name(name).expect("readers name columns of their own contract")
    }

    /// Number of the row at position `at`, the file's first being 1.
    pub fn row(&self, at: usize) -> u64 {
        match self.numbering {
            Numbering::After(earlier) => earlier + at as u64 + 1,
            Numbering::Within(_, row) => row,
        }
    }

    pub fn refuse(&self, column: &str, at: usize, problem: impl Display) -> IngestError {
        let column = match self.numbering {
            Numbering::After(_) => column.to_owned(),
            Numbering::Within(outer, _) => format!("{outer}.{column}"),
        };
        IngestError::Cell { file: self.file.into(), column, row: self.row(at), problem: problem.to_string() }
    }

    /// The cell as it stands in the file.
    pub fn raw(&self, column: &str, at: usize) -> &str {
        self.column(column).as_string::<i32>().value(at)
    }

    /// An id, checked by its own type.
    pub fn id<T>(&self, column: &str, at: usize) -> Result<T, IngestError>
    where
        T: TryFrom<String, Error: Display>,
    {
        T::try_from(self.raw(column, at).to_owned()).map_err(|error| self.refuse(column, at, error))
    }

    pub fn text(&self, column: &str, at: usize, max_chars: usize) -> Result<String, IngestError> {
        clean(self.raw(column, at), max_chars).map_err(|problem| self.refuse(column, at, problem))
    }

    /// A nullable text; blank counts as null.
    pub fn optional_text(
        &self,
        column: &str,
        at: usize,
        max_chars: usize,
    ) -> Result<Option<String>, IngestError> {
        if self.column(column).is_null(at) || self.raw(column, at).trim().is_empty() {
            return Ok(None);
        }
        self.text(column, at, max_chars).map(Some)
    }

    pub fn number(&self, column: &str, at: usize, range: Range) -> Result<f32, IngestError> {
        let value = self.column(column).as_primitive::<Float32Type>().value(at);
        if value.is_finite() && range.contains(value.into()) {
            return Ok(value);
        }
        Err(self.refuse(column, at, format!("{value} must be {}", range.demand())))
    }

    /// A cell of a column that the contract holds in double precision.
    pub fn double(&self, column: &str, at: usize, range: Range) -> Result<f64, IngestError> {
        let value = self.column(column).as_primitive::<Float64Type>().value(at);
        if value.is_finite() && range.contains(value) {
            return Ok(value);
        }
        Err(self.refuse(column, at, format!("{value} must be {}", range.demand())))
    }

    pub fn is_null(&self, column: &str, at: usize) -> bool {
        self.column(column).is_null(at)
    }

    pub fn optional_number(&self, column: &str, at: usize, range: Range) -> Result<Option<f32>, IngestError> {
        if self.column(column).is_null(at) { Ok(None) } else { self.number(column, at, range).map(Some) }
    }

    pub fn count(&self, column: &str, at: usize) -> u32 {
        self.column(column).as_primitive::<UInt32Type>().value(at)
    }

    pub fn flag(&self, column: &str, at: usize) -> bool {
        self.column(column).as_boolean().value(at)
    }

    pub fn date(&self, column: &str, at: usize) -> Result<NaiveDate, IngestError> {
        let days = self.column(column).as_primitive::<Date32Type>().value(at);
        Date32Type::to_naive_date_opt(days).ok_or_else(|| self.refuse(column, at, "the date is out of range"))
    }

    /// A list of texts.
    pub fn texts(&self, column: &str, at: usize) -> Result<Vec<String>, IngestError> {
        let items = self.items(column, at)?;
        let items = items.as_string::<i32>().iter().flatten();
        items
            .map(|item| clean(item, MAX_TEXT_CHARS).map_err(|problem| self.refuse(column, at, problem)))
            .collect()
    }

    /// A nullable map of texts.
    pub fn pairs(&self, column: &str, at: usize) -> Result<BTreeMap<String, String>, IngestError> {
        let map = self.column(column).as_map();
        if map.is_null(at) {
            return Ok(BTreeMap::new());
        }
        let entries = map.value(at);
        self.check_items(column, at, entries.len())?;
        let [keys, values] = [0, 1].map(|part| entries.column(part).as_string::<i32>());
        let mut pairs = BTreeMap::new();
        for (key, value) in keys.iter().flatten().zip(values.iter().flatten()) {
            let read =
                |text: &str| clean(text, MAX_TEXT_CHARS).map_err(|problem| self.refuse(column, at, problem));
            if pairs.insert(read(key)?, read(value)?).is_some() {
                return Err(self.refuse(column, at, format!("the key {key:?} occurs twice")));
            }
        }
        Ok(pairs)
    }

    /// A list of structs.
    pub fn structs<'s>(&'s self, column: &'s str, at: usize) -> Result<Cells<'s>, IngestError> {
        let items = self.items(column, at)?.as_struct().clone();
        Ok(Cells { file: self.file, columns: items, numbering: Numbering::Within(column, self.row(at)) })
    }

    fn items(&self, column: &str, at: usize) -> Result<ArrayRef, IngestError> {
        let items = self.column(column).as_list::<i32>().value(at);
        self.check_items(column, at, items.len())?;
        Ok(items)
    }

    fn check_items(&self, column: &str, at: usize, items: usize) -> Result<(), IngestError> {
        if items <= MAX_ITEMS {
            return Ok(());
        }
        Err(self.refuse(column, at, format!("the list has {items} items, at most {MAX_ITEMS} are allowed")))
    }
}

/// Remembers the row of each value of a unique column.
pub(super) struct Unique {
    column: &'static str,
    rows: std::collections::HashMap<String, u64>,
}

impl Unique {
    pub fn new(column: &'static str) -> Self {
        Self { column, rows: std::collections::HashMap::new() }
    }

    /// Notes `value`, which stands at position `at`; an error if an earlier row has it.
    pub fn note(&mut self, cells: &Cells<'_>, at: usize, value: &str) -> Result<(), IngestError> {
        let second = cells.row(at);
        match self.rows.insert(value.to_owned(), second) {
            None => Ok(()),
            Some(first) => Err(IngestError::Duplicate {
                file: cells.file().into(),
                column: self.column.into(),
                value: super::text::shown(value),
                first,
                second,
            }),
        }
    }
}
