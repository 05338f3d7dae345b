//! The private work root: plans, checkpoints, stage answers and stories, each file written whole or not at all.
//!
//! ```text
//! runs/<run_id>/plan.json            what the run is, with its start time
//! runs/<run_id>/groups/<n>.json      a finished group
//! runs/<run_id>/settled.json         what each segment shows, decided before the first object is published
//! answers/<2 hex>/<key>.json         one answer of the model, by its exact key
//! explain/<run_id>/<segment>.json    a published page's story
//! judged/<2 hex>/<key>.json          what the cascade offered a segment in a replay, by its exact key
//! ```

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Digest, RunId, SegmentId};

/// The work root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("cannot {action} {path}: {source}; check the work root's permissions and free space", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} is not what this version writes ({source}); delete it and run again", path = path.display())]
    Format { path: PathBuf, source: serde_json::Error },
}

/// Paths below the work root.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn plan(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.as_str()).join("plan.json")
    }

    pub fn group(&self, run: &RunId, group: usize) -> PathBuf {
        self.root.join("runs").join(run.as_str()).join("groups").join(format!("{group:05}.json"))
    }

    pub fn settled(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.as_str()).join("settled.json")
    }

    pub fn answer(&self, key: &Digest) -> PathBuf {
        let hex = key.to_hex();
        self.root.join("answers").join(&hex[..2]).join(format!("{hex}.json"))
    }

    pub fn story(&self, run: &RunId, segment: &SegmentId) -> PathBuf {
        self.root.join("explain").join(run.as_str()).join(format!("{segment}.json"))
    }

    pub fn judged(&self, key: &Digest) -> PathBuf {
        let hex = key.to_hex();
        self.root.join("judged").join(&hex[..2]).join(format!("{hex}.json"))
    }

    /// Reads a JSON file; `None` where there is none.
    pub fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, WorkError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WorkError::Io { action: "read", path: path.into(), source }),
        };
        let value = serde_json::from_slice(&bytes)
            .map_err(|source| WorkError::Format { path: path.into(), source })?;
        Ok(Some(value))
    }

    /// Writes a JSON file whole: a reader, or a run after a crash, sees the old file or the new one.
    pub fn write<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), WorkError> {
        let bytes =
            serde_json::to_vec(value).map_err(|source| WorkError::Format { path: path.into(), source })?;
        write_whole(path, &bytes)
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
