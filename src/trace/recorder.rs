//! Takes down the spans of the verb at work as they end.

use std::fmt::Debug;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::ids::{SpanId, TraceId};
use super::settings::Source;

/// Name of the span of a whole verb, whose field `name` says which.
const VERB: &str = "verb";

/// Most spans that wait for the collector; later ones are dropped.
const MOST: usize = 10_000;

/// An attribute's value: never text, which could be a title or name a household.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Number(i64),
    Fraction(f64),
    Truth(bool),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub id: SpanId,
    /// `None` for the root of its trace.
    pub parent: Option<SpanId>,
    pub name: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Vec<(&'static str, Value)>,
    /// The kind of the error, empty where only that there was one is known; `None` where there was none.
    pub error: Option<String>,
}

/// Spans of one trace, to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub trace: TraceId,
    pub run: Option<String>,
    pub spans: Vec<Finished>,
    /// Spans dropped because too many waited.
    pub dropped: usize,
}

/// The spans of the verb at work.
pub struct Spans {
    source: Source,
    begun: AtomicU64,
    verb: Mutex<Verb>,
}

/// What is known of the verb at work. A process does one at a time.
#[derive(Default)]
struct Verb {
    id: Option<SpanId>,
    run: Option<String>,
    /// Whether it planned the run first, and so is the root of the trace.
    first: bool,
    finished: Vec<Finished>,
    dropped: usize,
}

impl Spans {
    /// What has ended; nothing as long as the run is not known, since no trace is either.
    pub fn finished(&self) -> Option<Batch> {
        let mut verb = self.verb();
        let waiting = verb.run.is_some() && !verb.finished.is_empty();
        let spans = waiting.then(|| mem::take(&mut verb.finished))?;
        let dropped = mem::take(&mut verb.dropped);
        Some(self.batch(&verb, spans, dropped))
    }

    /// The rest of a verb that has ended, whose run may never have been known.
    pub fn rest(&self) -> Option<Batch> {
        let mut verb = mem::take(&mut *self.verb());
        let spans = mem::take(&mut verb.finished);
        (!spans.is_empty()).then(|| self.batch(&verb, spans, verb.dropped))
    }

    fn verb(&self) -> MutexGuard<'_, Verb> {
        self.verb.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the verb its place: the root of the run's trace, or below it.
    fn batch(&self, verb: &Verb, mut spans: Vec<Finished>, dropped: usize) -> Batch {
        let run = verb.run.as_deref();
        let root = run.map(SpanId::root_of_run);
        for span in &mut spans {
            if span.parent.is_none() && !verb.first {
                span.parent = root;
            } else if let Some(root) = root.filter(|_| verb.first) {
                let is_verb = |id: &SpanId| Some(*id) == verb.id;
                span.id = if is_verb(&span.id) { root } else { span.id };
                span.parent = span.parent.map(|parent| if is_verb(&parent) { root } else { parent });
            }
        }
        let trace = run.map_or_else(|| TraceId::of_process(self.source.nonce), TraceId::of_run);
        Batch { trace, run: verb.run.clone(), spans, dropped }
    }

    fn begin(&self, fields: &Fields, is_verb: bool) -> SpanId {
        let id = SpanId::nth(self.source.nonce, self.begun.fetch_add(1, Ordering::Relaxed));
        if is_verb {
            self.verb().id = Some(id);
        }
        self.learn(fields);
        id
    }

    fn learn(&self, fields: &Fields) {
        if fields.run.is_some() || fields.first {
            let mut verb = self.verb();
            verb.first |= fields.first;
            if verb.run.is_none() {
                verb.run.clone_from(&fields.run);
            }
        }
    }

    fn end(&self, span: Finished) {
        let mut verb = self.verb();
        if verb.finished.len() < MOST {
            verb.finished.push(span);
        } else {
            verb.dropped += 1;
        }
    }
}

/// The layer that takes spans down.
pub struct Recorder {
    spans: Arc<Spans>,
}

/// A span that has begun.
struct Open {
    id: SpanId,
    parent: Option<SpanId>,
    name: &'static str,
    start: u64,
    fields: Fields,
}

impl Recorder {
    pub fn new(source: Source) -> Self {
        Self { spans: Arc::new(Spans { source, begun: AtomicU64::new(0), verb: Mutex::default() }) }
    }

    pub fn spans(&self) -> Arc<Spans> {
        Arc::clone(&self.spans)
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Open>().map(|open| open.id));
        let name = attributes.metadata().name();
        let is_verb = parent.is_none() && name == VERB;
        if parent.is_none() && !is_verb {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let open = Open { id: self.spans.begin(&fields, is_verb), parent, name, start: self.now(), fields };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
            self.spans.learn(&open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let open = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>());
        let Some(Open { id, parent, name, start, fields }) = open else { return };
        let Fields { verb, attributes, error, .. } = fields;
        let name = verb.unwrap_or_else(|| name.into());
        self.spans.end(Finished { id, parent, name, start, end: self.now(), attributes, error });
    }
}

impl Recorder {
    fn now(&self) -> u64 {
        (self.spans.source.now)()
    }
}

/// The fields of a span; a few have a meaning of their own.
#[derive(Default)]
struct Fields {
    /// `name`.
    verb: Option<String>,
    /// `run_id`.
    run: Option<String>,
    /// `first`: whether the verb's run was planned here first.
    first: bool,
    /// `error`.
    error: Option<String>,
    attributes: Vec<(&'static str, Value)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        self.attributes.retain(|(known, _)| *known != name);
        self.attributes.push((name, value));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Fraction(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "first" => self.first = value,
            "error" => self.error = value.then(|| self.error.take().unwrap_or_default()),
            _ => self.set(field, Value::Truth(value)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "name" => self.verb = Some(value.into()),
            "run_id" => self.run = Some(value.into()),
            "error" => self.error = Some(value.into()),
            _ => {}
        }
    }

    /// Whatever is written by `Debug` or `Display`, errors too, may hold anything.
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
