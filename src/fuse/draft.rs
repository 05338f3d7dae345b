//! Placements that may come onto the page, and the cascade's own. The ranker's are made in [`super::shelf`].

use crate::domain::Product;
use crate::domain::merchandising::Target;
use crate::domain::stage::{JudgedPage, Source};
use crate::domain::title_fit::TitleFits;

use super::bench::homes;
use super::desk::Desk;
use super::score::Scored;

/// A placement before its products are chosen.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub title: String,
    pub source: Source,
    pub keywords: Vec<String>,
    /// Every product that may stand on it, best first.
    pub bench: Vec<Scored<'a>>,
    /// What it was made for; `None` for a placement that stands for itself.
    pub purpose: Option<Purpose<'a>>,
    /// Factor on its value: the model's own order.
    pub prior: f32,
    pub max_per_type: usize,
}

/// A ranker placement made for a rule.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub targets: &'a [Target],
    /// More than half of its products must match; otherwise as many as there are.
    pub mostly: bool,
    /// Whether it may show what the ranker never features of its own accord.
    pub anything: bool,
    /// How many products it is filled up to with such as do not match.
    pub filled_to: usize,
}

impl Purpose<'_> {
    pub(super) fn matches(&self, product: &Product) -> bool {
        self.targets.iter().any(|target| target.matches(product))
    }
}

impl<'a> Desk<'a> {
    /// The page's own placements and the spare ones with the products they may show, in the model's order.
    pub(super) fn cascade_drafts(&self, page: &'a JudgedPage, fits: &TitleFits) -> Vec<Draft<'a>> {
        let homes = homes(&page.placements, &page.spare);
        let count = (page.placements.len() + page.spare.len()) as f32;
        let weight = self.scorer.settings.model_order_weight;
        let placements = page.placements.iter().chain(&page.spare);
        let drafts = placements.enumerate().filter_map(|(at, placement)| {
            let design = &placement.chosen.design;
            let publishable = |text: &str| self.rules.bans_text(text).is_none();
            let keywords = placement.chosen.keywords.iter().map(|keyword| keyword.text.clone());
            publishable(&design.title).then(|| Draft {
                title: design.title.clone(),
                source: Source::Cascade,
                keywords: keywords.filter(|text| publishable(text)).collect(),
                bench: self.bench(&homes, at, fits.of(&design.title)),
                purpose: None,
                prior: 1.0 - weight * at as f32 / count,
                max_per_type: self.scorer.settings.max_per_type,
            })
        });
        drafts.collect()
    }

    /// Pinned products are placed by their rule alone.
    pub(super) fn may_place(&self, product: &Product) -> bool {
        self.rules.allows(product) && !self.rules.is_pinned(product)
    }
}
