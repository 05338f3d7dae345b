//! One request on its way to an answer.

use super::constraint::Constraint;
use super::decoder::{Answer, Finish, Request, Usage};
use super::error::LmError;
use super::sampling::Sampler;
use super::tokenizer::Tokenizer;

/// Reads its prompt, then writes its answer, a token drawn or a run of tokens forced at a time.
pub struct Sequence {
    index: usize,
    constraint: Box<dyn Constraint>,
    sampler: Sampler,
    /// Tokens that the model has yet to read.
    pending: Vec<u32>,
    answer: Vec<u32>,
    prompt_tokens: usize,
    forced_tokens: usize,
    max_tokens: usize,
    eos: u32,
    end: Option<Result<Finish, LmError>>,
}

impl Sequence {
    /// `prompt` is the request's, tokenised. What the constraint forces at the start is read along with it.
    pub fn new(
        index: usize,
        request: &Request,
        prompt: Vec<u32>,
        tokenizer: &Tokenizer,
    ) -> Result<Self, LmError> {
        let mut sequence = Self {
            index,
            constraint: request.constraint.start(tokenizer)?,
            sampler: Sampler::new(request.sampling.clone(), request.seed)?,
            prompt_tokens: prompt.len(),
            pending: prompt,
            answer: Vec::new(),
            forced_tokens: 0,
            max_tokens: request.max_tokens,
            eos: tokenizer.eos(),
            end: None,
        };
        sequence.take_forced()?;
        Ok(sequence)
    }

    /// Tokens of keys and values it may come to hold.
    pub fn reserved_tokens(&self) -> usize {
        self.prompt_tokens + self.max_tokens
    }

    pub fn is_done(&self) -> bool {
        self.end.is_some()
    }

    pub fn has_read_all(&self) -> bool {
        self.pending.is_empty()
    }

    /// Up to `rows` tokens for the model to read now; takes them off `rows`. A sequence that is writing always gets one.
    pub fn take_pending(&mut self, rows: &mut usize) -> Vec<u32> {
        let least = usize::from(self.pending.len() == 1);
        let count = self.pending.len().min((*rows).max(least));
        *rows = rows.saturating_sub(count);
        let rest = self.pending.split_off(count);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Draws the next token from the logits after all that was read.
    pub fn advance(&mut self, logits: &[f32]) {
        if let Err(error) = self.draw(logits) {
            self.end = Some(Err(error));
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Result<(), LmError> {
        let allowed = self.constraint.allowed()?;
        let token = self.sampler.pick(logits, &allowed, &self.answer, |token| self.constraint.bias(token))?;
        self.constraint.commit(token)?;
        self.write(&[token]);
        self.take_forced()
    }

    fn take_forced(&mut self) -> Result<(), LmError> {
        if self.end.is_none() && !self.constraint.is_complete() {
            let forced = self.constraint.forced()?;
            self.forced_tokens += self.write(&forced);
        }
        if self.constraint.is_complete() && self.end.is_none() {
            self.end = Some(Ok(Finish::Complete));
        } else if self.answer.len() >= self.max_tokens && self.end.is_none() {
            self.end = Some(Ok(Finish::Length));
        }
        Ok(())
    }

    /// Adds tokens to the answer and to what is yet to be read, up to the longest answer. Gives how many.
    fn write(&mut self, tokens: &[u32]) -> usize {
        let room = self.max_tokens - self.answer.len();
        if tokens.len() > room {
            self.end = Some(Ok(Finish::Length));
        }
        let before = self.answer.len();
        let fitting = tokens.iter().take(room).filter(|token| **token != self.eos);
        for token in fitting {
            self.answer.push(*token);
            self.pending.push(*token);
        }
        self.answer.len() - before
    }

    /// The request's index and its answer.
    pub fn finish(self, shared_tokens: usize, tokenizer: &Tokenizer) -> (usize, Result<Answer, LmError>) {
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            shared_tokens,
            generated_tokens: self.answer.len(),
            forced_tokens: self.forced_tokens,
        };
        let finish = self.end.unwrap_or(Ok(Finish::Length));
        let answer = finish.and_then(|finish| {
            let text = tokenizer.decode(&self.answer)?;
            Ok(Answer { text, choices: self.constraint.choices().to_vec(), finish, usage })
        });
        (self.index, answer)
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequence")
            .field("index", &self.index)
            .field("pending", &self.pending.len())
            .field("answer", &self.answer.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
