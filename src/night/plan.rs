//! What a run is: its id, its start time, what it takes over, its groups of segments, and which shard serves which group.
//!
//! Groups are consecutive segments in order of id among those that must be computed; an answer does not depend on the rest of
//! its group (DET-1). Shards are balanced by what their groups are expected to cost. The plan is written once and read back
//! after a crash: the start time and what is taken over stay (RUN-1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::Empty;

use crate::domain::digest::DigestBuilder;
use crate::domain::manifest::Provenance;
use crate::domain::{Digest, RunId, SegmentId};
use crate::publish::{self, Store};
use crate::trace::{self, step};

use super::balance::{Costs, balance};
use super::reuse::{PageKeys, PageRecords};
use super::workspace::{WorkError, Workspace};
use super::{Inputs, NightError, Settings};

/// Most children of an array job.
const MAX_SHARDS: usize = 10_000;

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    /// When the run was first planned; a restart keeps it.
    pub started_at: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub provenance: Provenance,
    /// The segments that must be computed.
    pub groups: Vec<Vec<SegmentId>>,
    /// Numbers of each shard's groups: at most 10,000 shards, none where nothing must be computed.
    #[serde(default)]
    pub shards: Vec<Vec<usize>>,
    /// What is taken over unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
}

/// Segments whose pages of an earlier run are made of the very same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    pub from_run: RunId,
    pub segments: BTreeSet<SegmentId>,
}

/// Everything besides the inputs that a run is made of.
pub struct Recipe {
    /// Name of a model or adapter → digest of its files.
    pub models: BTreeMap<String, Digest>,
    pub config: Digest,
    /// Versions of the prompt templates.
    pub templates: Vec<&'static str>,
}

/// Makes a run's plan, or finds the one that was made.
pub struct Planner<'a> {
    pub workspace: &'a Workspace,
    pub store: &'a dyn Store,
    pub inputs: &'a Inputs,
    pub recipe: &'a Recipe,
    pub keys: &'a PageKeys<'a>,
    pub settings: &'a Settings,
}

impl Planner<'_> {
    /// The plan of this run: the one written before, else a new one that starts `now`, written at once.
    pub async fn plan(&self, now: DateTime<Utc>) -> Result<Plan, NightError> {
        let span = step!(
            "planning",
            first = Empty,
            run_id = Empty,
            segments = Empty,
            reused = Empty,
            shards = Empty
        );
        trace::within(span, self.find_or_make(now)).await
    }

    async fn find_or_make(&self, now: DateTime<Utc>) -> Result<Plan, NightError> {
        let fresh = Plan::new(self.inputs, self.recipe, self.settings, now);
        let path = self.workspace.plan(&fresh.run_id);
        let before: Option<Plan> = self.workspace.read(&path).await?;
        let current = publish::read_pointer(self.store).await?.map(|current| current.pointer.run_id);
        let records = self.records(before.as_ref(), current.as_ref()).await?;
        let plan = match &before {
            // Grouping is logistics: a restart under another group size regroups what is left under the old start time.
            Some(before) => Plan { reuse: self.still_there(before).await?, ..before.clone() },
            None => self.first(fresh, current, records.as_ref()).await?,
        };
        let costs = Costs::of(&self.inputs.segments, records.as_ref());
        let plan = plan.cut(self.inputs, &costs, self.settings);
        if before.as_ref() != Some(&plan) {
            self.workspace.write(&path, &plan).await?;
        }
        note(&plan, before.is_none());
        Ok(plan)
    }

    /// What is known of the pages that may be taken over, and of what they cost.
    async fn records(
        &self,
        before: Option<&Plan>,
        current: Option<&RunId>,
    ) -> Result<Option<PageRecords>, WorkError> {
        let reuse = before.and_then(|plan| plan.reuse.as_ref());
        match reuse.map(|reuse| &reuse.from_run).or(current) {
            Some(run) => self.workspace.read(&self.workspace.pages(run)).await,
            None => Ok(None),
        }
    }

    /// What a plan takes over, unless the run it takes it from was deleted meanwhile.
    async fn still_there(&self, before: &Plan) -> Result<Option<Reuse>, NightError> {
        let Some(reuse) = &before.reuse else { return Ok(None) };
        let index = publish::read_index(self.store, &reuse.from_run).await?;
        Ok(index.is_some().then(|| reuse.clone()))
    }

    async fn first(
        &self,
        fresh: Plan,
        current: Option<RunId>,
        records: Option<&PageRecords>,
    ) -> Result<Plan, NightError> {
        // A run that is published already keeps its start time, even where the work root that knew it is gone.
        let fresh = match publish::read_index(self.store, &fresh.run_id).await? {
            Some(index) => fresh.starting(index.generated_at, self.settings),
            None => fresh,
        };
        let Some(from_run) = current.filter(|run| *run != fresh.run_id) else { return Ok(fresh) };
        let Some(records) = records else { return Ok(fresh) };
        let Some(index) = publish::read_index(self.store, &from_run).await? else { return Ok(fresh) };
        let renew = fresh.started_at + Days::new(self.settings.renew_days.into());
        let unchanged = self.inputs.segments.iter().filter(|context| {
            let record = records.get(&context.segment_id);
            record.is_some_and(|record| record.valid_until >= renew && record.key == self.keys.of(context))
        });
        let segments: BTreeSet<SegmentId> = unchanged
            .map(|context| context.segment_id.clone())
            .filter(|segment| index.segments.contains_key(segment))
            .collect();
        let reuse = (!segments.is_empty()).then_some(Reuse { from_run, segments });
        Ok(Plan { reuse, ..fresh })
    }
}

