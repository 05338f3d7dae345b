//! How well a candidate keyword fits a theme, learned from a teacher's grades: stage 2 chooses with it beside the language model.
//!
//! [`train`] grows gradient-boosted [`trees`](crate::trees) on graded candidates. What they see of a candidate is where its sentence
//! vector stands among its rivals', by every concept and the title, which words it shares with them, and a few coordinates of the
//! vectors, which tell goods apart that cosines do not (a feature-based learning to rank, pointwise: Liu, "Learning to rank for
//! information retrieval", Foundations and Trends in Information Retrieval 3(3), 2009). Nothing names a keyword or a shop.

mod artifact;
mod features;
mod training;

pub use artifact::{Description, RelevanceModel, Validation};
pub use features::{Asked, Nearness};
pub use training::{Lessons, train};

use std::path::PathBuf;

use crate::embed::EmbedError;
use crate::trees::TreesError;

/// Why candidates cannot be judged, or judging cannot be learned.
#[derive(Debug, thiserror::Error)]
pub enum RelevanceError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a relevance model's description: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error(
        "{path} was made for other features ({found}; this endcap computes {expected}); train it anew with `endcap train relevance`"
    )]
    Features { path: PathBuf, found: String, expected: String },
    #[error("{path} is not the model that relevance.json describes (sha256 {found}, expected {expected})")]
    Altered { path: PathBuf, found: String, expected: String },
    #[error(
        "{path} was learned with the vectors of another encoder ({found}; models.encoder is {expected}): train it anew with \
         `endcap train relevance`, or set models.relevance = \"\""
    )]
    Encoder { path: PathBuf, found: String, expected: String },
    #[error("{path} is not usable: {source}")]
    Model { path: PathBuf, source: TreesError },
    #[error("there is no {split} placement with graded candidates to learn from")]
    NoExamples { split: &'static str },
    #[error("the texts could not be embedded: {0}")]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Trees(#[from] TreesError),
}
