//! The private work root: plans, checkpoints, stage answers and stories, each file written whole or not at all. A folder, or
//! a prefix of a bucket.
//!
//! ```text
//! runs/<run_id>/plan.json            what the run is, with its start time
//! runs/<run_id>/groups/<n>.json      a finished group
//! runs/<run_id>/settled.json         what each segment shows, decided before the first object is published
//! runs/<run_id>/report.json          what became of the night, where a Lambda published it
//! runs/<run_id>/canary.json          the run in which a share of the segments saw it first
//! pages/<run_id>.json                what each published page was made of, so that an unchanged one is not made again
//! index.json                         which catalogue the index was brought up to
//! answers/<2 hex>/<key>.json         one answer of the model, by its exact key
//! explain/<run_id>/<segment>.json    a published page's story
//! judged/<2 hex>/<key>.json          what the cascade offered a segment in a replay, by its exact key
//! ```
//!
//! # A bucket
//! The bucket is what counts: plans, groups and decisions are written to it and read from it alone, since other machines write
//! them too. What is named by the digest of all it depends on never changes, so `answers` and `judged` are kept in a local
//! folder as well: written there first, so that an answer survives a bucket that cannot be reached, and read there first. A
//! local folder that cannot be written costs a warning, not the night.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{Digest, INDEX_FORMAT, RunId, SegmentId};
use crate::publish::{self, Condition, PutOptions, Store, StoreError};

/// Requests to a bucket under way at once.
const IN_FLIGHT: usize = 16;

/// The work root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("cannot {action} {path}: {source}; check the work root's permissions and free space", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{place} is not what this version writes ({source}); delete it and run again")]
    Format { place: String, source: serde_json::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `index.json`: what the index was last brought up to, so that somebody who cannot open it knows whether it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMark {
    /// Of products and keywords.
    catalogue: Digest,
    encoder: Digest,
    /// [`INDEX_FORMAT`]; 0 of those who did not write it down.
    #[serde(default)]
    format: u32,
}

impl IndexMark {
    /// Of an index that this version builds of `catalogue`.
    pub fn new(catalogue: Digest, encoder: Digest) -> Self {
        Self { catalogue, encoder, format: INDEX_FORMAT }
    }
}

/// The work root. Files are named by their path below it, with `/`.
#[derive(Clone)]
pub struct Workspace {
    root: Root,
}

#[derive(Clone)]
enum Root {
    Folder(PathBuf),
    Bucket {
        store: Arc<dyn Store>,
        /// Where answers are kept besides.
        cache: PathBuf,
    },
}

impl Workspace {
    /// A folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: Root::Folder(root.into()) }
    }

    /// A folder or `s3://bucket/prefix`; `cache` is the local folder that keeps answers where it is the latter.
    pub async fn open(
        location: &str,
        cache: impl Into<PathBuf>,
        settings: &publish::Settings,
    ) -> Result<Self, WorkError> {
        if !location.starts_with("s3://") {
            return Ok(Self::new(location.strip_prefix("file://").unwrap_or(location)));
        }
        let store = publish::open(location, settings).await?;
        Ok(Self { root: Root::Bucket { store, cache: cache.into() } })
    }

    pub fn plan(&self, run: &RunId) -> String {
        format!("runs/{run}/plan.json")
    }

    pub fn group(&self, run: &RunId, group: usize) -> String {
        format!("runs/{run}/groups/{group:05}.json")
    }

    pub fn settled(&self, run: &RunId) -> String {
        format!("runs/{run}/settled.json")
    }

    pub fn report(&self, run: &RunId) -> String {
        format!("runs/{run}/report.json")
    }

    pub fn canary(&self, run: &RunId) -> String {
        format!("runs/{run}/canary.json")
    }

    pub fn pages(&self, run: &RunId) -> String {
        format!("pages/{run}.json")
    }

    pub fn index(&self) -> String {
        "index.json".into()
    }

    pub fn answer(&self, key: &Digest) -> String {
        let hex = key.to_hex();
        format!("answers/{}/{hex}.json", &hex[..2])
    }

    pub fn story(&self, run: &RunId, segment: &SegmentId) -> String {
        format!("explain/{run}/{segment}.json")
    }

    pub fn judged(&self, key: &Digest) -> String {
        let hex = key.to_hex();
        format!("judged/{}/{hex}.json", &hex[..2])
    }

    /// Reads a JSON file; `None` where there is none.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, WorkError> {
        let Some(bytes) = self.bytes(path).await? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes)
            .map_err(|source| WorkError::Format { place: self.place(path), source })?;
        Ok(Some(value))
    }

    /// Writes a JSON file whole: a reader, or a run after a crash, sees the old file or the new one (RUN-1).
    pub async fn write<T: Serialize>(&self, path: &str, value: &T) -> Result<(), WorkError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|source| WorkError::Format { place: self.place(path), source })?;
        match &self.root {
            Root::Folder(root) => write_whole(&root.join(path), &bytes),
            Root::Bucket { store, cache } => {
                keep(cache, path, &bytes);
                put(&**store, path, bytes.into()).await
            }
        }
    }

    /// Reads many files at once, in order of `paths`.
    pub async fn read_all<T: DeserializeOwned + Send>(
        &self,
        paths: &[String],
    ) -> Result<Vec<Option<T>>, WorkError> {
        let reads: Vec<_> = paths.iter().map(|path| self.read(path).boxed()).collect();
        stream::iter(reads).buffered(IN_FLIGHT).try_collect().await
    }

    /// Writes many files at once, each whole.
    pub async fn write_all<T: Serialize + Send + Sync>(
        &self,
        files: Vec<(String, T)>,
    ) -> Result<(), WorkError> {
        let write = |(path, value): (String, T)| async move { self.write(&path, &value).await }.boxed();
        let writes: Vec<_> = files.into_iter().map(write).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// An empty file without a name, which goes with this process: below the root, or where the system keeps temporary files
    /// if the root is a bucket.
    pub fn scratch(&self) -> Result<File, WorkError> {
        let (folder, file) = match &self.root {
            Root::Folder(root) => {
                let made = std::fs::create_dir_all(root);
                (root.as_path(), made.and_then(|()| tempfile::tempfile_in(root)))
            }
            Root::Bucket { .. } => (Path::new("the folder for temporary files"), tempfile::tempfile()),
        };
        file.map_err(|source| WorkError::Io { action: "create a file in", path: folder.into(), source })
    }

    async fn bytes(&self, path: &str) -> Result<Option<Bytes>, WorkError> {
        match &self.root {
            Root::Folder(root) => read_file(&root.join(path)),
            Root::Bucket { store, cache } => {
                if let Some(kept) = kept(cache, path) {
                    return Ok(Some(kept));
                }
                let found = store.get(path).await?.map(|object| object.bytes);
                if let Some(bytes) = &found {
                    keep(cache, path, bytes);
                }
                Ok(found)
            }
        }
    }

    /// A file's place, for messages.
    fn place(&self, path: &str) -> String {
        match &self.root {
            Root::Folder(root) => root.join(path).display().to_string(),
            Root::Bucket { store, .. } => format!("{}/{path}", store.location().trim_end_matches('/')),
        }
    }
}

