//! What publishing asks of an object store. [`FsStore`](super::FsStore) and [`S3Store`](super::S3Store) answer it; one
//! conformance suite holds both to it.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::domain::Digest;

/// The content type of every published object.
pub const CONTENT_TYPE: &str = "application/json";

/// A store's opaque version of an object's bytes: equal bytes may share one, different bytes never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(pub String);

/// An object, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub bytes: Bytes,
    pub etag: ETag,
}

/// What a store says of an object without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    pub etag: ETag,
    /// Bytes.
    pub size: u64,
    /// `None` where the store keeps no SHA-256 of the whole object: fetch it and hash it.
    pub sha256: Option<Digest>,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// `None` where the store does not tell it without reading the object.
    pub etag: Option<ETag>,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub objects: Vec<Listed>,
    /// Where the next part begins, in the store's own words; `None` after the last one.
    pub next: Option<String>,
}

/// What a store says of a write that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub etag: ETag,
    /// Whether the store says that what it keeps under this ETag has the SHA-256 that was announced.
    pub vouched: bool,
}

/// When a write may take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Any,
    /// Only where the key has no object.
    IfAbsent,
    /// Only over exactly this version.
    IfMatch(ETag),
}

#[derive(Debug, Clone)]
pub struct PutOptions {
    /// The `cache-control` header the object is served with.
    pub cache_control: String,
    pub condition: Condition,
    /// Of the bytes; the store refuses bytes that do not have it.
    pub sha256: Digest,
}

/// A flat namespace of whole objects. A read that starts after a write was acknowledged sees that write. A write shows
/// whole or not at all. Of several conditional writes that name one version, at most one takes effect.
///
/// An error of a write says nothing of whether the write took effect, [`StoreError::Precondition`] aside, and even there
/// an earlier attempt of the same call may have.
#[async_trait]
pub trait Store: Send + Sync {
    /// The root, for messages: `out/storefronts` or `s3://bucket/prefix`.
    fn location(&self) -> &str;

    /// The object at `key`, `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError>;

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, StoreError>;

    /// Writes `bytes` at `key`, durably, as [`CONTENT_TYPE`].
    async fn put(&self, key: &str, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError>;

    /// Copies an object byte for byte with its headers, inside the store. Not over an existing object
    /// ([`StoreError::Precondition`]), as far as the server honours conditions on copies.
    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError>;

    /// Some of the objects below the folder `prefix` (empty, or ending in `/`): the first ones, or those from `next` of the
    /// part before. An object that is neither written nor deleted meanwhile is in exactly one part.
    async fn list_part(&self, prefix: &str, next: Option<String>) -> Result<Listing, StoreError>;

    /// Every key below the folder `prefix`, in byte order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let part = self.list_part(prefix, next).await?;
            keys.extend(part.objects.into_iter().map(|object| object.key));
            next = part.next;
            if next.is_none() {
                keys.sort();
                return Ok(keys);
            }
        }
    }

    /// The names of the folders right below the folder `prefix`, in byte order.
    async fn children(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Deletes the objects that are there.
    async fn delete(&self, keys: &[String]) -> Result<(), StoreError>;
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition of a write did not hold: nothing was written.
    #[error("{store}: {key} is not as this write expects it; another writer was first")]
    Precondition { store: String, key: String },
    /// The source of a copy.
    #[error("{store}: {key} does not exist")]
    NotFound { store: String, key: String },
    #[error(
        "{key:?} is not an object key: parts of ASCII letters, digits, '-', '_' and '.', none starting with '.', joined by '/'"
    )]
    BadKey { key: String },
    #[error(
        "{store}: the bytes for {key} have the sha256 {found}, {expected} was announced; publish again from whole files"
    )]
    Checksum { store: String, key: String, expected: Digest, found: Digest },
    #[error(
        "{path} is a symbolic link; a published tree holds none, so that no key leads out of it. Remove the link"
    )]
    Symlink { path: String },
    #[error(
        "{location:?} is not a place to publish to: {reason}. Give a directory, file:///directory or s3://bucket/prefix"
    )]
    Location { location: String, reason: &'static str },
    #[error("{store}: cannot {action} {key}: {reason}{hint}")]
    Failed { store: String, action: &'static str, key: String, reason: String, hint: Hint },
}

/// What to do about a [`StoreError::Failed`]; shown after the reason, empty where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint(pub &'static str);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            hint => write!(f, "; {hint}"),
        }
    }
}

impl StoreError {
    /// True where the condition of a write did not hold.
    pub fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition { .. })
    }
}

/// Longest key, bytes: what S3's 1,024 leave beside a prefix.
const MAX_KEY_BYTES: usize = 768;

/// Refuses what is not a key in every store: a key is never an absolute path, never climbs and is never hidden.
pub(super) fn check_key(key: &str) -> Result<(), StoreError> {
    let part = |part: &str| {
        !part.starts_with('.')
            && !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if key.len() <= MAX_KEY_BYTES && key.split('/').all(part) {
        Ok(())
    } else {
        Err(StoreError::BadKey { key: key.escape_debug().take(200).collect() })
    }
}

/// Refuses a prefix that is not a folder: empty, or a key and a `/`.
pub(super) fn check_folder(prefix: &str) -> Result<(), StoreError> {
    match prefix.strip_suffix('/') {
        _ if prefix.is_empty() => Ok(()),
        Some(folder) => check_key(folder),
        None => Err(StoreError::BadKey { key: prefix.escape_debug().take(200).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_of_the_tree_are_keys() {
        for key in ["current.json", "runs/2017-11-20-0123456789ab/index.json", "runs/x/segments/A.b_c-9.json"]
        {
            assert!(check_key(key).is_ok(), "{key:?} was refused");
        }
    }

    #[test]
    fn nothing_else_is() {
        for key in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "../x",
            "a/../b",
            ".endcap/x",
            "a b",
            "a\0b",
            "a\\b",
            "ä",
            "%2e",
        ] {
            assert!(check_key(key).is_err(), "{key:?} was taken");
        }
        assert!(check_key(&"x".repeat(MAX_KEY_BYTES + 1)).is_err());
        assert!(check_folder("runs").is_err() && check_folder("../").is_err() && check_folder("/").is_err());
        assert!(check_folder("").is_ok() && check_folder("runs/").is_ok());
    }

    proptest! {
        #[test]
        fn no_key_leaves_its_root(key in "[a./\\\\ -]{0,12}") {
            if check_key(&key).is_ok() {
                let path = std::path::Path::new(&key);
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
