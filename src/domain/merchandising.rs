//! Merchandising as the rest of the system uses it: resolved names, typed rules, active dates.
//!
//! `merchandising.toml` is read and checked against the catalogue by [`crate::ingest`]; what arrives here is valid.

mod audience;
mod objective;
mod target;

use std::collections::BTreeSet;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::segment::{ActiveCampaign, ActiveMerchandising};
use super::{ProductId, SegmentId};

pub use audience::{Audience, Bound, NamedAudience, Trait};
pub use objective::{Goal, Objective};
pub use target::{PriceRange, Target};

/// All of `merchandising.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Merchandising {
    pub page: PageShape,
    /// Where none of `goals` is active.
    pub objective: Goal,
    pub goals: Vec<DatedGoal>,
    pub campaigns: Vec<Campaign>,
    pub rules: Vec<Rule>,
    pub audiences: Vec<NamedAudience>,
}

/// How large a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageShape {
    /// 1..=12
    pub placements: usize,
    /// 1..=50
    pub products_per_placement: usize,
    /// A placement with fewer eligible products is rejected; 1..=`products_per_placement`.
    pub min_products: usize,
}

impl Default for PageShape {
    fn default() -> Self {
        Self { placements: 6, products_per_placement: 8, min_products: 4 }
    }
}

/// First and last day a rule or campaign is active; `None` is unbounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
}

impl Window {
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }
}

/// When and for whom something of the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub window: Window,
    /// `None` is every segment.
    pub segments: Option<BTreeSet<SegmentId>>,
    /// The named audience that `segments` are of.
    pub audience: Option<String>,
}

impl Reach {
    pub fn holds(&self, segment: &SegmentId, as_of: NaiveDate) -> bool {
        self.window.contains(as_of) && self.includes(segment)
    }

    /// Whether the segment is reached on any day at all.
    pub fn includes(&self, segment: &SegmentId) -> bool {
        self.segments.as_ref().is_none_or(|only| only.contains(segment))
    }
}

/// What pages are optimised for within its reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatedGoal {
    pub goal: Goal,
    pub reach: Reach,
}

/// Aisles or product types to feature for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    pub name: String,
    pub reach: Reach,
    /// Which products it features; never empty.
    pub feature: Vec<Target>,
    /// Where its placement stands, 0-based; `None` leaves it to fusion.
    pub position: Option<usize>,
}

/// A rule and where it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's `id` in the file; unique.
    pub id: String,
    pub kind: RuleKind,
    pub reach: Reach,
    /// The merchandiser's own words for the model, in place of the generated sentence.
    pub sentence: Option<String>,
}

/// What a rule demands of every page it applies to (MER-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// The product stands first in the placement at `position` (0-based).
    Pin { product: ProductId, position: usize },
    /// Multiplies matching products' scores; `factor` > 1.
    Boost { target: Target, factor: f32 },
    /// Multiplies matching products' scores; 0 < `factor` < 1.
    Bury { target: Target, factor: f32 },
    /// Matching products appear nowhere.
    Block { target: Target },
    /// Only matching products appear.
    Only { target: Target },
    /// Products (`Scope::Products`) or placements holding mostly such products (`Scope::Placements`) a page:
    /// at least `min`, at most `max`.
    Quota { target: Target, scope: QuotaScope, min: Option<usize>, max: Option<usize> },
    /// Only products without these tags (a tag rule such as "no alcohol").
    ForbidTags { tags: Vec<String> },
    /// No published text holds one of these.
    BannedPhrases { phrases: Vec<String> },
    /// The active campaign's placement stands first.
    CampaignFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaScope {
    Products,
    Placements,
}

impl Rule {
    pub fn applies(&self, segment: &SegmentId, as_of: NaiveDate) -> bool {
        self.reach.holds(segment, as_of)
    }

