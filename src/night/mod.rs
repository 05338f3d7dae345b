//! The night: plan → groups of segments → stages in order → checkpoint → settle → publish → report.
//!
//! # Crash consistency
//! A plan, a finished group, a model's answer and the settled decisions are files written whole. Killed at any instant
//! and started again, a run reads what it finds, computes the rest, and ends with the same bytes (RUN-1): answers do not
//! depend on their batch, the start time is the plan's, and decisions are written down before the first object is published.
//!
//! # Failure
//! A segment that fails at a stage shows last night's page or the ranker's; the others go on (RUN-2). What spoils
//! everything (inputs, index, model) ends the night before anything is published. Past
//! [`Settings::max_fallback_share`] the night stops and the pointer stays.

mod answers;
mod inputs;
mod plan;
mod progress;
mod report;
mod settings;
mod settle;
mod stages;
mod vectors;
mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::aiqa::TitlePolicy;
use crate::domain::manifest::{ManifestProduct, PageStatus, StorefrontManifest, VariantError};
use crate::domain::stage::{FusedPage, JudgedPage};
use crate::domain::{SegmentContext, SegmentId};
use crate::embed::{EmbedError, Evaluator, Memory};
use crate::fuse::{self, Checklist, Finding, FuseError, Fuser, Shop, Stamp};
use crate::index::Index;
use crate::ingest::IngestError;
use crate::lm::Engine;
use crate::publish::{self, PublishError, PublishPlan, Store, StoreError};
use crate::{keywords, themes};

pub use answers::{Answered, Answers, AskError, Inquiry, Student};
pub use inputs::{Inputs, RuleBook, Shelf, load_rules, load_shelf};
pub use plan::{Plan, Recipe, Shard};
pub use progress::Progress;
pub use report::{Ending, Figures, Funnel, Report};
pub use settings::{Settings, VariantPage};
pub use stages::{GroupError, Outcome};
pub use workspace::{WorkError, Workspace, write_whole};

use settle::Settled;
use stages::{GroupRecord, GroupRun};

/// Why a night could not go on. Nothing is published then; a second start resumes.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error(transparent)]
    Fuse(#[from] FuseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<Finding>),
    #[error("a page could not be written as JSON: {0}")]
    Manifest(serde_json::Error),
    #[error(
        "groups {missing:?} of run {run} are not finished; run their shards first (`endcap run --shard i/n`)"
    )]
    Unfinished { run: String, missing: Vec<usize> },
}

/// Why a segment's page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error(transparent)]
    Fuse(#[from] FuseError),
    #[error("its titles could not be evaluated: {0}")]
    Evaluate(#[from] EmbedError),
    #[error(transparent)]
    Variant(#[from] VariantError),
}

fn conflicts(found: &[Finding]) -> String {
    let lines: Vec<String> = found.iter().map(|finding| format!("\n  {finding}")).collect();
    format!(
        "merchandising rules cannot hold together tonight; nothing was computed (`endcap rules check` says more):{}",
        lines.concat()
    )
}

/// The models and the index, loaded once.
pub struct Tools {
    pub engine: Engine,
    /// Stage 1's.
    pub themes: Student,
    /// Stage 2's; both share the base in the engine.
    pub keywords: Student,
    pub encoder: Memory,
    pub evaluator: Evaluator,
    pub index: Index,
    pub policy: TitlePolicy,
}

/// The settings of the stages.
#[derive(Clone, Copy)]
pub struct StageSettings<'a> {
    pub themes: &'a themes::Settings,
    pub keywords: &'a keywords::Settings,
    pub fuse: &'a fuse::Settings,
    pub publish: &'a publish::Settings,
    pub night: &'a Settings,
}

/// One run at work.
pub struct Night<'a> {
    pub inputs: &'a Inputs,
    pub tools: &'a Tools,
    pub settings: StageSettings<'a>,
    pub plan: &'a Plan,
    pub workspace: &'a Workspace,
    pub progress: Arc<dyn Progress>,
}

