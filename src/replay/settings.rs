//! `[replay]` of the config.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::eval::Bootstrap;

/// A replay's ranker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankerChoice {
    /// Trees, trained at each origin on what came before it.
    Learned,
    /// Smoothed purchase rates.
    Rates,
}

/// Which weeks are replayed, and how sure the figures are to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Each origin's pages are made from what came before it; ascending, each once.
    pub origins: Vec<NaiveDate>,
    /// Held-out weeks an origin, 1..=52.
    pub weeks: u32,
    /// Last day that the students' training contexts reach: an origin after it is clean, and the headline is pooled over
    /// the clean ones. A training set in `models/training` that reaches further counts instead.
    pub training_end: NaiveDate,
    /// Who ranks products, in all arms that are ranked.
    pub ranker: RankerChoice,
    /// Weights of first purchases (`fuse.discovery`) whose pages draw the frontier of all adds against new ones; ascending.
    pub frontier: Vec<f32>,
    /// Origins whose held-out weeks `endcap train fusion` learns on; they end before the first clean origin.
    pub validation: Vec<NaiveDate>,
    /// How much more an add of a product new to its household counts there, 0..=10.
    pub new_add_weight: f64,
    /// Resamples of households, 100..=100,000.
    pub resamples: usize,
    /// Coverage of the intervals, 0.5..1.
    pub level: f64,
    /// Of the resamples.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let day = |month, day| NaiveDate::from_ymd_opt(2017, month, day).unwrap_or_default();
        Self {
            origins: vec![day(9, 4), day(10, 2), day(11, 6), day(12, 4)],
            weeks: 4,
            training_end: day(10, 15),
            ranker: RankerChoice::Learned,
            frontier: vec![0.0, 0.25, 0.5, 0.75, 1.0, 1.5],
            validation: vec![day(9, 4), day(10, 2)],
            new_add_weight: 1.0,
            resamples: 2_000,
            level: 0.95,
            seed: 1,
        }
    }
}

impl Settings {
    /// Checks every value; the message names the key.
    pub fn validate(&self) -> Result<(), String> {
        if self.origins.is_empty() || !self.origins.is_sorted_by(|a, b| a < b) {
            return Err("origins must be one date or more, ascending, each once".into());
        }
        if !(1..=52).contains(&self.weeks) {
            return Err(format!("weeks is {}; it must be within 1 and 52", self.weeks));
        }
        let amounts = self.frontier.iter().all(|weight| (0.0..=10.0).contains(weight));
        if !amounts || !self.frontier.is_sorted_by(|a, b| a < b) {
            return Err("frontier must be weights within 0 and 10, ascending, each once".into());
        }
        if self.validation.is_empty() || !self.validation.is_sorted_by(|a, b| a < b) {
            return Err("validation must be one date or more, ascending, each once".into());
        }
        if !(0.0..=10.0).contains(&self.new_add_weight) {
            return Err(format!("new_add_weight is {}; it must be within 0 and 10", self.new_add_weight));
        }
        if !(100..=100_000).contains(&self.resamples) {
            return Err(format!("resamples is {}; it must be within 100 and 100000", self.resamples));
        }
        if !(0.5..1.0).contains(&self.level) {
            return Err(format!("level is {}; it must be at least 0.5 and below 1", self.level));
        }
        Ok(())
    }

    pub fn bootstrap(&self) -> Bootstrap {
        Bootstrap { resamples: self.resamples, level: self.level, seed: self.seed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_key_that_is_wrong() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let mut unordered = Settings::default();
        unordered.origins.reverse();
        for (settings, key) in [
            (unordered, "origins"),
            (Settings { weeks: 0, ..Settings::default() }, "weeks"),
            (Settings { frontier: vec![0.5, 0.25], ..Settings::default() }, "frontier"),
            (Settings { validation: Vec::new(), ..Settings::default() }, "validation"),
            (Settings { new_add_weight: -1.0, ..Settings::default() }, "new_add_weight"),
            (Settings { resamples: 1, ..Settings::default() }, "resamples"),
            (Settings { level: 1.0, ..Settings::default() }, "level"),
        ] {
            let message = settings.validate().expect_err(key);
            assert!(message.starts_with(key), "{message}");
        }
    }
}
