//! What the trees are grown on: pairs of segment and product, the features of one origin, the purchases after it.

use chrono::Days;
use rayon::prelude::*;

use crate::trees::Table;

use super::features::{Features, Row, Shop};
use super::history::Labels;
use super::schema::Feature;
use super::{RankError, Recipe};

/// Rows, what each is to predict and how much it counts.
#[derive(Default)]
pub(super) struct Examples {
    pub rows: Vec<Row>,
    /// Visits of the label window that held the product, over all of the segment's: 0..=1.
    pub labels: Vec<f64>,
    /// Visits it stands for, > 0.
    pub weights: Vec<f64>,
}

impl Examples {
    /// Of all segments that visited in the `recipe.label_days` after the origin.
    pub(super) fn new(features: &Features<'_>, labels: &Labels, origin: u32, recipe: &Recipe) -> Self {
        let of_segment = |segment: usize| {
            let mut examples = Self::default();
            let visits = f64::from(labels.visits[segment]);
            if visits == 0.0 {
                return examples;
            }
            features.each(segment, |product, row, own| {
                let key = (segment as u32, product as u32);
                let bought = labels.bought.get(&key).copied().unwrap_or(0);
                let always = bought > 0 || own.is_some();
                if always || drawn(recipe, origin, key) {
                    examples.rows.push(*row);
                    examples.labels.push(f64::from(bought) / visits);
                    examples.weights.push(if always { visits } else { visits / recipe.unbought_share });
                }
            });
            examples
        };
        (0..labels.visits.len()).into_par_iter().map(of_segment).collect::<Vec<_>>().into_iter().collect()
    }

    pub(super) fn table(&self) -> Table<'_, Row> {
        Table { rows: &self.rows, labels: &self.labels, weights: &self.weights }
    }

    /// Refuses a row that holds a number that is not finite.
    pub(super) fn check(&self) -> Result<(), RankError> {
        for row in &self.rows {
            if let Some(at) = row.iter().position(|value| !value.is_finite()) {
                return Err(RankError::NotFinite {
                    segment: "of the training table".into(),
                    product: "of the training table".into(),
                    feature: Feature::ALL[at].name().into(),
                    value: row[at],
                });
            }
        }
        Ok(())
    }
}

impl FromIterator<Examples> for Examples {
    fn from_iter<T: IntoIterator<Item = Self>>(parts: T) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.rows.extend(part.rows);
            all.labels.extend(part.labels);
            all.weights.extend(part.weights);
        }
        all
    }
}

/// Whether a pair that was never bought is in the sample: a function of the seed and the pair, so the same for any number
/// of threads.
fn drawn(recipe: &Recipe, origin: u32, (segment, product): (u32, u32)) -> bool {
    let pair = u64::from(segment) << 32 | u64::from(product);
    let mixed = split_mix(split_mix(recipe.seed ^ u64::from(origin)) ^ pair);
    ((mixed >> 11) as f64) < recipe.unbought_share * (1u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The label window that begins `origin` days before `as_of`; refuses one that, or whose past, is empty.
pub(super) fn window(shop: Shop<'_>, origin: u32, recipe: &Recipe) -> Result<Labels, RankError> {
    let history = shop.history;
    let day = |before: u32| history.as_of.checked_sub_days(Days::new(before.into())).unwrap_or(history.as_of);
    let empty = |window, from: u32, to: u32, lacks| RankError::EmptyWindow {
        window,
        from: day(from),
        to: day(to),
        lacks,
        days: recipe.least_days(),
    };
    if !history.visits.iter().any(|visit| visit.day > origin) {
        return Err(empty("feature", history.span.max(origin), origin, "visit"));
    }
    let labels = history.labels(origin, recipe.label_days);
    let to = origin - recipe.label_days;
    if labels.visits.iter().all(|visits| *visits == 0) {
        return Err(empty("label", origin, to, "visit"));
    }
    if labels.bought.is_empty() {
        return Err(empty("label", origin, to, "purchase of a product of the catalogue"));
    }
    Ok(labels)
}
