//! Two arms compared: Welch's unequal-variances t-test ("The generalization of 'Student's' problem", Biometrika 34, 1947)
//! and the relative difference by the delta method (Deng, Knoblich and Lu, KDD 2018, section 3.1).

use serde::Serialize;

use super::distribution::{t_quantile, t_two_sided};

/// Mean and spread of the units' values in an arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub units: usize,
    pub mean: f64,
    /// With n − 1.
    pub variance: f64,
}

impl Sample {
    /// Of at least two values.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { units: values.len(), mean, variance: squares / (n - 1.0) }
    }

    /// Variance of the mean.
    pub fn of_mean(&self) -> f64 {
        self.variance / self.units as f64
    }
}

/// A relative difference, 0.01 for +1 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Relative {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// A treatment against the control, read once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Treatment less control.
    pub difference: f64,
    pub standard_error: f64,
    pub low: f64,
    pub high: f64,
    /// Absent where the control's mean is not above 0.
    pub relative: Option<Relative>,
    /// Two-sided.
    pub p_value: f64,
    /// Of freedom, by Welch and Satterthwaite.
    pub degrees: f64,
}

/// `treatment` less `control`, with intervals of level 1 − `alpha`.
pub fn compare(control: &Sample, treatment: &Sample, alpha: f64) -> Comparison {
    let (vc, vt) = (control.of_mean(), treatment.of_mean());
    let difference = treatment.mean - control.mean;
    let standard_error = (vc + vt).sqrt();
    let degrees = degrees(control, treatment);
    let quantile = t_quantile(1.0 - alpha / 2.0, degrees);
    let half = quantile * standard_error;
    let p_value = if difference == 0.0 { 1.0 } else { t_two_sided(difference / standard_error, degrees) };
    let relative = (control.mean > 0.0).then(|| {
        let ratio = treatment.mean / control.mean;
        let half = quantile * (vt + ratio * ratio * vc).sqrt() / control.mean;
        let value = ratio - 1.0;
        Relative { value, low: value - half, high: value + half }
    });
    Comparison {
        difference,
        standard_error,
        low: difference - half,
        high: difference + half,
        relative,
        p_value,
        degrees,
    }
}

fn degrees(control: &Sample, treatment: &Sample) -> f64 {
    let (vc, vt) = (control.of_mean(), treatment.of_mean());
    let (nc, nt) = (control.units as f64, treatment.units as f64);
    if vc + vt == 0.0 {
        return nc + nt - 2.0;
    }
    (vc + vt).powi(2) / (vc * vc / (nc - 1.0) + vt * vt / (nt - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student (1908), "The probable error of a mean", as R prints it: `t.test(extra ~ group, data = sleep)` gives
    /// t = -1.8608, df = 17.776, p-value = 0.07939, interval -3.3654832 to 0.2054832.
    #[test]
    fn students_sleep_data() {
        let first = Sample::of(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]);
        let second = Sample::of(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]);
        let found = compare(&second, &first, 0.05);
        assert!((found.difference / found.standard_error + 1.8608).abs() < 5e-5);
        assert!((found.degrees - 17.776).abs() < 5e-4);
        assert!((found.p_value - 0.07939).abs() < 5e-6);
        assert!((found.low + 3.3654832).abs() < 5e-8 && (found.high - 0.2054832).abs() < 5e-8);
    }

    #[test]
    fn arms_without_spread_are_equal_or_not() {
        let same = Sample::of(&[2.0, 2.0]);
        assert_eq!(compare(&same, &same, 0.05).p_value, 1.0);
        assert_eq!(compare(&same, &Sample::of(&[3.0, 3.0]), 0.05).p_value, 0.0);
        assert_eq!(compare(&Sample::of(&[0.0, 0.0]), &same, 0.05).relative, None);
    }
}
