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
mod balance;
mod canary;
mod inputs;
mod metrics;
mod plan;
mod progress;
mod publication;
mod ranker;
mod report;
mod reuse;
mod settings;
mod settle;
mod stages;
mod stop;
mod vectors;
mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aiqa::TitlePolicy;
use crate::domain::lookup::Collision;
use crate::domain::manifest::{ManifestProduct, PageStatus, StorefrontManifest, VariantError};
use crate::domain::stage::{FusedPage, JudgedPage};
use crate::domain::{SegmentContext, SegmentId};
use crate::embed::{Evaluator, Memory};
use crate::fuse::{self, Checklist, Finding, FuseError, Fuser, Shop, Stamp};
use crate::index::Index;
use crate::ingest::IngestError;
use crate::lm::{Engine, Usage};
use crate::publish::{self, PublishError, StoreError};
use crate::relevance::RelevanceModel;
use crate::trace::{self, step};
use crate::{keywords, themes};

pub use answers::{Answered, Answers, AskError, Inquiry, Student};
pub use canary::CanaryRun;
pub use inputs::{FileDigests, Inputs, RuleBook, Shelf, load_assignments, load_rules, load_shelf};
pub use metrics::Metrics;
pub use plan::{Plan, Planner, Recipe, Reuse, Shard};
pub use progress::{Progress, Quiet};
pub use publication::{Publication, Unfinished};
pub use ranker::{RankerFolderError, load_ranker, save_ranker};
pub use report::{Ending, Figures, Funnel, Report};
pub use reuse::{PageKeys, PageRecord, PageRecords};
pub use settings::{Settings, VariantPage};
pub use stages::{GroupError, Outcome};
pub use stop::Stop;
pub use workspace::{IndexMark, WorkError, Workspace, write_whole};

use stages::{GroupRecord, GroupRun};

/// Why a night could not go on. Nothing is published then; a second start resumes.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Fuse(#[from] FuseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Lookup(#[from] Collision),
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<Finding>),
    #[error("a page could not be written as JSON: {0}")]
    Manifest(serde_json::Error),
    #[error(
        "groups {missing:?} of run {run} are not finished; run their shards first (`endcap run --shard i/n`)"
    )]
    Unfinished { run: String, missing: Vec<usize> },
    #[error("segment {0} needs the ranker's page, and the interactions were not read")]
    NoHistory(SegmentId),
}

/// Why pages could not be computed; a second start goes on. Apart from [`NightError`], so that whoever only publishes links
/// nothing of models and index.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// Why a segment's page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error(transparent)]
    Fuse(#[from] FuseError),
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
    pub encoder: Arc<Memory>,
    /// What stage 2's candidates are judged by.
    pub relevance: Option<RelevanceModel>,
    pub evaluator: Evaluator,
    pub index: Index,
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

/// One run at work. Computing takes [`Tools`]; planning and publishing do without models and index.
pub struct Night<'a> {
    pub inputs: &'a Inputs,
    pub policy: &'a TitlePolicy,
    pub settings: StageSettings<'a>,
    pub plan: &'a Plan,
    /// What the plan was made with.
    pub recipe: &'a Recipe,
    pub workspace: &'a Workspace,
    pub progress: Arc<dyn Progress>,
}

/// What a finished or published run comes to, before the clock is added.
pub struct Closing {
    pub ending: Ending,
    pub summary: String,
    pub figures: Figures,
    pub resumed_groups: usize,
    /// Whether this call wrote the pointer.
    pub moved: bool,
    /// The canary that was published in place of the whole run.
    pub canary: Option<CanaryRun>,
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

/// What became of a share of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Computed {
    /// Groups that had a checkpoint before.
    pub resumed: usize,
    /// Groups that this call finished, their segments, and those of them that failed at a stage.
    pub groups: usize,
    pub segments: usize,
    pub failed: usize,
    /// Of answers that this call computed.
    pub usage: Usage,
    /// True where it was asked to stop before the end; a second start goes on.
    pub stopped: bool,
}

