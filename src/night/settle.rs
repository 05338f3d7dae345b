//! Decides what each segment shows tonight: a new page, its unchanged page of an earlier night (reused), last night's page
//! after a failure (carried over), or the ranker's page for want of any (RUN-2).
//!
//! Decisions are written down before publishing, so that a restart publishes the same ones (RUN-1).

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::domain::explain::PageStory;
use crate::domain::manifest::{ManifestPlacement, PageStatus, StorefrontManifest, to_bytes};
use crate::domain::stage::Source;
use crate::domain::{RunId, SegmentContext, SegmentId};
use crate::fuse::{self, Audience, Checklist, Fuser};
use crate::publish::{self, PageBytes, PagePlan, Store};

use super::report::Failure;
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
    /// To be written under the private root.
    pub story: Option<PageStory>,
}

/// Every segment's page, in order of id.
pub struct Settled {
    pub pages: Vec<SettledPage>,
    pub failures: Vec<Failure>,
    decisions: BTreeMap<SegmentId, Decision>,
}

impl Settled {
    /// Writes the decisions down; from here on a restart publishes the same ones. A night that stops short of publishing
    /// leaves none behind, so that the next start decides afresh.
    pub fn commit(&self, night: &Night) -> Result<(), NightError> {
        Ok(night.workspace.write(&night.workspace.settled(&night.plan.run_id), &self.decisions)?)
    }
}

/// An older page of a segment.
struct Older {
    run: RunId,
    page: StorefrontManifest,
}

/// Settles all segments of the run.
pub async fn settle(
    night: &Night<'_>,
    fuser: &Fuser<'_>,
    records: &[GroupRecord],
    store: &dyn Store,
) -> Result<Settled, NightError> {
    let contexts: BTreeMap<&SegmentId, &SegmentContext> =
        night.inputs.segments.iter().map(|context| (&context.segment_id, context)).collect();
    let older = older_pages(night, store).await?;
    let before: Option<BTreeMap<SegmentId, Decision>> =
        night.workspace.read(&night.workspace.settled(&night.plan.run_id))?;
    let mut decisions = before.unwrap_or_default();
    let mut settled = Settled { pages: Vec::new(), failures: Vec::new(), decisions: BTreeMap::new() };
    for (segment, outcome) in records.iter().flat_map(|record| &record.outcomes) {
        let Some(context) = contexts.get(segment) else { continue };
        let older = older.get(segment);
        let decision =
            decisions.entry(segment.clone()).or_insert_with(|| decide(night, context, outcome, older));
        if let Outcome::Failed { stage, reason } = outcome {
            settled.failures.push(failure(segment, stage, reason, decision));
        }
        settled.pages.push(carry_out(night, fuser, context, outcome, decision, older)?);
    }
    settled.pages.sort_by(|a, b| a.segment_id.cmp(&b.segment_id));
    settled.decisions = decisions;
    Ok(settled)
}

/// The pages shoppers see now; empty where nothing is published yet. An unreadable one counts as none.
async fn older_pages(night: &Night<'_>, store: &dyn Store) -> Result<BTreeMap<SegmentId, Older>, NightError> {
    let Some(current) = publish::read_pointer(store).await? else { return Ok(BTreeMap::new()) };
    let run = &current.pointer.run_id;
    let pages = stream::iter(&night.inputs.segments)
        .map(|context| async move {
            let segment = &context.segment_id;
            let page = publish::read_manifest(store, run, segment).await?;
            Ok::<_, NightError>(page.map(|page| (segment.clone(), Older { run: run.clone(), page })))
        })
        .buffered(night.settings.publish.concurrency)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(pages.into_iter().flatten().collect())
}

fn decide(night: &Night, context: &SegmentContext, outcome: &Outcome, older: Option<&Older>) -> Decision {
    match (outcome, older) {
        (Outcome::Page(story), Some(older)) if unchanged(night, &story.manifest, &older.page) => {
            Decision::Reused { from_run: older.run.clone() }
        }
        (Outcome::Page(_), _) => Decision::New,
        (Outcome::Failed { .. }, Some(older)) if allowed(night, context, &older.page) => {
            Decision::CarriedOver { from_run: older.run.clone() }
        }
        (Outcome::Failed { .. }, _) => Decision::RankerPage,
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

fn carry_out(
    night: &Night,
    fuser: &Fuser,
    context: &SegmentContext,
    outcome: &Outcome,
    decision: &Decision,
    older: Option<&Older>,
) -> Result<SettledPage, NightError> {
    let segment_id = context.segment_id.clone();
    let kept = |status, plan, manifest: &StorefrontManifest, story: Option<PageStory>| SettledPage {
        segment_id: segment_id.clone(),
        status,
        source: manifest.source,
        placement_sources: manifest.placements.iter().map(|placement| placement.source).collect(),
        plan,
        story,
    };
    match (decision, outcome, older) {
        (Decision::Reused { from_run }, Outcome::Page(story), Some(older)) => {
            let story = PageStory { status: PageStatus::Reused, ..(**story).clone() };
            let plan = PagePlan::Reused { from_run: from_run.clone() };
            Ok(kept(PageStatus::Reused, plan, &older.page, Some(story)))
        }
        (Decision::CarriedOver { from_run }, _, Some(older)) => {
            let plan = PagePlan::CarriedOver { from_run: from_run.clone() };
            Ok(kept(PageStatus::CarriedOver, plan, &older.page, None))
        }
        (_, Outcome::Page(story), _) => {
            let plan = new_page(&story.manifest)?;
            Ok(kept(PageStatus::New, plan, &story.manifest, Some((**story).clone())))
        }
        (_, Outcome::Failed { .. }, _) => {
            let accepts_title = |aisle: &str| accepts_phrase(night, context, aisle);
            let page = fuser.ranker_page(&Audience { context, accepts_title: &accepts_title })?;
            let manifest = night.manifest(&page)?;
            Ok(kept(PageStatus::New, new_page(&manifest)?, &manifest, None))
        }
    }
}

fn new_page(manifest: &StorefrontManifest) -> Result<PagePlan, NightError> {
    let bytes = to_bytes(manifest).map_err(NightError::Manifest)?;
    Ok(PagePlan::New { page: PageBytes::Memory(bytes.into()), source: manifest.source })
}

fn failure(segment: &SegmentId, stage: &str, reason: &str, decision: &Decision) -> Failure {
    let shows = match decision {
        Decision::CarriedOver { from_run } => format!("the page of {from_run}"),
        _ => "the ranker's page".into(),
    };
    Failure { segment_id: segment.to_string(), stage: stage.into(), reason: reason.into(), shows }
}
