//! An adapter laid out for the kernels: two thin products beside each wide one.
//!
//! Where several layers are fused into one product, so are their adapters: the `A` of all stand side by side, the `B` one
//! below the other along a diagonal, each over the columns of its own layer.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::panels;
use crate::lm::error::LmError;
use crate::lm::kernels::{Isa, Panels, matmul};
use crate::lm::lora::{Adapter as Lora, LoraConfig, LoraPair, Target};
use crate::lm::weights::ModelConfig;

#[derive(Debug)]
pub struct Adapter {
    pub layers: Vec<AdaptedLayer>,
}

/// `None` where no target is part of the product.
#[derive(Debug)]
pub struct AdaptedLayer {
    pub qkv: Option<Thin>,
    pub attention_out: Option<Thin>,
    pub gate_up: Option<Thin>,
    pub down: Option<Thin>,
}

/// `x·a·b` is added to a product of `x`; the scale is part of `b`.
#[derive(Debug)]
pub struct Thin {
    /// `in × ranks`.
    a: Panels,
    /// `ranks × out`.
    b: Panels,
}

impl Adapter {
    /// `adapter` must fit `model`.
    pub fn new(adapter: &Lora, model: &ModelConfig) -> Result<Self, LmError> {
        let layer = |pairs| AdaptedLayer::new(pairs, &adapter.config, model);
        Ok(Self { layers: adapter.layers.iter().map(layer).collect::<Result<_, _>>()? })
    }
}

impl AdaptedLayer {
    fn new(
        pairs: &BTreeMap<Target, LoraPair>,
        config: &LoraConfig,
        model: &ModelConfig,
    ) -> Result<Self, LmError> {
        let thin = |fused: &[Target]| {
            let adapted = fused.iter().any(|target| pairs.contains_key(target));
            adapted.then(|| Thin::new(pairs, fused, config, model)).transpose()
        };
        Ok(Self {
            qkv: thin(&[Target::Query, Target::Key, Target::Value])?,
            attention_out: thin(&[Target::Output])?,
            gate_up: thin(&[Target::Gate, Target::Up])?,
            down: thin(&[Target::Down])?,
        })
    }
}

impl Thin {
    fn new(
        pairs: &BTreeMap<Target, LoraPair>,
        fused: &[Target],
        config: &LoraConfig,
        model: &ModelConfig,
    ) -> Result<Self, LmError> {
        let a: Vec<Tensor> =
            fused.iter().filter_map(|target| pairs.get(target)).map(|pair| pair.a.clone()).collect();
        let ranks = a.len() * config.rank;
        let mut before = 0;
        let mut b = Vec::new();
        for target in fused {
            b.push(match pairs.get(target) {
                Some(pair) => {
                    let after = ranks - before - config.rank;
                    let scaled = (&pair.b * f64::from(config.scale()))?;
                    let placed = scaled.pad_with_zeros(1, before, after)?;
                    before += config.rank;
                    placed
                }
                None => Tensor::zeros((target.shape(model).0, ranks), DType::F32, &Device::Cpu)?,
            });
        }
        Ok(Self { a: panels(&a)?, b: panels(&b)? })
    }

    pub fn apply(&self, isa: Isa, x: &Panels) -> Panels {
        matmul(isa, &matmul(isa, x, &self.a), &self.b)
    }
}
