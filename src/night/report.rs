//! `report.json`: what the night did, for a person and for a script.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::RunId;
use crate::domain::manifest::PageStatus;
use crate::domain::stage::{Source, Subject};

use super::settle::Settled;
use super::stages::{GroupRecord, ModelCost, Outcome};

/// How the night ended; the command line turns it into the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every segment has a page of tonight.
    Published,
    /// Published, but some segments kept an older page or got the ranker's after a failure.
    PublishedWithFallbacks,
    /// Not published: too many fallbacks; the old pages stand.
    Stopped,
}

impl Ending {
    /// What a command that ended so answers the shell with.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Published => 0,
            Self::PublishedWithFallbacks => 1,
            Self::Stopped => 2,
        }
    }
}

/// Segments by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentCounts {
    pub total: usize,
    pub new: usize,
    /// Unchanged since an earlier night.
    pub reused: usize,
    /// A failure's fallback: last night's page.
    pub carried_over: usize,
    /// Segments whose stages failed, carried over or not.
    pub failed: usize,
}

/// Published pages and placements by how they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    pub cascade: usize,
    pub mixed: usize,
    pub ranker: usize,
}

impl SourceCounts {
    fn add(&mut self, source: Source) {
        match source {
            Source::Cascade => self.cascade += 1,
            Source::Mixed => self.mixed += 1,
            Source::Ranker => self.ranker += 1,
        }
    }
}

/// From what the model wrote to what shoppers see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Placements stage 1 wrote, the reserve included.
    pub generated: usize,
    /// Of these, the reserve's.
    pub generated_reserve: usize,
    /// Findings that rejected a placement, by rule; a placement may have several.
    pub rejected_by_rule: BTreeMap<String, usize>,
    /// Keywords and products taken out of placements, by rule.
    pub dropped_by_rule: BTreeMap<String, usize>,
    /// Placements on published pages, by source: `cascade` is what the cascade earned.
    pub published: SourceCounts,
}

/// A segment whose stages failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub segment_id: String,
    pub stage: String,
    pub reason: String,
    /// What it shows instead.
    pub shows: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    pub started_at: DateTime<Utc>,
    pub ending: Ending,
    /// One sentence for the operator.
    pub summary: String,
    pub segments: SegmentCounts,
    pub pages: SourceCounts,
    pub funnel: Funnel,
    /// Stage → questions, cache hits and tokens.
    pub model: BTreeMap<String, ModelCost>,
    /// Stage → seconds, of the groups as they were computed.
    pub seconds: BTreeMap<String, f64>,
    /// Groups continued from a checkpoint.
    pub resumed_groups: usize,
    pub failures: Vec<Failure>,
    /// Seconds of this process.
    pub wall_seconds: f64,
}

impl Funnel {
    /// Counts what a group wrote and what was rejected of it.
    fn add(&mut self, record: &GroupRecord) {
        let stories = record.outcomes.values().filter_map(|outcome| match outcome {
            Outcome::Page(story) => Some(story),
            Outcome::Failed { .. } => None,
        });
        for story in stories {
            if let Some(design) = &story.design {
                self.generated += design.placements.len() + design.reserve.len();
                self.generated_reserve += design.reserve.len();
            }
            for verdict in &story.verdicts {
                let tally = match verdict.subject {
                    Subject::Title | Subject::Placement | Subject::Page => &mut self.rejected_by_rule,
                    Subject::Keyword | Subject::Product => &mut self.dropped_by_rule,
                };
                *tally.entry(verdict.rule.clone()).or_default() += 1;
            }
        }
    }
}

/// The report's figures that follow from records and pages.
#[derive(Default)]
pub struct Figures {
    pub segments: SegmentCounts,
    pub pages: SourceCounts,
    pub funnel: Funnel,
    pub model: BTreeMap<String, ModelCost>,
    pub seconds: BTreeMap<String, f64>,
    pub failures: Vec<Failure>,
}

impl Figures {
    /// Counts a finished group.
    pub fn add(&mut self, record: &GroupRecord) {
        self.funnel.add(record);
        self.model.entry("themes".into()).or_default().merge(&record.themes);
        self.model.entry("keywords".into()).or_default().merge(&record.keywords);
        for (stage, took) in &record.seconds {
            *self.seconds.entry(stage.clone()).or_default() += took;
        }
    }

    /// Counts the settled pages, once all groups are.
    pub fn close(&mut self, settled: &Settled) {
        self.segments.total = settled.pages.len();
        self.segments.failed = settled.failures.len();
        for page in &settled.pages {
            match page.status {
                PageStatus::New => self.segments.new += 1,
                PageStatus::Reused => self.segments.reused += 1,
                PageStatus::CarriedOver => self.segments.carried_over += 1,
            }
            self.pages.add(page.source);
            for source in &page.placement_sources {
                self.funnel.published.add(*source);
            }
        }
        self.failures.clone_from(&settled.failures);
    }
}
