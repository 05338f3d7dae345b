//! The model's own thread. It computes for minutes at a time and must never sit on the async pool.

use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::decoder::{Answer, Decoder, Preamble, Request};
use super::error::LmError;
use super::tokenizer::Tokenizer;
use super::weights::ModelConfig;

/// Answers in the order of the requests, each with its own fate.
pub type Answers = Vec<Result<Answer, LmError>>;

struct Job {
    preamble: Preamble,
    requests: Vec<Request>,
    progress: Box<dyn Fn(u64) + Send>,
    reply: oneshot::Sender<Result<Answers, LmError>>,
}

/// A handle to the thread that owns a [`Decoder`]. Jobs run one after another; the thread ends with the last handle.
#[derive(Debug, Clone)]
pub struct Engine {
    jobs: mpsc::Sender<Job>,
    tokenizer: Arc<Tokenizer>,
    config: Arc<ModelConfig>,
}

impl Engine {
    pub fn start(mut decoder: Decoder) -> Result<Self, LmError> {
        let tokenizer = decoder.model().tokenizer().clone();
        let config = Arc::new(decoder.model().config().clone());
        let (jobs, queue) = mpsc::channel::<Job>();
        let serve = move || {
            for job in queue {
                let answers = decoder.decode(job.preamble, &job.requests, &job.progress);
                // Whoever asked may have been cancelled; there is nobody left to tell.
                let _ = job.reply.send(answers);
            }
        };
        std::thread::Builder::new().name("endcap-lm".into()).spawn(serve).map_err(LmError::Thread)?;
        Ok(Self { jobs, tokenizer, config })
    }

    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// [`Decoder::decode`] on the model's thread. `progress` is called there.
    pub async fn decode(
        &self,
        preamble: impl Into<Preamble>,
        requests: Vec<Request>,
        progress: impl Fn(u64) + Send + 'static,
    ) -> Result<Answers, LmError> {
        self.submit(preamble.into(), requests, Box::new(progress))?.await.map_err(|_| LmError::EngineGone)?
    }

    fn submit(
        &self,
        preamble: Preamble,
        requests: Vec<Request>,
        progress: Box<dyn Fn(u64) + Send>,
    ) -> Result<oneshot::Receiver<Result<Answers, LmError>>, LmError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { preamble, requests, progress, reply };
        self.jobs.send(job).map_err(|_| LmError::EngineGone)?;
        Ok(answer)
    }
}
