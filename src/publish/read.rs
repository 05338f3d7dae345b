//! Reading what is published: for the night (last night's pages), for `endcap serve` and for checks.

use serde::de::DeserializeOwned;

use crate::domain::manifest::{RunIndex, StorefrontManifest, keys};
use crate::domain::{Digest, RunId, SegmentId};

use super::{Object, PublishError, Store, StoreError};

/// The index of `run`, `None` where the run is not complete.
pub async fn read_index(store: &dyn Store, run: &RunId) -> Result<Option<RunIndex>, PublishError> {
    Ok(read_index_and_digest(store, run).await?.map(|(index, _)| index))
}

pub(super) async fn read_index_and_digest(
    store: &dyn Store,
    run: &RunId,
) -> Result<Option<(RunIndex, Digest)>, PublishError> {
    let key = keys::index(run);
    let Some(object) = store.get(&key).await? else { return Ok(None) };
    Ok(Some((parse(store, &key, &object.bytes)?, Digest::of(&object.bytes))))
}

/// The page of `segment` in `run`, as it is published.
pub async fn read_page(
    store: &dyn Store,
    run: &RunId,
    segment: &SegmentId,
) -> Result<Option<Object>, StoreError> {
    store.get(&keys::segment(run, segment)).await
}

/// The page of `segment` in `run`, parsed.
pub async fn read_manifest(
    store: &dyn Store,
    run: &RunId,
    segment: &SegmentId,
) -> Result<Option<StorefrontManifest>, PublishError> {
    let key = keys::segment(run, segment);
    let Some(object) = store.get(&key).await? else { return Ok(None) };
    parse(store, &key, &object.bytes).map(Some)
}

pub(super) fn parse<T: DeserializeOwned>(
    store: &dyn Store,
    key: &str,
    bytes: &[u8],
) -> Result<T, PublishError> {
    serde_json::from_slice(bytes).map_err(|cause| PublishError::Malformed {
        store: store.location().into(),
        key: key.into(),
        cause,
    })
}
