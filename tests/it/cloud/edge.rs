//! The edge's key-value store follows the pointer and is never ahead of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use endcap::domain::RunId;
use endcap::publish::{
    Edge, EdgeError, FsStore, KeyValueStore, Settings, Store, follow, publish, read_pointer,
};

use crate::publish::place::{plan, run};
use crate::s3_server;

/// A store that another follower may write to in between.
struct Shared<'a> {
    store: &'a dyn Store,
    said: Mutex<(usize, Option<String>)>,
    /// Writes of others that come first.
    rivals: AtomicUsize,
}

#[async_trait]
impl Edge for Shared<'_> {
    async fn version(&self) -> Result<String, EdgeError> {
        Ok(self.said.lock().expect("store").0.to_string())
    }

    async fn current(&self) -> Result<Option<String>, EdgeError> {
        Ok(self.said.lock().expect("store").1.clone())
    }

    async fn put_current(&self, run: &RunId, version: &str) -> Result<bool, EdgeError> {
        if self.rivals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.said.lock().expect("store").0 += 1;
        }
        let pointer = read_pointer(self.store).await?.expect("a pointer").pointer.run_id;
        let mut said = self.said.lock().expect("store");
        if said.0.to_string() != version {
            return Ok(false);
        }
        assert!(*run <= pointer, "ahead of the pointer");
        *said = (said.0 + 1, Some(run.to_string()));
        Ok(true)
    }
}

#[tokio::test]
async fn the_edge_follows_through_rivals_and_is_repaired_by_the_next_call() {
    let folder = tempfile::tempdir().expect("folder");
    let store = FsStore::new(folder.path());
    let edge = Shared { store: &store, said: Mutex::new((0, None)), rivals: AtomicUsize::new(3) };
    assert_eq!(follow(&store, &edge).await.expect("follow"), None, "nothing is published yet");
    let settings = Settings::default();
    publish(&store, &plan(&run(1), 2), &settings, &|_| ()).await.expect("publish");
    assert_eq!(follow(&store, &edge).await.expect("follow"), Some(run(1)));
    assert_eq!(edge.current().await.expect("current").as_deref(), Some(run(1).as_str()));
    edge.rivals.store(100, Ordering::SeqCst);
    publish(&store, &plan(&run(2), 2), &settings, &|_| ()).await.expect("publish");
    let failed = follow(&store, &edge).await.expect_err("rivals");
    assert!(matches!(failed, EdgeError::Contended { .. }), "{failed}");
    edge.rivals.store(0, Ordering::SeqCst);
    assert_eq!(follow(&store, &edge).await.expect("follow"), Some(run(2)), "the next call repairs it");
}

/// The CloudFront emulator's key-value store, through the command line: publish and rollback take it along.
#[test]
fn a_key_value_store_is_written_after_the_pointer() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let arn = runtime.block_on(create_store("endcap-edge"));
    let bucket = "cloud-edge";
    runtime.block_on(s3_server::create_bucket(bucket));
    let place = format!("s3://{bucket}/public");
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_endcap"));
        command
            .args(args)
            .envs(s3_server::environment())
            .env("AWS_ENDPOINT_URL", s3_server::endpoint())
            .env("ENDCAP_PUBLISH", &place)
            .env("ENDCAP_EDGE_STORE", &arn);
        super::shop::expect(0, command)
    };
    runtime.block_on(async {
        let client = s3_server::client();
        let store = endcap::publish::S3Store::new(client, bucket, "public").expect("store");
        for day in [1, 2] {
            publish(&store, &plan(&run(day), 2), &Settings::default(), &|_| ()).await.expect("publish");
        }
    });
    command(&["rollback"]);
    assert_eq!(runtime.block_on(value(&arn)), run(1).as_str());
    command(&["rollback", "--to", run(2).as_str()]);
    assert_eq!(runtime.block_on(value(&arn)), run(2).as_str());
}

/// As the control plane makes one.
async fn create_store(name: &str) -> String {
    let body = format!(
        "<CreateKeyValueStoreRequest xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Name>{name}</Name></CreateKeyValueStoreRequest>"
    );
    let url = format!("{}/2020-05-31/key-value-store", s3_server::endpoint());
    let credential = "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/cloudfront/aws4_request, SignedHeaders=host, Signature=0";
    let request = reqwest::Client::new().post(url).header("authorization", credential).body(body);
    let answer = request.send().await.expect("create").text().await.expect("text");
    let arn = answer.split("<ARN>").nth(1).and_then(|rest| rest.split("</ARN>").next());
    arn.unwrap_or_else(|| panic!("no ARN in {answer}")).to_owned()
}

async fn value(arn: &str) -> String {
    let url = format!("{}/key-value-stores/{arn}/keys/current", s3_server::endpoint());
    let answer = reqwest::get(url).await.expect("get").text().await.expect("text");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    answer["Value"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let now = "2026-11-23T00:00:00Z".parse().expect("time");
    let refused = KeyValueStore::open("arn:aws:s3:::bucket", now).await.err().expect("refused");
    assert!(refused.to_string().contains("publish.edge_store"), "{refused}");
}
