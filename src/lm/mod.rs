//! The batch decoder: a small language model that answers many prompts at once, each under a constraint.
//!
//! ```text
//! Prompt ─ Tokenizer ─▶ Sequence ─┐                       ┌─▶ Sampler ◀─ Constraint
//! Prompt ─ Tokenizer ─▶ Sequence ─┼─▶ Decoder ─▶ Model ───┼─▶ Sampler ◀─ Constraint
//! Prompt ─ Tokenizer ─▶ Sequence ─┘   (a pass)  (logits)  └─▶ Sampler ◀─ Constraint
//! ```
//!
//! - [`Model`] loads a GGUF or a Hugging Face folder of the Llama and Qwen families and runs packed, ragged batches of it, without padding.
//! - [`Adapter`] is what fine-tuning learnt (LoRA, in PEFT's files): merged into [`Weights`], or kept beside one base that
//!   several adapters share, each job naming its own.
//! - [`Decoder`] computes a shared prompt prefix once, batches continuously, and keeps to a budget of KV memory.
//! - [`ConstraintSpec`] is a grammar (malformed output cannot be spelled) or a choice of items (KW-1).
//! - [`Prompt`] keeps untrusted text from becoming control tokens.
//! - [`Engine`] gives the decoder a thread of its own.
//!
//! An answer is a function of model, prefix, request and seed: the same bits in any batch, on any number of threads, whether
//! its prefix is shared or its own (DET-1). On a GPU candle's kernels round by shape, and this holds for equal batches only.

mod constraint;
mod decoder;
mod device;
mod engine;
mod error;
pub(crate) mod kernels;
mod llama;
mod lora;
mod model;
mod prompt;
mod question;
mod rotary;
mod sampling;
mod sequence;
mod tokenizer;
mod weights;

pub use constraint::{Choices, CompiledGrammar, ConstraintSpec};
pub use decoder::{Answer, Decoder, Finish, Preamble, Request, Settings, Usage};
pub use device::{DeviceChoice, NoCuda};
pub use engine::{Answers, Engine};
pub use error::LmError;
pub use lora::{Adapter, LoraConfig, LoraPair, Target};
pub use model::Model;
pub use prompt::{Part, Prompt};
pub use question::{Form, Question};
pub use sampling::Sampling;
pub use tokenizer::Tokenizer;
pub use weights::{Biases, HeadNorms, LayerWeights, ModelConfig, Weights};
