//! The files of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A pair is two tensors, `base_model.model.model.layers.<i>.self_attn.q_proj.lora_A.weight` (`[rank, in]`) and the same with
//! `lora_B` (`[out, rank]`). PEFT knows many variants of LoRA; one that this room does not compute is refused by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Adapter, LoraConfig, LoraPair, Target};
use crate::lm::error::LmError;
use crate::lm::rotary;
use crate::lm::weights::{ModelConfig, to_f32};

pub const CONFIG: &str = "adapter_config.json";
pub const TENSORS: &str = "adapter_model.safetensors";

/// Settings that may be present but must be off (absent, null, false or empty): each would change what is computed.
const UNSUPPORTED: &[&str] = &[
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "exclude_modules",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_pattern",
    "layers_to_transform",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];

/// Ways to begin training that leave the base's weights alone; the others are told apart from them by name.
const INITIALISATIONS: &[&str] = &["gaussian", "eva", "orthogonal"];

/// What is written. PEFT fills in its defaults for the rest.
#[derive(Serialize)]
struct Written<'a> {
    peft_type: &'static str,
    task_type: &'static str,
    base_model_name_or_path: &'a str,
    r: usize,
    lora_alpha: f32,
    lora_dropout: f32,
    target_modules: &'a BTreeSet<Target>,
    bias: &'static str,
    fan_in_fan_out: bool,
    inference_mode: bool,
    init_lora_weights: bool,
    modules_to_save: Option<()>,
    use_dora: bool,
    use_rslora: bool,
}

/// What is read.
#[derive(Deserialize)]
struct Read {
    peft_type: String,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f32,
    target_modules: Value,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    init_lora_weights: Value,
}

/// A file of an adapter, for errors.
struct Source(PathBuf);

impl Source {
    fn error(&self, reason: impl ToString) -> LmError {
        LmError::Adapter { path: self.0.clone(), reason: reason.to_string() }
    }

    fn read(&self) -> Result<Vec<u8>, LmError> {
        std::fs::read(&self.0).map_err(|error| self.error(error))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), LmError> {
        std::fs::write(&self.0, bytes).map_err(|error| self.error(error))
    }
}

pub fn load(dir: &Path, model: &ModelConfig) -> Result<Adapter, LmError> {
    let config = load_config(&Source(dir.join(CONFIG)))?;
    let source = Source(dir.join(TENSORS));
    let layers = load_layers(&source, &config, model)?;
    let adapter = Adapter { config, layers };
    adapter.check(model).map_err(|error| source.error(error))?;
    Ok(adapter)
}

pub fn save(adapter: &Adapter, dir: &Path, dtype: DType, model: &ModelConfig) -> Result<(), LmError> {
    std::fs::create_dir_all(dir).map_err(|error| Source(dir.into()).error(error))?;
    let source = Source(dir.join(TENSORS));
    if ![DType::F32, DType::F16, DType::BF16].contains(&dtype) {
        return Err(source.error(format!("{dtype:?} is not f32, f16 or bf16")));
    }
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (index, pairs) in adapter.layers.iter().enumerate() {
        for (target, pair) in pairs {
            let b = match target.rotary_heads(model) {
                Some(heads) => rotary::to_halves(&pair.b, heads)?,
                None => pair.b.clone(),
            };
            tensors.insert(key(index, *target, 'A'), stored(&pair.a, dtype)?);
            tensors.insert(key(index, *target, 'B'), stored(&b, dtype)?);
        }
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(&tensors, Some(metadata)).map_err(|error| source.error(error))?;
    source.write(&bytes)?;
    let source = Source(dir.join(CONFIG));
    let mut text =
        serde_json::to_string_pretty(&written(&adapter.config)).map_err(|error| source.error(error))?;
    text.push('\n');
    source.write(text.as_bytes())
}

fn stored(tensor: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(dtype)?.contiguous()
}

fn written(config: &LoraConfig) -> Written<'_> {
    Written {
        peft_type: "LORA",
        task_type: "CAUSAL_LM",
        base_model_name_or_path: &config.base,
        r: config.rank,
        lora_alpha: config.alpha,
        lora_dropout: 0.0,
        target_modules: &config.targets,
        bias: "none",
        fan_in_fan_out: false,
        inference_mode: true,
        init_lora_weights: true,
        modules_to_save: None,
        use_dora: false,
        use_rslora: false,
    }
}

