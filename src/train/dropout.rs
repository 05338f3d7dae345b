//! Dropout on an adapter's input (Srivastava et al., 2014), with masks that follow from a seed.

use candle_core::{Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One pack's masks.
pub struct Dropout {
    probability: f32,
    random: Xoshiro256PlusPlus,
}

impl Dropout {
    /// `probability` in 0..1 of an input being dropped.
    pub fn new(probability: f32, seed: u64) -> Self {
        Self { probability, random: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// As in evaluation: nothing is dropped.
    pub fn off() -> Self {
        Self::new(0.0, 0)
    }

    /// Zeros, and `1 / (1 - probability)` elsewhere; `None` where nothing is dropped or `wanted` is not set.
    pub fn mask(&mut self, like: &Tensor, wanted: bool) -> Result<Option<Tensor>> {
        if self.probability <= 0.0 || !wanted {
            return Ok(None);
        }
        let kept = 1.0 / (1.0 - self.probability);
        let draw = |_| if self.random.r#gen::<f32>() < self.probability { 0.0 } else { kept };
        let mask: Vec<f32> = (0..like.elem_count()).map(draw).collect();
        Ok(Some(Tensor::from_vec(mask, like.shape(), like.device())?.to_dtype(like.dtype())?))
    }
}
