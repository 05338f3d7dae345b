//! The encoder: tokenize, bucket by exact length, run BERT, pool, normalise.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::{Tokenizer, TruncationParams};

use super::{EmbedError, Settings};
use crate::domain::Digest;

/// Characters of a text that are read at all: far beyond `max_word_pieces` of prose, and the bound on the work that a
/// hostile text of megabytes can cause.
const MAX_CHARS: usize = 16_384;

/// A BERT sentence encoder after Reimers & Gurevych, *Sentence-BERT* (arXiv 1908.10084): the mean of the last layer
/// over all tokens, scaled to length 1.
///
/// It is `Send + Sync`; share it by [`Arc`](std::sync::Arc).
pub struct Encoder {
    model: BertModel,
    tokenizer: Tokenizer,
    device: Device,
    batch_tokens: usize,
    dimension: usize,
    digest: Digest,
}

/// `1_Pooling/config.json` of sentence-transformers.
#[derive(Deserialize)]
struct Pooling {
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

impl Pooling {
    fn is_mean_only(&self) -> bool {
        let others = self.pooling_mode_cls_token
            || self.pooling_mode_max_tokens
            || self.pooling_mode_mean_sqrt_len_tokens;
        self.pooling_mode_mean_tokens && !others
    }
}

impl Encoder {
    /// Loads the sentence-transformers folder `model_dir`: `config.json`, `tokenizer.json`, `model.safetensors` and
    /// `1_Pooling/config.json`.
    pub fn load(model_dir: &Path, device: &Device, settings: Settings) -> Result<Self, EmbedError> {
        let config: Config = json(&model_dir.join("config.json"))?;
        let pooling_path = model_dir.join("1_Pooling/config.json");
        if !json::<Pooling>(&pooling_path)?.is_mean_only() {
            return Err(EmbedError::Pooling { path: pooling_path });
        }
        let limit = config.max_position_embeddings;
        if settings.max_word_pieces > limit {
            return Err(EmbedError::TooLong { asked: settings.max_word_pieces, limit });
        }
        let tokenizer = tokenizer(&model_dir.join("tokenizer.json"), settings.max_word_pieces)?;
        let path = model_dir.join("model.safetensors");
        let weights = read(&path)?;
        let digest = Digest::of(&weights);
        let model = VarBuilder::from_buffered_safetensors(weights, DType::F32, device)
            .and_then(|weights| BertModel::load(weights, &config))
            .map_err(|source| EmbedError::Weights { path, source })?;
        Ok(Self {
            model,
            tokenizer,
            device: device.clone(),
            batch_tokens: settings.batch_tokens,
            dimension: config.hidden_size,
            digest,
        })
    }

    /// SHA-256 of the weights file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length of a vector; 384 for all-MiniLM-L6-v2.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// One vector of length 1 a text, in the order given. The same text has the same bits in every call, whatever it is
    /// encoded with. `progress` is told of texts done. An empty text is allowed.
    pub fn encode(&self, texts: &[&str], progress: &dyn Fn(u64)) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut by_length: BTreeMap<usize, Vec<(usize, Vec<u32>)>> = BTreeMap::new();
        for (at, text) in texts.iter().enumerate() {
            let ids = self.token_ids(text)?;
            by_length.entry(ids.len()).or_default().push((at, ids));
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        for (length, rows) in &by_length {
            for batch in rows.chunks((self.batch_tokens / length).max(1)) {
                for ((at, _), vector) in batch.iter().zip(self.forward(batch, *length)?) {
                    vectors[*at] = vector;
                }
                progress(batch.len() as u64);
            }
        }
        Ok(vectors)
    }

    fn token_ids(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let end = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(end, _)| end);
        let encoding = self
            .tokenizer
            .encode_fast(&text[..end], true)
            .map_err(|error| EmbedError::Tokenize { bytes: text.len(), reason: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// `batch` holds rows of exactly `length` word pieces.
    fn forward(&self, batch: &[(usize, Vec<u32>)], length: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        let rows = self.rows_of(batch.len(), length);
        let mut ids: Vec<u32> = batch.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
        ids.resize(rows * length, 0);
        let ids = Tensor::from_vec(ids, (rows, length), &self.device)?;
        // Every token is a real one: the attention mask, and so the mask of the mean, is all ones.
        let hidden = self.model.forward(&ids, &ids.zeros_like()?, None)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(hidden
            .chunks_exact(length * self.dimension)
            .take(batch.len())
            .map(|row| pool(row, self.dimension))
            .collect())
    }

    /// Rows of the forward pass. On the CPU gemm sums every row of two or more alike; elsewhere the number of rows may
    /// choose the kernel, so there it is always the same for a length, and the surplus rows are padding.
    fn rows_of(&self, texts: usize, length: usize) -> usize {
        if self.device.is_cpu() { texts } else { (self.batch_tokens / length).max(1) }
    }
}

/// Mean over the tokens of `hidden` (tokens × `dimension`), scaled to length 1.
fn pool(hidden: &[f32], dimension: usize) -> Vec<f32> {
    let mut sum = vec![0.0f32; dimension];
    for token in hidden.chunks_exact(dimension) {
        for (total, value) in sum.iter_mut().zip(token) {
            *total += value;
        }
    }
    // The mean's divisor cancels in the norm.
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|value| *value /= length);
    sum
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(path).map_err(|source| EmbedError::Read { path: path.into(), source })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, EmbedError> {
    serde_json::from_slice(&read(path)?).map_err(|source| EmbedError::Json { path: path.into(), source })
}

/// The tokenizer, cutting at `max_word_pieces` and never padding, whatever its file says.
fn tokenizer(path: &Path, max_word_pieces: usize) -> Result<Tokenizer, EmbedError> {
    let bad =
        |error: tokenizers::Error| EmbedError::Tokenizer { path: path.into(), reason: error.to_string() };
    let mut tokenizer = Tokenizer::from_bytes(read(path)?).map_err(bad)?;
    let truncation = TruncationParams { max_length: max_word_pieces, ..Default::default() };
    tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(bad)?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_is_the_mean_scaled_to_length_one() {
        // mean of (1, 0) and (5, 8) is (3, 4), of length 5
        assert_eq!(pool(&[1.0, 0.0, 5.0, 8.0], 2), [0.6, 0.8]);
    }

    #[test]
    fn only_mean_pooling_is_taken() {
        let config = |text: &str| serde_json::from_str::<Pooling>(text).expect("json").is_mean_only();
        assert!(config(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}"#));
        assert!(!config(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#));
        assert!(!config(r#"{"pooling_mode_mean_tokens": false}"#));
    }
}
