//! Finished pages in a file until they are published, so that a large run need not fit in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::PublishError;

/// One file of pages, one after the other. It needs no name: its pages are of use to this process alone.
pub struct Spool {
    file: Arc<File>,
    /// Bytes.
    length: u64,
}

impl Spool {
    /// `file` is empty and nobody else writes it.
    pub fn new(file: File) -> Self {
        Self { file: Arc::new(file), length: 0 }
    }

    /// Writes a page's exact bytes down.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Spooled, PublishError> {
        let failed = |cause| PublishError::Spool { action: "write", cause };
        self.file.write_all_at(bytes, self.length).map_err(failed)?;
        let page = Spooled { file: Arc::clone(&self.file), start: self.length, length: bytes.len() };
        self.length += bytes.len() as u64;
        Ok(page)
    }
}

/// A finished page's exact bytes, in a [`Spool`].
#[derive(Debug, Clone)]
pub struct Spooled {
    file: Arc<File>,
    start: u64,
    /// Bytes.
    length: usize,
}

impl Spooled {
    pub(super) async fn read(&self) -> Result<Bytes, PublishError> {
        let Self { file, start, length } = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start)?;
            Ok(Bytes::from(bytes))
        });
        let read = read.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        read.map_err(|cause| PublishError::Spool { action: "read", cause })
    }
}
