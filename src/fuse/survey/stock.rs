//! The catalogue as masks: which products each rule and campaign speaks of.

use crate::domain::Product;
use crate::domain::merchandising::{RuleKind, Target};

use super::super::phrase;
use super::Ground;

/// A set of products, by their place in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask(Vec<bool>);

impl Mask {
    fn of(products: &[&Product], wanted: impl Fn(&Product) -> bool) -> Self {
        Self(products.iter().map(|product| wanted(product)).collect())
    }

    fn zip(&self, other: &Self, both: impl Fn(bool, bool) -> bool) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| both(*a, *b)).collect())
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a && b)
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a && !b)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|holds| **holds).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| *a && *b)
    }
}

/// The catalogue seen through the file.
pub(super) struct Stock<'a> {
    pub products: Vec<&'a Product>,
    pub all: Mask,
    pub in_stock: Mask,
    /// By rule: what it keeps off the page, else what it speaks of.
    pub rules: Vec<Mask>,
    /// By campaign: what it features.
    pub campaigns: Vec<Mask>,
}

impl<'a> Stock<'a> {
    pub(super) fn new(ground: &Ground<'a>) -> Self {
        let products: Vec<&Product> = ground.catalog.iter().collect();
        let any_of = |targets: &[Target]| {
            Mask::of(&products, |product| targets.iter().any(|target| target.matches(product)))
        };
        Self {
            all: Mask::of(&products, |_| true),
            in_stock: Mask::of(&products, |product| product.in_stock),
            rules: ground.merchandising.rules.iter().map(|rule| of_rule(&products, &rule.kind)).collect(),
            campaigns: ground.merchandising.campaigns.iter().map(|one| any_of(&one.feature)).collect(),
            products,
        }
    }
}

/// Whether a rule of this kind keeps its products off the page.
pub(super) fn bans(kind: &RuleKind) -> bool {
    matches!(
        kind,
        RuleKind::Block { .. }
            | RuleKind::Only { .. }
            | RuleKind::ForbidTags { .. }
            | RuleKind::BannedPhrases { .. }
    )
}

fn of_rule(products: &[&Product], kind: &RuleKind) -> Mask {
    Mask::of(products, |product| match kind {
        RuleKind::Pin { product: id, .. } => product.product_id == *id,
        RuleKind::Boost { target, .. }
        | RuleKind::Bury { target, .. }
        | RuleKind::Block { target }
        | RuleKind::Quota { target, .. } => target.matches(product),
        RuleKind::Only { target } => !target.matches(product),
        RuleKind::ForbidTags { tags } => tags.iter().any(|tag| product.has_tag(tag)),
        RuleKind::BannedPhrases { phrases } => {
            let texts = [Some(&product.title), product.brand.as_ref(), product.package_size.as_ref()];
            let says = |text: &String| phrases.iter().any(|banned| phrase::holds(text, banned));
            texts.into_iter().flatten().any(says)
        }
        RuleKind::CampaignFirst => false,
    })
}
