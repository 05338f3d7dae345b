//! The two kinds of write: objects that never change, and the options both share.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::manifest::to_bytes;
use crate::domain::{Digest, RunId};

use super::{Condition, PublishError, PutOptions, Settings, Store, cache_control};

pub(super) fn options(key: &str, bytes: &[u8], condition: Condition, settings: &Settings) -> PutOptions {
    PutOptions { cache_control: cache_control(key, settings), condition, sha256: Digest::of(bytes) }
}

pub(super) fn json<T: Serialize>(key: &str, document: &T) -> Result<Bytes, PublishError> {
    let bytes = to_bytes(document);
    bytes.map(Bytes::from).map_err(|cause| PublishError::Unwritable { key: key.into(), cause })
}

/// Puts an object of `run` that is there for good. `false` where these very bytes were there before.
///
/// A refused write may be this call's own: a request that was answered too late and sent again finds its first copy. So
/// the bytes decide, not the answer.
pub(super) async fn put_immutable(
    store: &dyn Store,
    run: &RunId,
    key: &str,
    bytes: Bytes,
    settings: &Settings,
) -> Result<bool, PublishError> {
    let options = options(key, &bytes, Condition::IfAbsent, settings);
    let refusal = match store.put(key, bytes.clone(), &options).await {
        Ok(_) => return Ok(true),
        Err(refusal) if refusal.is_precondition() => refusal,
        Err(failure) => return Err(failure.into()),
    };
    match store.get(key).await? {
        Some(found) if found.bytes == bytes => Ok(false),
        Some(_) => Err(immutable(store, run, key)),
        None => Err(refusal.into()),
    }
}

pub(super) fn immutable(store: &dyn Store, run: &RunId, key: &str) -> PublishError {
    PublishError::Immutable { store: store.location().into(), run_id: run.clone(), key: key.into() }
}
