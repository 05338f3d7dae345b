//! Causal attention of ragged sequences over their own keys and those of a shared prefix.
//!
//! Scores, the sum of their exponentials and the weighted sum of values all run over keys in ascending order, prefix
//! first. A key that a query may not see has weight zero, which adds nothing. So a query's result is the same to the
//! bit whether its sequence came in one chunk or many, and whether the keys before it are shared or its own.

use std::ops::Range;

use rayon::prelude::*;

use super::elementwise::exp;
use super::matmul::Panels;
use super::wide::{Isa, LANES, Lanes, Wide};

/// Grouped-query attention: `heads` queries share `kv_heads` keys and values of `head_dim` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl HeadShape {
    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    /// Panels of 32 in a head.
    fn chunks(self) -> usize {
        self.head_dim / LANES
    }
}

/// Keys and values of one sequence in all layers.
#[derive(Debug)]
pub struct KvCache {
    shape: HeadShape,
    tokens: usize,
    /// `[layer][kv head]`.
    heads: Vec<HeadCache>,
}

#[derive(Debug, Default, Clone)]
struct HeadCache {
    /// `[block of 32 tokens][dim]`, a token a lane, so that 32 scores are computed side by side.
    keys: Vec<Lanes>,
    /// `[token][chunk of 32 dims]`.
    values: Vec<Lanes>,
}

impl KvCache {
    pub fn new(shape: HeadShape, layers: usize) -> Self {
        Self { shape, tokens: 0, heads: vec![HeadCache::default(); layers * shape.kv_heads] }
    }

    /// Tokens held in every layer.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Counts `count` tokens in, once [`append`](Self::append) has had them for every layer.
    pub fn advance(&mut self, count: usize) {
        self.tokens += count;
    }

    /// Writes the given rows of `k` and `v` (all heads side by side) behind the tokens already held.
    pub fn append(&mut self, layer: usize, rows: Range<usize>, k: &Panels, v: &Panels) {
        let chunks = self.shape.chunks();
        let head_dim = self.shape.head_dim;
        let first = self.tokens;
        let heads = &mut self.heads[layer * self.shape.kv_heads..][..self.shape.kv_heads];
        for (head, cache) in heads.iter_mut().enumerate() {
            let blocks = (first + rows.len()).div_ceil(LANES);
            cache.keys.resize(blocks * head_dim, [0.0; LANES]);
            for (token, row) in (first..).zip(rows.clone()) {
                let block = &mut cache.keys[token / LANES * head_dim..][..head_dim];
                for (chunk, dims) in block.chunks_mut(LANES).enumerate() {
                    for (key, value) in dims.iter_mut().zip(k.panel(head * chunks + chunk)[row]) {
                        key[token % LANES] = value;
                    }
                    cache.values.push(v.panel(head * chunks + chunk)[row]);
                }
            }
        }
    }

    fn head(&self, layer: usize, kv_head: usize) -> &HeadCache {
        &self.heads[layer * self.shape.kv_heads + kv_head]
    }
}

/// One sequence's rows in a packed batch. `own` already holds the keys of these rows, not yet counted in.
#[derive(Debug)]
pub struct Span<'a> {
    pub rows: Range<usize>,
    pub prefix: Option<&'a KvCache>,
    pub own: &'a KvCache,
}

/// Positions a job: small enough to spread a long prompt over the cores.
const JOB_POSITIONS: usize = 16;

/// Queries of one key-value head at neighbouring positions of one sequence.
struct Job<'a> {
    kv_head: usize,
    rows: Range<usize>,
    /// Own keys seen by the first row; each later row sees one more.
    own_visible: usize,
    prefix_visible: usize,
    prefix: Option<&'a HeadCache>,
    own: &'a HeadCache,
}

