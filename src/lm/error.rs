//! What can go wrong between a prompt and its answer.

use std::path::PathBuf;

/// Why a model could not be loaded, or a request not be answered.
#[derive(Debug, thiserror::Error)]
pub enum LmError {
    #[error("cannot open the model {}: {source}. Run `make setup`, or correct `lm.model` in the config", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: not a usable GGUF model: {reason}", path.display())]
    Gguf { path: PathBuf, reason: String },
    #[error("{}: not a usable Hugging Face model: {reason}", path.display())]
    Folder { path: PathBuf, reason: String },
    #[error("{}: not a usable adapter: {reason}", path.display())]
    Adapter { path: PathBuf, reason: String },
    #[error("the adapter does not fit: {0}")]
    Lora(String),
    #[error(
        "adapter {adapter:?} was not trained on {base:?}: {source}; train one (docs/training.md), or name none in [models]"
    )]
    NotOfBase { adapter: String, base: String, source: Box<LmError> },
    #[error("the model has no adapter {name:?}; it has: {known}")]
    UnknownAdapter { name: String, known: String },
    #[error("the model's shape is not supported: {0}")]
    Shape(String),
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    #[error("the grammar cannot be used: {0}")]
    Grammar(String),
    #[error("the choices cannot be used: {0}")]
    Choices(String),
    #[error("the prompt is empty: the model needs at least one token after the shared prefix")]
    EmptyPrompt,
    #[error(
        "the request needs {needed} tokens (shared prefix {shared} + prompt {prompt} + answer up to {answer}) but only \
         {limit} fit ({what}); shorten the prompt or lower max_tokens, or raise the limit"
    )]
    TooLong { needed: usize, shared: usize, prompt: usize, answer: usize, limit: usize, what: &'static str },
    #[error("no token can follow: every token that the constraint allows has a logit of -inf or NaN")]
    NoCandidate,
    #[error("the sampling settings cannot be used: {0}")]
    Sampling(String),
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
    #[error("the model's thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error("the model's thread is gone: it panicked, or the program is shutting down")]
    EngineGone,
}
