//! What segments are expected to cost, and shards of groups that cost about the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::domain::{SegmentContext, SegmentId};

use super::reuse::PageRecords;

/// Expected tokens of each segment's answers.
pub struct Costs<'a>(BTreeMap<&'a SegmentId, u64>);

impl<'a> Costs<'a> {
    /// The tokens of a segment's last page where they are known; else by the length of its context, at the known segments' mean
    /// of tokens a byte.
    pub fn of(segments: &'a [SegmentContext], records: Option<&PageRecords>) -> Self {
        let known = |segment: &SegmentId| {
            records.and_then(|records| records.get(segment)).map(|record| record.tokens).filter(|t| *t > 0)
        };
        let sized: Vec<(&SegmentId, u64)> =
            segments.iter().map(|context| (&context.segment_id, bytes(context))).collect();
        let (mut tokens, mut length) = (0u64, 0u64);
        for (segment, bytes) in &sized {
            if let Some(cost) = known(segment) {
                tokens += cost;
                length += bytes;
            }
        }
        // Nothing is known: four bytes a token, and answers are left out of all alike.
        let (tokens, length) = if length == 0 { (1, 4) } else { (tokens, length) };
        let guess = |bytes: u64| (u128::from(bytes) * u128::from(tokens) / u128::from(length)) as u64;
        Self(sized.into_iter().map(|(id, bytes)| (id, known(id).unwrap_or_else(|| guess(bytes)))).collect())
    }

    /// Of a group; at least 1.
    pub fn sum(&self, group: &[SegmentId]) -> u64 {
        group.iter().filter_map(|segment| self.0.get(segment)).sum::<u64>().max(1)
    }
}

fn bytes(context: &SegmentContext) -> u64 {
    // A context is plain data; serialising it cannot fail.
    serde_json::to_vec(context).map_or(0, |bytes| bytes.len() as u64)
}

/// Deals items of `weights` out to `shards`: the heaviest first, each to the shard that has the least so far. Equal ones go by
/// number, so that the same weights make the same shards. Every shard has an item if there are as many.
pub fn balance(weights: &[u64], shards: usize) -> Vec<Vec<usize>> {
    let mut heaviest: Vec<usize> = (0..weights.len()).collect();
    heaviest.sort_by_key(|item| (Reverse(weights[*item]), *item));
    let mut loads: BinaryHeap<Reverse<(u64, usize)>> = (0..shards).map(|shard| Reverse((0, shard))).collect();
    let mut dealt = vec![Vec::new(); shards];
    for item in heaviest {
        let Some(Reverse((load, shard))) = loads.pop() else { break };
        dealt[shard].push(item);
        loads.push(Reverse((load.saturating_add(weights[item].max(1)), shard)));
    }
    for shard in &mut dealt {
        shard.sort_unstable();
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// DET-1, RUN-2: every item once, no shard empty while another has two, and no shard past its share by more than one item.
        #[test]
        fn shards_share_the_weight(weights in prop::collection::vec(0u64..1000, 0..60), shards in 1usize..20) {
            let dealt = balance(&weights, shards);
            let mut items: Vec<usize> = dealt.concat();
            items.sort_unstable();
            prop_assert_eq!(items, (0..weights.len()).collect::<Vec<_>>());
            if weights.len() >= shards {
                prop_assert!(dealt.iter().all(|shard| !shard.is_empty()));
            }
            let load = |shard: &Vec<usize>| shard.iter().map(|item| weights[*item].max(1)).sum::<u64>();
            let total: u64 = weights.iter().map(|weight| (*weight).max(1)).sum();
            let heaviest = weights.iter().copied().max().unwrap_or(0).max(1);
            for shard in &dealt {
                prop_assert!(load(shard) <= total / shards as u64 + heaviest);
            }
        }
    }

    #[test]
    fn no_shards_for_no_work() {
        assert!(balance(&[], 0).is_empty());
        assert_eq!(balance(&[5], 1), [[0]]);
    }

    #[test]
    fn one_expensive_group_has_a_shard_of_its_own() {
        assert_eq!(balance(&[1, 1, 100, 1, 1], 2), [vec![2], vec![0, 1, 3, 4]]);
    }
}
