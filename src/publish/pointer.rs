//! `current.json`, the one object that changes: read, moved to a run, fenced by retention. Each change is one conditional
//! write over the version that was read (PUB-3).

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::domain::manifest::{Pointer, keys};
use crate::domain::{Digest, RunId};

use super::read::parse;
use super::write;
use super::{Condition, ETag, PublishError, Settings, Store};

/// How often a publish or rollback starts again because a sweep fenced the pointer, and a sweep because it moved.
pub(super) const ATTEMPTS: usize = 4;

/// The pointer and the version it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Current {
    pub pointer: Pointer,
    pub etag: ETag,
}

/// The schema that a document says it is of. A pointer of today's says none; one of another schema must not be taken for today's,
/// nor written over.
#[derive(Deserialize)]
struct Declared {
    schema: Option<String>,
}

/// What is published now, `None` before the first publish. [`PublishError::Newer`] where a later version wrote it.
pub async fn read_pointer(store: &dyn Store) -> Result<Option<Current>, PublishError> {
    let Some(object) = store.get(keys::CURRENT).await? else { return Ok(None) };
    if let Declared { schema: Some(schema) } = parse(store, keys::CURRENT, &object.bytes)? {
        let (store, key) = (store.location().into(), keys::CURRENT.into());
        return Err(PublishError::Newer { store, key, schema });
    }
    let pointer = parse(store, keys::CURRENT, &object.bytes)?;
    Ok(Some(Current { pointer, etag: object.etag }))
}

/// A run that was checked to be whole.
pub(super) struct Target<'a> {
    pub run_id: &'a RunId,
    pub index_sha256: Digest,
    pub published_at: DateTime<Utc>,
    /// See [`PublishPlan::passing`](super::PublishPlan::passing).
    pub passing: Option<&'a RunId>,
}

impl Target<'_> {
    fn is(&self, pointer: &Pointer) -> bool {
        pointer.run_id == *self.run_id && pointer.index_sha256 == self.index_sha256
    }

    /// The pointer to this run, coming from `seen`.
    fn after(&self, seen: Option<&Current>) -> Pointer {
        let previous = seen.map(|seen| &seen.pointer).and_then(|pointer| {
            if pointer.run_id == *self.run_id || self.passing == Some(&pointer.run_id) {
                pointer.previous_run_id.clone()
            } else {
                Some(pointer.run_id.clone())
            }
        });
        Pointer {
            run_id: self.run_id.clone(),
            index_sha256: self.index_sha256,
            previous_run_id: previous,
            published_at: self.published_at,
            sweeps: seen.map_or(0, |seen| seen.pointer.sweeps),
        }
    }
}

pub(super) enum Moved {
    /// The pointer names the target: `changed` by this call, or before it.
    To { pointer: Pointer, changed: bool },
    /// Only a sweep came between: the target must be checked anew, starting from this pointer.
    Fenced(Current),
}

/// Points at `target`, if the pointer is still as `seen`.
pub(super) async fn advance(
    store: &dyn Store,
    seen: Option<&Current>,
    target: &Target<'_>,
    settings: &Settings,
) -> Result<Moved, PublishError> {
    if let Some(seen) = seen.filter(|seen| target.is(&seen.pointer)) {
        return Ok(Moved::To { pointer: seen.pointer.clone(), changed: false });
    }
    let next = target.after(seen);
    let Err(failure) = put(store, seen, &next, settings).await else {
        return Ok(Moved::To { pointer: next, changed: true });
    };
    let refused = matches!(&failure, PublishError::Store(error) if error.is_precondition());
    // A failed answer is not a failed write, and a refused one may have been refused by its own first attempt: what
    // the pointer says now decides.
    let Ok(now) = read_pointer(store).await else { return Err(failure) };
    match now {
        Some(now) if now.pointer == next => Ok(Moved::To { pointer: next, changed: true }),
        Some(now) if target.is(&now.pointer) => Ok(Moved::To { pointer: now.pointer, changed: false }),
        _ if !refused => Err(failure),
        Some(now) if only_fenced(seen, &now) => Ok(Moved::Fenced(now)),
        Some(now) => Err(PublishError::LostRace { run_id: next.run_id, winner: now.pointer.run_id }),
        None => Err(PublishError::PointerVanished { store: store.location().into(), run_id: next.run_id }),
    }
}

/// Raises the pointer's count of sweeps, so that no write that expects the version before can win any more. `false` where
/// the pointer is no longer as `seen`.
pub(super) async fn fence(
    store: &dyn Store,
    seen: &Current,
    settings: &Settings,
) -> Result<bool, PublishError> {
    let next = Pointer { sweeps: seen.pointer.sweeps + 1, ..seen.pointer.clone() };
    match put(store, Some(seen), &next, settings).await {
        Ok(()) => Ok(true),
        Err(PublishError::Store(error)) if error.is_precondition() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn put(
    store: &dyn Store,
    seen: Option<&Current>,
    next: &Pointer,
    settings: &Settings,
) -> Result<(), PublishError> {
    let condition = match seen {
        Some(seen) => Condition::IfMatch(seen.etag.clone()),
        None => Condition::IfAbsent,
    };
    let bytes = write::json(keys::CURRENT, next)?;
    let options = write::options(keys::CURRENT, Digest::of(&bytes), condition, settings);
    store.put(keys::CURRENT, bytes, &options).await?;
    Ok(())
}

fn only_fenced(seen: Option<&Current>, now: &Current) -> bool {
    let Some(seen) = seen else { return false };
    let unfenced = Pointer { sweeps: seen.pointer.sweeps, ..now.pointer.clone() };
    now.pointer.sweeps > seen.pointer.sweeps && unfenced == seen.pointer
}
