//! Workers that are killed, asked to stop or never come; publishers that meet.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::bucket::Bucket;
use super::shop::{Cloud, TWO_SHARDS, expect, statuses};

fn plan(cloud: &Cloud, function: &super::lambda::Function) -> String {
    cloud.expect(0, &["index"]);
    function.answer(json!({ "action": "plan" }))["run_id"].as_str().expect("run id").to_owned()
}

/// RUN-1 over a bucket: SIGKILL at instants spread over a worker's life, then a run to the end. The tree is the one of a night
/// that nobody killed.
#[test]
fn a_worker_killed_at_any_instant_is_continued_by_the_next() {
    let cloud = Cloud::new("cloud-kills", TWO_SHARDS);
    let function = cloud.function();
    let run = plan(&cloud, &function);
    let started = std::time::Instant::now();
    expect(0, cloud.worker(&run, None));
    let life = started.elapsed();
    function.answer(json!({ "action": "publish", "run_id": run }));
    let undisturbed = cloud.tree();
    for key in cloud.keys("public/").iter().chain(&cloud.keys(&format!("work/runs/{run}/"))) {
        if !key.ends_with("plan.json") {
            cloud.delete(key);
        }
    }
    // Six instants, the later ones denser: most of a worker's life is loading.
    for tenths in [5u32, 7, 8, 9, 10, 11] {
        let mut child = quiet(&cloud, &run);
        std::thread::sleep(life * tenths / 10);
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    expect(0, cloud.worker(&run, None));
    function.answer(json!({ "action": "publish", "run_id": run }));
    assert_eq!(cloud.tree(), undisturbed);
}

fn quiet(cloud: &Cloud, run: &str) -> Child {
    let mut command = cloud.worker(run, None);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the worker starts")
}

/// SIGTERM with a model call in flight: the call is finished, what it answered is kept, the worker ends with 75, and the next
/// one pays for nothing twice.
#[test]
fn a_worker_that_is_asked_to_stop_keeps_what_was_answered() {
    let cloud = Cloud::new("cloud-stop", "");
    let function = cloud.function();
    let run = plan(&cloud, &function);
    let forgotten = theme_answer(&cloud);
    let bytes = cloud.get(&forgotten).expect("an answer");
    cloud.delete(&forgotten);
    let mut child = cloud
        .worker(&run, None)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let begins = lines.by_ref().map_while(Result::ok).any(|line| line.contains("a group begins"));
    assert!(begins, "the worker came to its first group");
    // Long enough for the call to be under way, and a page takes the model seconds.
    std::thread::sleep(Duration::from_millis(300));
    terminate(&child);
    let said: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("wait").code(), Some(75), "{said:#?}");
    assert!(cloud.keys(&format!("work/runs/{run}/groups/")).is_empty(), "it stopped before the end");
    let text = |bytes: Option<Vec<u8>>| -> Value {
        let answer: Value =
            serde_json::from_slice(&bytes.expect("the answer in flight is kept")).expect("JSON");
        answer["text"].clone()
    };
    assert_eq!(text(cloud.get(&forgotten)), text(Some(bytes)));
    let next: Value = serde_json::from_str(expect(0, cloud.worker(&run, None)).trim()).expect("metrics");
    assert_eq!(
        (&next["WorkerSegments"], &next["WorkerTokens"]),
        (&json!(3.0), &json!(0.0)),
        "nothing is paid twice"
    );
    let resumed: Value = serde_json::from_str(expect(0, cloud.worker(&run, None)).trim()).expect("metrics");
    assert_eq!(resumed["WorkerSegments"], 0.0, "a finished shard is not computed again");
}

/// The key of an answer of stage 1: those are pages with a persona.
pub fn theme_answer(private: &Bucket) -> String {
    let pages = private.keys("work/answers/").into_iter().filter(|key| {
        let answer = private.json(key);
        answer["text"].as_str().is_some_and(|text| text.contains("persona"))
    });
    pages.min().expect("an answer of stage 1")
}

