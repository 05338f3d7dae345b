//! A collector of traces: takes OTLP over HTTP as JSON and keeps the spans.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use endcap::domain::Digest;
use serde_json::{Value, json};

/// What it asks for in the header `authorization`.
const KEY: &str = "Bearer night key";

type Kept = Arc<Mutex<Vec<Value>>>;

pub struct Collector {
    address: String,
    kept: Kept,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("bind");
        let address = format!("http://{}", listener.local_addr().expect("address"));
        let kept = Kept::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&kept));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, kept, _runtime: runtime }
    }

    /// What a process needs to find it.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.address.clone()),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", KEY.replace(' ', "%20"))),
        ]
    }

    /// The spans of a run's trace, by the ids that follow from the run's.
    #[track_caller]
    pub fn trace(&self, run: &str) -> Trace {
        let digest = Digest::of(run.as_bytes()).to_hex();
        let kept = self.kept.lock().expect("spans");
        let spans = kept.iter().filter(|span| span["traceId"] == digest[..32]).cloned().collect();
        Trace { run: run.into(), root: digest[32..48].into(), spans }
    }

    /// Ids of all traces.
    pub fn traces(&self) -> BTreeSet<String> {
        self.kept.lock().expect("spans").iter().map(|span| text(span, "traceId")).collect()
    }
}

async fn take(State(kept): State<Kept>, headers: HeaderMap, body: String) -> StatusCode {
    if headers.get("authorization").is_none_or(|key| key != KEY) {
        return StatusCode::UNAUTHORIZED;
    }
    let request: Value = serde_json::from_str(&body).expect("JSON");
    for resource in request["resourceSpans"].as_array().expect("resources") {
        for scope in resource["scopeSpans"].as_array().expect("scopes") {
            kept.lock().expect("spans").extend(scope["spans"].as_array().expect("spans").iter().cloned());
        }
    }
    StatusCode::OK
}

/// An address where somebody listens and never answers, as long as the listener lives.
pub fn hanging() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    (listener, address)
}

fn text(span: &Value, key: &str) -> String {
    span[key].as_str().unwrap_or_else(|| panic!("{key} in {span}")).to_owned()
}

/// What arrived of one night.
pub struct Trace {
    run: String,
    /// Id of its root.
    root: String,
    spans: Vec<Value>,
}

impl Trace {
    /// One root, which is `root` by name; every parent is there, every id once, and no text but the run's id.
    #[track_caller]
    pub fn assert_whole(&self, root: &str) {
        let ids: BTreeSet<String> = self.spans.iter().map(|span| text(span, "spanId")).collect();
        assert_eq!(ids.len(), self.spans.len(), "an id twice");
        let run = json!({ "key": "run_id", "value": { "stringValue": self.run } });
        let mut roots = Vec::new();
        for span in &self.spans {
            match span["parentSpanId"].as_str() {
                Some(parent) => assert!(ids.contains(parent), "no parent: {span}"),
                None => roots.push((text(span, "name"), text(span, "spanId"))),
            }
            let attributes = span["attributes"].as_array().expect("attributes");
            assert!(attributes.contains(&run), "{span}");
            let texts = attributes.iter().filter(|one| one["value"].get("stringValue").is_some());
            assert_eq!(texts.count(), 1, "text in {span}");
            assert!(text(span, "startTimeUnixNano") <= text(span, "endTimeUnixNano"), "{span}");
        }
        assert_eq!(roots, [(root.to_owned(), self.root.clone())]);
    }

    /// The named spans' values of an attribute, in order of value.
    pub fn numbers(&self, name: &str, attribute: &str) -> Vec<i64> {
        let named = self.spans.iter().filter(|span| span["name"] == name);
        let values = named.flat_map(|span| span["attributes"].as_array().into_iter().flatten());
        let values = values.filter(|one| one["key"] == attribute);
        let number = |one: &Value| one["value"]["intValue"].as_str()?.parse().ok();
        let mut numbers: Vec<i64> = values.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Names of the spans below those named `parent`.
    pub fn below(&self, parent: &str) -> BTreeSet<String> {
        let parents: BTreeSet<&str> = self
            .spans
            .iter()
            .filter(|span| span["name"] == parent)
            .filter_map(|span| span["spanId"].as_str())
            .collect();
        let below = self
            .spans
            .iter()
            .filter(|span| span["parentSpanId"].as_str().is_some_and(|id| parents.contains(id)));
        below.map(|span| text(span, "name")).collect()
    }

    /// Names of the spans that failed.
    pub fn failed(&self) -> Vec<String> {
        self.spans.iter().filter(|span| span["status"]["code"] == 2).map(|span| text(span, "name")).collect()
    }
}
