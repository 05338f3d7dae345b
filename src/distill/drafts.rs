//! A teacher's answers joined with what was asked, before the gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::stage::PlacementDesign;
use crate::domain::training::GradedCandidate;
use crate::domain::{Digest, SegmentContext};

/// A file answers were read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    pub name: String,
    pub lines: usize,
    pub sha256: Digest,
}

/// A page as the teacher designed it.
#[derive(Debug, Clone, PartialEq)]
pub struct ThemeDraft {
    pub context: Arc<SegmentContext>,
    pub persona: String,
    pub placements: Vec<PlacementDesign>,
}

/// A placement with the teacher's grades and choice.
#[derive(Debug, Clone, PartialEq)]
pub struct KeywordDraft {
    /// Of the placement's segment.
    pub context: Arc<SegmentContext>,
    /// The placement's place on its page, 0-based.
    pub placement: usize,
    pub title: String,
    pub concepts: Vec<String>,
    pub candidates: Vec<GradedCandidate>,
    pub chosen: Vec<String>,
}

impl ThemeDraft {
    pub fn id(&self) -> String {
        self.context.segment_id.as_str().to_owned()
    }
}

impl KeywordDraft {
    pub fn id(&self) -> String {
        format!("{}/{}", self.context.segment_id.as_str(), self.placement)
    }
}

/// An example that did not make it into the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub example_id: String,
    /// Of a fixed list, to be counted.
    pub reason: String,
    /// The offending text.
    pub detail: String,
}

/// What became of one stage's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Taken as they came.
    pub kept: usize,
    /// Taken after a repair.
    pub repaired: usize,
    /// Repaired examples by kind of repair; one example may need several.
    pub repairs: BTreeMap<String, usize>,
    pub dropped: Vec<Dropped>,
}

impl Tally {
    pub fn drop(&mut self, example_id: impl Into<String>, reason: &str, detail: impl Into<String>) {
        let (example_id, detail) = (example_id.into(), detail.into());
        self.dropped.push(Dropped { example_id, reason: reason.into(), detail });
    }

    /// Dropped examples by reason.
    pub fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for dropped in &self.dropped {
            *reasons.entry(dropped.reason.as_str()).or_default() += 1;
        }
        reasons
    }
}

/// Everything one import read.
#[derive(Debug, Clone, Default)]
pub struct Drafts {
    pub themes: Vec<ThemeDraft>,
    pub keywords: Vec<KeywordDraft>,
    /// With what could not even be joined; the gate counts on.
    pub themes_tally: Tally,
    pub keywords_tally: Tally,
    /// In the order read.
    pub sources: Vec<Source>,
}
