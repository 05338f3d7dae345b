//! The report as one self-contained page: no script, nothing fetched.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::arms::Arm;
use super::compare::Lift;
use super::report::Report;
use super::{ReplayError, plot, table};

const TEMPLATE: &str = include_str!("report.html");

/// What the template reads.
#[derive(Serialize)]
struct Page<'a> {
    report: &'a Report,
    rows: Vec<Row>,
    arms: [Name; 5],
    lifts: String,
    origins: String,
    frontier: String,
}

#[derive(Serialize)]
struct Name {
    id: &'static str,
    letter: char,
    title: &'static str,
}

/// A row of the pooled table.
#[derive(Serialize)]
struct Row {
    letter: char,
    title: &'static str,
    adds: String,
    over_baseline: String,
    p: String,
    over_ranker: String,
    new_over_ranker: String,
}

/// The report as HTML with its plots in it.
pub fn html(report: &Report) -> Result<String, ReplayError> {
    let fail = |error: minijinja::Error| ReplayError::Plot { name: "report", problem: format!("{error:#}") };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("percent", |share: f64| format!("{:.1} %", share * 100.0));
    environment.add_filter("number", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("signed", |value: f64| format!("{value:+.1} %"));
    let template = environment.template_from_str(TEMPLATE).map_err(fail)?;
    let page = Page {
        report,
        rows: rows(report),
        arms: Arm::ALL.map(|arm| Name { id: arm.id(), letter: arm.letter(), title: arm.title() }),
        lifts: plot::lifts(report)?,
        origins: plot::origins(report)?,
        frontier: plot::frontier(report)?,
    };
    template.render(Serde(page)).map_err(fail)
}

fn rows(report: &Report) -> Vec<Row> {
    let p = |lift: Option<Lift>| lift.map(|lift| format!("{:.4}", lift.p)).unwrap_or_default();
    let row = |arm: &Arm| {
        let judged = report.pooled.get(arm)?;
        Some(Row {
            letter: arm.letter(),
            title: arm.title(),
            adds: format!("{:.3}", judged.adds_per_view.value),
            over_baseline: table::lifted(judged.over_baseline.adds),
            p: p(judged.over_baseline.adds),
            over_ranker: table::lifted(judged.over_ranker.adds),
            new_over_ranker: table::lifted(judged.over_ranker.new_adds),
        })
    };
    Arm::ALL.iter().filter_map(row).collect()
}
