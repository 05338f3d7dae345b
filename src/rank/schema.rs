//! The ranker's features: one definition that training and scoring share.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::domain::Digest;

macro_rules! features {
    ($($variant:ident $name:literal $meaning:literal,)*) => {
        /// A column of the feature table. Its number is its place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Feature { $($variant,)* }

        impl Feature {
            /// In the order of the columns.
            pub const ALL: [Self; [$($name,)*].len()] = [$(Self::$variant,)*];

            /// All names, in that order.
            pub const NAMES: [&'static str; [$($name,)*].len()] = [$($name,)*];

            /// The column's name, as in `model.txt`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it measures and in which unit. Part of the schema's digest.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

features! {
    Rate "rate" "segment's purchases a visit, prior of 2,000 visits at the population's",
    LightRate "light_rate" "the same, prior of 150 visits",
    OwnRate "own_rate" "segment's purchases a visit, unsmoothed",
    RecentRate "recent_rate" "the same, visits halved in weight every 14 days, plus 20 visits of nothing",
    PopulationRate "population_rate" "all segments' purchases a visit, smoothed along the hierarchy",
    RecentPopulationRate "recent_population_rate" "all segments' purchases a visit, halved every 14 days",
    TypeRate "type_rate" "segment's purchases of the product's type a visit",
    TypeAffinity "type_affinity" "segment's rate of the type over the population's",
    AisleAffinity "aisle_affinity" "segment's rate of the aisle over the population's",
    HouseholdMix "household_mix" "sum over households of visit share times own rate, prior of 3 visits of nothing",
    SlowHouseholdMix "slow_household_mix" "the same, prior of 10 visits",
    Buyers "buyers" "share of the segment's households that bought it",
    BuyerVisits "buyer_visits" "share of the segment's visits by households that bought it",
    RepeaterVisits "repeater_visits" "share of the segment's visits by households that bought it twice or more",
    DaysSince "days_since" "days since the segment bought it, 100 for never",
    PopulationDaysSince "population_days_since" "days since anybody bought it, 100 for never",
    Due "due" "days since over repurchase interval, mean over the segment's repeaters, at most 4; 5 for none",
    RepurchaseInterval "repurchase_interval" "days between purchases of a household, mean over repeaters; 100 for none",
    RepurchaseShare "repurchase_share" "share of buying households that bought again",
    Price "price" "store currency",
    RelativePrice "relative_price" "price over what the segment pays an item",
    Promotion "promotion" "price paid in the last 14 days over that of the whole window; 1.05 for not bought lately",
    PrivateLabel "private_label" "0 or 1",
    Trend "trend" "population's rate of the last 14 days over that of the whole window",
    TypeTrend "type_trend" "the same of the product's type",
    DaysToHoliday "days_to_holiday" "days to the holiday the product is tagged for, at most 100; 120 for no tag",
    TextSimilarity "text_similarity" "cosine of the type's vector and the segment's profile less the population's",
    SegmentVisits "segment_visits" "visits of the segment",
    Concentration "concentration" "sum over households of squared visit share",
}

/// How many there are.
pub const FEATURES: usize = Feature::ALL.len();

/// The table's Arrow schema: `FEATURES` columns of f32, none null.
pub fn schema() -> Arc<Schema> {
    let field = |feature: &Feature| Field::new(feature.name(), DataType::Float32, false);
    Arc::new(Schema::new(Feature::ALL.iter().map(field).collect::<Vec<_>>()))
}

/// Names, order and meanings. A ranker of another schema is refused.
pub fn schema_digest() -> Digest {
    Digest::of_parts(
        Feature::ALL.iter().flat_map(|feature| [feature.name().as_bytes(), feature.meaning().as_bytes()]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_numbers_are_places() {
        let names: std::collections::BTreeSet<&str> =
            Feature::ALL.iter().map(|feature| feature.name()).collect();
        assert_eq!(names.len(), FEATURES);
        for (at, feature) in Feature::ALL.iter().enumerate() {
            assert_eq!(*feature as usize, at);
            assert!(feature.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
        assert_eq!(schema().fields().len(), FEATURES);
    }
}
