//! Low-rank adapters (LoRA: Hu et al., arXiv 2106.09685): what fine-tuning learns, kept apart from the base it was learnt on.
//!
//! An adapted linear layer computes `y = W·x + scale · B·(A·x)` with a thin `A` and `B`. Files are in PEFT's own layout, see
//! [`peft`]; in memory the rows of `B` for queries and keys are in this room's order, as the rows of the weights are.

mod peft;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::error::LmError;
use super::weights::{LayerWeights, ModelConfig, Weights};

/// A linear layer that can be adapted, by PEFT's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    #[serde(rename = "q_proj")]
    Query,
    #[serde(rename = "k_proj")]
    Key,
    #[serde(rename = "v_proj")]
    Value,
    #[serde(rename = "o_proj")]
    Output,
    #[serde(rename = "gate_proj")]
    Gate,
    #[serde(rename = "up_proj")]
    Up,
    #[serde(rename = "down_proj")]
    Down,
}

impl Target {
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// As PEFT and Hugging Face write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// `(out, in)` of the layer in a model of this shape.
    pub fn shape(self, model: &ModelConfig) -> (usize, usize) {
        let hidden = model.hidden_size;
        match self {
            Self::Query => (model.query_size(), hidden),
            Self::Key | Self::Value => (model.kv_size(), hidden),
            Self::Output => (hidden, model.query_size()),
            Self::Gate | Self::Up => (model.ffn_size, hidden),
            Self::Down => (hidden, model.ffn_size),
        }
    }

    /// The layer's weight, `[out, in]`.
    pub fn weight(self, layer: &LayerWeights) -> &Tensor {
        match self {
            Self::Query => &layer.query,
            Self::Key => &layer.key,
            Self::Value => &layer.value,
            Self::Output => &layer.attention_out,
            Self::Gate => &layer.gate,
            Self::Up => &layer.up,
            Self::Down => &layer.down,
        }
    }

    fn weight_mut(self, layer: &mut LayerWeights) -> &mut Tensor {
        match self {
            Self::Query => &mut layer.query,
            Self::Key => &mut layer.key,
            Self::Value => &mut layer.value,
            Self::Output => &mut layer.attention_out,
            Self::Gate => &mut layer.gate,
            Self::Up => &mut layer.up,
            Self::Down => &mut layer.down,
        }
    }

    /// Heads of the layer's output rows, where rotary positions turn them.
    fn rotary_heads(self, model: &ModelConfig) -> Option<usize> {
        match self {
            Self::Query => Some(model.heads),
            Self::Key => Some(model.kv_heads),
            _ => None,
        }
    }
}

/// What is adapted, and how strongly.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// At least 1.
    pub rank: usize,
    pub alpha: f32,
    pub targets: BTreeSet<Target>,
    /// The model that was adapted, for people (`base_model_name_or_path`).
    pub base: String,
}

impl LoraConfig {
    /// The factor before `B·A`.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }
}

/// The two thin matrices of one layer, f32.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// `[rank, in]`.
    pub a: Tensor,
    /// `[out, rank]`.
    pub b: Tensor,
}

/// A trained adapter: a pair for every target of every layer.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub config: LoraConfig,
    pub layers: Vec<BTreeMap<Target, LoraPair>>,
}

impl Adapter {
    /// The files of a folder in PEFT's layout.
    pub const FILES: [&str; 2] = [peft::CONFIG, peft::TENSORS];

    /// Reads a folder in PEFT's layout and checks that it fits `model`.
    pub fn load(dir: &Path, model: &ModelConfig) -> Result<Self, LmError> {
        peft::load(dir, model)
    }

    /// Writes a folder in PEFT's layout, made if need be: the same bytes for the same adapter. `dtype` is f32, f16 or bf16.
    pub fn save(&self, dir: &Path, dtype: DType, model: &ModelConfig) -> Result<(), LmError> {
        self.check(model)?;
        peft::save(self, dir, dtype, model)
    }

    /// Whether its shapes are those of a model of this shape.
    pub fn check(&self, model: &ModelConfig) -> Result<(), LmError> {
        let LoraConfig { rank, alpha, targets, .. } = &self.config;
        if *rank == 0 || !alpha.is_finite() || targets.is_empty() {
            return Err(LmError::Lora(format!(
                "rank {rank}, alpha {alpha} and {} targets; the rank must be at least 1, alpha finite, and a target named",
                targets.len()
            )));
        }
        if self.layers.len() != model.layers {
            return Err(LmError::Lora(format!(
                "it adapts {} layers, the model has {}: it belongs to another base (it says {:?})",
                self.layers.len(),
                model.layers,
                self.config.base
            )));
        }
        self.layers.iter().enumerate().try_for_each(|(index, pairs)| self.check_layer(index, pairs, model))
    }

    fn check_layer(
        &self,
        index: usize,
        pairs: &BTreeMap<Target, LoraPair>,
        model: &ModelConfig,
    ) -> Result<(), LmError> {
        if !pairs.keys().eq(&self.config.targets) {
            let missing = self.config.targets.iter().find(|target| !pairs.contains_key(target));
            let name = missing.map_or("a layer that is not among its targets", |target| target.name());
            let problem = if missing.is_some() { "lacks" } else { "adapts" };
            return Err(LmError::Lora(format!("layer {index} {problem} {name}")));
        }
        for (target, pair) in pairs {
            let (out, input) = target.shape(model);
            let rank = self.config.rank;
            let found = (pair.a.dims(), pair.b.dims());
            if found != (&[rank, input], &[out, rank])
                || pair.a.dtype() != DType::F32
                || pair.b.dtype() != DType::F32
            {
                return Err(LmError::Lora(format!(
                    "layer {index} {}: A is {:?} and B is {:?}, the model and rank {rank} need f32 {:?} and {:?}; it \
                     belongs to another base (it says {:?})",
                    target.name(),
                    found.0,
                    found.1,
                    [rank, input],
                    [out, rank],
                    self.config.base
                )));
            }
        }
        Ok(())
    }
}

impl Weights {
    /// Adds an adapter into the weights: `W += scale · B·A`.
    pub fn merge(&mut self, adapter: &Adapter) -> Result<(), LmError> {
        adapter.check(&self.config)?;
        let scale = f64::from(adapter.config.scale());
        for (layer, pairs) in self.layers.iter_mut().zip(&adapter.layers) {
            for (target, pair) in pairs {
                let weight = target.weight_mut(layer);
                *weight = (&*weight + (pair.b.matmul(&pair.a)? * scale)?)?;
            }
        }
        Ok(())
    }
}
