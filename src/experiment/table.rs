//! The read-out and the plan for a terminal.

use std::fmt::Write;

use super::headline::{p_value, percent};
use super::report::{Contrast, MetricReport, Report};
use super::{Plan, Relative};

/// The read-out: the two sentences, the arms, then a block a metric.
pub fn table(report: &Report) -> String {
    let mut text =
        format!("What it says: {}\nWhat it does not say: {}\n\n", report.says, report.does_not_say);
    text.push_str(&aligned(&arms(report)));
    let ratio = &report.sample_ratio;
    let alarm = if ratio.alarm { "ALARM" } else { "as allocated" };
    let _ = writeln!(
        text,
        "\nsample ratio: chi-square {:.3}, p = {}: {alarm}",
        ratio.chi_square,
        p_value(ratio.p_value)
    );
    if let Some((first, last)) = report.days {
        let _ = writeln!(text, "days: {first} to {last}");
    }
    for metric in &report.metrics {
        let _ = write!(text, "\n{}{}\n", metric.metric.label(), reduced(metric));
        text.push_str(&aligned(&contrasts(report, metric)));
    }
    let _ = writeln!(
        text,
        "\nIntervals have level {:.4}. p is for one reading on a day fixed beforehand, always-valid p for as many as one \
         likes{}.",
        1.0 - report.alpha,
        if report.arms.len() > 2 {
            "; both are Holm's over the treatments, the intervals are not"
        } else {
            ""
        }
    );
    text
}

fn arms(report: &Report) -> Vec<Vec<String>> {
    let head = ["arm", "units", "share", "expected", "page views", "cart adds", "revenue"];
    let rows = report.arms.iter().map(|arm| {
        vec![
            arm.arm.to_string(),
            arm.units.to_string(),
            format!("{:.2} %", 100.0 * arm.share),
            format!("{:.2} %", 100.0 * arm.expected_share),
            format!("{:.0}", arm.page_views),
            format!("{:.0}", arm.cart_adds),
            format!("{:.2}", arm.revenue),
        ]
    });
    std::iter::once(head.map(String::from).to_vec()).chain(rows).collect()
}

fn reduced(metric: &MetricReport) -> String {
    metric.cuped.map_or_else(String::new, |cuped| {
        format!(
            " (CUPED took out {:.1} % of the variance; the past of {:.1} % of the units is known)",
            100.0 * cuped.variance_reduction,
            100.0 * cuped.known
        )
    })
}

fn contrasts(report: &Report, metric: &MetricReport) -> Vec<Vec<String>> {
    let head = ["arm", "estimate", "difference", "interval", "relative", "interval", "p", "always-valid p"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let mut control = vec![report.control.to_string(), number(metric.estimates[0])];
    control.resize(head.len(), String::new());
    rows.push(control);
    rows.extend(metric.contrasts.iter().zip(&metric.estimates[1..]).map(|(contrast, estimate)| {
        let Contrast { arm, comparison, p_holm, sequential, .. } = contrast;
        let [value, interval] = relative(comparison.relative);
        vec![
            arm.to_string(),
            number(*estimate),
            format!("{:+.5}", comparison.difference),
            format!("{:+.5} to {:+.5}", comparison.low, comparison.high),
            value,
            interval,
            p_value(*p_holm),
            sequential.map_or_else(|| "-".into(), |sequential| p_value(sequential.p_holm)),
        ]
    }));
    rows
}

fn relative(relative: Option<Relative>) -> [String; 2] {
    match relative {
        Some(Relative { value, low, high }) => {
            [percent(value), format!("{} to {}", percent(low), percent(high))]
        }
        None => ["-".into(), "-".into()],
    }
}

fn number(value: f64) -> String {
    format!("{value:.5}")
}

/// The plan: its figures, and what they mean in a sentence.
pub fn plan_table(plan: &Plan) -> String {
    let mut text = format!(
        "To see {} in {} with {:.0} % power at alpha {}, the experiment takes {} units{}.\n",
        percent(plan.effect),
        plan.metric.label(),
        100.0 * plan.power,
        plan.alpha,
        plan.total_units,
        views(plan.total_page_views)
    );
    let _ = writeln!(
        text,
        "If it is to be read at any time, it takes at most {:.2} times that: {} units{}.",
        plan.sequential_inflation,
        plan.sequential_units,
        views(plan.sequential_page_views)
    );
    if let Some(effect) = plan.detectable_effect {
        let _ = writeln!(text, "The units at hand would show {} with that power.", percent(effect));
    }
    text.push_str(
        "It does not say that such an effect is there, only that a smaller one would likely go unseen.\n\n",
    );
    let head = ["arm", "units", "page views"].map(String::from).to_vec();
    let rows = plan.arms.iter().map(|arm| {
        let views = arm.page_views.map_or_else(|| "-".into(), |views| views.to_string());
        vec![arm.arm.to_string(), arm.units.to_string(), views]
    });
    text.push_str(&aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    let _ = writeln!(
        text,
        "\nbaseline {:.5}, variance a unit {:.5}, of which CUPED leaves {:.1} %",
        plan.baseline.value,
        plan.baseline.variance,
        100.0 * plan.variance_left
    );
    text
}

fn views(views: Option<u64>) -> String {
    views.map_or_else(String::new, |views| format!(" and {views} page views"))
}

/// Rows in columns; the first to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
