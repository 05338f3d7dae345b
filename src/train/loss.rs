//! Cross entropy over the vocabulary, and its gradient, without keeping the logits.
//!
//! The head is frozen, so that the gradient of its input follows in the same pass over the vocabulary, a chunk of rows at
//! a time (as Liger's fused linear cross entropy, arXiv 2410.10989, does).

use candle_core::{D, Result, Storage, Tensor};

use super::ops::Frozen;
use crate::lm::kernels::{Isa, LANES, Panels, Strided, Sum, add_product, exp};

/// Rows whose logits exist at a time.
const ROWS: usize = 96;

/// Summed over rows.
pub struct CrossEntropy {
    /// In nats.
    pub loss: f64,
    /// Of the loss, the shape of the hidden states; `None` where it was not asked for.
    pub gradient: Option<Tensor>,
}

/// `hidden` of `[rows, hidden]`, a label a row.
pub fn cross_entropy(hidden: &Tensor, head: &Frozen, labels: &[u32], backward: bool) -> Result<CrossEntropy> {
    match head {
        Frozen::Cpu { forward, backward: back } => {
            let (storage, layout) = hidden.storage_and_layout();
            let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
                candle_core::bail!("the loss takes contiguous rows");
            };
            let values = &storage.as_slice::<f32>()?[start..end];
            let (loss, gradient) = on_kernels(values, (forward, back), labels, backward);
            let gradient =
                gradient.map(|g| Tensor::from_vec(g, hidden.shape(), hidden.device())).transpose()?;
            Ok(CrossEntropy { loss, gradient })
        }
        Frozen::Tensor(weight) => in_tensors(&hidden.detach(), weight, labels, backward),
    }
}

fn on_kernels(
    hidden: &[f32],
    (head, back): (&Panels, &Panels),
    labels: &[u32],
    backward: bool,
) -> (f64, Option<Vec<f32>>) {
    let (isa, width, vocabulary, stride) = (Isa::detect(), head.rows(), back.rows(), head.width() * LANES);
    let mut loss = 0.0;
    let mut gradient = backward.then(|| vec![0.0; hidden.len()]);
    for (chunk, labels) in labels.chunks(ROWS).enumerate() {
        let at = chunk * ROWS * width;
        let x = Strided::rows(&hidden[at..], labels.len(), width, width);
        let mut logits = vec![0.0; labels.len() * stride];
        add_product(isa, x, head, head.width(), &mut Sum { data: &mut logits, stride });
        isa.run(|| {
            for (row, label) in logits.chunks_mut(stride).zip(labels) {
                loss += f64::from(softmax_loss(&mut row[..vocabulary], *label as usize));
            }
        });
        if let Some(gradient) = &mut gradient {
            let d = Strided::rows(&logits, labels.len(), vocabulary, stride);
            let mut sum = Sum { data: &mut gradient[at..], stride: width };
            add_product(isa, d, back, back.width(), &mut sum);
        }
    }
    (loss, gradient)
}

/// Turns logits into the gradient, `softmax - onehot`, and gives the loss.
#[inline(always)]
fn softmax_loss(row: &mut [f32], label: usize) -> f32 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let right = row[label];
    let mut sums = [0.0f32; LANES];
    for values in row.chunks_mut(LANES) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *value = exp(*value - most);
            *sum += *value;
        }
    }
    let total: f32 = sums.iter().sum();
    row.iter_mut().for_each(|value| *value /= total);
    row[label] -= 1.0;
    total.ln() + most - right
}

fn in_tensors(hidden: &Tensor, weight: &Tensor, labels: &[u32], backward: bool) -> Result<CrossEntropy> {
    let mut loss = 0.0;
    let mut gradients = Vec::new();
    for (chunk, labels) in labels.chunks(ROWS * 16).enumerate() {
        let x = hidden.narrow(0, chunk * ROWS * 16, labels.len())?;
        let logits = x.matmul(&weight.t()?)?.to_dtype(candle_core::DType::F32)?;
        let labels = Tensor::new(labels, hidden.device())?.unsqueeze(1)?;
        let log_softmax = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let right = log_softmax.gather(&labels, 1)?;
        loss -= f64::from(right.sum_all()?.to_scalar::<f32>()?);
        if backward {
            let minus_one = right.ones_like()?.neg()?;
            let d = log_softmax.exp()?.scatter_add(&labels, &minus_one, 1)?;
            gradients.push(d.to_dtype(weight.dtype())?.matmul(weight)?);
        }
    }
    let gradient = if backward { Some(Tensor::cat(&gradients, 0)?) } else { None };
    Ok(CrossEntropy { loss, gradient })
}
