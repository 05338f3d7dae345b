//! What the shop knows of a segment, as the first stage reads it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};

use super::SegmentId;
use super::calendar::{self, Season};

/// A row of `segments.parquet` plus the merchandising active on `as_of`.
///
/// As JSON it has the nested shape of a recorded teacher context; `season` and `upcoming` follow from `as_of` and are
/// written but never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct SegmentContext {
    pub segment_id: SegmentId,
    /// Features use nothing from on or after this date.
    pub as_of: NaiveDate,
    pub households: u32,
    /// The model may read it; no output may reveal it (QA-2).
    pub demographics: BTreeMap<String, String>,
    pub shopping: Shopping,
    /// Most telling first.
    pub distinctive: Vec<Distinctive>,
    /// Bought most often, first first.
    pub staples: Vec<String>,
    /// Growing over the last 28 days against the 56 before.
    pub rising: Vec<String>,
    pub session: BTreeMap<String, String>,
    pub merchandising: ActiveMerchandising,
}

/// How the segment shops. Shares are in 0..1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Shopping {
    pub visits_per_week: f32,
    /// Store currency a visit.
    pub basket_value: f32,
    pub private_label_share: f32,
    pub on_promotion_share: f32,
    pub evening_share: f32,
    pub weekend_share: f32,
}

/// A product type the segment buys more than the population does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distinctive {
    pub name: String,
    pub aisle: String,
    /// Share of the segment's households that bought it, 0..1.
    pub households: f32,
    /// That share over the population's, smoothed.
    pub lift: f32,
}

/// The merchandising active on a date, as sentences a model can read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActiveMerchandising {
    pub objective: String,
    #[serde(default)]
    pub campaign: Option<ActiveCampaign>,
    #[serde(default)]
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveCampaign {
    pub name: String,
    /// Aisles or product types.
    pub feature: Vec<String>,
}

impl SegmentContext {
    pub fn season(&self) -> Season {
        Season::of(self.as_of)
    }

    /// True when there is nothing to build a page on: no purchases in the window.
    pub fn has_no_history(&self) -> bool {
        self.distinctive.is_empty() && self.staples.is_empty() && self.rising.is_empty()
    }

    /// Every product type the context names, most telling first, each once.
    pub fn signals(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        let distinctive = self.distinctive.iter().map(|item| item.name.as_str());
        let others = self.rising.iter().chain(&self.staples).map(String::as_str);
        distinctive.chain(others).filter(|name| seen.insert(*name)).collect()
    }
}

/// The JSON shape of a context.
#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    segment_id: SegmentId,
    as_of: NaiveDate,
    #[serde(default, skip_deserializing)]
    season: Option<Season>,
    #[serde(default, skip_deserializing)]
    upcoming: Vec<String>,
    households: u32,
    #[serde(default, deserialize_with = "texts")]
    demographics: BTreeMap<String, String>,
    shopping: Shopping,
    #[serde(default)]
    distinctive: Vec<Distinctive>,
    #[serde(default)]
    staples: Vec<String>,
    #[serde(default)]
    rising: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "texts")]
    session: BTreeMap<String, String>,
    #[serde(default)]
    merchandising: ActiveMerchandising,
}

/// Reads a map whose values may be numbers (`with_kids: 0.15`) as texts.
fn texts<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, serde_json::Value>::deserialize(input)?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(key, value)| (key, text(value))).collect())
}

impl From<Wire> for SegmentContext {
    fn from(wire: Wire) -> Self {
        Self {
            segment_id: wire.segment_id,
            as_of: wire.as_of,
            households: wire.households,
            demographics: wire.demographics,
            shopping: wire.shopping,
            distinctive: wire.distinctive,
            staples: wire.staples,
            rising: wire.rising,
            session: wire.session,
            merchandising: wire.merchandising,
        }
    }
}

impl From<SegmentContext> for Wire {
    fn from(context: SegmentContext) -> Self {
        let announce = |next: &calendar::Upcoming| format!("{} in {} days", next.holiday.name(), next.days);
        Self {
            season: Some(context.season()),
            upcoming: calendar::upcoming(context.as_of).iter().map(announce).collect(),
            segment_id: context.segment_id,
            as_of: context.as_of,
            households: context.households,
            demographics: context.demographics,
            shopping: context.shopping,
            distinctive: context.distinctive,
            staples: context.staples,
            rising: context.rising,
            session: context.session,
            merchandising: context.merchandising,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_context_is_read_and_written_in_its_own_shape() {
        let text = r#"{"segment_id":"train-0000","as_of":"2017-12-11","season":"winter","upcoming":["Christmas in 14 days","New Year's Eve in 20 days","New Year in 21 days"],"households":29,"demographics":{"age":"45-54","with_kids":0.15},"shopping":{"visits_per_week":1.8,"basket_value":20.16,"private_label_share":0.17,"on_promotion_share":0.15,"evening_share":0.53,"weekend_share":0.28},"distinctive":[{"name":"Asparagus","aisle":"Fresh vegetables","households":0.24,"lift":3.4}],"staples":["White milk"],"rising":[],"merchandising":{"objective":"basket building","campaign":null,"rules":["no alcohol"]}}"#;
        let context: SegmentContext = serde_json::from_str(text).expect("context");
        assert_eq!(context.demographics["with_kids"], "0.15");
        let expected = text.replace("0.15}", "\"0.15\"}");
        assert_eq!(serde_json::to_string(&context).expect("json"), expected);
    }

    #[test]
    fn signals_are_each_named_once() {
        let text = r#"{"segment_id":"s","as_of":"2017-07-17","households":1,"shopping":{"visits_per_week":1,"basket_value":2,"private_label_share":0,"on_promotion_share":0,"evening_share":0,"weekend_share":0},"distinctive":[{"name":"Kale","aisle":"Fresh vegetables","households":0.2,"lift":3}],"staples":["Milk","Kale"],"rising":["Plums"]}"#;
        let context: SegmentContext = serde_json::from_str(text).expect("context");
        assert_eq!(context.signals(), ["Kale", "Plums", "Milk"]);
    }
}
