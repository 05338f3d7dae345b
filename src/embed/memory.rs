//! An encoder that remembers: concepts, keywords and product types repeat from page to page and from stage to stage.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// The encoder by itself, for texts that will not be asked for again.
    pub fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    /// Takes up `vectors` that its encoder made before.
    pub fn remember(&self, vectors: impl IntoIterator<Item = (String, Vec<f32>)>) {
        self.known().extend(vectors.into_iter().map(|(text, vector)| (text, Arc::from(vector))));
    }

    /// Those of `texts` whose vectors it would have to compute, each once.
    pub fn unknown<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let known = self.known();
        texts.into_iter().filter(|text| !known.contains_key(*text)).collect()
    }

    /// Unit vectors of `texts`, in order; only those not seen before are computed.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn vectors(&self, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, EmbedError> {
        let fresh = Vec::from_iter(self.unknown(texts.iter().copied()));
        if !fresh.is_empty() {
            let computed = self.encoder.encode(&fresh, &|_| ())?;
            self.remember(fresh.into_iter().map(str::to_owned).zip(computed));
        }
        let known = self.known();
        Ok(texts.iter().filter_map(|text| known.get(*text).cloned()).collect())
    }

    /// Whole at every instant, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<[f32]>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
