//! Experiments through the room's doors: figures of scipy and statsmodels, assignment of arms, windows of days. The
//! command line is in `cli`, pages for several arms in `variants`.

mod cli;
mod variants;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray, UInt32Array};
use endcap::domain::experiment::Events;
use endcap::domain::{ArmId, Salt, UnitId};
use endcap::experiment::{
    Allocation, Baseline, Design, ExperimentError, Metric, Reading, Report, Verdict, Window, inflation, plan,
    read, sample_ratio, within,
};
use endcap::ingest::{self, TableFile, contract};
use serde_json::Value;

use crate::support;

/// A row of events: unit, arm, page views, cart adds, revenue, and day of November 2017 (0: no dates).
pub type Row<'a> = (&'a str, &'a str, u32, f64, f64, i32);

pub fn arm(name: &str) -> ArmId {
    ArmId::parse(name).expect("arm")
}

pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    contract::encode(
        &RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, values)| (name, values, true)),
        )
        .expect("batch"),
    )
    .expect("Parquet")
}

pub fn columns(rows: &[Row<'_>]) -> Vec<(&'static str, ArrayRef)> {
    // 17,471 days after 1970-01-01 is 2017-11-01.
    let days: Vec<i32> = rows.iter().map(|row| 17_470 + row.5).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("unit", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("arm", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("page_views", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.2)))),
        ("cart_adds", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ("revenue", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.4)))),
    ];
    if rows.iter().any(|row| row.5 != 0) {
        columns.push(("date", Arc::new(Date32Array::from(days))));
    }
    columns
}

pub fn events(rows: &[Row<'_>]) -> Events {
    ingest::events(&TableFile::new("events.parquet", parquet(columns(rows)))).expect("events")
}

fn reading(control: &str) -> Reading {
    Reading { control: arm(control), alpha: 0.05, effect: 0.1, allocation: None }
}

fn figures() -> Value {
    support::json(&support::project().join("tests/fixtures/experiment/figures.json"))
}

/// The fixture's rows as a Parquet file with a pre-period.
fn fixture_file(rows: &[Value]) -> Vec<u8> {
    let texts = |at: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[at].as_str()).collect::<StringArray>())
    };
    let counts = |at: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[at].as_u64().map(|n| n as u32)).collect::<UInt32Array>())
    };
    let doubles = |at: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[at].as_f64()).collect::<Float64Array>())
    };
    parquet(vec![
        ("unit", texts(0)),
        ("arm", texts(1)),
        ("page_views", counts(2)),
        ("cart_adds", counts(3)),
        ("revenue", doubles(4)),
        ("pre_page_views", counts(5)),
        ("pre_cart_adds", counts(6)),
        ("pre_revenue", doubles(7)),
    ])
}

/// Every number of `expected` stands in `found` under the same keys, to 1e-6 of its size.
fn assert_close(found: &Value, expected: &Value, place: &str) {
    match expected {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| assert_close(&found[key], value, &format!("{place}.{key}")));
        }
        Value::Array(list) => {
            assert_eq!(found.as_array().map(Vec::len), Some(list.len()), "{place}");
            list.iter().enumerate().for_each(|(at, value)| {
                assert_close(&found[at], value, &format!("{place}[{at}]"));
            });
        }
        Value::Number(_) => {
            let [found, expected] = [found, expected].map(|value| value.as_f64().expect("a number"));
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 1e-6, "{place}: {found}, not {expected}");
        }
        other => assert_eq!(found, other, "{place}"),
    }
}

#[test]
fn the_read_out_has_scipys_and_statsmodels_figures() {
    let figures = figures();
    let file = TableFile::new("events.parquet", fixture_file(figures["rows"].as_array().expect("rows")));
    let mut reading = reading("control");
    reading.effect = figures["effect"].as_f64().expect("effect");
    let report = read(&ingest::events(&file).expect("events"), &reading).expect("report");
    let found = serde_json::to_value(&report).expect("JSON");
    for (found, expected) in found["metrics"]
        .as_array()
        .expect("metrics")
        .iter()
        .zip(figures["metrics"].as_array().expect("metrics"))
    {
        let name = expected["metric"].as_str().expect("metric");
        assert_eq!(found["metric"], name);
        assert_close(&found["cuped"]["theta"], &expected["theta"], name);
        assert_close(&found["cuped"]["variance_reduction"], &expected["variance_reduction"], name);
        assert_close(&found["estimates"], &expected["estimates"], name);
        for (found, expected) in found["contrasts"]
            .as_array()
            .expect("contrasts")
            .iter()
            // The control first, then by id, as the fixture has them.
            .zip(expected["contrasts"].as_array().expect("contrasts"))
        {
            assert_close(found, expected, name);
        }
    }
    assert_eq!(report.metrics.len(), Metric::ALL.len());
    assert!((report.metrics[0].cuped.expect("CUPED").known - 0.9).abs() < 1e-12);
}