/// What a finished or published run comes to, before the clock is added.
pub struct Closing {
    pub ending: Ending,
    pub summary: String,
    pub figures: Figures,
    pub resumed_groups: usize,
}

impl Closing {
    /// The report of this run.
    pub fn report(self, plan: &Plan, wall_seconds: f64) -> Report {
        let Figures { segments, pages, funnel, model, seconds, failures } = self.figures;
        Report {
            run_id: plan.run_id.clone(),
            as_of: plan.as_of,
            started_at: plan.started_at,
            ending: self.ending,
            summary: self.summary,
            segments,
            pages,
            funnel,
            model,
            seconds,
            resumed_groups: self.resumed_groups,
            failures,
            wall_seconds,
        }
    }
}

impl Night<'_> {
    /// Computes the groups of `shard` that have no checkpoint yet. Returns how many had one.
    pub async fn compute(&self, shard: Shard) -> Result<usize, NightError> {
        let fuser = self.fuser();
        let contexts: BTreeMap<&SegmentId, &SegmentContext> =
            self.inputs.segments.iter().map(|context| (&context.segment_id, context)).collect();
        let mut resumed = 0;
        for group in shard.groups(self.plan.groups.len()) {
            if self.checkpoint(group)?.is_some() {
                resumed += 1;
                continue;
            }
            let members: Vec<&SegmentContext> =
                self.plan.groups[group].iter().filter_map(|segment| contexts.get(segment).copied()).collect();
            let record = GroupRun::new(self, &fuser).run(&members).await?;
            self.workspace.write(&self.workspace.group(&self.plan.run_id, group), &record)?;
        }
        Ok(resumed)
    }

    /// What the cascade offers fusion for each of `contexts`, one group; writes answers to the cache and nothing else. A
    /// segment that failed is left out.
    pub async fn judged(&self, contexts: &[&SegmentContext]) -> Result<Vec<JudgedPage>, NightError> {
        Ok(GroupRun::new(self, &self.fuser()).judged(contexts).await?)
    }

    /// Settles every segment and publishes, once all groups are finished.
    pub async fn publish(&self, store: &dyn Store, now: DateTime<Utc>) -> Result<Closing, NightError> {
        let records = self.records()?;
        let settled = settle::settle(self, &self.fuser(), &records, store).await?;
        let figures = Figures::of(&records, &settled);
        let fallbacks = figures.pages.ranker + figures.segments.carried_over;
        let total = figures.segments.total;
        let share = fallbacks as f64 / total.max(1) as f64;
        let limit = self.settings.night.max_fallback_share;
        if share > limit {
            let summary = format!(
                "not published: {fallbacks} of {total} pages are fallbacks ({:.0} %), more than the {:.0} % allowed \
                 (night.max_fallback_share); the old pages stand",
                share * 100.0,
                limit * 100.0
            );
            return Ok(Closing { ending: Ending::Stopped, summary, figures, resumed_groups: 0 });
        }
        settled.commit(self)?;
        let changed = self.publish_settled(store, settled, now).await?;
        let failed = figures.segments.failed;
        let ending = if failed == 0 { Ending::Published } else { Ending::PublishedWithFallbacks };
        let what = if changed { "published" } else { "already published" };
        let kept =
            if failed == 0 { String::new() } else { format!(", {failed} of them fallbacks after a failure") };
        let summary = format!("{what} {total} pages as {}{kept}", self.plan.run_id);
        Ok(Closing { ending, summary, figures, resumed_groups: 0 })
    }

    async fn publish_settled(
        &self,
        store: &dyn Store,
        settled: Settled,
        now: DateTime<Utc>,
    ) -> Result<bool, NightError> {
        let run = &self.plan.run_id;
        self.progress.begin("publish", "pages", settled.pages.len() as u64);
        let mut pages = BTreeMap::new();
        for page in settled.pages {
            if let Some(story) = &page.story {
                self.workspace.write(&self.workspace.story(run, &page.segment_id), story)?;
            }
            pages.insert(page.segment_id, page.plan);
        }
        let current = publish::read_pointer(store).await?;
        let changed = if current.is_some_and(|current| current.pointer.run_id == *run) {
            false
        } else {
            let plan = PublishPlan {
                run_id: run.clone(),
                as_of: self.plan.as_of,
                generated_at: self.plan.started_at,
                published_at: now,
                pages,
            };
            let progress = |done| self.progress.advance(done);
            let inspect = |segment: &SegmentId, status, bytes: &[u8]| self.inspect(segment, status, bytes);
            let settings = self.settings.publish;
            let published = publish::publish_inspected(store, &plan, settings, &progress, &inspect).await?;
            published.changed
        };
        self.progress.end(if changed { "" } else { "already current" });
        Ok(changed)
    }

    /// MER-1 on the bytes that go out.
    fn inspect(&self, segment: &SegmentId, status: PageStatus, bytes: &[u8]) -> Result<(), String> {
        let Inputs { catalog, merchandising, .. } = self.inputs;
        let list = Checklist { catalog, merchandising, segment, as_of: self.plan.as_of };
        fuse::inspect(bytes, status == PageStatus::New, &list).map_err(|error| error.to_string())
    }

    fn records(&self) -> Result<Vec<GroupRecord>, NightError> {
        let mut records = Vec::new();
        let mut missing = Vec::new();
        for group in 0..self.plan.groups.len() {
            match self.checkpoint(group)? {
                Some(record) => records.push(record),
                None => missing.push(group),
            }
        }
        if missing.is_empty() {
            Ok(records)
        } else {
            Err(NightError::Unfinished { run: self.plan.run_id.to_string(), missing })
        }
    }

    /// A group's record, if it is finished and holds exactly the group's segments.
    fn checkpoint(&self, group: usize) -> Result<Option<GroupRecord>, NightError> {
        let record: Option<GroupRecord> =
            self.workspace.read(&self.workspace.group(&self.plan.run_id, group))?;
        let members = &self.plan.groups[group];
        Ok(record.filter(|record| record.outcomes.keys().eq(members)))
    }

    fn fuser(&self) -> Fuser<'_> {
        let shop = Shop {
            catalog: &self.inputs.catalog,
            merchandising: &self.inputs.merchandising,
            ranker: &self.inputs.forecast,
        };
        Fuser::new(shop, self.settings.fuse, self.plan.as_of)
    }

    fn manifest(&self, page: &FusedPage) -> Result<StorefrontManifest, FuseError> {
        let stamp = Stamp {
            run_id: self.plan.run_id.clone(),
            as_of: self.plan.as_of,
            generated_at: self.plan.started_at,
            valid_until: self.plan.valid_until,
            provenance: self.plan.provenance.clone(),
        };
        fuse::manifest(page, &self.inputs.catalog, &stamp)
    }

    /// The manifest of `page`, with a variant for each arm of the experiment that runs, if one does.
    fn manifest_of_arms(
        &self,
        page: &FusedPage,
        ranker_page: &FusedPage,
    ) -> Result<StorefrontManifest, PageError> {
        let mut manifest = self.manifest(page)?;
        for (arm, kind) in &self.settings.night.variants {
            let shown = match kind {
                VariantPage::Cascade => page,
                VariantPage::Ranker => ranker_page,
            };
            manifest = manifest.with_variant(arm.clone(), self.manifest(shown)?)?;
        }
        Ok(manifest)
    }

    /// Cards of `page`'s products that `manifest` does not hold, in order of id.
    fn cards(
        &self,
        page: &FusedPage,
        manifest: &StorefrontManifest,
    ) -> Result<Vec<ManifestProduct>, FuseError> {
        let held = |card: &ManifestProduct| {
            manifest.placements.iter().any(|placement| {
                placement.products.iter().any(|product| product.product_id == card.product_id)
            })
        };
        let cards = self.manifest(page)?.placements.into_iter().flat_map(|placement| placement.products);
        let mut cards: Vec<ManifestProduct> = cards.filter(|card| !held(card)).collect();
        cards.sort_by(|a, b| a.product_id.cmp(&b.product_id));
        Ok(cards)
    }
}
