//! Whole nights on the whole stack, read as shoppers read them: through the CDN.

use serde_json::json;

use super::faults::theme_answer;
use super::shop::TWO_SHARDS;
use super::stack::{Cdn, Execution, Stack, local_twin, segment_ids};

#[track_caller]
pub fn entered(night: &Execution, states: &[&str]) {
    let missing: Vec<_> =
        states.iter().filter(|state| !night.entered.iter().any(|one| one == *state)).collect();
    assert!(missing.is_empty(), "{missing:?} were not entered: {night:?}");
}

/// From an empty bucket to the shopper: the index is refreshed, two children compute, one page asking the model, and what the
/// CDN gives is what the same night in folders publishes (DET-1). The next nights cost what changed, hold a canary, and can be
/// rolled back.
#[test]
fn nights_on_the_whole_stack_reach_the_shopper() {
    let stack = Stack::new(&[], TWO_SHARDS);
    let cdn = Cdn::new(&stack);
    let pages = segment_ids(&stack);
    let page = |cdn: &Cdn, segment: &str| cdn.get(&format!("/storefront/{segment}"));
    assert_ne!(page(&cdn, &pages[0]).0, 200, "nothing is published yet");
    // One page's themes are asked of the model again; it says what it said in the reference night.
    let answer = theme_answer(&stack.private);
    let said = stack.private.json(&answer)["text"].clone();
    stack.private.delete(&answer);

    let night = stack.night(json!({}));
    assert_eq!(night.status, "SUCCEEDED", "{night:?}");
    entered(&night, &["Survey", "RefreshIndex", "Plan", "WorkArray", "Publish", "NotifySuccess"]);
    assert_eq!((&night.output["ending"], &night.output["shards"]), (&json!("published"), &json!(2)));
    assert_eq!(stack.exit_codes("endcap-"), [[0], [0], [0]], "the index and two children");
    let copies = stack.job_logs().iter().filter(|log| log.contains("the index is copied")).count();
    assert_eq!(copies, 2, "each child searches a copy of its own");
    assert_eq!(stack.private.json(&answer)["text"], said);
    let first = stack.whole_run();
    let twin = local_twin(&stack, TWO_SHARDS);
    super::shop::expect(0, twin_night(&twin));
    cdn.await_run(&first);
    for (key, bytes) in twin.tree() {
        assert_eq!(cdn.get(&format!("/{key}")), (200, bytes), "{key}");
    }
    for segment in &pages {
        let (status, body) = page(&cdn, segment);
        let published = stack.public.get(&format!("runs/{first}/segments/{segment}.json"));
        assert_eq!((status, Some(body)), (200, published), "{segment} under its stable address");
    }
    a_canary_is_promoted_and_rolled_back(&stack, &cdn, &first);
}

fn twin_night(twin: &crate::support::ShopFolder) -> std::process::Command {
    let mut command = twin.command(&["run"]);
    // As the template has it: a run is of its device.
    command.env("ENDCAP_DEVICE", "cpu");
    command
}

fn a_canary_is_promoted_and_rolled_back(stack: &Stack, cdn: &Cdn, first: &str) {
    stack.change_segments(1, 1);
    let night = stack.night(json!({ "canary_percent": 50, "canary_hold_seconds": 60 }));
    assert_eq!(night.status, "SUCCEEDED", "{night:?}");
    entered(&night, &["Plan", "WorkOne", "Publish", "HoldCanary", "ReadCanaryAlarms", "Promote"]);
    assert!(!night.entered.iter().any(|state| state == "RefreshIndex"), "the catalogue is last night's");
    let second = stack.whole_run();
    assert_ne!(second, first);
    let report = stack.report(&second);
    let segments = &report["segments"];
    assert_eq!((&segments["total"], &segments["carried_over"]), (&json!(3), &json!(0)), "{report}");
    assert_eq!(stack.pointer().expect("a pointer")["previous_run_id"], first);
    cdn.await_run(&second);

    let back = stack.invoke("PublishFunctionName", json!({ "action": "rollback" }));
    assert_eq!(back["run_id"], first, "{back}");
    assert_eq!(stack.whole_run(), first);
    cdn.await_run(first);
}

/// Two nights of the same inputs at once: one run, whoever publishes it, and whole (PUB-3).
#[test]
fn two_nights_at_once_publish_one_run() {
    let stack = Stack::new(&[], TWO_SHARDS);
    stack.mark_index();
    let nights = [stack.begin_night(json!({})), stack.begin_night(json!({}))];
    let nights = nights.map(|arn| stack.await_end(&arn));
    // Who lost the race is told so and has changed nothing; mostly both find the same run published.
    let lost = nights.iter().filter(|night| night.status != "SUCCEEDED");
    assert!(lost.clone().all(|night| night.error == "Endcap.LostRace"), "{nights:?}");
    assert!(lost.count() < 2, "{nights:?}");
    let run = stack.whole_run();
    let runs = stack.public.keys("runs/");
    assert!(runs.iter().all(|key| key.starts_with(&format!("runs/{run}/"))), "one run: {runs:?}");
    let twin = local_twin(&stack, TWO_SHARDS);
    super::shop::expect(0, twin_night(&twin));
    assert_eq!(stack.public.objects(""), twin.tree(), "nothing is lost");
}
