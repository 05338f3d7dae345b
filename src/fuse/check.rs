//! The verifier of MER-1: reads a finished page and the rules, and says what does not hold.
//!
//! It knows nothing of how a page is made and shares no code with the making, so that a mistake there is seen
//! here. It is run on every page before it is published, also on one carried over from an earlier night.

use std::collections::BTreeSet;
use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::manifest::{ManifestPlacement, ManifestProduct, StorefrontManifest};
use crate::domain::merchandising::{Merchandising, QuotaScope, Rule, RuleKind, Target};
use crate::domain::stage::FusedPage;
use crate::domain::{Catalog, Product, ProductId, SegmentId};

/// A product of the page is not in the catalogue.
pub const KNOWN_PRODUCT: &str = "known-product";
/// A product of the page is out of stock.
pub const IN_STOCK: &str = "in-stock";
/// A product stands on the page twice.
pub const REPEATED_PRODUCT: &str = "repeated-product";
/// The page has no placement, or more than it should.
pub const PAGE_SIZE: &str = "page-size";
/// A placement has too few or too many products.
pub const PLACEMENT_SIZE: &str = "placement-size";

const OWN_RULES: [&str; 5] = [KNOWN_PRODUCT, IN_STOCK, REPEATED_PRODUCT, PAGE_SIZE, PLACEMENT_SIZE];

/// Something on a page that must not be, or is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Id of the merchandising rule, or one of this module's own.
    pub rule_id: String,
    /// 0-based.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductId>,
    pub reason: String,
}

impl Violation {
    /// False for what holds without any merchandising rule, such as a product shown twice.
    pub fn is_rule(&self) -> bool {
        !OWN_RULES.contains(&self.rule_id.as_str())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule_id, self.reason)?;
        if let Some(product) = &self.product {
            write!(f, ", product {product}")?;
        }
        match self.placement {
            Some(placement) => write!(f, ", placement {}", placement + 1),
            None => Ok(()),
        }
    }
}

/// What a page is held against.
#[derive(Clone, Copy)]
pub struct Checklist<'a> {
    pub catalog: &'a Catalog,
    pub merchandising: &'a Merchandising,
    pub segment: &'a SegmentId,
    pub as_of: NaiveDate,
}

/// A page as the verifier reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckablePage {
    placements: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    /// Title, keywords, campaign, and the products' texts where the page holds them itself.
    texts: Vec<String>,
    products: Vec<ProductId>,
}

impl From<&FusedPage> for CheckablePage {
    fn from(page: &FusedPage) -> Self {
        let rows = page.placements.iter().map(|placement| {
            let texts =
                std::iter::once(&placement.title).chain(&placement.keywords).chain(&placement.campaign);
            let products = placement.products.iter().map(|product| product.product_id.clone());
            Row { texts: texts.cloned().collect(), products: products.collect() }
        });
        Self { placements: rows.collect() }
    }
}

/// The manifest's own page; its variants are pages of their own ([`check_manifest`] reads all).
impl From<&StorefrontManifest> for CheckablePage {
    fn from(page: &StorefrontManifest) -> Self {
        Self::from(page.placements.as_slice())
    }
}

impl From<&[ManifestPlacement]> for CheckablePage {
    fn from(placements: &[ManifestPlacement]) -> Self {
        let rows = placements.iter().map(|placement| {
            let own = std::iter::once(&placement.title).chain(&placement.keywords).chain(&placement.campaign);
            let texts = |product: &ManifestProduct| {
                let parts =
                    [Some(product.title.clone()), product.brand.clone(), product.package_size.clone()];
                parts.into_iter().flatten()
            };
            let products = placement.products.iter().map(|product| product.product_id.clone());
            Row {
                texts: own.cloned().chain(placement.products.iter().flat_map(texts)).collect(),
                products: products.collect(),
            }
        });
        Self { placements: rows.collect() }
    }
}

