//! f32 kernels for the CPU: matrix product, attention, and what lies between them.
//!
//! Each row of each result depends on that row's inputs alone, down to the last bit (DET-1). See [`matmul`](self::matmul()).

mod attention;
mod elementwise;
mod matmul;
mod product;
mod wide;

pub use attention::{HeadShape, KvCache, Span, attend};
pub use elementwise::{Rope, exp, rms_norm, swiglu};
pub use matmul::{Panels, matmul};
pub use product::{Strided, Sum, add_product};
pub use wide::{Isa, LANES, Lanes};
