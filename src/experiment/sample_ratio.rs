//! Sample-ratio mismatch: whether the arms have as many units as the allocation says (Fabijan et al., "Diagnosing sample
//! ratio mismatch in online controlled experiments", KDD 2019). Pearson's χ² test of the counts.

use serde::Serialize;

use super::distribution::chi_square_tail;

/// Below this p-value the split is wrong, and no difference between the arms is to be believed.
pub const ALARM: f64 = 0.001;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleRatio {
    pub chi_square: f64,
    /// Of freedom.
    pub degrees: usize,
    pub p_value: f64,
    /// `p_value` is below [`ALARM`].
    pub alarm: bool,
}

/// The test of `units` an arm against the `shares` (above 0, adding up to 1) they were to have; two arms at least.
pub fn sample_ratio(units: &[usize], shares: &[f64]) -> SampleRatio {
    let total = units.iter().sum::<usize>() as f64;
    let expected = shares.iter().map(|share| share * total);
    let chi_square = units
        .iter()
        .zip(expected)
        .map(|(units, expected)| (*units as f64 - expected).powi(2) / expected)
        .sum();
    let degrees = units.len() - 1;
    let p_value = chi_square_tail(chi_square, degrees);
    SampleRatio { chi_square, degrees, p_value, alarm: p_value < ALARM }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments" (2020), chapter 21, scenario 1: 821,588 and
    /// 815,482 users of a 50:50 split have p = 1.8E-6.
    #[test]
    fn the_book_s_scenario() {
        let found = sample_ratio(&[821_588, 815_482], &[0.5, 0.5]);
        assert!((found.p_value - 1.8e-6).abs() < 0.05e-6, "{}", found.p_value);
        assert!(found.alarm);
        assert!(!sample_ratio(&[5_000, 5_100], &[0.5, 0.5]).alarm);
    }
}
