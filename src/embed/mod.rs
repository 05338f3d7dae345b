//! Sentence vectors of short texts: all-MiniLM-L6-v2 (or any BERT of the sentence-transformers layout) in candle.
//!
//! A vector depends on its text alone (DET-1): texts are batched only with texts of the same number of word pieces, so
//! nothing is padded, no row is masked, and every row of every matrix product is summed in the same order whatever
//! stands beside it.

mod encoder;
mod evaluator;
mod memory;
mod settings;

pub use encoder::Encoder;
pub use evaluator::Evaluator;
pub use memory::Memory;
pub use settings::Settings;

use std::path::PathBuf;

/// Why texts could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error(
        "{path}: {source}; the encoder's folder holds config.json, tokenizer.json, model.safetensors and 1_Pooling/config.json (`make setup` installs it)"
    )]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not what an encoder needs: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{path}: only mean pooling over tokens is supported")]
    Pooling { path: PathBuf },
    #[error("{path}: {reason}")]
    Tokenizer { path: PathBuf, reason: String },
    #[error("{path}: the weights do not fit config.json: {source}")]
    Weights { path: PathBuf, source: candle_core::Error },
    #[error(
        "embed.max_word_pieces is {asked}, but the model has {limit} positions; set it to at most {limit}"
    )]
    TooLong { asked: usize, limit: usize },
    #[error("the tokenizer failed on a text of {bytes} bytes: {reason}")]
    Tokenize { bytes: usize, reason: String },
    #[error("the encoder failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// Cosine of the angle between two vectors, -1..1; 0 where either has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let length = (dot(a, a) * dot(b, b)).sqrt();
    if length > 0.0 { dot(a, b) / length } else { 0.0 }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_of_known_angles() {
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert_eq!(cosine(&[3.0, 4.0], &[3.0, 4.0]), 1.0);
        // cos 45 degrees = 1 / sqrt 2
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 1.0]), 0.0);
    }
}
