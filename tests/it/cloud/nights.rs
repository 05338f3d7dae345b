//! Whole nights: plan, shards, publish, reuse, canary.

use serde_json::{Value, json};

use super::collector::{Collector, Trace, hanging};
use super::shop::{Cloud, TWO_SHARDS, expect, moved, open_shop, statuses};
use crate::s3_server::free_port;
use crate::support::ShopFolder;

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// Survey, plan, work and publish over buckets: the bytes are those of the same night in folders (DET-1), an unchanged segment
/// never reaches a worker the next night, and a night in which nothing changed has no shard at all.
#[test]
fn nights_over_buckets_cost_what_changed() {
    let collector = Collector::start();
    let cloud = Cloud::new("cloud-nights", TWO_SHARDS).with(collector.variables());
    let function = cloud.function();

    let surveyed = function.answer(json!({ "action": "survey" }));
    assert_eq!(surveyed, json!({ "as_of": "2017-11-20", "refresh_index": true, "refresh_ranker": false }));
    cloud.expect(0, &["index"]);
    assert_eq!(function.answer(json!({ "action": "survey" }))["refresh_index"], false);

    let planned = function.answer(json!({ "action": "plan" }));
    let first = text(&planned, "run_id");
    let expected = json!({ "run_id": first, "as_of": "2017-11-20", "segments": 3, "reused": 0, "shards": 2 });
    assert_eq!(planned, expected);
    assert_eq!(function.answer(json!({ "action": "plan" })), planned, "a plan is made once");
    for shard in [1, 0] {
        let printed = expect(0, cloud.worker(&first, Some(shard)));
        let line: Value = serde_json::from_str(printed.trim()).expect("one line of metrics");
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Endcap");
        assert_eq!((&line["Deployment"], &line["RunId"]), (&json!("test"), &json!(first)));
    }
    let mut third = cloud.worker(&first, Some(2));
    third.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", free_port()));
    expect(64, third);
    let published = function.answer(json!({ "action": "publish", "run_id": first }));
    assert_eq!(published["ending"], "published", "{published}");
    assert_eq!(published["exit_code"], 0);
    assert_eq!((&published["canary"], &published["previous_run_id"]), (&json!(false), &Value::Null));
    assert_eq!(function.metrics().last().expect("metrics")["PointerWrites"], 1.0);
    let again = function.answer(json!({ "action": "publish", "run_id": first }));
    assert!(text(&again, "summary").starts_with("already published"), "{again}");

    let local =
        ShopFolder::with_index(&cloud.inputs_folder(), &crate::support::inputs().join("index"), TWO_SHARDS);
    crate::support::copy(crate::night::answers(), &local.path("work/answers"));
    local.expect(0, &["run"]);
    assert_eq!(cloud.tree(), local.tree(), "the same night in folders");
    assert!(cloud.expect(0, &["status", "--verify"]).contains(&first));

    assert_eq!(collector.traces().len(), 1, "survey and index are no part of a night");
    a_night_is_one_trace(&collector.trace(&first));
    a_third_changes(&cloud, &function, &first);
    nothing_changes(&cloud, &function);
}

/// Of a function that planned twice and published twice, and of two workers.
fn a_night_is_one_trace(night: &Trace) {
    night.assert_whole("plan");
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let stages = ["themes", "candidates", "keywords", "products", "aiqa and fusion", "checkpoint"];
    assert_eq!(night.below("group"), set(&stages));
    assert_eq!(night.below("work"), set(&["inputs", "models", "group"]));
    assert_eq!(night.below("plan"), set(&["inputs", "planning", "plan", "work", "publish"]));
    let steps =
        ["inputs", "settle", "decisions", "inspect", "objects", "verify", "index", "pointer", "retention"];
    assert_eq!(night.below("publish"), set(&steps));
    assert_eq!((night.numbers("work", "shard"), night.numbers("group", "group")), (vec![0, 1], vec![0, 1]));
    assert_eq!(night.numbers("group", "segments"), [1, 2]);
    assert_eq!(night.numbers("themes", "cached"), night.numbers("themes", "asked"), "from the cache");
    assert_eq!(night.numbers("planning", "shards"), [2, 2]);
    assert_eq!(night.numbers("publish", "exit_code"), [0, 0]);
    assert_eq!(night.failed(), Vec::<String>::new());
}

