//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) whose moments can be saved; candle's own keeps them to itself.

use candle_core::{DType, Result, Tensor, Var};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// First and second moments of every variable's gradient, in the variables' order.
pub struct AdamW {
    pub first: Vec<Tensor>,
    pub second: Vec<Tensor>,
    /// Steps taken.
    pub steps: usize,
}

impl AdamW {
    pub fn new(variables: &[&Var]) -> Result<Self> {
        let zeros = || variables.iter().map(|var| var.as_tensor().zeros_like()).collect::<Result<Vec<_>>>();
        Ok(Self { first: zeros()?, second: zeros()?, steps: 0 })
    }

    /// One step down the gradients.
    pub fn step(
        &mut self,
        variables: &[&Var],
        gradients: &[Tensor],
        rate: f64,
        weight_decay: f64,
    ) -> Result<()> {
        self.steps += 1;
        let exponent = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (correct_1, correct_2) = (1.0 - BETA_1.powi(exponent), 1.0 - BETA_2.powi(exponent));
        for (i, (var, gradient)) in variables.iter().zip(gradients).enumerate() {
            self.first[i] = ((&self.first[i] * BETA_1)? + (gradient * (1.0 - BETA_1))?)?;
            self.second[i] = ((&self.second[i] * BETA_2)? + (gradient.sqr()? * (1.0 - BETA_2))?)?;
            let mean = (&self.first[i] / correct_1)?;
            let scale = ((&self.second[i] / correct_2)?.sqrt()? + EPSILON)?;
            let decayed = (var.as_tensor() * (1.0 - rate * weight_decay))?;
            var.set(&(decayed - ((mean / scale)? * rate)?)?)?;
        }
        Ok(())
    }
}

/// Scales the gradients down to a joint norm of at most `most`. Gives the norm they had.
pub fn clip(gradients: &mut [Tensor], most: f64) -> Result<f64> {
    let mut squares = 0.0;
    for gradient in gradients.iter() {
        squares += f64::from(gradient.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let norm = squares.sqrt();
    if norm > most {
        for gradient in gradients.iter_mut() {
            *gradient = (&*gradient * (most / (norm + 1e-6)))?;
        }
    }
    Ok(norm)
}
