//! Models of every family out of others' files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use endcap::lm::{LmError, Model, Prompt, Weights};

use super::tiny::{self, Family};
use super::{distance, reference, sequences, slices};
use crate::support;

fn save_folder(dir: &Path, family: Family, weights: &Weights, dtype: DType) {
    let tensors = reference::named(weights).into_iter().map(|(name, x)| (name, x.to_dtype(dtype).unwrap()));
    let tensors: HashMap<String, Tensor> = tensors.collect();
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
    let config = reference::hugging_face_config(family, weights);
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
}

/// As llama.cpp's converter names and orders them: only a Llama's query and key rows are dealt out.
fn save_gguf(path: &Path, family: Family, weights: &Weights, extra: &[(&str, Value)]) {
    let arch = family.name();
    let c = &weights.config;
    let mut metadata = vec![("general.architecture".to_owned(), Value::String(arch.into()))];
    for (key, count) in [
        ("embedding_length", c.hidden_size),
        ("feed_forward_length", c.ffn_size),
        ("block_count", c.layers),
        ("attention.head_count", c.heads),
        ("attention.head_count_kv", c.kv_heads),
        ("attention.key_length", c.head_dim),
        ("attention.value_length", c.head_dim),
        ("context_length", c.context_length),
    ] {
        metadata.push((format!("{arch}.{key}"), Value::U32(count as u32)));
    }
    metadata.push((format!("{arch}.attention.layer_norm_rms_epsilon"), Value::F32(c.rms_norm_eps)));
    metadata.push((format!("{arch}.rope.freq_base"), Value::F32(c.rope_base)));
    metadata.extend(extra.iter().map(|(key, value)| (key.to_string(), value.clone())));
    let tensors: BTreeMap<String, QTensor> = reference::named(weights)
        .into_iter()
        .map(|(name, halves)| {
            let tensor =
                if family == Family::Llama { as_dealt(&name, weights).unwrap_or(halves) } else { halves };
            (gguf_name(&name), QTensor::quantize(&tensor, GgmlDType::F32).unwrap())
        })
        .collect();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut std::fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// The query and key weights in the order they have in memory.
fn as_dealt(name: &str, weights: &Weights) -> Option<Tensor> {
    let layer = &weights.layers[name.split('.').nth(2)?.parse::<usize>().ok()?];
    match name.split('.').nth(4)? {
        "q_proj" => Some(layer.query.clone()),
        "k_proj" => Some(layer.key.clone()),
        _ => None,
    }
}

fn gguf_name(name: &str) -> String {
    let mut name = name.replace("model.layers.", "blk.");
    for (theirs, ours) in [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ] {
        name = name.replace(theirs, ours);
    }
    name
}

/// Logits by the kernels and by candle's operations.
fn both_ways(weights: &Weights, sequences: &[&[u32]]) -> [Vec<Vec<f32>>; 2] {
    let plain = Model::reference(weights, tiny::tokenizer(), &Device::Cpu).unwrap();
    let fast = Model::from_weights(weights.clone(), tiny::tokenizer(), &Device::Cpu).unwrap();
    [fast, plain].map(|model| model.logits(&[], sequences).unwrap())
}

#[test]
fn every_family_gives_the_logits_of_candle_transformers() {
    for family in Family::ALL {
        let weights = family.weights(3);
        let sequences = sequences(&[1, 2, 40, 100], 280);
        for ours in both_ways(&weights, &slices(&sequences)) {
            for (sequence, ours) in sequences.iter().zip(ours) {
                let distance = distance(&ours, &reference::family_logits(family, &weights, sequence));
                assert!(distance < 1e-4, "{family:?}: {distance} over {} tokens", sequence.len());
            }
        }
    }
}

#[test]
fn every_family_is_the_same_out_of_memory_safetensors_and_gguf() {
    let temp = tempfile::tempdir().unwrap();
    let sequences = sequences(&[1, 30], 280);
    for family in Family::ALL {
        let weights = family.weights(4);
        let [expected, _] = both_ways(&weights, &slices(&sequences));
        save_folder(temp.path(), family, &weights, DType::F32);
        let folder = Weights::from_safetensors(temp.path()).unwrap();
        assert_eq!(folder.config, weights.config);
        assert_eq!(both_ways(&folder, &slices(&sequences))[0], expected, "{family:?} safetensors");
        let path = temp.path().join("model.gguf");
        save_gguf(&path, family, &weights, &[]);
        let gguf = Weights::from_gguf(&path).unwrap();
        assert_eq!(gguf.config, weights.config);
        assert_eq!(both_ways(&gguf, &slices(&sequences))[0], expected, "{family:?} GGUF");
    }
}

/// DET-1 with biases and head norms.
#[test]
fn bits_of_every_family_do_not_depend_on_the_batch() {
    let all = sequences(&[1, 33, 50, 5, 12, 12], 280);
    for family in Family::ALL {
        let model = Model::from_weights(family.weights(5), tiny::tokenizer(), &Device::Cpu).unwrap();
        let alone: Vec<Vec<f32>> = all.iter().map(|s| model.logits(&[], &[s]).unwrap().remove(0)).collect();
        assert_eq!(model.logits(&[], &slices(&all)).unwrap(), alone, "{family:?}");
    }
}

#[test]
fn shards_and_half_precision_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let weights = Family::Qwen2.weights(6);
    save_folder(temp.path(), Family::Qwen2, &weights, DType::BF16);
    let whole = temp.path().join("model.safetensors");
    let tensors = candle_core::safetensors::load(&whole, &Device::Cpu).unwrap();
    let (first, second): (HashMap<_, _>, HashMap<_, _>) =
        tensors.into_iter().partition(|(name, _)| name.contains("layers.0"));
    let mut map = BTreeMap::new();
    for (file, shard) in
        [("model-00001-of-00002.safetensors", &first), ("model-00002-of-00002.safetensors", &second)]
    {
        candle_core::safetensors::save(shard, temp.path().join(file)).unwrap();
        map.extend(shard.keys().map(|name| (name.clone(), file)));
    }
    let expected = Weights::from_safetensors(temp.path()).unwrap();
    std::fs::remove_file(&whole).unwrap();
    let index = temp.path().join("model.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    let sharded = Weights::from_safetensors(temp.path()).unwrap();
    let tokens = sequences(&[20], 280);
    assert_eq!(both_ways(&sharded, &slices(&tokens))[0], both_ways(&expected, &slices(&tokens))[0]);
    let near =
        distance(&both_ways(&sharded, &slices(&tokens))[0][0], &both_ways(&weights, &slices(&tokens))[0][0]);
    assert!(near > 0.0, "bf16 rounds");

    std::fs::write(&index, r#"{"weight_map": {"model.norm.weight": "../model.safetensors"}}"#).unwrap();
    assert!(refusal(temp.path()).contains("not a file of this folder"));
}

fn refusal(dir: &Path) -> String {
    let error = Weights::from_safetensors(dir).unwrap_err();
    assert!(matches!(error, LmError::Folder { .. } | LmError::Shape(_)), "{error}");
    error.to_string()
}

#[test]
fn what_a_model_here_would_leave_out_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path();
    // A Llama with biases is neither family.
    save_folder(at, Family::Llama, &Family::Qwen2.weights(7), DType::F32);
    assert!(refusal(at).contains("layers.0.self_attn.k_proj.bias"), "{}", refusal(at));
    save_folder(at, Family::Qwen2, &Family::Llama.weights(7), DType::F32);
    assert!(refusal(at).contains("no tensor model.layers.0.self_attn.q_proj.bias"), "{}", refusal(at));
    save_folder(at, Family::Llama, &Family::Llama.weights(7), DType::F32);
    let good = std::fs::read_to_string(at.join("config.json")).unwrap();
    for (from, to, named) in [
        ("\"llama\"", "\"mistral\"", "mistral"),
        ("\"rope_theta\":10000.0", "\"rope_scaling\":{\"rope_type\":\"llama3\"}", "scaled rotary"),
        ("\"silu\"", "\"gelu\"", "silu"),
        ("\"use_sliding_window\":false", "\"use_sliding_window\":true", "full attention"),
        ("\"head_dim\":32", "\"head_dim\":16", "multiples of 32"),
    ] {
        assert!(good.contains(from), "{good}");
        std::fs::write(at.join("config.json"), good.replace(from, to)).unwrap();
        assert!(refusal(at).contains(named), "{}", refusal(at));
    }
    let path = at.join("model.gguf");
    save_gguf(&path, Family::Llama, &Family::Qwen3.weights(7), &[]);
    assert!(Weights::from_gguf(&path).unwrap_err().to_string().contains("attn_k_norm"));
    let scaled = [("qwen2.rope.scaling.type", Value::String("yarn".into()))];
    save_gguf(&path, Family::Qwen2, &Family::Qwen2.weights(7), &scaled);
    assert!(Weights::from_gguf(&path).unwrap_err().to_string().contains("rope.scaling.type"));
}

fn tokenizer_json() -> String {
    tiny::byte_level().to_string(false).unwrap()
}

#[test]
fn a_folder_is_a_model_with_its_tokenizer() {
    let temp = tempfile::tempdir().unwrap();
    let weights = tiny::weights(1);
    save_folder(temp.path(), Family::Llama, &weights, DType::F32);
    std::fs::write(temp.path().join("tokenizer.json"), tokenizer_json()).unwrap();
    std::fs::write(temp.path().join("generation_config.json"), r#"{"eos_token_id": [0, 2]}"#).unwrap();
    let model = Model::load(temp.path(), &Device::Cpu).unwrap();
    assert_eq!(model.tokenizer().eos(), 0);
    std::fs::write(temp.path().join("tokenizer_config.json"), r#"{"eos_token": {"content": "<|im_end|>"}}"#)
        .unwrap();
    let model = Model::load(temp.path(), &Device::Cpu).unwrap();
    assert_eq!(model.tokenizer().eos(), tiny::EOS);
    let tokens = model.tokenizer().encode(&Prompt::from("<|im_start|>soup mix")).unwrap();
    assert_eq!(tokens, tiny::tokenizer().encode(&Prompt::from("<|im_start|>soup mix")).unwrap());
    assert_eq!(model.logits(&[], &[&tokens]).unwrap(), tiny::model().logits(&[], &[&tokens]).unwrap());
}

/// Qwen's `<tool_call>` is an added token that is not special; data must not be able to spell it.
#[test]
fn every_added_token_is_a_control_token() {
    let mut inner = tiny::byte_level();
    inner.add_tokens([tokenizers::AddedToken::from("<tool_call>", false)]).unwrap();
    let tokenizer = endcap::lm::Tokenizer::new(inner, tiny::EOS).unwrap();
    let id = tokenizer.vocab_size() as u32 - 1;
    assert_eq!(tokenizer.encode(&Prompt::from("<tool_call>")).unwrap(), [id]);
    assert!(!tokenizer.encode(&Prompt::new().data("<tool_call>")).unwrap().contains(&id));
}

/// tests/fixtures/qwen: transformers' own models and logits.
#[test]
fn transformers_own_qwens_give_transformers_logits() {
    let dir = support::project().join("tests/fixtures/qwen");
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let prompt: Vec<u32> = serde_json::from_value(expected["prompt"].clone()).unwrap();
    for family in ["qwen2", "qwen3"] {
        let weights = Weights::from_safetensors(&dir.join(family)).unwrap();
        let logits: Vec<f32> = serde_json::from_value(expected[family].clone()).unwrap();
        let ours = tiny::bare(weights).logits(&[], &[&prompt]).unwrap().remove(0);
        let distance = distance(&ours, &logits);
        assert!(distance < 1e-4, "{family}: {distance}");
    }
}
