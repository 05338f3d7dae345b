//! What is taken down of spans, and how it is written.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value as Json;

use super::ids::{SpanId, TraceId};
use super::recorder::{Batch, Spans, Value};
use super::*;

const RUN: &str = "2017-11-20-0123456789ab";

/// A clock that tells another time whenever it is asked.
fn ticks() -> u64 {
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(1, Ordering::Relaxed)
}

/// The spans that `work` leaves.
fn recorded(work: impl FnOnce(&Spans)) -> Arc<Spans> {
    let recorder = Recorder::new(Source { now: ticks, nonce: 7 });
    let spans = recorder.spans();
    let ours = recorder.with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO));
    tracing::subscriber::with_default(Registry::default().with(ours), || work(&spans));
    spans
}

fn named<'a>(batch: &'a Batch, name: &str) -> &'a recorder::Finished {
    batch.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {batch:?}"))
}

fn ids(run: &str) -> (TraceId, SpanId) {
    (TraceId::of_run(run), SpanId::root_of_run(run))
}

#[test]
fn who_planned_first_is_the_root_and_who_found_the_plan_is_below() {
    for first in [true, false] {
        let spans = recorded(|spans| {
            verb("plan").in_scope(|| {
                step!("inputs").in_scope(|| ());
                assert_eq!(spans.finished(), None, "no trace without a run");
                let planning = step!("planning", first = Empty, run_id = Empty);
                planning.in_scope(|| {
                    Span::current().record("first", first).record("run_id", RUN);
                });
            });
        });
        let batch = spans.rest().expect("spans");
        let (trace, root) = ids(RUN);
        assert_eq!((batch.trace, batch.spans.len()), (trace, 3));
        let plan = named(&batch, "plan");
        assert_eq!((plan.id == root, plan.parent), (first, (!first).then_some(root)));
        for step in ["inputs", "planning"] {
            let step = named(&batch, step);
            assert_eq!(step.parent, Some(plan.id));
            assert!(plan.start < step.start && step.start < step.end && step.end < plan.end);
        }
        assert_eq!(spans.rest(), None, "nothing is sent twice");
    }
}

#[test]
fn a_long_verb_is_sent_in_parts_of_one_trace() {
    let mut parts = Vec::new();
    let spans = recorded(|spans| {
        verb("work").in_scope(|| {
            Span::current().record("run_id", RUN);
            for group in 0..2 {
                step!("group", group = group).in_scope(|| ());
                parts.extend(spans.finished());
            }
        });
    });
    parts.extend(spans.rest());
    let (trace, root) = ids(RUN);
    let counts: Vec<usize> = parts.iter().map(|part| part.spans.len()).collect();
    assert_eq!(counts, [1, 1, 1]);
    assert!(parts.iter().all(|part| part.trace == trace));
    let work = named(&parts[2], "work");
    assert_eq!(work.parent, Some(root));
    for part in &parts[..2] {
        assert_eq!(named(part, "group").parent, Some(work.id));
    }
}

#[test]
fn a_verb_that_never_knew_its_run_has_a_trace_of_its_own() {
    let spans = recorded(|_| verb("plan").in_scope(|| ()));
    let batch = spans.rest().expect("a span");
    assert_eq!((batch.run, batch.spans[0].parent), (None, None));
    assert_ne!(batch.trace, TraceId::of_run(RUN));
}

#[test]
fn no_text_and_no_stranger_gets_into_a_trace() {
    let title = "Milk for the Millers";
    let spans = recorded(|_| {
        step!("outside of a verb", pages = 1).in_scope(|| ());
        verb("publish").in_scope(|| {
            tracing::info_span!(target: "lance::io", "read", path = title).in_scope(|| ());
            tracing::debug_span!("too fine").in_scope(|| ());
            let step = step!(
                "objects",
                pages = 3,
                share = 0.5,
                canary = true,
                title = title,
                shown = tracing::field::debug(title)
            );
            step.in_scope(|| tracing::info!(title, "logs are no part of it"));
        });
    });
    let batch = spans.rest().expect("spans");
    let names: Vec<&str> = batch.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["objects", "publish"]);
    let values =
        [("pages", Value::Number(3)), ("share", Value::Fraction(0.5)), ("canary", Value::Truth(true))];
    assert_eq!(named(&batch, "objects").attributes, values);
}

#[test]
fn failures_are_marked_where_they_were_and_by_kind_where_that_is_known() {
    let spans = recorded(|_| {
        let publish = verb("publish");
        publish.in_scope(|| {
            let steps = async {
                within(step!("objects"), async { Ok::<(), String>(()) }).await?;
                within(step!("pointer"), async { Err::<(), _>("a title".to_owned()) }).await
            };
            let failed = futures::executor::block_on(steps);
            assert_eq!(failed, Err("a title".to_owned()));
        });
        publish.record("error", "Endcap.Store");
    });
    let batch = spans.rest().expect("spans");
    let error = |name: &str| named(&batch, name).error.clone();
    assert_eq!((error("objects"), error("pointer")), (None, Some(String::new())));
    assert_eq!(error("publish").as_deref(), Some("Endcap.Store"));
    let written = otlp::request(&batch, &batch.spans, &settings()).to_string();
    assert!(!written.contains("a title"), "{written}");
}

fn settings() -> Settings {
    Settings {
        url: "http://localhost:4318/v1/traces".into(),
        headers: Headers::default(),
        service: "endcap".into(),
        deployment: Some("shop".into()),
        source: Source { now: ticks, nonce: 7 },
    }
}

#[test]
fn a_span_is_written_as_otlp_has_it() {
    let spans = recorded(|_| {
        let work = verb("work");
        work.record("run_id", RUN).record("shard", 3).record("error", "interrupted");
    });
    let batch = spans.rest().expect("spans");
    let written = otlp::request(&batch, &batch.spans, &settings());
    let resource = &written["resourceSpans"][0];
    let text = |key: &str, value: &str| serde_json::json!({ "key": key, "value": { "stringValue": value } });
    let expected = [
        text("service.name", "endcap"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("deployment.environment.name", "shop"),
    ];
    assert_eq!(resource["resource"]["attributes"], Json::from(expected.to_vec()));
    let mut span = resource["scopeSpans"][0]["spans"][0].clone();
    for time in ["startTimeUnixNano", "endTimeUnixNano"] {
        let time = span.as_object_mut().and_then(|span| span.remove(time)).expect("a time");
        assert!(time.as_str().is_some_and(|time| time.parse::<u64>().is_ok()), "{time}");
    }
    let (trace, root) = ids(RUN);
    let expected = serde_json::json!({
        "traceId": trace.to_string(),
        "spanId": batch.spans[0].id.to_string(),
        "parentSpanId": root.to_string(),
        "name": "work",
        "kind": 1,
        "attributes": [text("run_id", RUN), { "key": "shard", "value": { "intValue": "3" } }],
        "status": { "code": 2, "message": "interrupted" },
    });
    assert_eq!(span, expected);
}
