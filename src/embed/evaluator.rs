//! The evaluator: does a product go under a title?

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::{EmbedError, Memory, cosine};
use crate::domain::Catalog;
use crate::domain::title_fit::{TitleFits, TypePlaces};

/// Sentence vectors of a shop's product types, to be held against titles.
///
/// Types rather than products: a type says what a product is, its title mostly whose and how big; and of types there are a
/// tenth as many.
pub struct Evaluator {
    types: Vec<String>,
    places: TypePlaces,
    /// Of `types`, once they were asked for: some seconds' work that a process without a page to make is spared.
    vectors: OnceLock<Vec<Arc<[f32]>>>,
}

impl Evaluator {
    pub fn new(catalog: &Catalog) -> Self {
        let types: BTreeSet<&str> = catalog.iter().map(|product| product.product_type.as_str()).collect();
        let types: Vec<String> = types.into_iter().map(str::to_owned).collect();
        let places = types.iter().cloned().zip(0..).collect();
        Self { types, places: Arc::new(places), vectors: OnceLock::new() }
    }

    /// The types' vectors. Threads that come at the same time each compute them, to the same values: call it once before they start.
    ///
    /// # Errors
    /// As [`Memory::vectors`].
    pub fn prepare(&self, memory: &Memory) -> Result<&[Arc<[f32]>], EmbedError> {
        if self.vectors.get().is_none() {
            let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
            // Whoever was first: the values are the same.
            self.vectors.set(memory.vectors(&types)?).ok();
        }
        Ok(self.vectors.get().map_or(&[], Vec::as_slice))
    }

    /// Cosine of each title and each type, as fits.
    ///
    /// # Errors
    /// As [`Memory::vectors`].
    pub fn fits(&self, titles: &[&str], memory: &Memory) -> Result<TitleFits, EmbedError> {
        let types = self.prepare(memory)?;
        let vectors = memory.vectors(titles)?;
        let likeness = titles.iter().zip(&vectors).map(|(title, direction)| {
            ((*title).to_owned(), types.iter().map(|vector| cosine(vector, direction)).collect())
        });
        Ok(TitleFits::new(Arc::clone(&self.places), likeness))
    }
}
