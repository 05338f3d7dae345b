//! Weights and metadata out of a GGUF file.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};

use super::{Biases, Family, HeadNorms, LayerWeights, ModelConfig, Weights};
use crate::lm::error::LmError;

/// An open GGUF file.
pub struct Gguf<'a> {
    path: &'a Path,
    file: std::io::BufReader<std::fs::File>,
    pub content: Content,
    unread: BTreeSet<String>,
}

impl<'a> Gguf<'a> {
    pub fn open(path: &'a Path) -> Result<Self, LmError> {
        let file =
            std::fs::File::open(path).map_err(|source| LmError::Open { path: path.to_owned(), source })?;
        let mut file = std::io::BufReader::new(file);
        let content = Content::read(&mut file)
            .map_err(|e| LmError::Gguf { path: path.to_owned(), reason: e.to_string() })?;
        let unread = content.tensor_infos.keys().cloned().collect();
        Ok(Self { path, file, content, unread })
    }

    pub fn weights(&mut self) -> Result<Weights, LmError> {
        let architecture = self.text("general.architecture")?;
        let family = Family::parse(&architecture).map_err(|problem| self.unusable(problem))?;
        let config = self.config(&architecture)?;
        config.validate()?;
        let layers = (0..config.layers).map(|i| self.layer(i, family, &config)).collect::<Result<_, _>>()?;
        let embedding = self.tensor("token_embd.weight")?;
        let output_norm = self.tensor("output_norm.weight")?;
        let tied = !self.content.tensor_infos.contains_key("output.weight");
        let output = if tied { None } else { Some(self.tensor("output.weight")?) };
        if let Some(name) = self.unread.first() {
            return Err(
                self.unusable(format!("it holds {name}, which is no part of a {architecture} model here"))
            );
        }
        Weights::new(config, embedding, layers, output_norm, output)
    }

    fn config(&self, architecture: &str) -> Result<ModelConfig, LmError> {
        let key = |name: &str| format!("{architecture}.{name}");
        let count = |name: &str| self.count(&key(name));
        let (hidden_size, heads) = (count("embedding_length")?, count("attention.head_count")?);
        let share = hidden_size.checked_div(heads).unwrap_or(0);
        let config = ModelConfig {
            vocab_size: self.rows("token_embd.weight")?,
            hidden_size,
            ffn_size: count("feed_forward_length")?,
            layers: count("block_count")?,
            heads,
            kv_heads: count("attention.head_count_kv")?,
            head_dim: self.count_or(&key("attention.key_length"), share)?,
            rms_norm_eps: self.value(&key("attention.layer_norm_rms_epsilon"), Value::to_f32)?,
            rope_base: self.value(&key("rope.freq_base"), Value::to_f32)?,
            context_length: count("context_length")?,
        };
        let rotated = self.count_or(&key("rope.dimension_count"), config.head_dim)?;
        let value_length = self.count_or(&key("attention.value_length"), config.head_dim)?;
        let scaling = key("rope.scaling.");
        match self.content.metadata.keys().find(|key| key.starts_with(&scaling)) {
            Some(key) => Err(self.unusable(format!("{key}: scaled rotary positions are not supported"))),
            None if rotated != config.head_dim || value_length != config.head_dim => Err(self.unusable(format!(
                "heads of {}, but {rotated} rotary dimensions and values of {value_length}; they must agree",
                config.head_dim
            ))),
            None => Ok(config),
        }
    }

    pub fn count(&self, key: &str) -> Result<usize, LmError> {
        self.value(key, Value::to_u32).map(|n| n as usize)
    }

    fn count_or(&self, key: &str, otherwise: usize) -> Result<usize, LmError> {
        if self.content.metadata.contains_key(key) { self.count(key) } else { Ok(otherwise) }
    }

    pub fn text(&self, key: &str) -> Result<String, LmError> {
        self.value(key, |value| value.to_string().cloned())
    }

    fn value<T>(&self, key: &str, read: impl FnOnce(&Value) -> candle_core::Result<T>) -> Result<T, LmError> {
        let value = self.content.metadata.get(key);
        let value = value.ok_or_else(|| self.unusable(format!("no metadata key {key}")))?;
        read(value).map_err(|e| self.unusable(format!("metadata key {key}: {e}")))
    }

    fn layer(&mut self, index: usize, family: Family, config: &ModelConfig) -> Result<LayerWeights, LmError> {
        let mut tensor = |name: &str| self.tensor(&format!("blk.{index}.{name}"));
        let biases = ["attn_q.bias", "attn_k.bias", "attn_v.bias"];
        let norms = ["attn_q_norm.weight", "attn_k_norm.weight"];
        let layer = LayerWeights {
            attention_norm: tensor("attn_norm.weight")?,
            query: tensor("attn_q.weight")?,
            key: tensor("attn_k.weight")?,
            value: tensor("attn_v.weight")?,
            attention_out: tensor("attn_output.weight")?,
            ffn_norm: tensor("ffn_norm.weight")?,
            gate: tensor("ffn_gate.weight")?,
            up: tensor("ffn_up.weight")?,
            down: tensor("ffn_down.weight")?,
            biases: family.has_biases().then(|| Biases::read(biases, &mut tensor)).transpose()?,
            head_norms: family.has_head_norms().then(|| HeadNorms::read(norms, &mut tensor)).transpose()?,
        };
        layer.check_shapes(config)?;
        // llama.cpp deals the rows of a Llama only; Qwen keeps Hugging Face's.
        if family == Family::Llama { Ok(layer) } else { layer.in_neighbour_order(config) }
    }

    fn rows(&self, name: &str) -> Result<usize, LmError> {
        let info = self.content.tensor_infos.get(name);
        let rows = info.and_then(|info| info.shape.dims().first().copied());
        rows.ok_or_else(|| self.unusable(format!("no tensor {name}")))
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, LmError> {
        self.unread.remove(name);
        let read = self.content.tensor(&mut self.file, name, &Device::Cpu);
        read.and_then(|tensor| tensor.dequantize(&Device::Cpu))
            .and_then(|tensor| tensor.to_dtype(DType::F32))
            .map_err(|e| self.unusable(format!("tensor {name}: {e}")))
    }

    pub fn unusable(&self, reason: String) -> LmError {
        LmError::Gguf { path: self.path.to_owned(), reason }
    }
}
