//! Going back to an earlier run: checked whole, then one conditional write. Nothing is copied or deleted.

use chrono::{DateTime, Utc};

use crate::domain::RunId;
use crate::domain::manifest::Pointer;
use crate::trace::{self, step};

use super::pointer::{self, ATTEMPTS, Current, Moved, Target};
use super::verify::{none_of, verify_run};
use super::{PublishError, Settings, Store, read_pointer, retention};

/// What a rollback did.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledBack {
    pub pointer: Pointer,
    /// The run that was current before.
    pub from: RunId,
    /// False where the target was the current run already.
    pub changed: bool,
}

/// Points at `to`, or at the run before the current one. A second rollback without `to` undoes the first.
///
/// [`PublishError::Incomplete`] where the target is not whole, [`PublishError::LostRace`] where a publisher was faster;
/// either way the pointer stays.
pub async fn rollback(
    store: &dyn Store,
    to: Option<RunId>,
    published_at: DateTime<Utc>,
    settings: &Settings,
) -> Result<RolledBack, PublishError> {
    let Some(mut seen) = read_pointer(store).await? else {
        return Err(PublishError::NothingPublished { store: store.location().into() });
    };
    let from = seen.pointer.run_id.clone();
    trace::of_run(&from);
    let run_id = to.map_or_else(|| previous(store, &seen), Ok)?;
    for _ in 0..ATTEMPTS {
        retention::refuse_retired(store, &run_id, Some(&seen)).await?;
        let verification = trace::within(step!("verify"), verify_run(store, &run_id, settings)).await?;
        none_of(verification.problems, store, &run_id)?;
        let index_sha256 = verification.index_sha256;
        let target = Target { run_id: &run_id, index_sha256, published_at, passing: None };
        let moved = pointer::advance(store, Some(&seen), &target, settings);
        match trace::within(step!("pointer"), moved).await? {
            Moved::To { pointer, changed } => {
                tracing::info!(%from, to = %run_id, changed, "rolled back");
                return Ok(RolledBack { pointer, from, changed });
            }
            Moved::Fenced(now) => seen = now,
        }
    }
    Err(PublishError::Contended { run_id })
}

fn previous(store: &dyn Store, seen: &Current) -> Result<RunId, PublishError> {
    let pointer = &seen.pointer;
    pointer.previous_run_id.clone().ok_or_else(|| PublishError::NoPreviousRun {
        store: store.location().into(),
        run_id: pointer.run_id.clone(),
    })
}
