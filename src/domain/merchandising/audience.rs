//! Segments by what they are like.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::{SegmentContext, SegmentId};

/// A number of a segment that an audience may bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trait {
    Households,
    VisitsPerWeek,
    BasketValue,
    PrivateLabelShare,
    OnPromotionShare,
    EveningShare,
    WeekendShare,
}

impl Trait {
    pub const ALL: [Self; 7] = [
        Self::Households,
        Self::VisitsPerWeek,
        Self::BasketValue,
        Self::PrivateLabelShare,
        Self::OnPromotionShare,
        Self::EveningShare,
        Self::WeekendShare,
    ];

    /// Its key in the file: the column of `segments.parquet`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Households => "households",
            Self::VisitsPerWeek => "visits_per_week",
            Self::BasketValue => "basket_value",
            Self::PrivateLabelShare => "private_label_share",
            Self::OnPromotionShare => "on_promotion_share",
            Self::EveningShare => "evening_share",
            Self::WeekendShare => "weekend_share",
        }
    }

    /// Whether it is a share, 0..1.
    pub fn is_share(self) -> bool {
        !matches!(self, Self::Households | Self::VisitsPerWeek | Self::BasketValue)
    }

    fn of(self, context: &SegmentContext) -> f32 {
        let shopping = &context.shopping;
        match self {
            Self::Households => context.households as f32,
            Self::VisitsPerWeek => shopping.visits_per_week,
            Self::BasketValue => shopping.basket_value,
            Self::PrivateLabelShare => shopping.private_label_share,
            Self::OnPromotionShare => shopping.on_promotion_share,
            Self::EveningShare => shopping.evening_share,
            Self::WeekendShare => shopping.weekend_share,
        }
    }
}

/// A trait within bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    pub of: Trait,
    pub min: Option<f32>,
    pub max: Option<f32>,
}

/// Which segments a rule is for. A segment is of the audience where every condition holds; an empty list is no
/// condition, and of a list one entry is enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Audience {
    pub bounds: Vec<Bound>,
    /// Aisles of the product types that set the segment apart.
    pub distinctive_aisles: Vec<String>,
    /// Product types that set it apart.
    pub distinctive_types: Vec<String>,
    /// Product types it buys most often.
    pub staples: Vec<String>,
    /// Product types it buys more of lately.
    pub rising: Vec<String>,
    pub segments: BTreeSet<SegmentId>,
}

impl Audience {
    pub fn includes(&self, context: &SegmentContext) -> bool {
        let within = |bound: &Bound| {
            let value = bound.of.of(context);
            bound.min.is_none_or(|min| min <= value) && bound.max.is_none_or(|max| value <= max)
        };
        let distinctive = &context.distinctive;
        self.bounds.iter().all(within)
            && one_of(&self.distinctive_aisles, |name| distinctive.iter().any(|item| item.aisle == *name))
            && one_of(&self.distinctive_types, |name| distinctive.iter().any(|item| item.name == *name))
            && one_of(&self.staples, |name| context.staples.contains(name))
            && one_of(&self.rising, |name| context.rising.contains(name))
            && (self.segments.is_empty() || self.segments.contains(&context.segment_id))
    }
}

fn one_of<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}

/// A named audience of the file and the segments it has tonight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedAudience {
    pub name: String,
    pub audience: Audience,
    pub segments: BTreeSet<SegmentId>,
}
