//! From a model's output to a probability: isotonic regression (Zadrozny & Elkan, "Transforming classifier scores into
//! accurate multiclass probability estimates", KDD 2002) over bins of equal purchases, linear between the bins so that
//! no two products tie that the model tells apart.

use serde::{Deserialize, Serialize};

/// Bins before neighbours that disagree are pooled.
const BINS: f64 = 40.0;

/// A monotone map to 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// (output, probability), both ascending strictly; at least one. f32, which JSON keeps exactly.
    knots: Vec<(f32, f32)>,
}

#[derive(Clone, Copy)]
struct Bin {
    /// Weighted means of output and label.
    output: f64,
    label: f64,
    weight: f64,
}

impl Bin {
    fn pool(&self, other: &Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| (a * self.weight + b * other.weight) / weight;
        Self { output: mean(self.output, other.output), label: mean(self.label, other.label), weight }
    }
}

impl Calibration {
    /// Fits outputs to labels in 0..=1, each standing for a weight > 0. Without any positive label the probability is 0
    /// throughout.
    pub fn fit(outputs: &[f64], labels: &[f64], weights: &[f64]) -> Self {
        let mut rows: Vec<(f64, f64, f64)> = outputs
            .iter()
            .zip(labels)
            .zip(weights)
            .map(|((output, label), weight)| (*output, *label, *weight))
            .collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)));
        let purchases: f64 = rows.iter().map(|(_, label, weight)| label * weight).sum();
        let mut pooled: Vec<Bin> = Vec::new();
        for bin in bins(&rows, purchases / BINS) {
            let mut bin = bin;
            // Pool adjacent violators.
            while let Some(last) = pooled.pop_if(|last| last.label >= bin.label || last.output >= bin.output)
            {
                bin = last.pool(&bin);
            }
            pooled.push(bin);
        }
        let knot = |bin: &Bin| (bin.output as f32, bin.label.clamp(0.0, 1.0) as f32);
        let mut knots: Vec<(f32, f32)> = pooled.iter().map(knot).collect();
        knots.dedup_by(|next, last| next.0 <= last.0 || next.1 <= last.1);
        if knots.is_empty() {
            knots.push((0.0, 0.0));
        }
        Self { knots }
    }

    /// The probability of an output. Beyond the outermost knots their ratio of probability to output goes on, where the
    /// output is positive.
    pub fn probability(&self, output: f64) -> f64 {
        let at = self.knots.partition_point(|(knot, _)| f64::from(*knot) <= output);
        let knot = |at: usize| (f64::from(self.knots[at].0), f64::from(self.knots[at].1));
        let (first, last) = (knot(0), knot(self.knots.len() - 1));
        let beyond = |(knot, probability): (f64, f64)| match knot > 0.0 {
            true => probability * (output / knot).max(0.0),
            false => probability,
        };
        let probability = match at {
            0 => beyond(first),
            _ if at == self.knots.len() => beyond(last),
            _ => {
                let ((x0, y0), (x1, y1)) = (knot(at - 1), knot(at));
                y0 + (y1 - y0) * ((output - x0) / (x1 - x0))
            }
        };
        probability.clamp(0.0, 1.0)
    }
}

/// Cuts sorted rows into bins that hold `least` purchases each; equal outputs stay together.
fn bins(rows: &[(f64, f64, f64)], least: f64) -> Vec<Bin> {
    let mut bins: Vec<Bin> = Vec::new();
    let mut open: Option<Bin> = None;
    for equal in rows.chunk_by(|a, b| a.0 == b.0) {
        for (output, label, weight) in equal {
            let row = Bin { output: *output, label: *label, weight: *weight };
            open = Some(open.map_or(row, |bin| bin.pool(&row)));
        }
        if let Some(full) = open.take_if(|bin| bin.label * bin.weight >= least && least > 0.0) {
            bins.push(full);
        }
    }
    bins.extend(open);
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_rates_are_found_again() {
        let outputs: Vec<f64> = (0..4000).map(|at| f64::from(at % 4) * 0.1 + 0.05).collect();
        let labels: Vec<f64> =
            (0..4000).map(|at| if at % 4 == 0 { 0.0 } else { f64::from(at % 4) * 0.02 }).collect();
        let fitted = Calibration::fit(&outputs, &labels, &vec![3.0; 4000]);
        for step in 1..4 {
            let step = f64::from(step);
            assert!((fitted.probability(step * 0.1 + 0.05) - step * 0.02).abs() < 1e-6);
        }
    }

    #[test]
    fn a_reversed_model_calibrates_to_the_mean() {
        let fitted = Calibration::fit(&[0.1, 0.2, 0.3], &[0.3, 0.2, 0.1], &[1.0; 3]);
        assert!((fitted.probability(0.2) - 0.2).abs() < 1e-6);
    }

    #[test]
    fn no_purchase_at_all_is_never_likely() {
        assert_eq!(Calibration::fit(&[0.1, 0.9], &[0.0, 0.0], &[1.0, 1.0]).probability(0.5), 0.0);
        assert_eq!(Calibration::fit(&[], &[], &[]).probability(0.5), 0.0);
    }

    proptest! {
        #[test]
        fn it_is_monotone_and_within_0_and_1(
            rows in proptest::collection::vec((-3.0f64..3.0, 0.0f64..=1.0, 0.1f64..50.0), 1..200),
            mut asked in proptest::collection::vec(-5.0f64..5.0, 2..50),
        ) {
            let column = |at: fn(&(f64, f64, f64)) -> f64| rows.iter().map(at).collect::<Vec<f64>>();
            let fitted = Calibration::fit(&column(|row| row.0), &column(|row| row.1), &column(|row| row.2));
            asked.sort_by(f64::total_cmp);
            let answers: Vec<f64> = asked.iter().map(|output| fitted.probability(*output)).collect();
            prop_assert!(answers.iter().all(|answer| (0.0..=1.0).contains(answer)));
            prop_assert!(answers.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{answers:?}");
        }
    }
}
