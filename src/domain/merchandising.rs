//! Merchandising as the rest of the system uses it: resolved names, typed rules, active dates.
//!
//! `merchandising.toml` is read and checked against the catalogue by [`crate::ingest`]; what arrives here is valid.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::segment::{ActiveCampaign, ActiveMerchandising};
use super::{Product, ProductId, SegmentId};

/// All of `merchandising.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merchandising {
    pub page: PageShape,
    pub objective: Objective,
    pub campaigns: Vec<Campaign>,
    pub rules: Vec<Rule>,
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

/// What the page is optimised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    Engagement,
    BasketBuilding,
    Discovery,
    PrivateLabel,
    Seasonal,
}

impl Objective {
    pub const ALL: [Objective; 5] =
        [Self::Engagement, Self::BasketBuilding, Self::Discovery, Self::PrivateLabel, Self::Seasonal];

    /// As the prompt says it ("basket building").
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Engagement => "engagement",
            Self::BasketBuilding => "basket building",
            Self::Discovery => "discovery",
            Self::PrivateLabel => "private label",
            Self::Seasonal => "seasonal",
        }
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

/// Aisles or product types to feature for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    pub name: String,
    pub window: Window,
    /// Which products it features; never empty.
    pub feature: Vec<Target>,
    /// Where its placement stands, 0-based; `None` leaves it to fusion.
    pub position: Option<usize>,
}

/// A set of products a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Product(ProductId),
    Type(String),
    Aisle(String),
    Tag(String),
    PrivateLabel,
}

impl Target {
    pub fn matches(&self, product: &Product) -> bool {
        match self {
            Self::Product(id) => product.product_id == *id,
            Self::Type(name) => product.product_type == *name,
            Self::Aisle(name) => product.aisle == *name,
            Self::Tag(tag) => product.has_tag(tag),
            Self::PrivateLabel => product.private_label,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(id) => write!(f, "product {id}"),
            Self::Type(name) | Self::Aisle(name) => f.write_str(name),
            Self::Tag(tag) => write!(f, "{tag} products"),
            Self::PrivateLabel => f.write_str("private label"),
        }
    }
}

/// A rule and where it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's `id` in the file; unique.
    pub id: String,
    pub kind: RuleKind,
    pub window: Window,
    /// `None` is every segment.
    pub segments: Option<Vec<SegmentId>>,
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
        self.window.contains(as_of) && self.segments.as_ref().is_none_or(|only| only.contains(segment))
    }

    /// The rule as the prompt says it; pins, boosts and buries are fusion's business and have no sentence.
    pub fn sentence(&self) -> Option<String> {
        if self.sentence.is_some() {
            return self.sentence.clone();
        }
        match &self.kind {
            RuleKind::Pin { .. } | RuleKind::Boost { .. } | RuleKind::Bury { .. } => None,
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
    /// The campaign active on `as_of`: the first listed one.
    pub fn campaign(&self, as_of: NaiveDate) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| campaign.window.contains(as_of))
    }

    /// The rules that hold for `segment` on `as_of`, in file order.
    pub fn active<'a>(&'a self, segment: &'a SegmentId, as_of: NaiveDate) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| rule.applies(segment, as_of))
    }

    /// The sentences of the model's context.
    pub fn as_context(&self, segment: &SegmentId, as_of: NaiveDate) -> ActiveMerchandising {
        let campaign = self.campaign(as_of).map(|campaign| ActiveCampaign {
            name: campaign.name.clone(),
            feature: campaign.feature.iter().map(ToString::to_string).collect(),
        });
        ActiveMerchandising {
            objective: self.objective.sentence().into(),
            campaign,
            rules: self.active(segment, as_of).filter_map(Rule::sentence).collect(),
        }
    }
}
