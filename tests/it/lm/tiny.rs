//! A two-layer model with random weights and a byte vocabulary: everything but sense, in milliseconds.

use candle_core::{Device, Tensor};
use endcap::lm::{
    Adapter, Biases, Decoder, HeadNorms, LayerWeights, LoraConfig, LoraPair, Model, ModelConfig, Settings,
    Target, Tokenizer, Weights,
};
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
            biases: None,
            head_norms: None,
        })
        .collect();
    let embedding = (tensor(&[c.vocab_size, hidden]) * 8.0).unwrap();
    // Not tied: a random tied model only repeats what it read last.
    let output = (tensor(&[c.vocab_size, hidden]) * 4.0).unwrap();
    Weights::new(c, embedding, layers, ones(), Some(output)).unwrap()
}

/// All bytes, three control tokens, and a few merges, so that items share tokens and tokens cross characters.
pub fn tokenizer() -> Tokenizer {
    Tokenizer::new(byte_level(), EOS).unwrap()
}

/// The same before this room wraps it.
pub fn byte_level() -> Bpe {
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
    bpe
}

/// A model of any vocabulary, however small, of which only the logits are wanted.
pub fn bare(weights: Weights) -> Model {
    let vocab: Vocab = ["a", "b", "<eos>"].into_iter().map(str::to_owned).zip(0u32..).collect();
    let mut bpe = Bpe::new(BPE::builder().vocab_and_merges(vocab, Vec::new()).build().unwrap());
    bpe.add_special_tokens([AddedToken::from("<eos>", true)]).unwrap();
    Model::from_weights(weights, Tokenizer::new(bpe, 2).unwrap(), &Device::Cpu).unwrap()
}

/// The architectures a file can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    Qwen2,
    Qwen3,
}

impl Family {
    pub const ALL: [Self; 3] = [Self::Llama, Self::Qwen2, Self::Qwen3];

    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// Random weights with what the family adds to a Llama, tied as its small models are. Qwen3's heads are together wider
    /// than its hidden size.
    pub fn weights(self, seed: u64) -> Weights {
        let mut plain = weights(seed);
        if self == Self::Llama {
            return plain;
        }
        plain.output = None;
        plain.config.rope_base = 1e6;
        plain.config.head_dim = if self == Self::Qwen3 { 64 } else { 32 };
        let c = plain.config.clone();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed + 1000);
        let mut tensor = |shape: &[usize], middle: f32| {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| middle + random.gen_range(-0.2..0.2f32)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        for layer in &mut plain.layers {
            layer.query = tensor(&[c.query_size(), c.hidden_size], 0.0);
            layer.key = tensor(&[c.kv_size(), c.hidden_size], 0.0);
            layer.value = tensor(&[c.kv_size(), c.hidden_size], 0.0);
            layer.attention_out = tensor(&[c.hidden_size, c.query_size()], 0.0);
            if self == Self::Qwen2 {
                let (query, key) = (tensor(&[c.query_size()], 0.3), tensor(&[c.kv_size()], -0.3));
                layer.biases = Some(Biases { query, key, value: tensor(&[c.kv_size()], 0.1) });
            } else {
                let norms = HeadNorms { query: tensor(&[c.head_dim], 1.0), key: tensor(&[c.head_dim], 1.0) };
                layer.head_norms = Some(norms);
            }
        }
        let Weights { config, embedding, layers, output_norm, output } = plain;
        Weights::new(config, embedding, layers, output_norm, output).unwrap()
    }
}

/// A random adapter of every layer's `targets` for a model of this shape.
pub fn adapter(seed: u64, c: &ModelConfig, targets: &[Target]) -> Adapter {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut tensor = |rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns).map(|_| random.gen_range(-0.1..0.1)).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    };
    let rank = 4;
    let config =
        LoraConfig { rank, alpha: 6.0, targets: targets.iter().copied().collect(), base: "tiny".into() };
    let layers = (0..c.layers).map(|_| {
        let pair = |target: &Target| {
            let (out, input) = target.shape(c);
            (*target, LoraPair { a: tensor(rank, input), b: tensor(out, rank) })
        };
        targets.iter().map(pair).collect()
    });
    Adapter { layers: layers.collect(), config }
}

pub fn model() -> Model {
    Model::from_weights(weights(1), tokenizer(), &Device::Cpu).unwrap()
}

pub fn decoder(settings: Settings) -> Decoder {
    Decoder::new(model(), settings)
}
