//! The sentence encoder for AIQA, remembering what it has embedded: product types repeat from page to page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::aiqa::{BoxError, Embedder};
use crate::embed::Encoder;

/// An encoder with a memory. A text's vector does not depend on its batch, so remembering changes nothing.
pub struct Vectors {
    encoder: Arc<Encoder>,
    known: Mutex<HashMap<String, Vec<f32>>>,
}

impl Vectors {
    pub fn new(encoder: Arc<Encoder>) -> Self {
        Self { encoder, known: Mutex::default() }
    }
}

impl Embedder for Vectors {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh: Vec<&str> = texts.iter().copied().filter(|text| !known.contains_key(*text)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        for (text, vector) in fresh.iter().zip(self.encoder.encode(&fresh, &|_| ())?) {
            known.insert((*text).to_owned(), vector);
        }
        Ok(texts.iter().filter_map(|text| known.get(*text).cloned()).collect())
    }
}
