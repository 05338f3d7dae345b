//! A model's numbers: its configuration and its weights in f32, out of a GGUF or a Hugging Face folder.
//!
//! The families differ in little: Qwen2 adds biases to queries, keys and values, Qwen3 normalises each head of queries and
//! keys; the rest is Llama. What a file holds beyond its family is refused, because it would be left out of the sum.
//!
//! Weights are dequantised once, here. candle's quantised product runs scalar code for Q4_1 on a plain x86-64 build (35
//! tokens a second for a 135M model); f32 in panels is thirty times that and costs half a gigabyte.

mod gguf;
mod hugging_face;

use std::path::Path;

use candle_core::{DType, Tensor};

use super::error::LmError;
use super::rotary::to_neighbours;

pub(super) use gguf::Gguf;
pub(super) use hugging_face::{Folder, to_f32};

/// Who made the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Llama,
    Qwen2,
    Qwen3,
}

impl Family {
    /// By its name in a GGUF or a `config.json`.
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "llama" => Ok(Self::Llama),
            "qwen2" => Ok(Self::Qwen2),
            "qwen3" => Ok(Self::Qwen3),
            _ => Err(format!("architecture {name:?}; only \"llama\", \"qwen2\" and \"qwen3\" are supported")),
        }
    }

    fn has_biases(self) -> bool {
        self == Self::Qwen2
    }

    fn has_head_norms(self) -> bool {
        self == Self::Qwen3
    }
}

/// The shape of a model.
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

/// All weights, f32 on the CPU, each linear layer as `[out, in]`. Query and key rows, with their biases and norms, are in
/// a Llama GGUF's order, for rotary pairs `(2i, 2i + 1)`, whatever the file's.
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
    pub biases: Option<Biases>,
    pub head_norms: Option<HeadNorms>,
}

/// Added to queries, keys and values (Qwen2), each as long as its layer's output.
#[derive(Debug, Clone)]
pub struct Biases {
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
}

/// Weights of the normalisation of each head of queries and keys before they are turned (Qwen3); `[head_dim]`.
#[derive(Debug, Clone)]
pub struct HeadNorms {
    pub query: Tensor,
    pub key: Tensor,
}

impl Biases {
    fn read(
        [query, key, value]: [&str; 3],
        mut tensor: impl FnMut(&str) -> Result<Tensor, LmError>,
    ) -> Result<Self, LmError> {
        Ok(Self { query: tensor(query)?, key: tensor(key)?, value: tensor(value)? })
    }
}

impl HeadNorms {
    fn read(
        [query, key]: [&str; 2],
        mut tensor: impl FnMut(&str) -> Result<Tensor, LmError>,
    ) -> Result<Self, LmError> {
        Ok(Self { query: tensor(query)?, key: tensor(key)? })
    }
}

impl LayerWeights {
    /// Puts query and key rows that come as rotary halves in this room's order.
    fn in_neighbour_order(mut self, config: &ModelConfig) -> Result<Self, LmError> {
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        self.query = to_neighbours(&self.query, heads)?;
        self.key = to_neighbours(&self.key, kv_heads)?;
        if let Some(biases) = &mut self.biases {
            biases.query = to_neighbours(&biases.query, heads)?;
            biases.key = to_neighbours(&biases.key, kv_heads)?;
        }
        if let Some(norms) = &mut self.head_norms {
            norms.query = to_neighbours(&norms.query, 1)?;
            norms.key = to_neighbours(&norms.key, 1)?;
        }
        Ok(self)
    }

    fn check_shapes(&self, c: &ModelConfig) -> Result<(), LmError> {
        let (hidden, query, kv) = (c.hidden_size, c.query_size(), c.kv_size());
        expect("attn_norm", &self.attention_norm, &[hidden])?;
        expect("attn_q", &self.query, &[query, hidden])?;
        expect("attn_k", &self.key, &[kv, hidden])?;
        expect("attn_v", &self.value, &[kv, hidden])?;
        expect("attn_output", &self.attention_out, &[hidden, query])?;
        expect("ffn_norm", &self.ffn_norm, &[hidden])?;
        expect("ffn_gate", &self.gate, &[c.ffn_size, hidden])?;
        expect("ffn_up", &self.up, &[c.ffn_size, hidden])?;
        expect("ffn_down", &self.down, &[hidden, c.ffn_size])?;
        if let Some(biases) = &self.biases {
            expect("attn_q.bias", &biases.query, &[query])?;
            expect("attn_k.bias", &biases.key, &[kv])?;
            expect("attn_v.bias", &biases.value, &[kv])?;
        }
        if let Some(norms) = &self.head_norms {
            expect("attn_q_norm", &norms.query, &[c.head_dim])?;
            expect("attn_k_norm", &norms.key, &[c.head_dim])?;
        }
        Ok(())
    }
}

impl Weights {
    /// Of a GGUF file, or of a Hugging Face folder.
    pub fn load(path: &Path) -> Result<Self, LmError> {
        if path.is_dir() { Self::from_safetensors(path) } else { Self::from_gguf(path) }
    }

    /// Reads and dequantises a GGUF of the Llama, Qwen2 or Qwen3 architecture.
    pub fn from_gguf(path: &Path) -> Result<Self, LmError> {
        Gguf::open(path)?.weights()
    }

    /// Reads a Hugging Face folder of the same architectures: `config.json` and `model.safetensors`, whole or in shards
    /// with their index, in f32, f16 or bf16.
    pub fn from_safetensors(dir: &Path) -> Result<Self, LmError> {
        Folder::open(dir)?.weights()
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
        let hidden = c.hidden_size;
        if self.layers.len() != c.layers {
            return Err(LmError::Shape(format!("{} layers of {}", self.layers.len(), c.layers)));
        }
        expect("token_embd", &self.embedding, &[c.vocab_size, hidden])?;
        expect("output_norm", &self.output_norm, &[hidden])?;
        if let Some(output) = &self.output {
            expect("output", output, &[c.vocab_size, hidden])?;
        }
        self.layers.iter().try_for_each(|layer| layer.check_shapes(c))
    }
}

fn expect(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), LmError> {
    if tensor.dims() == shape && tensor.dtype() == DType::F32 {
        return Ok(());
    }
    Err(LmError::Shape(format!("{name} is {:?} {:?}, not f32 {shape:?}", tensor.dtype(), tensor.dims())))
}
