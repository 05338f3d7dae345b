//! Disaster recovery, rehearsed: what docs/operating.md says of each thing that can be lost is done, and nothing is missing after.

use std::time::{Duration, Instant};

use serde_json::json;

use super::end_to_end::entered;
use super::shop::{TWO_SHARDS, expect};
use super::stack::{Cdn, Stack, segment_ids};

/// Longer than any cache keeps an answer about a stable address.
const PATIENCE: Duration = Duration::from_secs(60);

fn night(stack: &Stack) -> String {
    let night = stack.night(json!({}));
    assert_eq!((night.status.as_str(), &night.output["exit_code"]), ("SUCCEEDED", &json!(0)), "{night:?}");
    stack.whole_run()
}

#[test]
fn what_is_lost_comes_back() {
    let mut stack = Stack::new(&[], TWO_SHARDS);
    stack.mark_index();
    let run = night(&stack);
    objects_come_back_from_their_versions(&stack, &run);
    the_edge_store_is_written_again(&stack, &run);
    let run = the_work_root_is_made_again(&stack);
    the_stack_is_deployed_again(&mut stack, &run);
}

/// A page deleted by hand and one overwritten: found, and brought back from the versions that the bucket kept.
fn objects_come_back_from_their_versions(stack: &Stack, run: &str) {
    let pages = stack.public.keys(&format!("runs/{run}/segments/"));
    stack.public.delete(&pages[0]);
    stack.public.put(&pages[1], b"{}".to_vec());
    let told = expect(1, stack.command(&["status", "--verify"]));
    assert!(pages[..2].iter().all(|key| told.contains(key.as_str())), "both are named: {told}");
    pages[..2].iter().for_each(|key| stack.public.undo(key));
    assert_eq!(stack.whole_run(), run);
}

/// `rollback` to the run that is live writes the key again; no pointer is needed for that.
fn the_edge_store_is_written_again(stack: &Stack, run: &str) {
    stack.empty_edge_store();
    // One that has nothing of before in its cache.
    let cdn = Cdn::new(stack);
    let page = format!("/storefront/{}", segment_ids(stack)[0]);
    assert_ne!(cdn.get(&page).0, 200, "the edge does not know the run");
    let back = stack.invoke("PublishFunctionName", json!({ "action": "rollback", "run_id": run }));
    assert_eq!(back["run_id"], run, "{back}");
    let asked = Instant::now();
    while cdn.get(&page).0 != 200 {
        assert!(asked.elapsed() < PATIENCE, "{page} stays away");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Checkpoints, records and the note of the index are gone; answers come from the cache of the machine, or no test would end soon.
fn the_work_root_is_made_again(stack: &Stack) -> String {
    for key in stack.private.keys("work/") {
        stack.private.delete(&key);
    }
    stack.change_segments(1, 1);
    let told = stack.night(json!({}));
    entered(&told, &["RefreshIndex", "WorkArray", "Publish", "NotifySuccess"]);
    let run = stack.whole_run();
    let segments = &stack.report(&run)["segments"];
    assert_eq!((&segments["total"], &segments["carried_over"]), (&json!(3), &json!(0)), "{segments}");
    run
}

/// The template leaves its buckets behind; their content is copied into those of another stack, which goes on from there.
fn the_stack_is_deployed_again(stack: &mut Stack, run: &str) {
    let left = stack.deploy_anew("endcap-again");
    for (old, new) in left.iter().zip([&stack.public, &stack.private, &stack.inputs]) {
        assert_ne!(old.name, new.name);
        new.copy_all(old);
    }
    assert_eq!(stack.whole_run(), run, "what shoppers saw is whole in its new bucket");
    stack.invoke("PublishFunctionName", json!({ "action": "rollback", "run_id": run }));
    stack.change_segments(1, 2);
    let next = night(stack);
    assert_eq!(stack.pointer().expect("a pointer")["previous_run_id"], run);
    let report = stack.report(&next);
    let computed = &report["model"]["themes"];
    assert_eq!(computed["asked"], 1, "what did not change is taken over: {report}");
    Cdn::new(stack).await_run(&next);
}
