//! How scores are mixed and what a ranker placement may feature.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Weights and limits of fusion. The page's size and its rules are merchandising's, not these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Exponent of a product's relevance to its placement, 0..=4; 0 ignores it.
    pub relevance_weight: f32,
    /// Exponent of the pointwise ranker's score, 0..=4; 0 ignores it.
    pub ranker_weight: f32,
    /// How far the objective tilts the ranker: favoured products count `1 + objective_tilt` times, 0..=4.
    pub objective_tilt: f32,
    /// Factor on the ranker's score of a product whose season is over or far off, in (0, 1].
    pub out_of_season: f32,
    /// How early a holiday's products are in season, days before it, 0..=120.
    pub season_lead_days: i64,
    /// How much of a placement's value its place in the model's own order decides, 0..=1.
    pub model_order_weight: f32,
    /// Products of one type in a placement, >= 1.
    pub max_per_type: usize,
    /// A page left with fewer placements of the cascade becomes the ranker's page, 0..=12.
    pub min_cascade_placements: usize,
    /// The ranker alone never features products with one of these tags. A campaign or quota that names an
    /// aisle, type or product still does.
    pub never_featured_tags: BTreeSet<String>,
    /// Nor products of these aisles: what a shopper would rather look for than be shown, and what says
    /// something about a household.
    pub never_featured_aisles: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        Self {
            relevance_weight: 0.6,
            ranker_weight: 0.4,
            objective_tilt: 0.5,
            out_of_season: 0.25,
            season_lead_days: 35,
            model_order_weight: 0.1,
            max_per_type: 2,
            min_cascade_placements: 2,
            never_featured_tags: texts(&["tobacco", "pharmacy", "clinical", "intimate"]),
            never_featured_aisles: texts(&[
                "Automotive",
                "Baby care",
                "Baby food",
                "Baby formula",
                "Cold, flu and allergy",
                "Diapers and wipes",
                "Diet and nutrition",
                "Digestive health",
                "Eye, ear and foot care",
                "Feminine care",
                "First aid",
                "Incontinence care",
                "Pain relief",
                "Pest control",
                "Pharmacy aids",
                "Store services",
                "Tobacco",
            ]),
        }
    }
}

impl Settings {
    /// Checks every value; the message names the key.
    pub fn validate(&self) -> Result<(), String> {
        within("relevance_weight", self.relevance_weight, 0.0, 4.0)?;
        within("ranker_weight", self.ranker_weight, 0.0, 4.0)?;
        within("objective_tilt", self.objective_tilt, 0.0, 4.0)?;
        within("out_of_season", self.out_of_season, f32::MIN_POSITIVE, 1.0)?;
        within("season_lead_days", self.season_lead_days, 0, 120)?;
        within("model_order_weight", self.model_order_weight, 0.0, 1.0)?;
        within("max_per_type", self.max_per_type, 1, usize::MAX)?;
        within("min_cascade_placements", self.min_cascade_placements, 0, 12)
    }
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, low: T, high: T) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(format!("{key} is {value}; it must be within {low} and {high}"))
}
