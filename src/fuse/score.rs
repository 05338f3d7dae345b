//! Scores: what the ranker expects of a product, tilted by the business, mixed with relevance and rule factors.
//!
//! ```text
//! demand = (1 - momentum) · purchases + momentum · recent purchases + discovery · first purchases
//! worth  = demand · business
//! score  = relevance^a · fit^c · (worth / the placement's most)^b · rule factors
//! ```
//!
//! `business` is the objective's tilt, the season and the margin. The score is a weighted geometric mean times the merchandiser's
//! factors: a product has to please all experts (Hinton, "Products of experts", ICANN 1999): retrieval, the evaluator of
//! titles ([`crate::domain::title_fit`]) and the ranker. A placement's *value* has the worth unscaled, so that placements
//! can be compared.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::domain::merchandising::{Goal, Objective};
use crate::domain::stage::{ScoreParts, Via};
use crate::domain::{Product, SegmentContext};

use super::demand::Demand;
use super::rules::ActiveRules;
use super::season::{self, SeasonFit};
use super::{Settings, Shop};

/// A part of 0 counts as this much, so that a boost or the other part still tells such products apart.
const FLOOR: f32 = 1e-3;
/// So does a worth of 0: less than one purchase in a million visits.
const LEAST_WORTH: f32 = 1e-7;

/// A product with its score within one placement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored<'a> {
    pub product: &'a Product,
    pub score: f32,
    /// What orders a row: the score with the fit counting more.
    lead: f32,
    /// Whether `lead` knows of a fit.
    evaluated: bool,
    /// What it is worth to the segment, wherever it stands.
    pub worth: f32,
    /// The score with the worth unscaled: comparable across the page.
    pub value: f32,
    pub parts: ScoreParts,
}

impl Scored<'_> {
    /// Whether it goes so well under the placement's title.
    pub(super) fn keeps(&self, fit: f32) -> bool {
        self.parts.fit >= fit
    }
}

/// A product to be scored for a placement; `relevance` is `None` where nothing was searched for.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub product: &'a Product,
    pub relevance: Option<f32>,
    /// With its placement's title; `None` where nobody was asked.
    pub fit: Option<f32>,
    pub via: Via,
}

/// What a product is worth to the segment, wherever it stands.
#[derive(Debug, Clone, Copy)]
struct Worth {
    demand: Demand,
    business: f32,
    total: f32,
}

