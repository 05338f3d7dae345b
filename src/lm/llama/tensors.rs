//! The forward pass in candle's operations: runs wherever candle does, and is the reference for the kernels.
//!
//! Linear layers take the whole batch; attention goes sequence by sequence.

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, IndexOp, Result, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::rope_i;

use super::{Chunk, Kv as AnyKv, positions};
use crate::lm::lora::{Adapter as Lora, LoraPair, Target};
use crate::lm::weights::{Biases, HeadNorms, LayerWeights, ModelConfig, Weights};

#[derive(Debug)]
pub struct Llama {
    config: ModelConfig,
    device: Device,
    /// `[position, head_dim / 2]`.
    cos: Tensor,
    sin: Tensor,
    weights: Weights,
}

/// Pairs of every layer on the device; the scale is part of `b`.
#[derive(Debug)]
pub struct Adapter {
    layers: Vec<BTreeMap<Target, LoraPair>>,
}

/// A layer with what the adapter in use adds to it.
struct LayerView<'a> {
    index: usize,
    base: &'a LayerWeights,
    adapted: Option<&'a BTreeMap<Target, LoraPair>>,
}

impl LayerView<'_> {
    fn linear(&self, x: &Tensor, target: Target) -> Result<Tensor> {
        let y = linear(x, target.weight(self.base))?;
        match self.adapted.and_then(|pairs| pairs.get(&target)) {
            Some(pair) => y + linear(&linear(x, &pair.a)?, &pair.b)?,
            None => Ok(y),
        }
    }
}

/// Keys and values a layer, each `[kv_heads, tokens, head_dim]`.
#[derive(Debug, Default)]
pub struct Kv {
    layers: Vec<(Tensor, Tensor)>,
    tokens: usize,
}

impl Kv {
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    fn append(&mut self, layer: usize, k: Tensor, v: Tensor) -> Result<()> {
        match self.layers.get_mut(layer) {
            Some((keys, values)) => {
                *keys = Tensor::cat(&[&*keys, &k], 1)?;
                *values = Tensor::cat(&[&*values, &v], 1)?;
            }
            None => self.layers.push((k, v)),
        }
        Ok(())
    }
}

impl Llama {
    pub fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let config = weights.config.clone();
        let pairs = config.head_dim / 2;
        let step = |i: usize| 1.0 / config.rope_base.powf(2.0 * i as f32 / config.head_dim as f32);
        let steps = Tensor::from_iter((0..pairs).map(step), device)?.reshape((1, pairs))?;
        let positions = Tensor::arange(0, config.context_length as u32, device)?.to_dtype(DType::F32)?;
        let angles = positions.reshape((config.context_length, 1))?.matmul(&steps)?;
        Ok(Self {
            cos: angles.cos()?,
            sin: angles.sin()?,
            weights: to_device(weights, device)?,
            device: device.clone(),
            config,
        })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn new_kv(&self) -> Kv {
        Kv::default()
    }

    /// `adapter` must fit.
    pub fn adapt(&self, adapter: &Lora) -> Result<Adapter> {
        let scale = f64::from(adapter.config.scale());
        let pair = |pair: &LoraPair| -> Result<LoraPair> {
            let b = (&pair.b * scale)?;
            Ok(LoraPair { a: pair.a.to_device(&self.device)?, b: b.to_device(&self.device)? })
        };
        let layer = |pairs: &BTreeMap<Target, LoraPair>| -> Result<BTreeMap<Target, LoraPair>> {
            pairs.iter().map(|(target, thin)| Ok((*target, pair(thin)?))).collect()
        };
        Ok(Adapter { layers: adapter.layers.iter().map(layer).collect::<Result<_>>()? })
    }

    pub fn forward(&self, chunks: &mut [Chunk<'_>], adapter: Option<&Adapter>) -> Result<Vec<Vec<f32>>> {
        let tokens: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.tokens).copied().collect();
        let tokens = Tensor::new(tokens, &self.device)?;
        let mut x = self.weights.embedding.index_select(&tokens, 0)?;
        for (index, base) in self.weights.layers.iter().enumerate() {
            let adapted = adapter.and_then(|adapter| adapter.layers.get(index));
            let layer = LayerView { index, base, adapted };
            x = (&x + self.attention(&layer, &x, chunks)?)?;
            x = (&x + self.feed_forward(&layer, &x)?)?;
        }
        for chunk in chunks.iter_mut() {
            own(chunk.kv)?.tokens += chunk.tokens.len();
        }
        self.logits(&x, chunks)
    }

