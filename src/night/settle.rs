//! Decides what each segment shows tonight: a new page, its unchanged page of an earlier night (reused), last night's page
//! after a failure (carried over), or the ranker's page for want of any (RUN-2).
//!
//! Decisions are written down before publishing, so that a restart publishes the same ones (RUN-1).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::domain::explain::PageStory;
use crate::domain::manifest::{ManifestPlacement, PageStatus, StorefrontManifest, to_bytes};
use crate::domain::stage::Source;
use crate::domain::{RunId, SegmentContext, SegmentId};
use crate::fuse::{self, Audience, Checklist, Fuser};
use crate::publish::{self, PagePlan, Spool, Store};

use super::report::Failure;
use super::reuse::{PageKeys, PageRecord, PageRecords};
use super::stages::{GroupRecord, Outcome, accepts_phrase, accepts_title};
use super::{Night, NightError};

/// What a segment shows, as `settled.json` keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Decision {
    New,
    Reused {
        from_run: RunId,
    },
    CarriedOver {
        from_run: RunId,
    },
    /// The stages failed and there is no older page that tonight's rules allow.
    RankerPage,
}

/// One segment's page, ready to publish.
pub struct SettledPage {
    pub segment_id: SegmentId,
    pub status: PageStatus,
    pub source: Source,
    pub placement_sources: Vec<Source>,
    pub plan: PagePlan,
    /// The run whose page the segment may go on showing, where a canary asks: those outside of its share do.
    pub kept: Option<RunId>,
}

/// Every segment's page, in order of id.
#[derive(Default)]
pub struct Settled {
    pub pages: Vec<SettledPage>,
    pub failures: Vec<Failure>,
    /// What each page was made of, those of failures aside.
    pub records: PageRecords,
    decisions: Decisions,
}

type Decisions = BTreeMap<SegmentId, Decision>;

impl Settled {
    /// Writes the decisions down; from here on a restart publishes the same ones. A night that stops short of publishing
    /// leaves none behind, so that the next start decides afresh.
    pub async fn commit(&self, night: &Night<'_>) -> Result<(), NightError> {
        let run = &night.plan.run_id;
        night.workspace.write(&night.workspace.settled(run), &self.decisions).await?;
        Ok(night.workspace.write(&night.workspace.pages(run), &self.records).await?)
    }
}

/// An older page of a segment.
struct Older {
    run: RunId,
    page: StorefrontManifest,
}

/// What became of a segment before it is settled.
enum Known<'a> {
    Made(&'a Outcome, u64),
    /// By the plan.
    TakenOver,
    /// By the plan, but its page cannot be read any more.
    Gone,
    /// Its group was not finished.
    Missing,
}

/// Settles a run's segments, a group at a time, so that no more than a group's stories and pages are in memory: what is new
/// waits in a file.
pub struct Settler<'a> {
    night: &'a Night<'a>,
    fuser: &'a Fuser<'a>,
    store: &'a dyn Store,
    /// Whether it matters which older pages may stay.
    canary: bool,
    keys: PageKeys<'a>,
    current: Option<RunId>,
    /// The records of the pages that the plan takes over.
    taken_over: PageRecords,
    spool: Spool,
    settled: Settled,
}