impl Computed {
    fn add(&mut self, record: &GroupRecord) {
        self.groups += 1;
        self.segments += record.outcomes.len();
        let failed = |outcome: &&Outcome| matches!(outcome, Outcome::Failed { .. });
        self.failed += record.outcomes.values().filter(failed).count();
        self.usage += record.themes.usage;
        self.usage += record.keywords.usage;
    }
}

impl Night<'_> {
    /// Computes those of `groups` that have no checkpoint yet, until `stop` is asked.
    pub async fn compute(
        &self,
        tools: &Tools,
        groups: impl IntoIterator<Item = usize>,
        stop: &Stop,
    ) -> Result<Computed, ComputeError> {
        let fuser = self.fuser();
        let contexts: BTreeMap<&SegmentId, &SegmentContext> =
            self.inputs.segments.iter().map(|context| (&context.segment_id, context)).collect();
        let mut computed = Computed::default();
        for group in groups {
            if stop.is_asked() {
                return Ok(Computed { stopped: true, ..computed });
            }
            if self.checkpoint(group).await?.is_some() {
                computed.resumed += 1;
                continue;
            }
            let members = self.plan.groups.get(group).into_iter().flatten();
            let members: Vec<&SegmentContext> =
                members.filter_map(|segment| contexts.get(segment).copied()).collect();
            tracing::info!(run_id = %self.plan.run_id, group, segments = members.len(), "a group begins");
            let work = self.finish_group(group, GroupRun::new(self, tools, &fuser).until(stop), &members);
            let span = step!("group", group = group, segments = members.len());
            let record = match trace::within(span, work).await {
                Err(ComputeError::Group(GroupError::Stopped)) => {
                    return Ok(Computed { stopped: true, ..computed });
                }
                record => record?,
            };
            computed.add(&record);
            tracing::info!(run_id = %self.plan.run_id, group, segments = members.len(), "a group is finished");
        }
        Ok(computed)
    }

    /// Runs the stages over a group's `members` and writes its checkpoint.
    async fn finish_group<'a>(
        &self,
        group: usize,
        run: GroupRun<'a>,
        members: &[&'a SegmentContext],
    ) -> Result<GroupRecord, ComputeError> {
        let record = run.run(members).await?;
        let path = self.workspace.group(&self.plan.run_id, group);
        trace::within(step!("checkpoint"), self.workspace.write(&path, &record)).await?;
        Ok(record)
    }

    /// What the cascade offers fusion for each of `contexts`, one group; writes answers to the cache and nothing else. A
    /// segment that failed is left out.
    pub async fn judged(
        &self,
        tools: &Tools,
        contexts: &[&SegmentContext],
    ) -> Result<Vec<JudgedPage>, ComputeError> {
        Ok(GroupRun::new(self, tools, &self.fuser()).judged(contexts).await?)
    }

    /// MER-1 on the bytes that go out.
    fn inspect(&self, segment: &SegmentId, status: PageStatus, bytes: &[u8]) -> Result<(), String> {
        let Inputs { catalog, merchandising, .. } = self.inputs;
        let list = Checklist { catalog, merchandising, segment, as_of: self.plan.as_of };
        fuse::inspect(bytes, status == PageStatus::New, &list).map_err(|error| error.to_string())
    }

    /// A group's record, if it is finished and holds exactly the group's segments.
    async fn checkpoint(&self, group: usize) -> Result<Option<GroupRecord>, WorkError> {
        let record: Option<GroupRecord> =
            self.workspace.read(&self.workspace.group(&self.plan.run_id, group)).await?;
        Ok(record.filter(|record| self.is_of(record, group)))
    }

    fn is_of(&self, record: &GroupRecord, group: usize) -> bool {
        self.plan.groups.get(group).is_some_and(|members| record.outcomes.keys().eq(members))
    }

    /// The keys of tonight's pages.
    fn page_keys(&self) -> PageKeys<'_> {
        PageKeys::new(self.inputs, self.recipe, self.policy, (self.settings.fuse, self.settings.night))
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
