//! AIQA, first layer: deterministic rules with reasons, and diversity by embedding similarity.
//!
//! Everything a language model wrote, and everything a catalogue says, is untrusted text. This room decides what of it
//! a shopper may see, and says why not. It keeps two invariants: **QA-1**, nothing rejected is left in a
//! [`JudgedPage`](crate::domain::stage::JudgedPage), and **QA-2**, no accepted text holds a term of the demographic
//! lexicon or a value of the segment's own demographics.
//!
//! - [`TitlePolicy`] judges one title or keyword by the lexicons in `lexicons/`, the calendar, the active rules and
//!   the spelling of the text. A finding names its rule ([`rule_ids`]), the offending text and the reason.
//! - [`judge_page`] applies it to a whole stocked page, checks products, drops what repeats, and refills rejected
//!   placements from the page's reserve.
//!
//! The rules and their ids are listed in `docs/aiqa.md`.

mod demographics;
mod diversity;
mod form;
mod garbled;
mod lexicon;
mod page;
mod products;
mod restrictions;
mod rules;
mod season;
mod settings;
mod text;
mod title;
mod vocabulary;

pub use page::{PageInput, judge_page};
pub use rules::rule_ids;
pub use settings::Settings;
pub use title::{Finding, TitleCase, TitlePolicy};
pub use vocabulary::{Vocabulary, singular_words};

/// An error of whatever computes embeddings.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns texts into vectors; [`judge_page`] asks it once a page.
pub trait Embedder {
    /// One unit-norm vector a text, in order, all of one length.
    ///
    /// A text's vector must not depend on the texts beside it (DET-1).
    ///
    /// # Errors
    /// Whatever the model reports.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError>;
}

/// Why AIQA could not judge. A rejected text is not an error.
#[derive(Debug, thiserror::Error)]
pub enum AiqaError {
    #[error("setting out of range: {0}")]
    Settings(String),
    #[error("lexicon {name}: {reason}")]
    Lexicon { name: String, reason: String },
    #[error("segment {segment}: embedding {texts} texts failed")]
    Embedding { segment: String, texts: usize, source: BoxError },
    #[error("segment {segment}: the encoder answered {answered} vectors for {texts} texts")]
    EmbeddingCount { segment: String, texts: usize, answered: usize },
}
