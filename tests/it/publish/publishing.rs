//! Publish and rollback: what a reader sees, what is refused, and every way to be cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use endcap::domain::manifest::{PageStatus, keys};
use endcap::domain::stage::Source;
use endcap::publish::{
    FsStore, PageCounts, PagePlan, PublishError, PublishPlan, RunState, Settings, Spool, Store, publish,
    read_index, read_manifest, read_page, read_pointer, rollback, status, verify_run,
};

use super::faults::{Effect, Fault, Faulty};
use super::on_both_stores;
use super::place::{
    Place, current, current_run, mixed_plan, one_by_one, overwrite, page_text, plan, publish_plan, run,
    segment, time, tree,
};
use crate::support::spooled;

on_both_stores!(
    the_first_publish_is_complete,
    pages_are_taken_over_with_their_digests,
    publishing_the_current_run_changes_nothing,
    a_published_run_never_changes,
    a_damaged_leftover_is_not_overwritten,
    a_page_that_cannot_be_taken_over_stops_the_publish,
    a_write_that_was_lost_stops_the_publish,
    an_empty_run_can_be_published,
    rollback_goes_back_and_forth,
    rollback_refuses_a_damaged_run,
    status_counts_pages_and_runs,
    killed_at_any_call_a_publish_ends_the_same,
    killed_at_any_call_a_rollback_ends_the_same,
    one_failing_call_never_breaks_what_is_published,
    a_retried_write_may_have_won_itself,
);

async fn the_first_publish_is_complete(place: Place) {
    let store = place.store();
    let done = AtomicU64::new(0);
    let count = |pages| {
        done.fetch_add(pages, Ordering::Relaxed);
    };
    let published = publish(&*store, &plan(&run(1), 5), &Settings::default(), &count).await.expect("publish");
    assert!(published.changed);
    assert_eq!((published.uploaded, published.copied, published.found), (5, 0, 0));
    assert_eq!(done.into_inner(), 5);

    let pointer = current(&*store).await.expect("pointer");
    assert_eq!(pointer, published.pointer);
    assert_eq!((&pointer.run_id, &pointer.previous_run_id), (&run(1), &None));
    let keys: Vec<String> = tree(&*store).await.into_keys().collect();
    let page = |number| keys::segment(&run(1), &segment(number));
    let mut expected = vec!["current.json".to_owned(), keys::index(&run(1))];
    expected.extend((0..5).map(page));
    assert_eq!(keys, expected);
    let shown = read_page(&*store, &pointer.run_id, &segment(3)).await.expect("read").expect("page");
    assert_eq!(shown.bytes, page_text(&run(1), &segment(3)));
}

async fn pages_are_taken_over_with_their_digests(place: Place) {
    let store = place.store();
    let mut first = plan(&run(1), 3);
    let bytes = spooled(page_text(&run(1), &segment(2)));
    first.pages.insert(segment(2), PagePlan::New { page: bytes, source: Source::Ranker });
    publish_plan(&*store, &first).await;
    let published =
        publish(&*store, &mixed_plan(&run(2), &run(1)), &one_by_one(), &|_| ()).await.expect("publish");
    assert_eq!((published.uploaded, published.copied, published.found), (1, 2, 0));

    let index = read_index(&*store, &run(2)).await.expect("read").expect("index");
    let statuses: Vec<_> = index.segments.values().map(|entry| (entry.status, entry.source)).collect();
    assert_eq!(
        statuses,
        [
            (PageStatus::New, Source::Cascade),
            (PageStatus::Reused, Source::Cascade),
            (PageStatus::CarriedOver, Source::Ranker),
        ]
    );
    let pointer = current(&*store).await.expect("pointer");
    assert_eq!(pointer.previous_run_id, Some(run(1)));
    // The copy is the page of the first run, and does not need it.
    store.delete(&[keys::segment(&run(1), &segment(1))]).await.expect("delete");
    let shown = read_page(&*store, &run(2), &segment(1)).await.expect("read").expect("page");
    assert_eq!(shown.bytes, page_text(&run(1), &segment(1)));
}

async fn publishing_the_current_run_changes_nothing(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 2)).await;
    let mut later = plan(&run(2), 2);
    publish_plan(&*store, &later).await;
    let before = tree(&*store).await;
    later.published_at = time(9);
    let again = publish(&*store, &later, &one_by_one(), &|_| ()).await.expect("publish");
    assert!(!again.changed);
    assert_eq!((again.uploaded, again.copied, again.found), (0, 0, 2));
    assert_eq!(again.pointer.previous_run_id, Some(run(1)));
    assert_eq!(tree(&*store).await, before);
}

