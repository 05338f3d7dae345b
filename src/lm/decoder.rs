//! Many answers at once: continuous batching over a shared prompt prefix, under a budget of KV memory.
//!
//! Sequences wait in request order until their keys and values fit the budget, and leave as soon as they are answered. Each
//! pass carries the next tokens of every running sequence and fills up with prompt rows of the newest. None of that shows in
//! an answer: every row of a pass is computed on its own (see [`kernels`](super::kernels)), and draws are seeded per request,
//! so an answer depends on its request, the prefix and the model alone (DET-1).

use std::collections::VecDeque;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::constraint::ConstraintSpec;
use super::error::LmError;
use super::llama::{Chunk, Kv};
use super::model::Model;
use super::prompt::Prompt;
use super::sampling::Sampling;
use super::sequence::Sequence;

/// How much runs at a time. None of it changes an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Tokens of keys and values held at a time, shared prefixes counted; 46 KiB each for SmolLM2-135M. At least 64.
    pub kv_token_budget: usize,
    /// Sequences in a pass; at least 1.
    pub max_batch: usize,
    /// Prompt tokens in a pass; at least 16.
    pub prefill_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { kv_token_budget: 24_000, max_batch: 32, prefill_rows: 512 }
    }
}

impl Settings {
    /// Names the first setting out of its range.
    pub fn validate(&self) -> Result<(), String> {
        let least = [
            ("kv_token_budget", self.kv_token_budget, 64),
            ("max_batch", self.max_batch, 1),
            ("prefill_rows", self.prefill_rows, 16),
        ];
        match least.iter().find(|(_, value, least)| value < least) {
            Some((key, value, least)) => Err(format!("{key} = {value} is less than {least}")),
            None => Ok(()),
        }
    }
}

/// What the requests of a job have in common.
#[derive(Debug, Clone, Default)]
pub struct Preamble {
    /// The adapter that answers them; `None` is the base alone. See [`Model::with_adapters`].
    pub adapter: Option<String>,
    /// Read once, before each request's own prompt.
    pub prompt: Prompt,
}

impl From<Prompt> for Preamble {
    fn from(prompt: Prompt) -> Self {
        Self { adapter: None, prompt }
    }
}

impl From<&Prompt> for Preamble {
    fn from(prompt: &Prompt) -> Self {
        prompt.clone().into()
    }
}

/// One answer wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// What follows the shared prefix.
    pub prompt: Prompt,
    pub constraint: ConstraintSpec,
    pub sampling: Sampling,
    /// Longest answer in tokens; an answer cut there has [`Finish::Length`].
    pub max_tokens: usize,
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// Indices of the chosen items, in order; empty for a grammar.
    pub choices: Vec<usize>,
    pub finish: Finish,
    pub usage: Usage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The constraint is satisfied.
    Complete,
    /// `max_tokens` came first: the text is a beginning.
    Length,
}

/// Tokens of one answer, or of many summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Read for this answer alone.
    pub prompt_tokens: usize,
    /// Of the shared prefix.
    pub shared_tokens: usize,
    /// Written, forced ones counted.
    pub generated_tokens: usize,
    /// Written without asking the model, because nothing else could follow.
    pub forced_tokens: usize,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.shared_tokens += other.shared_tokens;
        self.generated_tokens += other.generated_tokens;
        self.forced_tokens += other.forced_tokens;
    }
}

/// Shared prefixes kept from call to call: one for each stage that takes its turn.
const KEPT_PREFIXES: usize = 2;

/// Owns a model and answers requests with it, in batches.
#[derive(Debug)]
pub struct Decoder {
    model: Model,
    settings: Settings,
    /// Most recently used last.
    prefixes: Vec<Arc<SharedPrefix>>,
}

#[derive(Debug)]
struct SharedPrefix {
    adapter: Option<String>,
    tokens: Vec<u32>,
    kv: Kv,
}

type Answers = Vec<Option<Result<Answer, LmError>>>;

