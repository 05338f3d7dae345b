//! Publishing a run: objects, a check of all of them, the index, and last the pointer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::FutureExt;

use crate::domain::manifest::{IndexEntry, LookupEntry, PageStatus, Pointer, RunIndex, keys};
use crate::domain::{Digest, RunId, SegmentId};
use crate::trace::{self, step};

use super::pointer::{self, ATTEMPTS, Current, Moved, Target};
use super::write::{self, immutable, put_immutable};
use super::{Fault, PagePlan, PublishError, PublishPlan, Settings, Store, StoreError};
use super::{in_flight, read_index, read_pointer, retention, verify};

/// A run that is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub pointer: Pointer,
    pub index: RunIndex,
    /// False where the run was the current one already.
    pub changed: bool,
    /// Pages sent by this call.
    pub uploaded: usize,
    /// Pages copied inside the store by this call.
    pub copied: usize,
    /// Pages that were there already, from an attempt that was cut off.
    pub found: usize,
}

/// Publishes `plan` and makes it the current run. `progress` is told of each page that is in place, `plan.pages.len()`
/// in all.
///
/// Publishing a run again is safe at any time: what is there is kept if its bytes are the same
/// ([`PublishError::Immutable`] if not), and the current run stays current. On an error the pointer was not moved by
/// this call, except that an error of the very last write may hide a success; publishing again tells.
pub async fn publish(
    store: &dyn Store,
    plan: &PublishPlan,
    settings: &Settings,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Published, PublishError> {
    advance(Publisher { store, plan, settings, inspector: None }, progress).await
}

/// [`publish`], where `inspector` may refuse a page ([`PublishError::Unfit`]) before anything of the run is written.
///
/// It is shown each page's very bytes, copied ones too. Their sha256 goes into the index, and every object is checked
/// against the index before the pointer is written: what was inspected is what is published.
pub async fn publish_inspected(
    store: &dyn Store,
    plan: &PublishPlan,
    settings: &Settings,
    progress: &(dyn Fn(u64) + Sync),
    inspector: &Inspector<'_>,
) -> Result<Published, PublishError> {
    advance(Publisher { store, plan, settings, inspector: Some(inspector) }, progress).await
}

/// Says why a page of `status`, given as its bytes, must not be published.
pub type Inspector<'a> = dyn Fn(&SegmentId, PageStatus, &[u8]) -> Result<(), String> + Sync + 'a;

async fn advance(
    publisher: Publisher<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Published, PublishError> {
    let Publisher { store, plan, settings, .. } = publisher;
    let mut seen = read_pointer(store).await?;
    for attempt in 0..ATTEMPTS {
        let silent = |_: u64| ();
        let progress = if attempt == 0 { progress } else { &silent };
        let prepared = publisher.prepare(seen.as_ref(), progress).await?;
        let target = Target {
            run_id: &plan.run_id,
            index_sha256: prepared.index_sha256,
            published_at: plan.published_at,
            passing: plan.passing.as_ref(),
        };
        let moved = pointer::advance(store, seen.as_ref(), &target, settings);
        match trace::within(step!("pointer"), moved).await? {
            Moved::To { pointer, changed } => {
                tracing::info!(run_id = %plan.run_id, changed, pages = plan.pages.len(), "published");
                return Ok(prepared.published(pointer, changed));
            }
            Moved::Fenced(now) => seen = Some(now),
        }
    }
    Err(PublishError::Contended { run_id: plan.run_id.clone() })
}

/// How a page came to be in place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placed {
    Uploaded,
    Copied,
    Found,
}

/// A run whose every object is in place and checked, not yet pointed at.
struct Prepared {
    index: RunIndex,
    index_sha256: Digest,
    placed: Vec<Placed>,
}

impl Prepared {
    fn published(self, pointer: Pointer, changed: bool) -> Published {
        let count = |kind| self.placed.iter().filter(|placed| **placed == kind).count();
        Published {
            pointer,
            changed,
            uploaded: count(Placed::Uploaded),
            copied: count(Placed::Copied),
            found: count(Placed::Found),
            index: self.index,
        }
    }
}

struct Publisher<'a> {
    store: &'a dyn Store,
    plan: &'a PublishPlan,
    settings: &'a Settings,
    inspector: Option<&'a Inspector<'a>>,
}

