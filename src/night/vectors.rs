//! The sentence encoder as AIQA asks for it.

use crate::aiqa::{BoxError, Embedder};
use crate::embed::Memory;

impl Embedder for Memory {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        Ok(self.vectors(texts)?.iter().map(|vector| vector.to_vec()).collect())
    }
}
