//! Sweeps, alone and against publishers and rollbacks.

use std::sync::Arc;

use endcap::domain::RunId;
use endcap::domain::manifest::keys;
use endcap::publish::{
    PublishError, PublishPlan, RunState, Settings, Store, publish, rollback, status, sweep, verify_run,
};
use futures::FutureExt;

use super::faults::{Effect, Fault, Faulty};
use super::on_both_stores;
use super::place::{Place, current, current_run, one_by_one, plan, publish_plan, run, time, tree};

on_both_stores!(
    old_runs_go_whole,
    the_current_and_the_previous_run_stay,
    nothing_is_swept_before_the_first_publish,
    killed_at_any_call_a_sweep_leaves_no_half_run_that_counts,
    a_sweep_at_any_call_of_a_rollback_keeps_the_pointer_true,
    a_rollback_at_any_call_of_a_sweep_keeps_the_pointer_true,
    a_sweep_at_any_call_of_a_publish_keeps_the_pointer_true,
    a_publish_at_any_call_of_a_sweep_keeps_the_pointer_true,
);

async fn four_runs(store: &dyn Store) {
    for day in 1..=4 {
        publish_plan(store, &plan(&run(day), 1)).await;
    }
}

async fn runs(store: &dyn Store) -> Vec<RunId> {
    status(store).await.expect("status").runs.into_iter().map(|summary| summary.run_id).collect()
}

async fn old_runs_go_whole(place: Place) {
    let store = place.store();
    four_runs(&*store).await;
    let settings = Settings::default();
    assert!(sweep(&*store, 4, &settings).await.expect("sweep").deleted.is_empty());
    assert_eq!(current(&*store).await.expect("pointer").sweeps, 0, "a sweep of nothing writes nothing");

    let swept = sweep(&*store, 3, &settings).await.expect("sweep");
    // The page, the index, the tombstone.
    assert_eq!((swept.deleted, swept.objects), (vec![run(1)], 3));
    assert!(store.list(&keys::run_prefix(&run(1))).await.expect("list").is_empty());
    assert_eq!(runs(&*store).await, [run(2), run(3), run(4)]);
    let pointer = current(&*store).await.expect("pointer");
    assert_eq!((pointer.run_id, pointer.previous_run_id, pointer.sweeps), (run(4), Some(run(3)), 1));

    let error = rollback(&*store, Some(run(1)), time(9), &settings).await.expect_err("it is gone");
    assert!(matches!(error, PublishError::NoSuchRun { .. }), "{error}");
    // A swept run can be published anew.
    publish_plan(&*store, &plan(&run(1), 1)).await;
    assert_eq!(current_run(&*store).await, Some(run(1)));
}

async fn the_current_and_the_previous_run_stay(place: Place) {
    let store = place.store();
    four_runs(&*store).await;
    rollback(&*store, Some(run(1)), time(9), &one_by_one()).await.expect("rollback");
    let swept = sweep(&*store, 1, &one_by_one()).await.expect("sweep");
    assert_eq!(swept.deleted, [run(2), run(3)]);
    let back = rollback(&*store, None, time(10), &one_by_one()).await.expect("rollback");
    assert_eq!(back.pointer.run_id, run(4));
    assert_eq!(current_run(&*store).await, Some(run(4)));
}

async fn nothing_is_swept_before_the_first_publish(place: Place) {
    let store = place.store();
    four_runs(&*store).await;
    store.delete(&[keys::CURRENT.to_owned()]).await.expect("delete");
    let before = tree(&*store).await;
    assert!(sweep(&*store, 1, &one_by_one()).await.expect("sweep").deleted.is_empty());
    assert_eq!(tree(&*store).await, before);
}

