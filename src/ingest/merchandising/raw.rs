//! `merchandising.toml` as it is written, before names are looked up.

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, de};

use crate::domain::merchandising::{Objective, PageShape, QuotaScope};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    #[serde(default = "engagement")]
    pub objective: Objective,
    #[serde(default)]
    pub page: RawPage,
    /// Tags that rules may name although no product carries them tonight.
    #[serde(default)]
    pub known_tags: Vec<String>,
    #[serde(default, rename = "campaign")]
    pub campaigns: Vec<RawCampaign>,
    #[serde(default, rename = "rule")]
    pub rules: Vec<RawRule>,
}

fn engagement() -> Objective {
    Objective::Engagement
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPage {
    pub placements: usize,
    pub products_per_placement: usize,
    pub min_products: usize,
}

impl Default for RawPage {
    fn default() -> Self {
        let PageShape { placements, products_per_placement, min_products } = PageShape::default();
        Self { placements, products_per_placement, min_products }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCampaign {
    pub name: String,
    #[serde(default, deserialize_with = "date")]
    pub from: Option<NaiveDate>,
    #[serde(default, deserialize_with = "date")]
    pub to: Option<NaiveDate>,
    /// Aisles, product types or product ids.
    pub feature: Vec<String>,
    /// 1-based.
    pub position: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    pub id: String,
    #[serde(default, deserialize_with = "date")]
    pub from: Option<NaiveDate>,
    #[serde(default, deserialize_with = "date")]
    pub to: Option<NaiveDate>,
    pub segments: Option<Vec<String>>,
    pub sentence: Option<String>,
    pub pin: Option<RawPin>,
    pub boost: Option<RawWeight>,
    pub bury: Option<RawWeight>,
    pub block: Option<RawTarget>,
    pub quota: Option<RawQuota>,
    pub forbid_tags: Option<Vec<String>>,
    pub banned_phrases: Option<Vec<String>>,
    pub campaign_first: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPin {
    pub product: String,
    /// 1-based.
    pub position: usize,
}

/// The products an action speaks of: exactly one of the fields is set.
#[derive(Debug, Default)]
pub struct Selector<'a> {
    pub product: Option<&'a str>,
    pub product_type: Option<&'a str>,
    pub aisle: Option<&'a str>,
    pub tag: Option<&'a str>,
    pub private_label: Option<bool>,
}

/// An inline table with a selector's keys and its own (serde's `flatten` would let unknown keys pass).
macro_rules! with_selector {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            product: Option<String>,
            #[serde(rename = "type")]
            product_type: Option<String>,
            aisle: Option<String>,
            tag: Option<String>,
            private_label: Option<bool>,
            $(pub $field: $type,)*
        }

        impl $name {
            pub fn selector(&self) -> Selector<'_> {
                Selector {
                    product: self.product.as_deref(),
                    product_type: self.product_type.as_deref(),
                    aisle: self.aisle.as_deref(),
                    tag: self.tag.as_deref(),
                    private_label: self.private_label,
                }
            }
        }
    };
}

with_selector!(RawTarget {});
with_selector!(RawWeight { factor: f32 });
with_selector!(RawQuota { scope: QuotaScope, min: Option<usize>, max: Option<usize> });

/// A day, as a TOML date (`2017-11-06`) or the same in quotes.
fn date<'de, D: Deserializer<'de>>(input: D) -> Result<Option<NaiveDate>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a date such as 2017-11-06")]
    enum Written {
        Toml(toml::value::Datetime),
        Text(String),
    }
    let text = match Written::deserialize(input)? {
        Written::Toml(date) => date.to_string(),
        Written::Text(text) => text,
    };
    text.parse()
        .map(Some)
        .map_err(|_| de::Error::custom(format!("{text:?} is not a date such as 2017-11-06")))
}
