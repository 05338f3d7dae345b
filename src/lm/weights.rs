//! A Llama-shaped model's numbers: its configuration and its weights in f32.
//!
//! Weights are dequantised once, here. candle's quantised product runs scalar code for Q4_1 on a plain x86-64 build (35
//! tokens a second for a 135M model); f32 in panels is thirty times that and costs half a gigabyte.

use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};

use super::error::LmError;

/// The shape of a Llama model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub ffn_size: usize,
    pub layers: usize,
    pub heads: usize,
    /// Key-value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Numbers a head; a multiple of 32.
    pub head_dim: usize,
    pub rms_norm_eps: f32,
    pub rope_base: f32,
    /// Longest sequence in tokens.
    pub context_length: usize,
}

impl ModelConfig {
    /// Numbers of all query heads side by side; the hidden size in most models, but not in all.
    pub fn query_size(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers of all key heads side by side, and of all value heads.
    pub fn kv_size(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn validate(&self) -> Result<(), LmError> {
        let whole = |n: usize, of: usize| of != 0 && n != 0 && n.is_multiple_of(of);
        let fits = whole(self.heads, self.kv_heads)
            && whole(self.head_dim, 32)
            && whole(self.hidden_size, 32)
            && whole(self.ffn_size, 32)
            && self.layers > 0
            && self.vocab_size > 0;
        if fits {
            Ok(())
        } else {
            Err(LmError::Shape(format!(
                "key-value heads must divide the heads, and head, hidden and feed-forward sizes be multiples of 32: {self:?}"
            )))
        }
    }
}

/// All weights, f32 on the CPU, each linear layer as `[out, in]`. Query and key rows are in GGUF's order, for rotary
/// pairs `(2i, 2i + 1)`.
#[derive(Debug, Clone)]
pub struct Weights {
    pub config: ModelConfig,
    /// `[vocab, hidden]`.
    pub embedding: Tensor,
    pub layers: Vec<LayerWeights>,
    pub output_norm: Tensor,
    /// `[vocab, hidden]`; `None` where the model ties it to the embedding.
    pub output: Option<Tensor>,
}

#[derive(Debug, Clone)]
pub struct LayerWeights {
    pub attention_norm: Tensor,
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
    pub attention_out: Tensor,
    pub ffn_norm: Tensor,
    pub gate: Tensor,
    pub up: Tensor,
    pub down: Tensor,
}

impl Weights {
    /// Reads and dequantises a GGUF of the Llama architecture.
    pub fn from_gguf(path: &Path) -> Result<Self, LmError> {
        Gguf::open(path)?.weights()
    }

    /// Checks that the shapes agree with one another.
    pub fn new(
        config: ModelConfig,
        embedding: Tensor,
        layers: Vec<LayerWeights>,
        output_norm: Tensor,
        output: Option<Tensor>,
    ) -> Result<Self, LmError> {
        config.validate()?;
        let weights = Self { config, embedding, layers, output_norm, output };
        weights.check_shapes()?;
        Ok(weights)
    }

    fn check_shapes(&self) -> Result<(), LmError> {
        let c = &self.config;
        let (hidden, query, kv) = (c.hidden_size, c.query_size(), c.kv_size());
        if self.layers.len() != c.layers {
            return Err(LmError::Shape(format!("{} layers of {}", self.layers.len(), c.layers)));
        }
        expect("token_embd", &self.embedding, &[c.vocab_size, hidden])?;
        expect("output_norm", &self.output_norm, &[hidden])?;
        if let Some(output) = &self.output {
            expect("output", output, &[c.vocab_size, hidden])?;
        }
        for layer in &self.layers {
            expect("attn_norm", &layer.attention_norm, &[hidden])?;
            expect("attn_q", &layer.query, &[query, hidden])?;
            expect("attn_k", &layer.key, &[kv, hidden])?;
            expect("attn_v", &layer.value, &[kv, hidden])?;
            expect("attn_output", &layer.attention_out, &[hidden, query])?;
            expect("ffn_norm", &layer.ffn_norm, &[hidden])?;
            expect("ffn_gate", &layer.gate, &[c.ffn_size, hidden])?;
            expect("ffn_up", &layer.up, &[c.ffn_size, hidden])?;
            expect("ffn_down", &layer.down, &[hidden, c.ffn_size])?;
        }
        Ok(())
    }
}

fn expect(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), LmError> {
    if tensor.dims() == shape && tensor.dtype() == DType::F32 {
        return Ok(());
    }
    Err(LmError::Shape(format!("{name} is {:?} {:?}, not f32 {shape:?}", tensor.dtype(), tensor.dims())))
}

/// An open GGUF file.
pub(super) struct Gguf<'a> {
    path: &'a Path,
    file: std::io::BufReader<std::fs::File>,
    pub content: Content,
}

impl<'a> Gguf<'a> {
    pub fn open(path: &'a Path) -> Result<Self, LmError> {
        let file =
            std::fs::File::open(path).map_err(|source| LmError::Open { path: path.to_owned(), source })?;
        let mut file = std::io::BufReader::new(file);
        let content = Content::read(&mut file)
            .map_err(|e| LmError::Gguf { path: path.to_owned(), reason: e.to_string() })?;
        Ok(Self { path, file, content })
    }

