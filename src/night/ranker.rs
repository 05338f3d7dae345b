//! The ranker's folder where it lies in a bucket: fetched to a temporary folder to be read, written to one to be sent.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::domain::Digest;
use crate::publish::{self, Condition, PutOptions, Store, StoreError};
use crate::rank::{RankError, RankerModel};

/// The ranker's folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RankerFolderError {
    #[error("the ranker {location} (rank.model) cannot be used: {source}")]
    Rank { location: String, source: RankError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ranker {location}: {path}: {source}; check free space and permissions of the temporary folder", path = path.display())]
    Io { location: String, path: PathBuf, source: std::io::Error },
    #[error("there is no ranker at {location}; write one with `endcap train ranker --out {location}`")]
    Nothing { location: String },
}

/// Reads the ranker at `location`, a folder or `s3://bucket/prefix`.
pub async fn load_ranker(
    location: &str,
    settings: &publish::Settings,
) -> Result<RankerModel, RankerFolderError> {
    let load = |folder: &Path| {
        RankerModel::load(folder)
            .map_err(|source| RankerFolderError::Rank { location: location.into(), source })
    };
    if !location.starts_with("s3://") {
        return load(Path::new(location));
    }
    let folder = tempfile::tempdir().map_err(|source| io(location, Path::new("."), source))?;
    let store = publish::open(location, settings).await?;
    let keys = store.list("").await?;
    if keys.is_empty() {
        return Err(RankerFolderError::Nothing { location: location.into() });
    }
    for key in keys.iter().filter(|key| !key.contains('/')) {
        let Some(object) = store.get(key).await? else { continue };
        let path = folder.path().join(key);
        std::fs::write(&path, &object.bytes).map_err(|source| io(location, &path, source))?;
    }
    load(folder.path())
}

/// Writes `model` to `location`, a folder or `s3://bucket/prefix`. A reader in between finds a ranker whose parts do not belong
/// together, and is told so.
pub async fn save_ranker(
    model: &RankerModel,
    location: &str,
    settings: &publish::Settings,
) -> Result<(), RankerFolderError> {
    let save = |folder: &Path| {
        model.save(folder).map_err(|source| RankerFolderError::Rank { location: location.into(), source })
    };
    if !location.starts_with("s3://") {
        return save(Path::new(location));
    }
    let folder = tempfile::tempdir().map_err(|source| io(location, Path::new("."), source))?;
    save(folder.path())?;
    let store = publish::open(location, settings).await?;
    let entries = std::fs::read_dir(folder.path()).map_err(|source| io(location, folder.path(), source))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let bytes = std::fs::read(&path).map_err(|source| io(location, &path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        put(&*store, &name, bytes.into()).await?;
    }
    Ok(())
}

async fn put(store: &dyn Store, key: &str, bytes: Bytes) -> Result<(), StoreError> {
    let sha256 = Digest::of(&bytes);
    let options = PutOptions { cache_control: "no-store".into(), condition: Condition::Any, sha256 };
    store.put(key, bytes, &options).await.map(drop)
}

fn io(location: &str, path: &Path, source: std::io::Error) -> RankerFolderError {
    RankerFolderError::Io { location: location.into(), path: path.into(), source }
}