fn a_third_changes(cloud: &Cloud, function: &super::lambda::Function, first: &str) {
    let mut segments = cloud.segments();
    segments[1].households += 1;
    cloud.put_segments(&segments);
    let planned = function.answer(json!({ "action": "plan" }));
    let second = text(&planned, "run_id");
    assert_eq!((&planned["reused"], &planned["shards"]), (&json!(2), &json!(1)), "{planned}");
    // Who collects traces must not decide whether pages are made.
    let (_listener, nowhere) = hanging();
    let mut worker = cloud.worker(&second, None);
    worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", nowhere);
    let printed = expect(0, worker);
    let line: Value = serde_json::from_str(printed.trim()).expect("metrics");
    assert_eq!(line["WorkerSegments"], 1.0, "only what changed is computed");
    let published = function.answer(json!({ "action": "publish", "run_id": second }));
    assert_eq!(published["previous_run_id"], first);
    let report = cloud.json(&format!("work/runs/{second}/report.json"));
    assert_eq!(
        report["segments"]["reused"].as_u64().expect("reused")
            + report["segments"]["new"].as_u64().expect("new"),
        3
    );
    for segment in [0, 2] {
        let id = segments[segment].segment_id.as_str();
        assert_eq!(statuses(cloud, &second)[id], "reused");
        let story = cloud.expect(0, &["explain", "--segment", id]);
        assert!(story.contains("What AIQA found"), "{story}");
    }
}

/// The next day, with the same tables and no other holiday near: no worker is started.
fn nothing_changes(cloud: &Cloud, function: &super::lambda::Function) {
    let mut segments = cloud.segments();
    segments[1].households += 1;
    cloud.put_segments(&moved(&segments, 1));
    let planned = function.answer(json!({ "action": "plan" }));
    assert_eq!((&planned["as_of"], &planned["shards"]), (&json!("2017-11-21"), &json!(0)), "{planned}");
    let third = text(&planned, "run_id");
    let published = function.answer(json!({ "action": "publish", "run_id": third }));
    assert_eq!(published["ending"], "published");
    assert!(statuses(cloud, &third).values().all(|status| status == "reused"));
    cloud.put_segments(&moved(&segments, 9));
    let later = function.answer(json!({ "action": "plan" }));
    assert_eq!(later["reused"], 0, "another holiday is near: {later}");
}

/// A page that the plan takes over, and that is gone when the night is published, is a failure: counted, and the segment gets the
/// page that the ranker makes of the interactions, which the publisher reads for it alone.
#[test]
fn a_taken_over_page_that_is_gone_is_counted_and_made_by_the_ranker() {
    let cloud = Cloud::new("cloud-gone", TWO_SHARDS);
    cloud.expect(0, &["index"]);
    let function = cloud.function();
    let planned = || function.answer(json!({ "action": "plan" }));
    let first = text(&planned(), "run_id");
    expect(0, cloud.worker(&first, Some(0)));
    expect(0, cloud.worker(&first, Some(1)));
    function.answer(json!({ "action": "publish", "run_id": first }));

    let mut segments = cloud.segments();
    segments[0].households += 1;
    cloud.put_segments(&segments);
    let plan = planned();
    assert_eq!(plan["reused"], 2, "{plan}");
    let second = text(&plan, "run_id");
    expect(0, cloud.worker(&second, None));
    let gone = segments[2].segment_id.as_str();
    cloud.delete(&format!("public/runs/{first}/segments/{gone}.json"));

    let published = function.answer(json!({ "action": "publish", "run_id": second }));
    assert_eq!(
        (&published["ending"], &published["exit_code"]),
        (&json!("published-with-fallbacks"), &json!(1))
    );
    let report = cloud.json(&format!("work/runs/{second}/report.json"));
    let failures = report["failures"].as_array().expect("failures");
    assert_eq!(
        (failures.len(), &failures[0]["segment_id"], &failures[0]["stage"]),
        (1, &json!(gone), &json!("reuse"))
    );
    let page = cloud.json(&format!("public/runs/{second}/segments/{gone}.json"));
    let ranked = cloud.json(&format!("work/explain/{first}/{gone}.json"))["ranker_page"].clone();
    assert_eq!(page["source"], "ranker");
    assert_eq!(shown(&page), shown(&ranked), "what the ranker would have shown the night before");
    assert!(shown(&page).len() > 1, "{page}");
}

/// Titles, each with its products' ids.
fn shown(page: &Value) -> Vec<(Value, Vec<Value>)> {
    let placements = page["placements"].as_array().into_iter().flatten();
    let row = |placement: &Value| {
        let products = placement["products"].as_array().into_iter().flatten();
        (placement["title"].clone(), products.map(|product| product["product_id"].clone()).collect())
    };
    placements.map(row).collect()
}

