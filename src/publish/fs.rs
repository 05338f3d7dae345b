//! A published tree in a local directory.
//!
//! A write goes to a temporary file, is synced, and is renamed into place, so that a reader opens the old file or the new
//! one and a crash leaves either. "Only if absent" is a rename that never replaces (renameat2, or link(2) where the
//! system lacks it); other writes and deletes hold an advisory lock on `.endcap/write.lock`, so that comparing and renaming are
//! one step between processes too. Network file systems without working advisory locks are not supported.
//!
//! Keys cannot be hidden names, so `.endcap/` is never part of the tree. Temporary files live in it; those of a killed
//! process are removed by the next writer that finds no other at work. Symbolic links below the root are refused.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::NamedTempFile;

use super::store::{check_folder, check_key};
use super::{
    Condition, ETag, Hint, Listed, Listing, Object, ObjectHead, PutOptions, Store, StoreError, Written,
};
use crate::domain::Digest;

/// A directory as a store. Nothing is created before the first write.
pub struct FsStore {
    location: String,
    tree: Arc<Tree>,
}

impl FsStore {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let location = root.display().to_string();
        Self {
            tree: Arc::new(Tree { location: location.clone(), root, session: Mutex::new(None) }),
            location,
        }
    }

    /// Runs file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl FnOnce(&Tree, &str) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tree, key_of_task) = (Arc::clone(&self.tree), key.to_owned());
        let task = tokio::task::spawn_blocking(move || work(&tree, &key_of_task));
        let result = task.await.unwrap_or_else(|panic| Err(io::Error::other(panic).into()));
        result.map_err(|trouble| match trouble {
            Trouble::Store(error) => error,
            Trouble::Io(error) => self.tree.failed(action, key, &error),
        })
    }
}

