//! What is published, and what lies beside it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::RunId;
use crate::domain::manifest::{PageStatus, Pointer, RunIndex, keys};
use crate::domain::stage::Source;

use super::{PublishError, Store, read_index, read_pointer, retention};

/// A store at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub current: Option<Pointer>,
    /// The current run's pages.
    pub pages: Option<PageCounts>,
    /// Oldest first.
    pub runs: Vec<RunSummary>,
}

/// A run's pages, by what became of the segment and by how the page was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PageCounts {
    pub new: usize,
    pub reused: usize,
    pub carried_over: usize,
    pub cascade: usize,
    pub mixed: usize,
    pub ranker: usize,
}

impl PageCounts {
    pub fn of(index: &RunIndex) -> Self {
        let mut counts = Self::default();
        for entry in index.segments.values() {
            *match entry.status {
                PageStatus::New => &mut counts.new,
                PageStatus::Reused => &mut counts.reused,
                PageStatus::CarriedOver => &mut counts.carried_over,
            } += 1;
            *match entry.source {
                Source::Cascade => &mut counts.cascade,
                Source::Mixed => &mut counts.mixed,
                Source::Ranker => &mut counts.ranker,
            } += 1;
        }
        counts
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    pub run_id: RunId,
    pub state: RunState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It has an index: every object was checked when it was written.
    Complete,
    /// Being published, or cut off while it was.
    Unfinished,
    /// Being deleted by retention, or left half-deleted.
    Retired,
}

/// The pointer, the current run's pages and every run there is.
pub async fn status(store: &dyn Store) -> Result<Status, PublishError> {
    let current = read_pointer(store).await?.map(|current| current.pointer);
    let index = match &current {
        Some(pointer) => read_index(store, &pointer.run_id).await?,
        None => None,
    };
    Ok(Status { current, pages: index.as_ref().map(PageCounts::of), runs: runs(store).await? })
}

/// Every run below the root, oldest first. Folders that are not runs are left out.
pub(super) async fn runs(store: &dyn Store) -> Result<Vec<RunSummary>, PublishError> {
    let names = store.children("runs/").await?;
    let ids: BTreeSet<RunId> = names.into_iter().filter_map(|name| RunId::parse(name).ok()).collect();
    let mut runs = Vec::with_capacity(ids.len());
    for run_id in ids {
        let state = if retention::is_retired(store, &run_id).await? {
            RunState::Retired
        } else if store.head(&keys::index(&run_id)).await?.is_some() {
            RunState::Complete
        } else {
            RunState::Unfinished
        };
        runs.push(RunSummary { run_id, state });
    }
    Ok(runs)
}
