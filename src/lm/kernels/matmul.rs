//! `x · W` for f32 rows, the bulk of a forward pass.
//!
//! DET-1 rests on one property: an output element is a fused multiply-add chain over `k` in ascending order, whatever
//! the number of rows, the row's place among them, the number of threads, or the register width. A general gemm picks its
//! blocking (and so its rounding) by the shape; here a sequence's logits cannot depend on who shares its batch.

use rayon::prelude::*;

use super::wide::{Isa, LANES, Lanes, Wide};

/// A matrix in panels of 32 columns: `[panel][row][lane]`. `cols` is padded with zeros to whole panels.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    rows: usize,
    data: Vec<Line>,
}

/// Lanes that begin a cache line. Elsewhere every other load of 16 lanes would cross one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
struct Line(Lanes);

fn lanes(lines: &[Line]) -> &[Lanes] {
    // SAFETY: a `Line` is its 128 bytes of `Lanes` and no padding, 128 being a multiple of 64.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len()) }
}

fn lanes_mut(lines: &mut [Line]) -> &mut [Lanes] {
    // SAFETY: as in `lanes`; the borrow stays exclusive.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len()) }
}

/// Depth of one pass over a panel: 12 rows of it (24 KiB) stay in L1 while the weights (64 KiB) stream from L2.
const DEPTH: usize = 512;

impl Panels {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, data: vec![Line([0.0; LANES]); rows * cols.div_ceil(LANES)] }
    }

    /// From a row-major `rows × cols` matrix.
    pub fn from_rows(rows: usize, cols: usize, values: &[f32]) -> Self {
        Self::from_fn(rows, cols, |row, col| values[row * cols + col])
    }

    /// From the transpose of a row-major `cols × rows` matrix, as checkpoints store weights (`[out, in]`).
    pub fn from_transposed(rows: usize, cols: usize, values: &[f32]) -> Self {
        Self::from_fn(rows, cols, |row, col| values[col * rows + row])
    }

    fn from_fn(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut panels = Self::zeros(rows, cols);
        for (i, lanes) in lanes_mut(&mut panels.data).iter_mut().enumerate() {
            let (panel, row) = (i / rows, i % rows);
            for (col, lane) in (panel * LANES..cols).zip(lanes) {
                *lane = value(row, col);
            }
        }
        panels
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Panels across: `cols / 32`, rounded up.
    pub fn width(&self) -> usize {
        self.data.len().checked_div(self.rows).unwrap_or(0)
    }

    pub fn panel(&self, panel: usize) -> &[Lanes] {
        lanes(&self.data[panel * self.rows..(panel + 1) * self.rows])
    }

    pub fn panel_mut(&mut self, panel: usize) -> &mut [Lanes] {
        lanes_mut(&mut self.data[panel * self.rows..(panel + 1) * self.rows])
    }

    pub fn panels_mut(&mut self) -> std::slice::ChunksMut<'_, Lanes> {
        lanes_mut(&mut self.data).chunks_mut(self.rows.max(1))
    }

    pub fn par_panels_mut(&mut self) -> rayon::slice::ChunksMut<'_, Lanes> {
        lanes_mut(&mut self.data).par_chunks_mut(self.rows.max(1))
    }

    /// One row, all columns in order.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        (0..self.width()).flat_map(move |panel| self.panel(panel)[row])
    }

    /// The listed rows, in that order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let data =
            (0..self.width()).flat_map(|panel| rows.iter().map(move |&row| Line(self.panel(panel)[row])));
        Self { rows: rows.len(), data: data.collect() }
    }

    /// `self += other`, element by element.
    pub fn add(&mut self, other: &Self) {
        for (sum, other) in self.data.iter_mut().zip(&other.data) {
            for (sum, x) in sum.0.iter_mut().zip(other.0) {
                *sum += x;
            }
        }
    }

    /// Adds `bias`, a panel of 32 a step, to every row.
    pub fn add_to_rows(&mut self, bias: &[Lanes]) {
        for (rows, bias) in self.panels_mut().zip(bias) {
            for (sum, x) in rows.iter_mut().flat_map(|row| row.iter_mut().zip(bias)) {
                *sum += x;
            }
        }
    }

    /// Splits off the panels from `panel` on.
    pub fn split_off(&mut self, panel: usize) -> Self {
        Self { rows: self.rows, data: self.data.split_off(panel * self.rows) }
    }
}

