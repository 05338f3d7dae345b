//! Reading an experiment as often as one likes: the mixture sequential probability ratio test (Johari, Pekelis and Walsh,
//! "Always valid inference: bringing sequential analysis to A/B testing", 2015; Johari, Koomen, Pekelis and Walsh, KDD
//! 2017), whose confidence sequence is Robbins's normal mixture. With estimated variances it holds asymptotically
//! (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
//! sequences", Annals of Statistics 52, 2024).
//!
//! The likelihood ratio mixes the alternatives over N(0, τ²). For a difference d of variance V it is
//! Λ = √(V / (V + τ²)) · exp(d² τ² / (2 V (V + τ²))), and 1 / Λ is an always-valid p-value.

use super::distribution::normal_quantile;

/// The tuning: alternatives of about this size are found soonest. Any `tau` above 0 is valid if it does not follow the
/// differences seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// Standard deviation of the mixed differences, in the metric's unit.
    pub tau: f64,
}

impl Mixture {
    /// p-value of a difference of variance `variance` at one look; the least over the looks so far is always valid.
    pub fn p_value(&self, difference: f64, variance: f64) -> f64 {
        if variance == 0.0 {
            return if difference == 0.0 { 1.0 } else { 0.0 };
        }
        let tau = self.tau * self.tau;
        let sum = variance + tau;
        let log = 0.5 * (variance / sum).ln() + difference * difference * tau / (2.0 * variance * sum);
        (-log).exp().min(1.0)
    }

    /// Half the width of the confidence sequence of level 1 − `alpha` at a look.
    pub fn half_width(&self, variance: f64, alpha: f64) -> f64 {
        if variance == 0.0 {
            return 0.0;
        }
        let tau = self.tau * self.tau;
        let sum = variance + tau;
        (2.0 * variance * sum / tau * ((sum / variance).sqrt() / alpha).ln()).sqrt()
    }
}

/// How many times the units of a test read once it takes, at most, to find an effect of size τ with the same `power`
/// while reading all along (an upper bound: that the test may stop earlier is not counted).
pub fn inflation(alpha: f64, power: f64, read_once: f64) -> f64 {
    // The variance v at which the effect 1 exceeds the half width by the power's quantile; smaller v, more units.
    let spare = |v: f64| {
        let half = Mixture { tau: 1.0 }.half_width(v, alpha);
        1.0 - half - normal_quantile(power) * v.sqrt()
    };
    let (mut low, mut high) = (1e-9, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if spare(middle) > 0.0 { low = middle } else { high = middle }
    }
    1.0 / (low * read_once * read_once)
}
