//! Examples a student learns from: what a teacher answered, dated and split.

use chrono::NaiveDate;

use super::SegmentContext;
use super::stage::PlacementDesign;

/// Whether a row is trained on or held out.
///
/// Validation is the last `as_of` of a set: households recur from date to date, so rows drawn at random would leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    Train,
    Validation,
}

impl Split {
    /// The split of a row as of `as_of` in a set whose last date is `last`.
    pub fn of(as_of: NaiveDate, last: NaiveDate) -> Self {
        if as_of == last { Self::Validation } else { Self::Train }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Train, Self::Validation].into_iter().find(|split| split.as_str() == text)
    }
}

/// A context of stage 1 and the page the teacher designed for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ThemeExample {
    /// The segment's id; unique in a set.
    pub example_id: String,
    pub as_of: NaiveDate,
    pub split: Split,
    pub context: SegmentContext,
    pub persona: String,
    pub placements: Vec<PlacementDesign>,
}

/// A retrieved keyword and the teacher's grade of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradedCandidate {
    pub text: String,
    /// 2 strong, 1 acceptable, 0 irrelevant.
    pub grade: u8,
}

/// A placement of stage 2, its candidates in retrieval order, and the teacher's choice of them, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordExample {
    /// `<segment id>/<placement>`; unique in a set.
    pub example_id: String,
    pub as_of: NaiveDate,
    pub split: Split,
    pub title: String,
    pub concepts: Vec<String>,
    pub candidates: Vec<GradedCandidate>,
    /// Each one of `candidates`.
    pub chosen: Vec<String>,
}