impl<'a> Settler<'a> {
    pub async fn new(
        night: &'a Night<'a>,
        fuser: &'a Fuser<'a>,
        (store, canary): (&'a dyn Store, bool),
    ) -> Result<Self, NightError> {
        let workspace = night.workspace;
        let current = publish::read_pointer(store).await?.map(|current| current.pointer.run_id);
        let decisions = workspace.read(&workspace.settled(&night.plan.run_id)).await?.unwrap_or_default();
        let taken_over = match &night.plan.reuse {
            Some(reuse) => workspace.read(&workspace.pages(&reuse.from_run)).await?.unwrap_or_default(),
            None => PageRecords::new(),
        };
        let settled = Settled { decisions, ..Settled::default() };
        let spool = Spool::new(workspace.scratch()?);
        Ok(Self { night, fuser, store, canary, keys: night.page_keys(), current, taken_over, spool, settled })
    }

    /// Settles `contexts` by the record of their group, `None` where there is none, and writes their stories down.
    pub async fn settle(
        &mut self,
        contexts: &[&SegmentContext],
        record: Option<&GroupRecord>,
    ) -> Result<(), NightError> {
        let older = self.older_pages(contexts).await?;
        let mut stories = Vec::new();
        for context in contexts {
            let older = older.get(&context.segment_id);
            stories.extend(self.one(context, record, older)?.map(|story| {
                (self.night.workspace.story(&self.night.plan.run_id, &context.segment_id), story)
            }));
        }
        Ok(self.night.workspace.write_all(stories).await?)
    }

    /// All of them.
    pub fn finish(mut self) -> Settled {
        self.settled.pages.sort_by(|a, b| a.segment_id.cmp(&b.segment_id));
        self.settled.failures.sort_by(|a, b| a.segment_id.cmp(&b.segment_id));
        self.settled
    }

    /// Settles one segment; its story, where the cascade made its page.
    fn one(
        &mut self,
        context: &SegmentContext,
        record: Option<&GroupRecord>,
        older: Option<&Older>,
    ) -> Result<Option<PageStory>, NightError> {
        let (night, segment) = (self.night, &context.segment_id);
        let known = match record.and_then(|record| Some((record.outcomes.get(segment)?, record))) {
            Some((outcome, record)) => Known::Made(outcome, record.tokens.get(segment).copied().unwrap_or(0)),
            None if night.plan.takes_over(segment) && older.is_none() => Known::Gone,
            None if night.plan.takes_over(segment) => Known::TakenOver,
            None => Known::Missing,
        };
        let decisions = &mut self.settled.decisions;
        let decision =
            decisions.entry(segment.clone()).or_insert_with(|| decide(night, context, &known, older)).clone();
        if let Some((stage, reason)) = known.failure() {
            tracing::warn!(run_id = %night.plan.run_id, %segment, stage, reason, "a segment failed");
            self.settled.failures.push(failure(segment, stage, reason, &decision));
        }
        if let Some(valid_until) = made_well(night, &known, &decision, older) {
            let tokens = match known {
                Known::Made(_, tokens) => tokens,
                _ => self.taken_over.get(segment).map_or(0, |record| record.tokens),
            };
            let record = PageRecord { key: self.keys.of(context), valid_until, tokens };
            self.settled.records.insert(segment.clone(), record);
        }
        let (page, story) = self.carry_out(context, &known, &decision, older)?;
        self.settled.pages.push(page);
        Ok(story)
    }

    /// The page, and its story where the cascade made it tonight.
    fn carry_out(
        &mut self,
        context: &SegmentContext,
        known: &Known,
        decision: &Decision,
        older: Option<&Older>,
    ) -> Result<(SettledPage, Option<PageStory>), NightError> {
        let (night, canary) = (self.night, self.canary);
        let may_stay = |older: &&Older| canary && allowed(night, context, &older.page);
        let kept = older.filter(may_stay).map(|older| older.run.clone());
        let page = |status, plan, manifest: &StorefrontManifest| SettledPage {
            segment_id: context.segment_id.clone(),
            status,
            source: manifest.source,
            placement_sources: manifest.placements.iter().map(|placement| placement.source).collect(),
            plan,
            kept: kept.clone(),
        };
        match (decision, known, older) {
            (
                Decision::Reused { from_run },
                Known::Made(Outcome::Page(_), _) | Known::TakenOver,
                Some(older),
            ) => {
                let story = match known {
                    Known::Made(Outcome::Page(story), _) => {
                        Some(PageStory { status: PageStatus::Reused, ..(**story).clone() })
                    }
                    _ => None,
                };
                let plan = PagePlan::Reused { from_run: from_run.clone() };
                Ok((page(PageStatus::Reused, plan, &older.page), story))
            }
            (Decision::CarriedOver { from_run }, _, Some(older)) => {
                let plan = PagePlan::CarriedOver { from_run: from_run.clone() };
                Ok((page(PageStatus::CarriedOver, plan, &older.page), None))
            }
            (_, Known::Made(Outcome::Page(story), _), _) => {
                let plan = self.new_page(&story.manifest)?;
                Ok((page(PageStatus::New, plan, &story.manifest), Some((**story).clone())))
            }
            _ if !night.inputs.with_history => Err(NightError::NoHistory(context.segment_id.clone())),
            _ => {
                let accepts_title = |aisle: &str| accepts_phrase(night, context, aisle);
                let ranked = self.fuser.ranker_page(&Audience { context, accepts_title: &accepts_title })?;
                let manifest = night.manifest(&ranked)?;
                let plan = self.new_page(&manifest)?;
                Ok((page(PageStatus::New, plan, &manifest), None))
            }
        }
    }

    fn new_page(&mut self, manifest: &StorefrontManifest) -> Result<PagePlan, NightError> {
        let bytes = to_bytes(manifest).map_err(NightError::Manifest)?;
        Ok(PagePlan::New { page: self.spool.add(&bytes)?, source: manifest.source })
    }

    /// The page each segment may keep: of the run that was decided on, else of the run that the plan takes it over from, else the
    /// one shoppers see now. An unreadable one counts as none.
    async fn older_pages(
        &self,
        contexts: &[&SegmentContext],
    ) -> Result<BTreeMap<SegmentId, Older>, NightError> {
        let read = |context: &&SegmentContext| {
            let segment = context.segment_id.clone();
            let (run, store) = (self.older_run(&segment), self.store);
            async move {
                let Some(run) = run else { return Ok(None) };
                let page = publish::read_manifest(store, &run, &segment).await?;
                Ok::<_, NightError>(page.map(|page| (segment, Older { run, page })))
            }
            .boxed()
        };
        let reads: Vec<_> = contexts.iter().map(read).collect();
        let in_flight = self.night.settings.publish.concurrency;
        let pages: Vec<_> = stream::iter(reads).buffered(in_flight).try_collect().await?;
        Ok(pages.into_iter().flatten().collect())
    }

    fn older_run(&self, segment: &SegmentId) -> Option<RunId> {
        match self.settled.decisions.get(segment) {
            Some(Decision::Reused { from_run } | Decision::CarriedOver { from_run }) => {
                Some(from_run.clone())
            }
            _ => match &self.night.plan.reuse {
                Some(reuse) if reuse.segments.contains(segment) => Some(reuse.from_run.clone()),
                _ => self.current.clone(),
            },
        }
    }
}

impl Known<'_> {
    /// Stage and reason.
    fn failure(&self) -> Option<(&str, &str)> {
        match self {
            Self::Made(Outcome::Failed { stage, reason }, _) => Some((stage, reason)),
            Self::Missing => Some(("worker", "its group was not finished")),
            Self::Gone => Some(("reuse", "the page that it takes over cannot be read")),
            _ => None,
        }
    }
}