/// `x · w`, for x of `m × k` and w of `k × n` (panels of columns both).
pub fn matmul(isa: Isa, x: &Panels, w: &Panels) -> Panels {
    let mut out = Panels::zeros(x.rows(), w.width() * LANES);
    out.par_panels_mut().enumerate().for_each(|(panel, out)| {
        let w = w.panel(panel);
        match isa {
            // SAFETY: `Isa::detect` gives a variant only where the processor has its features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { panel_avx512(x, w, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { panel_avx2(x, w, out) },
            Isa::Portable => one_panel::<Lanes, 2, 1>(x, w, out),
        }
    });
    out
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn panel_avx512(x: &Panels, w: &[Lanes], out: &mut [Lanes]) {
    one_panel::<super::wide::Avx512, 12, 4>(x, w, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn panel_avx2(x: &Panels, w: &[Lanes], out: &mut [Lanes]) {
    one_panel::<super::wide::Avx2, 3, 2>(x, w, out);
}

/// Fills one panel of the product in tiles of `BIG` rows, then `SMALL`, then one: as many as registers hold.
#[inline(always)]
fn one_panel<W: Wide, const BIG: usize, const SMALL: usize>(x: &Panels, w: &[Lanes], out: &mut [Lanes]) {
    for (pass, w) in w.chunks(DEPTH).enumerate() {
        let first_panel = pass * DEPTH / LANES;
        let mut row = 0;
        while row + BIG <= out.len() {
            tile::<W, BIG>(x, first_panel, row, w, out);
            row += BIG;
        }
        while row + SMALL <= out.len() {
            tile::<W, SMALL>(x, first_panel, row, w, out);
            row += SMALL;
        }
        for row in row..out.len() {
            tile::<W, 1>(x, first_panel, row, w, out);
        }
    }
}

/// `out[row..row + R] += x[row..row + R, panel..] · w`, the sums held in registers.
#[inline(always)]
fn tile<W: Wide, const R: usize>(x: &Panels, first_panel: usize, row: usize, w: &[Lanes], out: &mut [Lanes]) {
    let out = &mut out[row..row + R];
    let mut sums = [W::zero(); R];
    for r in 0..R {
        sums[r] = W::load(&out[r]);
    }
    for (panel, w) in w.chunks(LANES).enumerate() {
        let x = &x.panel(first_panel + panel)[row..row + R];
        for (lane, w) in w.iter().enumerate() {
            let w = W::load(w);
            for r in 0..R {
                sums[r] = sums[r].add_scaled(x[r][lane], w);
            }
        }
    }
    for r in 0..R {
        sums[r].store(&mut out[r]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in -0.5..0.5 without a pattern that a blocking could line up with.
    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i + salt) * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    #[test]
    fn products_match_a_sum_in_f64() {
        let (m, k, n) = (13, 96, 40);
        let (x, w) = (numbers(m * k, 1), numbers(k * n, 5));
        for isa in Isa::available() {
            let out = matmul(isa, &Panels::from_rows(m, k, &x), &Panels::from_rows(k, n, &w));
            for row in 0..m {
                for (col, value) in out.row(row).take(n).enumerate() {
                    let exact: f64 =
                        (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[i * n + col])).sum();
                    // 96 products below 0.25, each rounded to 2^-24 of a sum below 4.
                    assert!((f64::from(value) - exact).abs() < 3e-5, "{isa:?} {row},{col}: {value} {exact}");
                }
            }
        }
    }

    /// DET-1: k spans two passes of a panel, rows span all tile sizes.
    #[test]
    fn a_row_has_the_same_bits_in_any_company() {
        let (k, n) = (1536, 64);
        let w = Panels::from_rows(k, n, &numbers(k * n, 3));
        for isa in Isa::available() {
            let all = matmul(isa, &Panels::from_rows(37, k, &numbers(37 * k, 11)), &w);
            let x = numbers(37 * k, 11);
            for (first, count) in [(0, 1), (5, 2), (3, 4), (20, 12), (1, 17), (36, 1)] {
                let part = matmul(isa, &Panels::from_rows(count, k, &x[first * k..(first + count) * k]), &w);
                for row in 0..count {
                    assert!(part.row(row).eq(all.row(first + row)), "{isa:?} rows {first}+{count}");
                }
            }
        }
    }

    #[test]
    fn every_fused_instruction_set_gives_the_same_bits() {
        let x = Panels::from_rows(9, 640, &numbers(9 * 640, 2));
        let w = Panels::from_rows(640, 96, &numbers(640 * 96, 4));
        let fused: Vec<Panels> = Isa::available()
            .into_iter()
            .filter(|isa| *isa != Isa::Portable)
            .map(|isa| matmul(isa, &x, &w))
            .collect();
        assert!(fused.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
