//! A prefix of a bucket, fetched into a folder.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use endcap::ingest::{IngestError, fetch_folder};

use crate::s3_server;

/// As a config's `[index.storage]` would have it.
fn options() -> BTreeMap<String, String> {
    let [(_, endpoint), (_, key), (_, secret), (_, region)] = s3_server::environment();
    let options = [
        ("aws_endpoint", endpoint),
        ("aws_access_key_id", key),
        ("aws_secret_access_key", secret),
        ("aws_region", region),
        ("new_table_data_storage_version", "stable"),
    ];
    options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn what_is_below_a_prefix_lies_in_the_folder_under_the_rest_of_its_key() {
    let client = s3_server::create_bucket("ingest-folder").await;
    for key in ["shop/index/state.lance/a", "shop/index/b", "shop/index-old/c", "d"] {
        let put = client.put_object().bucket("ingest-folder").key(key);
        put.body(ByteStream::from(key.as_bytes().to_vec())).send().await.expect("put");
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let fetched = fetch_folder(("ingest-folder", "shop/index"), &options(), folder.path()).await;
    assert_eq!(fetched.expect("fetched"), 2);
    for file in ["state.lance/a", "b"] {
        let text = std::fs::read_to_string(folder.path().join(file)).expect("a file");
        assert_eq!(text, format!("shop/index/{file}"));
    }
    let nothing = fetch_folder(("ingest-folder", "elsewhere"), &options(), folder.path()).await;
    assert_eq!(nothing.expect("an empty prefix"), 0);

    let taken = folder.path().join("b");
    let refused = fetch_folder(("ingest-folder", "shop/index"), &options(), &taken).await;
    assert!(matches!(refused, Err(IngestError::Write { .. })), "{refused:?}");
    let unread = fetch_folder(("no-such-bucket", "shop"), &options(), folder.path()).await;
    let said = unread.expect_err("no bucket").to_string();
    assert!(said.contains("s3://no-such-bucket/shop"), "{said}");
}
