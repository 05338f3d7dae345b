//! How an adapter is trained.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lm::Target;

/// `[train.themes]` and `[train.keywords]` of the config. The same recipe, data and base give the same adapter on the same kind of
/// machine, whatever its number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// LoRA rank; 1..=256.
    pub rank: usize,
    /// The adapter is scaled by `alpha / rank`.
    pub alpha: f32,
    /// Linear layers that get a pair of matrices, by PEFT's names.
    pub targets: BTreeSet<Target>,
    /// Share of an adapter's inputs dropped; 0..1.
    pub dropout: f32,
    /// Times each example is seen; at least 1.
    pub epochs: usize,
    /// Examples a step; its packs' gradients are accumulated.
    pub batch: usize,
    /// Tokens of one forward pass; memory grows with it.
    pub pack_tokens: usize,
    /// AdamW's, at the end of the warm-up.
    pub learning_rate: f64,
    /// Share of all steps in which the rate rises to it; then it falls to zero as a cosine.
    pub warmup: f64,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of a step's gradient.
    pub clip: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Held-out examples whose loss is measured at the start and after every epoch.
    pub validation: usize,
    /// Of the adapter's start, the examples' order and dropout.
    pub seed: u64,
}

impl Recipe {
    /// The demonstration's recipe for stage 1.
    pub fn themes() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: Target::ALL.into(),
            dropout: 0.0,
            epochs: 2,
            batch: 8,
            pack_tokens: 1280,
            learning_rate: 1e-3,
            warmup: 0.05,
            weight_decay: 0.01,
            clip: 1.0,
            checkpoint_every: 20,
            validation: 16,
            seed: 17,
        }
    }

    /// The demonstration's recipe for stage 2.
    pub fn keywords() -> Self {
        Self { epochs: 3, ..Self::themes() }
    }

    pub fn validate(&self) -> Result<(), String> {
        let refuse = |name: &str, value: &dyn std::fmt::Display, range: &str| {
            Err(format!("{name} = {value} is not within {range}"))
        };
        if !(1..=256).contains(&self.rank) {
            return refuse("rank", &self.rank, "1..=256");
        }
        if self.targets.is_empty() {
            return Err("targets is empty: name at least one linear layer, such as \"q_proj\"".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", &self.dropout, "0..1");
        }
        for (name, count) in [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("pack_tokens", self.pack_tokens),
            ("checkpoint_every", self.checkpoint_every),
        ] {
            if count == 0 {
                return refuse(name, &count, "1..");
            }
        }
        for (name, value) in
            [("learning_rate", self.learning_rate), ("clip", self.clip), ("alpha", self.alpha.into())]
        {
            if !(value.is_finite() && value > 0.0) {
                return refuse(name, &value, "the positive numbers");
            }
        }
        for (name, value) in [("warmup", self.warmup), ("weight_decay", self.weight_decay)] {
            if !(0.0..=1.0).contains(&value) {
                return refuse(name, &value, "0..=1");
            }
        }
        Ok(())
    }

    /// Rate of a step, counted from 0, of `total`: a linear rise over the warm-up, then half a cosine down to zero
    /// (Loshchilov and Hutter, arXiv 1608.03983).
    pub fn rate(&self, step: usize, total: usize) -> f64 {
        let warmup = (self.warmup * total as f64).ceil();
        let at = step as f64;
        if at < warmup {
            return self.learning_rate * (at + 1.0) / warmup;
        }
        let through = (at - warmup) / (total as f64 - warmup).max(1.0);
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * through).cos())
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::themes()
    }
}

/// `[train]` of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub themes: Recipe,
    /// A key that is not given is that of [`Recipe::keywords`].
    #[serde(deserialize_with = "over_keywords")]
    pub keywords: Recipe,
}

fn over_keywords<'de, D: Deserializer<'de>>(given: D) -> Result<Recipe, D::Error> {
    let given = serde_json::Map::deserialize(given)?;
    let mut recipe = serde_json::to_value(Recipe::keywords()).map_err(D::Error::custom)?;
    recipe.as_object_mut().into_iter().for_each(|recipe| recipe.extend(given.clone()));
    serde_json::from_value(recipe).map_err(D::Error::custom)
}

impl Default for Settings {
    fn default() -> Self {
        Self { themes: Recipe::themes(), keywords: Recipe::keywords() }
    }
}

impl Settings {
    pub fn validate(&self) -> Result<(), String> {
        self.themes.validate().map_err(|problem| format!("themes: {problem}"))?;
        self.keywords.validate().map_err(|problem| format!("keywords: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero() {
        let recipe = Recipe { warmup: 0.2, learning_rate: 1.0, ..Recipe::themes() };
        let rates: Vec<f64> = (0..10).map(|step| recipe.rate(step, 10)).collect();
        assert_eq!(rates[..3], [0.5, 1.0, 1.0]);
        assert!(rates[3..].windows(2).all(|pair| pair[0] > pair[1]));
        assert!(recipe.rate(10, 10).abs() < 1e-12);
    }

    #[test]
    fn a_key_that_is_not_given_is_that_of_its_stage() {
        let given: Settings = toml::from_str("[keywords]\nrank = 8").expect("settings");
        assert_eq!(given.keywords, Recipe { rank: 8, ..Recipe::keywords() });
        assert_eq!(given.themes, Recipe::themes());
        let error = toml::from_str::<Settings>("[keywords]\nepoch = 8").expect_err("typo");
        assert!(error.to_string().contains("epoch"), "{error}");
    }
}
