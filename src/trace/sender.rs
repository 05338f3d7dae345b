//! Posts spans to the collector.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio::sync::Mutex;

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
    #[error("{}", causes(.0))]
    Http(reqwest::Error),
    #[error("the collector answered {0}")]
    Refused(StatusCode),
    #[error("the spans could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The error and what caused it, one after the other.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

/// It keeps no connection, which would be stale once a frozen Lambda wakes up.
fn new_client() -> Result<Client, reqwest::Error> {
    Client::builder().timeout(TIMEOUT).redirect(Policy::none()).pool_max_idle_per_host(0).build()
}

pub struct Sender {
    settings: Settings,
    spans: Arc<Spans>,
    /// Made at the first request. One at a time, so that the end of a verb waits for what is under way.
    client: Mutex<Option<Client>>,
}

impl Sender {
    pub fn new(settings: Settings, spans: Arc<Spans>) -> Self {
        Self { settings, spans, client: Mutex::default() }
    }

    /// Sends what has ended.
    pub async fn send_finished(&self) {
        let mut client = self.client.lock().await;
        if let Some(batch) = self.spans.finished() {
            self.send(&mut client, &batch).await;
        }
    }

    /// Sends the rest of a verb that has ended.
    pub async fn send_rest(&self) {
        let mut client = self.client.lock().await;
        if let Some(batch) = self.spans.rest() {
            self.send(&mut client, &batch).await;
        }
    }

    async fn send(&self, client: &mut Option<Client>, batch: &Batch) {
        if batch.dropped > 0 {
            tracing::warn!(
                spans = batch.dropped,
                "too many spans waited for the collector; some are dropped"
            );
        }
        if let Err(error) = self.post(client, batch).await {
            tracing::warn!(%error, spans = batch.spans.len(), "spans could not be sent and are dropped");
        }
    }

    async fn post(&self, client: &mut Option<Client>, batch: &Batch) -> Result<(), SendError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(new_client()?),
        };
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
