//! How scores are mixed and what a ranker placement may feature.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Weights and limits of fusion. The page's size and its rules are merchandising's, not these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Exponent of a product's relevance to its placement, 0..=4; 0 ignores it.
    pub relevance_weight: f32,
    /// Exponent of how well a product's type goes under the placement's title, 0..=4; 0 ignores it. More keeps placements
    /// closer to their titles and costs adds (docs/replay.md).
    pub evaluator_weight: f32,
    /// Further exponent of the fit in the order of a row, 0..=8: more has it begin with what its title says rather than with what
    /// sells.
    pub lead_weight: f32,
    /// How well a product at least goes under a title that promises it, 0..=1.
    pub promise: f32,
    /// A placement of the cascade begins with so many products that its title promises, where any were found; one with fewer
    /// stands on a page only where no other of the cascade's can. 0 ignores it.
    pub promised_products: usize,
    /// Exponent of what the ranker expects, 0..=4; 0 ignores it.
    pub ranker_weight: f32,
    /// Weight of what the segment bought in the last weeks beside what the ranker expects, 0..=1: 0 is the ranker alone.
    pub momentum: f32,
    /// How much an expected first purchase counts beside an expected purchase, 0..=10: 0 features what households buy
    /// anyway, more what they have not had in a while.
    pub discovery: f32,
    /// Exponent of a product's margin over the shop's mean, 0..=4; 0 ignores it, and so is a product without one.
    pub margin_weight: f32,
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
    /// Each further product of a type on the page counts this much of the one before, in (0, 1]: the page's diversity.
    pub repeat_discount: f32,
    /// Relevance of a product that is only of the type of one that a keyword found, as a share of that one's, 0..=1; 0 keeps
    /// such products off the cascade's placements.
    pub alternatives: f32,
    /// The same of one that is only of its aisle.
    pub aisle_alternatives: f32,
    /// Products of a cascade placement that no keyword found, but that are bought together with what was found, at most;
    /// never more than half of the placement.
    pub max_companions: usize,
    /// Companions and products that are only of a found aisle, together at most: the rest of a cascade placement was found,
    /// or is of a found type. Fewer keep it closer to its title and cost adds (docs/replay.md).
    pub max_guests: usize,
    /// How much oftener than the average purchase a companion must be bought with what was found, 1..=100.
    pub companion_affinity: f32,
    /// Share of a page's placements that are the cascade's, where it has as many good ones, 0..=1.
    pub cascade_share: f32,
    /// Titles of the placements that hold the ranker's best products of any aisle, the first one's first. As many stand on
    /// a page as the cascade leaves room for; what they leave is filled with aisles.
    pub favorites: Vec<String>,
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
            relevance_weight: 0.1,
            evaluator_weight: 0.3,
            lead_weight: 2.0,
            promise: 0.6,
            promised_products: 1,
            ranker_weight: 1.0,
            momentum: 0.2,
            discovery: 0.5,
            margin_weight: 0.0,
            objective_tilt: 0.5,
            out_of_season: 0.25,
            season_lead_days: 35,
            model_order_weight: 0.1,
            max_per_type: 3,
            repeat_discount: 0.98,
            alternatives: 0.9,
            aisle_alternatives: 0.25,
            max_companions: 4,
            max_guests: 6,
            companion_affinity: 1.1,
            cascade_share: 0.5,
            favorites: ["Everyday favorites", "More of what you love", "Popular picks for you"]
                .map(ToOwned::to_owned)
                .to_vec(),
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
        within("evaluator_weight", self.evaluator_weight, 0.0, 4.0)?;
        within("lead_weight", self.lead_weight, 0.0, 8.0)?;
        within("promise", self.promise, 0.0, 1.0)?;
        within("ranker_weight", self.ranker_weight, 0.0, 4.0)?;
        within("objective_tilt", self.objective_tilt, 0.0, 4.0)?;
        within("out_of_season", self.out_of_season, f32::MIN_POSITIVE, 1.0)?;
        within("season_lead_days", self.season_lead_days, 0, 120)?;
        within("model_order_weight", self.model_order_weight, 0.0, 1.0)?;
        within("momentum", self.momentum, 0.0, 1.0)?;
        within("discovery", self.discovery, 0.0, 10.0)?;
        within("margin_weight", self.margin_weight, 0.0, 4.0)?;
        within("max_per_type", self.max_per_type, 1, usize::MAX)?;
        within("repeat_discount", self.repeat_discount, f32::MIN_POSITIVE, 1.0)?;
        within("alternatives", self.alternatives, 0.0, 1.0)?;
        within("aisle_alternatives", self.aisle_alternatives, 0.0, 1.0)?;
        within("companion_affinity", self.companion_affinity, 1.0, 100.0)?;
        within("cascade_share", self.cascade_share, 0.0, 1.0)?;
        within("min_cascade_placements", self.min_cascade_placements, 0, 12)
    }
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, low: T, high: T) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(format!("{key} is {value}; it must be within {low} and {high}"))
}
