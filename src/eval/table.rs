//! The report for people: a table for the terminal, and Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bootstrap::Estimate;
use super::report::{Report, SystemReport};

/// The main table for a terminal, with the control and the ratios under it.
pub fn terminal(report: &Report) -> String {
    let rows = rows(report);
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = format!("{}\n\n", headline(report));
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for (name, ratio) in named_ratios(report) {
        let _ = write!(text, "\n{name}: {ratio}");
    }
    if !report.ratios.is_empty() {
        text.push('\n');
    }
    text
}

/// The whole report as Markdown.
pub fn markdown(report: &Report) -> String {
    let rows = rows(report);
    let mut text = format!("# Students against teacher and base\n\n{}\n\n", headline(report));
    for (at, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|{}", " --- |".repeat(row.len()));
        }
    }
    if !report.ratios.is_empty() {
        text.push_str("\nRatios of the students' figures, paired page by page:\n\n");
    }
    for (name, ratio) in named_ratios(report) {
        let _ = writeln!(text, "- {name}: {ratio}");
    }
    for system in &report.systems {
        text.push_str(&details(system));
    }
    if let Some(control) = &report.control {
        let _ = write!(
            text,
            "\n## Control\n\nThe teacher's pages against another segment's context of another season, {} pages: themes \
             by reason of rejection: {}.\n",
            control.pages,
            counts(&control.rejections)
        );
    }
    text.push_str("\n`docs/evaluation.md` says how it is judged.\n");
    text
}

fn headline(report: &Report) -> String {
    let percent = report.bootstrap.level * 100.0;
    format!(
        "Judge: {}. {} held-out contexts, {} held-out placements with graded keywords. Intervals: {percent:.0} %, \
         bootstrap over pages, {} resamples.",
        report.judge, report.contexts, report.placements, report.bootstrap.resamples
    )
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let heads = ["system", "P-T@5", "P-T@6", "P-K@5", "violations", "distinctness", "cohesion", "perplexity"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(report.systems.iter().map(|one| {
        vec![
            one.system.id().to_owned(),
            shown(Some(one.p_t5)),
            shown(Some(one.p_t6)),
            shown(one.p_k5),
            shown(one.violation_rate),
            shown(one.distinctness),
            shown(one.cohesion),
            one.perplexity.map_or_else(|| "-".into(), |value| format!("{value:.2}")),
        ]
    }));
    rows.extend(report.control.iter().map(|control| {
        let mut row = vec!["-".to_owned(); heads.len()];
        row[0] = "teacher, other context".into();
        row[1] = shown(Some(control.p_t5));
        row[2] = shown(Some(control.p_t6));
        row
    }));
    rows
}

fn shown(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "-".into(), |one| format!("{:.3} [{:.3}, {:.3}]", one.value, one.low, one.high))
}

fn named_ratios(report: &Report) -> impl Iterator<Item = (String, String)> {
    let name = |key: &str| key.replace("p_t5", "P-T@5").replace("p_k5", "P-K@5").replace('_', " ");
    report.ratios.iter().map(move |(key, ratio)| (name(key), shown(Some(*ratio))))
}

fn details(system: &SystemReport) -> String {
    format!(
        "\n## {}\n\n{} themes, {} pages without any. Themes by reason of rejection: {}. Themes by kind of violation: \
         {}. Pages by broken page rule: {}.\n",
        system.system.id(),
        system.themes,
        system.empty_pages,
        counts(&system.rejections),
        counts(&system.violations),
        counts(&system.page_flaws)
    )
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}
