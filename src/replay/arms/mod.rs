//! The arms of a replay: each is a function from a segment and the shop before `as_of` to a page.

mod aisles;
mod cascade;
mod fused;
mod popularity;
mod ranker;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ground::{Expected, Ground};
use super::page::{Pages, ReplayPage};
use crate::domain::SegmentId;

pub use cascade::cascade;
pub use fused::{FusedPages, Fusion, fused};

/// An arm, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    Popularity,
    Baseline,
    Ranker,
    Cascade,
    Fused,
}

impl Arm {
    pub const ALL: [Self; 5] = [Self::Popularity, Self::Baseline, Self::Ranker, Self::Cascade, Self::Fused];

    pub fn id(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::Baseline => "baseline",
            Self::Ranker => "ranker",
            Self::Cascade => "cascade",
            Self::Fused => "fused",
        }
    }

    /// As the issue and the tables name it.
    pub fn letter(self) -> char {
        match self {
            Self::Popularity => 'a',
            Self::Baseline => 'b',
            Self::Ranker => 'c',
            Self::Cascade => 'd',
            Self::Fused => 'e',
        }
    }

    /// For a merchandiser.
    pub fn title(self) -> &'static str {
        match self {
            Self::Popularity => "Bestsellers for everybody",
            Self::Baseline => "Aisles and departments, ranked for the segment",
            Self::Ranker => "The ranker's best products, no themes",
            Self::Cascade => "Generated themes alone",
            Self::Fused => "Generated themes fused with the ranker",
        }
    }

    /// Its letter or its id.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arm| text == arm.id() || text == arm.letter().to_string())
    }

    /// Whether its pages come from the language models.
    pub fn generated(self) -> bool {
        matches!(self, Self::Cascade | Self::Fused)
    }
}

/// As many products as a page has places for, those of the highest value for each segment, without placements.
pub fn chosen(ground: &Ground<'_>, segments: &[SegmentId], value: &Expected<'_>) -> Pages {
    let page = |segment: &SegmentId| ranker::page(ground, segment, &ground.expected(segment, value));
    segments.par_iter().map(|segment| (segment.clone(), page(segment))).collect()
}

/// The pages of an arm that needs no language model; `None` for one that does.
pub fn plain(arm: Arm, ground: &Ground<'_>, segments: &[SegmentId], ranker: &Expected<'_>) -> Option<Pages> {
    let page: &(dyn Fn(&SegmentId) -> ReplayPage + Sync) = match arm {
        Arm::Popularity => &|segment| popularity::page(ground, segment),
        Arm::Baseline => &|segment| aisles::page(ground, segment, &ground.expected(segment, ranker)),
        Arm::Ranker => return Some(chosen(ground, segments, ranker)),
        Arm::Cascade | Arm::Fused => return None,
    };
    Some(segments.par_iter().map(|segment| (segment.clone(), page(segment))).collect())
}