async fn a_published_run_never_changes(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 3)).await;
    publish_plan(&*store, &plan(&run(2), 3)).await;
    let before = tree(&*store).await;
    for (changed, key) in [
        (plan(&run(1), 4), keys::index(&run(1))),
        (plan(&run(1), 1), keys::index(&run(1))),
        (PublishPlan { generated_at: time(9), ..plan(&run(2), 3) }, keys::index(&run(2))),
        (mixed_plan(&run(2), &run(1)), keys::index(&run(2))),
    ] {
        let error = publish(&*store, &changed, &one_by_one(), &|_| ()).await.expect_err("overwritten");
        assert!(matches!(&error, PublishError::Immutable { key: named, .. } if *named == key), "{error}");
        assert_eq!(tree(&*store).await, before);
    }
}

async fn a_damaged_leftover_is_not_overwritten(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 2)).await;
    let key = keys::segment(&run(2), &segment(1));
    overwrite(&*store, &key, "half a pa").await;
    let error = publish(&*store, &plan(&run(2), 2), &one_by_one(), &|_| ()).await.expect_err("published");
    assert!(matches!(&error, PublishError::Immutable { key: named, .. } if *named == key), "{error}");
    assert_eq!(current_run(&*store).await, Some(run(1)));
}

async fn a_page_that_cannot_be_taken_over_stops_the_publish(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 2)).await;
    let before = tree(&*store).await;
    for from in [run(1), run(5)] {
        let error = publish(&*store, &mixed_plan(&run(2), &from), &one_by_one(), &|_| ()).await;
        let error = error.expect_err("there is no such page");
        assert!(
            matches!(&error, PublishError::MissingSource { from_run, .. } if *from_run == from),
            "{error}"
        );
    }
    let error = publish(&*store, &mixed_plan(&run(2), &run(2)), &one_by_one(), &|_| ()).await;
    assert!(matches!(error, Err(PublishError::SourceIsItself { .. })));
    assert_eq!(tree(&*store).await, before);
}

/// PUB-1 does not rest on the answers to writes.
async fn a_write_that_was_lost_stops_the_publish(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 3)).await;
    let key = keys::segment(&run(2), &segment(1));
    let lossy = Faulty::new(&store, Fault::Forget { key: key.clone() });
    let error = publish(&lossy, &plan(&run(2), 3), &one_by_one(), &|_| ()).await.expect_err("published");
    assert!(error.to_string().contains(&format!("{key} is missing")), "{error}");
    assert_eq!(current_run(&*store).await, Some(run(1)));
    assert_eq!(read_index(&*store, &run(2)).await.expect("read"), None);
    publish_plan(&*store, &plan(&run(2), 3)).await;
    assert_eq!(current_run(&*store).await, Some(run(2)));
}

async fn an_empty_run_can_be_published(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 0)).await;
    assert_eq!(current_run(&*store).await, Some(run(1)));
}

async fn rollback_goes_back_and_forth(place: Place) {
    let store = place.store();
    let settings = one_by_one();
    let error = rollback(&*store, None, time(8), &settings).await.expect_err("nothing to roll back");
    assert!(matches!(error, PublishError::NothingPublished { .. }), "{error}");
    publish_plan(&*store, &plan(&run(1), 2)).await;
    let error = rollback(&*store, None, time(8), &settings).await.expect_err("no run before");
    assert!(matches!(error, PublishError::NoPreviousRun { .. }), "{error}");
    publish_plan(&*store, &plan(&run(2), 2)).await;
    publish_plan(&*store, &plan(&run(3), 2)).await;

    for (to, from, reached) in [(None, 3, 2), (None, 2, 3), (Some(run(1)), 3, 1), (None, 1, 3)] {
        let back = rollback(&*store, to, time(9), &settings).await.expect("rollback");
        assert_eq!((back.changed, back.from), (true, run(from)));
        let pointer = current(&*store).await.expect("pointer");
        assert_eq!(pointer, back.pointer);
        assert_eq!((pointer.run_id, pointer.previous_run_id), (run(reached), Some(run(from))));
        assert_eq!(pointer.published_at, time(9));
    }
    let before = tree(&*store).await;
    let stay = rollback(&*store, Some(run(3)), time(10), &settings).await.expect("rollback");
    assert!(!stay.changed);
    assert_eq!(tree(&*store).await, before);
}

