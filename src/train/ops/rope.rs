//! Rotary positions (Su et al., arXiv 2104.09864) over neighbouring pairs `(2i, 2i + 1)`, the order of [`lm`](crate::lm)'s weights.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::{composed, made, on_cpu, slice, stored};

/// Cosine and sine of each row's position times each pair's frequency, for one pack.
#[derive(Debug)]
pub struct Angles {
    /// `[rows, pairs]`.
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    pub pairs: usize,
}

impl Angles {
    pub fn new(positions: &[usize], head_dim: usize, base: f32) -> Self {
        let pairs = head_dim / 2;
        let steps: Vec<f32> =
            (0..pairs).map(|pair| 1.0 / base.powf(2.0 * pair as f32 / head_dim as f32)).collect();
        let angles = positions.iter().flat_map(|position| steps.iter().map(|step| *position as f32 * step));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Self { cos, sin, pairs }
    }

    /// `[rows, 1, pairs]` each, to be broadcast over heads.
    pub fn tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let shape = (self.cos.len() / self.pairs, 1, self.pairs);
        Ok((Tensor::from_slice(&self.cos, shape, device)?, Tensor::from_slice(&self.sin, shape, device)?))
    }

    /// Turns every head of every row, by the negative angle where `back`.
    fn turn(&self, values: &mut [f32], width: usize, back: bool) {
        let sign = if back { -1.0 } else { 1.0 };
        let angles = self.cos.chunks(self.pairs).zip(self.sin.chunks(self.pairs));
        for (row, (cos, sin)) in values.chunks_mut(width).zip(angles) {
            for head in row.chunks_mut(2 * self.pairs) {
                for ((pair, cos), sin) in head.chunks_exact_mut(2).zip(cos).zip(sin) {
                    let sin = sign * sin;
                    (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos);
                }
            }
        }
    }
}

/// Turns the heads of `[rows, heads * head_dim]`.
pub fn rope(x: &Tensor, angles: &Arc<Angles>) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::rope(x, angles);
    }
    x.apply_op1(Rope(Arc::clone(angles)))
}

struct Rope(Arc<Angles>);

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        self.0.turn(&mut out, layout.dims()[1], false);
        made(out, layout.shape())
    }

    /// A rotation's transpose is its inverse.
    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (storage, layout) = dy.storage_and_layout();
        let mut dx = stored(&storage, layout)?.to_vec();
        self.0.turn(&mut dx, dy.dim(1)?, true);
        Ok(Some(on_cpu(dx, dy.shape())?))
    }
}