#[test]
fn sample_ratios_are_scipys() {
    for case in figures()["sample_ratios"].as_array().expect("cases") {
        let units: Vec<usize> = serde_json::from_value(case["units"].clone()).expect("units");
        let shares: Vec<f64> = serde_json::from_value(case["shares"].clone()).expect("shares");
        let found = serde_json::to_value(sample_ratio(&units, &shares)).expect("JSON");
        assert_close(&found["chi_square"], &case["chi_square"], "chi_square");
        let relative = found["p_value"].as_f64().expect("p") / case["p_value"].as_f64().expect("p") - 1.0;
        assert!(relative.abs() < 1e-6, "{found}");
    }
}

fn design(case: &Value) -> Design {
    let number = |key: &str| case[key].as_f64().expect("number");
    let weights = format!("control:{},treatment:{}", case["weights"][0], case["weights"][1]);
    Design {
        metric: Metric::CartAddsPerPageView,
        baseline: Baseline {
            value: number("baseline"),
            variance: number("variance"),
            views_per_unit: Some(6.0),
        },
        effect: number("effect"),
        power: number("power"),
        alpha: number("alpha"),
        allocation: weights.parse().expect("allocation"),
        control: arm("control"),
        correlation: 0.0,
        units: None,
    }
}

#[test]
fn plans_are_statsmodels() {
    for case in figures()["plans"].as_array().expect("cases") {
        let design = design(case);
        let planned = plan(&design).expect("plan");
        let expected = case["control_units"].as_f64().expect("units");
        assert!((planned.arms[0].units as f64 - expected.ceil()).abs() <= 1.0, "{planned:?} not {expected}");
        assert_eq!(planned.arms[0].page_views, Some(6 * planned.arms[0].units));
        let units = Some(planned.total_units);
        let effect = plan(&Design { units, ..design.clone() }).expect("plan").detectable_effect;
        assert!((effect.expect("asked for") / design.effect - 1.0).abs() < 1e-4, "a plan is its own inverse");
        let halved = plan(&Design { correlation: 0.5_f64.sqrt(), ..design }).expect("plan");
        assert!((planned.total_units as f64 / halved.total_units as f64 - 2.0).abs() < 1e-4);
    }
}

/// Kohavi, Longbotham, Sommerfield and Henne, "Controlled experiments on the web: survey and practical guide" (2009),
/// section 3.1: $3.75 a user, standard deviation $30, a change of 5 % with 80 % power: 409,000 users a variant by the rule
/// n = 16 σ² / Δ², whose 16 is 15.7 rounded up.
#[test]
fn the_practical_guides_example() {
    let case = &figures()["plans"][1];
    let planned = plan(&design(case)).expect("plan").arms[0].units as f64;
    let exact = 2.0 * (1.959_964_f64 + 0.841_621).powi(2);
    assert!((planned * 16.0 / exact - 409_600.0).abs() < 1.0, "{planned}");
}

/// At the planned size the sequential test finds the effect τ with the planned power: half width plus quantile.
#[test]
fn sequential_inflation_solves_its_equation() {
    let once = 1.959_963_985 + 0.841_621_234;
    let factor = inflation(0.05, 0.8, once);
    let variance = 1.0 / (factor * once * once);
    let half = endcap::experiment::Mixture { tau: 1.0 }.half_width(variance, 0.05);
    assert!((half + 0.841_621_234 * variance.sqrt() - 1.0).abs() < 1e-6);
    assert!((1.5..2.5).contains(&factor), "{factor}");
}

/// Golden: SHA-256 of "<salt>:<unit>", first four bytes. `printf spring-2018:7 | sha256sum` begins 70514c1f.
#[test]
fn assignment_is_the_documented_hash() {
    let even: Allocation = "control:50,treatment:50".parse().expect("allocation");
    let uneven: Allocation = "a:1,b:2,c:1".parse().expect("allocation");
    for (salt, unit, half, third) in [
        ("spring-2018", "7", "control", "b"),
        ("autumn", "7", "control", "a"),
        ("spring-2018", "h001", "control", "a"),
        ("autumn", "h001", "treatment", "c"),
        ("spring-2018", "household-42", "treatment", "b"),
        ("autumn", "household-42", "treatment", "b"),
        ("spring-2018", "2469", "control", "b"),
        ("autumn", "2469", "control", "a"),
    ] {
        let (salt, unit) = (Salt::parse(salt).expect("salt"), UnitId::parse(unit).expect("unit"));
        assert_eq!(even.assign(&salt, &unit).as_str(), half, "{salt}:{unit}");
        assert_eq!(uneven.assign(&salt, &unit).as_str(), third, "{salt}:{unit}");
    }
}

