//! Is a run whole? Every object of its index there, with its size and sha256 (PUB-1).

use std::fmt;

use futures::FutureExt;
use serde::Serialize;

use crate::domain::manifest::{IndexEntry, RunIndex, keys};
use crate::domain::{Digest, RunId};

use super::in_flight::{self, Requests};
use super::read::read_index_and_digest;
use super::{PublishError, Settings, Store, StoreError};

/// An object that is not as its run's index says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub key: String,
    pub fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    Missing,
    /// Bytes.
    Size {
        expected: u64,
        found: u64,
    },
    Sha256 {
        expected: Digest,
        found: Digest,
    },
    /// The index names a key of another run or segment.
    Misplaced,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match self.fault {
            Fault::Missing => write!(f, "{key} is missing"),
            Fault::Size { expected, found } => write!(f, "{key} has {found} bytes, not {expected}"),
            Fault::Sha256 { expected, found } => write!(f, "{key} has the sha256 {found}, not {expected}"),
            Fault::Misplaced => {
                write!(f, "{key} is named by the index of another run or for another segment")
            }
        }
    }
}

/// What a check of a run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    pub run_id: RunId,
    pub index_sha256: Digest,
    /// Segments in the index.
    pub segments: usize,
    /// In order of key; empty where the run is whole.
    pub problems: Vec<Problem>,
}

impl Verification {
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks every object of `run`. [`PublishError::NoSuchRun`] where it has no index.
pub async fn verify_run(
    store: &dyn Store,
    run: &RunId,
    settings: &Settings,
) -> Result<Verification, PublishError> {
    let Some((index, index_sha256)) = read_index_and_digest(store, run).await? else {
        return Err(PublishError::NoSuchRun { store: store.location().into(), run_id: run.clone() });
    };
    let mut problems = misplaced(run, &index);
    problems.extend(wrong_objects(store, objects(&index), settings).await?);
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Verification { run_id: run.clone(), index_sha256, segments: index.segments.len(), problems })
}

/// [`PublishError::Incomplete`] unless there are no problems.
pub(super) fn none_of(problems: Vec<Problem>, store: &dyn Store, run: &RunId) -> Result<(), PublishError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(PublishError::Incomplete { store: store.location().into(), run_id: run.clone(), problems })
}

fn misplaced(run: &RunId, index: &RunIndex) -> Vec<Problem> {
    let at_home = |segment, entry: &IndexEntry| entry.key == keys::segment(run, segment);
    let strays = index.segments.iter().filter(|(segment, entry)| !at_home(segment, entry));
    let strays = strays.map(|(_, entry)| &entry.key);
    let home = keys::run_prefix(run);
    let strays = strays.chain(index.lookups.keys().filter(|key| !key.starts_with(&home)));
    let mut problems: Vec<Problem> =
        strays.map(|key| Problem { key: key.clone(), fault: Fault::Misplaced }).collect();
    if index.run_id != *run {
        problems.push(Problem { key: keys::index(run), fault: Fault::Misplaced });
    }
    problems
}

fn objects(index: &RunIndex) -> Requests<'_, Expected> {
    let pages = index.segments.values().map(|entry| (&entry.key, entry.size, entry.sha256));
    let lookups = index.lookups.iter().map(|(key, entry)| (key, entry.size, entry.sha256));
    let expected = |(key, size, sha256): (&String, u64, Digest)| Expected { key: key.clone(), size, sha256 };
    Box::new(pages.chain(lookups).map(expected))
}

/// What is wrong with the objects, in order of key.
pub(super) async fn wrong_objects(
    store: &dyn Store,
    expected: Requests<'_, Expected>,
    settings: &Settings,
) -> Result<Vec<Problem>, StoreError> {
    let checks = Box::new(expected.map(|expected| check(store, expected).boxed()));
    let mut problems = Vec::new();
    in_flight::each(checks, settings, |found: Option<Problem>| problems.extend(found)).await?;
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(problems)
}

/// An object as the index has it.
pub(super) struct Expected {
    pub key: String,
    pub size: u64,
    pub sha256: Digest,
}

async fn check(store: &dyn Store, expected: Expected) -> Result<Option<Problem>, StoreError> {
    let fault = fault(store, &expected).await?;
    Ok(fault.map(|fault| Problem { key: expected.key, fault }))
}

async fn fault(store: &dyn Store, entry: &Expected) -> Result<Option<Fault>, StoreError> {
    let Some(head) = store.head(&entry.key).await? else { return Ok(Some(Fault::Missing)) };
    if head.size != entry.size {
        return Ok(Some(Fault::Size { expected: entry.size, found: head.size }));
    }
    let found = match head.sha256 {
        Some(found) => found,
        None => match store.get(&entry.key).await? {
            Some(object) => Digest::of(&object.bytes),
            None => return Ok(Some(Fault::Missing)),
        },
    };
    Ok((found != entry.sha256).then_some(Fault::Sha256 { expected: entry.sha256, found }))
}
