//! The training loop.
//!
//! A step takes a batch of documents, packs them, computes each pack's gradient on a thread of its own and adds them in the
//! packs' order: the number of threads changes nothing. Whatever is random follows from the seed and the step, so that
//! a resumed run goes the way it would have gone.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::checkpoint::{self, State};
use super::corpus::Corpus;
use super::curve::{Curve, Step, Validation};
use super::dropout::Dropout;
use super::loss::cross_entropy;
use super::model::{Student, fresh_adapter};
use super::optimizer::{AdamW, clip};
use super::pack::{Document, Pack, packed};
use super::{Recipe, TrainError};
use crate::domain::{Digest, digest::DigestBuilder};
use crate::lm::{Adapter, LoraConfig, Tokenizer, Weights};

/// What to train, on what.
pub struct Job<'a> {
    pub recipe: &'a Recipe,
    pub corpus: &'a Corpus,
    pub weights: &'a Weights,
    pub tokenizer: &'a Tokenizer,
    pub device: &'a Device,
    /// Of the training set's bytes.
    pub data: Digest,
    /// The base's name and digest.
    pub base: (&'a str, Digest),
    /// Where checkpoints go.
    pub checkpoints: PathBuf,
    /// Stop once this many steps are taken, to look at what has been learnt so far.
    pub stop_after: Option<usize>,
}

