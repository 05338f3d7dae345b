//! Differentiable operations of a Llama, fused for the CPU.
//!
//! candle's backward pass gives every operand of a matrix product a gradient, frozen weights too, and its elementwise
//! operations run on one thread, one pass each. These custom operations compute what LoRA needs and nothing else, on
//! [`lm`](crate::lm)'s kernels; on any other device [`composed`] does the same in candle's own operations, and is what the tests hold
//! the fused ones against. All are deterministic: a pack's gradient does not depend on the number of threads.

mod attention;
pub mod composed;
mod gated;
mod linear;
mod norm;
mod rope;

pub use attention::attention;
pub use gated::gated;
pub use linear::{Frozen, Lora, linear};
pub use norm::rms_norm;
pub use rope::{Angles, rope};

use candle_core::{CpuStorage, Layout, Result, Shape, Storage, Tensor};

/// The values of a contiguous f32 tensor on the CPU.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("fused operations take contiguous f32 tensors"),
    }
}

/// As [`slice`], of a tensor's storage.
fn stored<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => candle_core::bail!("fused operations run on the CPU"),
    }
}

fn made(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

fn on_cpu(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &candle_core::Device::Cpu)
}
