//! Vectors of queries, encoded together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::{IndexError, lock};
use crate::embed::Memory;

/// Texts that wait to be encoded.
///
/// A forward pass over a few words costs nearly as much as one over hundreds, so searches that run side by side share
/// theirs: while one call encodes, the texts of the others gather, and the next one to have its turn encodes them all.
/// A vector does not depend on what it is encoded with, so neither does any answer.
#[derive(Default)]
pub struct Queries {
    waiting: Mutex<BTreeSet<String>>,
    turn: tokio::sync::Mutex<()>,
}

impl Queries {
    /// Vectors of `texts`, in order.
    pub async fn vectors(
        &self,
        memory: &Arc<Memory>,
        texts: &[String],
    ) -> Result<Vec<Arc<[f32]>>, IndexError> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let unknown = memory.unknown(texts.iter().copied());
        if !unknown.is_empty() {
            lock(&self.waiting).extend(unknown.into_iter().map(str::to_owned));
            let _turn = self.turn.lock().await;
            // Those taken by a call that was then dropped are no longer waiting: ask again for one's own.
            let mut due = std::mem::take(&mut *lock(&self.waiting));
            due.extend(texts.iter().map(|text| (*text).to_owned()));
            let memory = Arc::clone(memory);
            let encode =
                move || memory.vectors(&due.iter().map(String::as_str).collect::<Vec<_>>()).map(drop);
            tokio::task::spawn_blocking(encode).await??;
        }
        Ok(memory.vectors(&texts)?)
    }
}
