use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[index]` of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Rows of a table from which its vectors get an index; below, search is exact. At least 1,000 (training needs
    /// rows); the default is where an exact scan starts to take tens of milliseconds. Looked at when the table changes.
    pub vector_index_min_rows: usize,
    /// Best matches taken from each vector or full-text list before they are fused. 10..=10,000.
    pub pool: usize,
    /// A keyword whose cosine to a concept is lower is no candidate for it. -1..=1. Low: stage 2 chooses.
    pub candidate_min_cosine: f32,
    /// A product whose cosine to its keyword is lower is dropped. -1..=1.
    pub min_cosine: f32,
    /// So is one whose cosine is below this share of the keyword's best match: "greek yogurt" that finds yogurt (0.76)
    /// need not find soy sauce (0.47). 0..=1.
    pub min_cosine_share: f32,
    /// Products of one type in a placement, at most. At least 1.
    pub max_per_type: usize,
    /// Options of the object store under `s3://` (`region`, `endpoint`, `allow_http` …), over those it finds itself.
    pub storage: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vector_index_min_rows: 100_000,
            pool: 100,
            candidate_min_cosine: 0.25,
            min_cosine: 0.4,
            min_cosine_share: 0.75,
            max_per_type: 2,
            storage: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What can change an answer: how the store is reached cannot.
    pub fn shaping(&self) -> Self {
        Self { storage: BTreeMap::new(), ..self.clone() }
    }

    /// Names the first key out of its range.
    pub fn validate(&self) -> Result<(), String> {
        if self.vector_index_min_rows < 1_000 {
            return Err(format!(
                "vector_index_min_rows is {}, not at least 1000",
                self.vector_index_min_rows
            ));
        }
        if !(10..=10_000).contains(&self.pool) {
            return Err(format!("pool is {}, not in 10..=10000", self.pool));
        }
        for (key, value) in
            [("candidate_min_cosine", self.candidate_min_cosine), ("min_cosine", self.min_cosine)]
        {
            if !(-1.0..=1.0).contains(&value) {
                return Err(format!("{key} is {value}, not in -1..=1"));
            }
        }
        if !(0.0..=1.0).contains(&self.min_cosine_share) {
            return Err(format!("min_cosine_share is {}, not in 0..=1", self.min_cosine_share));
        }
        if self.max_per_type == 0 {
            return Err("max_per_type is 0, not at least 1".into());
        }
        Ok(())
    }
}
