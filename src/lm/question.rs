//! A request before its grammar is compiled: what a stage asks, and the exact bytes its cached answer is keyed by.

use crate::domain::digest::DigestBuilder;

use super::{Choices, CompiledGrammar, ConstraintSpec, LmError, Prompt, Request, Sampling, Tokenizer};

/// What the answer may be.
#[derive(Debug, Clone)]
pub enum Form {
    /// A Lark grammar for llguidance.
    Lark(String),
    Choices(Choices),
}

/// One sequence to decode.
#[derive(Debug, Clone)]
pub struct Question {
    /// After the stage's shared prefix.
    pub prompt: Prompt,
    pub form: Form,
    pub sampling: Sampling,
    /// Most tokens of the answer.
    pub max_tokens: usize,
    pub seed: u64,
}

/// Part of every answer's key; raised when the decoder answers the same question otherwise.
const DECODING: &[u8] = b"2";

impl Question {
    /// Adds everything the answer depends on, the model and the prefix aside.
    pub fn digest_into(&self, digest: &mut DigestBuilder) {
        digest.part(DECODING).part(format!("{:?}", self.prompt).as_bytes());
        match &self.form {
            Form::Lark(grammar) => digest.part(b"lark").part(grammar.as_bytes()),
            Form::Choices(choices) => digest.part(b"choices").part(format!("{choices:?}").as_bytes()),
        };
        digest.part(format!("{:?} {} {}", self.sampling, self.max_tokens, self.seed).as_bytes());
    }

    /// Compiles the grammar; an ill-formed one is an error, never an unconstrained request.
    pub fn compile(&self, tokenizer: &Tokenizer) -> Result<Request, LmError> {
        let constraint = match &self.form {
            Form::Lark(grammar) => ConstraintSpec::Grammar(CompiledGrammar::lark(tokenizer, grammar)?),
            Form::Choices(choices) => ConstraintSpec::Choices(choices.clone()),
        };
        Ok(Request {
            prompt: self.prompt.clone(),
            constraint,
            sampling: self.sampling.clone(),
            max_tokens: self.max_tokens,
            seed: self.seed,
        })
    }
}