/// A canary is a whole run of its own; the run after it names the run before it, and either can be gone back to.
#[test]
fn a_canary_is_promoted_or_rolled_back() {
    let cloud = Cloud::new("cloud-canary", TWO_SHARDS);
    cloud.expect(0, &["index"]);
    let function = cloud.function();
    let night = |function: &super::lambda::Function| {
        let run = text(&function.answer(json!({ "action": "plan" })), "run_id");
        expect(0, cloud.worker(&run, None));
        run
    };
    let first = night(&function);
    let alone = function.answer(json!({ "action": "publish", "run_id": first, "canary_percent": 50 }));
    assert_eq!(
        (&alone["canary"], &alone["run_id"]),
        (&json!(false), &json!(first)),
        "nothing to keep pages of"
    );

    // Other pages of the same answers: no model is asked.
    open_shop(&cloud, &format!("{TWO_SHARDS}[fuse]\nrepeat_discount = 0.2\n"));
    let function = cloud.function();
    let second = night(&function);
    let canary = json!({ "action": "publish", "run_id": second, "canary_percent": 60 });
    let published = function.answer(canary.clone());
    let shown = text(&published, "run_id");
    assert_eq!((&published["canary"], &published["previous_run_id"]), (&json!(true), &json!(first)));
    assert!(shown != first && shown != second);
    assert_eq!(cloud.pointer()["run_id"], shown);
    assert!(cloud.expect(0, &["status", "--verify"]).contains("hold their sha256"));
    let again = function.answer(canary);
    assert_eq!(again["run_id"], shown, "a retry finds the canary");

    assert_eq!(function.answer(json!({ "action": "rollback" })), json!({ "run_id": first }));
    function.answer(json!({ "action": "rollback", "run_id": shown }));
    let promoted = function.answer(json!({ "action": "promote", "run_id": second }));
    assert_eq!((&promoted["canary"], &promoted["run_id"]), (&json!(false), &json!(second)));
    assert_eq!(promoted["previous_run_id"], first, "a rollback never leads back to a canary");
    assert_eq!(function.answer(json!({ "action": "rollback" })), json!({ "run_id": first }));

    let (kind, message) = function
        .invoke(json!({ "action": "publish", "run_id": second, "canary_percent": 100 }))
        .expect_err("100 %");
    assert!(kind == "Endcap.Config" && message.contains("canary_percent"), "{kind}: {message}");
}

/// Every household of a published segment resolves to it with one request for its share.
#[test]
fn households_find_their_segment_in_the_published_tree() {
    use endcap::domain::lookup::{Lookup, Shares};
    use endcap::domain::{HouseholdId, SegmentId};
    use endcap::ingest::contract;

    let extra = format!("{TWO_SHARDS}[publish]\nlookup_salt = \"pepper\"\nlookup_bits = 3\n");
    let cloud = Cloud::new("cloud-lookups", &extra);
    let segments = cloud.segments();
    let segment = |n: usize| match n % 4 {
        3 => SegmentId::parse("seg-of-another-night").expect("segment"),
        n => segments[n].segment_id.clone(),
    };
    let assignments: std::collections::BTreeMap<_, _> =
        (0..500).map(|n| (HouseholdId::parse(format!("household {n}")).expect("id"), segment(n))).collect();
    let path = cloud.local.path().join("assignments.parquet");
    contract::write_assignments(&path, &assignments).expect("assignments");
    cloud.put("inputs/assignments.parquet", std::fs::read(path).expect("table"));
    cloud.expect(0, &["run"]);

    let run = text(&cloud.pointer(), "run_id");
    let shares = Shares { salt: "pepper", bits: 3 };
    for (household, own) in &assignments {
        let hash = shares.hash(household);
        let key = format!("public/runs/{run}/lookups/{:04x}.json", shares.share(&hash));
        let lookup: Lookup = serde_json::from_value(cloud.json(&key)).expect("lookup");
        let known = segments.iter().any(|context| context.segment_id == *own);
        assert_eq!(lookup.segment(&hash), known.then_some(own), "{household}");
    }
    let published: Vec<u8> = cloud.tree().into_values().flatten().collect();
    assert!(!String::from_utf8_lossy(&published).contains("household 1"), "no id is published");
    let damaged = format!("public/runs/{run}/lookups/0003.json");
    cloud.put(&damaged, b"{}".to_vec());
    assert!(cloud.expect(1, &["status", "--verify"]).contains("lookups/0003.json"));
}
