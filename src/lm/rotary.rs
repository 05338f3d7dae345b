//! The two orders of the rows of query and key weights.
//!
//! Rotary positions turn pairs of numbers in a head. Hugging Face pairs `(i, i + d / 2)`, so each head's rows are two
//! halves; a GGUF of a Llama, and this room, pair neighbours `(2i, 2i + 1)`. A permutation of the rows leads from one to the
//! other (`permute` of llama.cpp's convert_hf_to_gguf.py); scores are sums over a head and do not change.

use candle_core::{Result, Tensor};

/// From halves to neighbours: `[heads * d]` or `[heads * d, n]`, d even.
pub fn to_neighbours(rows: &Tensor, heads: usize) -> Result<Tensor> {
    let half = rows.dim(0)? / heads / 2;
    permuted(rows, (heads, 2, half))
}

/// From neighbours to halves: undoes [`to_neighbours`].
pub fn to_halves(rows: &Tensor, heads: usize) -> Result<Tensor> {
    let half = rows.dim(0)? / heads / 2;
    permuted(rows, (heads, half, 2))
}

fn permuted(rows: &Tensor, (heads, outer, inner): (usize, usize, usize)) -> Result<Tensor> {
    let columns = rows.elem_count() / (heads * outer * inner);
    let apart = rows.reshape((heads, outer, inner, columns))?;
    apart.transpose(1, 2)?.contiguous()?.reshape(rows.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn neighbours_are_the_two_halves_dealt_out() {
        // Two heads of four: rows a0 a1 b0 b1 become a0 b0 a1 b1 in each.
        let halves = Tensor::arange(0f32, 8.0, &Device::Cpu).expect("eight rows");
        let dealt = to_neighbours(&halves, 2).expect("two heads");
        assert_eq!(dealt.to_vec1::<f32>().expect("floats"), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    #[test]
    fn each_order_undoes_the_other() {
        let rows =
            Tensor::arange(0f32, 64.0 * 5.0, &Device::Cpu).and_then(|x| x.reshape((64, 5))).expect("rows");
        let back = to_halves(&to_neighbours(&rows, 4).expect("there"), 4).expect("back");
        assert_eq!(back.to_vec2::<f32>().expect("floats"), rows.to_vec2::<f32>().expect("floats"));
    }
}
