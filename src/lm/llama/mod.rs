//! The Llama forward pass over a packed, ragged batch, twice: on kernels for the CPU, in candle's operations elsewhere.
//!
//! The second is also the plain statement of what the first computes; a test holds them together.

mod cpu;
mod tensors;

use super::error::LmError;
use super::lora::Adapter;
use super::weights::{ModelConfig, Weights};

/// New tokens of one sequence.
#[derive(Debug)]
pub struct Chunk<'a> {
    pub tokens: &'a [u32],
    /// Keys and values that come before the sequence's own, shared with other sequences.
    pub prefix: Option<&'a Kv>,
    /// The sequence's own; grows by `tokens`.
    pub kv: &'a mut Kv,
    /// Whether the logits after the last token are wanted.
    pub wants_logits: bool,
}

/// Keys and values of a sequence, where the model keeps them.
#[derive(Debug)]
pub enum Kv {
    Cpu(cpu::Kv),
    Tensors(tensors::Kv),
}

impl Kv {
    /// Tokens held.
    pub fn tokens(&self) -> usize {
        match self {
            Self::Cpu(kv) => kv.tokens(),
            Self::Tensors(kv) => kv.tokens(),
        }
    }
}

/// A loaded model.
#[derive(Debug)]
pub enum Llama {
    Cpu(cpu::Llama),
    Tensors(tensors::Llama),
}

/// An adapter laid out for a [`Llama`].
#[derive(Debug)]
pub enum Adapted {
    Cpu(cpu::Adapter),
    Tensors(tensors::Adapter),
}

impl Llama {
    /// On kernels for the CPU.
    pub fn on_cpu(weights: Weights) -> Result<Self, LmError> {
        Ok(Self::Cpu(cpu::Llama::new(weights)?))
    }

    /// In candle's operations on `device`.
    pub fn in_tensors(weights: &Weights, device: &candle_core::Device) -> Result<Self, LmError> {
        Ok(Self::Tensors(tensors::Llama::new(weights, device)?))
    }

    pub fn config(&self) -> &ModelConfig {
        match self {
            Self::Cpu(model) => model.config(),
            Self::Tensors(model) => model.config(),
        }
    }

    pub fn new_kv(&self) -> Kv {
        match self {
            Self::Cpu(model) => Kv::Cpu(model.new_kv()),
            Self::Tensors(model) => Kv::Tensors(model.new_kv()),
        }
    }

    /// Lays `adapter` out beside the weights. Refused where it does not fit them.
    pub fn adapt(&self, adapter: &Adapter) -> Result<Adapted, LmError> {
        adapter.check(self.config())?;
        match self {
            Self::Cpu(model) => Ok(Adapted::Cpu(cpu::Adapter::new(adapter, model.config())?)),
            Self::Tensors(model) => Ok(Adapted::Tensors(model.adapt(adapter)?)),
        }
    }

    /// Runs all chunks in one pass, all with `adapter`. Gives the logits of those that want them, in order, each as long as
    /// the vocabulary.
    pub fn forward(
        &self,
        chunks: &mut [Chunk<'_>],
        adapter: Option<&Adapted>,
    ) -> Result<Vec<Vec<f32>>, LmError> {
        match (self, adapter) {
            (Self::Cpu(model), None) => model.forward(chunks, None),
            (Self::Cpu(model), Some(Adapted::Cpu(adapter))) => model.forward(chunks, Some(adapter)),
            (Self::Tensors(model), None) => Ok(model.forward(chunks, None)?),
            (Self::Tensors(model), Some(Adapted::Tensors(adapter))) => {
                Ok(model.forward(chunks, Some(adapter))?)
            }
            _ => Err(LmError::Shape("an adapter of another kind of model".into())),
        }
    }
}

/// Positions of a chunk's tokens in their sequence, prefix counted.
fn positions(chunk: &Chunk<'_>) -> std::ops::Range<usize> {
    let first = chunk.prefix.map_or(0, Kv::tokens) + chunk.kv.tokens();
    first..first + chunk.tokens.len()
}

/// The error for keys and values of a model of the other kind: a mistake in this room.
fn foreign_kv() -> LmError {
    LmError::Shape("keys and values of another kind of model".into())
}
