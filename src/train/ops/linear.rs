//! `x · Wᵀ + scale · (x · Aᵀ) · Bᵀ`: a frozen linear layer with a low-rank adapter (LoRA, Hu et al., arXiv 2106.09685).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};

use super::{composed, made, on_cpu, slice, stored};
use crate::lm::kernels::{Isa, LANES, Panels, Strided, Sum, add_product};

/// A weight matrix `[out, in]` that is never trained.
#[derive(Debug)]
pub enum Frozen {
    /// Laid out twice, for the product and for its gradient.
    Cpu {
        forward: Panels,
        backward: Panels,
    },
    Tensor(Tensor),
}

impl Frozen {
    /// Widths must be multiples of 32 on the CPU.
    pub fn new(weight: &Tensor) -> Result<Self> {
        if !weight.device().is_cpu() {
            return Ok(Self::Tensor(weight.clone()));
        }
        let (outputs, inputs) = weight.dims2()?;
        let (storage, layout) = weight.storage_and_layout();
        let values = stored(&storage, layout)?;
        let forward = Panels::from_transposed(inputs, outputs, values);
        let backward = Panels::from_rows(outputs, inputs, values);
        Ok(Self::Cpu { forward, backward })
    }
}

/// A trainable pair: `a` of `[rank, in]`, `b` of `[out, rank]`, and `alpha / rank`.
#[derive(Debug, Clone)]
pub struct Lora {
    pub a: Tensor,
    pub b: Tensor,
    pub scale: f32,
}

/// Rows of `[tokens, in]` to `[tokens, out]`.
pub fn linear(x: &Tensor, frozen: &Arc<Frozen>, lora: Option<&Lora>) -> Result<Tensor> {
    match (&**frozen, lora) {
        (Frozen::Tensor(weight), lora) => composed::linear(x, weight, lora),
        (Frozen::Cpu { .. }, None) => x.apply_op1(Plain(Arc::clone(frozen))),
        (Frozen::Cpu { .. }, Some(lora)) => {
            let op = Adapted { frozen: Arc::clone(frozen), scale: lora.scale };
            x.apply_op3(&lora.a, &lora.b, op)
        }
    }
}

struct Plain(Arc<Frozen>);

impl CustomOp1 for Plain {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (forward, _) = panels(&self.0)?;
        let rows = layout.dims()[0];
        let out = times(slice(x, layout)?, rows, forward);
        made(out, (rows, forward.width() * LANES))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, backward) = panels(&self.0)?;
        let rows = dy.dim(0)?;
        let (storage, layout) = dy.storage_and_layout();
        let dx = times(stored(&storage, layout)?, rows, backward);
        Ok(Some(on_cpu(dx, (rows, backward.width() * LANES))?))
    }
}

struct Adapted {
    frozen: Arc<Frozen>,
    scale: f32,
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (forward, _) = panels(&self.frozen)?;
        let (rows, inputs) = (x_layout.dims()[0], x_layout.dims()[1]);
        let (rank, outputs) = (a_layout.dims()[0], forward.width() * LANES);
        let x = slice(x, x_layout)?;
        let mut out = times(x, rows, forward);
        let low =
            scaled(times(x, rows, &Panels::from_transposed(inputs, rank, slice(a, a_layout)?)), self.scale);
        let up = Panels::from_transposed(rank, outputs, slice(b, b_layout)?);
        add_times(&low, (rows, rank), &up, &mut out);
        made(out, (rows, outputs))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, backward) = panels(&self.frozen)?;
        let ((rows, inputs), (outputs, rank)) = (x.dims2()?, b.dims2()?);
        let ((x, x_layout), (a, a_layout)) = (x.storage_and_layout(), a.storage_and_layout());
        let ((b, b_layout), (dy, dy_layout)) = (b.storage_and_layout(), dy.storage_and_layout());
        let (x, a) = (stored(&x, x_layout)?, stored(&a, a_layout)?);
        let (b, dy) = (stored(&b, b_layout)?, stored(&dy, dy_layout)?);

        let mut dx = times(dy, rows, backward);
        let d_low = scaled(times(dy, rows, &Panels::from_rows(outputs, rank, b)), self.scale);
        add_times(&d_low, (rows, rank), &Panels::from_rows(rank, inputs, a), &mut dx);
        let low = scaled(times(x, rows, &Panels::from_transposed(inputs, rank, a)), self.scale);
        let da = gathered(x, (rows, inputs), &d_low, rank);
        let db = gathered(dy, (rows, outputs), &low, rank);
        let da = on_cpu(da, (inputs, rank))?.t()?.contiguous()?;
        Ok((Some(on_cpu(dx, (rows, inputs))?), Some(da), Some(on_cpu(db, (outputs, rank))?)))
    }
}

fn panels(frozen: &Frozen) -> Result<(&Panels, &Panels)> {
    match frozen {
        Frozen::Cpu { forward, backward } => Ok((forward, backward)),
        Frozen::Tensor(_) => candle_core::bail!("a frozen weight of another device"),
    }
}

/// `x · w`, the columns padded to whole panels.
fn times(x: &[f32], rows: usize, w: &Panels) -> Vec<f32> {
    let stride = w.width() * LANES;
    let mut out = vec![0.0; rows * stride];
    add_product(
        Isa::detect(),
        Strided::rows(x, rows, w.rows(), w.rows()),
        w,
        w.width(),
        &mut Sum { data: &mut out, stride },
    );
    out
}

/// `out += low · w`, where rows of `low` are padded to whole panels.
fn add_times(low: &[f32], (rows, rank): (usize, usize), w: &Panels, out: &mut [f32]) {
    let low = Strided::rows(low, rows, rank, padded(rank));
    let stride = w.width() * LANES;
    add_product(Isa::detect(), low, w, w.width(), &mut Sum { data: out, stride });
}

/// `xᵀ · low` as `[columns of x, rank]`.
fn gathered(x: &[f32], (rows, cols): (usize, usize), low: &[f32], rank: usize) -> Vec<f32> {
    let stride = padded(rank);
    let mut out = vec![0.0; cols * stride];
    let low = Panels::from_rows(rows, stride, low);
    let x = Strided::transposed(x, rows, cols, cols);
    add_product(Isa::detect(), x, &low, low.width(), &mut Sum { data: &mut out, stride });
    out.chunks(stride).flat_map(|row| &row[..rank]).copied().collect()
}

fn padded(rank: usize) -> usize {
    rank.next_multiple_of(LANES)
}

fn scaled(mut values: Vec<f32>, scale: f32) -> Vec<f32> {
    values.iter_mut().for_each(|x| *x *= scale);
    values
}
