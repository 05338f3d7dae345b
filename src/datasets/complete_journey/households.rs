//! Households and what they buy: purchase profiles, and segments of like households.
//!
//! A profile is TF-IDF over product types (log1p of the visits that bought the type × idf), L2-normalised, then projected
//! on [`DIMENSIONS`] random signs (Achlioptas, "Database-friendly random projections", 2003) and normalised again, which
//! keeps k-means light and its distances near the cosine.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::{Array1, Array2, ArrayView1};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

use super::DatasetError;
use super::journey::{Answer, Journey};

/// Dimensions of a projected profile.
const DIMENSIONS: usize = 128;
const MAX_ITERATIONS: u64 = 100;
const TOLERANCE: f64 = 1e-4;
/// k-means++ seeding is most of the cost here, and restarts change little.
const RUNS: usize = 1;
/// A smaller cluster joins its nearest neighbour: a page for one or two households would be a page about them.
const MIN_HOUSEHOLDS: usize = 3;

/// What a household bought in the window: (type, visits on which it was bought), in order of type.
pub type Purchases = Vec<(usize, u32)>;

/// The households with enough purchases, in order of id.
pub struct Households {
    pub ids: Vec<i64>,
    pub purchases: Vec<Purchases>,
}

impl Households {
    pub async fn ask(journey: &Journey) -> Result<Self, DatasetError> {
        journey.keep("kept", journey.ask("kept", include_str!("sql/kept.sql")).await?.rows)?;
        Self::from_answer(&journey.ask("profiles", include_str!("sql/profiles.sql")).await?)
    }

    fn from_answer(profiles: &Answer) -> Result<Self, DatasetError> {
        let households = profiles.integers("household_id")?;
        let types = profiles.integers("type_id")?;
        let visits = profiles.integers("visits")?;
        let mut all = BTreeMap::<i64, Purchases>::new();
        for at in 0..profiles.len() {
            let bought = (types.value(at) as usize, visits.value(at) as u32);
            all.entry(households.value(at)).or_default().push(bought);
        }
        let (ids, purchases) = all.into_iter().unzip();
        Ok(Self { ids, purchases })
    }

    /// In how many households each of `types` types was bought.
    pub fn buyers(&self, types: usize) -> Vec<u32> {
        let mut buyers = vec![0; types];
        for (bought, _) in self.purchases.iter().flatten() {
            buyers[*bought] += 1;
        }
        buyers
    }

    /// Groups like households: positions of members, in order, the largest segment first (of equals that with the
    /// smallest household id). At most `segments` of them.
    pub fn segments(
        &self,
        types: usize,
        segments: usize,
        seed: u64,
    ) -> Result<Vec<Vec<usize>>, DatasetError> {
        if self.ids.is_empty() || segments == 0 {
            return Ok(Vec::new());
        }
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        let points = self.points(types, &mut rng);
        let clusters = segments.min(self.ids.len());
        let points = DatasetBase::from(points);
        let model = KMeans::params_with_rng(clusters, rng)
            // Not KMeansPara, whose choice depends on the threads.
            .init_method(KMeansInit::KMeansPlusPlus)
            .n_runs(RUNS)
            .max_n_iterations(MAX_ITERATIONS)
            .tolerance(TOLERANCE)
            .fit(&points)
            .map_err(|error| DatasetError::Clustering(error.to_string()))?;
        let nearest: Array1<usize> = model.predict(&points);
        let merged = merge_small(nearest.to_vec(), points.records(), model.centroids());
        Ok(self.ordered(&merged))
    }

