//! A frozen base model with trainable low-rank adapters on its linear layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::dropout::Dropout;
use super::ops::{Angles, Frozen, Lora, attention, gated, linear, rms_norm, rope};
use super::pack::Pack;
use crate::lm::{Adapter, HeadNorms, LayerWeights, LoraConfig, LoraPair, ModelConfig, Target, Weights};

/// The base and the adapter being trained. Shared among threads; only the adapter's values ever change.
pub struct Student {
    config: ModelConfig,
    lora: LoraConfig,
    device: Device,
    embedding: Tensor,
    layers: Vec<Layer>,
    output_norm: Tensor,
    /// `[vocab, hidden]`, the embedding where tied.
    pub(super) head: Arc<Frozen>,
}

struct Layer {
    attention_norm: Tensor,
    ffn_norm: Tensor,
    linears: BTreeMap<Target, Linear>,
    head_norms: Option<HeadNorms>,
}

struct Linear {
    frozen: Arc<Frozen>,
    bias: Option<Tensor>,
    adapter: Option<Trained>,
}

/// One layer's pair of matrices.
struct Trained {
    a: Var,
    b: Var,
}

/// A fresh adapter, which changes nothing yet: `A` uniform within ±1/sqrt(in), as PEFT starts it, and `B` zero.
pub fn fresh_adapter(config: LoraConfig, model: &ModelConfig, seed: u64) -> Result<Adapter> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut pair = |target: Target| -> Result<LoraPair> {
        let (outputs, inputs) = target.shape(model);
        let bound = 1.0 / (inputs as f32).sqrt();
        let a: Vec<f32> = (0..config.rank * inputs).map(|_| random.gen_range(-bound..bound)).collect();
        Ok(LoraPair {
            a: Tensor::from_vec(a, (config.rank, inputs), &Device::Cpu)?,
            b: Tensor::zeros((outputs, config.rank), DType::F32, &Device::Cpu)?,
        })
    };
    let mut layer = || -> Result<BTreeMap<Target, LoraPair>> {
        config.targets.iter().map(|target| Ok((*target, pair(*target)?))).collect()
    };
    let layers = (0..model.layers).map(|_| layer()).collect::<Result<_>>()?;
    Ok(Adapter { config, layers })
}

impl Student {
    /// Starts from `adapter`. In f32 on the CPU; elsewhere the base is bf16 and the adapter f32.
    pub fn new(weights: &Weights, adapter: &Adapter, device: &Device) -> Result<Self> {
        let dtype = if device.is_cpu() { DType::F32 } else { DType::BF16 };
        let place = |x: &Tensor| x.to_device(device)?.to_dtype(dtype);
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (layer, pairs) in weights.layers.iter().zip(&adapter.layers) {
            let mut linears = BTreeMap::new();
            for target in Target::ALL {
                let frozen = Arc::new(Frozen::new(&place(target.weight(layer))?)?);
                let adapter = pairs.get(&target).map(|pair| Trained::new(pair, device)).transpose()?;
                let bias = bias(layer, target).map(place).transpose()?;
                linears.insert(target, Linear { frozen, bias, adapter });
            }
            let norms = |norms: &HeadNorms| -> Result<HeadNorms> {
                Ok(HeadNorms { query: place(&norms.query)?, key: place(&norms.key)? })
            };
            layers.push(Layer {
                attention_norm: place(&layer.attention_norm)?,
                ffn_norm: place(&layer.ffn_norm)?,
                head_norms: layer.head_norms.as_ref().map(norms).transpose()?,
                linears,
            });
        }
        Ok(Self {
            config: weights.config.clone(),
            lora: adapter.config.clone(),
            embedding: place(&weights.embedding)?,
            output_norm: place(&weights.output_norm)?,
            head: Arc::new(Frozen::new(&place(weights.output.as_ref().unwrap_or(&weights.embedding))?)?),
            device: device.clone(),
            layers,
        })
    }

    /// All trained matrices, by layer, target, `A` before `B`.
    pub fn variables(&self) -> Vec<&Var> {
        let adapters = self.layers.iter().flat_map(|layer| layer.linears.values());
        adapters.filter_map(|linear| linear.adapter.as_ref()).flat_map(|pair| [&pair.a, &pair.b]).collect()
    }

