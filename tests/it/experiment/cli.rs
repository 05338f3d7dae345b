//! `endcap experiment` as a shell sees it: output, exit codes, and errors that say what to mend.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray};
use serde_json::Value;

use super::{DATED, Row, columns, parquet};
use crate::support::ShopFolder;

fn shop() -> ShopFolder {
    // No verb here reads the shop's inputs or index.
    ShopFolder::with_index(Path::new("no-inputs"), Path::new("no-index"), "")
}

fn write(shop: &ShopFolder, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = shop.path(name);
    fs::write(&path, bytes).expect("file");
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs and expects an exit code; what stands on stderr.
#[track_caller]
fn fails(shop: &ShopFolder, code: i32, args: &[&str]) -> String {
    let output = shop.run(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "endcap {args:?}\n{error}");
    error
}

#[test]
fn read_prints_a_table_and_json_with_stable_keys() {
    let shop = shop();
    let events = write(&shop, "events.parquet", parquet(columns(&DATED)));
    let pre = write(
        &shop,
        "pre.parquet",
        parquet(columns(&[
            ("a", "-", 1, 1.0, 1.0, 0),
            ("c", "-", 2, 0.0, 0.0, 0),
            ("z", "-", 9, 9.0, 9.0, 0),
        ])),
    );
    let table = shop.expect(0, &["experiment", "read", "--events", &events]);
    for part in [
        "What it says:",
        "What it does not say:",
        "sample ratio",
        "always-valid p",
        "2017-11-20 to 2017-11-21",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let text = shop.expect(0, &["experiment", "read", "--events", &events, "--pre", &pre, "--json"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    for key in [
        "/says",
        "/does_not_say",
        "/verdict/kind",
        "/control",
        "/alpha",
        "/effect",
        "/arms/1/units",
        "/arms/0/expected_share",
        "/sample_ratio/p_value",
        "/sample_ratio/alarm",
        "/days/0",
        "/metrics/0/metric",
        "/metrics/0/cuped/theta",
        "/metrics/0/estimates/1",
        "/metrics/0/contrasts/0/arm",
        "/metrics/0/contrasts/0/difference",
        "/metrics/0/contrasts/0/low",
        "/metrics/0/contrasts/0/relative/value",
        "/metrics/0/contrasts/0/p_value",
        "/metrics/0/contrasts/0/p_holm",
        "/metrics/0/contrasts/0/sequential/p_value",
        "/metrics/0/contrasts/0/unadjusted/p_value",
    ] {
        assert!(report.pointer(key).is_some_and(|value| !value.is_null()), "{key}:\n{text}");
    }
    assert_eq!(report["metrics"][0]["cuped"]["known"], 0.5);
    let day = ["--from", "2017-11-20", "--until", "2017-11-20"];
    let error = fails(&shop, 2, &[&["experiment", "read", "--events", &events][..], &day].concat());
    assert!(error.contains("treatment has 1 units"), "{error}");
}

#[test]
fn bad_calls_are_64() {
    let shop = shop();
    let undated: Vec<Row> = DATED.iter().map(|row| (row.0, row.1, row.2, row.3, row.4, 0)).collect();
    let events = write(&shop, "events.parquet", parquet(columns(&undated)));
    for (args, named) in [
        (&["--control", "placebo"][..], "control, treatment"),
        (&["--alpha", "1.5"], "alpha = 1.5"),
        (&["--effect", "0"], "effect = 0"),
        (&["--arms", "control:1,other:1"], "control, other"),
        (&["--arms", "control:1"], "two arms"),
        (&["--arms", "control:1,control:1"], "twice"),
        (&["--arms", "control:0,treatment:1"], "above 0"),
        (&["--from", "2017-11-20"], "no column date"),
        (&["--from", "yesterday"], "yesterday"),
        (&["--control", "../x"], "arm"),
    ] {
        let error = fails(&shop, 64, &[&["experiment", "read", "--events", &events], args].concat());
        assert!(error.contains(named), "{args:?}: {error}");
    }
    for args in [
        &["plan"][..],
        &["plan", "--baseline", "1"],
        &["plan", "--baseline", "1", "--variance", "0"],
        &["plan", "--baseline", "1", "--variance", "1", "--power", "0.01"],
        &["plan", "--baseline", "1", "--variance", "1", "--correlation", "1"],
        &["plan", "--baseline", "1", "--variance", "1", "--metric", "clicks"],
        &["plan", "--baseline", "1", "--variance", "1", "--arms", "a:1,b:1"],
        &["assign", "--salt", "a:b", "--arms", "a:1,b:1", "--household", "1"],
        &["assign", "--salt", "s", "--arms", "a:1,b:1"],
        &["read"],
    ] {
        fails(&shop, 64, &[&["experiment"], args].concat());
    }
}

/// What is wrong with the data is told with its place, and ends with 2.
#[test]
fn bad_events_are_told_by_file_column_and_row() {
    let good: Vec<Row> = DATED.iter().map(|row| (row.0, row.1, row.2, row.3, row.4, 0)).collect();
    let changed = |at: usize, row: Row<'static>| {
        let mut rows = good.clone();
        rows[at] = row;
        columns(&rows)
    };
    let replaced = |name: &str, values: arrow::array::ArrayRef| {
        let mut columns = columns(&good);
        columns.retain(|column| column.0 != name);
        columns.push((
            ["cart_adds", "page_views", "date", "pre_page_views"].iter().find(|n| **n == name).expect("name"),
            values,
        ));
        columns
    };
    let blind: Vec<Row> = good.iter().map(|row| (row.0, row.1, 0, row.3, row.4, 0)).collect();
    let alone: Vec<Row> = good.iter().map(|row| (row.0, "control", row.2, row.3, row.4, 0)).collect();
    let half_dated = Date32Array::from(vec![Some(17_490), None, None, None, None, None]);
    let cases = [
        (changed(1, ("b", "control", 1, f64::NAN, 0.0, 0)), "\"cart_adds\", row 2: NaN must be 0 or more"),
        (changed(2, ("c", "treatment", 1, -1.0, 0.0, 0)), "\"cart_adds\", row 3: -1 must be 0 or more"),
        (changed(3, ("d", "treatment", 1, 1.0, f64::INFINITY, 0)), "\"revenue\", row 4: inf must be finite"),
        (changed(4, ("a", "treatment", 1, 1.0, 1.0, 0)), "\"a\" is in the arm treatment in row 5"),
        (changed(0, ("", "control", 1, 1.0, 1.0, 0)), "unit is empty"),
        (changed(0, ("a", "con trol", 1, 1.0, 1.0, 0)), "\"arm\", row 1"),
        (
            replaced("page_views", Arc::new(Int64Array::from(vec![1, 1, 1, -4, 1, 1]))),
            "\"page_views\", row 4",
        ),
        (replaced("cart_adds", Arc::new(StringArray::from(vec!["1"; 6]))), "\"cart_adds\" must be f64"),
        (
            replaced("cart_adds", Arc::new(Float64Array::from(vec![None; 6]))),
            "\"cart_adds\" is null in row 1",
        ),
        (replaced("date", Arc::new(half_dated)), "either every row has a date or none has"),
        (replaced("pre_page_views", Arc::new(Int64Array::from(vec![1; 6]))), "all three"),
        (columns(&blind), "no page views"),
        (columns(&alone), "one arm only (control)"),
        (columns(&good[..0]), "has no rows"),
        (columns(&good[..3]), "treatment has 1 units"),
        (columns(&good).into_iter().filter(|column| column.0 != "arm").collect(), "no column \"arm\""),
    ];
    let shop = shop();
    for (columns, named) in cases {
        let events = write(&shop, "events.parquet", parquet(columns));
        let error = fails(&shop, 2, &["experiment", "read", "--events", &events]);
        assert!(error.contains(named), "{named:?} is not in: {error}");
    }
    let text = write(&shop, "events.csv", "unit,arm\n");
    assert!(fails(&shop, 2, &["experiment", "read", "--events", &text]).contains("not a Parquet file"));
}

#[test]
fn more_adds_than_views_and_no_adds_at_all_are_fine() {
    let shop = shop();
    let none: Vec<Row> = DATED.iter().map(|row| (row.0, row.1, row.2, 0.0, 0.0, row.5)).collect();
    let many: Vec<Row> = DATED.iter().map(|row| (row.0, row.1, row.2, 50.0 + row.3, row.4, row.5)).collect();
    for rows in [none, many] {
        let events = write(&shop, "events.parquet", parquet(columns(&rows)));
        let text = shop.expect(0, &["experiment", "read", "--events", &events, "--json"]);
        let report: Value = serde_json::from_str(&text).expect("JSON");
        assert!(report["metrics"][0]["contrasts"][0]["p_value"].is_number(), "{text}");
    }
}

#[test]
fn plan_takes_figures_or_events() {
    let shop = shop();
    let given =
        ["experiment", "plan", "--baseline", "0.8", "--variance", "2.5", "--views-per-unit", "6", "--json"];
    let plan: Value = serde_json::from_str(&shop.expect(0, &given)).expect("JSON");
    assert_eq!(plan["arms"][0]["units"], 613_193);
    assert_eq!(plan["total_page_views"], 6 * 2 * 613_193);
    assert!(plan["sequential_units"].as_u64() > plan["total_units"].as_u64());
    let events = write(&shop, "events.parquet", parquet(columns(&DATED)));
    let text =
        shop.expect(0, &["experiment", "plan", "--events", &events, "--effect", "0.5", "--units", "100"]);
    assert!(text.contains("+50.00 %") && text.contains("units at hand"), "{text}");
    // Three arms share alpha.
    let three = shop.expect(0, &[&given[..], &["--arms", "control:1,a:1,b:1"]].concat());
    let three: Value = serde_json::from_str(&three).expect("JSON");
    assert_eq!(three["alpha_per_treatment"], 0.025);
    assert!(three["arms"][0]["units"].as_u64() > plan["arms"][0]["units"].as_u64());
}

#[test]
fn assign_answers_one_household_a_list_or_a_table() {
    let shop = shop();
    let base = ["experiment", "assign", "--salt", "spring-2018", "--arms", "control:50,treatment:50"];
    let ask = |more: &[&str]| shop.expect(0, &[&base[..], more].concat());
    assert_eq!(
        ask(&["--household", "household-42", "--household", "7"]),
        "7\tcontrol\nhousehold-42\ttreatment\n"
    );
    let list = write(&shop, "households.txt", "household-42\n\n  7 \n7\n");
    let json: Value = serde_json::from_str(&ask(&["--households", &list, "--json"])).expect("JSON");
    assert_eq!(json, serde_json::json!({"7": "control", "household-42": "treatment"}));
    let ids = StringArray::from(vec!["household-42", "7"]);
    let table = write(&shop, "assignments.parquet", parquet(vec![("household_id", Arc::new(ids))]));
    let out = shop.path("arms.parquet");
    let said = ask(&["--households", &table, "--out", out.to_str().expect("UTF-8")]);
    assert!(said.starts_with("2 households: control 1, treatment 1 in "), "{said}");
    let bytes = fs::read(&out).expect("arms.parquet");
    let expected = endcap::ingest::contract::arms_schema();
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))
            .expect("Parquet");
    assert_eq!(builder.schema().fields(), expected.fields());
    let batch = builder.build().expect("reader").next().expect("a batch").expect("rows");
    assert_eq!(batch.num_rows(), 2);
    let bad = write(&shop, "bad.txt", "1\na\u{1b}b\n");
    let error = fails(&shop, 2, &[&base[..], &["--households", &bad]].concat());
    assert!(error.contains("row 2"), "{error}");
}
