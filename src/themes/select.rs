//! Which of the themes a student wrote come first: it writes a few more than a page holds, and this puts those that the page
//! can best do without behind the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::SegmentContext;
use crate::domain::calendar;
use crate::domain::stage::PlacementDesign;
use crate::embed::{EmbedError, Memory, cosine};

use super::grounding::words;
use super::plan::MIN_ANCHORS;

/// A concept speaks of a signal from this cosine of all-MiniLM-L6-v2.
const NEAR_SIGNAL: f32 = 0.5;
/// Two themes are one from this cosine of their concepts' sums, or
const SAME_MEANING: f32 = 0.78;
/// from this share of common concepts (of the smaller theme's).
const SAME_CONCEPTS: f32 = 0.5;

/// What a theme is held against.
pub struct Bar<'a> {
    pub context: &'a SegmentContext,
    /// Whether a phrase may stand on this segment's page.
    pub admit: &'a dyn Fn(&str) -> bool,
    pub encoder: &'a Memory,
}

/// What may be said against a theme, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Objection {
    None,
    /// Its title says a word twice.
    Clumsy,
    /// Too few of its concepts speak of what the segment buys, the campaign or a coming holiday.
    Stray,
    /// It says what an earlier theme says.
    Repeats,
    /// It has too few concepts, or its title may not stand on this segment's page.
    Unfit,
}

/// A theme with what its concepts mean.
struct Reading {
    vectors: Vec<Arc<[f32]>>,
    sum: Vec<f32>,
    concepts: BTreeSet<String>,
}

impl Reading {
    fn new(theme: &PlacementDesign, encoder: &Memory) -> Result<Self, EmbedError> {
        let vectors = encoder.vectors(&theme.concepts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut sum = vec![0.0; vectors.first().map_or(0, |vector| vector.len())];
        for vector in &vectors {
            sum.iter_mut().zip(vector.iter()).for_each(|(sum, value)| *sum += value);
        }
        let concepts = theme.concepts.iter().map(|concept| concept.to_lowercase()).collect();
        Ok(Self { vectors, sum, concepts })
    }

    fn is_stray(&self, signals: &[Arc<[f32]>]) -> bool {
        let speaks =
            |vector: &&Arc<[f32]>| signals.iter().any(|signal| cosine(signal, vector) >= NEAR_SIGNAL);
        self.vectors.iter().filter(speaks).count() < MIN_ANCHORS
    }

    fn repeats(&self, earlier: &Self) -> bool {
        let common = self.concepts.intersection(&earlier.concepts).count() as f32;
        let fewer = self.concepts.len().min(earlier.concepts.len()).max(1) as f32;
        cosine(&self.sum, &earlier.sum) >= SAME_MEANING || common / fewer >= SAME_CONCEPTS
    }
}

/// The themes in the order written, but those with an [`Objection`] behind the others, the worst last. One under the title of
/// an earlier one is left out: it could not be told apart.
pub fn best_first(written: Vec<PlacementDesign>, bar: &Bar) -> Result<Vec<PlacementDesign>, EmbedError> {
    let signals = signals(bar.context, bar.encoder)?;
    // All at once: a pass over a theme's few words costs nearly what one over a page's does.
    let concepts = written.iter().flat_map(|theme| &theme.concepts).map(String::as_str);
    bar.encoder.vectors(&Vec::from_iter(concepts))?;
    let mut titles = BTreeSet::new();
    let mut kept: Vec<Reading> = Vec::new();
    let mut judged = Vec::with_capacity(written.len());
    for theme in written.into_iter().filter(|theme| titles.insert(theme.title.to_lowercase())) {
        let reading = Reading::new(&theme, bar.encoder)?;
        let objection = if !is_fit(&theme, bar) {
            Objection::Unfit
        } else if kept.iter().any(|earlier| reading.repeats(earlier)) {
            Objection::Repeats
        } else if reading.is_stray(&signals) {
            Objection::Stray
        } else if says_twice(&theme.title) {
            Objection::Clumsy
        } else {
            Objection::None
        };
        if objection < Objection::Repeats {
            kept.push(reading);
        }
        judged.push((objection, theme));
    }
    judged.sort_by_key(|(objection, _)| *objection);
    Ok(judged.into_iter().map(|(_, theme)| theme).collect())
}

fn is_fit(theme: &PlacementDesign, bar: &Bar) -> bool {
    theme.concepts.len() >= MIN_ANCHORS && (bar.admit)(&theme.title)
}

/// Whether a word that matters stands in a text more than once ("peaches and peaches").
pub fn says_twice(text: &str) -> bool {
    let mut seen = BTreeSet::new();
    !words(text).all(|word| seen.insert(word))
}

fn signals(context: &SegmentContext, encoder: &Memory) -> Result<Vec<Arc<[f32]>>, EmbedError> {
    let campaign = context.merchandising.campaign.iter().flat_map(|campaign| &campaign.feature);
    let upcoming = calendar::upcoming(context.as_of);
    let holidays = upcoming.iter().map(|upcoming| upcoming.holiday.name());
    let names: Vec<&str> =
        context.signals().into_iter().chain(campaign.map(String::as_str)).chain(holidays).collect();
    encoder.vectors(&names)
}
