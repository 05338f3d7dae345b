//! Arm (b), the strong baseline: static themes, which are the shop's own aisles and departments; all eligible products of a
//! theme are retrieved for it, the ranker orders them for the segment, and the themes with the most expected adds are shown,
//! most first.
//!
//! A theme's products are on sale under its name and nothing else is, so its retrieval is exact. Departments are themes too,
//! because aisles alone are too narrow to beat popularity: eight of one aisle crowd out the favourites of forty others. Themes
//! are taken greedily, each valued by what it adds to those before it, and no limit a product type or other wish than
//! expected adds weakens the page.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::SegmentId;
use crate::replay::ground::{Ground, best};
use crate::replay::page::{ReplayPage, ReplayPlacement};

pub(super) fn page(ground: &Ground<'_>, segment: &SegmentId, expected: &[f64]) -> ReplayPage {
    let shape = ground.shape;
    let items = ground.items();
    let most = shape.placements * shape.products_per_placement;
    // What a theme can ever show: its best ones, as many as a whole page holds.
    let themes: BTreeMap<&str, Vec<usize>> = ground
        .themes()
        .map(|(theme, places)| (theme, best(places.iter().copied(), |at| expected[at], most)))
        .collect();
    let mut shown: BTreeSet<usize> = BTreeSet::new();
    let mut placements: Vec<ReplayPlacement> = Vec::new();
    while placements.len() < shape.placements {
        let taken = |theme: &str| placements.iter().any(|placement| placement.title == theme);
        let row = |places: &[usize]| -> Vec<usize> {
            places
                .iter()
                .copied()
                .filter(|at| !shown.contains(at))
                .take(shape.products_per_placement)
                .collect()
        };
        let rows =
            themes.iter().filter(|(theme, _)| !taken(theme)).map(|(theme, places)| (*theme, row(places)));
        let rows: Vec<(&str, Vec<usize>)> =
            rows.filter(|(_, places)| places.len() >= shape.min_products).collect();
        let adds = |row: usize| rows[row].1.iter().map(|at| expected[*at]).sum();
        // Themes are in order of name, which decides ties.
        let Some(chosen) = best(0..rows.len(), adds, 1).pop() else { break };
        let (title, places) = &rows[chosen];
        shown.extend(places);
        placements.push(ReplayPlacement {
            title: (*title).to_owned(),
            cascade: false,
            products: places.iter().map(|at| items[*at].product.product_id.clone()).collect(),
        });
    }
    ReplayPage { segment_id: segment.clone(), placements }
}