/// Until when the page is valid, if the cascade made it, tonight or before.
fn made_well(
    night: &Night,
    known: &Known,
    decision: &Decision,
    older: Option<&Older>,
) -> Option<DateTime<Utc>> {
    match (known, decision) {
        (Known::Made(Outcome::Page(_), _), Decision::New) => Some(night.plan.valid_until),
        (Known::Made(Outcome::Page(_), _) | Known::TakenOver, Decision::Reused { .. }) => {
            older.map(|older| older.page.valid_until)
        }
        _ => None,
    }
}

fn decide(night: &Night, context: &SegmentContext, known: &Known, older: Option<&Older>) -> Decision {
    match (known, older) {
        (Known::TakenOver, Some(older)) => Decision::Reused { from_run: older.run.clone() },
        (Known::Made(Outcome::Page(story), _), Some(older))
            if unchanged(night, &story.manifest, &older.page) =>
        {
            Decision::Reused { from_run: older.run.clone() }
        }
        (Known::Made(Outcome::Page(_), _), _) => Decision::New,
        (_, Some(older)) if allowed(night, context, &older.page) => {
            Decision::CarriedOver { from_run: older.run.clone() }
        }
        _ => Decision::RankerPage,
    }
}

/// Whether shoppers would see no difference, and the older page is valid for some days yet.
fn unchanged(night: &Night, new: &StorefrontManifest, older: &StorefrontManifest) -> bool {
    let renew = night.plan.started_at + chrono::Days::new(night.settings.night.renew_days.into());
    older.schema == new.schema
        && older.source == new.source
        && older.placements == new.placements
        && older.variants == new.variants
        && older.valid_until >= renew
}

/// MER-1 holds for a carried-over page as for a new one.
fn allowed(night: &Night, context: &SegmentContext, page: &StorefrontManifest) -> bool {
    let checklist = Checklist {
        catalog: &night.inputs.catalog,
        merchandising: &night.inputs.merchandising,
        segment: &context.segment_id,
        as_of: night.plan.as_of,
    };
    let violations = fuse::check_manifest(page, &checklist);
    if let Some(first) = violations.first() {
        tracing::warn!(segment = %context.segment_id, violation = %first, "last night's page breaks tonight's rules");
    }
    let reads_well = |placement: &ManifestPlacement| match placement.source {
        Source::Ranker => accepts_phrase(night, context, &placement.title),
        _ => accepts_title(night, context, &placement.title),
    };
    violations.is_empty() && page.every_placement().all(reads_well)
}

fn failure(segment: &SegmentId, stage: &str, reason: &str, decision: &Decision) -> Failure {
    let shows = match decision {
        Decision::CarriedOver { from_run } => format!("the page of {from_run}"),
        _ => "the ranker's page".into(),
    };
    Failure { segment_id: segment.to_string(), stage: stage.into(), reason: reason.into(), shows }
}
