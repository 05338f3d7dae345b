//! Vectors of queries, each encoded once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::{IndexError, encode, lock};
use crate::embed::Encoder;

/// The vectors of the queries seen so far.
///
/// A forward pass over a few words costs nearly as much as one over hundreds, so searches that run side by side share
/// theirs: while one call encodes, the texts of the others gather, and the next one to have its turn encodes them all.
/// A vector does not depend on what it is encoded with, so neither does any answer.
#[derive(Default)]
pub struct QueryVectors {
    known: Mutex<BTreeMap<String, Arc<[f32]>>>,
    waiting: Mutex<BTreeSet<String>>,
    turn: tokio::sync::Mutex<()>,
}

impl QueryVectors {
    /// Vectors of `texts`, in order.
    pub async fn of(&self, encoder: &Arc<Encoder>, texts: &[String]) -> Result<Vec<Arc<[f32]>>, IndexError> {
        let unknown = self.unknown(texts);
        if !unknown.is_empty() {
            lock(&self.waiting).extend(unknown);
            let _turn = self.turn.lock().await;
            // Those taken by a call that was then dropped are no longer waiting: ask again for one's own.
            let mut due = std::mem::take(&mut *lock(&self.waiting));
            due.extend(self.unknown(texts));
            let due: Vec<String> = self.unknown(due.iter());
            let encoded = encode(encoder, due.clone()).await?;
            lock(&self.known).extend(due.into_iter().zip(encoded.into_iter().map(Arc::from)));
        }
        let known = lock(&self.known);
        Ok(texts.iter().filter_map(|text| known.get(text).cloned()).collect())
    }

    fn unknown<'a>(&self, texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let known = lock(&self.known);
        texts.into_iter().filter(|text| !known.contains_key(*text)).cloned().collect()
    }
}
