//! The key-value store at the CDN's edge, whose key `current` follows the pointer: an edge function cannot read a bucket.
//!
//! It is never ahead of the pointer: what is written is the run that the pointer named after the store's version was read, and
//! the write is on the condition that the store still has that version. Two followers at once end with the newer run. A write
//! that failed leaves the store behind, and the next call of [`follow`] repairs it.

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::domain::RunId;
use crate::trace::{self, step};

use super::sigv4a::{Signer, Unsigned};
use super::{PublishError, Store, read_pointer};

/// How often a write that another follower beat is started again.
const ATTEMPTS: usize = 8;

/// The key-value store could not follow the pointer; the pointer itself is written.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error(
        "{store} is not the ARN of a CloudFront KeyValueStore (arn:aws:cloudfront::ACCOUNT:key-value-store/ID): mend publish.edge_store"
    )]
    NotAnArn { store: String },
    #[error("{store}: no credentials to sign with: {reason}")]
    Credentials { store: String, reason: String },
    #[error(
        "{store}: cannot {action}: {reason}; shoppers see the run before until it is written: call again, or roll back"
    )]
    Failed { store: String, action: &'static str, reason: String },
    #[error("{store}: other writers were faster {ATTEMPTS} times; call again")]
    Contended { store: String },
    #[error(transparent)]
    Pointer(#[from] PublishError),
}

/// What following the pointer asks of an edge store.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Version of the whole store.
    async fn version(&self) -> Result<String, EdgeError>;

    /// What `current` says, `None` where it says nothing yet.
    async fn current(&self) -> Result<Option<String>, EdgeError>;

    /// Puts `run` under `current`, if the store still is at `version`; `false` where it is not.
    async fn put_current(&self, run: &RunId, version: &str) -> Result<bool, EdgeError>;
}

/// Brings `edge` to the run that the pointer names; the run, or `None` where nothing is published.
pub async fn follow(store: &dyn Store, edge: &dyn Edge) -> Result<Option<RunId>, EdgeError> {
    for _ in 0..ATTEMPTS {
        let version = edge.version().await?;
        let Some(current) = read_pointer(store).await? else { return Ok(None) };
        let run = current.pointer.run_id;
        if edge.current().await?.as_deref() == Some(run.as_str()) || edge.put_current(&run, &version).await? {
            return Ok(Some(run));
        }
    }
    Err(EdgeError::Contended { store: store.location().into() })
}

/// A CloudFront KeyValueStore.
pub struct KeyValueStore {
    client: reqwest::Client,
    arn: String,
    endpoint: String,
    credentials: Credentials,
    now: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "Value")]
    value: String,
}

impl KeyValueStore {
    /// Opens the store `arn`; requests are signed as of `now`. The SDK finds credentials and, in `AWS_ENDPOINT_URL`, another
    /// endpoint than AWS's own.
    pub async fn open(arn: &str, now: DateTime<Utc>) -> Result<Self, EdgeError> {
        let account = account(arn).ok_or_else(|| EdgeError::NotAnArn { store: arn.into() })?;
        let shared = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let own = || format!("https://{account}.cloudfront-kvs.global.api.aws");
        let endpoint = shared.endpoint_url().map_or_else(own, |url| url.trim_end_matches('/').to_owned());
        let refused = |reason: String| EdgeError::Credentials { store: arn.into(), reason };
        let provider = shared.credentials_provider().ok_or_else(|| refused("none are configured".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| refused(error.to_string()))?;
        Ok(Self { client: reqwest::Client::new(), arn: arn.into(), endpoint, credentials, now })
    }

    async fn send(
        &self,
        action: &'static str,
        (method, path): (reqwest::Method, String),
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<reqwest::Response, EdgeError> {
        let fail = |reason: String| EdgeError::Failed { store: self.arn.clone(), action, reason };
        let host = self.endpoint.split("://").nth(1).unwrap_or_default();
        let signer = Signer {
            access_key: self.credentials.access_key_id(),
            secret_key: self.credentials.secret_access_key(),
            session_token: self.credentials.session_token(),
            service: "cloudfront-keyvaluestore",
            now: self.now,
        };
        let unsigned = Unsigned { method: method.as_str(), host, path: &path, headers, body: &body };
        let signed = signer.sign(&unsigned).map_err(|_| fail("the request could not be signed".into()))?;
        let mut request = self.client.request(method, format!("{}{path}", self.endpoint)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        request.send().await.map_err(|error| fail(error.to_string()))
    }

    fn path(&self, below: &str) -> String {
        format!("/key-value-stores/{}{below}", self.arn.replace(':', "%3A").replace('/', "%2F"))
    }

    async fn refused(&self, action: &'static str, response: reqwest::Response) -> EdgeError {
        let status = response.status();
        let said = response.text().await.unwrap_or_default();
        let reason = format!("{status} {}", said.chars().take(300).collect::<String>());
        EdgeError::Failed { store: self.arn.clone(), action, reason }
    }
}

#[async_trait]
impl Edge for KeyValueStore {
    async fn version(&self) -> Result<String, EdgeError> {
        let action = "read its version";
        let response = self.send(action, (reqwest::Method::GET, self.path("")), &[], Vec::new()).await?;
        let tag = response.headers().get("etag").and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        match tag {
            Some(tag) if response.status().is_success() => Ok(tag),
            _ => Err(self.refused(action, response).await),
        }
    }

    async fn current(&self) -> Result<Option<String>, EdgeError> {
        let (action, path) = ("read the key `current`", self.path("/keys/current"));
        let response = self.send(action, (reqwest::Method::GET, path), &[], Vec::new()).await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.refused(action, response).await);
        }
        let bytes = response.bytes().await.map_err(|error| self.unreadable(action, &error))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| self.unreadable(action, &error))?;
        Ok(Some(value.value))
    }

    async fn put_current(&self, run: &RunId, version: &str) -> Result<bool, EdgeError> {
        let action = "put the key `current`";
        let body = serde_json::json!({ "Value": run.as_str() }).to_string().into_bytes();
        let headers = [("content-type", "application/json"), ("if-match", version)];
        let target = (reqwest::Method::PUT, self.path("/keys/current"));
        let response = self.send(action, target, &headers, body).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            reqwest::StatusCode::CONFLICT | reqwest::StatusCode::PRECONDITION_FAILED => Ok(false),
            _ => Err(self.refused(action, response).await),
        }
    }
}

impl KeyValueStore {
    fn unreadable(&self, action: &'static str, error: &dyn std::error::Error) -> EdgeError {
        EdgeError::Failed { store: self.arn.clone(), action, reason: error.to_string() }
    }
}

/// The account of a store's ARN.
fn account(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "cloudfront", "", account, store]
            if account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && store.starts_with("key-value-store/") =>
        {
            Some(account)
        }
        _ => None,
    }
}

/// Brings the edge store that the settings name to the pointer's run; nothing where they name none.
pub async fn follow_if_set(store: &dyn Store, arn: &str, now: DateTime<Utc>) -> Result<(), EdgeError> {
    if arn.is_empty() {
        return Ok(());
    }
    let followed = async { follow(store, &KeyValueStore::open(arn, now).await?).await };
    if let Some(run) = trace::within(step!("edge"), followed).await? {
        tracing::info!(run_id = %run, "the edge store follows the pointer");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_account() {
        assert_eq!(account("arn:aws:cloudfront::123456789012:key-value-store/a-b"), Some("123456789012"));
        for bad in ["", "arn:aws:s3:::bucket", "arn:aws:cloudfront::12:key-value-store/a", "current"] {
            assert_eq!(account(bad), None, "{bad}");
        }
    }
}
