//! Gradient-boosted trees (Friedman, "Greedy function approximation", Annals of Statistics 29(5), 2001; second-order and
//! histogram-based as in Chen & Guestrin, "XGBoost", KDD 2016, and Ke et al., "LightGBM", NIPS 2017): grown by forust-ml, kept as a
//! LightGBM text model, evaluated by bosk. So LightGBM reads ours and we read LightGBM's.

mod bins;
mod growing;
mod settings;
mod text;

pub use growing::{Grown, Table, grow};
pub use settings::Growth;

use bosk::LgbModel;

/// Why trees cannot be grown, read or used.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    #[error("the trees could not be grown: {0}")]
    Grow(#[from] forust_ml::errors::ForustError),
    #[error("it is no LightGBM text model of one output: {0}")]
    Text(String),
    #[error("a row of {found} values; the trees take {expected}")]
    Row { found: usize, expected: usize },
}

/// A LightGBM text model: anything with one output that LightGBM 4 writes, linear trees excepted.
#[derive(Debug)]
pub struct Trees {
    model: LgbModel,
    names: Vec<String>,
}

impl Trees {
    pub fn parse(text: &str) -> Result<Self, TreesError> {
        let model = LgbModel::parse(text).map_err(|error| TreesError::Text(error.to_string()))?;
        let names = text.lines().find_map(|line| line.strip_prefix("feature_names=")).unwrap_or_default();
        Ok(Self { model, names: names.split_whitespace().map(str::to_owned).collect() })
    }

    /// Values a row.
    pub fn features(&self) -> usize {
        self.model.num_features()
    }

    /// What the text calls them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn trees(&self) -> usize {
        self.model.num_trees()
    }

    /// What LightGBM's `predict` answers: after the objective's transform. NaN is missing, as there.
    pub fn predict(&self, row: &[f64]) -> Result<f64, TreesError> {
        let (found, expected) = (row.len(), self.features());
        match found == expected {
            true => Ok(self.model.predict_unchecked(row)),
            false => Err(TreesError::Row { found, expected }),
        }
    }
}
