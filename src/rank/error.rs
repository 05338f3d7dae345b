//! What can be wrong with a ranker, its file or its data.

use std::path::PathBuf;

use crate::trees::TreesError;

/// Why a ranker cannot be trained, read or used.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    #[error(
        "the {window} window, {from} to {to}, holds no {lacks}; training needs interactions of at least {days} days before \
         as_of (shorten rank.train.label_days or rank.train.training_origins, or bring more history)"
    )]
    EmptyWindow {
        window: &'static str,
        from: chrono::NaiveDate,
        to: chrono::NaiveDate,
        lacks: &'static str,
        days: u32,
    },
    #[error(
        "segment {segment}, product {product}: feature {feature} is {value}; features must be finite numbers"
    )]
    NotFinite { segment: String, product: String, feature: String, value: f32 },
    #[error("a table of columns {found:?} cannot be scored; the ranker takes {expected:?}")]
    Columns { found: Vec<String>, expected: Vec<&'static str> },
    #[error("the encoder failed on the product types: {0}")]
    Vectors(Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Trees(#[from] TreesError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a ranker's description: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error(
        "{path} was made for another feature schema ({found}; this endcap computes {expected}): {difference}; train it anew \
         with `endcap train ranker`"
    )]
    Schema { path: PathBuf, found: String, expected: String, difference: String },
    #[error("{path} is not the model that ranker.json describes (sha256 {found}, expected {expected})")]
    Altered { path: PathBuf, found: String, expected: String },
    #[error("the ranker was trained with text similarity, so scoring needs the encoder's vectors too")]
    NoVectors,
    #[error(
        "the ranker was trained on data up to {trained}, later than {scored}; train one on what was known then"
    )]
    FromTheFuture { trained: chrono::NaiveDate, scored: chrono::NaiveDate },
    #[error("{path} is not a usable LightGBM text model: {reason}")]
    Model { path: PathBuf, reason: String },
}
