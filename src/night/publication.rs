//! The end of a night: every segment settled, the pages published, the figures for the report.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use tracing::Span;
use tracing::field::Empty;

use crate::domain::lookup::{Lookup, Shares};
use crate::domain::{HouseholdId, RunId, SegmentContext, SegmentId};
use crate::publish::{self, PublishPlan, Store};
use crate::trace::{self, step};

use super::canary::{Canary, CanaryRun};
use super::report::Figures;
use super::settle::{Settled, Settler};
use super::stages::GroupRecord;
use super::{Closing, Ending, Night, NightError};

/// Checkpoints that are read before they are needed.
const READ_AHEAD: usize = 4;

/// How a run is published.
pub struct Publication {
    pub now: DateTime<Utc>,
    pub unfinished: Unfinished,
    /// Show tonight's pages to this share of the segments first, in percent: 1 to 99.
    pub canary_percent: Option<u8>,
    /// Which segment each household is in, where that is published.
    pub assignments: Option<BTreeMap<HouseholdId, SegmentId>>,
}

/// What to do about groups that were not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    Refuse,
    /// Their segments are failures: each keeps its last page or gets the ranker's, and is counted.
    CarryOver,
}

impl Publication {
    /// All of the run, once all groups are finished.
    pub fn whole(now: DateTime<Utc>) -> Self {
        Self { now, unfinished: Unfinished::Refuse, canary_percent: None, assignments: None }
    }
}

