//! Figures for CloudWatch in its embedded metric format: one line of JSON that a log group turns into metrics.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::RunId;

use super::{Closing, Computed, Ending};

/// What one step of a night came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    run_id: RunId,
    step: &'static str,
    /// Name, unit, value.
    figures: Vec<(&'static str, &'static str, f64)>,
}

impl Metrics {
    /// Of a worker; `usd_per_hour` is what its machine costs.
    pub fn of_work(run_id: &RunId, computed: &Computed, (seconds, usd_per_hour): (f64, f64)) -> Self {
        let tokens = computed.usage.prompt_tokens + computed.usage.generated_tokens;
        let figures = vec![
            ("WorkerSegments", "Count", computed.segments as f64),
            ("WorkerFailures", "Count", computed.failed as f64),
            ("WorkerTokens", "Count", tokens as f64),
            ("WorkerSeconds", "Seconds", seconds),
            ("WorkerCost", "None", usd_per_hour * seconds / 3_600.0),
        ];
        Self { run_id: run_id.clone(), step: "work", figures }
    }

    /// Of a publish.
    pub fn of_publish(run_id: &RunId, closing: &Closing, seconds: f64) -> Self {
        let (segments, pages) = (&closing.figures.segments, &closing.figures.pages);
        let tokens = closing.figures.model.values().map(|cost| cost.usage);
        let tokens: usize = tokens.map(|usage| usage.prompt_tokens + usage.generated_tokens).sum();
        let fallbacks = segments.carried_over + pages.ranker;
        let figures = vec![
            ("Segments", "Count", segments.total as f64),
            ("New", "Count", segments.new as f64),
            ("Reused", "Count", segments.reused as f64),
            ("CarriedOver", "Count", segments.carried_over as f64),
            ("Failed", "Count", segments.failed as f64),
            ("Fallbacks", "Count", fallbacks as f64),
            ("FallbackShare", "None", fallbacks as f64 / segments.total.max(1) as f64),
            ("Stopped", "Count", f64::from(u8::from(closing.ending == Ending::Stopped))),
            ("PointerWrites", "Count", f64::from(u8::from(closing.moved))),
            ("Tokens", "Count", tokens as f64),
            ("PublishSeconds", "Seconds", seconds),
        ];
        Self { run_id: run_id.clone(), step: "publish", figures }
    }

    /// The line, without its end. `deployment` is the metrics' one dimension.
    pub fn line(&self, deployment: Option<&str>, now: DateTime<Utc>) -> String {
        let metrics: Vec<Value> =
            self.figures.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics":
                    [{ "Namespace": "Endcap", "Dimensions": [["Deployment"]], "Metrics": metrics }],
            },
            "Deployment": deployment.unwrap_or("endcap"),
            "Step": self.step,
            "RunId": self.run_id.as_str(),
        });
        for (name, _, value) in &self.figures {
            line[*name] = json!(value);
        }
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Digest;

    #[test]
    fn every_declared_metric_has_its_value_beside_it() {
        let now = DateTime::<Utc>::UNIX_EPOCH + chrono::TimeDelta::seconds(1);
        let run = RunId::new(now.date_naive(), &Digest::of(b"run"));
        let computed = Computed { segments: 24, failed: 1, ..Computed::default() };
        let line = Metrics::of_work(&run, &computed, (1_800.0, 0.5)).line(Some("shop"), now);
        assert!(!line.contains('\n'), "{line}");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["_aws"]["Timestamp"], 1000);
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(declared["Namespace"], "Endcap");
        let names = declared["Metrics"].as_array().expect("metrics");
        assert_eq!(names.len(), 5);
        for metric in names {
            let name = metric["Name"].as_str().expect("name");
            assert!(line[name].is_number(), "{name} has no value");
        }
        let dimension = declared["Dimensions"][0][0].as_str().expect("dimension");
        assert_eq!(line[dimension], "shop");
        assert_eq!((&line["WorkerSegments"], &line["WorkerCost"]), (&json!(24.0), &json!(0.25)));
    }
}
