//! What training looked like: loss by step, for people and for the tests of resuming.

use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub step: usize,
    /// Mean over the step's answer tokens, nats.
    pub loss: f64,
    pub learning_rate: f64,
    /// Before clipping.
    pub gradient_norm: f64,
    /// Of prompts and answers.
    pub tokens: usize,
}

/// The held-out examples' loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps taken before it.
    pub step: usize,
    /// Mean over answer tokens, nats.
    pub loss: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    pub steps: Vec<Step>,
    pub validation: Vec<Validation>,
}

impl Curve {
    /// Steps as comma-separated values with a header.
    pub fn csv(&self) -> String {
        let mut text = String::from("step,loss,learning_rate,gradient_norm,tokens\n");
        for Step { step, loss, learning_rate, gradient_norm, tokens } in &self.steps {
            text += &format!("{step},{loss:.6},{learning_rate:.6e},{gradient_norm:.4},{tokens}\n");
        }
        text
    }
}
