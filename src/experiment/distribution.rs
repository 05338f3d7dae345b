//! Distribution functions: statrs's, with expansions of Abramowitz and Stegun (1964) where Student's t has so many
//! degrees of freedom that statrs's iterations lose digits.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// From here on statrs's t quantile is worse than the expansion (error below 1e-8).
const QUANTILE_EXPANSION: f64 = 1_000.0;
/// The same of the tail (relative error below 1e-7 up to t = 6).
const TAIL_EXPANSION: f64 = 100_000.0;

/// Φ(`x`).
pub fn normal_cdf(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

/// The `p` quantile of the standard normal distribution, 0 < `p` < 1.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// P(|T| ≥ |`t`|) for Student's t with `degrees` > 0 of freedom.
pub fn t_two_sided(t: f64, degrees: f64) -> f64 {
    let t = t.abs();
    if t.is_infinite() {
        return 0.0;
    }
    let tail = if degrees < TAIL_EXPANSION {
        students_t(degrees).sf(t)
    } else {
        // 26.7.8
        let z = t * (1.0 - 1.0 / (4.0 * degrees)) / (1.0 + t * t / (2.0 * degrees)).sqrt();
        Normal::standard().sf(z)
    };
    (2.0 * tail).min(1.0)
}

/// The `p` quantile of Student's t with `degrees` > 0 of freedom, 0.5 < `p` < 1.
pub fn t_quantile(p: f64, degrees: f64) -> f64 {
    if degrees < QUANTILE_EXPANSION {
        return students_t(degrees).inverse_cdf(p);
    }
    // 26.7.5
    let z = normal_quantile(p);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    z + first / degrees + second / (degrees * degrees)
}

/// P(X ≥ `x`) for χ² with `degrees` ≥ 1 of freedom.
pub fn chi_square_tail(x: f64, degrees: usize) -> f64 {
    ChiSquared::new(degrees as f64).expect("degrees of freedom are above 0").sf(x)
}

fn students_t(degrees: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, degrees).expect("degrees of freedom are above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats: t.ppf(0.975, d), 2 t.sf(1.3, d).
    #[test]
    fn students_t_is_scipys_for_few_and_many_degrees() {
        for (degrees, quantile, tail) in [
            (1.3, 7.500529325562, 2.0 * 1.888230248525e-1),
            (5.0, 2.570581835636, 2.0 * 1.251503170853e-1),
            (100.0, 1.983971518524, 2.0 * 9.829473171118e-2),
            (1e4, 1.960201239891, 2.0 * 9.681546609113e-2),
            (1e6, 1.959966356814, 2.0 * 9.680063440456e-2),
            (1e8, 1.959964008263, 2.0 * 9.680048608380e-2),
        ] {
            assert!((t_quantile(0.975, degrees) - quantile).abs() < 1e-8, "{degrees}");
            assert!((t_two_sided(-1.3, degrees) / tail - 1.0).abs() < 1e-7, "{degrees}");
        }
        assert_eq!(t_two_sided(f64::INFINITY, 5.0), 0.0);
    }
}
