//! What training looked like: loss by step, for people and for the tests of resuming.

use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub step: usize,
    /// Mean over the step's answer tokens, nats.
    #[serde(with = "exact")]
    pub loss: f64,
    #[serde(with = "exact")]
    pub learning_rate: f64,
    /// Before clipping.
    #[serde(with = "exact")]
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
    #[serde(with = "exact")]
    pub loss: f64,
}

/// Numbers as text, because serde_json reads the last bit of a number now and then wrongly, and a resumed curve is to be the same.
mod exact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.to_string().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
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
