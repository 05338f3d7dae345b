//! What an answer may be, token by token.
//!
//! A constraint says which tokens may follow, is told which one did, and knows when the answer is whole. It never falls open:
//! one that cannot be built is an error before anything is decoded.

mod choices;
mod grammar;

pub use choices::Choices;
pub use grammar::CompiledGrammar;

use super::error::LmError;
use super::tokenizer::Tokenizer;

/// What a request asks of its answer.
#[derive(Debug, Clone)]
pub enum ConstraintSpec {
    Grammar(CompiledGrammar),
    Choices(Choices),
}

impl ConstraintSpec {
    pub(super) fn start(&self, tokenizer: &Tokenizer) -> Result<Box<dyn Constraint>, LmError> {
        match self {
            Self::Grammar(grammar) => Ok(Box::new(grammar.start())),
            Self::Choices(choices) => Ok(Box::new(choices.start(tokenizer)?)),
        }
    }
}

/// The state of one answer.
pub trait Constraint: Send {
    /// Tokens that the constraint leaves no choice about, now taken.
    fn forced(&mut self) -> Result<Vec<u32>, LmError>;

    /// Tokens that may come next, ascending. Not asked of a complete answer.
    fn allowed(&mut self) -> Result<Vec<u32>, LmError>;

    /// Added to an allowed token's logit before it is drawn.
    fn bias(&self, _token: u32) -> f32 {
        0.0
    }

    /// Takes one of the allowed tokens.
    fn commit(&mut self, token: u32) -> Result<(), LmError>;

    /// Nothing more may follow.
    fn is_complete(&self) -> bool;

    /// Indices of the items chosen so far, in order; empty for a grammar.
    fn choices(&self) -> &[usize] {
        &[]
    }
}
