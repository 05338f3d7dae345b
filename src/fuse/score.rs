//! Scores: the ranker's view of a product, tilted by the objective, mixed with relevance and rule factors.
//!
//! `score = relevance^a · ranker^b · rule_factor`, a weighted geometric mean times the merchandiser's
//! factors: a product has to please both experts (Hinton, "Products of experts", ICANN 1999). `ranker` is
//! relative to the best of the placement; a placement's *value* uses it unscaled, so that placements can be
//! compared.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::domain::merchandising::{Goal, Objective};
use crate::domain::stage::ScoreParts;
use crate::domain::{Product, SegmentContext};

use super::rules::ActiveRules;
use super::season::{self, SeasonFit};
use super::{Settings, Shop};

/// A part of 0 counts as this much, so that a boost or the other part still tells such products apart.
const FLOOR: f32 = 1e-3;

/// A product with its score within one placement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored<'a> {
    pub product: &'a Product,
    pub score: f32,
    /// The ranker's score under the objective, unscaled.
    pub worth: f32,
    /// The score with the ranker unscaled: comparable across the page.
    pub value: f32,
    pub parts: ScoreParts,
}

/// A product to be scored for a placement; `relevance` is `None` where nothing was searched for.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub product: &'a Product,
    pub relevance: Option<f32>,
}

/// Scores for one segment.
pub(super) struct Scorer<'a> {
    pub shop: Shop<'a>,
    pub settings: &'a Settings,
    pub context: &'a SegmentContext,
    pub as_of: NaiveDate,
    goal: &'a Goal,
    staples: HashSet<&'a str>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        shop: Shop<'a>,
        settings: &'a Settings,
        context: &'a SegmentContext,
        as_of: NaiveDate,
    ) -> Self {
        let staples = context.staples.iter().map(String::as_str).collect();
        let goal = shop.merchandising.goal(&context.segment_id, as_of);
        Self { shop, settings, context, as_of, goal, staples }
    }

    pub(super) fn season(&self, product: &Product) -> SeasonFit {
        season::fit(product, self.as_of, self.settings.season_lead_days)
    }

    /// What featuring the product is worth under the objective: the ranker's score, tilted, >= 0.
    fn worth(&self, product: &Product) -> f32 {
        let score = self.shop.ranker.score(&self.context.segment_id, product);
        let season = self.season(product);
        let late = if season == SeasonFit::Out { self.settings.out_of_season } else { 1.0 };
        unit(score) * late * self.tilt(product, season)
    }

    /// The mean of what the goal's objectives ask for, by their weights.
    fn tilt(&self, product: &Product, season: SeasonFit) -> f32 {
        let parts = self.goal.parts().iter();
        parts.map(|(objective, weight)| weight * self.tilt_of(*objective, product, season)).sum()
    }

    /// Basket building favours the segment's staples, which complete a shop; discovery does the opposite.
    fn tilt_of(&self, objective: Objective, product: &Product, season: SeasonFit) -> f32 {
        let favour = 1.0 + self.settings.objective_tilt;
        let staple = self.staples.contains(product.product_type.as_str());
        match objective {
            Objective::BasketBuilding if staple => favour,
            Objective::Discovery if staple => 1.0 / favour,
            Objective::PrivateLabel if product.private_label => favour,
            Objective::Seasonal if season == SeasonFit::In => favour,
            _ => 1.0,
        }
    }

    /// Scores one placement's entries, best first, ties by id.
    pub(super) fn rank(&self, rules: &ActiveRules<'a>, entries: &[Entry<'a>]) -> Vec<Scored<'a>> {
        let worths: Vec<f32> = entries.iter().map(|entry| self.worth(entry.product)).collect();
        let most = worths.iter().copied().fold(0.0, f32::max);
        let score = |(entry, worth): (&Entry<'a>, &f32)| {
            let relative = if most > 0.0 { worth / most } else { 0.0 };
            self.score(*entry, *worth, relative, rules.factor(entry.product))
        };
        let mut scored: Vec<Scored<'a>> = entries.iter().zip(&worths).map(score).collect();
        sort(&mut scored);
        scored
    }

    fn score(&self, entry: Entry<'a>, worth: f32, relative: f32, rule_factor: f32) -> Scored<'a> {
        let relevance = entry.relevance.map(unit);
        let weighted = |part: f32, weight: f32| part.max(FLOOR).powf(weight);
        let base = relevance.map_or(1.0, |part| weighted(part, self.settings.relevance_weight)) * rule_factor;
        Scored {
            product: entry.product,
            worth,
            score: base * weighted(relative, self.settings.ranker_weight),
            value: base * weighted(worth, self.settings.ranker_weight),
            parts: ScoreParts {
                ranker: relative,
                relevance: relevance.unwrap_or(0.0),
                rule_factor,
                pinned: false,
            },
        }
    }

    /// A product that a rule puts among `others`; it was not searched for, so its relevance is 0.
    pub(super) fn guest(
        &self,
        rules: &ActiveRules<'a>,
        product: &'a Product,
        others: &[Scored<'a>],
    ) -> Scored<'a> {
        let worth = self.worth(product);
        let most = others.iter().map(|other| other.worth).fold(worth, f32::max);
        let relative = if most > 0.0 { worth / most } else { 0.0 };
        self.score(Entry { product, relevance: Some(0.0) }, worth, relative, rules.factor(product))
    }
}

/// Best first, ties by id.
pub(super) fn sort(scored: &mut [Scored<'_>]) {
    scored.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| a.product.product_id.cmp(&b.product.product_id))
    });
}

/// A placement's value: its products' values, each discounted by its place as in Järvelin & Kekäläinen,
/// "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.
pub(super) fn placement_value(products: &[Scored<'_>]) -> f32 {
    let discounted = products.iter().enumerate().map(|(at, scored)| scored.value / (at as f32 + 2.0).log2());
    discounted.sum()
}

fn unit(score: f32) -> f32 {
    if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 }
}
