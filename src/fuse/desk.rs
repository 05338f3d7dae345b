//! What fusion knows of one segment tonight.

use crate::domain::merchandising::PageShape;

use super::rules::ActiveRules;
use super::score::Scorer;
use super::shelf::Shelf;

/// One segment's rules and scores, and the shelves of the shop.
pub(super) struct Desk<'a> {
    pub scorer: Scorer<'a>,
    pub rules: ActiveRules<'a>,
    pub shape: PageShape,
    pub shelf: &'a Shelf<'a>,
    /// Whether a ranker placement may carry this title.
    pub accepts_title: &'a dyn Fn(&str) -> bool,
}
