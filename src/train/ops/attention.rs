//! Causal attention over a pack of documents, each attending to itself alone.
//!
//! Nothing quadratic is kept: weights are computed a block of queries at a time, and again in the backward pass (as in
//! FlashAttention, Dao et al., arXiv 2205.14135). Key-value heads serve groups of query heads.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{composed, made, on_cpu, slice, stored};
use crate::lm::kernels::{Isa, LANES, Panels, Strided, Sum, add_product, exp};

/// Queries a block.
const BLOCK: usize = 48;

/// `q` of `[rows, heads * head_dim]`, `k` and `v` of `[rows, kv_heads * head_dim]`, to the shape of `q`.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    documents: &Arc<Vec<Range<usize>>>,
    head_dim: usize,
) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return composed::attention(q, k, v, documents, head_dim);
    }
    q.apply_op3(k, v, Attention { documents: Arc::clone(documents), head_dim, isa: Isa::detect() })
}

struct Attention {
    documents: Arc<Vec<Range<usize>>>,
    head_dim: usize,
    isa: Isa,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "packed-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(q, q_layout)?, slice(k, k_layout)?, slice(v, v_layout)?);
        let widths = Widths { q: q_layout.dims()[1], kv: k_layout.dims()[1] };
        let mut out = vec![0.0; q.len()];
        self.each_kv_head(widths, |rows, kv, heads| {
            let keys = Keys::new(k, v, &rows, kv, widths.kv, self.head_dim);
            for head in heads {
                for block in blocks(&rows) {
                    let weights = self.weights(q, &keys, &block, head, widths.q);
                    let at = block.first * widths.q + head;
                    let mut sum = Sum { data: &mut out[at..], stride: widths.q };
                    add_product(self.isa, weights.rows(), &keys.v, keys.v.width(), &mut sum);
                }
            }
        });
        made(out, q_layout.shape())
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let widths = Widths { q: q.dim(1)?, kv: k.dim(1)? };
        let (q_shape, k_shape) = (q.shape(), k.shape());
        let ((q, q_layout), (k, k_layout)) = (q.storage_and_layout(), k.storage_and_layout());
        let ((v, v_layout), (dy, dy_layout)) = (v.storage_and_layout(), dy.storage_and_layout());
        let (q, k) = (stored(&q, q_layout)?, stored(&k, k_layout)?);
        let (v, dy) = (stored(&v, v_layout)?, stored(&dy, dy_layout)?);
        let mut grads = Grads { q: vec![0.0; q.len()], k: vec![0.0; k.len()], v: vec![0.0; v.len()] };
        self.each_kv_head(widths, |rows, kv, heads| {
            let keys = Keys::new(k, v, &rows, kv, widths.kv, self.head_dim);
            for head in heads {
                for block in blocks(&rows) {
                    self.block_backward((q, dy), &keys, &block, (head, kv), widths, &mut grads);
                }
            }
        });
        let Grads { q, k, v } = grads;
        Ok((Some(on_cpu(q, q_shape)?), Some(on_cpu(k, k_shape)?), Some(on_cpu(v, k_shape)?)))
    }
}

/// Columns of a row of queries, and of keys or values.
#[derive(Clone, Copy)]
struct Widths {
    q: usize,
    kv: usize,
}

struct Grads {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

/// Queries `first..first + count` of the pack; they see `seen` keys from the document's first row on.
struct Block {
    document: usize,
    first: usize,
    count: usize,
    seen: usize,
}

fn blocks(rows: &Range<usize>) -> impl Iterator<Item = Block> + use<> {
    let Range { start, end } = *rows;
    (start..end).step_by(BLOCK).map(move |first| {
        let count = BLOCK.min(end - first);
        Block { document: start, first, count, seen: first + count - start }
    })
}

/// One head's keys and values over one document, as right sides of the products.
struct Keys {
    /// `[head_dim, keys]`.
    k_turned: Panels,
    v_turned: Panels,
    /// `[keys, head_dim]`.
    k: Panels,
    v: Panels,
}

impl Keys {
    fn new(k: &[f32], v: &[f32], rows: &Range<usize>, head: usize, width: usize, head_dim: usize) -> Self {
        let gathered = |x: &[f32]| -> Vec<f32> {
            rows.clone().flat_map(|row| &x[row * width + head..][..head_dim]).copied().collect()
        };
        let (k, v, keys) = (gathered(k), gathered(v), rows.len());
        Self {
            k_turned: Panels::from_transposed(head_dim, keys, &k),
            v_turned: Panels::from_transposed(head_dim, keys, &v),
            k: Panels::from_rows(keys, head_dim, &k),
            v: Panels::from_rows(keys, head_dim, &v),
        }
    }
}

/// A block's rows over its keys, each row padded to whole panels.
struct Scores {
    data: Vec<f32>,
    count: usize,
    seen: usize,
}

impl Scores {
    fn new(block: &Block) -> Self {
        let stride = block.seen.next_multiple_of(LANES);
        Self { data: vec![0.0; block.count * stride], count: block.count, seen: block.seen }
    }

