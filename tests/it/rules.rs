//! `endcap rules` and what a night makes of rules that cannot be used, over real data.

use std::fs;

use serde_json::Value;

use crate::support::{ShopFolder, inputs};

/// The prepared inputs with other rules.
fn shop_with(rules: &str) -> (tempfile::TempDir, ShopFolder) {
    let dir = tempfile::tempdir().expect("temporary folder");
    for entry in fs::read_dir(inputs()).expect("inputs").flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copy");
    }
    fs::write(dir.path().join("merchandising.toml"), rules).expect("rules");
    let shop = ShopFolder::with_index(dir.path(), &inputs().join("index"), "");
    (dir, shop)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_demonstrations_rules_hold_together() {
    let shop = ShopFolder::new("");
    let told = shop.expect(0, &["rules", "check"]);
    assert!(told.contains("9 rules can hold together for 96 segments"), "{told}");
    let answer = json(&shop.expect(0, &["rules", "check", "--json"]));
    assert_eq!((&answer["mistakes"], &answer["conflicts"]), (&Value::Array(vec![]), &Value::Array(vec![])));
}

#[test]
fn a_day_is_rehearsed_for_all_segments_or_one() {
    let shop = ShopFolder::new("");
    let told = shop.expect(0, &["rules", "test", "--date", "2017-11-20"]);
    assert!(told.contains("Holiday baking (96)") && told.contains("9 of 9 rules fire"), "{told}");
    let later = json(&shop.expect(0, &["rules", "test", "--date", "2017-12-26", "--json"]));
    let rules = later["rules"].as_array().expect("rules");
    let first = rules.iter().find(|rule| rule["rule"] == "campaign-first").expect("campaign-first");
    assert_eq!((&first["fires"], &first["why_not"]), (&false.into(), &"it ended on 2017-12-24".into()));
    let segment = ["rules", "test", "--date", "2017-11-20", "--segment", "nobody"];
    let output = shop.run(&segment);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody"));
}

#[test]
fn all_mistakes_of_a_file_are_listed_with_their_lines() {
    let rule = |n: usize| format!("[[rule]]\nid = \"rule-{n}\"\nblock = {{ aisle = \"Fresh frut\" }}\n");
    let rules: String = (0..40).map(rule).collect();
    let (_dir, shop) = shop_with(&rules);
    let told = shop.expect(64, &["rules", "check"]);
    assert!(told.contains("40 mistakes") && told.contains("did you mean \"Fresh fruit\"?"), "{told}");
    let answer = json(&shop.expect(64, &["rules", "check", "--json"]));
    let lines: Vec<u64> =
        answer["mistakes"].as_array().expect("list").iter().filter_map(|one| one["line"].as_u64()).collect();
    assert_eq!(lines, (0..40).map(|n| 3 * n + 3).collect::<Vec<_>>());
    let output = shop.run(&["rules", "test", "--date", "2017-11-20"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 120"));
}

#[test]
fn a_conflict_is_named_before_the_night_starts() {
    let rules = "[[rule]]\nid = \"much-fruit\"\nquota = { aisle = \"Fresh fruit\", scope = \"placements\", min = 2 }\n\
        [[rule]]\nid = \"no-fruit\"\nblock = { aisle = \"Fresh fruit\" }\n";
    let (_dir, shop) = shop_with(rules);
    let told = shop.expect(64, &["rules", "check"]);
    assert!(told.contains("1 conflict") && told.contains("\"much-fruit\", rule \"no-fruit\""), "{told}");
    assert!(told.contains("always; every segment"), "{told}");
    let output = shop.run(&["run", "--segments", "1"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("much-fruit") && error.contains("no-fruit"), "{error}");
    assert!(shop.tree().is_empty() && !shop.path("work").join("runs").exists());
}
