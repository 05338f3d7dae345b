//! The model's own thread. It computes for minutes at a time and must never sit on the async pool.

use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::{OnceCell, oneshot};

use super::decoder::{Answer, Decoder, Preamble, Request};
use super::error::LmError;
use super::tokenizer::Tokenizer;

/// Answers in the order of the requests, each with its own fate.
pub type Answers = Vec<Result<Answer, LmError>>;

struct Job {
    preamble: Preamble,
    requests: Vec<Request>,
    progress: Box<dyn Fn(u64) + Send>,
    reply: oneshot::Sender<Result<Answers, LmError>>,
}

/// Reads a model and lays it out.
type Load = dyn Fn() -> Result<Decoder, LmError> + Send + Sync;

/// A handle to the thread that owns a [`Decoder`]. Jobs run one after another; the thread ends with the last handle.
#[derive(Clone)]
pub struct Engine {
    load: Arc<Load>,
    running: Arc<OnceCell<Running>>,
}

struct Running {
    jobs: mpsc::Sender<Job>,
    tokenizer: Arc<Tokenizer>,
}

impl Running {
    fn start(mut decoder: Decoder) -> Result<Self, LmError> {
        let tokenizer = decoder.model().tokenizer().clone();
        let (jobs, queue) = mpsc::channel::<Job>();
        let serve = move || {
            for job in queue {
                let answers = decoder.decode(job.preamble, &job.requests, &job.progress);
                // Whoever asked may have been cancelled; there is nobody left to tell.
                let _ = job.reply.send(answers);
            }
        };
        std::thread::Builder::new().name("endcap-lm".into()).spawn(serve).map_err(LmError::Thread)?;
        Ok(Self { jobs, tokenizer })
    }
}

impl Engine {
    /// `load` is called when the first question comes, and again only if it failed: a process whose answers are all kept needs no
    /// model.
    pub fn new(load: impl Fn() -> Result<Decoder, LmError> + Send + Sync + 'static) -> Self {
        Self { load: Arc::new(load), running: Arc::default() }
    }

    /// The model's, which is loaded for it.
    pub async fn tokenizer(&self) -> Result<&Arc<Tokenizer>, LmError> {
        Ok(&self.running().await?.tokenizer)
    }

    async fn running(&self) -> Result<&Running, LmError> {
        let start = || async {
            let load = Arc::clone(&self.load);
            let decoder = tokio::task::spawn_blocking(move || load()).await;
            Running::start(decoder.map_err(|_| LmError::EngineGone)??)
        };
        self.running.get_or_try_init(start).await
    }

    /// [`Decoder::decode`] on the model's thread. `progress` is called there.
    pub async fn decode(
        &self,
        preamble: impl Into<Preamble>,
        requests: Vec<Request>,
        progress: impl Fn(u64) + Send + 'static,
    ) -> Result<Answers, LmError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { preamble: preamble.into(), requests, progress: Box::new(progress), reply };
        self.running().await?.jobs.send(job).map_err(|_| LmError::EngineGone)?;
        answer.await.map_err(|_| LmError::EngineGone)?
    }
}
