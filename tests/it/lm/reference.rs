//! candle-transformers' own models on the same weights, and the weights in others' files.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama};
use candle_transformers::models::{qwen2, qwen3};
use endcap::lm::Weights;

use super::tiny::Family;

/// Logits after the last of `tokens`, by `candle_transformers::models::llama`.
pub fn logits(weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let config = config(weights);
    let vars = VarBuilder::from_tensors(named(weights), DType::F32, &Device::Cpu);
    let llama = Llama::load(vars, &config).unwrap();
    let mut cache = Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
    let tokens = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    llama.forward(&tokens, 0, &mut cache).unwrap().squeeze(0).unwrap().to_vec1().unwrap()
}

/// The same by the model of `family`, over the whole of `tokens`.
pub fn family_logits(family: Family, weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let vars = VarBuilder::from_tensors(named(weights), DType::F32, &Device::Cpu);
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let config = hugging_face_config(family, weights);
    let out = match family {
        Family::Llama => return logits(weights, tokens),
        Family::Qwen2 => {
            let config: qwen2::Config = serde_json::from_value(config).unwrap();
            qwen2::ModelForCausalLM::new(&config, vars).unwrap().forward(&input, 0).unwrap()
        }
        Family::Qwen3 => {
            let config: qwen3::Config = serde_json::from_value(config).unwrap();
            qwen3::ModelForCausalLM::new(&config, vars).unwrap().forward(&input, 0).unwrap()
        }
    };
    out.flatten_all().unwrap().to_vec1().unwrap()
}

/// `config.json` as transformers writes it.
pub fn hugging_face_config(family: Family, weights: &Weights) -> serde_json::Value {
    let c = &weights.config;
    serde_json::json!({
        "model_type": family.name(),
        "hidden_size": c.hidden_size,
        "intermediate_size": c.ffn_size,
        "vocab_size": c.vocab_size,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "rms_norm_eps": c.rms_norm_eps,
        "rope_theta": c.rope_base,
        "max_position_embeddings": c.context_length,
        "tie_word_embeddings": weights.output.is_none(),
        "attention_bias": false,
        "hidden_act": "silu",
        "sliding_window": 4096,
        "max_window_layers": 28,
        "use_sliding_window": false,
        "eos_token_id": 2,
    })
}

fn config(weights: &Weights) -> Config {
    let c = &weights.config;
    Config {
        hidden_size: c.hidden_size,
        intermediate_size: c.ffn_size,
        vocab_size: c.vocab_size,
        num_hidden_layers: c.layers,
        num_attention_heads: c.heads,
        num_key_value_heads: c.kv_heads,
        use_flash_attn: false,
        rms_norm_eps: f64::from(c.rms_norm_eps),
        rope_theta: c.rope_base,
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: c.context_length,
        tie_word_embeddings: weights.output.is_none(),
    }
}

/// Tensors by their Hugging Face names, query and key rows as rotary halves.
pub fn named(weights: &Weights) -> HashMap<String, Tensor> {
    let c = &weights.config;
    let mut named = HashMap::from([
        ("model.embed_tokens.weight".to_string(), weights.embedding.clone()),
        ("model.norm.weight".to_string(), weights.output_norm.clone()),
    ]);
    named.extend(weights.output.clone().map(|output| ("lm_head.weight".to_string(), output)));
    for (i, layer) in weights.layers.iter().enumerate() {
        let mut put =
            |name: &str, tensor: Tensor| named.insert(format!("model.layers.{i}.{name}.weight"), tensor);
        put("input_layernorm", layer.attention_norm.clone());
        put("self_attn.q_proj", halves(&layer.query, c.heads));
        put("self_attn.k_proj", halves(&layer.key, c.kv_heads));
        put("self_attn.v_proj", layer.value.clone());
        put("self_attn.o_proj", layer.attention_out.clone());
        put("post_attention_layernorm", layer.ffn_norm.clone());
        put("mlp.gate_proj", layer.gate.clone());
        put("mlp.up_proj", layer.up.clone());
        put("mlp.down_proj", layer.down.clone());
        if let Some(norms) = &layer.head_norms {
            put("self_attn.q_norm", halves(&norms.query, 1));
            put("self_attn.k_norm", halves(&norms.key, 1));
        }
        if let Some(biases) = &layer.biases {
            let mut put =
                |name: &str, tensor| named.insert(format!("model.layers.{i}.self_attn.{name}.bias"), tensor);
            put("q_proj", halves(&biases.query, c.heads));
            put("k_proj", halves(&biases.key, c.kv_heads));
            put("v_proj", biases.value.clone());
        }
    }
    named
}

/// From GGUF's row order, rotary pairs `(2i, 2i + 1)`, to Hugging Face's, pairs `(i, i + d / 2)`: undoes `permute` of
/// llama.cpp's convert_hf_to_gguf.py.
fn halves(rows: &Tensor, heads: usize) -> Tensor {
    let columns = rows.elem_count() / rows.dim(0).unwrap();
    let pairs = rows.reshape((heads, rows.dim(0).unwrap() / heads / 2, 2, columns)).unwrap();
    pairs.transpose(1, 2).unwrap().contiguous().unwrap().reshape(rows.shape()).unwrap()
}