async fn rollback_refuses_a_damaged_run(place: Place) {
    let store = place.store();
    let key = keys::segment(&run(1), &segment(1));
    let good = page_text(&run(1), &segment(1));
    publish_plan(&*store, &plan(&run(1), 2)).await;
    publish_plan(&*store, &plan(&run(2), 2)).await;
    for (damage, complaint) in [
        (good.replace('1', "2"), "sha256"),
        (format!("{good} "), "bytes, not"),
        (String::new(), "has 0 bytes"),
    ] {
        overwrite(&*store, &key, damage).await;
        let error = rollback(&*store, None, time(9), &one_by_one()).await.expect_err("rolled back");
        let message = error.to_string();
        assert!(message.contains(&key) && message.contains(complaint), "{message}");
        assert_eq!(current_run(&*store).await, Some(run(2)));
    }
    store.delete(std::slice::from_ref(&key)).await.expect("delete");
    let checked = verify_run(&*store, &run(1), &one_by_one()).await.expect("verify");
    assert_eq!((checked.segments, checked.problems.len(), checked.is_whole()), (2, 1, false));
    let error = rollback(&*store, None, time(9), &one_by_one()).await.expect_err("rolled back");
    assert!(matches!(error, PublishError::Incomplete { .. }), "{error}");

    // An index that names another run's pages is no index of this run.
    let foreign = store.get(&keys::index(&run(2))).await.expect("get").expect("index").bytes;
    overwrite(&*store, &keys::index(&run(1)), &foreign).await;
    let error = rollback(&*store, None, time(9), &one_by_one()).await.expect_err("rolled back");
    assert!(matches!(error, PublishError::Incomplete { .. }), "{error}");

    store.delete(&[keys::index(&run(1))]).await.expect("delete");
    for missing in [run(1), run(7)] {
        let error = rollback(&*store, Some(missing), time(9), &one_by_one()).await.expect_err("rolled back");
        assert!(matches!(error, PublishError::NoSuchRun { .. }), "{error}");
    }
    assert_eq!(current_run(&*store).await, Some(run(2)));
}

async fn status_counts_pages_and_runs(place: Place) {
    let store = place.store();
    let empty = status(&*store).await.expect("status");
    assert_eq!((empty.current, empty.pages, empty.runs.len()), (None, None, 0));
    publish_plan(&*store, &plan(&run(1), 3)).await;
    publish_plan(&*store, &mixed_plan(&run(2), &run(1))).await;
    overwrite(&*store, &keys::segment(&run(3), &segment(0)), "cut off").await;
    overwrite(&*store, "runs/notes/readme.json", "not a run").await;
    let found = status(&*store).await.expect("status");
    assert_eq!(found.current.map(|pointer| pointer.run_id), Some(run(2)));
    let counts = PageCounts { new: 1, reused: 1, carried_over: 1, cascade: 3, mixed: 0, ranker: 0 };
    assert_eq!(found.pages, Some(counts));
    let runs: Vec<_> = found.runs.into_iter().map(|summary| (summary.run_id, summary.state)).collect();
    let expected =
        [(run(1), RunState::Complete), (run(2), RunState::Complete), (run(3), RunState::Unfinished)];
    assert_eq!(runs, expected);
}

/// RUN-1 and PUB-1 for publishing: dead at call `at`, before or after that call took effect; then run again.
async fn killed_at_any_call_a_publish_ends_the_same(place: Place) {
    let (before, after) = (plan(&run(1), 3), mixed_plan(&run(2), &run(1)));
    let reference = place.store();
    publish_plan(&*reference, &before).await;
    let first = tree(&*reference).await;
    let counted = Faulty::new(&reference, Fault::None);
    publish_plan(&counted, &after).await;
    let whole = tree(&*reference).await;

    for at in 0..counted.calls() {
        for effect in [Effect::Not, Effect::Took] {
            let store = place.store_with(&first).await;
            let dying = Faulty::new(&store, Fault::Die { at, effect });
            publish(&dying, &after, &one_by_one(), &|_| ()).await.expect_err("it is dead");
            let pointed = current_run(&*store).await.expect("pointer");
            let last = at == counted.calls() - 1 && effect == Effect::Took;
            assert_eq!(pointed, if last { run(2) } else { run(1) }, "call {at}, {effect:?}");

            publish_plan(&*store, &after).await;
            assert_eq!(tree(&*store).await, whole, "call {at}, {effect:?}");
        }
    }
}

async fn killed_at_any_call_a_rollback_ends_the_same(place: Place) {
    let (before, after) = (plan(&run(1), 2), plan(&run(2), 2));
    let reference = place.store();
    publish_plan(&*reference, &before).await;
    publish_plan(&*reference, &after).await;
    let store = place.store_with(&tree(&*reference).await).await;
    let counted = Faulty::new(&reference, Fault::None);
    rollback(&counted, Some(run(1)), time(9), &one_by_one()).await.expect("rollback");
    let whole = tree(&*reference).await;

    for at in 0..counted.calls() {
        for effect in [Effect::Not, Effect::Took] {
            let dying = Faulty::new(&store, Fault::Die { at, effect });
            rollback(&dying, Some(run(1)), time(9), &one_by_one()).await.expect_err("it is dead");
            let pointed = current_run(&*store).await.expect("pointer");
            let last = at == counted.calls() - 1 && effect == Effect::Took;
            assert_eq!(pointed, if last { run(1) } else { run(2) }, "call {at}, {effect:?}");
        }
    }
    let again = rollback(&*store, Some(run(1)), time(10), &one_by_one()).await.expect("rollback");
    assert!(!again.changed);
    assert_eq!(tree(&*store).await, whole);
}

