//! `report.json`: what the night did, for a person and for a script.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::RunId;
use crate::domain::manifest::PageStatus;
use crate::domain::stage::{Source, Subject};

use super::settle::{Settled, SettledPage};
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
    pub fn of(records: &[GroupRecord], pages: &[SettledPage]) -> Self {
        let mut funnel = Self::default();
        let stories =
            records.iter().flat_map(|record| record.outcomes.values()).filter_map(|outcome| match outcome {
                Outcome::Page(story) => Some(story),
                Outcome::Failed { .. } => None,
            });
        for story in stories {
            if let Some(design) = &story.design {
                funnel.generated += design.placements.len() + design.reserve.len();
                funnel.generated_reserve += design.reserve.len();
            }
            for verdict in &story.verdicts {
                let tally = match verdict.subject {
                    Subject::Title | Subject::Placement | Subject::Page => &mut funnel.rejected_by_rule,
                    Subject::Keyword | Subject::Product => &mut funnel.dropped_by_rule,
                };
                *tally.entry(verdict.rule.clone()).or_default() += 1;
            }
        }
        for source in pages.iter().flat_map(|page| &page.placement_sources) {
            funnel.published.add(*source);
        }
        funnel
    }
}

/// The report's figures that follow from records and pages.
pub struct Figures {
    pub segments: SegmentCounts,
    pub pages: SourceCounts,
    pub funnel: Funnel,
    pub model: BTreeMap<String, ModelCost>,
    pub seconds: BTreeMap<String, f64>,
    pub failures: Vec<Failure>,
}

impl Figures {
    pub fn of(records: &[GroupRecord], settled: &Settled) -> Self {
        let mut segments = SegmentCounts {
            total: settled.pages.len(),
            failed: settled.failures.len(),
            ..Default::default()
        };
        let mut pages = SourceCounts::default();
        for page in &settled.pages {
            match page.status {
                PageStatus::New => segments.new += 1,
                PageStatus::Reused => segments.reused += 1,
                PageStatus::CarriedOver => segments.carried_over += 1,
            }
            pages.add(page.source);
        }
        let mut model: BTreeMap<String, ModelCost> = BTreeMap::new();
        let mut seconds: BTreeMap<String, f64> = BTreeMap::new();
        for record in records {
            model.entry("themes".into()).or_default().merge(&record.themes);
            model.entry("keywords".into()).or_default().merge(&record.keywords);
            for (stage, took) in &record.seconds {
                *seconds.entry(stage.clone()).or_default() += took;
            }
        }
        let funnel = Funnel::of(records, &settled.pages);
        Self { segments, pages, funnel, model, seconds, failures: settled.failures.clone() }
    }
}