#[async_trait]
impl Store for FsStore {
    fn location(&self) -> &str {
        &self.location
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.blocking("read", key, Tree::get).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, StoreError> {
        self.blocking("read", key, Tree::head).await
    }

    async fn put(&self, key: &str, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let options = options.clone();
        let put = move |tree: &Tree, key: &str| tree.put(key, &bytes, &options);
        Ok(Written { etag: self.blocking("write", key, put).await?, vouched: true })
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let from = from.to_owned();
        self.blocking("copy to", to, move |tree, to| tree.copy(&from, to)).await
    }

    /// All of it at once; an ETag would mean reading each file.
    async fn list_part(&self, prefix: &str, _next: Option<String>) -> Result<Listing, StoreError> {
        self.blocking("list", prefix, Tree::list).await
    }

    async fn children(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.blocking("list", prefix, Tree::children).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let Some(first) = keys.first() else { return Ok(()) };
        let all = keys.to_vec();
        self.blocking("delete", first, move |tree, _| tree.delete(&all)).await
    }
}

/// What can go wrong on the blocking side; an I/O error is given its key and action outside.
enum Trouble {
    Store(StoreError),
    Io(io::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Tree {
    root: PathBuf,
    location: String,
    /// Locked, shared, as long as this store may hold temporary files; `None` before the first write.
    session: Mutex<Option<File>>,
}

impl Tree {
    fn get(&self, key: &str) -> Result<Option<Object>, Trouble> {
        match fs::read(self.resolve(key)?) {
            Ok(bytes) => Ok(Some(Object { etag: etag(&Digest::of(&bytes)), bytes: bytes.into() })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn head(&self, key: &str) -> Result<Option<ObjectHead>, Trouble> {
        let head = |object: Object| {
            let sha256 = Some(Digest::of(&object.bytes));
            ObjectHead { etag: object.etag, size: object.bytes.len() as u64, sha256 }
        };
        Ok(self.get(key)?.map(head))
    }

    fn put(&self, key: &str, bytes: &[u8], options: &PutOptions) -> Result<ETag, Trouble> {
        let path = self.resolve(key)?;
        let found = Digest::of(bytes);
        if found != options.sha256 {
            let (store, key) = (self.location.clone(), key.to_owned());
            return Err(StoreError::Checksum { store, key, expected: options.sha256, found }.into());
        }
        self.begin_session()?;
        let file = self.temporary(bytes)?;
        match &options.condition {
            Condition::IfAbsent => self.put_new(key, &path, file)?,
            Condition::Any => {
                let _lock = self.write_lock()?;
                self.replace(&path, file)?;
            }
            Condition::IfMatch(expected) => {
                let _lock = self.write_lock()?;
                if self.get(key)?.is_none_or(|object| object.etag != *expected) {
                    return Err(self.precondition(key).into());
                }
                self.replace(&path, file)?;
            }
        }
        Ok(etag(&found))
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), Trouble> {
        let Some(object) = self.get(from)? else {
            return Err(StoreError::NotFound { store: self.location.clone(), key: from.into() }.into());
        };
        // Files have no headers to keep, and a copy of its own outlives damage to the first.
        let sha256 = Digest::of(&object.bytes);
        let options = PutOptions { cache_control: String::new(), condition: Condition::IfAbsent, sha256 };
        self.put(to, &object.bytes, &options).map(drop)
    }

    fn list(&self, prefix: &str) -> Result<Listing, Trouble> {
        let mut objects = Vec::new();
        let mut folders = vec![prefix.to_owned()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder) in self.entries(&folder)? {
                if is_folder {
                    folders.push(format!("{folder}{name}/"))
                } else {
                    objects.push(Listed { key: format!("{folder}{name}"), etag: None })
                }
            }
        }
        Ok(Listing { objects, next: None })
    }

    fn children(&self, prefix: &str) -> Result<Vec<String>, Trouble> {
        let entries = self.entries(prefix)?;
        let mut names: Vec<String> =
            entries.into_iter().filter(|(_, is_folder)| *is_folder).map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    fn delete(&self, keys: &[String]) -> Result<(), Trouble> {
        let paths = keys.iter().map(|key| self.resolve(key)).collect::<Result<Vec<_>, _>>()?;
        if !self.root.is_dir() {
            return Ok(());
        }
        self.begin_session()?;
        let _lock = self.write_lock()?;
        for path in &paths {
            match fs::remove_file(path) {
                Err(error) if !is_absent(&error) => return Err(error.into()),
                _ => {}
            }
        }
        let mut folders: Vec<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        folders.dedup();
        for folder in folders {
            self.remove_empty(folder)?;
        }
        Ok(())
    }

    /// The path of `key`, every existing part of it checked not to be a link.
    fn resolve(&self, key: &str) -> Result<PathBuf, StoreError> {
        check_key(key)?;
        self.without_links(key)
    }

    fn without_links(&self, relative: &str) -> Result<PathBuf, StoreError> {
        let mut path = self.root.clone();
        for part in relative.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            if path.is_symlink() {
                return Err(StoreError::Symlink { path: path.display().to_string() });
            }
        }
        Ok(path)
    }

    /// Names and whether they are folders, of what is not hidden in `folder`; none where it does not exist.
    fn entries(&self, folder: &str) -> Result<Vec<(String, bool)>, Trouble> {
        check_folder(folder)?;
        let path = self.without_links(folder)?;
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                return Err(StoreError::Symlink { path: entry.path().display().to_string() }.into());
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_key(&name).is_ok() {
                found.push((name, kind.is_dir()));
            }
        }
        Ok(found)
    }

    fn temporary(&self, bytes: &[u8]) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("put-");
        // Readable by the web server, as far as the umask allows; temporary files are private otherwise.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(self.private().join("tmp"))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn put_new(&self, key: &str, path: &Path, mut file: NamedTempFile) -> Result<(), Trouble> {
        // A delete may remove the folder, empty to its eyes, between the two steps.
        for _ in 0..8 {
            self.create_folders(path)?;
            match file.persist_noclobber(path) {
                Ok(_) => return Ok(sync_folder(path)?),
                Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
                    return Err(self.precondition(key).into());
                }
                Err(refused) if refused.error.kind() == ErrorKind::NotFound => file = refused.file,
                Err(refused) => return Err(refused.error.into()),
            }
        }
        Err(io::Error::other("its folder keeps being deleted").into())
    }

    /// Under the write lock.
    fn replace(&self, path: &Path, file: NamedTempFile) -> io::Result<()> {
        self.create_folders(path)?;
        file.persist(path).map_err(|refused| refused.error)?;
        sync_folder(path)
    }

    /// Creates the folders between the root and `path`, each synced into the one above.
    fn create_folders(&self, path: &Path) -> io::Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        let mut missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.is_dir()).collect();
        while let Some(next) = missing.pop() {
            match fs::create_dir(next) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => sync_folder(next)?,
            }
        }
        Ok(())
    }

    /// Makes deletions in `folder` durable and removes it, and those above, where nothing is left.
    fn remove_empty(&self, folder: &Path) -> io::Result<()> {
        let above = folder.ancestors().take_while(|above| *above != self.root);
        for folder in above.filter(|folder| folder.is_dir()) {
            match fs::remove_dir(folder) {
                Err(error) if is_absent(&error) => {}
                Err(_) => return File::open(folder)?.sync_all(),
                Ok(()) => sync_folder(folder)?,
            }
        }
        Ok(())
    }

    fn private(&self) -> PathBuf {
        self.root.join(".endcap")
    }

    /// Once a store: clears what killed writers left, if nobody else writes, and marks this one as at work.
    fn begin_session(&self) -> io::Result<()> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_some() {
            return Ok(());
        }
        let temporary = self.private().join("tmp");
        fs::create_dir_all(&temporary)?;
        let lock = open_lock(&self.private().join("session.lock"))?;
        if lock.try_lock().is_ok() {
            for leftover in fs::read_dir(&temporary)? {
                fs::remove_file(leftover?.path())?;
            }
            lock.unlock()?;
        }
        lock.lock_shared()?;
        *session = Some(lock);
        Ok(())
    }

    /// Held until dropped.
    fn write_lock(&self) -> io::Result<File> {
        let lock = open_lock(&self.private().join("write.lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn precondition(&self, key: &str) -> StoreError {
        StoreError::Precondition { store: self.location.clone(), key: key.into() }
    }

    fn failed(&self, action: &'static str, key: &str, error: &io::Error) -> StoreError {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "make the directory writable",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room and publish again",
            ErrorKind::CrossesDevices => "keep the whole tree on one file system",
            _ => "",
        };
        StoreError::Failed {
            store: self.location.clone(),
            action,
            key: key.into(),
            reason: error.to_string(),
            hint: Hint(hint),
        }
    }
}

fn etag(sha256: &Digest) -> ETag {
    ETag(sha256.to_hex())
}

/// No such file, or a file where a folder of the key would be.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Makes the entry of `path` in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "fs_tests.rs"]
mod tests;