    /// What has been learnt so far.
    pub fn adapter(&self) -> Result<Adapter> {
        let copy = |var: &Var| var.as_tensor().copy()?.to_device(&Device::Cpu);
        let pairs = |layer: &Layer| {
            let trained =
                layer.linears.iter().filter_map(|(target, linear)| Some((target, linear.adapter.as_ref()?)));
            trained
                .map(|(target, pair)| Ok((*target, LoraPair { a: copy(&pair.a)?, b: copy(&pair.b)? })))
                .collect()
        };
        let layers = self.layers.iter().map(pairs).collect::<Result<_>>()?;
        Ok(Adapter { config: self.lora.clone(), layers })
    }

    /// Normalised hidden states of the rows that predict an answer token, `[answer tokens, hidden]`.
    pub fn forward(&self, pack: &Pack, dropout: &mut Dropout) -> Result<Tensor> {
        let tokens = Tensor::new(pack.tokens.as_slice(), &self.device)?;
        let angles = Arc::new(Angles::new(&pack.positions(), self.config.head_dim, self.config.rope_base));
        let mut x = self.embedding.index_select(&tokens, 0)?;
        for layer in &self.layers {
            x = (&x + self.attend(layer, &x, pack, &angles, dropout)?)?;
            x = (&x + self.feed_forward(layer, &x, dropout)?)?;
        }
        let rows = Tensor::new(pack.predicting.as_slice(), &self.device)?;
        rms_norm(&x.index_select(&rows, 0)?, &self.output_norm, self.config.rms_norm_eps)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        pack: &Pack,
        angles: &Arc<Angles>,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let x = rms_norm(x, &layer.attention_norm, self.config.rms_norm_eps)?;
        let mut q = self.linear(layer, Target::Query, &x, dropout)?;
        let mut k = self.linear(layer, Target::Key, &x, dropout)?;
        if let Some(norms) = &layer.head_norms {
            (q, k) = (self.head_norm(&q, &norms.query)?, self.head_norm(&k, &norms.key)?);
        }
        let (q, k) = (rope(&q, angles)?, rope(&k, angles)?);
        let v = self.linear(layer, Target::Value, &x, dropout)?;
        let out = attention(&q, &k, &v, &pack.documents, self.config.head_dim)?;
        self.linear(layer, Target::Output, &out, dropout)
    }

    fn feed_forward(&self, layer: &Layer, x: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        let x = rms_norm(x, &layer.ffn_norm, self.config.rms_norm_eps)?;
        let gate = self.linear(layer, Target::Gate, &x, dropout)?;
        let up = self.linear(layer, Target::Up, &x, dropout)?;
        self.linear(layer, Target::Down, &gated(&gate, &up)?, dropout)
    }

    fn linear(&self, layer: &Layer, target: Target, x: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        let Linear { frozen, bias, adapter } = &layer.linears[&target];
        let lora = adapter.as_ref().map(|pair| pair.lora(self.lora.scale()));
        let out = match (&lora, dropout.mask(x, lora.is_some())?) {
            (Some(lora), Some(mask)) => (linear(x, frozen, None)? + low_rank(&(x * mask)?, lora)?)?,
            _ => linear(x, frozen, lora.as_ref())?,
        };
        match bias {
            Some(bias) => out.broadcast_add(bias),
            None => Ok(out),
        }
    }

    /// Normalises each head of `[rows, heads * head_dim]` by itself.
    fn head_norm(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let heads = x.reshape(((), self.config.head_dim))?;
        rms_norm(&heads, weight, self.config.rms_norm_eps)?.reshape(x.shape())
    }
}

/// A target's bias in models that have them.
fn bias(layer: &LayerWeights, target: Target) -> Option<&Tensor> {
    let biases = layer.biases.as_ref()?;
    match target {
        Target::Query => Some(&biases.query),
        Target::Key => Some(&biases.key),
        Target::Value => Some(&biases.value),
        _ => None,
    }
}

/// The adapter's share alone.
fn low_rank(x: &Tensor, lora: &Lora) -> Result<Tensor> {
    let (a, b) = (lora.a.to_dtype(x.dtype())?, lora.b.to_dtype(x.dtype())?);
    x.matmul(&a.t()?)?.matmul(&b.t()?)? * f64::from(lora.scale)
}

impl Trained {
    fn new(pair: &LoraPair, device: &Device) -> Result<Self> {
        let var = |x: &Tensor| Var::from_tensor(&x.to_device(device)?.copy()?);
        Ok(Self { a: var(&pair.a)?, b: var(&pair.b)? })
    }

    fn lora(&self, scale: f32) -> Lora {
        Lora { a: self.a.as_tensor().clone(), b: self.b.as_tensor().clone(), scale }
    }
}
