//! A batch of spans as OTLP's JSON: ids in hex, 64-bit numbers as text.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use serde_json::{Value as Json, json};

use super::recorder::{Batch, Finished, Value};
use super::settings::Settings;

/// `SPAN_KIND_INTERNAL` and `STATUS_CODE_ERROR` of opentelemetry/proto/trace/v1/trace.proto.
const INTERNAL: u8 = 1;
const ERROR: u8 = 2;

/// An `ExportTraceServiceRequest` of `spans`, which are of `batch`.
pub fn request(batch: &Batch, spans: &[Finished], settings: &Settings) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = vec![text("service.name", &settings.service), text("service.version", version)];
    resource.extend(settings.deployment.as_deref().map(|name| text("deployment.environment.name", name)));
    let spans: Vec<Json> = spans.iter().map(|span| encode(batch, span)).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": { "name": "endcap", "version": version }, "spans": spans }],
        }],
    })
}

fn encode(batch: &Batch, span: &Finished) -> Json {
    let run = batch.run.iter().map(|run| text("run_id", run));
    let attributes = span.attributes.iter().map(|(name, value)| attribute(name, *value));
    let attributes: Vec<Json> = run.chain(attributes).collect();
    let mut encoded = json!({
        "traceId": batch.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        encoded["parentSpanId"] = json!(parent.to_string());
    }
    match span.error.as_deref() {
        None => {}
        Some("") => encoded["status"] = json!({ "code": ERROR }),
        Some(kind) => encoded["status"] = json!({ "code": ERROR, "message": kind }),
    }
    encoded
}

fn text(name: &str, value: &str) -> Json {
    json!({ "key": name, "value": { "stringValue": value } })
}

fn attribute(name: &str, value: Value) -> Json {
    let value = match value {
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Fraction(number) => json!({ "doubleValue": number }),
        Value::Truth(truth) => json!({ "boolValue": truth }),
    };
    json!({ "key": name, "value": value })
}
