//! `[rank]` of the config.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which ranker orders products, and how purchase rates are smoothed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Weight of the prior in a segment's rate, *m*: visits, > 0. A segment with as many of its own is
    /// believed half. The likelihood of all products asks for 2,000, because visits of one household repeat; but a page of 48
    /// products then misses 8 % of what the default's holds (docs/benchmarks.md).
    pub prior_visits: f64,
    /// Weight of the prior in the population's rates, *k*: visits, > 0. Keeps products that nobody bought
    /// above 0.
    pub population_prior_visits: f64,
    /// Folder of a ranker that `endcap train ranker` wrote; empty: the purchase rates.
    pub model: PathBuf,
    /// How a ranker is trained.
    pub train: Recipe,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prior_visits: 150.0,
            population_prior_visits: 20.0,
            model: PathBuf::new(),
            train: Recipe::default(),
        }
    }
}

impl Settings {
    /// Checks every value; the message names the key.
    pub fn validate(&self) -> Result<(), String> {
        for (key, value) in
            [("prior_visits", self.prior_visits), ("population_prior_visits", self.population_prior_visits)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("{key} is {value}; it must be a finite number above 0"));
            }
        }
        self.train.validate()
    }

    /// The settings that can change a page's bytes by themselves; a trained ranker is told apart by its digest.
    pub fn shaping(&self) -> impl Serialize {
        (self.prior_visits, self.population_prior_visits)
    }
}

/// `[rank.train]`: windows, trees, sampling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Length of a label window, and how far origins lie apart: days.
    pub label_days: u32,
    /// Origins that the trees are grown on, each a label window before the next; one more, the last before `as_of`, is
    /// kept for early stopping and calibration.
    pub training_origins: u32,
    /// Most trees.
    pub trees: usize,
    /// Shrinkage of each tree.
    pub learning_rate: f32,
    /// Most leaves of a tree.
    pub leaves: usize,
    /// Least sum of second derivatives in a leaf: about its expected purchases.
    pub min_leaf_purchases: f32,
    /// L2 penalty on leaf values: a leaf of so many expected purchases takes half its Newton step. The default is the best of
    /// 1, 300 and 1,000 by the held-out loss and page of the Complete Journey as of 2017-11-06.
    pub l2: f32,
    /// Bins a feature.
    pub bins: u16,
    /// Growing stops when the held-out loss has not fallen for so many trees.
    pub patience: usize,
    /// Share of the pairs a segment neither bought before nor in the label window that are trained on; they are weighted
    /// up to stand for all.
    pub unbought_share: f64,
    /// Products of the page that the held-out figures are about.
    pub page_products: usize,
    /// Of the sampling.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            label_days: 14,
            training_origins: 2,
            trees: 300,
            learning_rate: 0.15,
            leaves: 15,
            min_leaf_purchases: 5.0,
            l2: 300.0,
            bins: 128,
            patience: 20,
            unbought_share: 0.03,
            page_products: 48,
            seed: 1,
        }
    }
}

impl Recipe {
    fn validate(&self) -> Result<(), String> {
        let within = |key: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("train.{key} = {value} is not within {low}..={high}")),
        };
        within("label_days", f64::from(self.label_days), 1.0, 90.0)?;
        within("training_origins", f64::from(self.training_origins), 1.0, 24.0)?;
        within("trees", self.trees as f64, 1.0, 5000.0)?;
        within("learning_rate", f64::from(self.learning_rate), 0.001, 1.0)?;
        within("leaves", self.leaves as f64, 2.0, 512.0)?;
        within("min_leaf_purchases", f64::from(self.min_leaf_purchases), 0.0, 1e6)?;
        within("l2", f64::from(self.l2), 0.0, 1e6)?;
        within("bins", f64::from(self.bins), 8.0, 1024.0)?;
        within("patience", self.patience as f64, 1.0, 1000.0)?;
        within("unbought_share", self.unbought_share, 0.001, 1.0)?;
        within("page_products", self.page_products as f64, 1.0, 1000.0)
    }

    /// Days before `as_of` of each training origin, oldest first, and of the one held out.
    pub(super) fn origins(&self) -> (Vec<u32>, u32) {
        let training = (2..=self.training_origins + 1).rev().map(|step| step * self.label_days);
        (training.collect(), self.label_days)
    }

    /// Days of history from which training is possible.
    pub(super) fn least_days(&self) -> u32 {
        (self.training_origins + 2) * self.label_days
    }
}
