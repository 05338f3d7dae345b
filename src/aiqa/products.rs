//! Products of a page: which may be shown at all, and which placement each belongs to.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Settings;
use super::page::PageInput;
use super::restrictions::Restrictions;
use super::rules::*;
use super::text::fold;
use super::title::{TitleCase, TitlePolicy};
use crate::domain::merchandising::{RuleKind, Target};
use crate::domain::stage::{ProductHit, StockedPlacement};
use crate::domain::{Product, ProductId};

/// Why a product was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drop {
    pub rule: &'static str,
    pub text: String,
    pub reason: String,
}

/// The gate a product passes before it may be in any placement.
pub(super) struct Gate<'a> {
    policy: &'a TitlePolicy,
    input: &'a PageInput<'a>,
    page: &'a Restrictions,
    blocked: Vec<&'a Target>,
    /// What alone may be shown.
    only: Vec<&'a Target>,
    forbidden_tags: BTreeSet<&'a str>,
}

impl<'a> Gate<'a> {
    pub fn new(policy: &'a TitlePolicy, input: &'a PageInput<'a>, page: &'a Restrictions) -> Self {
        let mut blocked = Vec::new();
        let mut only = Vec::new();
        let mut forbidden_tags = BTreeSet::new();
        for rule in input.rules {
            match &rule.kind {
                RuleKind::Block { target } => blocked.push(target),
                RuleKind::Only { target } => only.push(target),
                RuleKind::ForbidTags { tags } => forbidden_tags.extend(tags.iter().map(String::as_str)),
                _ => {}
            }
        }
        let implied = [(page.alcohol || page.kids, "alcohol"), (page.kids, "tobacco"), (page.meat, "meat")];
        forbidden_tags.extend(implied.into_iter().filter(|(active, _)| *active).map(|(_, tag)| tag));
        Self { policy, input, page, blocked, only, forbidden_tags }
    }

    /// The reason `hit` may not be shown, if there is one.
    pub fn refuse(&self, hit: &ProductHit) -> Option<Drop> {
        let Some(product) = self.input.catalog.get(&hit.product_id) else {
            let reason = "the catalogue has no such product".to_owned();
            return Some(Drop { rule: UNKNOWN_PRODUCT, text: hit.product_id.to_string(), reason });
        };
        if !product.in_stock {
            return Some(drop(OUT_OF_STOCK, product, "not in stock".into()));
        }
        if let Some(target) = self.blocked.iter().find(|target| target.matches(product)) {
            return Some(drop(BLOCKED_PRODUCT, product, format!("a rule blocks {target}")));
        }
        if let Some(target) = self.only.iter().find(|target| !target.matches(product)) {
            return Some(drop(BLOCKED_PRODUCT, product, format!("a rule shows only {target}")));
        }
        self.refuse_tags(product).or_else(|| self.refuse_text(product))
    }

    fn refuse_tags(&self, product: &Product) -> Option<Drop> {
        let as_of = self.input.context.as_of;
        product.tags.iter().find_map(|tag| {
            if self.forbidden_tags.contains(tag.as_str()) {
                return Some(drop(FORBIDDEN_TAG, product, format!("a rule of this page forbids {tag}")));
            }
            if self.policy.settings().never_featured_tags.contains(tag) {
                return Some(drop(NEVER_FEATURED_TAG, product, format!("{tag} is never featured")));
            }
            let occasion = self.policy.seasons().tag_out_of_season(tag, as_of)?;
            Some(drop(OUT_OF_SEASON_PRODUCT, product, format!("{occasion} is not near {as_of}")))
        })
    }

    fn refuse_text(&self, product: &Product) -> Option<Drop> {
        let shown = std::iter::once(&product.title).chain(&product.brand).chain(&product.package_size);
        shown.into_iter().find_map(|title| {
            let case = TitleCase::of(self.input.context, title);
            let finding = self.policy.product_findings(title, &case, self.page).into_iter().next()?;
            let reason = format!("{}: {}", finding.rule, finding.reason);
            let id = &product.product_id;
            Some(Drop { rule: UNSAFE_PRODUCT_TEXT, text: format!("{id} {}", finding.text), reason })
        })
    }
}

fn drop(rule: &'static str, product: &Product, reason: String) -> Drop {
    Drop { rule, text: format!("{} {}", product.product_id, product.title), reason }
}

/// Products by placement, each on the page once, with what had to go from each placement.
pub(super) struct Shelves {
    pub kept: Vec<Vec<ProductHit>>,
    pub dropped: Vec<Vec<Drop>>,
}

/// Shares the products of `placements` out, so that none is on the page twice.
///
/// A product that several placements found goes to the one it is most relevant to, the earlier one on a tie; so does one
/// of several products that a shopper could not tell apart. Of one type the page keeps
/// [`Settings::max_same_type`], taken in turns: every placement's best first, then every placement's second.
pub(super) fn share_out(
    placements: &[&StockedPlacement],
    input: &PageInput<'_>,
    settings: &Settings,
) -> Shelves {
    let owners = owners(placements, input);
    let mut shelves =
        Shelves { kept: vec![Vec::new(); placements.len()], dropped: vec![Vec::new(); placements.len()] };
    let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown: HashSet<&ProductId> = HashSet::new();
    let longest = placements.iter().map(|placement| placement.products.len()).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|rank| (0..placements.len()).map(move |at| (rank, at)));
    for (rank, at) in turns {
        let Some(hit) = placements[at].products.get(rank) else { continue };
        let Some(product) = input.catalog.get(&hit.product_id) else { continue };
        if owners.get(&look(product)) != Some(&(at, &hit.product_id)) || !shown.insert(&hit.product_id) {
            let reason = "it, or one that looks the same, is on the page already".into();
            shelves.dropped[at].push(drop(DUPLICATE_PRODUCT, product, reason));
            continue;
        }
        let same_type = by_type.entry(product.product_type.as_str()).or_default();
        if *same_type >= settings.max_same_type {
            let reason = format!("{same_type} of {:?} are on the page already", product.product_type);
            shelves.dropped[at].push(drop(SAME_TYPE, product, reason));
            continue;
        }
        *same_type += 1;
        shelves.kept[at].push(hit.clone());
    }
    shelves
}

/// What a shopper sees of a product: two products of one look cannot be told apart on a card.
type Look = (String, Option<String>, Option<String>);

fn look(product: &Product) -> Look {
    (fold(&product.title), product.brand.as_deref().map(fold), product.package_size.as_deref().map(fold))
}

/// The placement and product that each look belongs to.
fn owners<'a>(
    placements: &[&'a StockedPlacement],
    input: &PageInput<'_>,
) -> BTreeMap<Look, (usize, &'a ProductId)> {
    let mut best: BTreeMap<Look, (f32, usize, &ProductId)> = BTreeMap::new();
    for (at, placement) in placements.iter().enumerate() {
        for hit in &placement.products {
            let Some(product) = input.catalog.get(&hit.product_id) else { continue };
            let entry = best.entry(look(product)).or_insert((hit.relevance, at, &hit.product_id));
            if hit.relevance.total_cmp(&entry.0).is_gt() {
                *entry = (hit.relevance, at, &hit.product_id);
            }
        }
    }
    best.into_iter().map(|(look, (_, at, id))| (look, (at, id))).collect()
}