    /// The rule as the prompt says it; pins, boosts and buries are fusion's business and have no sentence.
    pub fn sentence(&self) -> Option<String> {
        if self.sentence.is_some() {
            return self.sentence.clone();
        }
        match &self.kind {
            RuleKind::Pin { .. } | RuleKind::Boost { .. } | RuleKind::Bury { .. } => None,
            RuleKind::Block { target } | RuleKind::Only { target } | RuleKind::Quota { target, .. }
                if !target.is_speakable() =>
            {
                None
            }
            RuleKind::Only { target } => Some(format!("only {}", lower_first(&target.to_string()))),
            RuleKind::Block { target } => Some(format!("no {}", lower_first(&target.to_string()))),
            RuleKind::Quota { target, scope, min, max } => {
                let noun = match scope {
                    QuotaScope::Products => "product",
                    QuotaScope::Placements => "placement",
                };
                let what = match target {
                    Target::Tag(tag) => tag.clone(),
                    other => lower_first(&other.to_string()),
                };
                match (min, max) {
                    (Some(min), _) if *min > 0 => Some(format!("at least {} {what} {noun}", count(*min))),
                    (_, Some(max)) => Some(format!("at most {} {what} {noun}", count(*max))),
                    _ => None,
                }
            }
            RuleKind::ForbidTags { tags } => Some(format!("no {}", tags.join(", no "))),
            RuleKind::BannedPhrases { phrases } => Some(format!("never say {}", phrases.join(", "))),
            RuleKind::CampaignFirst => Some("feature the campaign first".into()),
        }
    }
}

/// What the rule does, in words for a merchandiser ("boosts Wine by 1.5").
impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { product, position } => {
                write!(f, "pins product {product} at position {}", position + 1)
            }
            Self::Boost { target, factor } => write!(f, "boosts {target} by {factor}"),
            Self::Bury { target, factor } => write!(f, "buries {target} by {factor}"),
            Self::Block { target } => write!(f, "blocks {target}"),
            Self::Only { target } => write!(f, "shows only {target}"),
            Self::Quota { target, scope, min, max } => {
                let bounds = match (min, max) {
                    (Some(min), Some(max)) if min == max => format!("exactly {min}"),
                    (Some(min), Some(max)) => format!("{min} to {max}"),
                    (Some(min), None) => format!("at least {min}"),
                    (None, Some(max)) => format!("at most {max}"),
                    (None, None) => "any number of".into(),
                };
                write!(f, "wants {bounds} {scope} of {target}")
            }
            Self::ForbidTags { tags } => write!(f, "forbids the tags {}", tags.join(", ")),
            Self::BannedPhrases { phrases } => write!(f, "bans the words {}", phrases.join(", ")),
            Self::CampaignFirst => f.write_str("puts the campaign first"),
        }
    }
}

impl fmt::Display for QuotaScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Products => "products",
            Self::Placements => "placements",
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => write!(f, "{from}"),
            (Some(from), Some(to)) => write!(f, "{from} to {to}"),
            (Some(from), None) => write!(f, "from {from}"),
            (None, Some(to)) => write!(f, "until {to}"),
            (None, None) => f.write_str("always"),
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn count(n: usize) -> String {
    match n {
        1 => "one".into(),
        2 => "two".into(),
        3 => "three".into(),
        n => n.to_string(),
    }
}

impl Merchandising {
    /// The campaign of `segment` on `as_of`: the first listed that is active.
    pub fn campaign(&self, segment: &SegmentId, as_of: NaiveDate) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| campaign.reach.holds(segment, as_of))
    }

    /// What `segment`'s page is optimised for on `as_of`: the first listed goal that is active, else the file's.
    pub fn goal(&self, segment: &SegmentId, as_of: NaiveDate) -> &Goal {
        let dated = self.goals.iter().find(|dated| dated.reach.holds(segment, as_of));
        dated.map_or(&self.objective, |dated| &dated.goal)
    }

    /// The rules that hold for `segment` on `as_of`, in file order.
    pub fn active<'a>(&'a self, segment: &'a SegmentId, as_of: NaiveDate) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| rule.applies(segment, as_of))
    }

    /// The sentences of the model's context.
    pub fn as_context(&self, segment: &SegmentId, as_of: NaiveDate) -> ActiveMerchandising {
        let campaign = self.campaign(segment, as_of).map(|campaign| ActiveCampaign {
            name: campaign.name.clone(),
            feature: campaign.feature.iter().flat_map(Target::features).collect(),
        });
        ActiveMerchandising {
            objective: self.goal(segment, as_of).main().sentence().into(),
            campaign,
            rules: self.active(segment, as_of).filter_map(Rule::sentence).collect(),
        }
    }
}