/// Everything on `page` that `list` does not allow; empty when every active rule holds.
pub fn check(page: &CheckablePage, list: &Checklist<'_>) -> Vec<Violation> {
    let mut checker = Checker { page, list, found: Vec::new() };
    checker.shape();
    checker.products();
    for rule in list.merchandising.active(list.segment, list.as_of) {
        checker.rule(rule);
    }
    checker.found
}

/// [`check`] of every page of the manifest: its own, then its variants' (MER-1 holds whichever arm a shopper is in).
pub fn check_manifest(manifest: &StorefrontManifest, list: &Checklist<'_>) -> Vec<Violation> {
    manifest.pages().flat_map(|page| check(&CheckablePage::from(page), list)).collect()
}

struct Checker<'a> {
    page: &'a CheckablePage,
    list: &'a Checklist<'a>,
    found: Vec<Violation>,
}

/// A product and the placement it stands in.
type Shown<'a> = (usize, &'a Product);

impl<'a> Checker<'a> {
    fn report(&mut self, rule: &str, at: (Option<usize>, Option<&ProductId>), reason: String) {
        let (placement, product) = (at.0, at.1.cloned());
        self.found.push(Violation { rule_id: rule.to_owned(), placement, product, reason });
    }

    fn shape(&mut self) {
        let shape = self.list.merchandising.page;
        let placements = self.page.placements.len();
        if placements == 0 || placements > shape.placements {
            let reason =
                format!("{placements} placements on the page, 1 to {} are allowed", shape.placements);
            self.report(PAGE_SIZE, (None, None), reason);
        }
        let (low, high) = (shape.min_products, shape.products_per_placement);
        for (at, row) in self.page.placements.iter().enumerate() {
            let products = row.products.len();
            if products < low || products > high {
                let reason = format!("{products} products in the placement, {low} to {high} are allowed");
                self.report(PLACEMENT_SIZE, (Some(at), None), reason);
            }
        }
    }

