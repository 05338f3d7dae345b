//! The shop's product types as a concept finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::EvalError;
use crate::aiqa::singular_words;
use crate::embed::Memory;

/// A clean, shopper-facing product type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductType {
    pub name: String,
    pub aisle: String,
    /// As the catalogue's: `snack`, `produce`, `seasonal-halloween` …
    pub tags: BTreeSet<String>,
}

/// All product types with the vectors of their names and aisles, by name.
pub struct Shelf {
    types: Vec<ProductType>,
    names: Vec<Arc<[f32]>>,
    aisles: Vec<Arc<[f32]>>,
}

impl Shelf {
    /// Types of one name become one, with the tags of all.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn new(types: impl IntoIterator<Item = ProductType>, memory: &Memory) -> Result<Self, EvalError> {
        let mut by_name: BTreeMap<String, ProductType> = BTreeMap::new();
        for one in types {
            let entry = by_name.entry(one.name.clone()).or_insert_with(|| one.clone());
            entry.tags.extend(one.tags);
        }
        let types: Vec<ProductType> = by_name.into_values().collect();
        let vectors = |of: fn(&ProductType) -> &str| {
            memory.vectors(&types.iter().map(of).collect::<Vec<_>>()).map_err(EvalError::Shelf)
        };
        let (names, aisles) = (vectors(|one| &one.name)?, vectors(|one| &one.aisle)?);
        Ok(Self { types, names, aisles })
    }

    pub(super) fn get(&self, at: usize) -> &ProductType {
        &self.types[at]
    }

    /// The `most` types whose names are nearest to a unit vector, nearest first, ties by name.
    pub(super) fn nearest(&self, vector: &[f32], most: usize) -> Vec<usize> {
        let cosines: Vec<f32> = self.names.iter().map(|name| dot(name, vector)).collect();
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b)));
        order.truncate(most);
        order
    }

    /// The types a campaign's feature means: its words are all among a type's name and aisle, or its vector is at least
    /// `cosine` near to one of them.
    pub(super) fn featured(&self, feature: &str, vector: &[f32], cosine: f32) -> Vec<usize> {
        let words = singular_words(feature);
        let means = |at: &usize| {
            let near = dot(&self.names[*at], vector).max(dot(&self.aisles[*at], vector));
            let one = &self.types[*at];
            near >= cosine || words.is_subset(&singular_words(&format!("{} {}", one.name, one.aisle)))
        };
        (0..self.types.len()).filter(means).collect()
    }

    /// Whether a title's words are just those of an aisle.
    pub(super) fn is_aisle(&self, title: &str) -> bool {
        let words = singular_words(title);
        self.types.iter().any(|one| singular_words(&one.aisle) == words)
    }
}

/// The cosine of unit vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
