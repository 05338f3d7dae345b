//! Sends requests to an OpenAI-compatible endpoint: a bounded number at once, patiently, within a budget, resumable.
//!
//! Every attempt sets its worst case aside before it is sent (each byte a token read, `max_tokens` written), so the cap
//! holds whatever comes back. 429 and 5xx cost nothing; a connection cut or stalled after it was made may have been billed and
//! counts in full; an answer counts by its own `usage`.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::Serialize;
use tokio::sync::Notify;

use super::journal::{Entry, Failure, Journal, Ledger, Response};
use super::requests::Request;
use super::{DistillError, Settings};
use crate::domain::Digest;

/// Longest body read from an endpoint, bytes.
const MAX_BODY: usize = 8 << 20;

/// Tokens a message takes beyond its own text, at most.
const MESSAGE_TOKENS: u64 = 16;

/// A key that no log shows.
#[derive(Clone, Default)]
pub struct Key(String);

impl Key {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What happened, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request is over, answered or not.
    Done,
    /// An attempt is repeated.
    Retried,
}

/// Whoever sends: what to check an answer for, and whom to tell.
pub struct Hooks<'a> {
    /// Whether an answer's text can be used; an `Err` says why not.
    pub check: &'a (dyn Fn(&Request, &str) -> Result<(), String> + Sync),
    pub progress: &'a (dyn Fn(Event) + Sync),
    /// Sends again what a journal has as failed for good.
    pub retry_failed: bool,
}

/// How a sending went.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    pub answered: usize,
    /// Answered by an earlier start.
    pub resumed: usize,
    /// Failed for good, and why; recorded in the journal.
    pub failed: Vec<Unanswered>,
    /// Given up for now, and why; the next start tries again.
    pub unreachable: Vec<Unanswered>,
    /// Not sent, as the cost cap leaves no room.
    pub unsent: usize,
    pub retries: usize,
    /// Of the whole journal, US dollars.
    pub spent_usd: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    pub custom_id: String,
    pub reason: String,
}

/// A connection pool to one endpoint.
pub struct Client<'a> {
    http: reqwest::Client,
    url: Url,
    key: Option<Key>,
    settings: &'a Settings,
}

/// One attempt's end.
enum Reply {
    Answer(Response),
    /// 2xx, but no chat completion; may have been billed.
    Broken(String),
    /// 429 or 5xx; not billed.
    Busy {
        reason: String,
        after: Option<Duration>,
    },
    /// No whole response. `billed` unless no connection was made.
    Lost {
        reason: String,
        billed: bool,
    },
    /// 4xx: this request is at fault.
    Rejected(String),
    /// 3xx, 401, 403, 404: every request will fare so.
    Refused {
        status: u16,
        body: String,
    },
}

/// What an attempt leaves to do.
enum Next {
    Over(Fate),
    Again { after: Option<Duration> },
}

/// What becomes of a request.
enum Fate {
    Answered,
    Failed(String),
    Unreachable(String),
    Unsent,
}

/// Attempts of one request so far.
#[derive(Default)]
struct Tries {
    lost: u32,
    broken: u32,
}

/// What all requests of one sending share.
struct Shared<'a> {
    journal: Mutex<Journal>,
    budget: Budget,
    hooks: &'a Hooks<'a>,
    retries: std::sync::atomic::AtomicUsize,
}