    fn products(&mut self) {
        let mut seen = BTreeSet::new();
        for (at, row) in self.page.placements.iter().enumerate() {
            for id in &row.products {
                if !seen.insert(id) {
                    self.report(REPEATED_PRODUCT, (Some(at), Some(id)), "stands on the page already".into());
                }
                match self.list.catalog.get(id) {
                    None => {
                        self.report(KNOWN_PRODUCT, (Some(at), Some(id)), "is not in the catalogue".into())
                    }
                    Some(product) if !product.in_stock => {
                        self.report(IN_STOCK, (Some(at), Some(id)), "is out of stock".into());
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn shown(&self) -> impl Iterator<Item = Shown<'a>> + use<'a> {
        let (page, catalog) = (self.page, self.list.catalog);
        let rows = page.placements.iter().enumerate();
        rows.flat_map(|(at, row)| row.products.iter().map(move |id| (at, id)))
            .filter_map(|(at, id)| Some((at, catalog.get(id)?)))
    }

    fn rule(&mut self, rule: &Rule) {
        match &rule.kind {
            RuleKind::Boost { .. } | RuleKind::Bury { .. } => {}
            RuleKind::Pin { product, position } => self.pin(&rule.id, product, *position),
            RuleKind::Block { target } => {
                self.none(&rule.id, |product| {
                    target.matches(product).then(|| format!("{target} is blocked"))
                });
            }
            RuleKind::Only { target } => {
                self.none(&rule.id, |product| {
                    (!target.matches(product)).then(|| format!("only {target} may be shown"))
                });
            }
            RuleKind::ForbidTags { tags } => self.none(&rule.id, |product| {
                let tag = tags.iter().find(|tag| product.tags.contains(*tag))?;
                Some(format!("the tag {tag:?} is not allowed"))
            }),
            RuleKind::Quota { target, scope, min, max } => {
                let count = match scope {
                    QuotaScope::Products => {
                        self.shown().filter(|(_, product)| target.matches(product)).count()
                    }
                    QuotaScope::Placements => (0..self.page.placements.len())
                        .filter(|at| self.share(*at, std::slice::from_ref(target)) > 0.5)
                        .count(),
                };
                self.quota(rule, count, *min, *max);
            }
            RuleKind::BannedPhrases { phrases } => self.phrases(&rule.id, phrases),
            RuleKind::CampaignFirst => self.campaign_first(&rule.id),
        }
    }

    fn pin(&mut self, rule: &str, product: &ProductId, position: usize) {
        let first = self.page.placements.get(position).and_then(|row| row.products.first());
        if first != Some(product) {
            let reason = "is not the first of the placement it is pinned to".into();
            self.report(rule, (Some(position), Some(product)), reason);
        }
    }

    fn none(&mut self, rule: &str, why: impl Fn(&Product) -> Option<String>) {
        for (at, product) in self.shown() {
            if let Some(reason) = why(product) {
                self.report(rule, (Some(at), Some(&product.product_id)), reason);
            }
        }
    }

    fn quota(&mut self, rule: &Rule, count: usize, min: Option<usize>, max: Option<usize>) {
        let RuleKind::Quota { target, scope, .. } = &rule.kind else { return };
        let what = match scope {
            QuotaScope::Products => "products",
            QuotaScope::Placements => "placements",
        };
        if let Some(min) = min.filter(|min| count < *min) {
            self.report(
                &rule.id,
                (None, None),
                format!("{count} {what} of {target}, at least {min} are demanded"),
            );
        }
        if let Some(max) = max.filter(|max| count > *max) {
            self.report(
                &rule.id,
                (None, None),
                format!("{count} {what} of {target}, at most {max} are allowed"),
            );
        }
    }

    /// Share of a placement's products that match one of `targets`, 0..1; unknown products do not.
    fn share(&self, placement: usize, targets: &[Target]) -> f64 {
        let Some(row) = self.page.placements.get(placement) else { return 0.0 };
        let known = row.products.iter().filter_map(|id| self.list.catalog.get(id));
        let matching = known.filter(|product| targets.iter().any(|target| target.matches(product))).count();
        matching as f64 / row.products.len().max(1) as f64
    }

    fn phrases(&mut self, rule: &str, phrases: &[String]) {
        let mut texts: Vec<(usize, Option<ProductId>, String)> = Vec::new();
        for (at, row) in self.page.placements.iter().enumerate() {
            texts.extend(row.texts.iter().map(|text| (at, None, text.clone())));
        }
        for (at, product) in self.shown() {
            let parts = [Some(&product.title), product.brand.as_ref(), product.package_size.as_ref()];
            let id = || Some(product.product_id.clone());
            texts.extend(parts.into_iter().flatten().map(|text| (at, id(), text.clone())));
        }
        for (at, product, text) in texts {
            if let Some(phrase) = phrases.iter().find(|phrase| says(&text, phrase)) {
                let reason = format!("{text:?} holds the banned phrase {phrase:?}");
                self.report(rule, (Some(at), product.as_ref()), reason);
            }
        }
    }

    fn campaign_first(&mut self, rule: &str) {
        let list = self.list;
        let Some(campaign) = list.merchandising.campaign(list.segment, list.as_of) else { return };
        if self.share(0, &campaign.feature) <= 0.5 {
            let reason = format!("the first placement does not feature the campaign {:?}", campaign.name);
            self.report(rule, (Some(0), None), reason);
        }
    }
}

/// Whether `text` has the words of `phrase` in a row, letter case and punctuation aside; a phrase of signs
/// only is looked for as it is.
fn says(text: &str, phrase: &str) -> bool {
    let spaced = |text: &str| {
        let plain: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        format!(" {} ", words.join(" ")).to_lowercase()
    };
    let wanted = spaced(phrase);
    if wanted.trim().is_empty() {
        return !phrase.trim().is_empty() && text.contains(phrase.trim());
    }
    spaced(text).contains(&wanted)
}
