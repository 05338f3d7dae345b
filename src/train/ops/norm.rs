//! Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467) with a frozen weight.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{composed, made, on_cpu, slice, stored};
use crate::lm::kernels::Isa;

/// Normalises the rows of a contiguous tensor whose last dimension is the weight's.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::rms_norm(x, weight, eps);
    }
    x.apply_op1(RmsNorm { weight: weight.to_vec1()?, eps })
}

struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    fn scale(&self, x: &[f32]) -> f32 {
        1.0 / (dot(x, x) / x.len() as f32 + self.eps).sqrt()
    }
}

impl CustomOp1 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        Isa::detect().run(|| {
            for row in out.chunks_mut(self.weight.len()) {
                let scale = self.scale(row);
                row.iter_mut().zip(&self.weight).for_each(|(x, weight)| *x *= scale * weight);
            }
        });
        made(out, layout.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let ((storage, layout), (d_storage, d_layout)) = (x.storage_and_layout(), dy.storage_and_layout());
        let (values, dy) = (stored(&storage, layout)?, stored(&d_storage, d_layout)?);
        let width = self.weight.len();
        let mut dx = vec![0.0; values.len()];
        Isa::detect().run(|| {
            for ((dx, x), dy) in dx.chunks_mut(width).zip(values.chunks(width)).zip(dy.chunks(width)) {
                let scale = self.scale(x);
                dx.iter_mut().zip(dy).zip(&self.weight).for_each(|((dx, dy), weight)| *dx = dy * weight);
                let pull = dot(dx, x) * scale * scale / width as f32;
                dx.iter_mut().zip(x).for_each(|(dx, x)| *dx = scale * (*dx - x * pull));
            }
        });
        Ok(Some(on_cpu(dx, x.shape())?))
    }
}

/// In 32 partial sums, so that it vectorises and rounds alike everywhere.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    for (a, b) in a.chunks(32).zip(b.chunks(32)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