impl<'a> Client<'a> {
    /// `base` is what stands before `/chat/completions`, such as `https://host/v1`.
    pub fn new(base: &str, key: Option<Key>, settings: &'a Settings) -> Result<Self, DistillError> {
        let refuse = |problem: String| DistillError::Address { url: base.into(), problem };
        let url = format!("{}/chat/completions", base.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| refuse(format!("is no URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("is neither http nor https".into()));
        }
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = builder.build().map_err(|error| refuse(format!("cannot be used ({error})")))?;
        Ok(Self { http, url, key, settings })
    }

    /// Sends what the journal has no answer to, and records every answer in it.
    pub async fn send(
        &self,
        requests: &[Request],
        (journal, ledger): (Journal, Ledger),
        hooks: &Hooks<'_>,
    ) -> Result<Outcome, DistillError> {
        let mut outcome = Outcome::default();
        let mut open = Vec::new();
        for request in requests {
            if ledger.answered(request)? {
                outcome.resumed += 1;
                (hooks.progress)(Event::Done);
            } else if ledger.failed(request) && !hooks.retry_failed {
                outcome.failed.push(unanswered(request, "failed at an earlier start".into()));
                (hooks.progress)(Event::Done);
            } else {
                open.push(request);
            }
        }
        let budget = Budget::new(self.settings.cost_cap_usd, ledger.spent_usd);
        let shared = Shared { journal: Mutex::new(journal), budget, hooks, retries: 0.into() };
        let shared = &shared;
        let fates: Vec<(&Request, Fate)> = futures::stream::iter(open)
            .map(|request| async move { Ok::<_, DistillError>((request, self.ask(request, shared).await?)) })
            .buffer_unordered(self.settings.concurrency)
            .inspect_ok(|_| (hooks.progress)(Event::Done))
            .try_collect()
            .await?;
        for (request, fate) in fates {
            match fate {
                Fate::Answered => outcome.answered += 1,
                Fate::Failed(reason) => outcome.failed.push(unanswered(request, reason)),
                Fate::Unreachable(reason) => outcome.unreachable.push(unanswered(request, reason)),
                Fate::Unsent => outcome.unsent += 1,
            }
        }
        outcome.failed.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
        outcome.unreachable.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
        outcome.retries = shared.retries.load(std::sync::atomic::Ordering::Relaxed);
        outcome.spent_usd = shared.budget.spent();
        Ok(outcome)
    }

    /// Attempts a request until it is answered or given up.
    async fn ask(&self, request: &Request, shared: &Shared<'_>) -> Result<Fate, DistillError> {
        let worst = self.worst_usd(request);
        let mut tries = Tries::default();
        loop {
            if !shared.budget.reserve(worst).await {
                return Ok(Fate::Unsent);
            }
            shared.record(Entry { reserved_usd: Some(worst), ..entry(request) })?;
            let reply = self.attempt(request).await;
            match self.settle(request, reply, worst, &mut tries, shared)? {
                Next::Over(fate) => return Ok(fate),
                Next::Again { after } => {
                    shared.retries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    (shared.hooks.progress)(Event::Retried);
                    tokio::time::sleep(self.delay(request, &tries, after)).await;
                }
            }
        }
    }

    /// Books what an attempt cost and says what comes next.
    fn settle(
        &self,
        request: &Request,
        reply: Reply,
        worst: f64,
        tries: &mut Tries,
        shared: &Shared<'_>,
    ) -> Result<Next, DistillError> {
        let (spent, next) = match reply {
            Reply::Answer(response) => {
                let spent = self.cost_usd(&response).unwrap_or(worst);
                match usable(request, &response, shared.hooks) {
                    Ok(()) => {
                        let response = Some(response);
                        let request_sha256 = Some(request.digest());
                        let spent_usd = Some(spent);
                        shared.record(Entry { response, spent_usd, request_sha256, ..entry(request) })?;
                        shared.budget.settle(worst, spent);
                        return Ok(Next::Over(Fate::Answered));
                    }
                    Err(reason) => (spent, self.broken(reason, tries)),
                }
            }
            Reply::Broken(reason) => (worst, self.broken(reason, tries)),
            Reply::Busy { reason, after } => (0.0, self.lost(reason, after, tries)),
            Reply::Lost { reason, billed } => {
                (if billed { worst } else { 0.0 }, self.lost(reason, None, tries))
            }
            Reply::Rejected(reason) => (0.0, Next::Over(Fate::Failed(reason))),
            Reply::Refused { status, body } => {
                shared.record(Entry { spent_usd: Some(0.0), ..entry(request) })?;
                shared.budget.settle(worst, 0.0);
                return Err(DistillError::Refused { status, body });
            }
        };
        let error = match &next {
            Next::Over(Fate::Failed(reason)) => {
                Some(Failure { code: Some("failed".into()), message: reason.clone() })
            }
            _ => None,
        };
        shared.record(Entry { error, spent_usd: Some(spent), ..entry(request) })?;
        shared.budget.settle(worst, spent);
        Ok(next)
    }

    fn broken(&self, reason: String, tries: &mut Tries) -> Next {
        tries.broken += 1;
        if tries.broken >= self.settings.broken_attempts {
            return Next::Over(Fate::Failed(format!("{reason} ({} attempts)", tries.broken)));
        }
        Next::Again { after: None }
    }

    fn lost(&self, reason: String, after: Option<Duration>, tries: &mut Tries) -> Next {
        tries.lost += 1;
        if tries.lost >= self.settings.attempts {
            return Next::Over(Fate::Unreachable(format!("{reason} ({} attempts)", tries.lost)));
        }
        Next::Again { after }
    }

    async fn attempt(&self, request: &Request) -> Reply {
        let limit = Duration::from_millis(self.settings.timeout_ms);
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                let billed = !error.is_connect();
                Reply::Lost { reason: format!("connection lost: {}", error.without_url()), billed }
            }
            Err(_) => Reply::Lost { reason: format!("no answer in {} ms", limit.as_millis()), billed: true },
        }
    }

    async fn exchange(&self, request: &Request) -> reqwest::Result<Reply> {
        let mut call = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(Key(key)) = &self.key {
            call = call.bearer_auth(key);
        }
        let mut response = call.body(request.body_json()).send().await?;
        let (status, after) = (response.status(), retry_after(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Ok(Reply::Broken(format!("the body is longer than {MAX_BODY} bytes")));
            }
        }
        Ok(read_reply(status, after, &body))
    }

    /// Full jitter: anything up to a bound that doubles with each attempt, and no less than the endpoint asks for.
    fn delay(&self, request: &Request, tries: &Tries, after: Option<Duration>) -> Duration {
        let Settings { base_delay_ms, max_delay_ms, seed, .. } = *self.settings;
        let attempt = tries.lost + tries.broken;
        let bound = base_delay_ms.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(max_delay_ms);
        let parts = [&seed.to_le_bytes()[..], request.custom_id.as_bytes(), &attempt.to_le_bytes()[..]];
        let drawn = Duration::from_millis(Digest::of_parts(parts).seed() % (bound + 1));
        drawn.max(after.unwrap_or_default()).min(Duration::from_millis(max_delay_ms))
    }

