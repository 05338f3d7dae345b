//! Everything that can be wrong with an input.

use std::path::PathBuf;

use chrono::NaiveDate;
use parquet::errors::ParquetError;

use super::merchandising::Mistake;
use crate::domain::ArmId;

/// Why an input was refused. Rows are counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{text:?} is not a place to read from: {problem}")]
    Location { text: String, problem: String },
    #[error("{file} cannot be read: {source}; check that it exists and that this account may read it")]
    Read { file: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{file} is empty (0 bytes); write it again")]
    Empty { file: String },
    #[error("{file} is not text in UTF-8; save it as UTF-8")]
    NotText { file: String },
    #[error("{file} is not a Parquet file (it does not begin with PAR1); export it as Parquet")]
    NotParquet { file: String },
    #[error("{file} is a truncated or damaged Parquet file: {source}; write or fetch it again")]
    Damaged { file: String, source: ParquetError },
    #[error("{file} has no column {column:?} ({expected}); its columns are {found}")]
    MissingColumn { file: String, column: String, expected: String, found: String },
    #[error("{file}: column {column:?} must be {expected}, but is {found}")]
    ColumnType { file: String, column: String, expected: String, found: String },
    #[error("{file}: column {column:?} is null in row {row}; this column must have a value in every row")]
    Null { file: String, column: String, row: u64 },
    #[error("{file}: column {column:?}, row {row}: {problem}")]
    Cell { file: String, column: String, row: u64, problem: String },
    #[error("{file}: {column} {value:?} stands in row {first} and again in row {second}; keep one of them")]
    Duplicate { file: String, column: String, value: String, first: u64, second: u64 },
    #[error(
        "{file}: the unit {unit:?} is in the arm {arm} in row {row}, but was in the arm {before} in an earlier one; a unit stays \
         in one arm: find out how it came to see both, and leave it out"
    )]
    TwoArms { file: String, unit: String, row: u64, arm: ArmId, before: ArmId },
    #[error("{file} has no rows; at least one {what} is needed")]
    NoRows { file: String, what: &'static str },
    #[error("{file}: row {row} is as of {found}, the first row as of {first}; one file holds one night")]
    AsOf { file: String, row: u64, first: NaiveDate, found: NaiveDate },
    #[error("{file} {}", listed(mistakes))]
    Merchandising { file: String, mistakes: Vec<Mistake> },
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

impl IngestError {
    /// Whether a place could not be read for now, as against one where nothing is: another try may do.
    pub fn may_pass(&self) -> bool {
        let Self::Read { source, .. } = self else { return false };
        !matches!(source.downcast_ref(), Some(object_store::Error::NotFound { .. }))
    }
}

/// Every mistake on a line of its own, a single one on the same.
fn listed(mistakes: &[Mistake]) -> String {
    if let [only] = mistakes {
        return only.to_string();
    }
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    format!("has {} mistakes:{}", mistakes.len(), lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_does_not_come_by_trying_again() {
        let read = |source| IngestError::Read { file: "s3://shop/a".into(), source };
        let source = || std::io::Error::other("of the server").into();
        let missing = object_store::Error::NotFound { path: "a".into(), source: source() };
        assert!(!read(Box::new(missing)).may_pass());
        let denied = object_store::Error::PermissionDenied { path: "a".into(), source: source() };
        assert!(read(Box::new(denied)).may_pass());
        let away = object_store::Error::Generic { store: "S3", source: source() };
        assert!(read(Box::new(away)).may_pass());
        assert!(!IngestError::NotText { file: "s3://shop/a".into() }.may_pass());
    }
}
