//! Fine-tunes the students: LoRA (Hu et al., arXiv 2106.09685) on a frozen base, in candle.
//!
//! ```text
//! examples ─ Corpus ─▶ documents ─ packed ─▶ packs ─ Student ─▶ hidden states ─ cross_entropy ─▶ loss
//!                                                       ▲                                         │
//!                                            AdamW, clipped, warm-up and cosine ◀── gradients ◀───┘
//! ```
//!
//! f32 on the CPU, on this crate's kernels; bf16 elsewhere, in candle's operations. Gradients come from candle's autograd over
//! [`ops`]. The result is an [`Adapter`](crate::lm::Adapter) in PEFT's layout.

mod checkpoint;
mod corpus;
mod curve;
mod dropout;
mod loss;
mod model;
mod ops;
mod optimizer;
mod pack;
mod plot;
mod probe;
mod recipe;
#[cfg(test)]
mod tests;
mod trainer;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

use crate::keywords::KeywordsError;
use crate::lm::{Adapter, LmError, LoraConfig, ModelConfig, Target, Tokenizer, Weights};
use crate::themes::ThemesError;

use model::{Student, fresh_adapter};
use pack::packed;
use trainer::mean_loss;

pub use corpus::Corpus;
pub use curve::{Curve, Step, Validation};
pub use plot::plot;
pub use probe::Probe;
pub use recipe::{Recipe, Settings};
pub use trainer::{Event, Job, Trained};

/// Perplexity of the held-out answers of `corpus` under a base, alone or with an adapter: the exponential of the mean loss an
/// answer token.
pub fn perplexity(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    weights: &Weights,
    adapter: Option<&Adapter>,
    device: &Device,
) -> Result<f64, TrainError> {
    let fresh = LoraConfig { rank: 1, alpha: 1.0, targets: Target::ALL.into(), base: String::new() };
    let alone = fresh_adapter(fresh, &weights.config, 0)?;
    let student = Student::new(weights, adapter.unwrap_or(&alone), device)?;
    let documents = corpus.validation(tokenizer)?;
    let packs = packed(&documents.iter().collect::<Vec<_>>(), Recipe::themes().pack_tokens);
    Ok(mean_loss(&student, &packs)?.exp())
}

/// Reads an adapter in PEFT's layout and writes it again in f32, whatever it was kept in.
pub fn convert(from: &Path, to: &Path, model: &ModelConfig) -> Result<(), TrainError> {
    Ok(Adapter::load(from, model)?.save(to, DType::F32, model)?)
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the training set holds no example to train on; write it with `endcap distill import`")]
    NoExamples,
    #[error("example {example}: {source}")]
    Themes { example: String, source: ThemesError },
    #[error("example {example}: {source}")]
    Keywords { example: String, source: KeywordsError },
    #[error("example {example} cannot be tokenised: {source}")]
    Tokens { example: String, source: LmError },
    #[error("checkpoint {path}: {source}; check permissions and free space, or remove it to start afresh", path = path.display())]
    Checkpoint { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} holds checkpoints of another recipe, training set or base; remove it to start afresh",
        path = path.display()
    )]
    OtherJob { path: PathBuf },
    #[error("the recipe cannot be written as JSON: {0}")]
    Recipe(serde_json::Error),
    #[error(
        "step {step}: the gradient is not finite; lower the learning rate, then go on from the checkpoint"
    )]
    Diverged { step: usize },
    #[error("the loss curve cannot be drawn: {0}")]
    Plot(String),
    #[error("computing failed: {0}")]
    Compute(#[from] candle_core::Error),
    #[error(transparent)]
    Model(#[from] LmError),
}