/// Told while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Before the first step: the tokens that will be read, about, and the steps a checkpoint holds.
    Started {
        tokens: u64,
        resumed: usize,
    },
    Stepped(&'a Step),
    Validated(&'a Validation),
    Finished,
}

/// A finished training.
pub struct Trained {
    pub adapter: Adapter,
    pub curve: Curve,
}

impl Trained {
    /// Writes the adapter in PEFT's layout, in bf16.
    pub fn save_adapter(&self, folder: &Path, weights: &Weights) -> Result<(), TrainError> {
        Ok(self.adapter.save(folder, DType::BF16, &weights.config)?)
    }
}

impl Job<'_> {
    fn digest(&self) -> Result<Digest, TrainError> {
        let recipe = serde_json::to_vec(self.recipe).map_err(TrainError::Recipe)?;
        let mut digest = DigestBuilder::default();
        digest.part(&recipe).part(self.data.as_bytes()).part(self.base.1.as_bytes());
        Ok(digest.finish())
    }

    fn student(&self) -> Result<Student, TrainError> {
        let config = LoraConfig {
            rank: self.recipe.rank,
            alpha: self.recipe.alpha,
            targets: self.recipe.targets.clone(),
            base: self.base.0.into(),
        };
        let adapter = fresh_adapter(config, &self.weights.config, self.recipe.seed)?;
        Ok(Student::new(self.weights, &adapter, self.device)?)
    }

    /// Trains to the end, from the newest checkpoint if there is one.
    pub fn run(&self, tell: &dyn Fn(Event<'_>)) -> Result<Trained, TrainError> {
        let student = self.student()?;
        let variables = student.variables();
        let mut optimizer = AdamW::new(&variables)?;
        let job = self.digest()?;
        let mut curve = match checkpoint::load(&self.checkpoints, &variables, &mut optimizer)? {
            Some(state) if state.job == job => state.curve,
            Some(_) => return Err(TrainError::OtherJob { path: self.checkpoints.clone() }),
            None => Curve::default(),
        };
        let held_out = self.held_out()?;
        let examples = self.corpus.training(self.tokenizer, 0)?;
        let steps_an_epoch = examples.len().div_ceil(self.recipe.batch);
        if steps_an_epoch == 0 {
            return Err(TrainError::NoExamples);
        }
        let total = steps_an_epoch * self.recipe.epochs;
        let read: usize = examples.iter().map(Document::tokens).sum();
        let left = read as f64 * self.recipe.epochs as f64 * (1.0 - optimizer.steps as f64 / total as f64);
        tell(Event::Started { tokens: left as u64, resumed: optimizer.steps });
        let stop = self.stop_after.map_or(total, |steps| steps.min(total));
        for epoch in 0..self.recipe.epochs {
            let first = epoch * steps_an_epoch;
            if optimizer.steps >= (first + steps_an_epoch).min(stop) {
                continue;
            }
            if curve.validation.len() <= epoch {
                self.validate(&student, &held_out, &mut curve, optimizer.steps, tell)?;
            }
            let batches = self.epoch(epoch)?;
            let batches = batches.chunks(self.recipe.batch).zip(first..stop);
            for (batch, at) in batches.skip(optimizer.steps - first) {
                let rate = self.recipe.rate(at, total);
                let step = self.step(&student, &mut optimizer, batch, rate)?;
                tell(Event::Stepped(&step));
                curve.steps.push(step);
                if optimizer.steps.is_multiple_of(self.recipe.checkpoint_every) || optimizer.steps == stop {
                    let state = State { job, steps: optimizer.steps, curve: curve.clone() };
                    checkpoint::save(&self.checkpoints, &state, &variables, &optimizer)?;
                }
            }
        }
        if optimizer.steps == total && curve.validation.len() <= self.recipe.epochs {
            self.validate(&student, &held_out, &mut curve, optimizer.steps, tell)?;
        }
        tell(Event::Finished);
        Ok(Trained { adapter: student.adapter()?, curve })
    }

    /// An epoch's documents in its own order.
    fn epoch(&self, epoch: usize) -> Result<Vec<Document>, TrainError> {
        let seed = self.recipe.seed.wrapping_add(1 + epoch as u64);
        let mut documents = self.corpus.training(self.tokenizer, seed)?;
        documents.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        Ok(documents)
    }

    fn held_out(&self) -> Result<Vec<Pack>, TrainError> {
        let mut documents = self.corpus.validation(self.tokenizer)?;
        documents.truncate(self.recipe.validation);
        Ok(packed(&documents.iter().collect::<Vec<_>>(), self.recipe.pack_tokens))
    }

    fn validate(
        &self,
        student: &Student,
        held_out: &[Pack],
        curve: &mut Curve,
        step: usize,
        tell: &dyn Fn(Event<'_>),
    ) -> Result<(), TrainError> {
        let validation = Validation { step, loss: mean_loss(student, held_out)? };
        tell(Event::Validated(&validation));
        curve.validation.push(validation);
        Ok(())
    }

    fn step(
        &self,
        student: &Student,
        optimizer: &mut AdamW,
        batch: &[Document],
        rate: f64,
    ) -> Result<Step, TrainError> {
        let packs = packed(&batch.iter().collect::<Vec<_>>(), self.recipe.pack_tokens);
        let seed = (self.recipe.seed << 32) ^ ((optimizer.steps as u64) << 8);
        let dropout = |pack: usize| Dropout::new(self.recipe.dropout, seed ^ pack as u64);
        let (loss, mut gradients) = batch_gradient(student, &packs, &dropout)?;
        let gradient_norm = clip(&mut gradients, self.recipe.clip)?;
        if !gradient_norm.is_finite() {
            return Err(TrainError::Diverged { step: optimizer.steps + 1 });
        }
        optimizer.step(&student.variables(), &gradients, rate, self.recipe.weight_decay)?;
        let tokens = batch.iter().map(Document::tokens).sum();
        Ok(Step { step: optimizer.steps, loss, learning_rate: rate, gradient_norm, tokens })
    }
}

/// Mean loss over all answer tokens of `packs`, nats, and its gradient, in the order of [`Student::variables`].
pub fn batch_gradient(
    student: &Student,
    packs: &[Pack],
    dropout: &(dyn Fn(usize) -> Dropout + Sync),
) -> Result<(f64, Vec<Tensor>), TrainError> {
    let answers: usize = packs.iter().map(|pack| pack.labels.len()).sum();
    let share = 1.0 / answers.max(1) as f64;
    let gradients = |(at, pack)| pack_gradient(student, pack, &mut dropout(at), share);
    let parts: Vec<(f64, Vec<Tensor>)> =
        packs.par_iter().enumerate().map(gradients).collect::<Result<_, TrainError>>()?;
    let mut parts = parts.into_iter();
    let (mut loss, mut sum) = parts.next().ok_or(TrainError::NoExamples)?;
    for (part, gradients) in parts {
        loss += part;
        for (sum, gradient) in sum.iter_mut().zip(gradients) {
            *sum = (&*sum + gradient)?;
        }
    }
    Ok((loss, sum))
}

fn pack_gradient(
    student: &Student,
    pack: &Pack,
    dropout: &mut Dropout,
    share: f64,
) -> Result<(f64, Vec<Tensor>), TrainError> {
    let hidden = student.forward(pack, dropout)?;
    let entropy = cross_entropy(&hidden, &student.head, &pack.labels, true)?;
    let Some(gradient) = entropy.gradient else { return Err(TrainError::NoExamples) };
    // Its gradient by the hidden states is the loss's own.
    let surrogate = (hidden * (gradient * share)?)?.sum_all()?;
    let mut store = surrogate.backward()?;
    let gradients = student.variables().into_iter().map(|var| match store.remove(var) {
        Some(gradient) => Ok(gradient),
        None => var.as_tensor().zeros_like(),
    });
    Ok((entropy.loss * share, gradients.collect::<candle_core::Result<_>>()?))
}

/// Mean loss over all answer tokens, nats; 0 where there are none. Its exponential is the perplexity.
pub fn mean_loss(student: &Student, packs: &[Pack]) -> Result<f64, TrainError> {
    let loss = |pack: &Pack| {
        let hidden = student.forward(pack, &mut Dropout::off())?;
        Ok(cross_entropy(&hidden, &student.head, &pack.labels, false)?.loss)
    };
    let losses: Vec<f64> = packs.par_iter().map(loss).collect::<Result<_, TrainError>>()?;
    let answers: usize = packs.iter().map(|pack| pack.labels.len()).sum();
    Ok(losses.iter().sum::<f64>() / answers.max(1) as f64)
}
