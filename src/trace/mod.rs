//! Logs, and the trace of a night by OpenTelemetry: one for all its processes.
//!
//! ```text
//! plan            the process that planned the run first: the root        (or `run`, where one process does the whole night)
//! ├── inputs, planning
//! ├── work        one per attempt of a shard
//! │   └── group → themes, candidates, keywords, products, aiqa and fusion, checkpoint
//! ├── publish
//! │   └── settle, decisions, inspect, objects, verify, index, pointer, edge, retention
//! └── promote, rollback
//! ```
//!
//! No process tells another: the trace's id and that of its root follow from the run's id ([`ids`]). So a restart of the same run
//! is in the same trace. A verb that fails before it knows its run has a trace of its own.
//!
//! Rooms mark their steps with `step!` and [`within`]; a step outside of a night's verb is not recorded. An attribute is a number or
//! a truth value, and the only texts are names in the code, the run's id and the kind of an error: no title, no keyword and no
//! household can get into a trace.
//!
//! # Why not the SDK
//! `opentelemetry_sdk` (0.33) asks for `futures-executor` with its default features; here it is compiled with `std` alone, below
//! `futures`, and so below LanceDB, which the change would build anew (docs/development.md). Its processors also name a trace as
//! a span begins, when the run's id is the result of reading all inputs, and send from a thread of their own, which a Lambda
//! freezes. What is needed of OTLP is one JSON document by one POST, over the HTTP client that the Lambda carries anyway:
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.
//!
//! # What sending may cost
//! Nothing but time, and of that [`PATIENCE`]: what cannot be sent is dropped with a warning.

mod ids;
mod otlp;
mod recorder;
mod sender;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Metadata, Span};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::domain::RunId;

pub use settings::{Headers, Settings, Source, traces_of};

use recorder::Recorder;
use sender::Sender;

/// Longest wait for the collector at the end of a verb.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often a verb that runs for hours sends what is finished, so that little is lost where it is killed.
const INTERVAL: Duration = Duration::from_secs(10);

/// Begins a step of a verb: `step!("objects", pages = 3)`. A field whose value comes later is `Empty` at first.
macro_rules! step {
    ($name:literal $(, $field:ident = $value:expr)* $(,)?) => {
        tracing::info_span!($name, $($field = $value,)* error = tracing::field::Empty)
    };
}
pub(crate) use step;

/// Does `work` within `span`, and marks it where it fails.
pub async fn within<T, E>(span: Span, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let done = work.instrument(span.clone()).await;
    if done.is_err() {
        span.record("error", true);
    }
    done
}

/// The span of a whole verb of the night.
pub fn verb(name: &'static str) -> Span {
    tracing::info_span!(
        "verb",
        name,
        run_id = Empty,
        shard = Empty,
        canary_percent = Empty,
        exit_code = Empty,
        error = Empty
    )
}

/// Says which run the verb at work is of; the first word counts.
pub fn of_run(run: &RunId) {
    Span::current().record("run_id", run.as_str());
}

/// Whether a span of this crate.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span() && (target == "endcap" || target.starts_with("endcap::"))
}

/// Starts logs as `log` writes them, events that `filter` lets through, and traces where `settings` say where to.
pub fn start<L>(log: L, filter: EnvFilter, settings: Option<Settings>) -> Tracer
where
    L: Layer<Registry> + Send + Sync,
{
    let events = filter_fn(|metadata| !metadata.is_span()).with_max_level_hint(LevelFilter::TRACE);
    let logs = Registry::default().with(log.with_filter(filter.and(events)));
    let Some(settings) = settings else {
        logs.init();
        return Tracer { sender: None };
    };
    let recorder = Recorder::new(settings.source);
    let sender = Sender::new(settings, recorder.spans());
    logs.with(recorder.with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO))).init();
    Tracer { sender: Some(Arc::new(sender)) }
}

/// Sends the spans of this process to the collector; does nothing where there is none.
#[derive(Clone)]
pub struct Tracer {
    sender: Option<Arc<Sender>>,
}

impl Tracer {
    /// From now on sends what is finished every few seconds, as long as the runtime lives.
    pub fn keep_sending(&self) {
        let Some(sender) = self.sender.clone() else { return };
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                sender.send_finished().await;
            }
        });
    }

    /// Sends all spans of the verb that has ended; what begins now is another's.
    pub async fn flush(&self) {
        let Some(sender) = &self.sender else { return };
        if tokio::time::timeout(PATIENCE, sender.send_rest()).await.is_err() {
            tracing::warn!("the collector takes too long; the rest of the trace is dropped");
        }
    }
}

#[cfg(test)]
mod tests;
