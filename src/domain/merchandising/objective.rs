//! What a page is optimised for.

use serde::{Deserialize, Serialize};

/// What the page is optimised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    Engagement,
    BasketBuilding,
    Discovery,
    PrivateLabel,
    Seasonal,
}

impl Objective {
    pub const ALL: [Objective; 5] =
        [Self::Engagement, Self::BasketBuilding, Self::Discovery, Self::PrivateLabel, Self::Seasonal];

    /// As the prompt says it ("basket building").
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Engagement => "engagement",
            Self::BasketBuilding => "basket building",
            Self::Discovery => "discovery",
            Self::PrivateLabel => "private label",
            Self::Seasonal => "seasonal",
        }
    }

    /// As the file says it ("basket-building").
    pub fn key(self) -> &'static str {
        match self {
            Self::BasketBuilding => "basket-building",
            Self::PrivateLabel => "private-label",
            other => other.sentence(),
        }
    }
}

/// One objective, or several with weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal(Vec<(Objective, f32)>);

impl Goal {
    /// Heaviest first, ties in the order of [`Objective::ALL`], weights made to sum to 1. `None` unless each weight is
    /// finite and not negative, and one is positive.
    pub fn weighted(weights: &[(Objective, f32)]) -> Option<Self> {
        let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
        let sound = weights.iter().all(|(_, weight)| weight.is_finite() && *weight >= 0.0);
        if !sound || !total.is_finite() || total <= 0.0 {
            return None;
        }
        let mut parts: Vec<(Objective, f32)> =
            weights.iter().filter(|(_, weight)| *weight > 0.0).map(|(one, w)| (*one, w / total)).collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1).then((a.0 as u8).cmp(&(b.0 as u8))));
        Some(Self(parts))
    }

    /// Objectives with weights that sum to 1, heaviest first; never empty.
    pub fn parts(&self) -> &[(Objective, f32)] {
        &self.0
    }

    /// The heaviest: what the prompt names.
    pub fn main(&self) -> Objective {
        self.0.first().map_or(Objective::Engagement, |(objective, _)| *objective)
    }
}

impl From<Objective> for Goal {
    fn from(objective: Objective) -> Self {
        Self(vec![(objective, 1.0)])
    }
}

impl Default for Goal {
    fn default() -> Self {
        Objective::Engagement.into()
    }
}

/// "seasonal", or "seasonal 70 %, discovery 30 %".
impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [(only, _)] = self.0.as_slice() {
            return f.write_str(only.sentence());
        }
        let part = |(one, weight): &(Objective, f32)| {
            format!("{} {:.0} %", one.sentence(), 100.0 * f64::from(*weight))
        };
        f.write_str(&self.0.iter().map(part).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_and_nonsense_is_none() {
        let goal = Goal::weighted(&[(Objective::Discovery, 1.0), (Objective::Seasonal, 3.0)]).expect("goal");
        assert_eq!(goal.parts(), [(Objective::Seasonal, 0.75), (Objective::Discovery, 0.25)]);
        assert_eq!(goal.to_string(), "seasonal 75 %, discovery 25 %");
        assert_eq!(Goal::weighted(&[(Objective::Discovery, 2.0)]), Some(Objective::Discovery.into()));
        for bad in [&[][..], &[(Objective::Discovery, 0.0)], &[(Objective::Discovery, f32::NAN)]] {
            assert_eq!(Goal::weighted(bad), None);
        }
        assert_eq!(Goal::weighted(&[(Objective::Discovery, -1.0), (Objective::Seasonal, 2.0)]), None);
    }
}
