//! Learns fusion's weights on validation windows: coordinate ascent over a grid of each.
//!
//! What a page may look like (how many products of a type, how close a companion must be, how much of the page is the cascade's) is
//! the merchandiser's to say. What a product is *worth* is learned. The objective is a visit's cart adds, those of products new to the
//! household counted more, so it has a piecewise-constant landscape without gradients; one weight at a time is tried over its
//! grid and the best kept, until a round changes nothing.

use serde::Serialize;

use super::evaluate::Tally;
use crate::fuse::Settings;

/// A weight of fusion that is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    Momentum,
    Discovery,
    RelevanceWeight,
    EvaluatorWeight,
    ModelOrderWeight,
}

impl Weight {
    pub const ALL: [Self; 5] = [
        Self::Momentum,
        Self::Discovery,
        Self::RelevanceWeight,
        Self::EvaluatorWeight,
        Self::ModelOrderWeight,
    ];

    /// Its key in `[fuse]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Momentum => "momentum",
            Self::Discovery => "discovery",
            Self::RelevanceWeight => "relevance_weight",
            Self::EvaluatorWeight => "evaluator_weight",
            Self::ModelOrderWeight => "model_order_weight",
        }
    }

    /// Neither relevance nor the evaluator drops out altogether: without them a placement need not be about its title.
    fn grid(self) -> &'static [f32] {
        match self {
            Self::Momentum => &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
            Self::Discovery => &[0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0],
            Self::RelevanceWeight => &[0.1, 0.2, 0.3, 0.4],
            Self::EvaluatorWeight => &[0.2, 0.3, 0.4, 0.6],
            Self::ModelOrderWeight => &[0.0, 0.1, 0.2],
        }
    }

    pub fn of(self, settings: &Settings) -> f32 {
        match self {
            Self::Momentum => settings.momentum,
            Self::Discovery => settings.discovery,
            Self::RelevanceWeight => settings.relevance_weight,
            Self::EvaluatorWeight => settings.evaluator_weight,
            Self::ModelOrderWeight => settings.model_order_weight,
        }
    }

    fn set(self, settings: &mut Settings, value: f32) {
        let weight = match self {
            Self::Momentum => &mut settings.momentum,
            Self::Discovery => &mut settings.discovery,
            Self::RelevanceWeight => &mut settings.relevance_weight,
            Self::EvaluatorWeight => &mut settings.evaluator_weight,
            Self::ModelOrderWeight => &mut settings.model_order_weight,
        };
        *weight = value;
    }
}

/// A setting that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    #[serde(skip)]
    pub settings: Settings,
    pub adds_per_view: f64,
    pub new_adds_per_view: f64,
    /// `adds per view + new_add_weight · new adds per view`.
    pub objective: f64,
}

/// Where a search began and ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Learned {
    pub before: Trial,
    pub after: Trial,
    /// Settings whose pages were made.
    pub tried: usize,
}

/// Rounds over all weights, at most.
const ROUNDS: usize = 4;

/// Starts from `start`. Of equal trials the earlier wins, so that it stays where it is unless something is better.
///
/// `evaluate` makes the pages of some settings and counts the adds of the validation windows.
pub fn search(
    start: &Settings,
    new_add_weight: f64,
    mut evaluate: impl FnMut(&Settings) -> Tally,
) -> Learned {
    let mut tried = 0;
    let mut trial = |settings: Settings| {
        tried += 1;
        let tally = evaluate(&settings);
        let (adds_per_view, new_adds_per_view) = (tally.adds_per_view(), tally.new_adds_per_view());
        let objective = adds_per_view + new_add_weight * new_adds_per_view;
        Trial { settings, adds_per_view, new_adds_per_view, objective }
    };
    let first = trial(start.clone());
    let mut best = first.clone();
    for _ in 0..ROUNDS {
        let before = best.objective;
        for weight in Weight::ALL {
            let now = weight.of(&best.settings);
            for value in weight.grid().iter().filter(|value| **value != now) {
                let mut settings = best.settings.clone();
                weight.set(&mut settings, *value);
                let other = trial(settings);
                if other.objective > best.objective {
                    best = other;
                }
            }
        }
        if best.objective <= before {
            break;
        }
    }
    Learned { before: first, after: best, tried }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(adds: f64, new_adds: f64) -> Tally {
        Tally { views: 1.0, visits: 1.0, adds, new_adds, attraction: 0.0 }
    }

    /// A smooth hill whose top lies on the grid, and not where the search starts.
    fn hill(settings: &Settings) -> Tally {
        let adds = 1.0 - (settings.momentum - 0.4).powi(2) - 0.5 * (settings.relevance_weight - 0.4).powi(2);
        tally(f64::from(adds), f64::from(settings.discovery.min(0.6)))
    }

    #[test]
    fn the_top_of_a_hill_is_found() {
        let Learned { after: best, tried, .. } = search(&Settings::default(), 0.5, hill);
        assert_eq!((best.settings.momentum, best.settings.relevance_weight), (0.4, 0.4));
        assert_eq!(best.settings.discovery, 0.6, "more of it brings nothing");
        assert!((best.objective - (best.adds_per_view + 0.5 * best.new_adds_per_view)).abs() < 1e-12);
        assert!(tried > 30, "a second round makes sure");
    }

    #[test]
    fn what_changes_nothing_stays() {
        let start = Settings::default();
        let learned = search(&start, 0.5, |_| tally(1.0, 0.2));
        assert_eq!(learned.after, learned.before);
    }

    #[test]
    fn new_adds_count_as_much_as_they_are_said_to() {
        let trade = |settings: &Settings| {
            tally(1.0 - 0.3 * f64::from(settings.discovery), f64::from(settings.discovery))
        };
        let found = |weight: f64| search(&Settings::default(), weight, trade).after.settings.discovery;
        assert_eq!((found(0.1), found(0.9)), (0.0, 1.0));
    }
}
