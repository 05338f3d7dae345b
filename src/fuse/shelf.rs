//! Placements that the ranker makes: of the whole shop, of an aisle, of a product type, of a rule's targets.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::merchandising::Target;
use crate::domain::stage::{Source, Via};
use crate::domain::{Catalog, Product};

use super::desk::Desk;
use super::draft::{Draft, Purpose};
use super::score::{Entry, Scored, placement_value};
use super::season::SeasonFit;

/// The products in stock, by aisle, each aisle in order of id.
pub(super) struct Shelf<'a>(BTreeMap<&'a str, Vec<&'a Product>>);

impl<'a> Shelf<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        let mut aisles: BTreeMap<&str, Vec<&Product>> = BTreeMap::new();
        for product in catalog.iter().filter(|product| product.in_stock) {
            aisles.entry(&product.aisle).or_default().push(product);
        }
        Self(aisles)
    }

    fn products(&self) -> impl Iterator<Item = &'a Product> {
        self.0.values().flatten().copied()
    }

    /// Of an aisle, in order of id.
    pub(super) fn of_aisle(&self, aisle: &str) -> impl Iterator<Item = &'a Product> {
        self.0.get(aisle).into_iter().flatten().copied()
    }
}

/// How many pages full of the shop's best products are looked at.
const BEST_PAGES: usize = 8;

impl<'a> Desk<'a> {
    /// The products that the ranker may feature and values most, best first.
    pub(super) fn best(&self) -> &[Scored<'a>] {
        self.best.get_or_init(|| {
            let products =
                self.shelf.products().filter(|product| self.featured(product) && self.may_place(product));
            let entries: Vec<Entry<'a>> = products.map(ranked).collect();
            let mut best = self.scorer.rank(&self.rules, &entries);
            best.truncate(BEST_PAGES * self.shape.placements * self.shape.products_per_placement);
            best
        })
    }

