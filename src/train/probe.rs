//! What a benchmark times: gradients over full packs, and candle's own matrix products of the same shapes.

use candle_core::{Device, Tensor};

use super::dropout::Dropout;
use super::model::{Student, fresh_adapter};
use super::pack::{Document, Pack};
use super::trainer::batch_gradient;
use super::{Recipe, TrainError};
use crate::lm::{LoraConfig, ModelConfig, Target, Weights};

/// Prompt and answer tokens of the synthetic documents: those of the demonstration's pages.
const DOCUMENT: (usize, usize) = (350, 270);

/// A fresh adapter on a base, and packs of synthetic documents, one for each of `threads`.
pub struct Probe {
    student: Student,
    packs: Vec<Pack>,
    model: ModelConfig,
    rank: usize,
    operands: Vec<(Tensor, Tensor)>,
}

impl Probe {
    pub fn new(weights: &Weights, recipe: &Recipe, threads: usize) -> Result<Self, TrainError> {
        let lora = LoraConfig {
            rank: recipe.rank,
            alpha: recipe.alpha,
            targets: Target::ALL.into(),
            base: String::new(),
        };
        let model = weights.config.clone();
        let student = Student::new(weights, &fresh_adapter(lora, &model, 0)?, &Device::Cpu)?;
        let (prompt, answer) = DOCUMENT;
        let token = |i: usize| (i * 7919 % model.vocab_size) as u32;
        let document = Document {
            prompt: (0..prompt).map(token).collect(),
            answer: (prompt..prompt + answer).map(token).collect(),
        };
        let each = (recipe.pack_tokens / document.tokens()).max(1);
        let packs: Vec<Pack> = (0..threads).map(|_| Pack::new(&vec![&document; each])).collect();
        let rows = packs.first().map_or(0, |pack| pack.tokens.len()) * threads;
        let operands = Target::ALL.map(|target| {
            let (outputs, inputs) = target.shape(&model);
            let random = |shape: (usize, usize)| Tensor::rand(-1f32, 1f32, shape, &Device::Cpu);
            Ok((random((rows, inputs))?, random((outputs, inputs))?))
        });
        let operands = operands.into_iter().collect::<Result<_, TrainError>>()?;
        Ok(Self { student, packs, model, rank: recipe.rank, operands })
    }

    /// One gradient over all packs.
    pub fn gradient(&self) -> Result<(), TrainError> {
        batch_gradient(&self.student, &self.packs, &|_| Dropout::off())?;
        Ok(())
    }

    pub fn tokens(&self) -> usize {
        self.packs.iter().map(|pack| pack.tokens.len()).sum()
    }

    /// Multiply-adds that a gradient needs: each frozen product and the gradient of its input, the adapters' products and their
    /// three gradients, causal attention once forth and, with four products, back. Work done twice to save memory is not counted.
    pub fn multiply_adds(&self) -> f64 {
        let c = &self.model;
        let (mut frozen, mut adapters) = (0, 0);
        for target in Target::ALL {
            let (outputs, inputs) = target.shape(c);
            frozen += outputs * inputs;
            adapters += self.rank * (outputs + inputs);
        }
        let linear = self.tokens() * c.layers * (2 * frozen + 3 * adapters);
        let answers: usize = self.packs.iter().map(|pack| pack.labels.len()).sum();
        let head = 2 * answers * c.hidden_size * c.vocab_size;
        let visible: usize = self
            .packs
            .iter()
            .flat_map(|pack| pack.documents.iter())
            .map(|rows| rows.len() * (rows.len() + 1) / 2)
            .sum();
        let attention = visible * c.layers * c.query_size() * (2 + 4);
        (linear + head + attention) as f64
    }

    /// candle's f32 products of one layer's linear layers, forth and back, over as many rows.
    pub fn peer(&self) -> Result<(), TrainError> {
        for (x, weight) in &self.operands {
            let out = x.matmul(&weight.t()?)?;
            out.matmul(weight)?;
        }
        Ok(())
    }

    pub fn peer_multiply_adds(&self) -> f64 {
        let products = Target::ALL.map(|target| {
            let (outputs, inputs) = target.shape(&self.model);
            2 * self.tokens() * outputs * inputs
        });
        products.iter().sum::<usize>() as f64
    }
}