/// Whether a file's name is the digest of all it depends on, so that every copy of it is as good.
fn is_named_by_content(path: &str) -> bool {
    path.starts_with("answers/") || path.starts_with("judged/")
}

/// The local copy of a file that never changes; a damaged one counts as none.
fn kept(cache: &Path, path: &str) -> Option<Bytes> {
    if !is_named_by_content(path) {
        return None;
    }
    let bytes = read_file(&cache.join(path)).ok()??;
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok().then_some(bytes)
}

fn keep(cache: &Path, path: &str, bytes: &[u8]) {
    if !is_named_by_content(path) {
        return;
    }
    if let Err(error) = write_whole(&cache.join(path), bytes) {
        tracing::warn!(%error, "an answer is kept in the bucket alone");
    }
}

async fn put(store: &dyn Store, path: &str, bytes: Bytes) -> Result<(), WorkError> {
    let options = PutOptions {
        cache_control: "no-store".into(),
        condition: Condition::Any,
        sha256: Digest::of(&bytes),
    };
    store.put(path, bytes, &options).await?;
    Ok(())
}

fn read_file(path: &Path) -> Result<Option<Bytes>, WorkError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WorkError::Io { action: "read", path: path.into(), source }),
    }
}

/// Writes through a temporary file in the same folder, synced before it takes the name.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WorkError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = |action, source| WorkError::Io { action, path: path.into(), source };
    std::fs::create_dir_all(folder).map_err(|source| fail("create the folder of", source))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|source| fail("create", source))?;
    std::io::Write::write_all(&mut file, bytes).map_err(|source| fail("write", source))?;
    file.as_file().sync_all().map_err(|source| fail("sync", source))?;
    file.persist(path).map_err(|error| fail("rename", error.error))?;
    Ok(())
}
