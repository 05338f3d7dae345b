//! Private page stories, read from the work root for the merchandiser's view.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::domain::explain::PageStory;
use crate::domain::{RunId, SegmentId};

/// Whether and where page stories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stories {
    /// The merchandiser's view is left out.
    Hidden,
    /// The view is there and tells what is public.
    Unknown,
    /// At `<work root>/explain/<run_id>/<segment_id>.json`.
    Under(PathBuf),
}

/// A story that is there and cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a story this version reads ({source}); run the night again", path = path.display())]
    Format { path: PathBuf, source: serde_json::Error },
}

impl Stories {
    /// As the page is told, in its `data-merchandiser` attribute.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Unknown => "public",
            Self::Under(_) => "stories",
        }
    }
}

/// The story of `segment` in `run`, checked to be one; `None` where none is kept. Ids are parsed, so the path stays
/// below `work`.
pub async fn read(work: &Path, run: &RunId, segment: &SegmentId) -> Result<Option<Bytes>, StoryError> {
    let path = work.join("explain").join(run.as_str()).join(format!("{segment}.json"));
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoryError::Read { path, source }),
    };
    match serde_json::from_slice::<PageStory>(&bytes) {
        Ok(_) => Ok(Some(bytes.into())),
        Err(source) => Err(StoryError::Format { path, source }),
    }
}
