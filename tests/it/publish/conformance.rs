//! What every store must do.

use std::sync::Arc;

use bytes::Bytes;
use endcap::domain::Digest;
use endcap::publish::{Condition, ETag, PutOptions, Store, StoreError};
use futures::future::join_all;

use super::on_both_stores;
use super::place::Place;

on_both_stores!(
    objects_round_trip,
    absent_objects_are_none,
    a_write_if_absent_happens_once,
    a_write_over_a_version_happens_once,
    of_24_writers_one_wins,
    announced_digests_are_checked,
    copies_are_byte_for_byte,
    listings_are_sorted_and_keep_to_their_folder,
    deleting_twice_is_no_error,
    bad_keys_are_refused_by_every_call,
);

fn options(bytes: &[u8], condition: Condition) -> PutOptions {
    PutOptions { cache_control: "public, max-age=5".into(), condition, sha256: Digest::of(bytes) }
}

async fn put(store: &dyn Store, key: &str, text: &str, condition: Condition) -> Result<ETag, StoreError> {
    let bytes = Bytes::from(text.to_owned());
    let written = store.put(key, bytes.clone(), &options(&bytes, condition)).await?;
    Ok(written.etag)
}

async fn text(store: &dyn Store, key: &str) -> String {
    let object = store.get(key).await.expect("get").expect("object");
    String::from_utf8(object.bytes.to_vec()).expect("text")
}

async fn objects_round_trip(place: Place) {
    let store = place.store();
    for (key, content) in [("current.json", "{}"), ("runs/a/segments/x.json", "ä\0\n"), ("empty.json", "")] {
        let etag = put(&*store, key, content, Condition::Any).await.expect("put");
        assert_eq!(text(&*store, key).await, content);
        let head = store.head(key).await.expect("head").expect("object");
        assert_eq!(head.size, content.len() as u64);
        assert_eq!(head.sha256, Some(Digest::of(content.as_bytes())));
        assert_eq!(store.get(key).await.expect("get").expect("object").etag, etag);
        assert_eq!(head.etag, etag);
    }
    put(&*store, "current.json", "{\"a\": 1}", Condition::Any).await.expect("put again");
    assert_eq!(text(&*store, "current.json").await, "{\"a\": 1}");
}

async fn absent_objects_are_none(place: Place) {
    let store = place.store();
    assert_eq!(store.get("current.json").await.expect("get"), None);
    assert_eq!(store.head("current.json").await.expect("head"), None);
    put(&*store, "current.json", "{}", Condition::Any).await.expect("put");
    assert_eq!(store.get("current.json/below.json").await.expect("get"), None);
    let error = store.copy("runs/none.json", "runs/copy.json").await.expect_err("copied nothing");
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
}

async fn a_write_if_absent_happens_once(place: Place) {
    let store = place.store();
    put(&*store, "a.json", "first", Condition::IfAbsent).await.expect("put");
    let error = put(&*store, "a.json", "second", Condition::IfAbsent).await.expect_err("overwritten");
    assert!(error.is_precondition(), "{error}");
    assert_eq!(text(&*store, "a.json").await, "first");
    store.delete(&["a.json".into()]).await.expect("delete");
    put(&*store, "a.json", "third", Condition::IfAbsent).await.expect("put after delete");
}

async fn a_write_over_a_version_happens_once(place: Place) {
    let store = place.store();
    let missing = Condition::IfMatch(ETag("\"none\"".into()));
    let error = put(&*store, "a.json", "zero", missing).await.expect_err("matched nothing");
    assert!(error.is_precondition(), "{error}");
    let first = put(&*store, "a.json", "first", Condition::Any).await.expect("put");
    let second = put(&*store, "a.json", "second", Condition::IfMatch(first.clone())).await.expect("put");
    assert_ne!(first, second);
    let error = put(&*store, "a.json", "third", Condition::IfMatch(first)).await.expect_err("matched old");
    assert!(error.is_precondition(), "{error}");
    assert_eq!(text(&*store, "a.json").await, "second");
}

