//! What can be said of an arm's pages: how much of the shop they show, how evenly, and how mixed each page is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::ground::Ground;
use super::page::{Pages, ReplayPage};
use crate::domain::{Product, ProductId, SegmentId};

/// Figures of one arm's pages at one origin. Means are over pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PageFigures {
    pub pages: usize,
    /// Pages without a product.
    pub empty: usize,
    /// Products a page.
    pub products: f64,
    /// Share of the catalogue shown to at least one segment, 0..1.
    pub coverage: f64,
    /// Of the eligible products' exposure, 0 (even) to 1 (one product has all).
    pub gini: f64,
    /// Distinct product types a page.
    pub types: f64,
    /// Distinct aisles a page.
    pub aisles: f64,
    /// Mean distance of a page's pairs of products along department, aisle and type, 0..1.
    pub diversity: f64,
    /// Share of the placements that the cascade wrote, 0..1.
    pub cascade_placements: f64,
    /// Share of the products that stand in such placements, 0..1.
    pub cascade_products: f64,
}

impl PageFigures {
    /// `views` weighs a segment's page in the exposure.
    pub fn of(pages: &Pages, ground: &Ground<'_>, views: &BTreeMap<&SegmentId, f64>) -> Self {
        let mut exposure: HashMap<&ProductId, f64> = HashMap::new();
        let mut sums = Self { pages: pages.len(), ..Self::default() };
        let (mut placements, mut cascade, mut shown, mut cascade_shown) = (0, 0, 0, 0);
        for (segment, page) in pages {
            let seen = views.get(segment).copied().unwrap_or(0.0);
            page.products().for_each(|id| *exposure.entry(id).or_default() += seen);
            placements += page.placements.len();
            shown += page.products().count();
            for placement in page.placements.iter().filter(|placement| placement.cascade) {
                cascade += 1;
                cascade_shown += placement.products.len();
            }
            sums.add(page, ground);
        }
        let count = pages.len().max(1) as f64;
        let of = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        Self {
            products: sums.products / count,
            types: sums.types / count,
            aisles: sums.aisles / count,
            diversity: sums.diversity / count,
            coverage: of(exposure.len(), ground.catalog.len()),
            gini: gini(exposure.into_values().collect(), ground.eligible()),
            cascade_placements: of(cascade, placements),
            cascade_products: of(cascade_shown, shown),
            ..sums
        }
    }

    fn add(&mut self, page: &ReplayPage, ground: &Ground<'_>) {
        let products: Vec<&Product> = page.products().filter_map(|id| ground.catalog.get(id)).collect();
        let distinct = |name: fn(&Product) -> &str| {
            products.iter().map(|product| name(product)).collect::<BTreeSet<_>>().len() as f64
        };
        self.empty += usize::from(products.is_empty());
        self.products += products.len() as f64;
        self.types += distinct(|product| &product.product_type);
        self.aisles += distinct(|product| &product.aisle);
        self.diversity += mean_distance(&products);
    }
}

/// Intra-list distance over the shop's hierarchy, as Ziegler et al. ("Improving recommendation lists through topic
/// diversification", WWW 2005) have it over a taxonomy: 0 within a type, 1/3 within an aisle, 2/3 within a department, else 1.
fn mean_distance(products: &[&Product]) -> f64 {
    let distance = |a: &Product, b: &Product| {
        let common = [a.department == b.department, a.aisle == b.aisle, a.product_type == b.product_type];
        1.0 - common.iter().take_while(|same| **same).count() as f64 / 3.0
    };
    let pairs =
        products.iter().enumerate().flat_map(|(at, a)| products[at + 1..].iter().map(move |b| (a, b)));
    let (sum, count) = pairs.fold((0.0, 0u32), |(sum, n), (a, b)| (sum + distance(a, b), n + 1));
    sum / f64::from(count.max(1))
}

/// The Gini coefficient of `exposure` over `eligible` products, those not named having none.
fn gini(mut exposure: Vec<f64>, eligible: usize) -> f64 {
    exposure.resize(exposure.len().max(eligible), 0.0);
    exposure.sort_by(f64::total_cmp);
    let total: f64 = exposure.iter().sum();
    if total <= 0.0 {
        return 0.0;
    }
    let count = exposure.len() as f64;
    let weighted: f64 = exposure.iter().enumerate().map(|(at, value)| (at as f64 + 1.0) * value).sum();
    2.0 * weighted / (count * total) - (count + 1.0) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gini_of_known_shares() {
        assert!(gini(vec![1.0; 4], 4).abs() < 1e-12);
        // One of four has all: 1 - 1/4.
        assert!((gini(vec![5.0], 4) - 0.75).abs() < 1e-12);
        // Shares 1 and 3: |1 - 3| / (2 · 2 · mean 2) · 2 pairs / 2 = 0.25.
        assert!((gini(vec![3.0, 1.0], 2) - 0.25).abs() < 1e-12);
        assert_eq!(gini(vec![], 9), 0.0);
    }
}
