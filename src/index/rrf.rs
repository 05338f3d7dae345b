//! Reciprocal rank fusion: Cormack, Clarke & Büttcher, *Reciprocal rank fusion outperforms Condorcet and individual
//! rank learning methods*, SIGIR 2009: score(d) = Σ over the lists that hold d of 1 / (k + rank of d).

use std::collections::BTreeMap;

/// The constant of the paper.
const K: f64 = 60.0;

/// Ranks of a list of scores sorted best first: 1 for the first, and equal scores share the rank of the first of them,
/// so that no ranking depends on the order in which a store happens to return ties.
pub fn ranks(scores: &[f32]) -> Vec<u32> {
    let mut ranks: Vec<u32> = Vec::with_capacity(scores.len());
    for (at, score) in scores.iter().enumerate() {
        let tied = at.checked_sub(1).filter(|before| scores[*before] == *score);
        ranks.push(tied.map_or(at as u32 + 1, |before| ranks[before]));
    }
    ranks
}

/// What a list that ranks an item `rank`th adds to its score.
pub fn share(rank: u32) -> f64 {
    1.0 / (K + f64::from(rank))
}

/// Fuses ranked lists of (item, rank): every item with its score, best first, ties in the order of the items.
pub fn fuse<'a, T: Ord + ?Sized>(lists: impl IntoIterator<Item = Vec<(&'a T, u32)>>) -> Vec<(&'a T, f64)> {
    let mut scores: BTreeMap<&T, f64> = BTreeMap::new();
    for (item, rank) in lists.into_iter().flatten() {
        *scores.entry(item).or_default() += share(rank);
    }
    let mut fused: Vec<_> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1));
    fused
}

/// Items of several fused lists in turns: all firsts, then all seconds, and so on. Where a sum over the lists would let
/// what they have in common crowd out what only one of them is about, here each is represented. Every item comes once,
/// with its share for its best rank; items of equal best rank are ordered by the sum of their shares, then by item.
pub fn in_turns<'a, T: Ord + ?Sized>(lists: &[Vec<(&'a T, u32)>]) -> Vec<(&'a T, f64)> {
    let mut best: BTreeMap<&T, u32> = BTreeMap::new();
    for (item, rank) in lists.iter().flatten() {
        let known = best.entry(item).or_insert(*rank);
        *known = (*known).min(*rank);
    }
    let mut turns: Vec<(&T, u32)> = fuse(lists.iter().cloned())
        .into_iter()
        .filter_map(|(item, _)| Some((item, *best.get(item)?)))
        .collect();
    turns.sort_by_key(|(_, rank)| *rank);
    turns.into_iter().map(|(item, rank)| (item, share(rank))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_as_worked_by_hand() {
        // a: 1/61 + 1/62; b: 1/62 + 1/61; c: 1/63; d: 1/63
        let fused = fuse([vec![("a", 1), ("b", 2), ("c", 3)], vec![("b", 1), ("a", 2), ("d", 3)]]);
        let names: Vec<_> = fused.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        // 1/61 + 1/62 = 123/3782
        assert!((fused[0].1 - 123.0 / 3782.0).abs() < 1e-15);
        assert!((fused[2].1 - 1.0 / 63.0).abs() < 1e-15);
    }

    #[test]
    fn two_lists_outweigh_one_better_rank() {
        // 2/65 = 0.0308 > 1/61 = 0.0164
        let fused = fuse([vec![("once", 1), ("twice", 5)], vec![("twice", 5)]]);
        assert_eq!(fused[0].0, "twice");
    }

    #[test]
    fn equal_scores_share_a_rank() {
        assert_eq!(ranks(&[3.0, 2.0, 2.0, 1.0]), [1, 2, 2, 4]);
        assert_eq!(ranks(&[]), Vec::<u32>::new());
    }

    #[test]
    fn turns_represent_every_list() {
        // Summed, "both" has 2/62 = 0.0323 and beats "a" and "b" with 1/61 = 0.0164 each.
        let lists = [vec![("a", 1), ("both", 2), ("c", 3)], vec![("b", 1), ("both", 2)]];
        let turns = in_turns(&lists);
        assert_eq!(turns.iter().map(|(item, _)| *item).collect::<Vec<_>>(), ["a", "b", "both", "c"]);
        assert!((turns[2].1 - 1.0 / 62.0).abs() < 1e-15);
        let tied = in_turns(&[vec![("once", 1)], vec![("twice", 1)], vec![("twice", 9)]]);
        assert_eq!(tied[0].0, "twice");
    }

    type List = Vec<(u8, f32)>;

    fn lists() -> impl Strategy<Value = Vec<List>> {
        let list = prop::collection::btree_map(0u8..30, 0u8..6, 0..20);
        let scored =
            list.prop_map(|list| list.into_iter().map(|(item, score)| (item, f32::from(score))).collect());
        prop::collection::vec(scored, 1..5)
    }

    fn fused(lists: &[List]) -> Vec<(u8, f64)> {
        let ranked = lists.iter().map(|list| {
            let mut list: Vec<&(u8, f32)> = list.iter().collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1));
            let scores: Vec<f32> = list.iter().map(|(_, score)| *score).collect();
            list.iter().map(|(item, _)| item).zip(ranks(&scores)).collect()
        });
        fuse(ranked.collect::<Vec<_>>()).into_iter().map(|(item, score)| (*item, score)).collect()
    }

    proptest! {
        /// Ties inside a list may come in any order.
        #[test]
        fn the_order_of_ties_changes_nothing(lists in lists()) {
            let reversed: Vec<List> = lists.iter().map(|list| list.iter().rev().copied().collect()).collect();
            prop_assert_eq!(fused(&lists), fused(&reversed));
        }

        #[test]
        fn scores_fall_and_every_item_comes_once(lists in lists()) {
            let fused = fused(&lists);
            prop_assert!(fused.windows(2).all(|pair| pair[0].1 > pair[1].1
                || pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0));
            let items: std::collections::BTreeSet<u8> = lists.iter().flatten().map(|(item, _)| *item).collect();
            prop_assert_eq!(fused.len(), items.len());
        }

        /// Moving an item to the front of one list never lowers it.
        #[test]
        fn a_better_rank_never_hurts(lists in lists()) {
            let Some((item, _)) = lists[0].first().copied() else { return Ok(()) };
            let mut better = lists.clone();
            better[0][0].1 = 100.0;
            let place = |lists: &[List]| fused(lists).iter().position(|(other, _)| *other == item);
            prop_assert!(place(&better) <= place(&lists));
        }
    }
}
