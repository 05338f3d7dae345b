//! An encoder that remembers: concepts, keywords and product types repeat from page to page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{EmbedError, Encoder};

/// An [`Encoder`] with a memory. A text's vector does not depend on its batch, so remembering changes nothing.
pub struct Memory {
    encoder: Arc<Encoder>,
    known: Mutex<HashMap<String, Arc<[f32]>>>,
}

impl Memory {
    pub fn new(encoder: Arc<Encoder>) -> Self {
        Self { encoder, known: Mutex::default() }
    }

    /// Takes up `vectors` that its encoder made before.
    pub fn remember(&self, vectors: impl IntoIterator<Item = (String, Vec<f32>)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(vectors.into_iter().map(|(text, vector)| (text, Arc::from(vector))));
    }

    /// Unit vectors of `texts`, in order; only those not seen before are computed.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn vectors(&self, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, EmbedError> {
        let mut fresh: Vec<&str> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            texts.iter().copied().filter(|text| !known.contains_key(*text)).collect()
        };
        fresh.sort_unstable();
        fresh.dedup();
        let computed = if fresh.is_empty() { Vec::new() } else { self.encoder.encode(&fresh, &|_| ())? };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(fresh.into_iter().map(str::to_owned).zip(computed.into_iter().map(Arc::from)));
        Ok(texts.iter().filter_map(|text| known.get(*text).cloned()).collect())
    }
}
