//! Deleting old runs, whole prefixes at a time, never the current run or the one before it.
//!
//! A sweep must not delete a run that a rollback or a publisher has just checked and is about to point at. Three steps
//! keep PUB-1 through every interleaving:
//!
//! 1. each victim gets a tombstone, `runs/<run_id>/retired.json`;
//! 2. the pointer is fenced: rewritten with a raised count of sweeps, if it still is as it was when the victims were
//!    chosen. Whoever read the pointer before can no longer write it, and must start again from a fresh check;
//! 3. the victims are deleted: index, pages, and the tombstone last.
//!
//! Whoever reads the pointer after the fence finds the tombstone, and refuses the run, or finds the run gone. A sweep
//! that is cut off leaves tombstones, and the next one finishes it; a half-deleted run has no index, so it is never
//! taken for a complete one. One sweep runs at a time: the night sweeps after it has published.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::domain::manifest::{Pointer, keys};
use crate::domain::{Digest, RunId};
use crate::trace::{self, step};

use super::pointer::{ATTEMPTS, Current, fence};
use super::status::{RunState, RunSummary, runs};
use super::write::options;
use super::{Condition, PublishError, Settings, Store, StoreError, read_pointer};

const TOMBSTONE: &[u8] = b"{\"state\": \"retired\"}\n";

/// What a sweep deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Oldest first.
    pub deleted: Vec<RunId>,
    pub objects: usize,
}

/// Deletes every run older than the newest `keep` complete ones, complete or not, and what an earlier sweep left half
/// deleted. Before the first publish it deletes nothing.
pub async fn sweep(store: &dyn Store, keep: usize, settings: &Settings) -> Result<Swept, PublishError> {
    trace::within(step!("retention"), delete_old(store, keep, settings)).await
}

async fn delete_old(store: &dyn Store, keep: usize, settings: &Settings) -> Result<Swept, PublishError> {
    let mut swept = Swept::default();
    for run in retire(store, keep, settings).await? {
        swept.objects += delete_run(store, &run).await?;
        tracing::info!(run_id = %run, "deleted by retention");
        swept.deleted.push(run);
    }
    Ok(swept)
}

/// Marks the victims and fences the pointer; from here on nobody can point at them.
async fn retire(store: &dyn Store, keep: usize, settings: &Settings) -> Result<Vec<RunId>, PublishError> {
    let runs = runs(store).await?;
    let retired = runs.iter().filter(|run| run.state == RunState::Retired);
    let mut marked: BTreeSet<RunId> = retired.map(|run| run.run_id.clone()).collect();
    for _ in 0..ATTEMPTS {
        let Some(seen) = read_pointer(store).await? else { return Ok(Vec::new()) };
        // A run that became current between its mark and the fence is whole: nobody got to delete it.
        let spared: Vec<String> =
            marked.iter().filter(|run| names(&seen.pointer, run)).map(tombstone).collect();
        store.delete(&spared).await?;
        let victims = victims(&runs, &seen.pointer, keep);
        if victims.is_empty() {
            return Ok(victims);
        }
        for run in &victims {
            mark(store, run, settings).await?;
        }
        if fence(store, &seen, settings).await? {
            return Ok(victims);
        }
        marked.extend(victims);
    }
    Err(PublishError::SweepContended { store: store.location().into() })
}

async fn mark(store: &dyn Store, run: &RunId, settings: &Settings) -> Result<(), StoreError> {
    let key = tombstone(run);
    let options = options(&key, Digest::of(TOMBSTONE), Condition::Any, settings);
    store.put(&key, Bytes::from_static(TOMBSTONE), &options).await.map(drop)
}

fn victims(runs: &[RunSummary], pointer: &Pointer, keep: usize) -> Vec<RunId> {
    let complete = runs.iter().rev().filter(|run| run.state == RunState::Complete);
    let oldest_kept = complete.take(keep.max(1)).last().map(|run| &run.run_id);
    let old = |run: &RunSummary| {
        run.state == RunState::Retired || oldest_kept.is_some_and(|oldest| run.run_id < *oldest)
    };
    let victims = runs.iter().filter(|run| old(run) && !names(pointer, &run.run_id));
    victims.map(|run| run.run_id.clone()).collect()
}

fn names(pointer: &Pointer, run: &RunId) -> bool {
    pointer.run_id == *run || pointer.previous_run_id.as_ref() == Some(run)
}

async fn delete_run(store: &dyn Store, run: &RunId) -> Result<usize, StoreError> {
    let (index, tombstone) = (keys::index(run), tombstone(run));
    let mut pages = store.list(&keys::run_prefix(run)).await?;
    let objects = pages.len();
    pages.retain(|key| *key != index && *key != tombstone);
    store.delete(&[index]).await?;
    store.delete(&pages).await?;
    store.delete(&[tombstone]).await?;
    Ok(objects)
}

/// [`PublishError::Retired`] where retention has claimed `run`. Must be asked after `seen` was read.
pub(super) async fn refuse_retired(
    store: &dyn Store,
    run: &RunId,
    seen: Option<&Current>,
) -> Result<(), PublishError> {
    let current = seen.is_some_and(|seen| seen.pointer.run_id == *run);
    if !current && is_retired(store, run).await? {
        return Err(PublishError::Retired { store: store.location().into(), run_id: run.clone() });
    }
    Ok(())
}

pub(super) async fn is_retired(store: &dyn Store, run: &RunId) -> Result<bool, StoreError> {
    Ok(store.head(&tombstone(run)).await?.is_some())
}

fn tombstone(run: &RunId) -> String {
    format!("{}retired.json", keys::run_prefix(run))
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeZone, Utc};

    use super::*;

    fn run(day: u32) -> RunId {
        RunId::new(NaiveDate::from_ymd_opt(2017, 11, day).expect("date"), &Digest::of(b"run"))
    }

    fn runs(states: &[RunState]) -> Vec<RunSummary> {
        let days = 1u32..;
        days.zip(states).map(|(day, state)| RunSummary { run_id: run(day), state: *state }).collect()
    }

    fn pointer(current: u32, previous: u32) -> Pointer {
        Pointer {
            run_id: run(current),
            index_sha256: Digest::of(b"index"),
            previous_run_id: Some(run(previous)),
            published_at: Utc.timestamp_opt(0, 0).single().expect("time"),
            sweeps: 0,
        }
    }

    use RunState::{Complete, Retired, Unfinished};

    #[test]
    fn the_newest_complete_runs_are_kept() {
        let runs = runs(&[Complete, Unfinished, Complete, Complete, Unfinished]);
        assert_eq!(victims(&runs, &pointer(4, 3), 2), [run(1), run(2)]);
        assert_eq!(victims(&runs, &pointer(4, 3), 3), []);
    }

    #[test]
    fn the_current_and_the_previous_run_are_kept_however_old() {
        let runs = runs(&[Complete; 6]);
        assert_eq!(victims(&runs, &pointer(1, 6), 2), [run(2), run(3), run(4)]);
        assert_eq!(victims(&runs, &pointer(6, 2), 0), [run(1), run(3), run(4), run(5)]);
    }

    #[test]
    fn a_retired_run_is_deleted_whatever_its_age() {
        let runs = runs(&[Complete, Complete, Retired]);
        assert_eq!(victims(&runs, &pointer(2, 1), 14), [run(3)]);
    }
}
