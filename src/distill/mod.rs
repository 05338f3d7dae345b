//! Distillation: a large teacher's answers become the training set of the small students.
//!
//! ```text
//! contexts ─ [requests] ─ [client] ─ any OpenAI-compatible endpoint ─ journal ─ [answers] ─┐
//! contexts.jsonl, pages.jsonl, choices.jsonl ────────────── [recorded] ─ Drafts ───────────┤
//!                                                                                          │
//!            themes.parquet, keywords.parquet, README.md ─ [dataset], [card] ─ [gate] ─────┘
//! ```
//!
//! The teacher reads the templates the students read. Its answers are untrusted text: what breaks a rule is repaired
//! or dropped, and counted.

mod answers;
mod card;
pub mod client;
pub mod dataset;
mod drafts;
mod gate;
pub mod journal;
mod judge;
mod lines;
mod ratings;
mod recorded;
pub mod requests;
mod set;
mod settings;

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::keywords::KeywordsError;
use crate::themes::ThemesError;

pub use answers::{AnswerFiles, check_answer, import_answers, read_answers};
pub use drafts::{Drafts, Dropped, KeywordDraft, Source, Tally, ThemeDraft};
pub use gate::{Fault, Gate, Judged};
pub use judge::{judge_requests, ratings_of};
pub use ratings::{Rating, Ratings, read_ratings};
pub use recorded::{import_recorded, read_contexts};
pub use set::{Figures, Summary, TrainingSet, assemble};
pub use settings::Settings;

/// Why distillation could not go on. A bad answer is not an error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum DistillError {
    #[error("{path} cannot be read: {source}; check that it exists", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{file}, line {line}, field {field:?}: {problem}")]
    Line { file: String, line: usize, field: String, problem: String },
    #[error("{file} is not a readable Parquet file: {source}; write it again with `endcap distill import`")]
    Parquet { file: String, source: ParquetError },
    #[error("{file}: column {column:?} {problem}")]
    Column { file: String, column: String, problem: String },
    #[error("{file}: column {column:?}, row {row}: {problem}")]
    Cell { file: String, column: String, row: usize, problem: String },
    #[error(
        "{file} is of training set version {found:?}, this endcap reads {}; import it again",
        dataset::VERSION
    )]
    Version { file: String, found: String },
    #[error("no example is left of {drafts}; see the reasons in the summary")]
    NothingLeft { drafts: usize },
    #[error(transparent)]
    Themes(#[from] ThemesError),
    #[error(transparent)]
    Keywords(#[from] KeywordsError),
    #[error("template {version} is broken: {source}")]
    Template { version: &'static str, source: minijinja::Error },
    #[error("{path} is being written by another endcap; wait for it or name another file", path = path.display())]
    Busy { path: PathBuf },
    #[error("the journal's answer to {custom_id:?} belongs to another request; name another answers file")]
    OtherRequest { custom_id: String },
    #[error(
        "the teacher's address {url:?} {problem}; set ENDCAP_TEACHER_URL to a base such as https://host/v1"
    )]
    Address { url: String, problem: String },
    #[error("the endpoint refuses us with status {status}: {body}; check address, key and model name")]
    Refused { status: u16, body: String },
}

/// Writes beside `path` and renames, so that no reader sees half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DistillError> {
    let refuse = |source| DistillError::Write { path: path.into(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refuse)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).map_err(refuse)
}
