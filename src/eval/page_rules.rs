//! Merchandising rules that only a whole page can keep or break.

use std::collections::BTreeSet;

use super::judge::PageFlaw;
use super::rubric::{Reading, Signals};
use super::shelf::Shelf;
use crate::domain::SegmentContext;

/// Concepts of the first placement that must find what the campaign features.
const CAMPAIGN_CONCEPTS: usize = 2;

/// The active rules, as the sentences of a context say them, that the page breaks.
pub fn flaws(
    context: &SegmentContext,
    page: &[Reading],
    signals: &Signals,
    shelf: &Shelf,
) -> BTreeSet<PageFlaw> {
    let rules = &context.merchandising.rules;
    let active = |sentence: &str| rules.iter().any(|rule| rule.to_lowercase().contains(sentence));
    let placements_of = |tag: &str| page.iter().filter(|theme| is_of(theme, shelf, tag)).count();
    let mut flaws = BTreeSet::new();
    if active("at most one snack placement") && placements_of("snack") > 1 {
        flaws.insert(PageFlaw::SeveralSnackPlacements);
    }
    if active("at least one fresh produce placement") && placements_of("produce") == 0 {
        flaws.insert(PageFlaw::NoProducePlacement);
    }
    let campaign = context.merchandising.campaign.is_some() && active("feature the campaign first");
    if campaign && !page.first().is_some_and(|theme| carries_campaign(theme, signals)) {
        flaws.insert(PageFlaw::CampaignNotFirst);
    }
    flaws
}

/// Whether at least half of a theme's concepts are nearest to a product type with `tag`.
fn is_of(theme: &Reading, shelf: &Shelf, tag: &str) -> bool {
    let nearest = theme.found.iter().filter_map(|found| found.first());
    let tagged = nearest.filter(|at| shelf.get(**at).tags.contains(tag)).count();
    tagged > 0 && tagged * 2 >= theme.found.len()
}

fn carries_campaign(theme: &Reading, signals: &Signals) -> bool {
    let featured = |found: &&Vec<usize>| found.iter().any(|at| signals.featured.contains(at));
    theme.found.iter().filter(featured).count() >= CAMPAIGN_CONCEPTS
}