/// The attention output for every row of `q` (all heads side by side) in one layer.
pub fn attend(isa: Isa, shape: HeadShape, layer: usize, q: &Panels, spans: &[Span<'_>]) -> Panels {
    let jobs = jobs(shape, layer, spans);
    let done: Vec<Vec<Lanes>> = jobs.par_iter().map(|job| run(isa, shape, q, job)).collect();
    let mut out = Panels::zeros(q.rows(), shape.heads * shape.head_dim);
    for (job, lanes) in jobs.iter().zip(done) {
        scatter(shape, job, &lanes, &mut out);
    }
    out
}

/// Jobs of one key-value head stand together: a core finds the prefix's keys in its cache.
fn jobs<'a>(shape: HeadShape, layer: usize, spans: &[Span<'a>]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for kv_head in 0..shape.kv_heads {
        for span in spans {
            for start in span.rows.clone().step_by(JOB_POSITIONS) {
                jobs.push(Job {
                    kv_head,
                    rows: start..span.rows.end.min(start + JOB_POSITIONS),
                    own_visible: span.own.tokens() + (start - span.rows.start) + 1,
                    prefix_visible: span.prefix.map_or(0, KvCache::tokens),
                    prefix: span.prefix.map(|prefix| prefix.head(layer, kv_head)),
                    own: span.own.head(layer, kv_head),
                });
            }
        }
    }
    jobs
}

fn scatter(shape: HeadShape, job: &Job<'_>, lanes: &[Lanes], out: &mut Panels) {
    let (group, chunks) = (shape.group(), shape.chunks());
    for (i, lanes) in lanes.iter().enumerate() {
        let (query, chunk) = (i / chunks, i % chunks);
        let head = job.kv_head * group + query % group;
        out.panel_mut(head * chunks + chunk)[job.rows.start + query / group] = *lanes;
    }
}