    fn attention(&self, layer: &LayerView<'_>, x: &Tensor, chunks: &mut [Chunk<'_>]) -> Result<Tensor> {
        let x = rms_norm(x, &layer.base.attention_norm, self.config.rms_norm_eps)?;
        let q = layer.linear(&x, Target::Query)?;
        let k = layer.linear(&x, Target::Key)?;
        let v = layer.linear(&x, Target::Value)?;
        let (q, k, v) = biased(layer.base, q, k, v)?;
        let mut attended = Vec::new();
        let mut first = 0;
        for chunk in chunks.iter_mut().filter(|chunk| !chunk.tokens.is_empty()) {
            let count = chunk.tokens.len();
            let at = positions(chunk).start;
            let rows = |x: &Tensor| x.narrow(0, first, count);
            let (q, k) = self.normed(layer.base, self.heads(&rows(&q)?)?, self.heads(&rows(&k)?)?)?;
            let (q, k) = (self.turned(&q, at)?, self.turned(&k, at)?);
            own(chunk.kv)?.append(layer.index, k, self.heads(&rows(&v)?)?)?;
            attended.push(self.attend(layer.index, &q, chunk)?);
            first += count;
        }
        layer.linear(&Tensor::cat(&attended, 0)?, Target::Output)
    }

    /// `[rows, heads * head_dim]` as `[heads, rows, head_dim]`.
    fn heads(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        x.reshape((rows, (), self.config.head_dim))?.transpose(0, 1)?.contiguous()
    }

    /// Queries and keys of `[heads, rows, head_dim]`, normalised head by head where the model does so.
    fn normed(&self, layer: &LayerWeights, q: Tensor, k: Tensor) -> Result<(Tensor, Tensor)> {
        let Some(norms) = &layer.head_norms else { return Ok((q, k)) };
        let eps = self.config.rms_norm_eps;
        Ok((rms_norm(&q, &norms.query, eps)?, rms_norm(&k, &norms.key, eps)?))
    }

    fn turned(&self, x: &Tensor, first_position: usize) -> Result<Tensor> {
        let rows = x.dim(1)?;
        let cos = self.cos.narrow(0, first_position, rows)?;
        let sin = self.sin.narrow(0, first_position, rows)?;
        rope_i(&x.unsqueeze(0)?.contiguous()?, &cos, &sin)?.squeeze(0)
    }

    /// One sequence's queries over all its keys.
    fn attend(&self, layer: usize, q: &Tensor, chunk: &Chunk<'_>) -> Result<Tensor> {
        let (heads, rows, head_dim) = q.dims3()?;
        let (k, v) = visible(layer, chunk)?;
        let group = heads / self.config.kv_heads;
        let q = q.reshape((self.config.kv_heads, group * rows, head_dim))?;
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (head_dim as f64).sqrt())?;
        let keys = scores.dim(D::Minus1)?;
        let scores = scores.reshape((heads, rows, keys))?.broadcast_add(&self.causal(rows, keys)?)?;
        let weights = softmax_last_dim(&scores)?.reshape((self.config.kv_heads, group * rows, keys))?;
        let out = weights.matmul(&v.contiguous()?)?.reshape((heads, rows, head_dim))?;
        out.transpose(0, 1)?.reshape((rows, heads * head_dim))
    }

    /// Zero where row `r` of the last `rows` of `keys` tokens may look, else minus infinity.
    fn causal(&self, rows: usize, keys: usize) -> Result<Tensor> {
        let visible = |row: usize, key: usize| key <= keys - rows + row;
        let mask = (0..rows).flat_map(|row| (0..keys).map(move |key| (row, key)));
        let mask = mask.map(|(row, key)| if visible(row, key) { 0.0 } else { f32::NEG_INFINITY });
        Tensor::from_iter(mask, &self.device)?.reshape((1, rows, keys))
    }

    fn feed_forward(&self, layer: &LayerView<'_>, x: &Tensor) -> Result<Tensor> {
        let x = rms_norm(x, &layer.base.ffn_norm, self.config.rms_norm_eps)?;
        let gated = (silu(&layer.linear(&x, Target::Gate)?)? * layer.linear(&x, Target::Up)?)?;
        layer.linear(&gated, Target::Down)
    }

    fn logits(&self, x: &Tensor, chunks: &[Chunk<'_>]) -> Result<Vec<Vec<f32>>> {
        let mut end = 0;
        let mut wanted = Vec::new();
        for chunk in chunks {
            end += chunk.tokens.len();
            if chunk.wants_logits && !chunk.tokens.is_empty() {
                wanted.push(x.i(end - 1..end)?);
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let x = rms_norm(&Tensor::cat(&wanted, 0)?, &self.weights.output_norm, self.config.rms_norm_eps)?;
        let output = self.weights.output.as_ref().unwrap_or(&self.weights.embedding);
        linear(&x, output)?.to_vec2()
    }
}

fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}

fn biased(layer: &LayerWeights, q: Tensor, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let Some(biases) = &layer.biases else { return Ok((q, k, v)) };
    let q = q.broadcast_add(&biases.query)?;
    Ok((q, k.broadcast_add(&biases.key)?, v.broadcast_add(&biases.value)?))
}

/// The prefix's keys and values followed by the sequence's own.
fn visible(layer: usize, chunk: &Chunk<'_>) -> Result<(Tensor, Tensor)> {
    let of = |kv: &AnyKv| match kv {
        AnyKv::Tensors(kv) => Ok(kv.layers.get(layer).cloned()),
        AnyKv::Cpu(_) => candle_core::bail!("keys and values of another kind of model"),
    };
    let prefix = chunk.prefix.map(of).transpose()?.flatten();
    let own = of(chunk.kv)?;
    match (prefix, own) {
        (Some((k0, v0)), Some((k, v))) => Ok((Tensor::cat(&[k0, k], 1)?, Tensor::cat(&[v0, v], 1)?)),
        (Some(kv), None) | (None, Some(kv)) => Ok(kv),
        (None, None) => candle_core::bail!("a sequence without keys"),
    }
}

fn own(kv: &mut AnyKv) -> Result<&mut Kv> {
    match kv {
        AnyKv::Tensors(kv) => Ok(kv),
        AnyKv::Cpu(_) => candle_core::bail!("keys and values of another kind of model"),
    }
}

fn to_device(weights: &Weights, device: &Device) -> Result<Weights> {
    let biases = |biases: &Biases| -> Result<Biases> {
        Ok(Biases {
            query: biases.query.to_device(device)?,
            key: biases.key.to_device(device)?,
            value: biases.value.to_device(device)?,
        })
    };
    let norms = |norms: &HeadNorms| -> Result<HeadNorms> {
        Ok(HeadNorms { query: norms.query.to_device(device)?, key: norms.key.to_device(device)? })
    };
    let layer = |layer: &LayerWeights| -> Result<LayerWeights> {
        Ok(LayerWeights {
            attention_norm: layer.attention_norm.to_device(device)?,
            query: layer.query.to_device(device)?,
            key: layer.key.to_device(device)?,
            value: layer.value.to_device(device)?,
            attention_out: layer.attention_out.to_device(device)?,
            ffn_norm: layer.ffn_norm.to_device(device)?,
            gate: layer.gate.to_device(device)?,
            up: layer.up.to_device(device)?,
            down: layer.down.to_device(device)?,
            biases: layer.biases.as_ref().map(biases).transpose()?,
            head_norms: layer.head_norms.as_ref().map(norms).transpose()?,
        })
    };
    Ok(Weights {
        config: weights.config.clone(),
        embedding: weights.embedding.to_device(device)?,
        layers: weights.layers.iter().map(layer).collect::<Result<_>>()?,
        output_norm: weights.output_norm.to_device(device)?,
        output: weights.output.as_ref().map(|output| output.to_device(device)).transpose()?,
    })
}
