//! Several publishers, and readers who look all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endcap::domain::manifest::{Pointer, keys};
use endcap::domain::{Digest, RunId};
use endcap::publish::{
    PublishError, Settings, Store, publish, read_index, read_page, read_pointer, rollback,
};
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::Barrier;

use super::faults::{Fault, Faulty};
use super::on_both_stores;
use super::place::{
    Place, current, current_run, one_by_one, plan, publish_plan, run, segment, time, tree, variant,
};

on_both_stores!(
    of_24_publishers_one_wins,
    of_24_publishers_of_one_run_all_are_content,
    the_loser_is_told_who_won_and_changes_nothing,
    a_rollback_that_loses_changes_nothing,
    readers_always_see_a_whole_page,
);

/// PUB-3, both for the first publish there ever was and for a later one. All have read the pointer before any writes it.
async fn of_24_publishers_one_wins(place: Place) {
    let store = place.store();
    for day in [1, 2] {
        let before = current_run(&*store).await;
        let barrier = Arc::new(Barrier::new(24));
        let publishers = (0..24).map(|publisher| {
            let faulty = Faulty::new(&store, Fault::Together(Arc::clone(&barrier)));
            let plan = plan(&variant(day, &publisher.to_string()), 2);
            tokio::spawn(async move { publish(&faulty, &plan, &Settings::default(), &|_| ()).await })
        });
        let answers = join_all(publishers).await.into_iter().map(|answer| answer.expect("task"));
        let (won, lost): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        let [Ok(winner)] = &won[..] else { panic!("{} publishers won", won.len()) };
        let pointer = current(&*store).await.expect("pointer");
        assert_eq!(pointer, winner.pointer);
        assert_eq!(pointer.previous_run_id, before);
        for answer in lost {
            let told =
                matches!(&answer, Err(PublishError::LostRace { winner, .. }) if *winner == pointer.run_id);
            assert!(told, "{answer:?}");
        }
    }
}

/// One night started twice: the same bytes, so nobody loses, and one publish is enough.
async fn of_24_publishers_of_one_run_all_are_content(place: Place) {
    let store = place.store();
    let barrier = Arc::new(Barrier::new(24));
    let publishers = (0..24).map(|publisher| {
        let faulty = Faulty::new(&store, Fault::Together(Arc::clone(&barrier)));
        let mut plan = plan(&run(1), 3);
        plan.published_at += chrono::TimeDelta::seconds(publisher);
        tokio::spawn(async move { publish(&faulty, &plan, &Settings::default(), &|_| ()).await })
    });
    let answers =
        join_all(publishers).await.into_iter().map(|answer| answer.expect("task").expect("publish"));
    let changed: Vec<_> = answers.filter(|published| published.changed).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(current(&*store).await.as_ref(), Some(&changed[0].pointer));
}

/// Somebody else publishes just before each call of the loser in turn.
async fn the_loser_is_told_who_won_and_changes_nothing(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 2)).await;
    let first = tree(&*store).await;
    let counted = Faulty::new(&store, Fault::None);
    publish_plan(&counted, &plan(&run(2), 2)).await;

    for at in 1..counted.calls() {
        let store = place.store_with(&first).await;
        let rival = Arc::clone(&store);
        let act = move || {
            let rival = Arc::clone(&rival);
            async move { publish_plan(&*rival, &plan(&run(3), 2)).await }.boxed()
        };
        let racing = Faulty::new(&store, Fault::Meanwhile { at, act: Box::new(act) });
        let error = publish(&racing, &plan(&run(2), 2), &one_by_one(), &|_| ()).await.expect_err("won");
        let told = matches!(&error, PublishError::LostRace { run_id, winner } if *run_id == run(2) && *winner == run(3));
        assert!(told, "call {at}: {error}");
        let pointer = current(&*store).await.expect("pointer");
        assert_eq!((pointer.run_id, pointer.previous_run_id), (run(3), Some(run(1))), "call {at}");
    }
}

async fn a_rollback_that_loses_changes_nothing(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 1)).await;
    publish_plan(&*store, &plan(&run(2), 1)).await;
    let rival = Arc::clone(&store);
    let act = move || {
        let rival = Arc::clone(&rival);
        async move { publish_plan(&*rival, &plan(&run(3), 1)).await }.boxed()
    };
    let racing = Faulty::new(&store, Fault::Meanwhile { at: 3, act: Box::new(act) });
    let error = rollback(&racing, None, time(9), &one_by_one()).await.expect_err("won");
    assert!(matches!(&error, PublishError::LostRace { winner, .. } if *winner == run(3)), "{error}");
    let after = tree(&*store).await;
    assert_eq!(current_run(&*store).await, Some(run(3)));
    assert_eq!(after.keys().filter(|key| key.ends_with("index.json")).count(), 3);
}

/// PUB-2: while runs come and go, a reader who takes the pointer and then a page gets that run's page, whole.
async fn readers_always_see_a_whole_page(place: Place) {
    let store = place.store();
    publish_plan(&*store, &plan(&run(1), 3)).await;
    let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..3)
        .map(|number| {
            let (store, seen, stop) = (Arc::clone(&store), Arc::clone(&seen), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let run = look(&*store, number).await;
                    seen.lock().expect("seen").push(run);
                }
            })
        })
        .collect();

    more_looks(&seen).await;
    let slow = Faulty::new(&store, Fault::Slow);
    for day in 2..5 {
        publish_plan(&slow, &plan(&run(day), 3)).await;
        rollback(&slow, None, time(day), &Settings::default()).await.expect("rollback");
        rollback(&slow, None, time(day + 1), &Settings::default()).await.expect("and forth");
    }
    more_looks(&seen).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("reader");
    }
    let seen = seen.lock().expect("seen");
    assert!(seen.first() == Some(&run(1)) && seen.last() == Some(&run(4)), "the readers saw {seen:?}");
}

/// Waits until each reader has looked anew.
async fn more_looks(seen: &Mutex<Vec<RunId>>) {
    let count = || seen.lock().expect("seen").len();
    let before = count();
    while count() < before + 9 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn look(store: &dyn Store, number: usize) -> RunId {
    let pointer: Pointer = read_pointer(store).await.expect("read").expect("pointer").pointer;
    let page = read_page(store, &pointer.run_id, &segment(number)).await.expect("read");
    let page = page.expect("PUB-2: the page is there");
    let index = read_index(store, &pointer.run_id).await.expect("read").expect("PUB-1: the index is there");
    assert_eq!(Digest::of(&page.bytes), index.segments[&segment(number)].sha256);
    let named = keys::segment(&pointer.run_id, &segment(number));
    assert_eq!(index.segments[&segment(number)].key, named);
    pointer.run_id
}