fn run(isa: Isa, shape: HeadShape, q: &Panels, job: &Job<'_>) -> Vec<Lanes> {
    match isa {
        // SAFETY: `Isa::detect` gives a variant only where the processor has its features.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { run_avx512(shape, q, job) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { run_avx2(shape, q, job) },
        Isa::Portable => run_tiles::<Lanes, 2, 1>(shape, q, job),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn run_avx512(shape: HeadShape, q: &Panels, job: &Job<'_>) -> Vec<Lanes> {
    run_tiles::<super::wide::Avx512, 6, 3>(shape, q, job)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(shape: HeadShape, q: &Panels, job: &Job<'_>) -> Vec<Lanes> {
    run_tiles::<super::wide::Avx2, 3, 2>(shape, q, job)
}

/// `[query][chunk]`, queries ordered by position and then by head of the group.
#[inline(always)]
fn run_tiles<W: Wide, const BIG: usize, const SMALL: usize>(
    shape: HeadShape,
    q: &Panels,
    job: &Job<'_>,
) -> Vec<Lanes> {
    let (group, chunks) = (shape.group(), shape.chunks());
    let queries = job.rows.len() * group;
    let query = |query: usize| {
        let panel = (job.kv_head * group + query % group) * chunks;
        (panel..panel + chunks).flat_map(move |panel| q.panel(panel)[job.rows.start + query / group])
    };
    let flat: Vec<f32> = (0..queries).flat_map(query).collect();
    let mut out = vec![[0.0; LANES]; queries * chunks];
    let mut first = 0;
    while first < queries {
        let tile = Tile { shape, job, first, queries: &flat[first * shape.head_dim..] };
        let out = &mut out[first * chunks..];
        first += match queries - first {
            left if left >= BIG => tile.run::<W, BIG>(out),
            left if left >= SMALL => tile.run::<W, SMALL>(out),
            _ => tile.run::<W, 1>(out),
        };
    }
    out
}

/// A few queries worked on together, so that a key or value once loaded serves all of them.
struct Tile<'a> {
    shape: HeadShape,
    job: &'a Job<'a>,
    first: usize,
    /// Row-major, `head_dim` a query.
    queries: &'a [f32],
}

impl Tile<'_> {
    /// Own keys that query `r` of the tile sees.
    #[inline(always)]
    fn own_visible(&self, r: usize) -> usize {
        self.job.own_visible + (self.first + r) / self.shape.group()
    }

    #[inline(always)]
    fn run<W: Wide, const R: usize>(&self, out: &mut [Lanes]) -> usize {
        let shared_blocks = self.job.prefix_visible.div_ceil(LANES);
        let own_blocks = self.own_visible(R - 1).div_ceil(LANES);
        let blocks = shared_blocks + own_blocks;
        let mut weights = vec![[0.0; LANES]; R * blocks];
        if let Some(prefix) = self.job.prefix {
            self.scores::<W, R>(&prefix.keys, 0..shared_blocks, blocks, &mut weights);
        }
        self.scores::<W, R>(&self.job.own.keys, shared_blocks..blocks, blocks, &mut weights);
        for (r, weights) in weights.chunks_mut(blocks).enumerate() {
            let (shared, own) = weights.split_at_mut(shared_blocks);
            hide(shared, self.job.prefix_visible);
            hide(own, self.own_visible(r));
            exponentials(weights, 1.0 / (self.shape.head_dim as f32).sqrt());
        }
        for chunk in 0..self.shape.chunks() {
            self.weighted::<W, R>(&weights, shared_blocks, chunk, out);
        }
        R
    }

    /// Dot products of the tile's queries with every key of the blocks.
    #[inline(always)]
    fn scores<W: Wide, const R: usize>(
        &self,
        keys: &[Lanes],
        blocks: Range<usize>,
        stride: usize,
        scores: &mut [Lanes],
    ) {
        let head_dim = self.shape.head_dim;
        for (block, keys) in blocks.zip(keys.chunks(head_dim)) {
            let mut sums = [W::zero(); R];
            for (dim, key) in keys.iter().enumerate() {
                let key = W::load(key);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add_scaled(self.queries[r * head_dim + dim], key);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                sum.store(&mut scores[r * stride + block]);
            }
        }
    }

    /// One chunk of 32 dims of the outputs: values weighted and divided by the sum of weights.
    #[inline(always)]
    fn weighted<W: Wide, const R: usize>(
        &self,
        weights: &[Lanes],
        shared_blocks: usize,
        chunk: usize,
        out: &mut [Lanes],
    ) {
        let chunks = self.shape.chunks();
        let mut sums = [W::zero(); R];
        let mut totals = [0.0f32; R];
        let (shared, own) = (0..shared_blocks, shared_blocks..weights.len() / R);
        if let Some(prefix) = self.job.prefix {
            let values = prefix.values[chunk..].iter().step_by(chunks).take(self.job.prefix_visible);
            add_values(values, weights, shared, &mut sums, &mut totals);
        }
        let values = self.job.own.values[chunk..].iter().step_by(chunks).take(self.own_visible(R - 1));
        add_values(values, weights, own, &mut sums, &mut totals);
        for (r, sum) in sums.into_iter().enumerate() {
            let out = &mut out[r * chunks + chunk];
            sum.store(out);
            out.iter_mut().for_each(|x| *x /= totals[r]);
        }
    }
}

/// Adds values, token by token in order, each times its weight in the row's `blocks`, and the weights themselves.
#[inline(always)]
fn add_values<'a, W: Wide, const R: usize>(
    mut values: impl Iterator<Item = &'a Lanes>,
    weights: &[Lanes],
    blocks: Range<usize>,
    sums: &mut [W; R],
    totals: &mut [f32; R],
) {
    let stride = weights.len() / R;
    let (mut row_sums, mut row_totals) = (*sums, *totals);
    for block in blocks {
        for (lane, value) in values.by_ref().take(LANES).enumerate() {
            let value = W::load(value);
            for r in 0..R {
                let weight = weights[r * stride + block][lane];
                row_totals[r] += weight;
                row_sums[r] = row_sums[r].add_scaled(weight, value);
            }
        }
    }
    (*sums, *totals) = (row_sums, row_totals);
}

