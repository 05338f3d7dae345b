//! Publishing a run: objects, a check of all of them, the index, and last the pointer.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use crate::domain::manifest::{IndexEntry, PageStatus, Pointer, RunIndex, keys};
use crate::domain::{Digest, RunId, SegmentId};
use crate::trace::{self, step};

use super::pages::{IndexDocument, Page, place_of};
use super::pointer::{self, ATTEMPTS, Current, Moved, Target};
use super::verify::{self, Expected};
use super::write::{self, Whole, immutable, put_immutable};
use super::{ETag, Fault, PagePlan, PublishError, PublishPlan, Settings, Store, StoreError};
use super::{in_flight, read_index, read_pointer, retention};

/// A run that is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub pointer: Pointer,
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
enum Placed {
    /// With the ETag, where the store vouches for it.
    Uploaded(Option<ETag>),
    Copied,
    Found,
}

/// What was placed.
#[derive(Default)]
struct Placement {
    uploaded: usize,
    copied: usize,
    found: usize,
    /// Of each page that the store vouched for at its upload.
    vouched: Vec<Option<ETag>>,
}

impl Placement {
    fn count(&mut self, at: usize, placed: Placed) {
        match placed {
            Placed::Uploaded(etag) => {
                self.uploaded += 1;
                self.vouched[at] = etag;
            }
            Placed::Copied => self.copied += 1,
            Placed::Found => self.found += 1,
        }
    }
}

/// A run whose every object is in place and checked, not yet pointed at.
struct Prepared {
    index_sha256: Digest,
    placement: Placement,
}

impl Prepared {
    fn published(self, pointer: Pointer, changed: bool) -> Published {
        let Placement { uploaded, copied, found, .. } = self.placement;
        Published { pointer, changed, uploaded, copied, found }
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
        let count = self.plan.pages.len();
        let pages = trace::within(step!("inspect", pages = count), self.pages()).await?;
        let key = keys::index(run);
        let bytes = write::json(&key, &IndexDocument::new(self.plan, &pages))?;
        if self.store.get(&key).await?.is_some_and(|found| found.bytes != bytes) {
            return Err(immutable(self.store, run, &key));
        }
        let span = step!("objects", pages = count, lookups = self.plan.lookups.len());
        let mut placement = trace::within(span, self.place_objects(&pages, progress)).await?;
        let whole = self.require_whole(&pages, std::mem::take(&mut placement.vouched));
        trace::within(step!("verify", pages = count), whole).await?;
        let index_sha256 = Digest::of(&bytes);
        let index = Whole { key: &key, bytes, sha256: index_sha256 };
        let put = put_immutable(self.store, run, index, self.settings);
        trace::within(step!("index"), put).await?;
        Ok(Prepared { index_sha256, placement })
    }