async fn of_24_writers_one_wins(place: Place) {
    let (shared, key) = ("shared", "a.json");
    let mut condition = Condition::IfAbsent;
    for round in 0..4 {
        let writers = (0..24).map(|writer| {
            // Each with a store of its own, as if from another process.
            let (store, condition) = (place.open(shared), condition.clone());
            tokio::spawn(async move {
                put(&*store, key, &format!("{round}-{writer}"), condition).await.map(|etag| (writer, etag))
            })
        });
        let answers = join_all(writers).await.into_iter().map(|answer| answer.expect("task"));
        let (won, lost): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        assert!(lost.iter().all(|answer| answer.as_ref().is_err_and(StoreError::is_precondition)));
        let (winner, etag) = won.into_iter().next().expect("one").expect("won");
        assert_eq!(text(&*place.open(shared), key).await, format!("{round}-{winner}"));
        condition = Condition::IfMatch(etag);
    }
}

async fn announced_digests_are_checked(place: Place) {
    let store = place.store();
    let wrong = options(b"what was meant", Condition::Any);
    let error = store.put("a.json", Bytes::from_static(b"what came"), &wrong).await.expect_err("taken");
    assert!(matches!(error, StoreError::Checksum { .. }), "{error}");
    assert_eq!(store.get("a.json").await.expect("get"), None);
}

async fn copies_are_byte_for_byte(place: Place) {
    let store = place.store();
    put(&*store, "runs/a/x.json", "page", Condition::Any).await.expect("put");
    store.copy("runs/a/x.json", "runs/b/x.json").await.expect("copy");
    store.delete(&["runs/a/x.json".into()]).await.expect("delete");
    assert_eq!(text(&*store, "runs/b/x.json").await, "page");
    let head = store.head("runs/b/x.json").await.expect("head").expect("object");
    assert_eq!(head.sha256, Some(Digest::of(b"page")));
}

async fn listings_are_sorted_and_keep_to_their_folder(place: Place) {
    let store = place.store();
    let keys = ["runs/a-b/x.json", "runs/a.c/x.json", "runs/a/y.json", "runs/a/z/x.json", "runsaway.json"];
    for key in keys.iter().rev() {
        put(&*store, key, "{}", Condition::Any).await.expect("put");
    }
    assert_eq!(store.list("").await.expect("list"), keys);
    assert_eq!(store.list("runs/a/").await.expect("list"), ["runs/a/y.json", "runs/a/z/x.json"]);
    assert!(store.list("none/").await.expect("list").is_empty());
    assert_eq!(store.children("runs/").await.expect("children"), ["a", "a-b", "a.c"]);
    assert_eq!(store.children("").await.expect("children"), ["runs"]);
    assert!(store.children("none/").await.expect("children").is_empty());
}

async fn deleting_twice_is_no_error(place: Place) {
    let store = place.store();
    for key in ["runs/a/x.json", "runs/a/y.json", "runs/b/x.json"] {
        put(&*store, key, "{}", Condition::Any).await.expect("put");
    }
    let doomed = ["runs/a/x.json".to_owned(), "runs/a/y.json".to_owned()];
    store.delete(&doomed).await.expect("delete");
    store.delete(&doomed).await.expect("delete again");
    store.delete(&[]).await.expect("delete nothing");
    assert_eq!(store.list("").await.expect("list"), ["runs/b/x.json"]);
}

async fn bad_keys_are_refused_by_every_call(place: Place) {
    let store: Arc<dyn Store> = place.store();
    put(&*store, "a.json", "{}", Condition::Any).await.expect("put");
    for key in
        ["", "/a.json", "../a.json", "runs/../../a.json", "a\0.json", "runs//a.json", ".hidden", "<script>"]
    {
        for error in [
            store.get(key).await.expect_err("get"),
            store.head(key).await.expect_err("head"),
            put(&*store, key, "{}", Condition::Any).await.expect_err("put"),
            store.copy("a.json", key).await.expect_err("copy to"),
            store.copy(key, "b.json").await.expect_err("copy from"),
            store.delete(&[key.to_owned()]).await.expect_err("delete"),
        ] {
            assert!(matches!(error, StoreError::BadKey { .. }), "{key:?}: {error}");
        }
    }
    for folder in ["runs", "../", "/", "runs//"] {
        for error in
            [store.list(folder).await.expect_err("list"), store.children(folder).await.expect_err("children")]
        {
            assert!(matches!(error, StoreError::BadKey { .. }), "{folder:?}: {error}");
        }
    }
    assert_eq!(store.list("").await.expect("list"), ["a.json"]);
}