/// Keys past the first `visible` get a score of minus infinity.
#[inline(always)]
fn hide(scores: &mut [Lanes], visible: usize) {
    for (block, lanes) in scores.iter_mut().enumerate().skip(visible / LANES) {
        for (lane, score) in lanes.iter_mut().enumerate() {
            if block * LANES + lane >= visible {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// `exp(scale * (score - greatest))`, zero for hidden keys.
#[inline(always)]
fn exponentials(scores: &mut [Lanes], scale: f32) {
    let mut greatest = [f32::NEG_INFINITY; LANES];
    for lanes in scores.iter() {
        for (greatest, score) in greatest.iter_mut().zip(lanes) {
            *greatest = greatest.max(*score);
        }
    }
    let greatest = greatest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    for lanes in scores {
        for score in lanes {
            *score = exp(scale * (*score - greatest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: HeadShape = HeadShape { heads: 6, kv_heads: 2, head_dim: 64 };

    fn numbers(rows: usize, cols: usize, salt: usize) -> Panels {
        let values: Vec<f32> =
            (0..rows * cols).map(|i| ((i + salt) * 7919 % 2003) as f32 / 500.0 - 2.0).collect();
        Panels::from_rows(rows, cols, &values)
    }

    fn rows_of(x: &Panels, rows: Range<usize>) -> Panels {
        x.select(&rows.collect::<Vec<_>>())
    }

    /// Query, key and value rows of one sequence.
    fn sequence(tokens: usize) -> [Panels; 3] {
        [numbers(tokens, 384, 1), numbers(tokens, 128, 2), numbers(tokens, 128, 3)]
    }

    /// Attention of rows in chunks of the given sizes, the first `shared` rows as a prefix's.
    fn in_chunks(isa: Isa, [q, k, v]: &[Panels; 3], shared: usize, sizes: &[usize]) -> Vec<Vec<f32>> {
        let mut prefix = KvCache::new(SHAPE, 1);
        prefix.append(0, 0..shared, &rows_of(k, 0..shared), &rows_of(v, 0..shared));
        prefix.advance(shared);
        let mut own = KvCache::new(SHAPE, 1);
        let mut out = Vec::new();
        let mut first = shared;
        for size in sizes {
            let rows = first..first + size;
            own.append(0, 0..*size, &rows_of(k, rows.clone()), &rows_of(v, rows.clone()));
            let span = Span { rows: 0..*size, prefix: (shared > 0).then_some(&prefix), own: &own };
            let part = attend(isa, SHAPE, 0, &rows_of(q, rows), &[span]);
            out.extend((0..*size).map(|row| part.row(row).collect::<Vec<_>>()));
            own.advance(*size);
            first += size;
        }
        out
    }

    /// softmax(q·kᵀ / 8) v in f64, query head h on key head h / 3.
    fn exact(x: &[Panels; 3], row: usize, head: usize) -> Vec<f64> {
        let [q, k, v] =
            x.each_ref().map(|x| (0..x.rows()).map(|r| x.row(r).collect()).collect::<Vec<Vec<f32>>>());
        let dot = |key: usize| -> f64 {
            (0..64).map(|d| f64::from(q[row][head * 64 + d]) * f64::from(k[key][head / 3 * 64 + d])).sum()
        };
        let scores: Vec<f64> = (0..=row).map(|key| (dot(key) / 8.0).exp()).collect();
        let total: f64 = scores.iter().sum();
        let out =
            |d: usize| (0..=row).map(|key| scores[key] * f64::from(v[key][head / 3 * 64 + d])).sum::<f64>();
        (0..64).map(|d| out(d) / total).collect()
    }

    #[test]
    fn matches_a_plain_softmax_in_f64() {
        let x = sequence(70);
        for isa in Isa::available() {
            let out = in_chunks(isa, &x, 0, &[70]);
            for row in [0, 1, 31, 32, 33, 69] {
                for head in 0..6 {
                    for (ours, exact) in out[row][head * 64..][..64].iter().zip(exact(&x, row, head)) {
                        // Values up to 2, weights good to about 1e-6 (scores up to 32 in f32).
                        assert!(
                            (f64::from(*ours) - exact).abs() < 2e-5,
                            "{isa:?} {row} {head}: {ours} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn chunks_and_sharing_leave_every_bit_as_it_was() {
        let x = sequence(75);
        for isa in Isa::available() {
            let whole = in_chunks(isa, &x, 0, &[75]);
            assert_eq!(in_chunks(isa, &x, 0, &[1, 30, 2, 41, 1]), whole, "{isa:?} in chunks");
            for shared in [1, 32, 45] {
                let tail = in_chunks(isa, &x, shared, &[75 - shared]);
                assert_eq!(tail, whole[shared..], "{isa:?} after {shared} shared");
            }
        }
    }
}
