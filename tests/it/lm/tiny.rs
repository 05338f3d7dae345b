//! A two-layer model with random weights and a byte vocabulary: everything but sense, in milliseconds.

use candle_core::{Device, Tensor};
use endcap::lm::{Decoder, LayerWeights, Model, ModelConfig, Settings, Tokenizer, Weights};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as Bpe};

pub const EOS: u32 = 2;

pub fn config() -> ModelConfig {
    ModelConfig {
        vocab_size: 280,
        hidden_size: 128,
        ffn_size: 96,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        rms_norm_eps: 1e-5,
        rope_base: 10_000.0,
        context_length: 2048,
    }
}

pub fn weights(seed: u64) -> Weights {
    let c = config();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut tensor = |shape: &[usize]| {
        // Uniform with variance 1 / fan-in keeps activations of order one.
        let bound = (3.0 / *shape.last().unwrap() as f32).sqrt();
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.gen_range(-bound..bound)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let (hidden, kv) = (c.hidden_size, c.kv_size());
    let ones = || Tensor::ones(hidden, candle_core::DType::F32, &Device::Cpu).unwrap();
    let layers = (0..c.layers)
        .map(|_| LayerWeights {
            attention_norm: ones(),
            query: tensor(&[hidden, hidden]),
            key: tensor(&[kv, hidden]),
            value: tensor(&[kv, hidden]),
            attention_out: tensor(&[hidden, hidden]),
            ffn_norm: ones(),
            gate: tensor(&[c.ffn_size, hidden]),
            up: tensor(&[c.ffn_size, hidden]),
            down: tensor(&[hidden, c.ffn_size]),
        })
        .collect();
    let embedding = (tensor(&[c.vocab_size, hidden]) * 8.0).unwrap();
    // Not tied: a random tied model only repeats what it read last.
    let output = (tensor(&[c.vocab_size, hidden]) * 4.0).unwrap();
    Weights::new(c, embedding, layers, ones(), Some(output)).unwrap()
}

/// All bytes, three control tokens, and a few merges, so that items share tokens and tokens cross characters.
pub fn tokenizer() -> Tokenizer {
    let control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let mut bytes: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    bytes.sort();
    let merges = [("s", "o"), ("u", "p"), ("so", "up"), ("m", "i"), ("mi", "x"), ("Ġ", "mix"), ("\"", ":")];
    let merged = merges.iter().map(|(a, b)| format!("{a}{b}"));
    let tokens = control.iter().map(|token| token.to_string()).chain(bytes).chain(merged);
    let vocab: Vocab = tokens.zip(0u32..).collect();
    let merges = merges.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    let mut bpe = Bpe::new(BPE::builder().vocab_and_merges(vocab, merges).build().unwrap());
    bpe.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    bpe.with_decoder(Some(ByteLevel::default()));
    bpe.add_special_tokens(control.map(|token| AddedToken::from(token, true))).unwrap();
    Tokenizer::new(bpe, EOS).unwrap()
}

pub fn model() -> Model {
    Model::from_weights(weights(1), tokenizer(), &Device::Cpu).unwrap()
}

pub fn decoder(settings: Settings) -> Decoder {
    Decoder::new(model(), settings)
}
