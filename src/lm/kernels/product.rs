//! Matrix products over row-major activations, as training needs them: any strides in, any row stride out, adding up.
//!
//! Same arithmetic as [`matmul`](super::matmul()): an element is one fused multiply-add chain over `k` in ascending order. The
//! left side is packed once into tiles of as many rows as registers hold, so that transposes cost nothing more.

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

/// Depth of one pass over a panel, as in [`matmul`](super::matmul()).
const DEPTH: usize = 512;

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
    let packed = pack::<R>(x);
    for panel in 0..panels {
        let w = &w.panel(panel)[..x.cols];
        for (pass, w) in w.chunks(DEPTH).enumerate() {
            for (tile, packed) in packed.chunks(x.cols).enumerate() {
                let first = tile * R;
                let rows = R.min(x.rows - first);
                let at = first * out.stride + panel * LANES;
                add_tile::<W, R>(
                    &packed[pass * DEPTH..][..w.len()],
                    w,
                    rows,
                    &mut out.data[at..],
                    out.stride,
                );
            }
        }
    }
}

/// `[tile][col][row of the tile]`; rows that are missing from the last tile are zero.
#[inline(always)]
fn pack<const R: usize>(x: Strided<'_>) -> Vec<[f32; R]> {
    let mut packed = vec![[0.0; R]; x.rows.div_ceil(R) * x.cols];
    for (tile, columns) in packed.chunks_mut(x.cols.max(1)).enumerate() {
        let first = tile * R;
        let rows = R.min(x.rows - first);
        for (col, lanes) in columns.iter_mut().enumerate() {
            for (r, lane) in lanes.iter_mut().enumerate().take(rows) {
                *lane = x.at(first + r, col);
            }
        }
    }
    packed
}

#[inline(always)]
fn add_tile<W: Wide, const R: usize>(
    x: &[[f32; R]],
    w: &[Lanes],
    rows: usize,
    out: &mut [f32],
    stride: usize,
) {
    let mut sums = [W::zero(); R];
    for (sum, row) in sums.iter_mut().zip(out.chunks(stride)).take(rows) {
        if let Some(lanes) = row.first_chunk::<LANES>() {
            *sum = W::load(lanes);
        }
    }
    for (x, w) in x.iter().zip(w) {
        let w = W::load(w);
        for r in 0..R {
            sums[r] = sums[r].add_scaled(x[r], w);
        }
    }
    for (sum, row) in sums.into_iter().zip(out.chunks_mut(stride)).take(rows) {
        if let Some(lanes) = row.first_chunk_mut::<LANES>() {
            sum.store(lanes);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
