//! What a cascade placement may show: what its keywords found, others of these types and aisles, and what is bought with them.
//!
//! Retrieval finds a type's best sellers, not the segment's, so the rest of the type is offered too, and that of its aisle
//! as less relevant. *Companions* are of other aisles: of the segment's best products those that visits hold together with
//! what the keywords found, oftener than the average purchase ([`crate::domain::ranker::Ranker::affinity`]). So "Taco
//! night" shows tortillas and salsa, and then the ground beef.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::stage::{ProductHit, StockedPlacement, Via};
use crate::domain::{Product, ProductId};

use super::desk::Desk;
use super::score::{Entry, Scored};

/// The placement a found product is most relevant to: a product stands on a page once.
pub(super) struct Home {
    pub placement: usize,
    pub relevance: f32,
}

/// Every found product's home. Of `spare` placements, those that no other one found.
pub(super) fn homes<'a>(
    placements: &'a [StockedPlacement],
    spare: &'a [StockedPlacement],
) -> HashMap<&'a ProductId, Home> {
    let mut homes = of(placements, 0);
    for (id, home) in of(spare, placements.len()) {
        homes.entry(id).or_insert(home);
    }
    homes
}

fn of(placements: &[StockedPlacement], first: usize) -> HashMap<&ProductId, Home> {
    let mut homes: HashMap<&ProductId, Home> = HashMap::new();
    for (placement, stocked) in (first..).zip(placements) {
        for ProductHit { product_id, relevance, .. } in &stocked.products {
            let home = homes.entry(product_id).or_insert(Home { placement, relevance: *relevance });
            if relevance.total_cmp(&home.relevance).is_gt() {
                *home = Home { placement, relevance: *relevance };
            }
        }
    }
    homes
}

/// A type that a placement's keywords found.
struct Found<'a> {
    /// The first of its products by id.
    product: &'a Product,
    /// Of its most relevant product.
    relevance: f32,
    /// The highest of its products on the bench.
    demand: f32,
}

type FoundTypes<'a> = BTreeMap<(&'a str, &'a str), Found<'a>>;

fn type_of(product: &Product) -> (&str, &str) {
    (&product.aisle, &product.product_type)
}

impl<'a> Desk<'a> {
    /// Every product that the placement may show, best first.
    pub(super) fn bench(&self, homes: &HashMap<&'a ProductId, Home>, placement: usize) -> Vec<Scored<'a>> {
        let mut entries = self.found(homes, placement);
        let mut types = FoundTypes::new();
        for entry in &entries {
            let found = Found { product: entry.product, relevance: 0.0, demand: 0.0 };
            let found = types.entry(type_of(entry.product)).or_insert(found);
            found.relevance = found.relevance.max(entry.relevance.unwrap_or(0.0));
        }
        entries.extend(self.alternatives(homes, &types));
        for entry in &entries {
            if let Some(found) = types.get_mut(&type_of(entry.product)) {
                found.demand = found.demand.max(self.scorer.demand(entry.product).total);
            }
        }
        let benched =
            entries.iter().map(|entry| &entry.product.product_id).chain(homes.keys().copied()).collect();
        entries.extend(self.companions(&benched, &types));
        self.scorer.rank(&self.rules, &entries)
    }

    /// In order of id.
    fn found(&self, homes: &HashMap<&'a ProductId, Home>, placement: usize) -> Vec<Entry<'a>> {
        let here = homes.iter().filter(|(_, home)| home.placement == placement);
        let known = here.filter_map(|(id, home)| Some((self.scorer.shop.catalog.get(id)?, home.relevance)));
        let entry = |(product, relevance)| Entry { product, relevance: Some(relevance), via: Via::Retrieved };
        let mut found: Vec<Entry<'a>> =
            known.filter(|(product, _)| self.may_place(product)).map(entry).collect();
        found.sort_by(|a, b| a.product.product_id.cmp(&b.product.product_id));
        found
    }

    /// The other products of these types and of their aisles.
    fn alternatives(&self, homes: &HashMap<&'a ProductId, Home>, types: &FoundTypes<'a>) -> Vec<Entry<'a>> {
        let settings = self.scorer.settings;
        let mut aisles: BTreeMap<&str, f32> = BTreeMap::new();
        for ((aisle, _), found) in types {
            let best = aisles.entry(aisle).or_insert(0.0);
            *best = best.max(found.relevance);
        }
        let offer = |product: &Product, of_aisle: f32| match types.get(&type_of(product)) {
            Some(found) => (found.relevance * settings.alternatives, Via::Alternative),
            None => (of_aisle * settings.aisle_alternatives, Via::Neighbor),
        };
        let of_aisle = |(aisle, most): (&&str, &f32)| {
            let free = self.shelf.of_aisle(aisle).filter(|product| {
                !homes.contains_key(&product.product_id) && self.featured(product) && self.may_place(product)
            });
            let entry = |product| {
                let (relevance, via) = offer(product, *most);
                Entry { product, relevance: Some(relevance), via }
            };
            let offered = free.map(entry).filter(|entry| entry.relevance > Some(0.0));
            offered.collect::<Vec<_>>()
        };
        aisles.iter().flat_map(of_aisle).collect()
    }

    /// Of the segment's best products that are not on a bench those that are bought together with these types.
    fn companions(&self, benched: &HashSet<&ProductId>, types: &FoundTypes<'a>) -> Vec<Entry<'a>> {
        if self.scorer.settings.max_companions == 0 {
            return Vec::new();
        }
        let mut known: HashMap<(&str, &str), f32> = HashMap::new();
        let mut companions = Vec::new();
        for Scored { product, .. } in self.best() {
            if benched.contains(&product.product_id) || types.contains_key(&type_of(product)) {
                continue;
            }
            let affinity = *known.entry(type_of(product)).or_insert_with(|| self.affinity(types, product));
            if affinity >= self.scorer.settings.companion_affinity {
                // The share of the visits with both that the average purchase does not explain.
                let relevance = Some(1.0 - 1.0 / affinity);
                companions.push(Entry { product, relevance, via: Via::Companion });
            }
        }
        companions
    }

    /// Mean over the types, by relevance and demand.
    fn affinity(&self, types: &FoundTypes<'a>, product: &Product) -> f32 {
        let weight = |found: &Found<'_>| found.relevance * found.demand;
        let total: f32 = types.values().map(weight).sum();
        let ranker = self.scorer.shop.ranker;
        let sum: f32 =
            types.values().map(|found| weight(found) * ranker.affinity(found.product, product)).sum();
        if total > 0.0 { sum / total } else { 0.0 }
    }
}

/// Companions never outnumber what the placement is about: the weakest go.
pub(super) fn trim_companions(products: &mut Vec<Scored<'_>>) {
    let companions =
        |products: &[Scored<'_>]| products.iter().filter(|scored| scored.parts.via == Via::Companion).count();
    let own = products.len() - companions(products);
    while companions(products) > own {
        let Some(weakest) = products.iter().rposition(|scored| scored.parts.via == Via::Companion) else {
            return;
        };
        products.remove(weakest);
    }
}
