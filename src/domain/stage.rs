//! What one stage hands the next, named by what it is: [`PageDesign`] → [`CandidateSet`] → [`ChosenPlacement`] →
//! [`StockedPage`] → [`JudgedPage`] → [`FusedPage`].

use serde::{Deserialize, Serialize};

use super::{KeywordId, ProductId, SegmentId};

/// One placement as LLM 1 designs it; the JSON shape of a recorded teacher page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlacementDesign {
    /// Shopper-facing.
    pub title: String,
    /// Why, for the merchandiser; never published. Empty where the model was not asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub intent: String,
    /// What to search for; each once.
    pub concepts: Vec<String>,
}

/// The answer of stage 1: `themes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageDesign {
    pub segment_id: SegmentId,
    /// Never published.
    pub persona: String,
    pub placements: Vec<PlacementDesign>,
    /// Themes to refill from when AIQA rejects one of `placements`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserve: Vec<PlacementDesign>,
}

/// A keyword retrieved for a placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub keyword_id: KeywordId,
    pub text: String,
    /// Reciprocal-rank-fusion score, higher is closer; comparable within one placement only.
    pub score: f32,
}

/// A placement with the keywords stage 2 may choose from, best first, each text once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateSet {
    pub design: PlacementDesign,
    pub candidates: Vec<Candidate>,
}

/// The answer of stage 2: `keywords`, each one of `candidates` (KW-1), in the model's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChosenPlacement {
    pub design: PlacementDesign,
    pub candidates: Vec<Candidate>,
    pub keywords: Vec<Candidate>,
}

/// A product found for a placement's keywords.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductHit {
    pub product_id: ProductId,
    /// 0..1, 1 the placement's closest.
    pub relevance: f32,
    /// The keyword that found it first.
    pub keyword: String,
}

/// A placement with eligible products, most relevant first, each once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockedPlacement {
    #[serde(flatten)]
    pub chosen: ChosenPlacement,
    pub products: Vec<ProductHit>,
}

/// A page whose placements all have products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockedPage {
    pub segment_id: SegmentId,
    pub persona: String,
    pub placements: Vec<StockedPlacement>,
    pub reserve: Vec<StockedPlacement>,
}

/// What a verdict speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Title,
    Keyword,
    Product,
    Placement,
    Page,
}

/// One finding of AIQA; every rejection has at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub segment_id: SegmentId,
    /// Title of the placement it was found in.
    pub placement: String,
    pub subject: Subject,
    /// Stable id of the rule (`title-length`, `price-claim` …), listed in `docs/aiqa.md`.
    pub rule: String,
    /// The offending text.
    pub text: String,
    pub reason: String,
}

/// A page after AIQA: nothing rejected is left in `placements` (QA-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedPage {
    pub segment_id: SegmentId,
    /// Accepted, in page order; at most the page's number of placements.
    pub placements: Vec<StockedPlacement>,
    /// Accepted beyond these: what fusion may take instead. Its products may stand in `placements` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spare: Vec<StockedPlacement>,
    /// How many of `placements` came from the reserve.
    pub refilled: usize,
    /// Every finding, also of what was replaced.
    pub verdicts: Vec<Verdict>,
}

impl JudgedPage {
    /// Of its own placements and the spare ones.
    pub fn titles(&self) -> Vec<&str> {
        let placements = self.placements.iter().chain(&self.spare);
        placements.map(|placement| placement.chosen.design.title.as_str()).collect()
    }
}

/// How a page or placement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Cascade,
    /// A page with placements of both kinds.
    Mixed,
    Ranker,
}

/// How a product came onto its placement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// One of the placement's keywords found it.
    Retrieved,
    /// It is of a type that a keyword found.
    Alternative,
    /// It is of an aisle that a keyword found, and of another type.
    Neighbor,
    /// Shoppers buy it together with what the keywords found.
    Companion,
    /// The ranker chose it.
    #[default]
    Ranker,
    /// A merchandising rule put it there.
    Rule,
}

impl Via {
    /// On a placement that is about something else, though close to it.
    pub fn is_guest(self) -> bool {
        matches!(self, Self::Neighbor | Self::Companion)
    }
}

/// Where a product's score comes from; private, for the merchandiser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreParts {
    /// Its worth over that of the placement's best, 0..1.
    pub ranker: f32,
    /// Generated relevance, 0..1; 0 for a ranker placement.
    pub relevance: f32,
    /// How well its type goes under the placement's title, 0..1; 0 for a ranker placement.
    #[serde(default)]
    pub fit: f32,
    /// Product of the active boosts and buries.
    pub rule_factor: f32,
    pub pinned: bool,
    #[serde(default)]
    pub via: Via,
    /// Expected purchases a visit, by the ranker.
    #[serde(default)]
    pub purchases: f32,
    /// The same by the last weeks alone.
    #[serde(default)]
    pub recent_purchases: f32,
    /// Expected purchases a visit that are their household's first in a while.
    #[serde(default)]
    pub first_purchases: f32,
    /// What objective, season and margin make of these, a factor.
    #[serde(default)]
    pub business: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredProduct {
    pub product_id: ProductId,
    /// Final score: what won it its place. In the row, what goes better under the title may stand before it.
    pub score: f32,
    pub parts: ScoreParts,
    /// Ids of the merchandising rules that pin, boost or bury it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FusedPlacement {
    pub title: String,
    /// `Cascade` or `Ranker`.
    pub source: Source,
    pub keywords: Vec<String>,
    /// Name of the campaign this placement carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    pub products: Vec<ScoredProduct>,
}

/// A finished page: every active merchandising rule holds (MER-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FusedPage {
    pub segment_id: SegmentId,
    pub source: Source,
    pub placements: Vec<FusedPlacement>,
}

impl FusedPage {
    /// `Cascade`, `Mixed` or `Ranker`, from the placements' own sources.
    pub fn source_of(placements: &[FusedPlacement]) -> Source {
        let cascade = placements.iter().filter(|placement| placement.source == Source::Cascade).count();
        match cascade {
            0 => Source::Ranker,
            all if all == placements.len() => Source::Cascade,
            _ => Source::Mixed,
        }
    }
}
