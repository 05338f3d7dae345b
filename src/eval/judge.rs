//! What a judge says of a page.

use std::collections::BTreeSet;

use serde::Serialize;

use super::EvalError;
use crate::domain::SegmentContext;
use crate::domain::stage::PlacementDesign;

/// Decides which themes of a page are good. The same judge is put to every system.
pub trait Judge {
    /// As the command line and the report name it.
    fn name(&self) -> &'static str;

    /// One verdict a theme, in page order.
    ///
    /// # Errors
    /// The judge itself failed; a bad page is not an error.
    fn judge(&self, context: &SegmentContext, page: &[PlacementDesign]) -> Result<PageVerdict, EvalError>;
}

/// The verdicts of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageVerdict {
    pub themes: Vec<ThemeVerdict>,
    /// Merchandising rules that the page as a whole breaks.
    pub flaws: BTreeSet<PageFlaw>,
}

/// The verdict of one theme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThemeVerdict {
    /// Why it is rejected; none means accepted.
    pub reasons: BTreeSet<Reason>,
    /// What of form, policy and rules it breaks, by kind: `form too-few-concepts`, `title price-claim`,
    /// `concept restricted-alcohol`.
    pub violations: BTreeSet<String>,
}

impl ThemeVerdict {
    pub fn accepted(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Why a theme is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Too few or too many concepts, or an empty one.
    Malformed,
    /// The title fails AIQA's title policy.
    Policy,
    /// A concept breaks a rule of the page.
    Rules,
    /// Too few concepts serve the segment.
    Irrelevant,
    /// The title names none of the theme's goods, or is an aisle's name.
    Unspecific,
    /// Too much like an earlier accepted theme of the page.
    Repeats,
}

impl Reason {
    pub fn id(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Policy => "policy",
            Self::Rules => "rules",
            Self::Irrelevant => "irrelevant",
            Self::Unspecific => "unspecific",
            Self::Repeats => "repeats",
        }
    }
}

/// A merchandising rule that a whole page breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageFlaw {
    /// Against "at most one snack placement".
    SeveralSnackPlacements,
    /// Against "at least one fresh produce placement".
    NoProducePlacement,
    /// Against "feature the campaign first".
    CampaignNotFirst,
}

impl PageFlaw {
    pub fn id(self) -> &'static str {
        match self {
            Self::SeveralSnackPlacements => "several-snack-placements",
            Self::NoProducePlacement => "no-produce-placement",
            Self::CampaignNotFirst => "campaign-not-first",
        }
    }
}
