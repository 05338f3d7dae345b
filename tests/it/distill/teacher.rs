//! A teacher on a loopback port: it rate-limits, stalls, cuts connections, breaks its JSON and fails, as told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::json;

/// What the teacher does with one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    /// 429 with `Retry-After`.
    Limits,
    /// No answer within any patience.
    Stalls,
    /// Half a body, then a closed connection.
    Cuts,
    /// 200 with a body that is no JSON.
    BreaksBody,
    /// A completion whose content is no page.
    BreaksAnswer,
    Fails,
    /// 401.
    Refuses,
}

/// Tokens that an answer says it wrote.
pub const TOKENS: u64 = 40;

pub const PAGE: &str = r#"{"persona":"Shoppers who like milk and bread.","placements":[]}"#;

/// The mood of a request's n-th attempt, 0-based; requests are numbered as they come.
type Script = fn(request: usize, attempt: usize) -> Mood;

#[derive(Default)]
struct Record {
    /// Attempts by body.
    attempts: BTreeMap<String, usize>,
    order: Vec<String>,
    /// Whole answers sent off, by body.
    answered: BTreeMap<String, usize>,
    under_way: usize,
    most_under_way: usize,
}

struct Shared {
    script: Script,
    record: Mutex<Record>,
}

pub struct Teacher {
    shared: Arc<Shared>,
    pub url: String,
}

impl Teacher {
    pub async fn start(script: Script) -> Self {
        let shared = Arc::new(Shared { script, record: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let route = axum::routing::post(answer);
        let router = axum::Router::new().route("/v1/chat/completions", route).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    fn record<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.shared.record.lock().expect("record"))
    }

    pub fn attempts(&self, body: &str) -> usize {
        self.record(|record| record.attempts.get(body).copied().unwrap_or(0))
    }

    pub fn all_attempts(&self) -> usize {
        self.record(|record| record.attempts.values().sum())
    }

    /// Answers sent, each of which costs [`TOKENS`].
    pub fn all_answers(&self) -> usize {
        self.record(|record| record.answered.values().sum())
    }

    pub fn most_under_way(&self) -> usize {
        self.record(|record| record.most_under_way)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    let body = String::from_utf8(body.to_vec()).expect("a request in UTF-8");
    let mood = {
        let mut record = shared.record.lock().expect("record");
        if !record.order.contains(&body) {
            record.order.push(body.clone());
        }
        let number = record.order.iter().position(|other| *other == body).expect("just noted");
        let attempts = record.attempts.entry(body.clone()).or_default();
        let attempt = *attempts;
        *attempts += 1;
        record.under_way += 1;
        record.most_under_way = record.most_under_way.max(record.under_way);
        (shared.script)(number, attempt)
    };
    // Others get their turn while this one is under way, so that the count means something.
    tokio::time::sleep(Duration::from_millis(2)).await;
    {
        let mut record = shared.record.lock().expect("record");
        record.under_way -= 1;
        if matches!(mood, Mood::Answers | Mood::BreaksAnswer) {
            *record.answered.entry(body).or_default() += 1;
        }
    }
    if mood == Mood::Stalls {
        std::future::pending::<()>().await;
    }
    respond(mood)
}

fn respond(mood: Mood) -> Response<Body> {
    let response = |status: StatusCode| Response::builder().status(status);
    let whole = |body: Body| response(StatusCode::OK).body(body);
    let built = match mood {
        Mood::Answers | Mood::Stalls => whole(completion(PAGE).into()),
        Mood::BreaksAnswer => whole(completion("{\"persona\": \"Shoppers wh").into()),
        Mood::BreaksBody => whole("{\"choices\": [".into()),
        Mood::Cuts => {
            let half = Bytes::from_static(b"{\"choices\": [{\"message\"");
            let parts = [Ok(half), Err(std::io::Error::other("cut"))];
            whole(Body::from_stream(futures::stream::iter(parts)))
        }
        Mood::Limits => {
            response(StatusCode::TOO_MANY_REQUESTS).header("retry-after", "1").body(Body::empty())
        }
        Mood::Fails => response(StatusCode::INTERNAL_SERVER_ERROR).body("down".into()),
        Mood::Refuses => response(StatusCode::UNAUTHORIZED).body("who are you".into()),
    };
    built.expect("a response")
}

/// A chat completion with that content.
pub fn completion(content: &str) -> String {
    json!({
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": TOKENS},
    })
    .to_string()
}
