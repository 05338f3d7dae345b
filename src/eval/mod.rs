//! How good the students are: what a judge accepts of their pages, how well they choose keywords, and how sure that is.
//!
//! ```text
//! contexts + a system's pages ── Judge ──▶ verdicts ──┐
//! graded keywords + a system's choices ── P-K@5 ──────┼─▶ clusters ── bootstrap ──▶ Report
//! ```
//!
//! A *system* is whoever answered: the base model, the students, the teacher. All are judged by the same [`Judge`] on the
//! same contexts. [`Rubric`] is the deterministic judge; `docs/evaluation.md` has its tests, thresholds and controls.

mod bootstrap;
mod form;
mod judge;
mod metrics;
mod page_rules;
mod report;
mod rubric;
mod score;
mod shelf;
mod table;

pub use bootstrap::{Bootstrap, Cluster, Estimate};
pub use judge::{Judge, PageFlaw, PageVerdict, Reason, ThemeVerdict};
pub use metrics::{cohesion, distinctness, keyword_precision, theme_precision};
pub use report::{Control, Report, SystemReport};
pub use rubric::{Rubric, Thresholds};
pub use score::{Answers, Cases, System, evaluate};
pub use shelf::{ProductType, Shelf};
pub use table::{markdown, terminal};

use crate::embed::EmbedError;

/// Why nothing could be scored. A rejected theme is not an error.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error("the product types could not be embedded: {0}")]
    Shelf(EmbedError),
    #[error("segment {segment}: its page could not be embedded: {source}")]
    Embed { segment: String, source: EmbedError },
    #[error("there is nothing to judge: the training set has no validation contexts")]
    NoContexts,
    #[error(
        "{system} answered {answered} of {asked} {what}; every question needs an answer, if an empty one"
    )]
    Unanswered { system: &'static str, answered: usize, asked: usize, what: &'static str },
}