fn load_config(source: &Source) -> Result<LoraConfig, LmError> {
    let settings: Map<String, Value> =
        serde_json::from_slice(&source.read()?).map_err(|error| source.error(error))?;
    let on = UNSUPPORTED.iter().find(|key| settings.get(**key).is_some_and(|value| !is_off(value)));
    if let Some(key) = on {
        return Err(source.error(format!("{key} = {} is not supported: only plain LoRA is", settings[*key])));
    }
    let read: Read = serde_json::from_value(Value::Object(settings)).map_err(|error| source.error(error))?;
    if read.peft_type != "LORA" {
        return Err(source.error(format!("peft_type is {:?}; only \"LORA\" is supported", read.peft_type)));
    }
    if let Some(bias) = read.bias.as_deref().filter(|bias| *bias != "none") {
        return Err(
            source.error(format!("bias = {bias:?}; trained biases are not supported, only \"none\" is"))
        );
    }
    if let Some(way) = read.init_lora_weights.as_str().filter(|way| !INITIALISATIONS.contains(way)) {
        return Err(source.error(format!(
            "init_lora_weights = {way:?} changes the base as well; convert the adapter to plain LoRA with PEFT first"
        )));
    }
    // Rank-stabilised LoRA (Kalajdzievski, arXiv 2312.03732) scales by alpha / √rank.
    let stabilised = if read.use_rslora { (read.r as f32).sqrt() } else { 1.0 };
    Ok(LoraConfig {
        rank: read.r,
        alpha: read.lora_alpha * stabilised,
        targets: targets(&read.target_modules).map_err(|problem| source.error(problem))?,
        base: read.base_model_name_or_path.unwrap_or_default(),
    })
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn targets(modules: &Value) -> Result<BTreeSet<Target>, String> {
    let Value::Array(names) = modules else {
        return Err(format!("target_modules = {modules}; a list of layer names is needed"));
    };
    let target = |name: &Value| {
        let known = || Target::ALL.map(Target::name).join(", ");
        name.as_str().and_then(Target::parse).ok_or_else(|| {
            format!("target_modules names {name}; only these layers can be adapted: {}", known())
        })
    };
    names.iter().map(target).collect()
}

fn load_layers(
    source: &Source,
    config: &LoraConfig,
    model: &ModelConfig,
) -> Result<Vec<BTreeMap<Target, LoraPair>>, LmError> {
    let bytes = source.read()?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| source.error(error))?;
    let mut unread: BTreeSet<&str> = file.names().into_iter().collect();
    let mut take = |name: String| {
        unread.remove(name.as_str());
        tensor(source, &file, &name)
    };
    let mut layers = Vec::with_capacity(model.layers);
    for index in 0..model.layers {
        let mut pairs = BTreeMap::new();
        for target in &config.targets {
            let a = take(key(index, *target, 'A'))?;
            let b = take(key(index, *target, 'B'))?;
            let b = match target.rotary_heads(model) {
                // What does not divide into heads is left as it is: the check of shapes refuses it.
                Some(heads) if b.dim(0)? % (2 * heads) == 0 => rotary::to_neighbours(&b, heads)?,
                _ => b,
            };
            pairs.insert(*target, LoraPair { a, b });
        }
        layers.push(pairs);
    }
    match unread.first() {
        Some(name) => Err(source.error(format!(
            "it holds {name}, which neither target_modules nor a model of {} layers accounts for",
            model.layers
        ))),
        None => Ok(layers),
    }
}

fn tensor(source: &Source, file: &SafeTensors<'_>, name: &str) -> Result<Tensor, LmError> {
    let view = file.tensor(name).map_err(|error| source.error(format!("{name}: {error}")))?;
    if view.shape().len() != 2 {
        return Err(source.error(format!("{name} is {:?}, not a matrix", view.shape())));
    }
    to_f32(&view).map_err(|problem| source.error(format!("{name}: {problem}")))
}

fn key(layer: usize, target: Target, half: char) -> String {
    let block = match target {
        Target::Query | Target::Key | Target::Value | Target::Output => "self_attn",
        Target::Gate | Target::Up | Target::Down => "mlp",
    };
    format!("base_model.model.model.layers.{layer}.{block}.{}.lora_{half}.weight", target.name())
}
