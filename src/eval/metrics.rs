//! The figures of one page or placement, 0..1 each (cosines -1..1).

use std::collections::HashSet;

use super::shelf::dot;
use crate::domain::training::GradedCandidate;

/// Highest grade of a keyword.
const TOP_GRADE: f64 = 2.0;

/// P-T@n: the share of the first `at` themes that are accepted; a missing theme is a rejected one.
pub fn theme_precision(accepted: &[bool], at: usize) -> f64 {
    let hits = accepted.iter().take(at).filter(|accepted| **accepted).count();
    hits as f64 / at.max(1) as f64
}

/// P-K@n: Σ grade / 2 over the first `at` distinct keywords, over `at`. A keyword that is not graded counts 0, and so
/// does a missing one.
pub fn keyword_precision(chosen: &[String], graded: &[GradedCandidate], at: usize) -> f64 {
    let mut seen = HashSet::new();
    let distinct = chosen.iter().filter(|text| seen.insert(text.as_str())).take(at);
    let grade = |text: &String| graded.iter().find(|one| one.text == *text).map_or(0, |one| one.grade);
    distinct.map(|text| f64::from(grade(text)) / TOP_GRADE).sum::<f64>() / at.max(1) as f64
}

/// One less the mean cosine of all pairs of a page's themes, each the mean of its concepts; `None` below two themes.
pub fn distinctness(themes: &[Vec<f32>]) -> Option<f64> {
    let pairs = themes.iter().enumerate().flat_map(|(at, a)| themes[at + 1..].iter().map(move |b| dot(a, b)));
    mean(pairs).map(|cosine| 1.0 - cosine)
}

/// The mean cosine of a theme's concepts to its title; `None` without concepts. All unit vectors.
pub fn cohesion<V: AsRef<[f32]>>(title: &[f32], concepts: &[V]) -> Option<f64> {
    mean(concepts.iter().map(|concept| dot(title, concept.as_ref())))
}

/// The mean direction of unit vectors; empty without any.
pub(super) fn centroid<V: AsRef<[f32]>>(vectors: &[V]) -> Vec<f32> {
    let length = vectors.first().map_or(0, |first| first.as_ref().len());
    let mut sum = vec![0.0f32; length];
    for vector in vectors {
        sum.iter_mut().zip(vector.as_ref()).for_each(|(total, value)| *total += value);
    }
    let norm = dot(&sum, &sum).sqrt().max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|value| *value /= norm);
    sum
}

fn mean(values: impl Iterator<Item = f32>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, n), value| (sum + f64::from(value), n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_theme_is_a_rejected_one() {
        assert_eq!(theme_precision(&[true, false, true, true, true, false], 5), 0.8);
        assert_eq!(theme_precision(&[true, false, true, true, true, false], 6), 4.0 / 6.0);
        assert_eq!(theme_precision(&[true, true], 5), 0.4);
        assert_eq!(theme_precision(&[], 5), 0.0);
    }

    #[test]
    fn keywords_count_once_in_order_and_only_graded_ones() {
        let graded = [("a", 2), ("b", 1), ("c", 0), ("d", 2), ("e", 2)]
            .map(|(text, grade)| GradedCandidate { text: text.into(), grade });
        let score = |chosen: &[&str]| {
            let chosen: Vec<String> = chosen.iter().map(|text| (*text).to_owned()).collect();
            keyword_precision(&chosen, &graded, 5)
        };
        // (2 + 1 + 0 + 2 + 2) / 2 / 5
        assert_eq!(score(&["a", "b", "c", "d", "e"]), 0.7);
        // The second "a" is skipped, so "e" is the fifth; "zz" is not graded: (2 + 1 + 2 + 0 + 2) / 2 / 5
        assert_eq!(score(&["a", "a", "b", "d", "zz", "e", "c"]), 0.7);
        assert_eq!(score(&["a", "b"]), 0.3);
        assert_eq!(score(&[]), 0.0);
    }

    #[test]
    fn distinctness_and_cohesion_of_known_angles() {
        let (x, y) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        // Pairs: x y, x x, y x: cosines 0, 1, 0.
        let close = distinctness(&[x.clone(), y.clone(), x.clone()]).expect("pairs");
        assert!((close - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(distinctness(std::slice::from_ref(&x)), None);
        assert_eq!(cohesion(&x, &[x.clone(), y.clone()]), Some(0.5));
        assert_eq!(cohesion::<Vec<f32>>(&x, &[]), None);
        let diagonal = centroid(&[x, y]);
        assert!((diagonal[0] - 0.5f32.sqrt()).abs() < 1e-6 && (diagonal[1] - 0.5f32.sqrt()).abs() < 1e-6);
    }
}
