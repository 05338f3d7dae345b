//! What only a bucket has: headers, listings in pages, answers that need a hint.

use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use endcap::domain::Digest;
use endcap::domain::manifest::keys;
use endcap::publish::{Condition, PutOptions, S3Store, Store, publish};
use futures::future::try_join_all;

use super::place::{mixed_plan, one_by_one, plan, publish_plan, run, segment};
use crate::cloud::proxy::{Harm, Proxy};
use crate::s3_server;

#[tokio::test]
async fn objects_carry_their_headers() {
    let client = s3_server::create_bucket("endcap-headers").await;
    let store = S3Store::new(client.clone(), "endcap-headers", "shop").expect("store");
    publish_plan(&store, &plan(&run(1), 3)).await;
    publish_plan(&store, &mixed_plan(&run(2), &run(1))).await;
    let forever = "public, max-age=31536000, immutable";
    for (key, cache_control) in [
        (keys::CURRENT.to_owned(), "public, max-age=5, must-revalidate"),
        (keys::index(&run(2)), forever),
        (keys::segment(&run(2), &segment(0)), forever),
        // Copied.
        (keys::segment(&run(2), &segment(1)), forever),
    ] {
        let request = client.head_object().bucket("endcap-headers").key(format!("shop/{key}"));
        let head = request.checksum_mode(ChecksumMode::Enabled).send().await.expect("head");
        assert_eq!(head.cache_control(), Some(cache_control), "{key}");
        assert_eq!(head.content_type(), Some("application/json"), "{key}");
        assert_eq!(head.content_encoding(), None, "{key}");
        assert!(head.checksum_sha256().is_some(), "{key}");
    }
}

/// S3's listing and its batch delete both end at 1,000 keys.
#[tokio::test]
async fn more_than_a_thousand_objects() {
    let client = s3_server::create_bucket("endcap-thousand").await;
    let store = S3Store::new(client, "endcap-thousand", "shop").expect("store");
    let keys: Vec<String> = (0..1005).map(|number| format!("runs/{number:04}/x.json")).collect();
    let options =
        PutOptions { cache_control: "no-store".into(), condition: Condition::Any, sha256: Digest::of(b"x") };
    for batch in keys.chunks(16) {
        let puts = batch.iter().map(|key| store.put(key, Bytes::from_static(b"x"), &options));
        try_join_all(puts).await.expect("put");
    }
    assert_eq!(store.list("runs/").await.expect("list"), keys);
    assert_eq!(store.children("runs/").await.expect("children").len(), 1005);
    store.delete(&keys[..1004]).await.expect("delete");
    assert_eq!(store.list("").await.expect("list"), keys[1004..]);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let store = S3Store::new(s3_server::client(), "endcap-no-such-bucket", "").expect("store");
    let error = publish(&store, &plan(&run(1), 1), &one_by_one(), &|_| ()).await.expect_err("published");
    let message = error.to_string();
    assert!(
        message.contains("s3://endcap-no-such-bucket") && message.contains("create the bucket"),
        "{message}"
    );

    // Nothing listens on the discard port.
    let nowhere = s3_server::client_of("http://127.0.0.1:9");
    let store = S3Store::new(nowhere, "endcap-nowhere", "").expect("store");
    let message = store.get("current.json").await.expect_err("answered").to_string();
    assert!(message.contains("current.json") && message.contains("AWS_ENDPOINT_URL_S3"), "{message}");
}

/// The SDK's retries end with an answer's head; a body that breaks off is asked for again by the store, a bounded number of times.
#[test]
fn an_object_whose_body_breaks_off_is_asked_for_again() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let client = runtime.block_on(s3_server::create_bucket("endcap-cut"));
    let content = Bytes::from("0123456789".repeat(10_000));
    let put = client.put_object().bucket("endcap-cut").key("a.json").body(content.clone().into());
    runtime.block_on(put.send()).expect("put");
    for (cuts, asked, whole) in [(0, 1, true), (1, 2, true), (3, 4, true), (4, 4, false)] {
        let cut = move |nth| (nth < cuts).then_some(Harm::CutAnswer);
        let proxy = Proxy::before(s3_server::endpoint(), Box::new(move |request| cut(request.nth)));
        let store = S3Store::new(s3_server::client_of(&proxy.endpoint), "endcap-cut", "").expect("store");
        match runtime.block_on(store.get("a.json")) {
            Ok(found) => {
                assert_eq!((whole, found.expect("object").bytes), (true, content.clone()), "{cuts} cuts")
            }
            Err(error) => assert!(!whole && error.to_string().contains("a.json"), "{cuts} cuts: {error}"),
        }
        assert_eq!(proxy.count(|request| request.reads("/a.json")), asked, "{cuts} cuts");
    }
}
