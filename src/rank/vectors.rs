//! Sentence vectors of the product types, through a door: this room knows no encoder.

use crate::domain::Catalog;

use super::RankError;
use super::shelves::Shelves;

/// An error of an encoder behind [`TextVectors`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sentence vectors, one a text, all of one length.
pub trait TextVectors {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError>;
}

/// A vector a product type, in the order of [`Shelves`].
#[derive(Debug, Clone)]
pub struct TypeVectors(Vec<Vec<f32>>);

impl TypeVectors {
    /// Asks for each type's vector once.
    pub fn of(catalog: &Catalog, encoder: &dyn TextVectors) -> Result<Self, RankError> {
        let shelves = Shelves::new(catalog);
        let mut texts = vec![""; shelves.type_aisle.len()];
        for (product, kind) in catalog.iter().zip(&shelves.product_type) {
            texts[*kind as usize] = &product.product_type;
        }
        let vectors = encoder.vectors(&texts).map_err(RankError::Vectors)?;
        let width = vectors.first().map_or(0, Vec::len);
        if vectors.len() != texts.len() || vectors.iter().any(|vector| vector.len() != width) {
            let shape =
                format!("{} vectors of {} texts, or not all of one length", vectors.len(), texts.len());
            return Err(RankError::Vectors(shape.into()));
        }
        Ok(Self(vectors))
    }

    /// No vectors: the similarity is 0 throughout.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether there are any.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Mean vector under `weights` (a type and its weight); `None` where they add up to nothing.
    pub(super) fn profile(&self, weights: &[(u32, f64)]) -> Option<Vec<f64>> {
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if self.is_none() || total <= 0.0 {
            return None;
        }
        let mut profile = vec![0.0; self.0[0].len()];
        for (kind, weight) in weights {
            for (sum, value) in profile.iter_mut().zip(&self.0[*kind as usize]) {
                *sum += weight / total * f64::from(*value);
            }
        }
        Some(profile)
    }

    /// Cosine of each type's vector and `direction`; 0 where either has no length.
    pub(super) fn cosines(&self, direction: &[f64]) -> Vec<f32> {
        let length = |sum: f64| sum.sqrt();
        let norm = length(direction.iter().map(|x| x * x).sum());
        let cosine = |vector: &Vec<f32>| {
            let dot: f64 = vector.iter().zip(direction).map(|(x, y)| f64::from(*x) * y).sum();
            let own = length(vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum());
            if own * norm > 0.0 { (dot / (own * norm)) as f32 } else { 0.0 }
        };
        self.0.iter().map(cosine).collect()
    }
}
