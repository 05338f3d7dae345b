//! Which rules fire where on one day, and why the others do not.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::SegmentId;
use crate::domain::merchandising::{Reach, Rule, RuleKind, Window};

use super::Ground;
use super::stock::{Stock, bans};

/// One day of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    pub date: NaiveDate,
    /// Segments looked at.
    pub segments: usize,
    /// What pages are optimised for.
    pub objectives: Vec<Share>,
    /// What is featured; the pages without a campaign are not listed.
    pub campaigns: Vec<Share>,
    /// In file order.
    pub rules: Vec<Firing>,
}

/// An objective or campaign and how many of the segments have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    pub name: String,
    pub segments: usize,
}

/// A rule on the day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Firing {
    pub rule: String,
    /// What it does, in words.
    pub does: String,
    pub fires: bool,
    /// How many of the segments it holds for.
    pub segments: usize,
    /// Products in stock that it speaks of: those it keeps off the page, or pins, boosts, buries or counts. `None` where
    /// it speaks of no products.
    pub products: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub window: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// What the file does on `date`, for `only` or for every segment of the night.
pub fn rehearse(ground: &Ground<'_>, date: NaiveDate, only: Option<&SegmentId>) -> Rehearsal {
    let segments: Vec<&SegmentId> = match only {
        Some(segment) => vec![segment],
        None => ground.segments.iter().collect(),
    };
    let stage = Stage { ground, date, segments: &segments, stock: Stock::new(ground) };
    let merchandising = ground.merchandising;
    Rehearsal {
        date,
        segments: segments.len(),
        objectives: shares(segments.iter().map(|segment| merchandising.goal(segment, date).to_string())),
        campaigns: shares(
            segments.iter().filter_map(|segment| Some(merchandising.campaign(segment, date)?.name.clone())),
        ),
        rules: merchandising.rules.iter().enumerate().map(|(at, rule)| stage.firing(at, rule)).collect(),
    }
}

fn shares(names: impl Iterator<Item = String>) -> Vec<Share> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut shares: Vec<Share> =
        counts.into_iter().map(|(name, segments)| Share { name, segments }).collect();
    shares.sort_by(|a, b| b.segments.cmp(&a.segments).then_with(|| a.name.cmp(&b.name)));
    shares
}

struct Stage<'a> {
    ground: &'a Ground<'a>,
    date: NaiveDate,
    segments: &'a [&'a SegmentId],
    stock: Stock<'a>,
}

impl Stage<'_> {
    fn firing(&self, at: usize, rule: &Rule) -> Firing {
        let mask = &self.stock.rules[at];
        let products = !matches!(rule.kind, RuleKind::CampaignFirst);
        let products = products.then(|| mask.and(&self.stock.in_stock).count());
        let segments = self.segments.iter().filter(|segment| self.holds(rule, segment)).count();
        let why_not = self.why_not(rule, segments, products);
        Firing {
            rule: rule.id.clone(),
            does: rule.kind.to_string(),
            fires: why_not.is_none(),
            segments,
            products,
            audience: rule.reach.audience.clone(),
            window: rule.reach.window,
            why_not,
        }
    }

    fn holds(&self, rule: &Rule, segment: &SegmentId) -> bool {
        let campaign = || self.ground.merchandising.campaign(segment, self.date).is_some();
        rule.applies(segment, self.date) && (!matches!(rule.kind, RuleKind::CampaignFirst) || campaign())
    }

    fn why_not(&self, rule: &Rule, segments: usize, products: Option<usize>) -> Option<String> {
        let Window { from, to } = rule.reach.window;
        if let Some(from) = from.filter(|from| self.date < *from) {
            return Some(format!("it begins on {from}"));
        }
        if let Some(to) = to.filter(|to| *to < self.date) {
            return Some(format!("it ended on {to}"));
        }
        if segments == 0 {
            return Some(self.why_nowhere(&rule.reach));
        }
        // What keeps nothing off, or counts up to a bound, holds all the same.
        let idle = bans(&rule.kind) || matches!(rule.kind, RuleKind::Quota { max: Some(_), .. });
        if products == Some(0) && !idle {
            return Some("no product in stock matches".into());
        }
        None
    }

    fn why_nowhere(&self, reach: &Reach) -> String {
        let reached = self.segments.iter().any(|segment| reach.includes(segment));
        match (self.segments, &reach.audience) {
            ([], _) => "the night has no segments".into(),
            _ if reached => "no campaign is active".into(),
            ([one], Some(name)) => format!("{one} is not of its audience {name:?}"),
            ([one], None) => format!("{one} is not of its audience"),
            (_, Some(name)) => format!("no segment is of its audience {name:?}"),
            (_, None) => "no segment is of its audience".into(),
        }
    }
}
