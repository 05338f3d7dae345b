//! Intervals by the percentile bootstrap over clusters (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993,
//! ch. 13; clusters: Field and Welsh, "Bootstrapping clustered data", 2007).
//!
//! Themes of one page are not independent, so whole pages are drawn, with replacement. The same seed draws the same pages
//! for every system: a ratio of two systems is paired.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

/// What one page adds to a mean: the mean of several is Σ `sum` over Σ `count`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cluster {
    pub sum: f64,
    pub count: f64,
}

impl Cluster {
    /// One value.
    pub fn one(value: f64) -> Self {
        Self { sum: value, count: 1.0 }
    }
}

/// A figure and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    pub resamples: usize,
    /// Coverage aimed for, 0..1.
    pub level: f64,
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2_000, level: 0.95, seed: 1 }
    }
}

impl Bootstrap {
    /// The mean over all clusters; `None` where nothing was counted.
    pub fn mean(&self, clusters: &[Cluster]) -> Option<Estimate> {
        self.estimate(clusters.len(), |drawn| mean(clusters, drawn))
    }

    /// The mean of `a` over the mean of `b`, where a place in both is the same page; `None` where they differ in length
    /// or `b` has mean 0.
    pub fn ratio(&self, a: &[Cluster], b: &[Cluster]) -> Option<Estimate> {
        if a.len() != b.len() {
            return None;
        }
        self.estimate(a.len(), |drawn| {
            let below = mean(b, drawn)?;
            (below != 0.0).then_some(mean(a, drawn)? / below)
        })
    }

    /// `statistic` of all places in 0..`n`, and the interval of it over draws of `n` places. Draws without a value are
    /// left out.
    fn estimate(&self, n: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<Estimate> {
        let value = statistic(&(0..n).collect::<Vec<_>>())?;
        let mut values = Vec::with_capacity(self.resamples);
        self.resample(n, |drawn| values.extend(statistic(drawn)));
        Some(self.interval(value, values))
    }

    /// Hands each resample to `visit`: `n` places in 0..`n`, drawn with replacement. The same `n` and seed give the same
    /// draws, so that whatever is computed of one draw is paired.
    pub fn resample(&self, n: usize, mut visit: impl FnMut(&[usize])) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut drawn = vec![0; n];
        for _ in 0..self.resamples {
            drawn.iter_mut().for_each(|place| *place = random.gen_range(0..n));
            visit(&drawn);
        }
    }

    /// The percentile interval of `resampled` around `value`; no width where there is none.
    pub fn interval(&self, value: f64, mut resampled: Vec<f64>) -> Estimate {
        resampled.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let at = |share| quantile(&resampled, share).unwrap_or(value);
        Estimate { value, low: at(tail), high: at(1.0 - tail) }
    }
}

fn mean(clusters: &[Cluster], drawn: &[usize]) -> Option<f64> {
    let sum: f64 = drawn.iter().map(|at| clusters[*at].sum).sum();
    let count: f64 = drawn.iter().map(|at| clusters[*at].count).sum();
    (count > 0.0).then(|| sum / count)
}

/// The quantile at `share` (0..1) of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    fn values(values: &[f64]) -> Vec<Cluster> {
        values.iter().copied().map(Cluster::one).collect()
    }

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0], 0.5), Some(1.5));
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn nothing_counted_is_no_estimate() {
        let bootstrap = Bootstrap::default();
        assert_eq!(bootstrap.mean(&[]), None);
        assert_eq!(bootstrap.mean(&[Cluster::default()]), None);
        assert_eq!(bootstrap.ratio(&values(&[1.0]), &values(&[0.0])), None);
        assert_eq!(bootstrap.ratio(&values(&[1.0]), &values(&[1.0, 2.0])), None);
    }

    /// Of 300 samples of 60 fair coins, a 95 % interval holds the true mean in about 285 of them; the percentile
    /// bootstrap is a little narrow at this size.
    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
        let covered = (0..300).filter(|_| {
            let coins: Vec<f64> = (0..60).map(|_| f64::from(u8::from(random.gen_bool(0.5)))).collect();
            let estimate = bootstrap.mean(&values(&coins)).expect("values");
            estimate.low <= 0.5 && 0.5 <= estimate.high
        });
        let covered = covered.count();
        assert!((270..=295).contains(&covered), "{covered} of 300");
    }

    /// Themes of a page that stand or fall together are one observation: the interval is wider than for loose ones.
    #[test]
    fn clusters_widen_the_interval() {
        let pages: Vec<Cluster> =
            (0..60).map(|page| Cluster { sum: f64::from(page % 2) * 5.0, count: 5.0 }).collect();
        let loose: Vec<Cluster> = (0..300).map(|theme| Cluster::one(f64::from(theme % 2))).collect();
        let width = |clusters: &[Cluster]| {
            let estimate = Bootstrap::default().mean(clusters).expect("values");
            estimate.high - estimate.low
        };
        assert!(width(&pages) > 1.8 * width(&loose));
    }

    #[test]
    fn a_ratio_is_paired() {
        let b = values(&[0.2, 0.9, 0.4, 1.0, 0.6, 0.1]);
        let half: Vec<Cluster> = b.iter().map(|one| Cluster::one(one.sum / 2.0)).collect();
        let estimate = Bootstrap::default().ratio(&half, &b).expect("ratio");
        // Whatever is drawn, the half is a half.
        assert!((estimate.low - 0.5).abs() < 1e-9 && (estimate.high - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn an_interval_is_ordered_within_the_values_and_repeatable(
            given in proptest::collection::vec(0.0f64..1.0, 1..40),
            seed in 0u64..1_000,
        ) {
            let bootstrap = Bootstrap { resamples: 50, level: 0.9, seed };
            let estimate = bootstrap.mean(&values(&given)).expect("values");
            let least = given.iter().copied().fold(f64::INFINITY, f64::min) - 1e-9;
            let most = given.iter().copied().fold(0.0, f64::max) + 1e-9;
            prop_assert!(least <= estimate.low && estimate.low <= estimate.high && estimate.high <= most);
            prop_assert!(least <= estimate.value && estimate.value <= most);
            prop_assert_eq!(bootstrap.mean(&values(&given)), Some(estimate));
        }

        #[test]
        fn equal_values_have_no_width(value in 0.0f64..1.0, pages in 1usize..30) {
            let estimate = Bootstrap { resamples: 20, ..Bootstrap::default() }.mean(&values(&vec![value; pages]));
            let estimate = estimate.expect("values");
            prop_assert!((estimate.high - estimate.low).abs() < 1e-9);
        }
    }
}
