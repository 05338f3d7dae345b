//! The night through its command line, with the real models on real data.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kept;
use crate::s3_server;
use crate::support::{ShopFolder, copy, json};

/// Segments of the small night; more than one group, so that checkpoints and shards matter.
const SEGMENTS: &[&str] = &["--segments", "3"];
const GROUPS: &str = "[night]\ngroup_segments = 2\n";

fn run_args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run"], SEGMENTS, more].concat()
}

/// One finished night that the tests compare with.
pub fn reference() -> &'static ShopFolder {
    static NIGHT: OnceLock<ShopFolder> = OnceLock::new();
    NIGHT.get_or_init(|| {
        let shop = ShopFolder::new(GROUPS);
        shop.expect(0, &run_args(&[]));
        shop
    })
}

/// Its answers, for tests of the night's other parts: while the build is the same, they are computed once.
pub fn answers() -> &'static Path {
    static ANSWERS: OnceLock<PathBuf> = OnceLock::new();
    ANSWERS.get_or_init(|| kept::folder("answers", |folder| copy(&reference().path("work/answers"), folder)))
}

fn pages(shop: &ShopFolder) -> Vec<Value> {
    let tree = shop.tree();
    let pages = tree.iter().filter(|(key, _)| key.contains("/segments/"));
    pages.map(|(_, bytes)| serde_json::from_slice(bytes).expect("a page is JSON")).collect()
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// RUN-2, KW-1, QA-1: every segment has a page, every published keyword was a candidate, and no rejected title shows.
#[test]
fn a_night_publishes_every_segment_and_nothing_rejected() {
    let shop = reference();
    let pages = pages(shop);
    assert_eq!(pages.len(), 3);
    let run = shop.pointer()["run_id"].as_str().expect("run id").to_owned();
    for page in &pages {
        let segment = page["segment_id"].as_str().expect("segment id");
        let story = json(&shop.path(&format!("work/explain/{run}/{segment}.json")));
        let placements = page["placements"].as_array().expect("placements");
        assert_eq!(placements.len(), 6, "{segment}");
        let rejected: Vec<&str> = story["verdicts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|verdict| verdict["subject"] == "title" || verdict["subject"] == "placement")
            .filter_map(|verdict| verdict["placement"].as_str())
            .collect();
        for placement in placements {
            let title = placement["title"].as_str().expect("title");
            assert!(placement["products"].as_array().is_some_and(|products| products.len() >= 4), "{title}");
            if placement["source"] != "cascade" {
                continue;
            }
            assert!(!rejected.contains(&title), "{title} was rejected and shows");
            let written = story["placements"].as_array().into_iter().flatten();
            let written = written.filter(|written| written["design"]["title"] == title).collect::<Vec<_>>();
            assert!(!written.is_empty(), "{title} was never written");
            let candidates: Vec<&str> = written
                .iter()
                .flat_map(|written| written["candidates"].as_array().into_iter().flatten())
                .filter_map(|candidate| candidate["text"].as_str())
                .collect();
            let keywords = texts(placement, "keywords");
            assert!(!keywords.is_empty());
            for keyword in keywords {
                assert!(candidates.contains(&keyword), "{keyword:?} is no candidate of {title:?}");
            }
        }
        assert!(page.get("persona").is_none());
    }
}

#[test]
fn the_report_adds_up() {
    let report = reference().report();
    assert_eq!(report["segments"]["total"], 3);
    assert_eq!(report["segments"]["new"], 3);
    let funnel = &report["funnel"];
    let published = &funnel["published"];
    assert_eq!(
        published["cascade"].as_u64().expect("count") + published["ranker"].as_u64().expect("count"),
        18
    );
    assert!(published["cascade"].as_u64() > Some(6), "the cascade earns its keep: {funnel}");
    assert!(report["model"]["themes"]["usage"]["generated_tokens"].as_u64() > Some(100));
    assert_eq!(report["ending"], "published");
}

/// DET-1: the same night in another folder, cut into shards by other processes, has the same bytes.
#[test]
fn shards_in_any_number_publish_the_same_bytes() {
    let shop = ShopFolder::new(GROUPS);
    for shard in ["4/5", "1/5", "0/5"] {
        shop.expect(0, &run_args(&["--shard", shard]));
        assert!(shop.tree().is_empty(), "a shard publishes nothing");
    }
    shop.expect(0, &[&["publish"], SEGMENTS].concat());
    assert_eq!(shop.tree(), reference().tree());
}

#[test]
fn publishing_before_all_shards_are_done_changes_nothing() {
    let shop = ShopFolder::new(GROUPS);
    let output = shop.run(&[&["publish"], SEGMENTS].concat());
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("groups [0, 1]") && error.contains("--shard"), "{error}");
    assert!(shop.tree().is_empty());
}

/// MER-1: a page whose checkpoint was tampered with is stopped before anything is published.
#[test]
fn a_tampered_checkpoint_never_reaches_the_pointer() {
    let shop = ShopFolder::new(GROUPS);
    copy(&reference().path("work/answers"), &shop.path("work/answers"));
    shop.expect(0, &run_args(&["--shard", "0/1"]));
    let runs = std::fs::read_dir(shop.path("work/runs")).expect("runs").flatten();
    let groups = runs.flat_map(|run| std::fs::read_dir(run.path().join("groups")).expect("groups").flatten());
    let file = groups.map(|group| group.path()).next().expect("a finished group");
    let mut record = json(&file);
    let outcomes = record["outcomes"].as_object_mut().expect("outcomes");
    let page = outcomes.values_mut().next().expect("a segment");
    let placements = page["page"]["manifest"]["placements"].as_array_mut().expect("placements");
    placements[0]["products"][0] = placements[1]["products"][0].clone();
    std::fs::write(&file, record.to_string()).expect("tamper");
    let output = shop.run(&[&["publish"], SEGMENTS].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("not fit to be published") && error.contains("repeated-product"), "{error}");
    assert!(shop.tree().is_empty());
}

fn wait_for(found: impl Fn() -> bool, child: &mut std::process::Child) {
    let start = Instant::now();
    while !found() && child.try_wait().expect("child").is_none() {
        assert!(start.elapsed() < Duration::from_secs(300), "the night hangs");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn any_file(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_file() || any_file(&path))
}

/// RUN-1: killed with SIGKILL at every kind of instant and started again, the night ends with the bytes of one never killed.
#[test]
fn killed_at_any_instant_the_night_ends_with_the_same_bytes() {
    let shop = ShopFolder::new(GROUPS);
    let work = shop.path("work");
    let storefronts = shop.path("storefronts");
    let groups = |n: usize| {
        let runs = std::fs::read_dir(work.join("runs")).into_iter().flatten().flatten();
        runs.map(|run| std::fs::read_dir(run.path().join("groups")).into_iter().flatten().flatten().count())
            .sum::<usize>()
            >= n
    };
    let instants: [&dyn Fn() -> bool; 5] = [
        &|| any_file(&work.join("runs")),
        &|| any_file(&work.join("answers")),
        &|| groups(1),
        &|| groups(2),
        &|| any_file(&storefronts.join("runs")),
    ];
    for instant in instants {
        let mut child = shop
            .command(&run_args(&[]))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        wait_for(instant, &mut child);
        // SIGKILL on Unix.
        let _ = child.kill();
        child.wait().expect("reaped");
    }
    shop.expect(0, &run_args(&[]));
    assert_eq!(shop.tree(), reference().tree());
}

#[test]
fn a_second_night_with_nothing_changed_asks_the_model_nothing() {
    let shop = ShopFolder::new(GROUPS);
    copy(&reference().path("work/answers"), &shop.path("work/answers"));
    copy(&reference().path("storefronts"), &shop.path("storefronts"));
    // Another seed of nothing: a setting that makes a new run but leaves every page as it is.
    let config = std::fs::read_to_string(shop.path("endcap.toml")).expect("config");
    std::fs::write(
        shop.path("endcap.toml"),
        config.replace("[night]", "[aiqa]\nmax_product_title_chars = 181\n[night]"),
    )
    .expect("config");
    shop.expect(0, &run_args(&[]));
    let report = shop.report();
    assert_eq!(report["model"]["themes"]["cached"], report["model"]["themes"]["asked"]);
    assert_eq!(report["model"]["keywords"]["usage"]["generated_tokens"], 0);
    assert_eq!(report["segments"]["reused"], 3, "{report}");
    let old = reference().pointer();
    let new = shop.pointer();
    assert_ne!(old["run_id"], new["run_id"]);
    assert_eq!(new["previous_run_id"], old["run_id"]);
    let page = |shop: &ShopFolder, run: &Value| {
        let run = run.as_str().expect("run id").to_owned();
        shop.tree()
            .into_iter()
            .filter(|(key, _)| key.starts_with(&format!("runs/{run}/segments")))
            .map(|(_, bytes)| bytes)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        page(&shop, &new["run_id"]),
        page(&shop, &old["run_id"]),
        "reused pages are copied byte for byte"
    );
}

/// While an A/B test runs, a manifest carries both pages: the fused one as it is without the test, and the ranker's alone.
#[test]
fn a_night_under_an_experiment_publishes_both_pages() {
    let shop = ShopFolder::new(&format!("{GROUPS}variants = {{ holdout = \"ranker\" }}\n"));
    copy(&reference().path("work/answers"), &shop.path("work/answers"));
    shop.expect(0, &run_args(&[]));
    let run = shop.pointer()["run_id"].as_str().expect("run id").to_owned();
    let plain = pages(reference());
    let under_test = pages(&shop);
    assert_eq!(under_test.len(), plain.len());
    for (page, plain) in under_test.iter().zip(&plain) {
        let segment = page["segment_id"].as_str().expect("segment id");
        assert_eq!(page["placements"], plain["placements"], "{segment}: a test changes nobody else's page");
        assert!(plain.get("variants").is_none(), "{segment}");
        let variants = page["variants"].as_array().expect("variants");
        assert_eq!((variants.len(), &variants[0]["arm"]), (1, &Value::from("holdout")), "{segment}");
        let shown = variants[0]["placements"].as_array().expect("placements");
        let story = json(&shop.path(&format!("work/explain/{run}/{segment}.json")));
        let ranked = story["ranker_page"]["placements"].as_array().expect("the ranker's page");
        assert_eq!(shown.len(), ranked.len(), "{segment}");
        for (shown, ranked) in shown.iter().zip(ranked) {
            let ids = |placement: &Value| {
                let products = placement["products"].as_array().into_iter().flatten();
                products.map(|product| product["product_id"].clone()).collect::<Vec<_>>()
            };
            assert_eq!(shown["source"], "ranker", "{segment}");
            assert_eq!((&shown["title"], ids(shown)), (&ranked["title"], ids(ranked)), "{segment}");
        }
    }
}

/// The same night into a bucket, through the command line and the environment alone: the same objects.
#[test]
fn a_night_is_published_to_s3_under_the_same_keys() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let client = runtime.block_on(s3_server::create_bucket("night"));
    let shop = ShopFolder::new(GROUPS);
    copy(&reference().path("work/answers"), &shop.path("work/answers"));
    let local = format!("publish = {:?}", shop.path("storefronts"));
    let config = std::fs::read_to_string(shop.path("endcap.toml")).expect("config");
    assert!(config.contains(&local));
    std::fs::write(shop.path("endcap.toml"), config.replace(&local, "publish = \"s3://night/shop\""))
        .expect("config");
    let night = |args: &[&str]| {
        let output = shop.command(args).envs(s3_server::environment()).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    night(&run_args(&[]));
    let run = reference().pointer()["run_id"].as_str().expect("run id").to_owned();
    assert!(night(&["status", "--verify"]).contains(&run));
    let stored = |key: &str| {
        let get = client.get_object().bucket("night").key(format!("shop/{key}"));
        runtime.block_on(async {
            let object = get.send().await.expect("object");
            let cache = object.cache_control().expect("cache-control").to_owned();
            (cache, object.body.collect().await.expect("body").into_bytes())
        })
    };
    for (key, bytes) in reference().tree() {
        let (cache, body) = stored(&key);
        assert_eq!(cache.contains("immutable"), key.starts_with("runs/"), "{key}: {cache}");
        assert_eq!(body.as_ref(), bytes.as_slice(), "{key}");
    }
}

/// A model that cannot finish its answers: every segment fails.
const BROKEN: &str = "[themes]\nmax_tokens = 200\n";

#[test]
fn too_many_fallbacks_stop_the_night_and_the_pointer_stays() {
    let shop = ShopFolder::new(&format!("{GROUPS}{BROKEN}"));
    copy(&reference().path("storefronts"), &shop.path("storefronts"));
    let before = shop.tree();
    shop.expect(2, &run_args(&[]));
    assert_eq!(shop.tree(), before);
    let report = shop.report();
    assert_eq!(report["ending"], "stopped");
    assert_eq!(report["segments"]["failed"], 3);
}

#[test]
fn a_segment_that_fails_keeps_last_nights_page_and_is_counted() {
    let shop = ShopFolder::new(&format!("[night]\ngroup_segments = 2\nmax_fallback_share = 1.0\n{BROKEN}"));
    copy(&reference().path("storefronts"), &shop.path("storefronts"));
    shop.expect(1, &run_args(&[]));
    let report = shop.report();
    assert_eq!(report["segments"]["carried_over"], 3, "{report}");
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(3));
    let run = shop.pointer()["run_id"].as_str().expect("run id").to_owned();
    let index = json(&shop.path(&format!("storefronts/runs/{run}/index.json")));
    for (segment, entry) in index["segments"].as_object().expect("segments") {
        assert_eq!(entry["status"], "carried-over", "{segment}");
    }
}

#[test]
fn a_segment_that_fails_without_an_older_page_gets_the_rankers() {
    let shop = ShopFolder::new(&format!("[night]\ngroup_segments = 2\nmax_fallback_share = 1.0\n{BROKEN}"));
    shop.expect(1, &run_args(&[]));
    for page in pages(&shop) {
        assert_eq!(page["source"], "ranker");
        assert_eq!(page["placements"].as_array().map(Vec::len), Some(6));
    }
}

#[test]
fn no_segments_is_an_empty_run() {
    let shop = ShopFolder::new("");
    shop.expect(0, &["run", "--segments", "0"]);
    assert_eq!(shop.report()["segments"]["total"], 0);
    assert_eq!(pages(&shop).len(), 0);
}

#[test]
fn explain_status_and_rollback_tell_of_the_run() {
    let shop = reference();
    let run = shop.pointer()["run_id"].as_str().expect("run id").to_owned();
    let page = &pages(shop)[0];
    let segment = page["segment_id"].as_str().expect("segment");
    let story = shop.expect(0, &["explain", "--segment", segment]);
    for part in
        ["signals", "keywords", "What AIQA found", "The published page", "What the ranker alone would show"]
    {
        assert!(story.contains(part), "{part} is missing:\n{story}");
    }
    let product = page["placements"][0]["products"][0]["product_id"].as_str().expect("product");
    let told = shop.expect(0, &["explain", "--segment", segment, "--product", product]);
    assert!(
        told.contains("on the published page: placement 1") && told.contains("purchases a visit"),
        "{told}"
    );
    let traced = shop.expect(0, &["explain", "--segment", segment, "--product", product, "--json"]);
    let traced: Value = serde_json::from_str(&traced).expect("JSON");
    assert_eq!(
        (&traced["shown"]["placement"], &traced["shown"]["position"]),
        (&1.into(), &1.into()),
        "{traced}"
    );
    let unknown = shop.expect(0, &["explain", "--segment", segment, "--product", "no-such-product"]);
    assert!(unknown.contains("not on the published page"), "{unknown}");
    assert!(shop.expect(0, &["status", "--verify"]).contains(&run));
    let status: Value = serde_json::from_str(&shop.expect(0, &["status", "--json"])).expect("JSON");
    assert_eq!(status["current"]["run_id"], run.as_str());
    shop.expect(2, &["rollback"]);
    assert_eq!(shop.pointer()["run_id"], run.as_str(), "there is nothing to roll back to");
}