impl Plan {
    /// The plan as it was written, `None` where there is none.
    pub async fn read(workspace: &Workspace, run: &RunId) -> Result<Option<Self>, WorkError> {
        workspace.read(&workspace.plan(run)).await
    }

    /// The segments of `groups`.
    pub fn members(&self, groups: impl IntoIterator<Item = usize>) -> BTreeSet<SegmentId> {
        groups.into_iter().filter_map(|group| self.groups.get(group)).flatten().cloned().collect()
    }

    /// A new plan that takes nothing over, unwritten and in one shard.
    pub fn new(inputs: &Inputs, recipe: &Recipe, settings: &Settings, now: DateTime<Utc>) -> Self {
        let engine_version = env!("CARGO_PKG_VERSION").to_owned();
        let ids: Vec<SegmentId> = inputs.segments.iter().map(|segment| segment.segment_id.clone()).collect();
        let mut everything = DigestBuilder::default();
        everything
            .part(inputs.digest.as_bytes())
            .part(recipe.config.as_bytes())
            .part(engine_version.as_bytes());
        for (name, digest) in &recipe.models {
            everything.part(name.as_bytes()).part(digest.as_bytes());
        }
        for version in &recipe.templates {
            everything.part(version.as_bytes());
        }
        for id in &ids {
            everything.part(id.as_str().as_bytes());
        }
        let provenance = Provenance {
            models: recipe.models.clone(),
            inputs: inputs.digest,
            config: recipe.config,
            engine_version,
        };
        let groups: Vec<_> = ids.chunks(settings.group_segments).map(<[SegmentId]>::to_vec).collect();
        let plan = Self {
            run_id: RunId::new(inputs.as_of, &everything.finish()),
            as_of: inputs.as_of,
            started_at: now,
            valid_until: now,
            provenance,
            shards: Vec::from_iter((!groups.is_empty()).then(|| (0..groups.len()).collect())),
            groups,
            reuse: None,
        };
        plan.starting(now, settings)
    }

    fn starting(self, started_at: DateTime<Utc>, settings: &Settings) -> Self {
        let valid_until = started_at + Days::new(settings.valid_days.into());
        Self { started_at, valid_until, ..self }
    }

    /// Cuts what must be computed into groups and these into shards.
    fn cut(self, inputs: &Inputs, costs: &Costs, settings: &Settings) -> Self {
        let all = inputs.segments.iter().map(|context| &context.segment_id);
        let open: Vec<SegmentId> = all.filter(|segment| !self.takes_over(segment)).cloned().collect();
        let groups: Vec<_> = open.chunks(settings.group_segments).map(<[SegmentId]>::to_vec).collect();
        let shards = open.len().div_ceil(settings.shard_segments).min(groups.len()).min(MAX_SHARDS);
        let weights: Vec<u64> = groups.iter().map(|group| costs.sum(group)).collect();
        Self { shards: balance(&weights, shards), groups, ..self }
    }

    /// Whether `segment` keeps its page of an earlier run and is not computed.
    pub fn takes_over(&self, segment: &SegmentId) -> bool {
        self.reuse.as_ref().is_some_and(|reuse| reuse.segments.contains(segment))
    }

    /// Number of segments, those taken over included.
    pub fn segments(&self) -> usize {
        self.reused() + self.groups.iter().map(Vec::len).sum::<usize>()
    }

    /// Number of segments that are taken over.
    pub fn reused(&self) -> usize {
        self.reuse.as_ref().map_or(0, |reuse| reuse.segments.len())
    }
}

/// Tells the trace its run. Who planned it first goes before: it is the root.
fn note(plan: &Plan, first: bool) {
    let span = Span::current();
    span.record("first", first).record("run_id", plan.run_id.as_str());
    span.record("segments", plan.segments()).record("reused", plan.reused());
    span.record("shards", plan.shards.len());
}

/// One of `of` parts of a run: the groups whose number leaves the rest `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// 0-based, < `of`.
    pub index: usize,
    /// ≥ 1; may exceed the number of groups, the shards left over then have nothing to do.
    pub of: usize,
}

impl Shard {
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Numbers of its groups, ascending.
    pub fn groups(self, total: usize) -> impl Iterator<Item = usize> + Clone {
        (self.index..total).step_by(self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err(format!("{text:?} is not a shard; expected i/n with 0 <= i < n, such as 0/4")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// DET-1, RUN-2: whatever the number of shards, every group is served by exactly one.
        #[test]
        fn shards_cover_all_groups_once(total in 0usize..50, of in 1usize..60) {
            let mut served: Vec<usize> = (0..of).flat_map(|index| Shard { index, of }.groups(total)).collect();
            served.sort_unstable();
            prop_assert_eq!(served, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn shards_are_parsed_and_refused() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        for bad in ["4/4", "0/0", "1", "a/b", "-1/2", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad:?} was taken");
        }
    }
}
