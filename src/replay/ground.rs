//! What every arm may choose from at one origin; nothing here is from on or after `as_of`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{History, ReplayError};
use crate::domain::merchandising::PageShape;
use crate::domain::stage::ProductHit;
use crate::domain::{Catalog, Product, ProductId, SegmentId};

/// Which products a page may show, the same in all arms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eligibility {
    pub never_tags: BTreeSet<String>,
    pub never_aisles: BTreeSet<String>,
}

impl Eligibility {
    pub fn admits(&self, product: &Product) -> bool {
        product.in_stock
            && !self.never_aisles.contains(&product.aisle)
            && self.never_tags.is_disjoint(&product.tags)
    }
}

/// Expected purchases of a product in one visit of the segment, ≥ 0: the ranker's opinion.
pub type Expected<'a> = dyn Fn(&SegmentId, &Product) -> f64 + Sync + 'a;

/// An eligible product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub product: &'a Product,
    /// Visits of the last 12 weeks that held it.
    pub visits: u32,
}

/// The shop at one origin.
pub struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub shape: PageShape,
    eligibility: Eligibility,
    /// In order of id.
    items: Vec<Item<'a>>,
    /// Aisle or department → places in `items`; of one name, both.
    themes: BTreeMap<&'a str, BTreeSet<usize>>,
}

impl<'a> Ground<'a> {
    /// # Errors
    /// No product is eligible.
    pub fn new(
        (catalog, history): (&'a Catalog, &History),
        shape: PageShape,
        eligibility: Eligibility,
        as_of: NaiveDate,
    ) -> Result<Self, ReplayError> {
        let placed = catalog.iter().zip(0..);
        let items: Vec<Item<'a>> = placed
            .filter(|(product, _)| eligibility.admits(product))
            .map(|(product, place)| Item { product, visits: history.visits_with(place) })
            .collect();
        if items.is_empty() {
            return Err(ReplayError::NothingEligible { as_of });
        }
        let mut themes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            themes.entry(&item.product.aisle).or_default().insert(at);
            themes.entry(&item.product.department).or_default().insert(at);
        }
        Ok(Self { catalog, shape, eligibility, items, themes })
    }

    pub(super) fn items(&self) -> &[Item<'a>] {
        &self.items
    }

    /// The shop's aisles and departments with their products' places in [`Self::items`], by name.
    pub(super) fn themes(&self) -> impl Iterator<Item = (&'a str, &BTreeSet<usize>)> {
        self.themes.iter().map(|(theme, places)| (*theme, places))
    }

    /// Number of eligible products.
    pub fn eligible(&self) -> usize {
        self.items.len()
    }

    pub fn admits(&self, id: &ProductId) -> bool {
        self.catalog.get(id).is_some_and(|product| self.eligibility.admits(product))
    }

    /// The eligible ones among what retrieval found.
    pub(super) fn admitted(&self, hits: &[ProductHit]) -> Vec<ProductHit> {
        hits.iter().filter(|hit| self.admits(&hit.product_id)).cloned().collect()
    }

    /// Expected purchases a visit of each of `items`.
    pub(super) fn expected(&self, segment: &SegmentId, expected: &Expected<'_>) -> Vec<f64> {
        let sound = |value: f64| if value.is_finite() { value.max(0.0) } else { 0.0 };
        self.items.iter().map(|item| sound(expected(segment, item.product))).collect()
    }
}

/// The `most` places of highest value, best first, ties by place (which is by id).
pub(super) fn best(
    places: impl IntoIterator<Item = usize>,
    value: impl Fn(usize) -> f64,
    most: usize,
) -> Vec<usize> {
    let mut valued: Vec<(f64, usize)> = places.into_iter().map(|place| (value(place), place)).collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if valued.len() > most && most > 0 {
        valued.select_nth_unstable_by(most - 1, order);
        valued.truncate(most);
    }
    valued.sort_by(order);
    valued.truncate(most);
    valued.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(values in proptest::collection::vec(0u8..6, 0..60), most in 0usize..70) {
            let mut all: Vec<usize> = (0..values.len()).collect();
            all.sort_by(|a, b| values[*b].cmp(&values[*a]).then(a.cmp(b)));
            all.truncate(most);
            prop_assert_eq!(best(0..values.len(), |at| f64::from(values[at]), most), all);
        }
    }
}