impl Publisher<'_> {
    /// Makes the run whole (PUB-1). Must start after `seen` was read: see [`retention`].
    async fn prepare(
        &self,
        seen: Option<&Current>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Prepared, PublishError> {
        let run = &self.plan.run_id;
        retention::refuse_retired(self.store, run, seen).await?;
        let pages = self.plan.pages.len();
        let index = trace::within(step!("inspect", pages = pages), self.index()).await?;
        let key = keys::index(run);
        let bytes = write::json(&key, &index)?;
        if self.store.get(&key).await?.is_some_and(|found| found.bytes != bytes) {
            return Err(immutable(self.store, run, &key));
        }
        let span = step!("objects", pages = pages, lookups = self.plan.lookups.len());
        let placed = trace::within(span, self.place_objects(&index, progress)).await?;
        trace::within(step!("verify", pages = pages), self.require_whole(&index)).await?;
        let index_sha256 = Digest::of(&bytes);
        let put = put_immutable(self.store, run, &key, bytes, self.settings);
        trace::within(step!("index"), put).await?;
        Ok(Prepared { index, index_sha256, placed })
    }

    async fn index(&self) -> Result<RunIndex, PublishError> {
        let sources = self.sources().await?;
        let pages = self.plan.pages.iter();
        let entries = pages.map(|(segment, page)| self.entry(&sources, segment, page).boxed()).collect();
        let segments = in_flight::all(entries, self.settings).await?.into_iter().collect();
        Ok(RunIndex {
            run_id: self.plan.run_id.clone(),
            as_of: self.plan.as_of,
            generated_at: self.plan.generated_at,
            segments,
            lookups: self.plan.lookups.iter().map(|(share, bytes)| self.lookup(*share, bytes)).collect(),
        })
    }

    fn lookup(&self, share: u32, bytes: &Bytes) -> (String, LookupEntry) {
        let key = keys::lookup(&self.plan.run_id, share);
        (key, LookupEntry { size: bytes.len() as u64, sha256: Digest::of(bytes) })
    }

    async fn place_lookups(&self) -> Result<(), PublishError> {
        let run = &self.plan.run_id;
        let places = self.plan.lookups.iter().map(|(share, bytes)| {
            let key = keys::lookup(run, *share);
            async move { put_immutable(self.store, run, &key, bytes.clone(), self.settings).await }.boxed()
        });
        in_flight::all(places.collect(), self.settings).await.map(drop)
    }

    /// The indexes of the runs that pages are taken over from.
    async fn sources(&self) -> Result<BTreeMap<RunId, RunIndex>, PublishError> {
        let runs: BTreeSet<&RunId> = self.plan.pages.values().filter_map(PagePlan::from_run).collect();
        let mut sources = BTreeMap::new();
        for run in runs {
            if let Some(index) = read_index(self.store, run).await? {
                sources.insert(run.clone(), index);
            }
        }
        Ok(sources)
    }

    async fn entry(
        &self,
        sources: &BTreeMap<RunId, RunIndex>,
        segment: &SegmentId,
        page: &PagePlan,
    ) -> Result<(SegmentId, IndexEntry), PublishError> {
        let page_status = page.status();
        let (size, sha256, source) = match page {
            PagePlan::New { page, source } => {
                let bytes = page.read().await?;
                self.inspect(segment, page_status, &bytes)?;
                (bytes.len() as u64, Digest::of(&bytes), *source)
            }
            PagePlan::Reused { from_run } | PagePlan::CarriedOver { from_run } => {
                let from = self.source_entry(sources, segment, from_run)?;
                self.inspect_copy(segment, page_status, from).await?;
                (from.size, from.sha256, from.source)
            }
        };
        let key = keys::segment(&self.plan.run_id, segment);
        Ok((segment.clone(), IndexEntry { key, size, sha256, status: page_status, source }))
    }

    fn inspect(&self, segment: &SegmentId, status: PageStatus, bytes: &[u8]) -> Result<(), PublishError> {
        let Some(inspector) = self.inspector else { return Ok(()) };
        inspector(segment, status, bytes)
            .map_err(|reason| PublishError::Unfit { segment: segment.clone(), reason })
    }

    /// Inspects the object that is to be copied, which must be the one its run's index names.
    async fn inspect_copy(
        &self,
        segment: &SegmentId,
        status: PageStatus,
        from: &IndexEntry,
    ) -> Result<(), PublishError> {
        if self.inspector.is_none() {
            return Ok(());
        }
        let unfit = |reason: &str| PublishError::Unfit {
            segment: segment.clone(),
            reason: format!("{} {reason}", from.key),
        };
        let Some(object) = self.store.get(&from.key).await? else { return Err(unfit("is missing")) };
        if Digest::of(&object.bytes) != from.sha256 {
            return Err(unfit("has other bytes than the index of its run says"));
        }
        self.inspect(segment, status, &object.bytes)
    }

    fn source_entry<'s>(
        &self,
        sources: &'s BTreeMap<RunId, RunIndex>,
        segment: &SegmentId,
        from_run: &RunId,
    ) -> Result<&'s IndexEntry, PublishError> {
        if *from_run == self.plan.run_id {
            return Err(PublishError::SourceIsItself { segment: segment.clone(), run_id: from_run.clone() });
        }
        let entry = sources.get(from_run).and_then(|index| index.segments.get(segment));
        entry.ok_or_else(|| missing_source(segment, from_run))
    }

    async fn place_objects(
        &self,
        index: &RunIndex,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Placed>, PublishError> {
        let placed = self.place_pages(index, progress).await?;
        self.place_lookups().await?;
        Ok(placed)
    }

    async fn place_pages(
        &self,
        index: &RunIndex,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Placed>, PublishError> {
        let there = self.store.list(&keys::run_prefix(&self.plan.run_id)).await?;
        let there: BTreeSet<String> = there.into_iter().collect();
        let pages = self.plan.pages.iter().zip(index.segments.values());
        let places = pages.map(|((segment, page), entry)| {
            let there = there.contains(&entry.key);
            let placed = async move {
                let placed = if there { Placed::Found } else { self.place(segment, page, entry).await? };
                progress(1);
                Ok(placed)
            };
            placed.boxed()
        });
        in_flight::all(places.collect(), self.settings).await
    }

    async fn place(
        &self,
        segment: &SegmentId,
        page: &PagePlan,
        entry: &IndexEntry,
    ) -> Result<Placed, PublishError> {
        match page {
            PagePlan::New { page, .. } => {
                let bytes = page.read().await?;
                let run = &self.plan.run_id;
                let sent = put_immutable(self.store, run, &entry.key, bytes, self.settings).await?;
                Ok(if sent { Placed::Uploaded } else { Placed::Found })
            }
            PagePlan::Reused { from_run } | PagePlan::CarriedOver { from_run } => {
                match self.store.copy(&keys::segment(from_run, segment), &entry.key).await {
                    Ok(()) => Ok(Placed::Copied),
                    Err(StoreError::Precondition { .. }) => Ok(Placed::Found),
                    Err(StoreError::NotFound { .. }) => Err(missing_source(segment, from_run)),
                    Err(failure) => Err(failure.into()),
                }
            }
        }
    }

    /// Everything the index names is there (PUB-1), whoever put it there.
    async fn require_whole(&self, index: &RunIndex) -> Result<(), PublishError> {
        let (store, run) = (self.store, &self.plan.run_id);
        let problems = verify::wrong_objects(store, index, self.settings).await?;
        match problems.iter().find(|problem| problem.fault != Fault::Missing) {
            Some(differs) => Err(immutable(store, run, &differs.key)),
            None => verify::none_of(problems, store, run),
        }
    }
}

fn missing_source(segment: &SegmentId, from_run: &RunId) -> PublishError {
    PublishError::MissingSource { segment: segment.clone(), from_run: from_run.clone() }
}
