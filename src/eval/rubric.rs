//! The deterministic judge. Every test is written down in `docs/evaluation.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::judge::{Judge, PageVerdict, Reason};
use super::shelf::{Shelf, dot};
use super::{EvalError, form, metrics, page_rules};
use crate::aiqa::{TitlePolicy, singular_words};
use crate::domain::SegmentContext;
use crate::domain::stage::PlacementDesign;
use crate::embed::{EmbedError, Memory};

/// Where the rubric draws its lines. Cosines are of all-MiniLM-L6-v2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Thresholds {
    /// Product types a concept retrieves.
    pub retrieved: usize,
    /// A concept is close to a signal from this cosine.
    pub near_signal: f32,
    /// Concepts of a theme that must serve the segment.
    pub serving: usize,
    /// A product type is what a campaign features from this cosine, if its words do not say so.
    pub featured: f32,
    /// A theme repeats an earlier one over this cosine of their concepts' means,
    pub repeats_cosine: f32,
    /// or from this share of common concepts (of the smaller theme's),
    pub repeats_concepts: f32,
    /// or from this share of common words of the titles (of all words of both that name goods).
    pub repeats_title: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            retrieved: 5,
            near_signal: 0.5,
            serving: 3,
            featured: 0.65,
            repeats_cosine: 0.8,
            repeats_concepts: 0.5,
            repeats_title: 0.6,
        }
    }
}

/// Judges by AIQA's title policy, retrieval over the product types, and embedding similarity.
pub struct Rubric<'a> {
    policy: &'a TitlePolicy,
    shelf: &'a Shelf,
    memory: &'a Memory,
    thresholds: Thresholds,
}

/// A theme with what its concepts mean and find.
pub(super) struct Reading<'a> {
    theme: &'a PlacementDesign,
    vectors: Vec<Arc<[f32]>>,
    /// Of each concept, the product types it retrieves, nearest first.
    pub found: Vec<Vec<usize>>,
    centroid: Vec<f32>,
    /// Words of the title that name goods.
    named: BTreeSet<String>,
    concepts: BTreeSet<String>,
}

/// What a segment's context speaks of.
pub(super) struct Signals {
    names: BTreeSet<String>,
    vectors: Vec<Arc<[f32]>>,
    /// Product types of the active campaign.
    pub featured: BTreeSet<usize>,
}

impl<'a> Rubric<'a> {
    pub fn new(policy: &'a TitlePolicy, shelf: &'a Shelf, memory: &'a Memory) -> Self {
        Self { policy, shelf, memory, thresholds: Thresholds::default() }
    }

    fn signals(&self, context: &SegmentContext) -> Result<Signals, EmbedError> {
        let names = context.signals();
        let vectors = self.memory.vectors(&names)?;
        let mut featured = BTreeSet::new();
        if let Some(campaign) = &context.merchandising.campaign {
            let features: Vec<&str> = campaign.feature.iter().map(String::as_str).collect();
            for (feature, vector) in features.iter().zip(self.memory.vectors(&features)?) {
                featured.extend(self.shelf.featured(feature, &vector, self.thresholds.featured));
            }
        }
        Ok(Signals { names: names.into_iter().map(str::to_owned).collect(), vectors, featured })
    }

    fn read<'p>(&self, theme: &'p PlacementDesign) -> Result<Reading<'p>, EmbedError> {
        let vectors = self.memory.vectors(&theme.concepts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let found =
            vectors.iter().map(|vector| self.shelf.nearest(vector, self.thresholds.retrieved)).collect();
        Ok(Reading {
            theme,
            found,
            centroid: metrics::centroid(&vectors),
            named: self.policy.named_words(&theme.title),
            concepts: theme.concepts.iter().map(|concept| concept.to_lowercase()).collect(),
            vectors,
        })
    }

    /// Whether a concept serves the segment: it retrieves a signal, what the campaign features or what the season
    /// brings, or it is close to a signal.
    fn serves(&self, context: &SegmentContext, signals: &Signals, reading: &Reading, at: usize) -> bool {
        let found = |one: &usize| {
            let product = self.shelf.get(*one);
            let in_season = |tag: &String| self.policy.tag_in_season(tag, context.as_of);
            signals.names.contains(&product.name)
                || signals.featured.contains(one)
                || product.tags.iter().any(in_season)
        };
        let near = |signal: &Arc<[f32]>| dot(signal, &reading.vectors[at]) >= self.thresholds.near_signal;
        reading.found[at].iter().any(found) || signals.vectors.iter().any(near)
    }

    fn is_specific(&self, reading: &Reading) -> bool {
        let mut goods: BTreeSet<String> =
            reading.theme.concepts.iter().flat_map(|concept| singular_words(concept)).collect();
        // The nearest alone: among five, rice also finds rice cakes, and a title about cake would pass.
        let nearest = reading.found.iter().filter_map(|found| found.first()).map(|at| self.shelf.get(*at));
        goods.extend(nearest.flat_map(|one| singular_words(&one.name)));
        !reading.named.is_disjoint(&goods) && !self.shelf.is_aisle(&reading.theme.title)
    }

    fn repeats(&self, reading: &Reading, earlier: &Reading) -> bool {
        let Thresholds { repeats_cosine, repeats_concepts, repeats_title, .. } = self.thresholds;
        let share = |common: usize, of: usize| common as f32 / of.max(1) as f32;
        let concepts = reading.concepts.intersection(&earlier.concepts).count();
        let words = reading.named.intersection(&earlier.named).count();
        dot(&reading.centroid, &earlier.centroid) > repeats_cosine
            || share(concepts, reading.concepts.len().min(earlier.concepts.len())) >= repeats_concepts
            || share(words, reading.named.union(&earlier.named).count()) >= repeats_title
    }

    fn page(&self, context: &SegmentContext, page: &[PlacementDesign]) -> Result<PageVerdict, EmbedError> {
        let signals = self.signals(context)?;
        let readings: Vec<Reading> = page.iter().map(|theme| self.read(theme)).collect::<Result<_, _>>()?;
        let mut accepted: Vec<&Reading> = Vec::new();
        let mut themes = Vec::with_capacity(page.len());
        for reading in &readings {
            let mut verdict = form::check(self.policy, context, reading.theme);
            let serving =
                (0..reading.found.len()).filter(|at| self.serves(context, &signals, reading, *at)).count();
            if serving < self.thresholds.serving {
                verdict.reasons.insert(Reason::Irrelevant);
            }
            if !self.is_specific(reading) {
                verdict.reasons.insert(Reason::Unspecific);
            }
            if accepted.iter().any(|earlier| self.repeats(reading, earlier)) {
                verdict.reasons.insert(Reason::Repeats);
            }
            if verdict.accepted() {
                accepted.push(reading);
            }
            themes.push(verdict);
        }
        let flaws = page_rules::flaws(context, &readings, &signals, self.shelf);
        Ok(PageVerdict { themes, flaws })
    }
}

impl Judge for Rubric<'_> {
    fn name(&self) -> &'static str {
        "rubric"
    }

    fn judge(&self, context: &SegmentContext, page: &[PlacementDesign]) -> Result<PageVerdict, EvalError> {
        let segment = context.segment_id.to_string();
        self.page(context, page).map_err(|source| EvalError::Embed { segment, source })
    }
}
