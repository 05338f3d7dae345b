//! What is bought together: the affinity of product types over visits.
//!
//! With *n* visits, *a* and *b* of them holding a type and *c* both, types go together with lift `(c + k) / (a·b/n + k)` (Brin et
//! al., "Dynamic itemset counting and implication rules for market basket data", SIGMOD 1997), shrunk to 1 by *k* imagined
//! visits where little is expected. In large baskets all lifts are above 1, so a type's lift is divided by its mean over
//! all purchases: an affinity of 1 is that of the average purchase.

use std::collections::HashMap;

use super::history::{Bought, History};

/// *k*, visits.
const PRIOR_VISITS: f64 = 5.0;

/// Affinities of all pairs of types.
#[derive(Debug, Clone)]
pub(super) struct Baskets {
    visits: f64,
    /// Visits that hold each type.
    holding: Vec<f64>,
    /// The same of pairs, the lower number first.
    together: HashMap<(u32, u32), u32>,
    /// A type's lift, mean over all purchases.
    mean: Vec<f64>,
}

impl Baskets {
    pub(super) fn new(history: &History) -> Self {
        let types = history.shelves.type_aisle.len();
        let mut baskets = Self {
            visits: history.visits.len().max(1) as f64,
            holding: vec![0.0; types],
            together: HashMap::new(),
            mean: vec![1.0; types],
        };
        for basket in history.bought.chunk_by(|a, b| a.visit == b.visit) {
            baskets.add(basket, |product| history.shelves.type_of(product));
        }
        baskets.mean = baskets.means();
        baskets
    }

    fn add(&mut self, basket: &[Bought], type_of: impl Fn(u32) -> u32) {
        let mut types: Vec<u32> = basket.iter().map(|line| type_of(line.product)).collect();
        types.sort_unstable();
        types.dedup();
        for (at, kind) in types.iter().enumerate() {
            self.holding[*kind as usize] += 1.0;
            for other in &types[at + 1..] {
                *self.together.entry((*kind, *other)).or_insert(0) += 1;
            }
        }
    }

    fn lift(&self, a: u32, b: u32) -> f64 {
        let (of_a, of_b) = (self.holding[a as usize], self.holding[b as usize]);
        let both = match a == b {
            true => of_a,
            false => f64::from(self.together.get(&(a.min(b), a.max(b))).copied().unwrap_or(0)),
        };
        (both + PRIOR_VISITS) / (of_a * of_b / self.visits + PRIOR_VISITS)
    }

    fn means(&self) -> Vec<f64> {
        let purchases: f64 = self.holding.iter().sum();
        if purchases == 0.0 {
            return vec![1.0; self.holding.len()];
        }
        let types = self.holding.len() as u32;
        let mean = |of: u32| {
            let weighed = (0..types).map(|with| self.holding[with as usize] * self.lift(with, of));
            weighed.sum::<f64>() / purchases
        };
        (0..types).map(mean).collect()
    }

    /// Of two types of the shop: how much oftener `kind` is bought with `with` than with the average purchase.
    pub(super) fn affinity(&self, with: u32, kind: u32) -> f64 {
        self.lift(with, kind) / self.mean[kind as usize]
    }
}