impl Decoder {
    pub fn new(model: Model, settings: Settings) -> Self {
        Self { model, settings, prefixes: Vec::new() }
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Answers in the order of the requests. A request that fails leaves the others alone; the outer error is one of the
    /// prefix or the model. `progress` is told of each request done.
    pub fn decode(
        &mut self,
        preamble: impl Into<Preamble>,
        requests: &[Request],
        progress: &dyn Fn(u64),
    ) -> Result<Vec<Result<Answer, LmError>>, LmError> {
        let Preamble { adapter, prompt } = preamble.into();
        let prefix = self.model.tokenizer().encode(&prompt)?;
        self.check_length(&prefix, 1, 0)?;
        let prefix = self.shared(adapter, prefix)?;
        let mut answers: Answers = requests.iter().map(|_| None).collect();
        let mut waiting = VecDeque::new();
        for (index, request) in requests.iter().enumerate() {
            match self.prepare(index, request, &prefix.tokens) {
                Ok(sequence) if sequence.is_done() => {
                    let (index, answer) = sequence.finish(prefix.tokens.len(), self.model.tokenizer());
                    settle(&mut answers, index, answer, progress);
                }
                Ok(sequence) => waiting.push_back(sequence),
                Err(error) => settle(&mut answers, index, Err(error), progress),
            }
        }
        self.run(&prefix, waiting, &mut answers, progress)?;
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(LmError::EngineGone))).collect())
    }

    /// Refuses what could never run, before it is queued.
    fn prepare(&self, index: usize, request: &Request, prefix: &[u32]) -> Result<Sequence, LmError> {
        let tokens = self.model.tokenizer().encode(&request.prompt)?;
        if tokens.is_empty() {
            return Err(LmError::EmptyPrompt);
        }
        self.check_length(prefix, tokens.len(), request.max_tokens)?;
        Sequence::new(index, request, tokens, self.model.tokenizer())
    }

    fn check_length(&self, prefix: &[u32], prompt: usize, answer: usize) -> Result<(), LmError> {
        let needed = prefix.len() + prompt + answer;
        let context = (self.model.config().context_length, "the model's context");
        let (limit, what) = context.min((self.settings.kv_token_budget, "kv_token_budget"));
        if needed <= limit {
            return Ok(());
        }
        Err(LmError::TooLong { needed, shared: prefix.len(), prompt, answer, limit, what })
    }

    /// The prefix's keys and values, computed unless kept from an earlier call.
    fn shared(&mut self, adapter: Option<String>, tokens: Vec<u32>) -> Result<Arc<SharedPrefix>, LmError> {
        let same = |prefix: &Arc<SharedPrefix>| prefix.adapter == adapter && prefix.tokens == tokens;
        let kept = self.prefixes.iter().position(same);
        let prefix = match kept {
            Some(at) => self.prefixes.remove(at),
            None => {
                let mut kv = self.model.new_kv();
                let rows = self.settings.prefill_rows;
                self.model.extend(adapter.as_deref(), &mut kv, &tokens, rows)?;
                Arc::new(SharedPrefix { adapter, tokens, kv })
            }
        };
        self.prefixes.push(prefix.clone());
        if self.prefixes.len() > KEPT_PREFIXES {
            self.prefixes.remove(0);
        }
        Ok(prefix)
    }

    fn run(
        &mut self,
        prefix: &SharedPrefix,
        mut waiting: VecDeque<Sequence>,
        answers: &mut Answers,
        progress: &dyn Fn(u64),
    ) -> Result<(), LmError> {
        let mut running: Vec<Running> = Vec::new();
        while !(waiting.is_empty() && running.is_empty()) {
            self.admit(prefix, &mut waiting, &mut running);
            self.pass(prefix, &mut running)?;
            for done in running.extract_if(.., |running| running.sequence.is_done()) {
                let (index, answer) = done.sequence.finish(prefix.tokens.len(), self.model.tokenizer());
                settle(answers, index, answer, progress);
            }
        }
        Ok(())
    }

    /// Lets waiting sequences in, in order, while the batch and the KV budget have room. A prefix kept only for later
    /// gives way to a sequence that would otherwise find no room at all.
    fn admit(&mut self, prefix: &SharedPrefix, waiting: &mut VecDeque<Sequence>, running: &mut Vec<Running>) {
        while running.len() < self.settings.max_batch
            && let Some(next) = waiting.front()
        {
            let held: usize = self.prefixes.iter().map(|prefix| prefix.tokens.len()).sum();
            let reserved: usize = running.iter().map(|running| running.sequence.reserved_tokens()).sum();
            let fits = held + reserved + next.reserved_tokens() <= self.settings.kv_token_budget;
            if !fits && running.is_empty() && self.prefixes.len() > 1 {
                self.prefixes.retain(|kept| std::ptr::eq(Arc::as_ptr(kept), prefix));
                continue;
            }
            if !fits {
                break;
            }
            let kv = self.model.new_kv();
            running.extend(waiting.pop_front().map(|sequence| Running { sequence, kv }));
        }
    }

    /// One forward pass, and the next token of every sequence that has read all it was given.
    fn pass(&self, prefix: &SharedPrefix, running: &mut [Running]) -> Result<(), LmError> {
        let shared = (!prefix.tokens.is_empty()).then_some(&prefix.kv);
        let mut rows = self.settings.prefill_rows;
        let mut chunks = Vec::new();
        let mut asking = Vec::new();
        for Running { sequence, kv } in running {
            let taken = sequence.take_pending(&mut rows);
            if taken.is_empty() {
                continue;
            }
            let wants_logits = sequence.has_read_all();
            chunks.push((taken, kv, wants_logits));
            if wants_logits {
                asking.push(sequence);
            }
        }
        let mut chunks: Vec<Chunk<'_>> = chunks
            .iter_mut()
            .map(|(tokens, kv, wants_logits)| Chunk {
                tokens,
                prefix: shared,
                kv,
                wants_logits: *wants_logits,
            })
            .collect();
        let logits = self.model.forward(prefix.adapter.as_deref(), &mut chunks)?;
        asking.into_par_iter().zip(logits).for_each(|(sequence, logits)| sequence.advance(&logits));
        Ok(())
    }
}

/// A sequence in the batch, with its own keys and values.
#[derive(Debug)]
struct Running {
    sequence: Sequence,
    kv: Kv,
}

fn settle(answers: &mut Answers, index: usize, answer: Result<Answer, LmError>, progress: &dyn Fn(u64)) {
    if let Some(slot) = answers.get_mut(index) {
        *slot = Some(answer);
    }
    progress(1);
}