fn terminate(child: &Child) {
    let status = std::process::Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

/// RUN-2: a child that never came leaves its segments with their last pages, counted; past the allowed share nothing is
/// published.
#[test]
fn segments_of_a_child_that_failed_are_carried_over() {
    let cloud = Cloud::new("cloud-missing", &format!("{TWO_SHARDS}max_fallback_share = 0.4\n"));
    let function = cloud.function();
    let first = plan(&cloud, &function);
    let stopped = function.answer(json!({ "action": "publish", "run_id": first }));
    assert_eq!((&stopped["ending"], &stopped["exit_code"]), (&json!("stopped"), &json!(2)));
    assert!(cloud.keys("public/").is_empty(), "nothing was published");
    expect(0, cloud.worker(&first, None));
    function.answer(json!({ "action": "publish", "run_id": first }));

    let mut segments = cloud.segments();
    segments.iter_mut().for_each(|segment| segment.households += 1);
    cloud.put_segments(&segments);
    let second = function.answer(json!({ "action": "plan" }));
    let second = second["run_id"].as_str().expect("run id").to_owned();
    let group =
        |shard: usize| cloud.json(&format!("work/runs/{second}/plan.json"))["shards"][shard][0].clone();
    let lonely = if group(0) == json!(1) { 0 } else { 1 };
    expect(0, cloud.worker(&second, Some(1 - lonely)));
    let published = function.answer(json!({ "action": "publish", "run_id": second }));
    assert_eq!(
        (&published["ending"], &published["exit_code"]),
        (&json!("published-with-fallbacks"), &json!(1))
    );
    let carried = statuses(&cloud, &second).into_values().filter(|status| status == "carried-over").count();
    assert_eq!(carried, 1);
    let report = cloud.json(&format!("work/runs/{second}/report.json"));
    assert_eq!(report["failures"][0]["stage"], "worker", "{report}");
    let metrics = function.metrics();
    assert_eq!(metrics.last().expect("metrics")["CarriedOver"], 1.0);
    let planned = function.answer(json!({ "action": "plan" }));
    assert_eq!(planned["run_id"], second);
}

/// PUB-3, and a publisher killed on its way: one of two functions wins or both agree, and the next call ends it.
#[test]
fn two_publishers_and_a_killed_one_leave_a_whole_run() {
    let cloud = Cloud::new("cloud-publishers", TWO_SHARDS);
    let (mut one, other) = (cloud.function(), cloud.function());
    let run = plan(&cloud, &one);
    expect(0, cloud.worker(&run, None));
    let publish = json!({ "action": "publish", "run_id": run });
    one.begin(publish.clone());
    let ended = other.invoke(publish.clone());
    std::thread::sleep(Duration::from_millis(50));
    one.kill();
    if let Err((kind, message)) = &ended {
        assert_eq!(kind, "Endcap.LostRace", "{message}");
    }
    let last = other.answer(publish);
    assert_eq!(last["ending"], "published");
    assert_eq!(cloud.pointer()["run_id"], run);
    assert!(cloud.expect(0, &["status", "--verify"]).contains("hold their sha256"));
}

/// What is wrong is said by the name that the state machine knows.
#[test]
fn errors_have_the_names_that_are_retried_or_not() {
    let cloud = Cloud::new("cloud-errors", TWO_SHARDS);
    let function = cloud.function();
    let missing = "2017-11-20-0123456789ab";
    let kind = |event: Value| function.invoke(event).expect_err("an error").0;
    assert_eq!(kind(json!({ "action": "fly" })), "Endcap.Config");
    assert_eq!(kind(json!({ "action": "publish", "run_id": missing })), "Endcap.Unfinished");
    assert_eq!(kind(json!({ "action": "rollback" })), "Endcap.Unfinished");
    let planned = function.answer(json!({ "action": "plan" }));
    expect(64, cloud.worker(missing, None));
    cloud.put("inputs/keywords.parquet", b"PAR1 no more".to_vec());
    assert_eq!(kind(json!({ "action": "plan" })), "Endcap.Inputs");
    cloud.delete("inputs/keywords.parquet");
    assert_eq!(kind(json!({ "action": "plan" })), "Endcap.Store");
    cloud.put("config/endcap.toml", b"[nights]\n".to_vec());
    let run = planned["run_id"].clone();
    assert_eq!(kind(json!({ "action": "publish", "run_id": run })), "Endcap.Config");
}
