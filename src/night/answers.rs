//! Asks the model, but never twice: an answer is kept under the digest of the exact bytes it depends on (stage, template
//! version, model, adapter, prefix, prompt, grammar, sampling, seed). Decoding does not depend on the rest of the batch (DET-1), so
//! an answer from the cache is the answer that would be computed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Digest;
use crate::domain::digest::DigestBuilder;
use crate::lm::{Engine, Finish, LmError, Preamble, Prompt, Question, Usage};

use super::progress::Progress;
use super::workspace::{WorkError, Workspace};

/// Who answers a stage: the base in the engine, alone or with an adapter of the stage's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Student {
    /// By its name in the engine.
    pub adapter: Option<String>,
    /// Of the base's files, and of the adapter's where there is one.
    pub digest: Digest,
}

impl Student {
    pub fn base(digest: Digest) -> Self {
        Self { adapter: None, digest }
    }

    pub fn adapted(base: Digest, adapter: &str, digest: Digest) -> Self {
        let mut both = DigestBuilder::default();
        both.part(base.as_bytes()).part(digest.as_bytes());
        Self { adapter: Some(adapter.into()), digest: both.finish() }
    }
}

/// What was asked of which stage.
pub struct Inquiry<'a> {
    pub stage: &'static str,
    /// Template version.
    pub version: &'static str,
    pub prefix: &'a Prompt,
    pub questions: Vec<Question>,
}

/// An answer as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    pub text: String,
    /// Chosen items of a choice, in order.
    pub choices: Vec<usize>,
    pub usage: Usage,
}

/// Why a question has no answer; the others of its batch have theirs.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Model(#[from] LmError),
    #[error("the answer was cut off at {max_tokens} tokens; raise max_tokens")]
    CutOff { max_tokens: usize },
}

/// The answers of one inquiry, in order of its questions.
pub struct Replies {
    pub answers: Vec<Result<Answered, Unanswered>>,
    /// How many came from the cache.
    pub cached: usize,
    /// Tokens of those that did not.
    pub usage: Usage,
}

/// The model behind its cache.
pub struct Answers<'a> {
    pub workspace: &'a Workspace,
    pub engine: &'a Engine,
    pub student: &'a Student,
}

impl Answers<'_> {
    /// Answers all questions, from the cache where it can. `Err` only if nothing can be answered at all.
    pub async fn ask(&self, inquiry: Inquiry<'_>, progress: Arc<dyn Progress>) -> Result<Replies, AskError> {
        let total = inquiry.questions.len();
        let path = |question| self.workspace.answer(&self.key(&inquiry, question));
        let paths: Vec<String> = inquiry.questions.iter().map(path).collect();
        let kept: Vec<Option<Answered>> = self.workspace.read_all(&paths).await?;
        let mut answers: Vec<Option<Result<Answered, Unanswered>>> = Vec::with_capacity(total);
        let mut open = Vec::new();
        for ((at, path), kept) in paths.into_iter().enumerate().zip(kept) {
            if kept.is_none() {
                open.push((at, path));
            }
            answers.push(kept.map(Ok));
        }
        let cached = total - open.len();
        progress.advance(cached as u64);

        let mut requests = Vec::new();
        let mut asked = Vec::new();
        for (at, path) in open {
            match inquiry.questions[at].compile(self.engine.tokenizer().await?) {
                Ok(request) => {
                    requests.push(request);
                    asked.push((at, path));
                }
                Err(error) => {
                    progress.advance(1);
                    answers[at] = Some(Err(error.into()));
                }
            }
        }
        let mut usage = Usage::default();
        if !requests.is_empty() {
            let preamble = Preamble { adapter: self.student.adapter.clone(), prompt: inquiry.prefix.clone() };
            let replies = self.engine.decode(preamble, requests, move |done| progress.advance(done)).await?;
            let mut paid: Vec<(String, Answered)> = Vec::new();
            for ((at, path), reply) in asked.into_iter().zip(replies) {
                let answered = settle(reply, inquiry.questions[at].max_tokens);
                if let Ok(answered) = &answered {
                    usage += answered.usage;
                    paid.push((path, answered.clone()));
                }
                answers[at] = Some(answered);
            }
            self.workspace.write_all(paid).await?;
        }
        let answers = answers.into_iter().flatten().collect();
        Ok(Replies { answers, cached, usage })
    }

    fn key(&self, inquiry: &Inquiry, question: &Question) -> Digest {
        let mut key = DigestBuilder::default();
        key.part(inquiry.stage.as_bytes()).part(inquiry.version.as_bytes());
        key.part(self.student.digest.as_bytes());
        key.part(format!("{:?}", inquiry.prefix).as_bytes());
        question.digest_into(&mut key);
        key.finish()
    }
}

fn settle(reply: Result<crate::lm::Answer, LmError>, max_tokens: usize) -> Result<Answered, Unanswered> {
    let answer = reply?;
    match answer.finish {
        Finish::Complete => Ok(Answered { text: answer.text, choices: answer.choices, usage: answer.usage }),
        Finish::Length => Err(Unanswered::CutOff { max_tokens }),
    }
}

/// Nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("the language model cannot be asked: {0}")]
    Engine(#[from] LmError),
}