/// A single failed or slow call: the publish fails or succeeds, and says which.
async fn one_failing_call_never_breaks_what_is_published(place: Place) {
    let (before, after) = (plan(&run(1), 3), mixed_plan(&run(2), &run(1)));
    let reference = place.store();
    publish_plan(&*reference, &before).await;
    let first = tree(&*reference).await;
    let counted = Faulty::new(&reference, Fault::None);
    publish_plan(&counted, &after).await;
    for at in 0..counted.calls() {
        let took = Fault::Fail { at, effect: Effect::Took };
        for fault in [Fault::Fail { at, effect: Effect::Not }, took, Fault::Delay { at }] {
            let delayed = matches!(fault, Fault::Delay { .. });
            let store = place.store_with(&first).await;
            let faulty = Faulty::new(&store, fault);
            let answer = publish(&faulty, &after, &one_by_one(), &|_| ()).await;
            assert!(answer.is_ok() || !delayed, "call {at}");
            let pointed = current_run(&*store).await.expect("pointer");
            assert_eq!(pointed, if answer.is_ok() { run(2) } else { run(1) }, "call {at}");
        }
    }
}

/// Each write is sent twice and the first answer is lost: the second is refused, and the publish knows that it won.
async fn a_retried_write_may_have_won_itself(place: Place) {
    let store = place.store();
    let retrying = Faulty::new(&store, Fault::AnswersLost);
    for (plan, previous) in [(plan(&run(1), 3), None), (mixed_plan(&run(2), &run(1)), Some(run(1)))] {
        let published = publish(&retrying, &plan, &one_by_one(), &|_| ()).await.expect("publish");
        assert!(published.changed);
        assert_eq!(published.pointer.previous_run_id, previous);
        assert_eq!(current(&*store).await, Some(published.pointer));
    }
    let back = rollback(&retrying, None, time(9), &one_by_one()).await.expect("rollback");
    assert!(back.changed);
    assert_eq!(current_run(&*store).await, Some(run(1)));
}

#[tokio::test]
async fn pages_may_lie_in_files() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = FsStore::new(folder.path().join("store"));
    let file = tempfile::tempfile().expect("tempfile");
    let mut spool = Spool::new(file.try_clone().expect("clone"));
    let mut plan = plan(&run(1), 3);
    for number in 0..3 {
        let page = spool.add(page_text(&run(1), &segment(number)).as_bytes()).expect("spooled");
        plan.pages.insert(segment(number), PagePlan::New { page, source: Source::Mixed });
    }
    publish_plan(&store, &plan).await;
    for number in 0..3 {
        let shown = read_page(&store, &run(1), &segment(number)).await.expect("read").expect("page");
        assert_eq!(shown.bytes, page_text(&run(1), &segment(number)));
    }

    // What is gone from the file is not published as something else.
    file.set_len(10).expect("cut");
    let plan = PublishPlan { run_id: run(2), ..plan };
    let error = publish(&store, &plan, &one_by_one(), &|_| ()).await.expect_err("cut off");
    assert!(error.to_string().contains("tonight's pages"), "{error}");
    assert_eq!(current_run(&store).await, Some(run(1)));
}

#[tokio::test]
async fn what_is_no_json_is_named() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = FsStore::new(folder.path());
    overwrite(&store, "current.json", "{\"run_id\": \"../x\"}").await;
    let error = read_pointer(&store).await.expect_err("parsed");
    assert!(error.to_string().contains("current.json") && error.to_string().contains("run id"), "{error}");
    overwrite(&store, &keys::segment(&run(1), &segment(0)), "[]").await;
    let error = read_manifest(&store, &run(1), &segment(0)).await.expect_err("parsed");
    assert!(error.to_string().contains("seg-000.json"), "{error}");
    assert!(read_manifest(&store, &run(1), &segment(1)).await.expect("read").is_none());
}

/// The night runs publishes on a task of its own.
#[test]
fn publishing_can_be_spawned() {
    fn sendable<T: Send>(_: T) {}
    let store: Arc<dyn Store> = Arc::new(FsStore::new("unused"));
    let settings = Settings::default();
    let plan = plan(&run(1), 1);
    sendable(publish(&*store, &plan, &settings, &|_| ()));
    sendable(rollback(&*store, None, time(1), &settings));
    sendable(endcap::publish::sweep(&*store, 2, &settings));
}
