//! The merchandising rules that hold for one segment tonight, sorted by what fusion does with them.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::merchandising::{Campaign, QuotaScope, RuleKind, Target};
use crate::domain::{Catalog, Product, ProductId, SegmentId};

use super::{FuseError, Shop, phrase};

/// Active rules in file order, borrowed from the merchandising.
pub(super) struct ActiveRules<'a> {
    /// Rule id and what it keeps off the page.
    bans: Vec<(&'a str, Ban<'a>)>,
    phrases: Vec<(&'a str, &'a str)>,
    /// Rule id, what it boosts or buries, and the factor.
    factors: Vec<(&'a str, &'a Target, f32)>,
    /// Rule id and the product it pins.
    pinning: Vec<(&'a str, &'a ProductId)>,
    /// By position, each product once.
    pub pins: BTreeMap<usize, &'a Product>,
    pub product_quotas: Vec<Quota<'a>>,
    pub placement_quotas: Vec<Quota<'a>>,
    pub campaign: Option<&'a Campaign>,
    pub campaign_first: bool,
}

enum Ban<'a> {
    Target(&'a Target),
    Except(&'a Target),
    Tag(&'a str),
}

/// At least `min`, at most `max` a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota<'a> {
    pub id: &'a str,
    pub target: &'a Target,
    pub min: usize,
    pub max: Option<usize>,
}

impl<'a> ActiveRules<'a> {
    /// Errors name a pin that no page can hold.
    pub(super) fn new(shop: &Shop<'a>, segment: &'a SegmentId, as_of: NaiveDate) -> Result<Self, FuseError> {
        let mut rules = Self {
            bans: Vec::new(),
            phrases: Vec::new(),
            factors: Vec::new(),
            pinning: Vec::new(),
            pins: BTreeMap::new(),
            product_quotas: Vec::new(),
            placement_quotas: Vec::new(),
            campaign: shop.merchandising.campaign(segment, as_of),
            campaign_first: false,
        };
        let mut pins = Vec::new();
        for rule in shop.merchandising.active(segment, as_of) {
            match &rule.kind {
                RuleKind::Pin { product, position } => pins.push((rule.id.as_str(), product, *position)),
                kind => rules.sort(&rule.id, kind),
            }
        }
        rules.pins = rules.checked(&pins, shop.catalog)?;
        rules.pinning = pins.into_iter().map(|(id, product, _)| (id, product)).collect();
        Ok(rules)
    }

    fn sort(&mut self, id: &'a str, kind: &'a RuleKind) {
        match kind {
            RuleKind::Pin { .. } => {}
            RuleKind::Boost { target, factor } | RuleKind::Bury { target, factor } => {
                self.factors.push((id, target, *factor));
            }
            RuleKind::Block { target } => self.bans.push((id, Ban::Target(target))),
            RuleKind::Only { target } => self.bans.push((id, Ban::Except(target))),
            RuleKind::ForbidTags { tags } => {
                self.bans.extend(tags.iter().map(|tag| (id, Ban::Tag(tag.as_str()))))
            }
            RuleKind::BannedPhrases { phrases } => {
                self.phrases.extend(phrases.iter().map(|phrase| (id, phrase.as_str())));
            }
            RuleKind::Quota { target, scope, min, max } => {
                let quota = Quota { id, target, min: min.unwrap_or(0), max: *max };
                match scope {
                    QuotaScope::Products => self.product_quotas.push(quota),
                    QuotaScope::Placements => self.placement_quotas.push(quota),
                }
            }
            RuleKind::CampaignFirst => self.campaign_first = true,
        }
    }

    fn checked(
        &self,
        pins: &[(&str, &ProductId, usize)],
        catalog: &'a Catalog,
    ) -> Result<BTreeMap<usize, &'a Product>, FuseError> {
        let mut placed = BTreeMap::new();
        for (at, (rule, id, position)) in pins.iter().enumerate() {
            let (rule, product) = ((*rule).to_owned(), (*id).clone());
            let clash = pins[..at].iter().find(|other| (other.1 == *id) != (other.2 == *position));
            if let Some((other, ..)) = clash {
                return Err(FuseError::PinClash { rule, other: (*other).to_owned() });
            }
            let Some(pinned) = catalog.get(id) else { return Err(FuseError::PinUnknown { rule, product }) };
            if !pinned.in_stock {
                return Err(FuseError::PinOutOfStock { rule, product });
            }
            if let Some(by) = self.forbids(pinned) {
                return Err(FuseError::PinForbidden { rule, product, by: by.to_owned() });
            }
            placed.insert(*position, pinned);
        }
        Ok(placed)
    }

    /// The first rule that keeps `product` off the page.
    fn forbids(&self, product: &Product) -> Option<&'a str> {
        let banned = self.bans.iter().find(|(_, ban)| match ban {
            Ban::Target(target) => target.matches(product),
            Ban::Except(target) => !target.matches(product),
            Ban::Tag(tag) => product.has_tag(tag),
        });
        let texts = [Some(&product.title), product.brand.as_ref(), product.package_size.as_ref()];
        banned
            .map(|(id, _)| *id)
            .or_else(|| texts.into_iter().flatten().find_map(|text| self.bans_text(text)))
    }

    /// The first rule with a phrase that `text` holds.
    pub(super) fn bans_text(&self, text: &str) -> Option<&'a str> {
        self.phrases.iter().find(|(_, banned)| phrase::holds(text, banned)).map(|(id, _)| *id)
    }

    /// In stock, and no rule against it.
    pub(super) fn allows(&self, product: &Product) -> bool {
        product.in_stock && self.forbids(product).is_none()
    }

    pub(super) fn is_pinned(&self, product: &Product) -> bool {
        self.pins.values().any(|pinned| pinned.product_id == product.product_id)
    }

    /// Product of the factors of every boost and bury that matches.
    pub(super) fn factor(&self, product: &Product) -> f32 {
        let matching = self.factors.iter().filter(|(_, target, _)| target.matches(product));
        matching.map(|(.., factor)| factor).product()
    }

    /// Ids of the rules that moved `product`: those that pin, boost or bury it.
    pub(super) fn movers(&self, product: &Product) -> Vec<String> {
        let pins = self.pinning.iter().filter(|(_, id)| **id == product.product_id).map(|(id, _)| *id);
        let factors =
            self.factors.iter().filter(|(_, target, _)| target.matches(product)).map(|(id, ..)| *id);
        pins.chain(factors).map(ToOwned::to_owned).collect()
    }

    /// Ids of the rules that keep anything off the page.
    pub(super) fn restricting(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.bans.iter().map(|(id, _)| *id).map(ToOwned::to_owned).collect();
        ids.extend(self.phrases.iter().map(|(id, _)| (*id).to_owned()));
        let caps = self.product_quotas.iter().chain(&self.placement_quotas);
        ids.extend(caps.filter(|quota| quota.max.is_some()).map(|quota| quota.id.to_owned()));
        ids.dedup();
        ids
    }
}