/// 40,000 households: each arm has its share, and what one salt says tells nothing of what another says (χ², p > 0.001).
#[test]
fn assignment_is_uniform_and_salts_are_independent() {
    let allocation: Allocation = "a:50,b:30,c:20".parse().expect("allocation");
    let salts = ["one", "two"].map(|salt| Salt::parse(salt).expect("salt"));
    let arms: Vec<&ArmId> = allocation.arms().collect();
    let place = |salt: &Salt, unit: &UnitId| {
        arms.iter().position(|arm| *arm == allocation.assign(salt, unit)).expect("arm")
    };
    let mut one = [0_usize; 3];
    let mut both = [0_usize; 9];
    for household in 0..40_000 {
        let unit = UnitId::parse(household.to_string()).expect("unit");
        let [first, second] = salts.each_ref().map(|salt| place(salt, &unit));
        one[first] += 1;
        both[3 * first + second] += 1;
    }
    let shares = [0.5, 0.3, 0.2];
    assert!(!sample_ratio(&one, &shares).alarm, "{one:?}");
    let joint: Vec<f64> = shares.iter().flat_map(|a| shares.map(|b| a * b)).collect();
    assert!(!sample_ratio(&both, &joint).alarm, "{both:?}");
}

/// Two arms of two units over two days.
pub const DATED: [Row<'static>; 6] = [
    ("a", "control", 2, 1.0, 3.0, 20),
    ("b", "control", 1, 0.0, 0.0, 20),
    ("c", "treatment", 2, 2.0, 8.0, 20),
    ("d", "treatment", 3, 1.0, 2.5, 21),
    ("a", "control", 1, 1.0, 4.0, 21),
    ("c", "treatment", 1, 0.0, -1.0, 21),
];

#[test]
fn rows_of_a_unit_are_added_and_a_window_takes_days() {
    let whole = events(&DATED);
    assert_eq!(
        whole.units.iter().map(|unit| unit.totals.page_views).collect::<Vec<_>>(),
        [3.0, 1.0, 3.0, 3.0]
    );
    assert_eq!(whole.units[2].totals.revenue, 7.0);
    assert_eq!(whole.days.len(), 2);
    let second = whole.days[1].date;
    let late = within(whole.clone(), &Window { from: Some(second), until: None }).expect("window");
    assert_eq!(late.units.iter().map(|unit| unit.unit.as_str()).collect::<Vec<_>>(), ["a", "c", "d"]);
    assert_eq!(late.units[0].totals.cart_adds, 1.0);
    assert_eq!(late.days[0].rows.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1, 2]);
    let after = Window { from: second.succ_opt(), until: None };
    assert!(matches!(within(whole, &after), Err(ExperimentError::EmptyWindow { .. })));
    let undated: Vec<Row> = DATED.iter().map(|row| (row.0, row.1, row.2, row.3, row.4, 0)).collect();
    assert_eq!(within(events(&undated), &after), Err(ExperimentError::NoDates));
}

#[test]
fn a_window_that_an_arm_is_not_in_leaves_the_arm_out() {
    let rows =
        [("a", "alpha", 1, 1.0, 1.0, 20), ("b", "beta", 1, 1.0, 1.0, 21), ("c", "gamma", 1, 1.0, 1.0, 21)];
    let whole = events(&rows);
    let late = Window { from: Some(whole.days[1].date), until: None };
    let left = within(whole, &late).expect("window");
    assert_eq!(left.arms, [arm("beta"), arm("gamma")]);
    assert_eq!(left.units.iter().map(|unit| unit.arm).collect::<Vec<_>>(), [0, 1]);
}

fn named(units: usize, treatment_adds: f64, treatment_share: usize) -> Report {
    let names: Vec<String> = (0..units).map(|at| format!("u{at}")).collect();
    let rows: Vec<Row> = names
        .iter()
        .enumerate()
        .map(|(at, name)| match at % treatment_share {
            0 => (name.as_str(), "treatment", 4, 3.0 + treatment_adds + (at % 7) as f64, 1.0, 0),
            _ => (name.as_str(), "control", 4, 4.0 + (at % 5) as f64, 1.0, 0),
        })
        .collect();
    read(&events(&rows), &reading("control")).expect("report")
}

#[test]
fn no_winner_is_called_on_a_broken_split_whatever_the_lift() {
    let clear = named(400, 4.0, 2);
    assert_eq!(clear.verdict, Verdict::Better { arm: arm("treatment") }, "{}", clear.says);
    let broken = named(400, 4.0, 3);
    assert!(broken.metrics[0].contrasts[0].comparison.p_value < 1e-6);
    assert_eq!(broken.verdict, Verdict::SampleRatioMismatch);
    assert!(broken.says.contains("no arm can be called the winner"), "{}", broken.says);
    let asked =
        Reading { allocation: Some("control:2,treatment:1".parse().expect("arms")), ..reading("control") };
    assert_eq!(asked.allocation.as_ref().map(|arms| arms.share(&arm("control"))), Some(2.0 / 3.0));
    assert_eq!(named(400, -3.0, 2).verdict, Verdict::Worse { arm: arm("treatment") });
    assert_eq!(named(400, 0.0, 2).verdict, Verdict::Inconclusive);
}
