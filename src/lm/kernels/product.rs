//! Matrix products over row-major activations, as training needs them: any strides in, any row stride out, adding up.
//!
//! Same arithmetic as [`matmul`](super::matmul()): an element is one fused multiply-add chain over `k` in ascending order. The
//! left side is packed, a block at a time, into tiles of as many rows as registers hold, so that transposes cost nothing
//! more and what is read again and again stays in cache.

use super::matmul::Panels;
use super::wide::{Isa, LANES, Lanes, Wide};

/// A matrix in place: element `(row, col)` is `data[row * row_stride + col * col_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Strided<'a> {
    /// Rows of `cols` values, `stride` apart.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose of a matrix of `rows` rows, `stride` apart, of which it takes the first `cols` columns.
    pub fn transposed(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        Self { data, rows: cols, cols: rows, row_stride: 1, col_stride: stride }
    }

    fn at(&self, row: usize, col: usize) -> f32 {
        self.data[row * self.row_stride + col * self.col_stride]
    }
}

/// Where a product is added: rows `stride` apart, from `data[0]` on.
#[derive(Debug)]
pub struct Sum<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

/// Depth of one pass over a panel: a pass of weights (24 KiB) and one of a packed tile (9 KiB) stay in L1 together.
const DEPTH: usize = 192;

/// Depth and tiles of what is packed at a time, to stay in L2: 20 tiles of 12 rows by 1536 columns are 1.4 MiB.
const BLOCK: usize = 8 * DEPTH;
const TILES: usize = 20;

