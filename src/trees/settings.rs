//! How trees are grown.

use serde::{Deserialize, Serialize};

/// How trees are grown. The defaults suit some ten thousand rows; they are those of `[relevance]` in the config.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Growth {
    /// Most trees; 1..=5000.
    pub trees: usize,
    /// Shrinkage of each tree; 0.001..=1.
    pub learning_rate: f32,
    /// Most leaves of a tree; 2..=512.
    pub leaves: usize,
    /// Least sum of second derivatives in a leaf: a row of probability p brings its weight times p (1 - p); 0..=1e6.
    pub min_leaf_weight: f32,
    /// L2 penalty on leaf values; 0..=1e6.
    pub l2: f32,
    /// Bins a feature; 8..=1024.
    pub bins: u16,
}

impl Default for Growth {
    fn default() -> Self {
        Self { trees: 200, learning_rate: 0.1, leaves: 31, min_leaf_weight: 1.0, l2: 1.0, bins: 255 }
    }
}

impl Growth {
    /// Checks every value; the message names the key.
    pub fn validate(&self) -> Result<(), String> {
        let within = |key: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("{key} = {value} is not within {low}..={high}")),
        };
        within("trees", self.trees as f64, 1.0, 5000.0)?;
        within("learning_rate", f64::from(self.learning_rate), 0.001, 1.0)?;
        within("leaves", self.leaves as f64, 2.0, 512.0)?;
        within("min_leaf_weight", f64::from(self.min_leaf_weight), 0.0, 1e6)?;
        within("l2", f64::from(self.l2), 0.0, 1e6)?;
        within("bins", f64::from(self.bins), 8.0, 1024.0)
    }
}
