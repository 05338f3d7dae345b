//! The night's summary for a person.

use std::fmt::Write as _;

use crate::config::Paths;
use crate::night::Report;

use super::output;

/// A few lines: what is published, what the cascade earned, what was rejected, what it cost.
pub fn of(report: &Report, paths: &Paths) -> String {
    let segments = &report.segments;
    let pages = &report.pages;
    let funnel = &report.funnel;
    let placements = funnel.published.cascade + funnel.published.ranker;
    let share = 100.0 * funnel.published.cascade as f64 / placements.max(1) as f64;
    let mut rows = vec![
        (
            "pages",
            format!(
                "{} ({} new, {} reused, {} carried over)",
                segments.total, segments.new, segments.reused, segments.carried_over
            ),
        ),
        ("made by", format!("cascade {}, mixed {}, ranker {}", pages.cascade, pages.mixed, pages.ranker)),
        (
            "placements",
            format!("{placements}, of which the cascade earned {} ({share:.0} %)", funnel.published.cascade),
        ),
        ("written", format!("{} themes ({} in reserve)", funnel.generated, funnel.generated_reserve)),
    ];
    if !funnel.rejected_by_rule.is_empty() {
        rows.push(("rejected", tally(&funnel.rejected_by_rule)));
    }
    if !funnel.dropped_by_rule.is_empty() {
        rows.push(("dropped", tally(&funnel.dropped_by_rule)));
    }
    let tokens: Vec<String> = report
        .model
        .iter()
        .map(|(stage, cost)| {
            let usage = &cost.usage;
            let read = usage.prompt_tokens;
            format!(
                "{stage} {} asked, {} cached, {read} tokens read, {} written",
                cost.asked, cost.cached, usage.generated_tokens
            )
        })
        .collect();
    rows.push(("model", tokens.join("; ")));
    let seconds: Vec<String> =
        report.seconds.iter().map(|(stage, took)| format!("{stage} {took:.1} s")).collect();
    rows.push(("stages", seconds.join(", ")));
    rows.push(("time", format!("{:.1} s in all", report.wall_seconds)));
    rows.push(("pages in", paths.publish.clone()));
    rows.push(("report in", paths.report.display().to_string()));

    let mut text = format!("\n{}\n", report.summary);
    text.push_str(&output::rows(&rows));
    for failure in &report.failures {
        let _ = writeln!(
            text,
            "  ! {} failed at {}: {}; shows {}",
            failure.segment_id, failure.stage, failure.reason, failure.shows
        );
    }
    text
}

fn tally(by_rule: &std::collections::BTreeMap<String, usize>) -> String {
    let mut rules: Vec<(&String, &usize)> = by_rule.iter().collect();
    rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let named: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    named.join(", ")
}