async fn killed_at_any_call_a_sweep_leaves_no_half_run_that_counts(place: Place) {
    let reference = place.store();
    four_runs(&*reference).await;
    let four = tree(&*reference).await;
    let counted = Faulty::new(&reference, Fault::None);
    sweep(&counted, 2, &one_by_one()).await.expect("sweep");

    for at in 0..counted.calls() {
        for effect in [Effect::Not, Effect::Took] {
            let store = place.store_with(&four).await;
            let dying = Faulty::new(&store, Fault::Die { at, effect });
            sweep(&dying, 2, &one_by_one()).await.expect_err("it is dead");
            every_run_with_an_index_is_whole(&*store).await;
            assert_eq!(current_run(&*store).await, Some(run(4)), "call {at}, {effect:?}");

            sweep(&*store, 2, &one_by_one()).await.expect("sweep again");
            assert_eq!(runs(&*store).await, [run(3), run(4)], "call {at}, {effect:?}");
            let pages = tree(&*store).await;
            let left = pages.keys().filter(|key| key.starts_with("runs/")).count();
            assert_eq!(left, 4, "call {at}, {effect:?}");
        }
    }
}

/// Retired or not: nothing that looks complete to another tool is half a run.
async fn every_run_with_an_index_is_whole(store: &dyn Store) {
    for run in runs(store).await {
        match verify_run(store, &run, &one_by_one()).await {
            Ok(checked) => assert!(checked.is_whole(), "{:?}", checked.problems),
            Err(error) => assert!(matches!(error, PublishError::NoSuchRun { .. }), "{error}"),
        }
    }
}

/// The run before stays within reach of a rollback, whatever a sweep meant to do with it; after one more sweep if a
/// sweep was cut short.
async fn no_named_run_is_retired(store: &dyn Store) {
    sweep(store, 2, &one_by_one()).await.expect("sweep");
    let found = status(store).await.expect("status");
    let pointer = found.current.expect("pointer");
    for summary in found.runs {
        let named =
            summary.run_id == pointer.run_id || Some(&summary.run_id) == pointer.previous_run_id.as_ref();
        assert!(!named || summary.state == RunState::Complete, "{summary:?}");
    }
}

#[derive(Clone)]
enum Actor {
    Sweep,
    Rollback,
    Publish(PublishPlan),
}

impl Actor {
    async fn act(&self, store: &dyn Store) -> Result<(), PublishError> {
        let settings = one_by_one();
        match self {
            Self::Sweep => sweep(store, 2, &settings).await.map(drop),
            Self::Rollback => rollback(store, Some(run(1)), time(9), &settings).await.map(drop),
            Self::Publish(plan) => publish(store, plan, &settings, &|_| ()).await.map(drop),
        }
    }
}

/// Lets `second` act as a whole before each call of `first` in turn. Whatever each of them answers, the pointer names a
/// whole run, and a writer that was told of success is the one it names.
async fn interleave(place: &Place, first: Actor, second: Actor) {
    let reference = place.store();
    four_runs(&*reference).await;
    let four = tree(&*reference).await;
    let counted = Faulty::new(&reference, Fault::None);
    first.act(&counted).await.expect("alone");
    for at in 0..counted.calls() {
        let store = place.store_with(&four).await;
        let (other, rival) = (Arc::clone(&store), second.clone());
        let act = move || {
            let (other, rival) = (Arc::clone(&other), rival.clone());
            async move { drop(rival.act(&*other).await) }.boxed()
        };
        let interrupted = Faulty::new(&store, Fault::Meanwhile { at, act: Box::new(act) });
        let answer = first.act(&interrupted).await;
        let pointed = current_run(&*store).await.expect("pointer");
        every_run_with_an_index_is_whole(&*store).await;
        if !matches!(first, Actor::Sweep) {
            assert_eq!(pointed, if answer.is_ok() { run(1) } else { run(4) }, "call {at}");
        }
        no_named_run_is_retired(&*store).await;
    }
}

async fn a_sweep_at_any_call_of_a_rollback_keeps_the_pointer_true(place: Place) {
    interleave(&place, Actor::Rollback, Actor::Sweep).await;
}

async fn a_rollback_at_any_call_of_a_sweep_keeps_the_pointer_true(place: Place) {
    interleave(&place, Actor::Sweep, Actor::Rollback).await;
}

/// An old run published once more, while retention takes it for deletion.
async fn a_sweep_at_any_call_of_a_publish_keeps_the_pointer_true(place: Place) {
    interleave(&place, Actor::Publish(plan(&run(1), 1)), Actor::Sweep).await;
}

async fn a_publish_at_any_call_of_a_sweep_keeps_the_pointer_true(place: Place) {
    interleave(&place, Actor::Sweep, Actor::Publish(plan(&run(1), 1))).await;
}
