//! A language model: weights, vocabulary, the device they run on, and any number of adapters beside the weights.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Device;

use super::error::LmError;
use super::llama::{Adapted, Chunk, Kv, Llama};
use super::lora::Adapter;
use super::tokenizer::Tokenizer;
use super::weights::{ModelConfig, Weights};

#[derive(Debug)]
pub struct Model {
    llama: Llama,
    tokenizer: Arc<Tokenizer>,
    adapters: BTreeMap<String, Adapted>,
}

impl Model {
    /// Loads a GGUF file, or a Hugging Face folder, of the Llama or Qwen families with its tokenizer. On the CPU it runs
    /// on this room's kernels, on any other device in candle's operations.
    pub fn load(path: &Path, device: &Device) -> Result<Self, LmError> {
        let (weights, tokenizer) = (Weights::load(path)?, Tokenizer::load(path)?);
        tracing::debug!(model = %path.display(), layers = weights.config.layers, "model loaded");
        Self::from_weights(weights, tokenizer, device)
    }

    /// As [`load`](Self::load), from parts already in memory.
    pub fn from_weights(weights: Weights, tokenizer: Tokenizer, device: &Device) -> Result<Self, LmError> {
        let llama = match device {
            Device::Cpu => Llama::on_cpu(weights)?,
            device => Llama::in_tensors(&weights, device)?,
        };
        Self::new(llama, tokenizer)
    }

    /// In candle's operations, on the CPU too: what the kernels are held against.
    pub fn reference(weights: &Weights, tokenizer: Tokenizer, device: &Device) -> Result<Self, LmError> {
        Self::new(Llama::in_tensors(weights, device)?, tokenizer)
    }

    fn new(llama: Llama, tokenizer: Tokenizer) -> Result<Self, LmError> {
        let (tokens, rows) = (tokenizer.vocab_size(), llama.config().vocab_size);
        if tokens > rows {
            return Err(LmError::Shape(format!("{tokens} tokens, but embeddings for {rows}")));
        }
        Ok(Self { llama, tokenizer: Arc::new(tokenizer), adapters: BTreeMap::new() })
    }

    /// Keeps `adapters` beside the weights, which stay as they are: each job names one of them or none. An adapter costs its
    /// own size in memory. Refused where its shapes are not the base's.
    pub fn with_adapters(mut self, adapters: BTreeMap<String, Adapter>) -> Result<Self, LmError> {
        for (name, adapter) in adapters {
            let adapted = self.llama.adapt(&adapter).map_err(|error| match error {
                LmError::Lora(reason) => LmError::Lora(format!("{name}: {reason}")),
                other => other,
            })?;
            self.adapters.insert(name, adapted);
        }
        Ok(self)
    }

    /// The adapter of that name; `None` is the base alone.
    fn adapter(&self, name: Option<&str>) -> Result<Option<&Adapted>, LmError> {
        let find = |name: &str| {
            self.adapters.get(name).ok_or_else(|| LmError::UnknownAdapter {
                name: name.into(),
                known: self.adapters.keys().cloned().collect::<Vec<_>>().join(", "),
            })
        };
        name.map(find).transpose()
    }

    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    pub fn config(&self) -> &ModelConfig {
        self.llama.config()
    }

    /// Logits of the base alone, see [`logits_with`](Self::logits_with).
    pub fn logits(&self, prefix: &[u32], sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, LmError> {
        self.logits_with(None, prefix, sequences)
    }

    /// Logits after the last token of each sequence, all in one ragged batch, `prefix` computed once for all of them.
    /// Each sequence needs a token; each row is as long as the vocabulary.
    pub fn logits_with(
        &self,
        adapter: Option<&str>,
        prefix: &[u32],
        sequences: &[&[u32]],
    ) -> Result<Vec<Vec<f32>>, LmError> {
        self.check(prefix, sequences)?;
        let mut shared = self.new_kv();
        if !prefix.is_empty() {
            self.extend(adapter, &mut shared, prefix, prefix.len())?;
        }
        let prefix = (!prefix.is_empty()).then_some(&shared);
        let mut own: Vec<Kv> = sequences.iter().map(|_| self.new_kv()).collect();
        let pairs = sequences.iter().zip(&mut own);
        let mut chunks: Vec<Chunk<'_>> =
            pairs.map(|(tokens, kv)| Chunk { tokens, prefix, kv, wants_logits: true }).collect();
        self.forward(adapter, &mut chunks)
    }

    fn check(&self, prefix: &[u32], sequences: &[&[u32]]) -> Result<(), LmError> {
        let limit = self.config().context_length;
        for sequence in sequences {
            let (shared, prompt) = (prefix.len(), sequence.len());
            if sequence.is_empty() {
                return Err(LmError::EmptyPrompt);
            }
            if shared + prompt > limit {
                let what = "the model's context";
                return Err(LmError::TooLong {
                    needed: shared + prompt,
                    shared,
                    prompt,
                    answer: 0,
                    limit,
                    what,
                });
            }
        }
        let mut tokens = prefix.iter().chain(sequences.iter().copied().flatten());
        match tokens.find(|token| **token as usize >= self.config().vocab_size) {
            Some(token) => Err(LmError::Tokenizer(format!("there is no token {token}"))),
            None => Ok(()),
        }
    }

    /// Feeds `tokens` to `kv`, at most `rows` a pass.
    pub(super) fn extend(
        &self,
        adapter: Option<&str>,
        kv: &mut Kv,
        tokens: &[u32],
        rows: usize,
    ) -> Result<(), LmError> {
        for tokens in tokens.chunks(rows) {
            self.forward(adapter, &mut [Chunk { tokens, prefix: None, kv, wants_logits: false }])?;
        }
        Ok(())
    }

    pub(super) fn new_kv(&self) -> Kv {
        self.llama.new_kv()
    }

    pub(super) fn forward(
        &self,
        adapter: Option<&str>,
        chunks: &mut [Chunk<'_>],
    ) -> Result<Vec<Vec<f32>>, LmError> {
        self.llama.forward(chunks, self.adapter(adapter)?)
    }
}