    fn points(&self, types: usize, rng: &mut Xoshiro256Plus) -> Array2<f64> {
        let idf: Vec<f64> = self.buyers(types).into_iter().map(|buyers| self.idf(buyers)).collect();
        let signs = signs(types, rng);
        let mut points = Array2::zeros((self.ids.len(), DIMENSIONS));
        for (mut point, purchases) in points.rows_mut().into_iter().zip(&self.purchases) {
            let weights =
                purchases.iter().map(|(bought, visits)| (*bought, f64::from(*visits).ln_1p() * idf[*bought]));
            let weights: Vec<(usize, f64)> = weights.collect();
            let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt() + 1e-9;
            for (bought, weight) in weights {
                point.scaled_add(weight / length, &signs.row(bought));
            }
            let length = point.dot(&point).sqrt() + 1e-9;
            point /= length;
        }
        points
    }

    fn idf(&self, buyers: u32) -> f64 {
        (self.ids.len() as f64 / f64::from(1 + buyers)).ln()
    }

    fn ordered(&self, cluster_of: &[usize]) -> Vec<Vec<usize>> {
        let mut members = BTreeMap::<usize, Vec<usize>>::new();
        for (household, cluster) in cluster_of.iter().enumerate() {
            members.entry(*cluster).or_default().push(household);
        }
        let mut segments: Vec<Vec<usize>> = members.into_values().collect();
        segments
            .sort_by_key(|members| (Reverse(members.len()), members.first().map(|first| self.ids[*first])));
        segments
    }
}

/// A random ±1 for each type and dimension.
fn signs(types: usize, rng: &mut Xoshiro256Plus) -> Array2<f64> {
    // The upper half of the word: the lowest bits of xoshiro+ are weak.
    Array2::from_shape_simple_fn((types, DIMENSIONS), || if rng.next_u64() >> 63 == 0 { 1.0 } else { -1.0 })
}

/// Moves the members of clusters below [`MIN_HOUSEHOLDS`] to the nearest large one's; without any, to one cluster.
fn merge_small(mut cluster_of: Vec<usize>, points: &Array2<f64>, centroids: &Array2<f64>) -> Vec<usize> {
    let mut sizes = vec![0; centroids.nrows()];
    for cluster in &cluster_of {
        sizes[*cluster] += 1;
    }
    for (household, cluster) in cluster_of.iter_mut().enumerate() {
        if sizes[*cluster] < MIN_HOUSEHOLDS {
            let large = (0..sizes.len()).filter(|other| sizes[*other] >= MIN_HOUSEHOLDS);
            let distance = |other: usize| squared_distance(points.row(household), centroids.row(other));
            *cluster = large.min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or(0);
        }
    }
    cluster_of
}

fn squared_distance(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve households: half buy types 0 and 1, half types 2 and 3.
    fn two_tastes() -> Households {
        let taste = |at: i64| if at % 2 == 0 { vec![(0, 5), (1, 2)] } else { vec![(2, 4), (3, 3)] };
        Households { ids: (100..112).collect(), purchases: (0..12).map(taste).collect() }
    }

    #[test]
    fn like_households_share_a_segment() {
        let segments = two_tastes().segments(4, 2, 7).expect("segments");
        let (even, odd): (Vec<usize>, Vec<usize>) = (0..12).partition(|at| at % 2 == 0);
        assert_eq!(segments, [even, odd]);
    }

    #[test]
    fn a_cluster_of_two_joins_a_larger_one() {
        let mut households = two_tastes();
        households.purchases[11] = vec![(5, 9)];
        let segments = households.segments(6, 3, 7).expect("segments");
        assert_eq!(segments.iter().map(Vec::len).sum::<usize>(), 12);
        assert!(segments.iter().all(|members| members.len() >= MIN_HOUSEHOLDS), "{segments:?}");
    }

    #[test]
    fn few_households_and_none_are_served() {
        let mut households = two_tastes();
        households.ids.truncate(2);
        households.purchases.truncate(2);
        assert_eq!(households.segments(4, 96, 7).expect("segments"), [vec![0, 1]]);
        let none = Households { ids: Vec::new(), purchases: Vec::new() };
        assert!(none.segments(4, 96, 7).expect("segments").is_empty());
    }
}