    fn worst_usd(&self, request: &Request) -> f64 {
        let read: u64 = request.body.messages.iter().map(|m| m.content.len() as u64 + MESSAGE_TOKENS).sum();
        self.price(read, request.body.max_tokens.into())
    }

    fn cost_usd(&self, response: &Response) -> Option<f64> {
        response.usage().map(|(read, written)| self.price(read, written))
    }

    fn price(&self, read: u64, written: u64) -> f64 {
        let Settings { input_usd_per_million, output_usd_per_million, .. } = *self.settings;
        (read as f64 * input_usd_per_million + written as f64 * output_usd_per_million) / 1e6
    }
}

fn unanswered(request: &Request, reason: String) -> Unanswered {
    Unanswered { custom_id: request.custom_id.clone(), reason }
}

fn entry(request: &Request) -> Entry {
    Entry { custom_id: request.custom_id.clone(), ..Entry::default() }
}

fn usable(request: &Request, response: &Response, hooks: &Hooks<'_>) -> Result<(), String> {
    let content = response.content().ok_or("the response has no choices[0].message.content")?;
    if response.cut_off() {
        return Err("the answer was cut off at max_tokens".into());
    }
    (hooks.check)(request, content)
}

fn read_reply(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Reply {
    let shown = || String::from_utf8_lossy(body).chars().take(200).collect::<String>();
    match status.as_u16() {
        200..=299 => match serde_json::from_slice(body) {
            Ok(body) => Reply::Answer(Response { status_code: status.as_u16(), body }),
            Err(error) => Reply::Broken(format!("the body is not JSON ({error})")),
        },
        429 | 500..=599 => Reply::Busy { reason: format!("status {status}"), after },
        300..=399 | 401 | 403 | 404 => Reply::Refused { status: status.as_u16(), body: shown() },
        _ => Reply::Rejected(format!("status {status}: {}", shown())),
    }
}

/// `Retry-After` in seconds. The header's other form, a date, needs a clock and is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Shared<'_> {
    fn record(&self, entry: Entry) -> Result<(), DistillError> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(&entry)
    }
}

/// Money, US dollars: `spent + reserved` never passes the cap.
struct Budget {
    cap: f64,
    state: Mutex<Account>,
    freed: Notify,
}

struct Account {
    spent: f64,
    reserved: f64,
    in_flight: usize,
}

impl Budget {
    fn new(cap: f64, spent: f64) -> Self {
        let state = Mutex::new(Account { spent, reserved: 0.0, in_flight: 0 });
        Self { cap, state, freed: Notify::new() }
    }

    /// Sets `usd` aside, waiting for attempts under way to free some; false where there is none left to wait for.
    async fn reserve(&self, usd: f64) -> bool {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.spent + state.reserved + usd <= self.cap {
                    state.reserved += usd;
                    state.in_flight += 1;
                    return true;
                }
                if state.in_flight == 0 {
                    return false;
                }
            }
            freed.await;
        }
    }

    fn settle(&self, reserved: f64, spent: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_flight -= 1;
        // With nothing under way nothing is set aside: rounding does not pile up.
        state.reserved = if state.in_flight == 0 { 0.0 } else { state.reserved - reserved };
        state.spent += spent;
        drop(state);
        self.freed.notify_waiters();
    }

    fn spent(&self) -> f64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distill::requests::Request;

    #[test]
    fn waits_are_drawn_below_a_doubling_bound_and_honour_retry_after() {
        let settings = Settings { base_delay_ms: 100, max_delay_ms: 5_000, ..Settings::default() };
        let client = Client::new("https://host/v1/", None, &settings).expect("a client");
        assert_eq!(client.url.as_str(), "https://host/v1/chat/completions");
        let mut drawn = std::collections::BTreeSet::new();
        for id in 0..20 {
            let request = Request::new(format!("themes/{id}"), Vec::new(), &settings, true);
            let delay = |lost, after: Option<u64>| {
                client
                    .delay(&request, &Tries { lost, broken: 0 }, after.map(Duration::from_millis))
                    .as_millis()
            };
            assert!(delay(1, None) <= 100 && delay(3, None) <= 400 && delay(60, None) <= 5_000);
            assert!((1_500..=5_000).contains(&delay(1, Some(1_500))));
            assert_eq!(delay(1, Some(60_000)), 5_000);
            assert_eq!(delay(2, None), delay(2, None), "a draw repeats");
            drawn.insert(delay(3, None));
        }
        assert!(drawn.len() > 10, "requests do not wait in step: {drawn:?}");
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(
                RETRY_AFTER,
                reqwest::header::HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(read("2"), Some(Duration::from_secs(2)));
        assert_eq!([read("-1"), read("NaN"), read("Wed, 21 Oct 2015 07:28:00 GMT")], [None; 3]);
    }
}
