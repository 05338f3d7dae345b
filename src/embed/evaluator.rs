//! The evaluator: does a product go under a title?

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{EmbedError, Memory, cosine};
use crate::domain::Catalog;
use crate::domain::title_fit::{TitleFits, TypePlaces};

/// Sentence vectors of a shop's product types, to be held against titles.
///
/// Types rather than products: a type says what a product is, its title mostly whose and how big; and a shop has
/// some hundred types.
pub struct Evaluator {
    places: TypePlaces,
    vectors: Vec<Arc<[f32]>>,
}

impl Evaluator {
    /// # Errors
    /// As [`Memory::vectors`].
    pub fn new(catalog: &Catalog, memory: &Memory) -> Result<Self, EmbedError> {
        let types: BTreeSet<&str> = catalog.iter().map(|product| product.product_type.as_str()).collect();
        let types: Vec<&str> = types.into_iter().collect();
        let vectors = memory.vectors(&types)?;
        let places = types.into_iter().map(str::to_owned).zip(0..).collect();
        Ok(Self { places: Arc::new(places), vectors })
    }

    /// Cosine of each title and each type, as fits.
    ///
    /// # Errors
    /// As [`Memory::vectors`].
    pub fn fits(&self, titles: &[&str], memory: &Memory) -> Result<TitleFits, EmbedError> {
        let vectors = memory.vectors(titles)?;
        let likeness = titles.iter().zip(&vectors).map(|(title, direction)| {
            let likeness = self.vectors.iter().map(|vector| cosine(vector, direction)).collect();
            ((*title).to_owned(), likeness)
        });
        Ok(TitleFits::new(Arc::clone(&self.places), likeness))
    }
}
