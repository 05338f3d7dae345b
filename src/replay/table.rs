//! The report for a terminal.

use std::fmt::Write;

use super::arms::Arm;
use super::compare::{Judged, Lift};
use super::report::{ArmReport, OriginReport, Report};

/// The headline, the pool, and every origin.
pub fn terminal(report: &Report) -> String {
    let mut text = headline(report);
    let dates: Vec<String> = report.pooled_over.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "\nPooled over {}", dates.join(" and "));
    let judged: Vec<(Arm, &Judged)> = report.pooled.iter().map(|(arm, judged)| (*arm, judged)).collect();
    text.push_str(&aligned(&figures(&judged)));
    if !report.frontier.is_empty() {
        text.push_str("\nOver (c), percent, as first purchases count more: the fused page, and as many products without themes\n");
        text.push_str(&aligned(&frontier(report)));
    }
    for origin in &report.origins {
        text.push_str(&one_origin(origin));
    }
    text
}

fn headline(report: &Report) -> String {
    let level = report.bootstrap.level * 100.0;
    let mut text = format!(
        "Lifts in percent with {level:.0} % intervals over {} resamples of households\n",
        report.bootstrap.resamples
    );
    if !report.pooled_clean {
        let _ = writeln!(text, "No origin is clean: the students' training reaches {}", report.training_end);
    }
    let fused = report.pooled.get(&Arm::Fused);
    for (what, lift) in [
        ("fused page over the strong baseline", fused.and_then(|fused| fused.over_baseline.adds)),
        ("fused page over the ranker-only page", report.fused_over_ranker),
        ("  of products new to the household", report.fused_new_adds_over_ranker),
    ] {
        if let Some(lift) = lift {
            let _ = writeln!(text, "{what}: {} (p = {:.4})", lifted(Some(lift)), lift.p);
        }
    }
    if let (Some(value), Some(low)) = (report.baseline_over_popularity, report.baseline_over_popularity_low) {
        let _ = writeln!(text, "strong baseline over popularity: {value:+.2}, at least {low:+.2}");
    }
    text
}

fn one_origin(origin: &OriginReport) -> String {
    let clean = if origin.clean { "clean" } else { "not clean: within the students' training" };
    let mut text = format!(
        "\n{} to {} ({clean}): {} visits, {} households, {} segments\n",
        origin.as_of, origin.until, origin.visits, origin.households, origin.segments
    );
    let judged: Vec<(Arm, &Judged)> =
        origin.arms.iter().map(|(arm, report)| (*arm, &report.judged)).collect();
    text.push_str(&aligned(&figures(&judged)));
    text.push('\n');
    text.push_str(&aligned(&pages(origin)));
    text
}

fn figures(arms: &[(Arm, &Judged)]) -> Vec<Vec<String>> {
    let head =
        ["", "adds/view", "over b", "attraction over b", "over c", "new adds/view", "over c", "novelty"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (arm, judged) in arms {
        rows.push(vec![
            named(*arm),
            format!("{:.3}", judged.adds_per_view.value),
            lifted(judged.over_baseline.adds),
            lifted(judged.over_baseline.attraction),
            lifted(judged.over_ranker.adds),
            format!("{:.3}", judged.new_adds_per_view.value),
            lifted(judged.over_ranker.new_adds),
            format!("{:.3}", judged.novelty.value),
        ]);
    }
    rows
}

fn frontier(report: &Report) -> Vec<Vec<String>> {
    let head = ["discovery", "fused adds", "new adds", "unthemed adds", "new adds"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for point in &report.frontier {
        let lifts = [point.fused.adds, point.fused.new_adds, point.unthemed.adds, point.unthemed.new_adds];
        let cells = lifts.map(|lift| format!("{lift:+.2}"));
        rows.push([vec![point.discovery.to_string()], cells.to_vec()].concat());
    }
    rows
}

fn pages(origin: &OriginReport) -> Vec<Vec<String>> {
    let head = [
        "",
        "products",
        "coverage",
        "Gini",
        "types",
        "aisles",
        "diversity",
        "cascade",
        "empty",
        "below half",
        "title fit",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (arm, ArmReport { pages, below_half, title_fit, .. }) in &origin.arms {
        rows.push(vec![
            named(*arm),
            format!("{:.1}", pages.products),
            format!("{:.3}", pages.coverage),
            format!("{:.3}", pages.gini),
            format!("{:.1}", pages.types),
            format!("{:.1}", pages.aisles),
            format!("{:.3}", pages.diversity),
            format!("{:.0} %", pages.cascade_placements * 100.0),
            pages.empty.to_string(),
            below_half.map(|pages| pages.to_string()).unwrap_or_default(),
            title_fit.map(|fit| format!("{fit:.3}")).unwrap_or_default(),
        ]);
    }
    rows
}

fn named(arm: Arm) -> String {
    format!("({}) {}", arm.letter(), arm.id())
}

pub(super) fn lifted(lift: Option<Lift>) -> String {
    lift.map(|lift| format!("{:+.2} [{:+.2}, {:+.2}]", lift.percent, lift.low, lift.high)).unwrap_or_default()
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