impl Night<'_> {
    /// Settles every segment and publishes.
    pub async fn publish(&self, store: &dyn Store, how: &Publication) -> Result<Closing, NightError> {
        let span = step!("settle", segments = Empty, new = Empty, reused = Empty, carried_over = Empty);
        let (settled, figures) = trace::within(span, self.settle(store, how)).await?;
        if let Some(summary) = self.too_many_fallbacks(&figures) {
            let ending = Ending::Stopped;
            return Ok(Closing { ending, summary, figures, resumed_groups: 0, moved: false, canary: None });
        }
        trace::within(step!("decisions"), settled.commit(self)).await?;
        let published = self.publish_settled(store, settled, how).await?;
        Ok(self.closing(figures, published))
    }

    /// Each group's number and its record, `None` where it is not finished; a few are read ahead.
    fn records(&self) -> BoxStream<'_, Result<(usize, Option<GroupRecord>), NightError>> {
        let read = move |group: usize| async move { Ok((group, self.checkpoint(group).await?)) }.boxed();
        stream::iter(0..self.plan.groups.len()).map(read).buffered(READ_AHEAD).boxed()
    }

    async fn settle(&self, store: &dyn Store, how: &Publication) -> Result<(Settled, Figures), NightError> {
        let fuser = self.fuser();
        let mut settler = Settler::new(self, &fuser, (store, how.canary_percent.is_some())).await?;
        let (mut figures, mut missing) = (Figures::default(), Vec::new());
        let contexts: BTreeMap<&SegmentId, &SegmentContext> =
            self.inputs.segments.iter().map(|context| (&context.segment_id, context)).collect();
        let mut records = self.records();
        while let Some((group, record)) = records.try_next().await? {
            match &record {
                Some(record) => figures.add(record),
                None => missing.push(group),
            }
            if record.is_none() && how.unfinished == Unfinished::Refuse {
                continue;
            }
            let members = self.plan.groups[group].iter();
            let members: Vec<_> = members.filter_map(|segment| contexts.get(segment).copied()).collect();
            settler.settle(&members, record.as_ref()).await?;
        }
        if !missing.is_empty() && how.unfinished == Unfinished::Refuse {
            return Err(NightError::Unfinished { run: self.plan.run_id.to_string(), missing });
        }
        let taken_over = self.inputs.segments.iter().filter(|one| self.plan.takes_over(&one.segment_id));
        for chunk in taken_over.collect::<Vec<_>>().chunks(self.settings.night.group_segments) {
            settler.settle(chunk, None).await?;
        }
        let settled = settler.finish();
        figures.close(&settled);
        let counts = &figures.segments;
        Span::current().record("segments", counts.total).record("new", counts.new);
        Span::current().record("reused", counts.reused).record("carried_over", counts.carried_over);
        Ok((settled, figures))
    }

    fn too_many_fallbacks(&self, figures: &Figures) -> Option<String> {
        let fallbacks = figures.pages.ranker + figures.segments.carried_over;
        let total = figures.segments.total;
        let share = fallbacks as f64 / total.max(1) as f64;
        let limit = self.settings.night.max_fallback_share;
        (share > limit).then(|| {
            format!(
                "not published: {fallbacks} of {total} pages are fallbacks ({:.0} %), more than the {:.0} % allowed \
                 (night.max_fallback_share); the old pages stand",
                share * 100.0,
                limit * 100.0
            )
        })
    }

    fn closing(&self, figures: Figures, (changed, canary): (bool, Option<CanaryRun>)) -> Closing {
        let (total, failed) = (figures.segments.total, figures.segments.failed);
        let ending = if failed == 0 { Ending::Published } else { Ending::PublishedWithFallbacks };
        let what = if changed { "published" } else { "already published" };
        let kept =
            if failed == 0 { String::new() } else { format!(", {failed} of them fallbacks after a failure") };
        let run = canary.as_ref().map_or(&self.plan.run_id, |canary| &canary.run_id);
        let summary = match &canary {
            Some(canary) => format!("{what} a canary of {} of {total} pages as {run}{kept}", canary.segments),
            None => format!("{what} {total} pages as {run}{kept}"),
        };
        Closing { ending, summary, figures, resumed_groups: 0, moved: changed, canary }
    }

    /// Whether this call moved the pointer, and the canary's run where one was published.
    async fn publish_settled(
        &self,
        store: &dyn Store,
        settled: Settled,
        how: &Publication,
    ) -> Result<(bool, Option<CanaryRun>), NightError> {
        let run = &self.plan.run_id;
        let current = publish::read_pointer(store).await?.map(|current| current.pointer);
        let canary = Canary::choose(self, current.as_ref(), how.canary_percent).await?;
        self.progress.begin("publish", "pages", settled.pages.len() as u64);
        let run_id = canary.as_ref().map_or(run, |canary| &canary.run_id).clone();
        let current = current.is_some_and(|current| current.run_id == run_id);
        let (pages, shown) = self.pages(settled, canary.as_ref());
        let changed = if current { false } else { self.put(store, run_id, pages, how).await? };
        self.progress.end(if changed { "" } else { "already current" });
        Ok((changed, canary.map(|canary| CanaryRun { run_id: canary.run_id, segments: shown })))
    }

    /// What each segment shows, and how many show tonight's page.
    fn pages(
        &self,
        settled: Settled,
        canary: Option<&Canary>,
    ) -> (BTreeMap<SegmentId, publish::PagePlan>, usize) {
        let mut pages = BTreeMap::new();
        let mut shown = 0;
        for page in settled.pages {
            let kept = canary.and_then(|canary| canary.keeps(&self.plan.run_id, &page));
            shown += usize::from(kept.is_none());
            pages.insert(page.segment_id, kept.unwrap_or(page.plan));
        }
        (pages, shown)
    }

    /// The households of tonight's segments, shared out.
    fn lookups(
        &self,
        how: &Publication,
        pages: &BTreeMap<SegmentId, publish::PagePlan>,
    ) -> Result<BTreeMap<u32, Bytes>, NightError> {
        let Some(assignments) = &how.assignments else { return Ok(BTreeMap::new()) };
        let settings = self.settings.publish;
        let shares = Shares { salt: &settings.lookup_salt, bits: settings.lookup_bits };
        let lookups = shares.of(assignments, |segment| pages.contains_key(segment))?;
        let bytes = |lookup: &Lookup| serde_json::to_vec(lookup).map(Bytes::from);
        let all = lookups.iter().map(|(share, lookup)| Ok((*share, bytes(lookup)?)));
        all.collect::<Result<_, _>>().map_err(NightError::Manifest)
    }

    async fn put(
        &self,
        store: &dyn Store,
        run_id: RunId,
        pages: BTreeMap<SegmentId, publish::PagePlan>,
        how: &Publication,
    ) -> Result<bool, NightError> {
        let plan = PublishPlan {
            run_id,
            as_of: self.plan.as_of,
            generated_at: self.plan.started_at,
            published_at: how.now,
            passing: super::canary::known(self).await?,
            lookups: self.lookups(how, &pages)?,
            pages,
        };
        let progress = |done| self.progress.advance(done);
        let inspect = |segment: &SegmentId, status, bytes: &[u8]| self.inspect(segment, status, bytes);
        let settings = self.settings.publish;
        let published = publish::publish_inspected(store, &plan, settings, &progress, &inspect).await?;
        Ok(published.changed)
    }
}
