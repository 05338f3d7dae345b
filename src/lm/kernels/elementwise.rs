//! Normalisation, rotary positions, the gated activation, and the exponential under it.

use std::ops::Range;

use rayon::prelude::*;

use super::matmul::Panels;
use super::wide::{Isa, LANES, Lanes};

/// Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467) of every run of `weight.len()` panels of 32 in
/// each row: of the whole row, or of each head in it.
pub fn rms_norm(x: &Panels, weight: &[Lanes], eps: f32) -> Panels {
    let runs = (0..x.width()).step_by(weight.len());
    let scales: Vec<Vec<f32>> = runs.map(|first| rms_scales(x, first..first + weight.len(), eps)).collect();
    let mut out = x.clone();
    for (panel, lanes) in out.panels_mut().enumerate() {
        let (scales, weight) = (&scales[panel / weight.len()], &weight[panel % weight.len()]);
        for (lanes, scale) in lanes.iter_mut().zip(scales) {
            for (x, weight) in lanes.iter_mut().zip(weight) {
                *x *= scale * weight;
            }
        }
    }
    out
}

/// What each row's numbers in `panels` are to be multiplied by.
fn rms_scales(x: &Panels, panels: Range<usize>, eps: f32) -> Vec<f32> {
    let count = (panels.len() * LANES) as f32;
    let mut squares = vec![[0.0f32; LANES]; x.rows()];
    for panel in panels {
        for (sum, lanes) in squares.iter_mut().zip(x.panel(panel)) {
            for (sum, x) in sum.iter_mut().zip(lanes) {
                *sum += x * x;
            }
        }
    }
    squares.iter().map(|lanes| 1.0 / (lanes.iter().sum::<f32>() / count + eps).sqrt()).collect()
}

/// Rotary position embedding (Su et al., arXiv 2104.09864) over neighbouring pairs `(2i, 2i + 1)`, the order in which a
/// GGUF file of a Llama keeps the rows of its query and key weights.
#[derive(Debug)]
pub struct Rope {
    /// `[position][pair]`: cosine and sine.
    angles: Vec<(f32, f32)>,
    pairs: usize,
}

impl Rope {
    pub fn new(head_dim: usize, base: f32, positions: usize) -> Self {
        let step = |i: usize| 1.0 / base.powf(2.0 * i as f32 / head_dim as f32);
        let pairs = head_dim / 2;
        let steps: Vec<f32> = (0..pairs).map(step).collect();
        let angles = (0..positions)
            .flat_map(|position| steps.iter().map(move |step| (position as f32 * step).sin_cos()))
            .map(|(sin, cos)| (cos, sin))
            .collect();
        Self { angles, pairs }
    }

    /// Turns every head in `x` (whole heads side by side), row `r` by `positions[r]`.
    pub fn apply(&self, x: &mut Panels, positions: &[usize]) {
        let panels_a_head = 2 * self.pairs / LANES;
        for (panel, lanes) in x.panels_mut().enumerate() {
            let first_pair = panel % panels_a_head * (LANES / 2);
            for (lanes, position) in lanes.iter_mut().zip(positions) {
                let angles = &self.angles[position * self.pairs + first_pair..][..LANES / 2];
                for (pair, (cos, sin)) in lanes.chunks_exact_mut(2).zip(angles) {
                    (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos);
                }
            }
        }
    }
}

/// `silu(gate) * up`, where `gate_up` holds the gate's panels and then the up-projection's.
pub fn swiglu(isa: Isa, mut gate_up: Panels) -> Panels {
    let up = gate_up.split_off(gate_up.width() / 2);
    let mut gate = gate_up;
    gate.par_panels_mut().enumerate().for_each(|(panel, gate)| {
        let up = up.panel(panel);
        match isa {
            // SAFETY: `Isa::detect` gives a variant only where the processor has its features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { gated_avx512(gate, up) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { gated_avx2(gate, up) },
            Isa::Portable => gated(gate, up),
        }
    });
    gate
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn gated_avx512(gate: &mut [Lanes], up: &[Lanes]) {
    gated(gate, up);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn gated_avx2(gate: &mut [Lanes], up: &[Lanes]) {
    gated(gate, up);
}

#[inline(always)]
fn gated(gate: &mut [Lanes], up: &[Lanes]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }
}

/// `e^x` to about two units in the last place, in plain multiplications and additions, so that it vectorises and gives
/// the same bits everywhere. Below -87 it is zero; above 88 it stays at `e^88`. After expf of the Cephes library (S. Moshier).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, which then also stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = clamped - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut y = 1.987_569_1e-4;
    y = y * r + 1.398_199_9e-3;
    y = y * r + 8.333_452e-3;
    y = y * r + 4.166_579_6e-2;
    y = y * r + 0.166_666_65;
    y = y * r + 0.5;
    y = y * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    if x < -87.0 { 0.0 } else { y * f32::from_bits(exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulp_of_the_library() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= exact * 2.4e-7, "e^{x}: {ours} against {exact}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn every_instruction_set_gives_the_same_gate() {
        let values: Vec<f32> = (0..7 * 128).map(|i| (i as f32 - 448.0) / 40.0).collect();
        let gate_up = Panels::from_rows(7, 128, &values);
        let expected = swiglu(Isa::Portable, gate_up.clone());
        for isa in Isa::available() {
            assert_eq!(swiglu(isa, gate_up.clone()), expected, "{isa:?}");
        }
    }
}
