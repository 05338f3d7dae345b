//! Which products stand for a listing, and which of several keywords' products make a placement.

use std::collections::{BTreeMap, BTreeSet};

use super::hybrid::Fused;
use super::rows::ProductRow;

/// Each further product of one listing counts this much less than the one before: it adds little to a placement.
const NEXT_OF_LISTING: f64 = 0.9;

/// The products a filter lets through: each listing's best sellers.
#[derive(Debug, Default)]
pub struct Shelf {
    by_listing: BTreeMap<String, Vec<ProductRow>>,
}

/// A product chosen for a placement.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick<'a> {
    pub product: &'a str,
    /// The closest keyword, by its place among those asked for.
    pub keyword: usize,
    pub score: f64,
    units_28d: u32,
}

/// A product that a keyword could bring.
struct Offer<'a> {
    product: &'a ProductRow,
    product_type: &'a str,
    score: f64,
}

impl Shelf {
    /// Keeps `depth` products a listing: most units first, then by id.
    pub fn new(products: impl IntoIterator<Item = ProductRow>, depth: usize) -> Self {
        let mut by_listing: BTreeMap<String, Vec<ProductRow>> = BTreeMap::new();
        for product in products {
            by_listing.entry(product.listing.clone()).or_default().push(product);
        }
        for products in by_listing.values_mut() {
            products.sort_by(|a, b| b.units_28d.cmp(&a.units_28d).then_with(|| a.id.cmp(&b.id)));
            products.truncate(depth);
        }
        Self { by_listing }
    }

    /// The products of listings `found` for each of several keywords: at most `limit`, at most `max_per_type` of one type. Keywords take turns, each bringing the best product
    /// it has left, so that none is crowded out; the result is ordered by score, then units, then id.
    pub fn pick<'a>(&'a self, found: &[Vec<Fused<'a>>], limit: usize, max_per_type: usize) -> Vec<Pick<'a>> {
        let offers: Vec<Vec<Offer>> = found.iter().map(|listings| self.offers(listings)).collect();
        let chosen = take_turns(&offers, limit, max_per_type);
        let mut picks: BTreeMap<&str, Pick> = BTreeMap::new();
        for (keyword, offers) in offers.iter().enumerate() {
            for offer in offers.iter().filter(|offer| chosen.contains(offer.product.id.as_str())) {
                let pick = Pick {
                    product: &offer.product.id,
                    keyword,
                    score: offer.score,
                    units_28d: offer.product.units_28d,
                };
                let best = picks.entry(pick.product).or_insert_with(|| pick.clone());
                if pick.score > best.score {
                    *best = pick;
                }
            }
        }
        let mut picks: Vec<Pick> = picks.into_values().collect();
        // Stable over an order by id.
        picks.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.units_28d.cmp(&a.units_28d)));
        picks
    }

    /// The products of `listings`, best first.
    fn offers<'a>(&'a self, listings: &[Fused<'a>]) -> Vec<Offer<'a>> {
        let mut offers: Vec<Offer> = Vec::new();
        for found in listings {
            let products = self.by_listing.get(found.id).into_iter().flatten();
            let scores = std::iter::successors(Some(found.score), |score| Some(score * NEXT_OF_LISTING));
            offers.extend(products.zip(scores).map(|(product, score)| Offer {
                product,
                product_type: found.label,
                score,
            }));
        }
        offers.sort_by(|a, b| {
            let by_units = b.product.units_28d.cmp(&a.product.units_28d);
            b.score.total_cmp(&a.score).then(by_units).then_with(|| a.product.id.cmp(&b.product.id))
        });
        offers
    }
}

/// The ids that the turns of the keywords bring together.
fn take_turns<'a>(offers: &[Vec<Offer<'a>>], limit: usize, max_per_type: usize) -> BTreeSet<&'a str> {
    let mut chosen = BTreeSet::new();
    let mut of_type: BTreeMap<&str, usize> = BTreeMap::new();
    let mut queues: Vec<_> = offers.iter().map(|offers| offers.iter()).collect();
    loop {
        let before = chosen.len();
        for queue in &mut queues {
            if chosen.len() == limit {
                return chosen;
            }
            let has_room =
                |offer: &&Offer| of_type.get(offer.product_type).is_none_or(|taken| *taken < max_per_type);
            let next = queue.find(|offer| !chosen.contains(offer.product.id.as_str()) && has_room(offer));
            if let Some(offer) = next {
                chosen.insert(offer.product.id.as_str());
                *of_type.entry(offer.product_type).or_default() += 1;
            }
        }
        if chosen.len() == before {
            return chosen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: &str, listing: &str, units_28d: u32) -> ProductRow {
        ProductRow { id: id.into(), listing: listing.into(), units_28d, in_stock: true, private_label: false }
    }

    fn found(listing: &str, score: f64) -> Fused<'_> {
        Fused { id: listing, label: listing, score }
    }

    fn ids<'a>(picks: &[Pick<'a>]) -> Vec<&'a str> {
        picks.iter().map(|pick| pick.product).collect()
    }

    #[test]
    fn a_listing_offers_its_best_sellers() {
        let shelf =
            Shelf::new([product("a", "milk", 5), product("c", "milk", 9), product("b", "milk", 9)], 2);
        assert_eq!(ids(&shelf.pick(&[vec![found("milk", 1.0)]], 9, 9)), ["b", "c"]);
    }

    #[test]
    fn every_keyword_is_represented() {
        let of = |listing: &str, n: u32| {
            (0..n).map(|at| product(&format!("{listing}{at}"), listing, 9 - at)).collect::<Vec<_>>()
        };
        let shelf = Shelf::new([of("milk", 5), of("tea", 5)].concat(), 5);
        let keywords = [vec![found("milk", 1.0)], vec![found("tea", 0.1)]];
        assert_eq!(ids(&shelf.pick(&keywords, 4, 9)), ["milk0", "milk1", "tea0", "tea1"]);
    }

    #[test]
    fn a_type_is_capped_over_the_whole_placement() {
        let shelf = Shelf::new((0..5).map(|at| product(&format!("p{at}"), "milk", at)), 5);
        let keywords = [vec![found("milk", 1.0)], vec![found("milk", 0.5)]];
        let picks = shelf.pick(&keywords, 9, 2);
        assert_eq!(ids(&picks), ["p4", "p3"]);
        assert!(picks.iter().all(|pick| pick.keyword == 0), "the closer keyword is named");
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(Shelf::default().pick(&[vec![found("milk", 1.0)], vec![]], 9, 2).is_empty());
        assert!(Shelf::default().pick(&[], 9, 2).is_empty());
    }
}
