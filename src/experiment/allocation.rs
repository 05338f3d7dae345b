//! Which arm a unit is in: a salted hash, so that every server, job and edge function finds the same arm with no table.
//!
//! The bytes: SHA-256 of the salt, a colon and the unit's id, all UTF-8; its first four bytes as a big-endian number h;
//! slot = ⌊h · W / 2³²⌋, where W is the sum of the weights. The arms own the slots 0..W in the order they are written.
//! h · W stays below 2⁵³, so that a double (JavaScript) holds it exactly.

use std::fmt;
use std::str::FromStr;

use crate::domain::{ArmId, Digest, Salt, UnitId};

use super::ExperimentError;

/// Largest sum of weights.
const MAX_WEIGHT: u64 = 1_000_000;
/// Most arms of an experiment.
pub(super) const MAX_ARMS: usize = 20;

/// Arms and their weights, at least two, as in `control:50,treatment:50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation(Vec<(ArmId, u32)>);

impl Allocation {
    /// The same weight for each of `arms`, which are distinct.
    pub fn even(arms: &[ArmId]) -> Self {
        Self(arms.iter().map(|arm| (arm.clone(), 1)).collect())
    }

    /// In the order written.
    pub fn arms(&self) -> impl Iterator<Item = &ArmId> {
        self.0.iter().map(|(arm, _)| arm)
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|(_, weight)| u64::from(*weight)).sum()
    }

    /// Share of the units that `arm` is to have, 0..1; 0 for an arm that is not in it.
    pub fn share(&self, arm: &ArmId) -> f64 {
        let weight = self.0.iter().find(|(other, _)| other == arm).map_or(0, |(_, weight)| *weight);
        f64::from(weight) / self.total() as f64
    }

    /// The arm of `unit` in the experiment of `salt`.
    pub fn assign(&self, salt: &Salt, unit: &UnitId) -> &ArmId {
        let digest = Digest::of(format!("{salt}:{unit}").as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        let hash = u64::from(u32::from_be_bytes([a, b, c, d]));
        let mut slot = (hash * self.total()) >> 32;
        for (arm, weight) in &self.0 {
            match slot.checked_sub(u64::from(*weight)) {
                Some(left) => slot = left,
                None => return arm,
            }
        }
        unreachable!("the slot is below the sum of the weights")
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(arm, weight)| format!("{arm}:{weight}")).collect();
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Allocation {
    type Err = ExperimentError;

    fn from_str(text: &str) -> Result<Self, ExperimentError> {
        let refuse =
            |problem: String| ExperimentError::Allocation { text: text.escape_debug().to_string(), problem };
        let mut arms: Vec<(ArmId, u32)> = Vec::new();
        for part in text.split(',') {
            let (arm, weight) =
                part.trim().split_once(':').ok_or_else(|| refuse(format!("{part:?} has no weight")))?;
            let arm = ArmId::parse(arm).map_err(|error| refuse(error.to_string()))?;
            let weight: u32 = match weight.parse() {
                Ok(weight) if weight > 0 => weight,
                _ => return Err(refuse(format!("the weight {weight:?} is not a whole number above 0"))),
            };
            if arms.iter().any(|(other, _)| *other == arm) {
                return Err(refuse(format!("the arm {arm} stands in it twice")));
            }
            arms.push((arm, weight));
        }
        let allocation = Self(arms);
        match allocation.0.len() {
            0 | 1 => Err(refuse("an experiment has two arms at least".into())),
            arms if arms > MAX_ARMS => {
                Err(refuse(format!("it has {arms} arms, at most {MAX_ARMS} are allowed")))
            }
            _ if allocation.total() > MAX_WEIGHT => {
                Err(refuse(format!("the weights add up to more than {MAX_WEIGHT}")))
            }
            _ => Ok(allocation),
        }
    }
}