/// Scores for one segment.
pub(super) struct Scorer<'a> {
    pub shop: Shop<'a>,
    pub settings: &'a Settings,
    pub context: &'a SegmentContext,
    pub as_of: NaiveDate,
    goal: &'a Goal,
    staples: HashSet<&'a str>,
    mean_margin: f32,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        shop: Shop<'a>,
        settings: &'a Settings,
        context: &'a SegmentContext,
        as_of: NaiveDate,
        mean_margin: f32,
    ) -> Self {
        let staples = context.staples.iter().map(String::as_str).collect();
        let goal = shop.merchandising.goal(&context.segment_id, as_of);
        Self { shop, settings, context, as_of, goal, staples, mean_margin }
    }

    pub(super) fn season(&self, product: &Product) -> SeasonFit {
        season::fit(product, self.as_of, self.settings.season_lead_days)
    }

    pub(super) fn demand(&self, product: &Product) -> Demand {
        self.settings.demand(self.shop.ranker, &self.context.segment_id, product)
    }

    fn worth(&self, product: &Product) -> Worth {
        let demand = self.demand(product);
        let season = self.season(product);
        let late = if season == SeasonFit::Out { self.settings.out_of_season } else { 1.0 };
        let business = late * self.tilt(product, season) * self.margin(product);
        Worth { demand, business, total: demand.total * business }
    }

    /// The margin over the shop's mean, to the power of its weight.
    fn margin(&self, product: &Product) -> f32 {
        match product.margin {
            Some(margin) if self.settings.margin_weight > 0.0 && self.mean_margin > 0.0 => {
                (margin / self.mean_margin).max(FLOOR).powf(self.settings.margin_weight)
            }
            _ => 1.0,
        }
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
        let worths: Vec<Worth> = entries.iter().map(|entry| self.worth(entry.product)).collect();
        let most = worths.iter().map(|worth| worth.total).fold(0.0, f32::max);
        let score = |(entry, worth): (&Entry<'a>, &Worth)| {
            self.score(*entry, *worth, most, rules.factor(entry.product))
        };
        let mut scored: Vec<Scored<'a>> = entries.iter().zip(&worths).map(score).collect();
        sort(&mut scored);
        scored
    }

    fn score(&self, entry: Entry<'a>, worth: Worth, most: f32, rule_factor: f32) -> Scored<'a> {
        let Worth { demand, business, total } = worth;
        let relevance = entry
            .relevance
            .map(|relevance| if relevance.is_finite() { relevance.clamp(0.0, 1.0) } else { 0.0 });
        let relative = if most > 0.0 { total / most } else { 0.0 };
        let weighted = |part: f32, weight: f32| part.powf(weight);
        let floored = |part: f32| part.max(FLOOR);
        let base = relevance.map_or(1.0, |part| weighted(floored(part), self.settings.relevance_weight))
            * entry.fit.map_or(1.0, |part| weighted(floored(part), self.settings.evaluator_weight))
            * rule_factor;
        let score = base * weighted(floored(relative), self.settings.ranker_weight);
        Scored {
            product: entry.product,
            worth: total,
            score,
            lead: score * entry.fit.map_or(1.0, |part| weighted(floored(part), self.settings.lead_weight)),
            evaluated: entry.fit.is_some(),
            value: base * weighted(total.max(LEAST_WORTH), self.settings.ranker_weight),
            parts: ScoreParts {
                ranker: relative,
                relevance: relevance.unwrap_or(0.0),
                fit: entry.fit.unwrap_or(0.0),
                rule_factor,
                pinned: false,
                via: entry.via,
                purchases: demand.purchases,
                recent_purchases: demand.recent_purchases,
                first_purchases: demand.first_purchases,
                business,
            },
        }
    }

    /// A product that a rule puts among `others`; it was not searched for, so its relevance is 0.
    pub(super) fn by_rule(
        &self,
        rules: &ActiveRules<'a>,
        product: &'a Product,
        others: &[Scored<'a>],
    ) -> Scored<'a> {
        let worth = self.worth(product);
        let most = others.iter().map(|other| other.worth).fold(worth.total, f32::max);
        let entry = Entry { product, relevance: Some(0.0), fit: None, via: Via::Rule };
        self.score(entry, worth, most, rules.factor(product))
    }
}

/// The shop's mean margin, 0 where no product has one.
pub(super) fn mean_margin<'p>(products: impl Iterator<Item = &'p Product>) -> f32 {
    let margins: Vec<f32> = products.filter_map(|product| product.margin).collect();
    if margins.is_empty() { 0.0 } else { margins.iter().sum::<f32>() / margins.len() as f32 }
}

/// Best first, ties by id.
pub(super) fn sort(scored: &mut [Scored<'_>]) {
    scored.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| a.product.product_id.cmp(&b.product.product_id))
    });
}

/// What a shopper sees of a placement, from the left: what its title promises, and then what leads best under it. Where nobody
/// evaluated the title: what was found, others of its aisles, companions; each best first.
pub(super) fn arrange(products: &mut [Scored<'_>], settings: &Settings) {
    sort(products);
    products.sort_by(|a, b| b.lead.total_cmp(&a.lead));
    let class = |scored: &Scored<'_>| match scored.parts.via {
        _ if scored.evaluated => 0,
        Via::Companion => 2,
        Via::Neighbor => 1,
        _ => 0,
    };
    products.sort_by_key(class);
    for place in 0..settings.promised_products.min(products.len()) {
        let Some(next) = products[place..].iter().position(|scored| scored.keeps(settings.promise)) else {
            return;
        };
        products[place..=place + next].rotate_right(1);
    }
}

/// How many products go so well under their placement's title; none where nobody evaluated it.
pub(super) fn promised(products: &[Scored<'_>], fit: f32) -> usize {
    products.iter().filter(|scored| scored.keeps(fit)).count()
}

/// A placement's value: its products' values, highest first, each discounted by its place as in Järvelin & Kekäläinen,
/// "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.
pub(super) fn placement_value(products: &[Scored<'_>]) -> f32 {
    let mut values: Vec<f32> = products.iter().map(|scored| scored.value).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.iter().enumerate().map(|(at, value)| value / (at as f32 + 2.0).log2()).sum()
}