/// `out += x · w`, over the first `panels` panels of `w` and its first `x.cols` rows.
pub fn add_product(isa: Isa, x: Strided<'_>, w: &Panels, panels: usize, out: &mut Sum<'_>) {
    assert!(x.cols <= w.rows() && panels <= w.width(), "{} of {} rows", x.cols, w.rows());
    assert!(
        x.rows == 0 || (x.rows - 1) * out.stride + panels * LANES <= out.data.len(),
        "the sum is too small"
    );
    match isa {
        // SAFETY: `Isa::detect` gives a variant only where the processor has its features.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { product_avx512(x, w, panels, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { product_avx2(x, w, panels, out) },
        Isa::Portable => product::<Lanes, 2>(x, w, panels, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn product_avx512(x: Strided<'_>, w: &Panels, panels: usize, out: &mut Sum<'_>) {
    product::<super::wide::Avx512, 12>(x, w, panels, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn product_avx2(x: Strided<'_>, w: &Panels, panels: usize, out: &mut Sum<'_>) {
    product::<super::wide::Avx2, 3>(x, w, panels, out);
}

#[inline(always)]
fn product<W: Wide, const R: usize>(x: Strided<'_>, w: &Panels, panels: usize, out: &mut Sum<'_>) {
    let tiles = x.rows.div_ceil(R).min(TILES);
    let mut packed = vec![[0.0; R]; tiles * x.cols.min(BLOCK)];
    for block in (0..x.cols).step_by(BLOCK) {
        let depth = BLOCK.min(x.cols - block);
        for top in (0..x.rows).step_by(TILES * R) {
            let rows = (TILES * R).min(x.rows - top);
            for (tile, packed) in packed.chunks_mut(depth).enumerate().take(rows.div_ceil(R)) {
                pack(x, top + tile * R, block, packed);
            }
            for panel in 0..panels {
                let w = &w.panel(panel)[block..][..depth];
                for (pass, w) in w.chunks(DEPTH).enumerate() {
                    for (tile, packed) in packed.chunks(depth).enumerate().take(rows.div_ceil(R)) {
                        let at = (top + tile * R) * out.stride + panel * LANES;
                        let packed = &packed[pass * DEPTH..][..w.len()];
                        let rows = R.min(rows - tile * R);
                        add_tile::<W, R>(packed, w, rows, &mut out.data[at..], out.stride);
                    }
                }
            }
        }
    }
}

/// `[col][row of the tile]` from row `first` and column `from` on; rows that are missing from the last tile are zero.
#[inline(always)]
fn pack<const R: usize>(x: Strided<'_>, first: usize, from: usize, packed: &mut [[f32; R]]) {
    let rows = R.min(x.rows - first);
    for (pass, packed) in packed.chunks_mut(DEPTH).enumerate() {
        let from = from + pass * DEPTH;
        if x.col_stride == 1 {
            for r in 0..rows {
                let row = &x.data[(first + r) * x.row_stride + from..][..packed.len()];
                packed.iter_mut().zip(row).for_each(|(lanes, value)| lanes[r] = *value);
            }
        } else {
            for (col, lanes) in packed.iter_mut().enumerate() {
                for (r, lane) in lanes.iter_mut().enumerate().take(rows) {
                    *lane = x.at(first + r, from + col);
                }
            }
        }
        packed.iter_mut().for_each(|lanes| lanes[rows..].fill(0.0));
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "indices must be constants once unrolled")]
fn add_tile<W: Wide, const R: usize>(
    x: &[[f32; R]],
    w: &[Lanes],
    rows: usize,
    out: &mut [f32],
    stride: usize,
) {
    // Every index into `sums` is a constant once unrolled: a loop over `rows` of them would keep them in memory.
    let mut sums = [W::zero(); R];
    for r in 0..R {
        if let Some(lanes) = out.get(r * stride..).filter(|_| r < rows).and_then(|row| row.first_chunk()) {
            sums[r] = W::load(lanes);
        }
    }
    for (x, w) in x.iter().zip(w) {
        let w = W::load(w);
        for r in 0..R {
            sums[r] = sums[r].add_scaled(x[r], w);
        }
    }
    for r in 0..R {
        if let Some(row) = out.get_mut(r * stride..).filter(|_| r < rows)
            && let Some(lanes) = row.first_chunk_mut()
        {
            sums[r].store(lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matmul::matmul;
    use super::*;

    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i + salt) * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    #[test]
    fn products_of_a_matrix_and_of_its_transpose_match_a_sum_in_f64() {
        let (m, k, n) = (29, 600, 64);
        let (x, w) = (numbers(m * k, 1), numbers(k * n, 5));
        let turned: Vec<f32> = (0..k * m).map(|i| x[i % m * k + i / m]).collect();
        for isa in Isa::available() {
            for x_view in [Strided::rows(&x, m, k, k), Strided::transposed(&turned, k, m, m)] {
                let mut out = vec![1.0; m * (n + 3)];
                let mut sum = Sum { data: &mut out, stride: n + 3 };
                add_product(isa, x_view, &Panels::from_rows(k, n, &w), 2, &mut sum);
                for row in 0..m {
                    for col in 0..n + 3 {
                        let exact: f64 = (0..k)
                            .filter(|_| col < n)
                            .map(|i| f64::from(x[row * k + i]) * f64::from(w[i * n + col]))
                            .sum();
                        let value = f64::from(out[row * (n + 3) + col]);
                        // 600 products below 0.25, each rounded to 2^-24 of a sum below 16.
                        assert!((value - exact - 1.0).abs() < 2e-4, "{isa:?} {row},{col}: {value} {exact}");
                    }
                }
            }
        }
    }

    /// The same bits as the decoder's kernel, over several blocks, row counts, and both orders of `x`.
    #[test]
    fn blocked_products_have_the_bits_of_the_decoders() {
        for (m, k, n) in [(1, 32, 32), (29, 608, 64), (251, 192, 32), (13, 3328, 96), (500, 1536, 32)] {
            let x = numbers(m * k, 1);
            let w = Panels::from_rows(k, n, &numbers(k * n, 5));
            let turned: Vec<f32> = (0..k * m).map(|i| x[i % m * k + i / m]).collect();
            for isa in Isa::available() {
                let plain = matmul(isa, &Panels::from_rows(m, k, &x), &w);
                for view in [Strided::rows(&x, m, k, k), Strided::transposed(&turned, k, m, m)] {
                    let mut out = vec![0.0; m * n];
                    add_product(isa, view, &w, w.width(), &mut Sum { data: &mut out, stride: n });
                    for (row, values) in out.chunks(n).enumerate() {
                        assert!(plain.row(row).eq(values.iter().copied()), "{isa:?} {m} {k} {n}");
                    }
                }
            }
        }
    }
}
