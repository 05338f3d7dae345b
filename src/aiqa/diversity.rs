//! Similarity by embeddings: a title and its products, a placement and the ones before it.

use std::collections::BTreeMap;

use super::{AiqaError, Embedder};
use crate::domain::stage::StockedPlacement;
use crate::domain::{Catalog, SegmentId};

/// The vectors of one page's texts.
#[derive(Debug)]
pub(super) struct Vectors(BTreeMap<String, Vec<f32>>);

impl Vectors {
    /// Embeds, in one call and each once, everything [`Vectors::coherence`] and [`Vectors::likeness`] will ask for.
    ///
    /// `shown` is how many products of a placement stand for it.
    pub fn of_page(
        placements: &[&StockedPlacement],
        catalog: &Catalog,
        shown: usize,
        embedder: &dyn Embedder,
        segment: &SegmentId,
    ) -> Result<Self, AiqaError> {
        let mut wanted: Vec<String> = Vec::new();
        for placement in placements {
            wanted.push(placement.chosen.design.title.clone());
            wanted.push(theme(placement));
            wanted.extend(product_types(placement, catalog, shown).map(str::to_owned));
        }
        wanted.sort();
        wanted.dedup();
        let texts: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let failed =
            |source| AiqaError::Embedding { segment: segment.to_string(), texts: texts.len(), source };
        let vectors = if texts.is_empty() { Vec::new() } else { embedder.embed(&texts).map_err(failed)? };
        if vectors.len() != texts.len() {
            let (texts, answered) = (texts.len(), vectors.len());
            return Err(AiqaError::EmbeddingCount { segment: segment.to_string(), texts, answered });
        }
        Ok(Self(wanted.into_iter().zip(vectors).collect()))
    }

    /// Cosine of a placement's title and the mean of its products' types; `None` without products.
    pub fn coherence(&self, placement: &StockedPlacement, catalog: &Catalog, shown: usize) -> Option<f32> {
        let title = self.0.get(&placement.chosen.design.title)?;
        let types: Vec<&Vec<f32>> =
            product_types(placement, catalog, shown).filter_map(|name| self.0.get(name)).collect();
        let mut mean = vec![0.0; types.first()?.len()];
        for vector in types {
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
        Some(cosine(title, &mean))
    }

    /// Cosine of two placements' titles with their concepts.
    pub fn likeness(&self, one: &StockedPlacement, other: &StockedPlacement) -> f32 {
        match (self.0.get(&theme(one)), self.0.get(&theme(other))) {
            (Some(one), Some(other)) => cosine(one, other),
            _ => 0.0,
        }
    }
}

/// What a placement is about, as one text.
fn theme(placement: &StockedPlacement) -> String {
    let design = &placement.chosen.design;
    format!("{}: {}", design.title, design.concepts.join(", "))
}

/// Types of the most relevant `shown` products, repeats included: a type that fills the row weighs more.
fn product_types<'a>(
    placement: &'a StockedPlacement,
    catalog: &'a Catalog,
    shown: usize,
) -> impl Iterator<Item = &'a str> {
    let products = placement.products.iter().take(shown).filter_map(|hit| catalog.get(&hit.product_id));
    products.map(|product| product.product_type.as_str())
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let norms = (dot(one, one) * dot(other, other)).sqrt();
    if norms > 0.0 { dot(one, other) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::cosine;

    #[test]
    fn cosines_of_plain_vectors() {
        assert!((cosine(&[1.0, 0.0], &[3.0, 0.0]) - 1.0).abs() < 1e-6);
        assert!(cosine(&[1.0, 0.0], &[0.0, 2.0]).abs() < 1e-6);
        assert_eq!(cosine(&[0.0, 0.0], &[0.0, 2.0]), 0.0);
    }
}
