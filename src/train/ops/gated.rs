//! `silu(gate) * up`, the gated activation of the feed-forward block (Shazeer, arXiv 2002.05202).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{composed, made, on_cpu, slice, stored};
use crate::lm::kernels::{Isa, exp};

/// Elementwise over two tensors of one shape.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !gate.device().is_cpu() {
        return composed::gated(gate, up);
    }
    gate.apply_op2(up, Gated)
}

struct Gated;

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(gate, gate_layout)?, slice(up, up_layout)?);
        let mut out = gate.to_vec();
        Isa::detect().run(|| {
            for (out, up) in out.iter_mut().zip(up) {
                *out = *out * sigmoid(*out) * up;
            }
        });
        made(out, gate_layout.shape())
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let shape = gate.shape();
        let ((gate, gate_layout), (up, up_layout)) = (gate.storage_and_layout(), up.storage_and_layout());
        let (dy, dy_layout) = dy.storage_and_layout();
        let (gate, up) = (stored(&gate, gate_layout)?, stored(&up, up_layout)?);
        let mut d_gate = stored(&dy, dy_layout)?.to_vec();
        let mut d_up = d_gate.clone();
        Isa::detect().run(|| {
            for (((d_gate, d_up), gate), up) in d_gate.iter_mut().zip(&mut d_up).zip(gate).zip(up) {
                let share = sigmoid(*gate);
                *d_up *= gate * share;
                *d_gate *= up * share * (1.0 + gate * (1.0 - share));
            }
        });
        Ok((Some(on_cpu(d_gate, shape)?), Some(on_cpu(d_up, shape)?)))
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
