//! What fusion knows of one segment tonight.

use std::cell::OnceCell;

use crate::domain::merchandising::PageShape;

use super::rules::ActiveRules;
use super::score::{Scored, Scorer};
use super::shelf::Shelf;

/// One segment's rules and scores, and the shelves of the shop.
pub(super) struct Desk<'a> {
    pub scorer: Scorer<'a>,
    pub rules: ActiveRules<'a>,
    pub shape: PageShape,
    pub shelf: &'a Shelf<'a>,
    /// Whether a ranker placement may carry this title.
    pub accepts_title: &'a dyn Fn(&str) -> bool,
    /// The shop's best for the segment: scoring all of it is put off until it is asked for.
    pub best: OnceCell<Vec<Scored<'a>>>,
}