    /// Placements of the shop's best, of whatever aisles, each to be filled with what is left.
    pub(super) fn favorite_drafts(&self) -> Vec<Draft<'a>> {
        let titles = self.scorer.settings.favorites.iter().filter(|title| self.accepts(title));
        let draft = |title: &String| Draft {
            title: title.clone(),
            source: Source::Ranker,
            keywords: Vec::new(),
            bench: self.best().to_vec(),
            purpose: None,
            prior: 1.0,
            max_per_type: self.scorer.settings.max_per_type,
        };
        titles.map(draft).collect()
    }

    /// A placement for every aisle that the ranker may feature, most valuable first.
    pub(super) fn aisle_drafts(&self) -> Vec<Draft<'a>> {
        let drafts = self.shelf.0.iter().filter(|(aisle, _)| self.accepts(aisle)).map(|(aisle, products)| {
            let featured =
                products.iter().copied().filter(|product| self.featured(product) && self.may_place(product));
            self.ranker_draft(aisle, featured, None)
        });
        self.by_value(drafts.filter(|draft| !draft.bench.is_empty()).collect())
    }

    /// Placements that put the targets' products first, most valuable first: one an aisle that has some, one
    /// a type named as a target.
    pub(super) fn purpose_drafts(&self, purpose: Purpose<'a>) -> Vec<Draft<'a>> {
        let mut drafts: Vec<Draft<'a>> = self
            .shelf
            .0
            .iter()
            .filter_map(|(aisle, products)| self.aisle_for(aisle, products, purpose))
            .collect();
        let named = purpose.targets.iter().filter_map(|target| match target {
            Target::Type(name) => Some(name.as_str()),
            _ => None,
        });
        drafts.extend(named.filter_map(|name| self.type_for(name, purpose)));
        self.by_value(drafts)
    }

    /// A placement of each type among the targets' products, most valuable first.
    pub(super) fn type_drafts(&self, purpose: Purpose<'a>) -> Vec<Draft<'a>> {
        let serving = self.shelf.products().filter(|product| self.serves(product, purpose));
        let types: BTreeSet<&str> = serving.map(|product| product.product_type.as_str()).collect();
        self.by_value(types.into_iter().filter_map(|name| self.type_for(name, purpose)).collect())
    }

    /// One placement of all the targets' products, whatever their aisles; others from there only where they
    /// are too few.
    pub(super) fn joint_draft(&self, title: &str, purpose: Purpose<'a>) -> Option<Draft<'a>> {
        let aisles = self
            .shelf
            .0
            .values()
            .filter(|products| products.iter().any(|product| self.serves(product, purpose)));
        let suiting = aisles.flatten().copied().filter(|product| self.suits(product, purpose));
        let purpose = Purpose { filled_to: self.shape.min_products, ..purpose };
        self.accepts(title).then(|| self.ranker_draft(title, suiting, Some(purpose)))
    }

    /// What is left of the targets' products on the shelves, whatever the ranker features.
    pub(super) fn all_of(&self, target: &Target) -> impl Iterator<Item = &'a Product> {
        self.shelf.products().filter(|product| target.matches(product) && self.may_place(product))
    }

    fn aisle_for(&self, aisle: &str, products: &[&'a Product], purpose: Purpose<'a>) -> Option<Draft<'a>> {
        let suiting: Vec<&Product> =
            products.iter().copied().filter(|product| self.suits(product, purpose)).collect();
        let any = suiting.iter().any(|product| purpose.matches(product));
        (any && self.accepts(aisle)).then(|| self.ranker_draft(aisle, suiting.into_iter(), Some(purpose)))
    }

    /// A type's own placement holds as many products of that type as fit.
    fn type_for(&self, name: &str, purpose: Purpose<'a>) -> Option<Draft<'a>> {
        let of_type = self.shelf.products().filter(|product| product.product_type == name);
        let draft =
            self.ranker_draft(name, of_type.filter(|product| self.suits(product, purpose)), Some(purpose));
        let draft = Draft { max_per_type: usize::MAX, ..draft };
        (!draft.bench.is_empty() && self.accepts(name)).then_some(draft)
    }

    fn ranker_draft(
        &self,
        title: &str,
        products: impl Iterator<Item = &'a Product>,
        purpose: Option<Purpose<'a>>,
    ) -> Draft<'a> {
        let entries: Vec<Entry<'a>> = products.map(ranked).collect();
        Draft {
            title: title.to_owned(),
            source: Source::Ranker,
            keywords: Vec::new(),
            bench: self.scorer.rank(&self.rules, &entries),
            purpose,
            prior: 1.0,
            max_per_type: self.scorer.settings.max_per_type,
        }
    }

    fn accepts(&self, title: &str) -> bool {
        (self.accepts_title)(title) && self.rules.bans_text(title).is_none()
    }

    /// Whether the ranker may feature the product of its own accord.
    pub(super) fn featured(&self, product: &Product) -> bool {
        let settings = self.scorer.settings;
        !settings.never_featured_aisles.contains(&product.aisle)
            && settings.never_featured_tags.is_disjoint(&product.tags)
            && self.scorer.season(product) != SeasonFit::Out
    }

    /// A target that names the product, its type or its aisle overrides what the ranker features; a tag does
    /// not.
    fn serves(&self, product: &Product, purpose: Purpose<'_>) -> bool {
        purpose.targets.iter().any(|target| {
            target.matches(product) && (target.names(product) || purpose.anything || self.featured(product))
        })
    }

    /// Serves the purpose, or may stand beside what does.
    fn suits(&self, product: &Product, purpose: Purpose<'_>) -> bool {
        let beside = || !purpose.matches(product) && self.featured(product);
        (self.serves(product, purpose) || beside()) && self.may_place(product)
    }

    /// Most valuable first by the products that fit; of equals the one with less else on it, then by title.
    fn by_value(&self, drafts: Vec<Draft<'a>>) -> Vec<Draft<'a>> {
        let value = |draft: &Draft<'a>| {
            let wanted =
                |scored: &&Scored<'a>| draft.purpose.is_none_or(|purpose| purpose.matches(scored.product));
            let best = draft.bench.iter().filter(wanted).take(self.shape.products_per_placement).copied();
            placement_value(&best.collect::<Vec<_>>())
        };
        let mut valued: Vec<(f32, Draft<'a>)> =
            drafts.into_iter().map(|draft| (value(&draft), draft)).collect();
        valued.sort_by(|a, b| {
            let (a_else, b_else) = (a.1.bench.len(), b.1.bench.len());
            b.0.total_cmp(&a.0).then(a_else.cmp(&b_else)).then_with(|| a.1.title.cmp(&b.1.title))
        });
        valued.into_iter().map(|(_, draft)| draft).collect()
    }
}

fn ranked(product: &Product) -> Entry<'_> {
    Entry { product, relevance: None, fit: None, via: Via::Ranker }
}
