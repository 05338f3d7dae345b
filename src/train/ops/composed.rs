//! The same operations in candle's own: for other devices, and to test the fused ones against.

use std::ops::Range;

use candle_core::{D, Result, Tensor};
use candle_nn::ops::{silu, softmax};

use super::linear::Lora;
use super::rope::Angles;

pub fn linear(x: &Tensor, weight: &Tensor, lora: Option<&Lora>) -> Result<Tensor> {
    let out = x.matmul(&weight.t()?)?;
    let Some(lora) = lora else { return Ok(out) };
    let (a, b) = (lora.a.to_dtype(x.dtype())?, lora.b.to_dtype(x.dtype())?);
    out + (x.matmul(&a.t()?)?.matmul(&b.t()?)? * f64::from(lora.scale))?
}

pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    candle_nn::ops::rms_norm_slow(x, weight, eps)
}

pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    silu(gate)? * up
}

/// Pairs `(2i, 2i + 1)` of each head.
pub fn rope(x: &Tensor, angles: &Angles) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let pairs = x.reshape((rows, width / (2 * angles.pairs), angles.pairs, 2))?;
    let (cos, sin) = angles.tensors(x.device())?;
    let (cos, sin) = (cos.to_dtype(x.dtype())?, sin.to_dtype(x.dtype())?);
    let (first, second) = (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?);
    let turned_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let turned_second = (first.broadcast_mul(&sin)? + second.broadcast_mul(&cos)?)?;
    Tensor::stack(&[turned_first, turned_second], 3)?.reshape((rows, width))
}

pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    documents: &[Range<usize>],
    head_dim: usize,
) -> Result<Tensor> {
    let heads = |x: &Tensor, rows: &Range<usize>| {
        let x = x.narrow(0, rows.start, rows.len())?;
        x.reshape((rows.len(), (), head_dim))?.transpose(0, 1)?.contiguous()
    };
    let group = q.dim(1)? / k.dim(1)?;
    let attended = documents.iter().map(|rows| {
        let (q, k, v) = (heads(q, rows)?, repeat(&heads(k, rows)?, group)?, repeat(&heads(v, rows)?, group)?);
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (head_dim as f64).sqrt())?;
        let scores = scores.broadcast_add(&causal(rows.len(), &scores)?)?;
        let out = softmax(&scores, D::Minus1)?.matmul(&v)?;
        out.transpose(0, 1)?.reshape((rows.len(), ()))
    });
    Tensor::cat(&attended.collect::<Result<Vec<_>>>()?, 0)
}

/// Each head `times` times in a row.
fn repeat(x: &Tensor, times: usize) -> Result<Tensor> {
    let (heads, rows, width) = x.dims3()?;
    let repeated = x.unsqueeze(1)?.broadcast_as((heads, times, rows, width))?;
    repeated.contiguous()?.reshape((heads * times, rows, width))
}

fn causal(rows: usize, like: &Tensor) -> Result<Tensor> {
    let mask = (0..rows)
        .flat_map(|row| (0..rows).map(move |key| if key <= row { 0.0f32 } else { f32::NEG_INFINITY }));
    Tensor::from_iter(mask, like.device())?.reshape((1, rows, rows))?.to_dtype(like.dtype())
}
