//! The sentence encoder as AIQA and the ranker ask for it.

use crate::aiqa::{BoxError, Embedder};
use crate::embed::Memory;
use crate::rank::TextVectors;

impl Embedder for Memory {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        Ok(self.vectors(texts)?.iter().map(|vector| vector.to_vec()).collect())
    }
}

impl TextVectors for Memory {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        self.embed(texts)
    }
}
