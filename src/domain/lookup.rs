//! Which segment a household is in, as a shop front looks it up: shares of a few KiB, found by a hash of the household's id.
//!
//! A household's hash is the first 16 hex digits of SHA-256 over the salt, a newline and the id, in UTF-8. Its share is the
//! number that the hash's first [`Shares::bits`] bits make. So whoever knows salt and bits gets from a household to its segment
//! with one request, and to its page with another; whoever does not know the salt learns no id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, HouseholdId, SegmentId};

/// Version of [`Lookup`].
pub const LOOKUP_SCHEMA: &str = "endcap.lookup/v1";

/// `runs/<run_id>/lookups/<share>.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Always `endcap.lookup/v1`.
    pub schema: String,
    pub segments: Vec<SegmentId>,
    /// Hash of a household → its place in `segments`.
    pub households: BTreeMap<String, usize>,
}

impl Lookup {
    /// The segment of a household that is in this share.
    pub fn segment(&self, hash: &str) -> Option<&SegmentId> {
        self.segments.get(*self.households.get(hash)?)
    }
}

/// Two households of different segments with one hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two households have the hash {hash}; choose another publish.lookup_salt")]
pub struct Collision {
    pub hash: String,
}

/// How households are shared out.
#[derive(Debug, Clone, Copy)]
pub struct Shares<'a> {
    pub salt: &'a str,
    /// 0..=16; there are two to the power of them.
    pub bits: u32,
}

impl Shares<'_> {
    /// A household's hash.
    pub fn hash(&self, household: &HouseholdId) -> String {
        let digest = Digest::of(format!("{}\n{household}", self.salt).as_bytes());
        digest.to_hex()[..16].to_owned()
    }

    /// The number of the share that a hash is in.
    pub fn share(&self, hash: &str) -> u32 {
        let first = hash.get(..4).and_then(|first| u32::from_str_radix(first, 16).ok()).unwrap_or(0);
        first >> (16 - self.bits)
    }

    /// All shares by number, empty ones too, so that a household nobody knows is told from a fault. Households of segments that
    /// `is_published` denies are left out.
    pub fn of(
        &self,
        assignments: &BTreeMap<HouseholdId, SegmentId>,
        is_published: impl Fn(&SegmentId) -> bool,
    ) -> Result<BTreeMap<u32, Lookup>, Collision> {
        let mut shares: BTreeMap<u32, BTreeMap<String, &SegmentId>> =
            (0..1 << self.bits).map(|share| (share, BTreeMap::new())).collect();
        for (household, segment) in assignments.iter().filter(|(_, segment)| is_published(segment)) {
            let hash = self.hash(household);
            let share = shares.entry(self.share(&hash)).or_default();
            if share.insert(hash.clone(), segment).is_some_and(|other| other != segment) {
                return Err(Collision { hash });
            }
        }
        Ok(shares.into_iter().map(|(share, households)| (share, compact(&households))).collect())
    }
}

/// Each segment's id once.
fn compact(households: &BTreeMap<String, &SegmentId>) -> Lookup {
    let mut segments: Vec<SegmentId> = households.values().copied().cloned().collect();
    segments.sort();
    segments.dedup();
    let place = |segment: &SegmentId| segments.binary_search(segment).ok();
    let households =
        households.iter().filter_map(|(hash, segment)| Some((hash.clone(), place(segment)?))).collect();
    Lookup { schema: LOOKUP_SCHEMA.into(), segments, households }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn household(id: String) -> HouseholdId {
        HouseholdId::parse(id).expect("household")
    }

    /// printf 'salt\n1' | sha256sum
    #[test]
    fn a_hash_can_be_made_with_any_tool() {
        let shares = Shares { salt: "salt", bits: 8 };
        let hash = shares.hash(&household("1".into()));
        assert_eq!(hash, "96678f06e2ab93dc");
        assert_eq!(shares.share(&hash), u32::from_str_radix(&hash[..2], 16).expect("hex"));
        assert_eq!(Shares { salt: "salt", bits: 0 }.share(&hash), 0);
    }

    proptest! {
        /// Every household of a published segment is found, in one share, with its own segment; no other is.
        #[test]
        fn every_household_resolves(count in 0usize..300, bits in 0u32..=10, hidden in 0usize..5) {
            let segment = |n: usize| SegmentId::parse(format!("seg-{}", n % 5)).expect("segment");
            let assignments: BTreeMap<_, _> =
                (0..count).map(|n| (household(format!("h{n}")), segment(n * 7))).collect();
            let shares = Shares { salt: "pepper", bits };
            let found = shares.of(&assignments, |id| *id != segment(hidden)).expect("no collision");
            prop_assert_eq!(found.len(), 1 << bits);
            for (id, own) in &assignments {
                let hash = shares.hash(id);
                let seen = found[&shares.share(&hash)].segment(&hash);
                prop_assert_eq!(seen, (*own != segment(hidden)).then_some(own));
            }
            let kept: usize = found.values().map(|lookup| lookup.households.len()).sum();
            prop_assert_eq!(kept, assignments.values().filter(|own| **own != segment(hidden)).count());
        }
    }
}
