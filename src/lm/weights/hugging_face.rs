//! Weights out of a Hugging Face folder: `config.json`, and `model.safetensors` whole or in shards with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Biases, Family, HeadNorms, LayerWeights, ModelConfig, Weights};
use crate::lm::error::LmError;

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The rotary base that transformers takes where a config names none.
const ROPE_BASE: f32 = 10_000.0;

/// What is read of `config.json`. Fields that the tensors themselves tell (such as biases) are left out.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: f32,
    max_position_embeddings: usize,
    /// Of transformers before 5; since then in `rope_parameters`.
    rope_theta: Option<f32>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<RopeParameters>,
    tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    #[serde(default)]
    use_sliding_window: bool,
}

#[derive(Debug, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f32>,
    rope_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// A folder as transformers saves it.
pub struct Folder<'a> {
    dir: &'a Path,
    config: Config,
}

impl<'a> Folder<'a> {
    pub fn open(dir: &'a Path) -> Result<Self, LmError> {
        let path = dir.join("config.json");
        Ok(Self { dir, config: read_json(&path)? })
    }

    pub fn weights(&self) -> Result<Weights, LmError> {
        let family = Family::parse(&self.config.model_type).map_err(|problem| self.unusable(problem))?;
        let config = self.shape()?;
        config.validate()?;
        let mut tensors = Tensors { folder: self, tensors: self.tensors()? };
        let layers =
            (0..config.layers).map(|i| tensors.layer(i, family, &config)).collect::<Result<_, _>>()?;
        let embedding = tensors.take("model.embed_tokens.weight")?;
        let output_norm = tensors.take("model.norm.weight")?;
        let output = tensors.output()?;
        if let Some(name) = tensors.tensors.keys().next() {
            let architecture = &self.config.model_type;
            return Err(
                self.unusable(format!("it holds {name}, which is no part of a {architecture} model here"))
            );
        }
        Weights::new(config, embedding, layers, output_norm, output)
    }

    fn shape(&self) -> Result<ModelConfig, LmError> {
        let c = &self.config;
        let share = c.hidden_size.checked_div(c.num_attention_heads).unwrap_or(0);
        if c.hidden_act.as_deref().is_some_and(|name| name != "silu") || c.use_sliding_window {
            return Err(self.unusable("only the activation \"silu\" and full attention are supported".into()));
        }
        Ok(ModelConfig {
            vocab_size: c.vocab_size,
            hidden_size: c.hidden_size,
            ffn_size: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            kv_heads: c.num_key_value_heads.unwrap_or(c.num_attention_heads),
            head_dim: c.head_dim.unwrap_or(share),
            rms_norm_eps: c.rms_norm_eps,
            rope_base: self.rope_base()?,
            context_length: c.max_position_embeddings,
        })
    }

    fn rope_base(&self) -> Result<f32, LmError> {
        let Config { rope_theta, rope_scaling, rope_parameters, .. } = &self.config;
        let kind = rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" || rope_scaling.is_some() {
            let problem =
                "scaled rotary positions (rope_scaling, rope_parameters.rope_type) are not supported";
            return Err(self.unusable(problem.into()));
        }
        let newer = rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        Ok(newer.or(*rope_theta).unwrap_or(ROPE_BASE))
    }

    /// All tensors by name, in f32.
    fn tensors(&self) -> Result<BTreeMap<String, Tensor>, LmError> {
        let mut tensors = BTreeMap::new();
        for file in self.files()? {
            let path = self.dir.join(file);
            let unusable = |reason: String| LmError::Folder { path: path.clone(), reason };
            let bytes = read(&path)?;
            let shard = SafeTensors::deserialize(&bytes).map_err(|error| unusable(error.to_string()))?;
            for (name, view) in shard.iter() {
                // Old checkpoints keep the rotary steps, which follow from the config.
                if !name.ends_with(".rotary_emb.inv_freq") {
                    let tensor = to_f32(&view).map_err(|problem| unusable(format!("{name}: {problem}")))?;
                    tensors.insert(name.to_owned(), tensor);
                }
            }
        }
        Ok(tensors)
    }

    fn files(&self) -> Result<BTreeSet<String>, LmError> {
        let index = self.dir.join(INDEX);
        if !index.is_file() {
            return Ok(BTreeSet::from([WHOLE.to_owned()]));
        }
        let files: BTreeSet<String> = read_json::<Index>(&index)?.weight_map.into_values().collect();
        let plain = |file: &&String| {
            let mut parts = Path::new(file.as_str()).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
        match files.iter().find(|file| !plain(file)) {
            Some(file) => {
                Err(LmError::Folder { path: index, reason: format!("{file:?} is not a file of this folder") })
            }
            None => Ok(files),
        }
    }

    fn unusable(&self, reason: String) -> LmError {
        LmError::Folder { path: self.dir.to_owned(), reason }
    }
}

/// What is left of a folder's tensors.
struct Tensors<'a> {
    folder: &'a Folder<'a>,
    tensors: BTreeMap<String, Tensor>,
}

impl Tensors<'_> {
    fn take(&mut self, name: &str) -> Result<Tensor, LmError> {
        self.tensors.remove(name).ok_or_else(|| self.folder.unusable(format!("it has no tensor {name}")))
    }

    /// `None` where the embedding stands for it, whether or not the file holds a copy.
    fn output(&mut self) -> Result<Option<Tensor>, LmError> {
        match (self.folder.config.tie_word_embeddings, self.tensors.remove("lm_head.weight")) {
            (Some(true), _) | (None, None) => Ok(None),
            (_, Some(output)) => Ok(Some(output)),
            (Some(false), None) => Err(self.folder.unusable("it has no tensor lm_head.weight".into())),
        }
    }

    fn layer(&mut self, index: usize, family: Family, config: &ModelConfig) -> Result<LayerWeights, LmError> {
        let mut take = |name: &str| self.take(&format!("model.layers.{index}.{name}"));
        let biases = ["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"];
        let norms = ["self_attn.q_norm.weight", "self_attn.k_norm.weight"];
        let layer = LayerWeights {
            attention_norm: take("input_layernorm.weight")?,
            query: take("self_attn.q_proj.weight")?,
            key: take("self_attn.k_proj.weight")?,
            value: take("self_attn.v_proj.weight")?,
            attention_out: take("self_attn.o_proj.weight")?,
            ffn_norm: take("post_attention_layernorm.weight")?,
            gate: take("mlp.gate_proj.weight")?,
            up: take("mlp.up_proj.weight")?,
            down: take("mlp.down_proj.weight")?,
            biases: family.has_biases().then(|| Biases::read(biases, &mut take)).transpose()?,
            head_norms: family.has_head_norms().then(|| HeadNorms::read(norms, &mut take)).transpose()?,
        };
        layer.check_shapes(config)?;
        layer.in_neighbour_order(config)
    }
}

/// A tensor stored in f32, f16 or bf16, as f32.
pub fn to_f32(view: &TensorView<'_>) -> Result<Tensor, String> {
    if ![safetensors::Dtype::F32, safetensors::Dtype::F16, safetensors::Dtype::BF16].contains(&view.dtype()) {
        return Err(format!("it is {:?}, not f32, f16 or bf16", view.dtype()));
    }
    let tensor = view.load(&Device::Cpu).and_then(|tensor| tensor.to_dtype(DType::F32));
    tensor.map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, LmError> {
    std::fs::read(path).map_err(|source| LmError::Open { path: path.to_owned(), source })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LmError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| LmError::Folder { path: path.to_owned(), reason: error.to_string() })
}
