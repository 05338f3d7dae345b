//! Posts spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::otlp;
use super::recorder::{Batch, Spans};
use super::settings::Settings;

/// Longest request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Spans a request: some 600 bytes each. CloudWatch takes 10,000 and 5 MB.
const SPANS: usize = 2_000;

/// Why spans were not taken. The collector's address and headers may hold secrets and are not shown.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("the collector answered {0}")]
    Refused(StatusCode),
    #[error("the spans could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

pub struct Sender {
    settings: Settings,
    spans: Arc<Spans>,
    /// One request at a time, so that the end of a verb waits for what is under way.
    sending: tokio::sync::Mutex<()>,
}

impl Sender {
    pub fn new(settings: Settings, spans: Arc<Spans>) -> Self {
        Self { settings, spans, sending: tokio::sync::Mutex::default() }
    }

    /// Sends what has ended.
    pub async fn send_finished(&self) {
        let _alone = self.sending.lock().await;
        if let Some(batch) = self.spans.finished() {
            self.send(&batch).await;
        }
    }

    /// Sends the rest of a verb that has ended.
    pub async fn send_rest(&self) {
        let _alone = self.sending.lock().await;
        if let Some(batch) = self.spans.rest() {
            self.send(&batch).await;
        }
    }

    async fn send(&self, batch: &Batch) {
        if batch.dropped > 0 {
            tracing::warn!(
                spans = batch.dropped,
                "too many spans waited for the collector; some are dropped"
            );
        }
        if let Err(error) = self.post(batch).await {
            tracing::warn!(%error, spans = batch.spans.len(), "spans could not be sent and are dropped");
        }
    }

    async fn post(&self, batch: &Batch) -> Result<(), SendError> {
        // A connection that is kept would be stale once a frozen Lambda wakes up.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).pool_max_idle_per_host(0);
        let client = client.build()?;
        for spans in batch.spans.chunks(SPANS) {
            let body = serde_json::to_vec(&otlp::request(batch, spans, &self.settings))?;
            let mut request = client.post(&self.settings.url).header("content-type", "application/json");
            for (name, value) in self.settings.headers.iter() {
                request = request.header(name, value);
            }
            let status = request.body(body).send().await?.status();
            if !status.is_success() {
                return Err(SendError::Refused(status));
            }
        }
        Ok(())
    }
}
