//! The two kinds of write: objects that never change, and the options both share.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::manifest::to_bytes;
use crate::domain::{Digest, RunId};

use super::{Condition, PublishError, PutOptions, Settings, Store, Written, cache_control};

pub(super) fn options(key: &str, sha256: Digest, condition: Condition, settings: &Settings) -> PutOptions {
    PutOptions { cache_control: cache_control(key, settings), condition, sha256 }
}

pub(super) fn json<T: Serialize>(key: &str, document: &T) -> Result<Bytes, PublishError> {
    let bytes = to_bytes(document);
    bytes.map(Bytes::from).map_err(|cause| PublishError::Unwritable { key: key.into(), cause })
}

/// An object, as it is to be.
pub(super) struct Whole<'a> {
    pub key: &'a str,
    pub bytes: Bytes,
    pub sha256: Digest,
}

/// Puts an object of `run` that is there for good. `None` where these very bytes were there before.
///
/// A refused write may be this call's own: a request that was answered too late and sent again finds its first copy. So
/// the bytes decide, not the answer.
pub(super) async fn put_immutable(
    store: &dyn Store,
    run: &RunId,
    Whole { key, bytes, sha256 }: Whole<'_>,
    settings: &Settings,
) -> Result<Option<Written>, PublishError> {
    let options = options(key, sha256, Condition::IfAbsent, settings);
    let refusal = match store.put(key, bytes.clone(), &options).await {
        Ok(written) => return Ok(Some(written)),
        Err(refusal) if refusal.is_precondition() => refusal,
        Err(failure) => return Err(failure.into()),
    };
    match store.get(key).await? {
        Some(found) if found.bytes == bytes => Ok(None),
        Some(_) => Err(immutable(store, run, key)),
        None => Err(refusal.into()),
    }
}

pub(super) fn immutable(store: &dyn Store, run: &RunId, key: &str) -> PublishError {
    PublishError::Immutable { store: store.location().into(), run_id: run.clone(), key: key.into() }
}
