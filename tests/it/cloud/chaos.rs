//! Faults injected into nights on the whole stack. Each test counts what it injected and what was lost; the latter must be nothing.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::end_to_end::entered;
use super::lambda::Function;
use super::proxy::{Harm, Proxy, Rule};
use super::shop::{Cloud, TWO_SHARDS, expect};
use super::stack::{Stack, segment_ids};
use crate::s3_server;

/// Longer than anything takes on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(300);

/// A child for each of the three segments.
const A_CHILD_EACH: &str = "[night]\ngroup_segments = 1\nshard_segments = 1\n";

fn plan(stack: &Stack) -> String {
    let planned = stack.invoke("PlanFunctionName", json!({ "action": "plan" }));
    planned["run_id"].as_str().unwrap_or_else(|| panic!("{planned}")).to_owned()
}

fn work(stack: &Stack, run: &str, child: usize) -> Duration {
    let mut command = stack.command(&["work", "--run", run]);
    command.env("AWS_BATCH_JOB_ARRAY_INDEX", child.to_string());
    let started = Instant::now();
    expect(0, command);
    started.elapsed()
}

/// Segments of `before` that `after` does not have with the same bytes.
fn lost(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> usize {
    before.iter().filter(|(key, bytes)| after.get(*key) != Some(bytes)).count()
}

/// As if the night had never been; the answers stay.
fn forget_nights(stack: &Stack) {
    for key in stack.public.keys("") {
        stack.public.delete(&key);
    }
    for key in stack.private.keys("work/runs/").iter().chain(&stack.private.keys("work/pages/")) {
        stack.private.delete(key);
    }
}

/// RUN-1, RUN-2: children are killed with SIGKILL at 20 instants drawn over the whole of a child's life; Batch starts them again, and
/// every night publishes the bytes of the one that nobody disturbed.
#[test]
fn twenty_killed_workers_lose_nothing() {
    const KILLS: usize = 20;
    let stack = Stack::new(&[("WorkerAttempts", "10")], A_CHILD_EACH);
    stack.mark_index();
    let run = plan(&stack);
    let life = (0..3).map(|child| work(&stack, &run, child)).max().expect("three children");
    assert_eq!(stack.night(json!({})).status, "SUCCEEDED");
    let undisturbed = stack.public.objects("");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(20);
    let (mut injected, mut nights) = (0, 0);
    while injected < KILLS {
        forget_nights(&stack);
        stack.hook("/reset", Some(json!({})));
        // A child that was killed six times is left alone: ten attempts are all it has.
        for (child, attempt) in (0..3).flat_map(|child| (1..=6).map(move |attempt| (child, attempt))) {
            let after = random.gen_range(0.0..life.as_secs_f64());
            stack.hook(
                "/rules",
                Some(json!({ "index": child, "attempt": attempt, "after": after, "do": "kill" })),
            );
        }
        let night = stack.night(json!({}));
        let told = format!("night {nights}, {injected} kills before it: {night:?}");
        assert_eq!((night.status.as_str(), &night.output["warnings"]), ("SUCCEEDED", &json!([])), "{told}");
        assert_eq!(lost(&undisturbed, &stack.public.objects("")), 0, "{told}");
        assert_eq!(stack.whole_run(), run);
        injected += applied(&stack);
        nights += 1;
    }
    println!("{injected} kills in {nights} nights, 0 objects lost");
}

/// How often the rules did what they say.
fn applied(stack: &Stack) -> usize {
    let rules = stack.hook("/rules", None);
    let counts = rules.as_array().into_iter().flatten().filter_map(|rule| rule["applied"].as_u64());
    counts.sum::<u64>() as usize
}

/// RUN-2: a child that fails in every attempt leaves its segment with last night's page, counted; past the allowed share nothing
/// is pointed at.
#[test]
fn a_child_that_always_fails_is_carried_over_until_it_is_too_many() {
    let stack = Stack::new(&[("WorkerAttempts", "2")], &format!("{A_CHILD_EACH}max_fallback_share = 0.4\n"));
    assert_eq!(stack.night(json!({})).status, "SUCCEEDED");
    let first = stack.whole_run();

    stack.change_segments(3, 1);
    stack.hook("/rules", Some(json!({ "index": 1, "do": "fail", "exit": 1 })));
    let night = stack.night(json!({}));
    assert_eq!((night.status.as_str(), &night.output["exit_code"]), ("SUCCEEDED", &json!(1)), "{night:?}");
    assert_eq!(night.output["ending"], "published-with-fallbacks");
    assert_eq!(night.output["warnings"].as_array().map(Vec::len), Some(1), "{night:?}");
    assert_eq!(applied(&stack), 2, "both attempts of one child were injected");
    let second = stack.whole_run();
    let report = stack.report(&second);
    assert_eq!((&report["segments"]["total"], &report["segments"]["carried_over"]), (&json!(3), &json!(1)));
    assert_eq!(report["failures"][0]["stage"], "worker", "{report}");
    assert_eq!(missing_pages(&stack, &second), 0);

    stack.change_segments(3, 2);
    stack.hook("/rules", Some(json!({ "index": 2, "do": "fail", "exit": 64 })));
    let stopped = stack.night(json!({}));
    assert_eq!(
        (stopped.status.as_str(), stopped.error.as_str()),
        ("FAILED", "Endcap.Stopped"),
        "{stopped:?}"
    );
    assert!(stopped.cause.contains("night.max_fallback_share"), "{}", stopped.cause);
    assert_eq!(applied(&stack), 2 + 2 + 1, "a usage error is not tried again");
    assert_eq!(stack.whole_run(), second, "the pointer stays");
    assert_eq!(missing_pages(&stack, &second) + missing_pages(&stack, &first), 0);
}

/// Segments without a page in a run's index.
fn missing_pages(stack: &Stack, run: &str) -> usize {
    let index = stack.public.json(&format!("runs/{run}/index.json"));
    segment_ids(stack).iter().filter(|segment| index["segments"].get(segment.as_str()).is_none()).count()
}

/// What somebody did to a finished page before it was published.
type Poison = (&'static str, fn(&mut Value));

const POISONS: [Poison; 4] = [
    ("repeated-product", |page| {
        let repeated = page["placements"][1]["products"][0].clone();
        page["placements"][0]["products"][0] = repeated;
    }),
    ("known-product", |page| page["placements"][0]["products"][0]["product_id"] = json!("no-such-product")),
    ("another segment's", |page| page["segment_id"] = json!("seg-of-another-shop")),
    ("the catalogue", |page| page["placements"][0]["products"][0]["title"] = json!("Free money")),
];

/// MER-1: a manifest that was tampered with, in a checkpoint or in the published tree, ends the night before the pointer.
#[test]
fn a_poisoned_manifest_never_reaches_the_pointer() {
    let stack = Stack::new(&[], TWO_SHARDS);
    stack.mark_index();
    let run = plan(&stack);
    work(&stack, &run, 0);
    work(&stack, &run, 1);
    let checkpoint = format!("work/runs/{run}/groups/00000.json");
    let clean = stack.private.json(&checkpoint);
    let (mut injected, mut reached) = (0, 0);
    for (said, poison) in POISONS {
        let mut record = clean.clone();
        let outcomes = record["outcomes"].as_object_mut().expect("outcomes");
        poison(&mut outcomes.values_mut().next().expect("a segment")["page"]["manifest"]);
        stack.private.put(&checkpoint, record.to_string().into_bytes());
        injected += 1;
        let night = stack.night(json!({}));
        assert_eq!(
            (night.status.as_str(), night.error.as_str()),
            ("FAILED", "Endcap.Inputs"),
            "{said}: {night:?}"
        );
        assert!(night.cause.contains("Publish") && night.cause.contains(said), "{said}: {}", night.cause);
        reached += usize::from(stack.pointer().is_some());
    }
    stack.private.put(&checkpoint, clean.to_string().into_bytes());
    let night = stack.night(json!({}));
    assert_eq!(night.status, "SUCCEEDED", "{night:?}");
    assert_eq!(stack.whole_run(), run);

    // A published page that a later night would take over.
    let page = format!("runs/{run}/segments/{}.json", segment_ids(&stack)[2]);
    let bytes = stack.public.get(&page).expect("a page");
    let text = String::from_utf8(bytes).expect("UTF-8");
    stack.public.put(&page, text.replacen("\"title\":", "\"title\": ", 1).into_bytes());
    stack.change_segments(1, 1);
    injected += 1;
    let night = stack.night(json!({}));
    assert_eq!((night.status.as_str(), night.error.as_str()), ("FAILED", "Endcap.Inputs"), "{night:?}");
    entered(&night, &["WorkOne", "Publish", "NotifyFailure"]);
    reached += usize::from(stack.pointer().expect("a pointer")["run_id"] != run.as_str());
    assert_eq!((injected, reached), (POISONS.len() + 1, 0));
}

/// PUB-2: killed between the index and the pointer, or right after the pointer and before the edge, a publisher leaves the old page or
/// the new one, whole, and the next call ends its work.
#[test]
fn a_publisher_killed_around_the_pointers_write_loses_nothing() {
    let cloud = Cloud::new("cloud-gate", TWO_SHARDS);
    cloud.expect(0, &["index"]);
    let healthy = cloud.function();
    let next = |by: u32| {
        let mut segments = cloud.segments();
        segments.iter_mut().for_each(|segment| segment.households += by);
        cloud.put_segments(&segments);
        let run = healthy.answer(json!({ "action": "plan" }))["run_id"].as_str().expect("run id").to_owned();
        expect(0, cloud.worker(&run, None));
        run
    };
    let mut shown = next(0);
    healthy.answer(json!({ "action": "publish", "run_id": shown }));
    let (mut injected, mut lost) = (0, 0);
    // The pointer's write never arrives, or is done without an answer.
    for (by, moment) in [(1, Harm::Stall), (2, Harm::NoAnswer)] {
        let run = next(by);
        let (reached, arrives) = channel();
        let rule: Rule = Box::new(move |request| {
            let caught = request.writes("/current.json");
            caught.then(|| {
                let _ = reached.send(());
                moment
            })
        });
        let proxy = Proxy::before(s3_server::endpoint(), rule);
        let mut function = Function::start(&cloud.variables_behind(&proxy));
        function.begin(json!({ "action": "publish", "run_id": run }));
        arrives.recv_timeout(PATIENCE).expect("the pointer's write comes");
        let expected = if moment == Harm::Stall { &shown } else { &run };
        let asked = Instant::now();
        while cloud.pointer()["run_id"] != expected.as_str() && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        function.kill();
        injected += 1;
        assert!(
            cloud.get(&format!("public/runs/{run}/index.json")).is_some(),
            "{moment:?}: the index is there"
        );
        assert_eq!(cloud.pointer()["run_id"], expected.as_str(), "{moment:?}");
        assert!(cloud.expect(0, &["status", "--verify"]).contains("hold their sha256"));
        let ended = healthy.answer(json!({ "action": "publish", "run_id": run }));
        assert_eq!((&ended["ending"], &ended["previous_run_id"]), (&json!("published"), &json!(shown)));
        lost += super::shop::statuses(&cloud, &run).len().abs_diff(3);
        assert!(cloud.expect(0, &["status", "--verify"]).contains(&run));
        shown = run;
    }
    assert_eq!((injected, lost), (2, 0));
}
