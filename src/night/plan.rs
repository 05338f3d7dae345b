//! What a run is: its id, its start time, its groups of segments, and which shard serves which group.
//!
//! Groups are consecutive segments in order of id, so they do not depend on the number of shards (DET-1); a shard takes
//! every n-th group. The plan is written once and read back after a crash: the start time stays (RUN-1).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::digest::DigestBuilder;
use crate::domain::manifest::Provenance;
use crate::domain::{Digest, RunId, SegmentId};

use super::workspace::{WorkError, Workspace};
use super::{Inputs, Settings};

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    /// When the run was first planned; a restart keeps it.
    pub started_at: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub provenance: Provenance,
    pub groups: Vec<Vec<SegmentId>>,
}

/// Everything besides the inputs that a run is made of.
pub struct Recipe {
    /// Name of a model or adapter → digest of its files.
    pub models: BTreeMap<String, Digest>,
    pub config: Digest,
    /// Versions of the prompt templates.
    pub templates: Vec<&'static str>,
}

impl Plan {
    /// The plan of this run: the one written before, else a new one that starts `now`, written at once.
    pub fn open(
        workspace: &Workspace,
        inputs: &Inputs,
        recipe: &Recipe,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<Self, WorkError> {
        let plan = Self::new(inputs, recipe, settings, now);
        let path = workspace.plan(&plan.run_id);
        if let Some(before) = workspace.read::<Self>(&path)? {
            // Grouping is logistics: a restart under another group size regroups what is left under the old start time.
            return Ok(Self { groups: plan.groups, ..before });
        }
        workspace.write(&path, &plan)?;
        Ok(plan)
    }

    /// A new plan, unwritten.
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
        Self {
            run_id: RunId::new(inputs.as_of, &everything.finish()),
            as_of: inputs.as_of,
            started_at: now,
            valid_until: now + Days::new(settings.valid_days.into()),
            provenance,
            groups: ids.chunks(settings.group_segments).map(<[SegmentId]>::to_vec).collect(),
        }
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }
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
    pub fn groups(self, total: usize) -> impl Iterator<Item = usize> {
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