    pub fn weights(&mut self) -> Result<Weights, LmError> {
        let config = self.config()?;
        config.validate()?;
        let layers = (0..config.layers).map(|i| self.layer(i)).collect::<Result<_, _>>()?;
        let embedding = self.tensor("token_embd.weight")?;
        let output_norm = self.tensor("output_norm.weight")?;
        let tied = !self.content.tensor_infos.contains_key("output.weight");
        let output = if tied { None } else { Some(self.tensor("output.weight")?) };
        Weights::new(config, embedding, layers, output_norm, output)
    }

    fn config(&self) -> Result<ModelConfig, LmError> {
        let architecture = self.text("general.architecture")?;
        if architecture != "llama" {
            return Err(self.unusable(format!("architecture {architecture:?}; only \"llama\" is supported")));
        }
        let rotated = self.count("llama.rope.dimension_count")?;
        let (hidden_size, heads) =
            (self.count("llama.embedding_length")?, self.count("llama.attention.head_count")?);
        let config = ModelConfig {
            vocab_size: self.vocabulary()?.len(),
            hidden_size,
            ffn_size: self.count("llama.feed_forward_length")?,
            layers: self.count("llama.block_count")?,
            heads,
            kv_heads: self.count("llama.attention.head_count_kv")?,
            head_dim: hidden_size.checked_div(heads).unwrap_or(0),
            rms_norm_eps: self.value("llama.attention.layer_norm_rms_epsilon", Value::to_f32)?,
            rope_base: self.value("llama.rope.freq_base", Value::to_f32)?,
            context_length: self.count("llama.context_length")?,
        };
        let scaled = self.content.metadata.keys().find(|key| key.starts_with("llama.rope.scaling."));
        match scaled {
            Some(key) => Err(self.unusable(format!("{key}: scaled rotary positions are not supported"))),
            None if rotated != config.head_dim => {
                Err(self.unusable(format!("{rotated} rotary dimensions, not the whole head")))
            }
            None => Ok(config),
        }
    }

    /// Token texts by id, in the byte-level alphabet of GPT-2.
    pub fn vocabulary(&self) -> Result<Vec<String>, LmError> {
        self.value("tokenizer.ggml.tokens", |tokens| {
            tokens.to_vec()?.iter().map(|token| token.to_string().cloned()).collect()
        })
    }

    pub fn count(&self, key: &str) -> Result<usize, LmError> {
        self.value(key, Value::to_u32).map(|n| n as usize)
    }

    pub fn text(&self, key: &str) -> Result<String, LmError> {
        self.value(key, |value| value.to_string().cloned())
    }

    fn value<T>(&self, key: &str, read: impl FnOnce(&Value) -> candle_core::Result<T>) -> Result<T, LmError> {
        let value = self.content.metadata.get(key);
        let value = value.ok_or_else(|| self.unusable(format!("no metadata key {key}")))?;
        read(value).map_err(|e| self.unusable(format!("metadata key {key}: {e}")))
    }

    fn layer(&mut self, index: usize) -> Result<LayerWeights, LmError> {
        let mut tensor = |name: &str| self.tensor(&format!("blk.{index}.{name}.weight"));
        Ok(LayerWeights {
            attention_norm: tensor("attn_norm")?,
            query: tensor("attn_q")?,
            key: tensor("attn_k")?,
            value: tensor("attn_v")?,
            attention_out: tensor("attn_output")?,
            ffn_norm: tensor("ffn_norm")?,
            gate: tensor("ffn_gate")?,
            up: tensor("ffn_up")?,
            down: tensor("ffn_down")?,
        })
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, LmError> {
        let read = self.content.tensor(&mut self.file, name, &Device::Cpu);
        read.and_then(|tensor| tensor.dequantize(&Device::Cpu))
            .and_then(|tensor| tensor.to_dtype(DType::F32))
            .map_err(|e| self.unusable(format!("tensor {name}: {e}")))
    }

    pub fn unusable(&self, reason: String) -> LmError {
        LmError::Gguf { path: self.path.to_owned(), reason }
    }
}