    fn stride(&self) -> usize {
        self.seen.next_multiple_of(LANES)
    }

    fn sum(&mut self) -> Sum<'_> {
        let stride = self.stride();
        Sum { data: &mut self.data, stride }
    }

    fn rows(&self) -> Strided<'_> {
        Strided::rows(&self.data, self.count, self.seen, self.stride())
    }

    fn columns(&self) -> Strided<'_> {
        Strided::transposed(&self.data, self.count, self.seen, self.stride())
    }
}

impl Attention {
    /// Calls `visit` with each document's rows, each key-value head's first column, and its query heads' first columns.
    fn each_kv_head(
        &self,
        widths: Widths,
        mut visit: impl FnMut(Range<usize>, usize, std::iter::StepBy<Range<usize>>),
    ) {
        let kv_heads = widths.kv / self.head_dim;
        let group = widths.q / kv_heads;
        for rows in self.documents.iter() {
            for kv in 0..kv_heads {
                let heads = (kv * group..(kv + 1) * group).step_by(self.head_dim);
                visit(rows.clone(), kv * self.head_dim, heads);
            }
        }
    }

    /// `softmax(q · kᵀ / sqrt(head_dim))` of a block, causal.
    fn weights(&self, q: &[f32], keys: &Keys, block: &Block, head: usize, width: usize) -> Scores {
        let mut scores = Scores::new(block);
        let q = Strided::rows(&q[block.first * width + head..], block.count, self.head_dim, width);
        add_product(self.isa, q, &keys.k_turned, block.seen.div_ceil(LANES), &mut scores.sum());
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let (stride, seen, count) = (scores.stride(), scores.seen, scores.count);
        self.isa.run(|| {
            for (row, scores) in scores.data.chunks_mut(stride).enumerate() {
                softmax(scores, seen - count + row + 1, scale);
            }
        });
        scores
    }

    fn block_backward(
        &self,
        (q, dy): (&[f32], &[f32]),
        keys: &Keys,
        block: &Block,
        (head, kv): (usize, usize),
        widths: Widths,
        grads: &mut Grads,
    ) {
        let weights = self.weights(q, keys, block, head, widths.q);
        let at = block.first * widths.q + head;
        let rows = |x: &[f32]| -> Vec<f32> {
            x[at..]
                .chunks(widths.q)
                .take(block.count)
                .flat_map(|row| &row[..self.head_dim])
                .copied()
                .collect()
        };
        let (q_block, dy_block) = (rows(q), rows(dy));
        let kv_at = block.document * widths.kv + kv;

        let dy_panels = Panels::from_rows(block.count, self.head_dim, &dy_block);
        let mut dv = Sum { data: &mut grads.v[kv_at..], stride: widths.kv };
        add_product(self.isa, weights.columns(), &dy_panels, dy_panels.width(), &mut dv);

        let mut d_scores = Scores::new(block);
        let dy_rows = Strided::rows(&dy_block, block.count, self.head_dim, self.head_dim);
        add_product(self.isa, dy_rows, &keys.v_turned, block.seen.div_ceil(LANES), &mut d_scores.sum());
        let (stride, scale) = (weights.stride(), 1.0 / (self.head_dim as f32).sqrt());
        self.isa.run(|| {
            for (d, weights) in d_scores.data.chunks_mut(stride).zip(weights.data.chunks(stride)) {
                softmax_backward(d, weights, scale);
            }
        });
        let mut dq = Sum { data: &mut grads.q[at..], stride: widths.q };
        add_product(self.isa, d_scores.rows(), &keys.k, keys.k.width(), &mut dq);
        let q_panels = Panels::from_rows(block.count, self.head_dim, &q_block);
        let mut dk = Sum { data: &mut grads.k[kv_at..], stride: widths.kv };
        add_product(self.isa, d_scores.columns(), &q_panels, q_panels.width(), &mut dk);
    }
}

/// Softmax of the first `visible` values times `scale`, in place; zero behind them.
#[inline(always)]
fn softmax(scores: &mut [f32], visible: usize, scale: f32) {
    let (seen, hidden) = scores.split_at_mut(visible);
    hidden.fill(0.0);
    let most = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    seen.iter_mut().for_each(|score| *score = exp((*score - most) * scale));
    let total = sum(seen);
    seen.iter_mut().for_each(|score| *score /= total);
}

/// `d` becomes the gradient of the scores: `w * (d - Σ w d) * scale`.
#[inline(always)]
fn softmax_backward(d: &mut [f32], weights: &[f32], scale: f32) {
    d.iter_mut().zip(weights).for_each(|(d, weight)| *d *= weight);
    let total = sum(d);
    d.iter_mut().zip(weights).for_each(|(d, weight)| *d = (*d - weight * total) * scale);
}

/// In 32 partial sums, so that it vectorises and rounds alike everywhere.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for values in values.chunks(LANES) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sums.iter().sum()
}