    /// Every page, seen and inspected, in order of id.
    async fn pages(&self) -> Result<Vec<Page<'_>>, PublishError> {
        let sources = self.sources().await?;
        let pages = self.plan.pages.iter();
        let pages = pages.map(|(segment, page)| self.page(&sources, segment, page).boxed());
        in_flight::all(Box::new(pages), self.settings).await
    }

    async fn place_lookups(&self) -> Result<(), PublishError> {
        let run = &self.plan.run_id;
        let places = self.plan.lookups.iter().map(|(share, bytes)| {
            let (key, sha256) = (keys::lookup(run, *share), Digest::of(bytes));
            async move {
                let lookup = Whole { key: &key, bytes: bytes.clone(), sha256 };
                put_immutable(self.store, run, lookup, self.settings).await
            }
            .boxed()
        });
        in_flight::each(Box::new(places), self.settings, drop).await
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

    async fn page<'p>(
        &self,
        sources: &BTreeMap<RunId, RunIndex>,
        segment: &'p SegmentId,
        plan: &'p PagePlan,
    ) -> Result<Page<'p>, PublishError> {
        let (size, sha256, source) = match plan {
            PagePlan::New { page, source } => {
                let bytes = page.read().await?;
                self.inspect(segment, plan.status(), &bytes)?;
                (bytes.len() as u64, Digest::of(&bytes), *source)
            }
            PagePlan::Reused { from_run } | PagePlan::CarriedOver { from_run } => {
                let from = self.source_entry(sources, segment, from_run)?;
                self.inspect_copy(segment, plan.status(), from).await?;
                (from.size, from.sha256, from.source)
            }
        };
        Ok(Page { segment, plan, size, sha256, source })
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
        pages: &[Page<'_>],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Placement, PublishError> {
        let placement = self.place_pages(pages, progress).await?;
        self.place_lookups().await?;
        Ok(placement)
    }

    async fn place_pages(
        &self,
        pages: &[Page<'_>],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Placement, PublishError> {
        let run = &self.plan.run_id;
        let there = self.store.list(&keys::segments(run)).await?;
        let there: BTreeSet<usize> = there.iter().filter_map(|key| place_of(pages, run, key)).collect();
        let places = pages.iter().enumerate().map(|(at, page)| {
            let there = there.contains(&at);
            let placed = async move {
                let placed = if there { Placed::Found } else { self.place(page).await? };
                progress(1);
                Ok::<_, PublishError>((at, placed))
            };
            placed.boxed()
        });
        let mut placement = Placement { vouched: vec![None; pages.len()], ..Placement::default() };
        in_flight::each(Box::new(places), self.settings, |(at, placed)| placement.count(at, placed)).await?;
        Ok(placement)
    }

    async fn place(&self, page: &Page<'_>) -> Result<Placed, PublishError> {
        let (run, key) = (&self.plan.run_id, page.key(&self.plan.run_id));
        match page.plan {
            PagePlan::New { page: bytes, .. } => {
                let object = Whole { key: &key, bytes: bytes.read().await?, sha256: page.sha256 };
                let sent = put_immutable(self.store, run, object, self.settings).await?;
                let uploaded = sent.map(|sent| Placed::Uploaded(sent.vouched.then_some(sent.etag)));
                Ok(uploaded.unwrap_or(Placed::Found))
            }
            PagePlan::Reused { from_run } | PagePlan::CarriedOver { from_run } => {
                match self.store.copy(&keys::segment(from_run, page.segment), &key).await {
                    Ok(()) => Ok(Placed::Copied),
                    Err(StoreError::Precondition { .. }) => Ok(Placed::Found),
                    Err(StoreError::NotFound { .. }) => Err(missing_source(page.segment, from_run)),
                    Err(failure) => Err(failure.into()),
                }
            }
        }
    }

    /// Everything the index names is there (PUB-1), whoever put it there.
    async fn require_whole(
        &self,
        pages: &[Page<'_>],
        vouched: Vec<Option<ETag>>,
    ) -> Result<(), PublishError> {
        let (store, run) = (self.store, &self.plan.run_id);
        let proven = self.proven(pages, vouched).await?;
        let unproven = pages.iter().zip(proven).filter(|(_, proven)| !proven);
        let page = |page: &Page<'_>| Expected { key: page.key(run), size: page.size, sha256: page.sha256 };
        let lookups = self.plan.lookups.iter().map(|(share, bytes)| Expected {
            key: keys::lookup(run, *share),
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
        });
        let expected = Box::new(unproven.map(|(unproven, _)| page(unproven)).chain(lookups));
        let problems = verify::wrong_objects(store, expected, self.settings).await?;
        match problems.iter().find(|problem| problem.fault != Fault::Missing) {
            Some(differs) => Err(immutable(store, run, &differs.key)),
            None => verify::none_of(problems, store, run),
        }
    }

    /// Which pages a listing shows to be there with the very ETag that the store gave to their bytes, for whose SHA-256 it
    /// vouched then. Different bytes never share one, so that no page need be asked for by itself.
    async fn proven(
        &self,
        pages: &[Page<'_>],
        vouched: Vec<Option<ETag>>,
    ) -> Result<Vec<bool>, PublishError> {
        let run = &self.plan.run_id;
        let mut proven = vec![false; pages.len()];
        let mut next = None;
        while vouched.iter().any(Option::is_some) {
            let part = self.store.list_part(&keys::segments(run), next).await?;
            for object in part.objects {
                if let (Some(at), Some(etag)) = (place_of(pages, run, &object.key), object.etag) {
                    proven[at] = vouched[at].as_ref() == Some(&etag);
                }
            }
            next = part.next;
            if next.is_none() {
                break;
            }
        }
        Ok(proven)
    }
}

fn missing_source(segment: &SegmentId, from_run: &RunId) -> PublishError {
    PublishError::MissingSource { segment: segment.clone(), from_run: from_run.clone() }
}
