//! Retrieval: keywords for a placement's concepts, products for its keywords, out of LanceDB on disk or on S3.
//!
//! # Tables
//! `keywords` (a row a keyword) and `listings` are searched, each by exact or indexed vector search and by full text
//! (BM25), and the lists fused by [reciprocal rank](rrf). A listing is what products of one title, type, aisle and tag
//! set have in common: they share one vector, and a search ranks listings, then takes each one's best sellers from
//! `products`. `types` keeps the vectors of the product types, which every worker needs. `state` says what the others hold.
//!
//! # Updates
//! [`Index::update`] compares the tables with the inputs, row by row, and embeds and writes only what differs; a text
//! that any stored row already holds is never embedded again. The columns are those that search reads, so a changed
//! price is no change here.
//!
//! # Crash consistency
//! Before the first write, `state` is marked unfinished; after the last, it takes the digest of the content. Each write
//! is one atomic LanceDB commit. A killed update leaves an index that refuses to be searched, and the next update,
//! which starts from what the tables hold, ends with the same content.
//!
//! # Determinism (DET-1)
//! Vector search is exact below `vector_index_min_rows`. The full-text index is rebuilt after every change, so that
//! BM25 statistics depend on the content and not on its history. A list that its limit cuts amid equal scores gives up
//! the whole group; equal scores share a rank; remaining ties are broken by id. Above `vector_index_min_rows` the index
//! is approximate, and LanceDB trains it unseeded: two builds may then differ in the tail of a list.

mod filter;
mod hybrid;
mod queries;
mod rows;
mod rrf;
mod search;
mod settings;
mod shelf;
mod store;
mod update;

pub use filter::ProductFilter;
pub use settings::Settings;
pub use update::{TableReport, UpdateReport};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::domain::Digest;
use crate::embed::{EmbedError, Encoder, Memory};
use queries::Queries;
use search::Searcher;
use store::Store;

/// Why the index could not be built or searched.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("index {uri}: could not {action}: {source}")]
    Store { uri: String, action: String, source: Box<lancedb::Error> },
    #[error("index {uri} is empty or its last update was cut short; run `endcap index`")]
    Unfinished { uri: String },
    #[error(
        "the index has no usable column {column:?}: something else wrote to it; delete its folder and run `endcap index`"
    )]
    Column { column: &'static str },
    #[error("could not build a batch of rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error("the encoder's thread ended early: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// The keyword corpus and the catalogue, searchable. Share it by [`Arc`]; searches may run side by side, and their
/// answers do not depend on it.
pub struct Index {
    store: Store,
    memory: Arc<Memory>,
    settings: Settings,
    /// What the last finished update left; `None` before the first.
    searcher: RwLock<Option<Arc<Searcher>>>,
    /// One update at a time.
    updating: tokio::sync::Mutex<()>,
    queries: Queries,
}

impl Index {
    /// Opens the index at `uri` (a folder or `s3://bucket/prefix`), which need not exist yet. An index of another
    /// encoder or format is left alone until the next [`update`](Self::update) replaces it.
    pub async fn open(uri: &str, memory: Arc<Memory>, settings: Settings) -> Result<Self, IndexError> {
        let store = Store::connect(uri, &settings.storage, memory.encoder().dimension()).await?;
        let index = Self {
            store,
            memory,
            settings,
            searcher: RwLock::new(None),
            updating: tokio::sync::Mutex::new(()),
            queries: Queries::default(),
        };
        index.reload().await?;
        Ok(index)
    }

    /// Digest of all that answers depend on beside the settings: encoder, format, keywords, listings, products.
    pub fn content_digest(&self) -> Result<Digest, IndexError> {
        Ok(self.searcher()?.content)
    }

    /// Takes up what the tables hold now, if an update finished there.
    async fn reload(&self) -> Result<(), IndexError> {
        let state = self.store.state().await?.filter(|state| state.fits(self.memory.encoder().digest()));
        let searcher = match state.and_then(|state| state.content) {
            Some(content) => Some(Arc::new(Searcher::open(&self.store, content).await?)),
            None => None,
        };
        *self.searcher.write().unwrap_or_else(PoisonError::into_inner) = searcher;
        Ok(())
    }

    fn searcher(&self) -> Result<Arc<Searcher>, IndexError> {
        let searcher = self.searcher.read().unwrap_or_else(PoisonError::into_inner).clone();
        searcher.ok_or_else(|| IndexError::Unfinished { uri: self.store.uri().into() })
    }
}

/// Encodes off the async threads.
async fn encode(encoder: &Arc<Encoder>, texts: Vec<String>) -> Result<Vec<Vec<f32>>, IndexError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let encoder = Arc::clone(encoder);
    let work = move || encoder.encode(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &|_| ());
    Ok(tokio::task::spawn_blocking(work).await??)
}

/// A cache is whole at every instant, so a panic elsewhere does not spoil it.
fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
