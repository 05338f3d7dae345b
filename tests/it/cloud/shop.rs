//! A shop in buckets: inputs of three segments, work and published roots, and the binaries over them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use endcap::domain::SegmentContext;
use endcap::domain::merchandising::Merchandising;
use endcap::ingest::{self, Location, contract};
use serde_json::Value;

use super::bucket::Bucket;
use super::lambda::Function;
use super::proxy::Proxy;
use crate::night::answers;
use crate::s3_server;
use crate::support::{inputs, project, site_packages};

/// Segments of the demonstration that these nights are about.
const SEGMENTS: usize = 3;

/// A bucket with `inputs/`, `work/`, `public/`, and the config at `config/endcap.toml`. The index is the shared local one.
pub struct Cloud {
    bucket: Bucket,
    /// Of this machine: what a worker keeps.
    pub local: tempfile::TempDir,
    set: Vec<(String, String)>,
}

impl Deref for Cloud {
    type Target = Bucket;

    fn deref(&self) -> &Bucket {
        &self.bucket
    }
}

/// Two groups in two shards.
pub const TWO_SHARDS: &str = "[night]\ngroup_segments = 2\nshard_segments = 2\n";

impl Cloud {
    /// With the answers of the reference night, so that no model is asked; `extra` is appended to the config.
    pub fn new(bucket: &str, extra: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        let client = runtime.block_on(s3_server::create_bucket(bucket));
        let bucket = Bucket::new(bucket, client, Arc::new(runtime));
        open_shop(&bucket, extra);
        bucket.upload(answers(), "work/answers");
        Self { bucket, local: tempfile::tempdir().expect("temporary folder"), set: Vec::new() }
    }

    /// With variables that its processes get besides.
    pub fn with<const N: usize>(mut self, variables: [(&str, String); N]) -> Self {
        self.set.extend(variables.map(|(name, value)| (name.into(), value)));
        self
    }

    /// The demonstration's first segments.
    pub fn segments(&self) -> Vec<SegmentContext> {
        segments(&self.bucket)
    }

    pub fn put_segments(&self, segments: &[SegmentContext]) {
        put_segments(&self.bucket, segments);
    }

    /// The shop's local twin: the same inputs and answers in folders.
    pub fn inputs_folder(&self) -> PathBuf {
        let folder = self.local.path().join("inputs");
        for (key, bytes) in self.objects("inputs/") {
            let path = folder.join(key);
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(path, bytes).expect("table");
        }
        folder
    }

    pub fn variables(&self) -> Vec<(String, String)> {
        let place = |folder: &str| format!("s3://{}/{folder}", self.name);
        let mut variables: Vec<(String, String)> =
            s3_server::environment().map(|(name, value)| (name.into(), value.into())).into();
        let index = inputs().join("index").display().to_string();
        let site_packages = site_packages().display().to_string();
        for (name, value) in [
            ("AWS_ENDPOINT_URL", s3_server::endpoint().to_owned()),
            ("ENDCAP_CONFIG", place("config/endcap.toml")),
            ("ENDCAP_INPUTS", place("inputs")),
            ("ENDCAP_INDEX", index),
            ("ENDCAP_WORK", place("work")),
            ("ENDCAP_PUBLISH", place("public")),
            ("ENDCAP_CACHE", self.local.path().join("cache").display().to_string()),
            ("ENDCAP_DEPLOYMENT", "test".into()),
            ("ENDCAP_SITE_PACKAGES", site_packages),
            ("ENDCAP_NOW", "2017-11-20T02:00:00Z".into()),
        ] {
            variables.push((name.into(), value));
        }
        variables.extend(self.set.iter().cloned());
        variables
    }

    /// The variables of a process whose store is behind `proxy`.
    pub fn variables_behind(&self, proxy: &Proxy) -> Vec<(String, String)> {
        let mut variables = self.variables();
        for (name, value) in &mut variables {
            if name.starts_with("AWS_ENDPOINT_URL") {
                value.clone_from(&proxy.endpoint);
            }
        }
        variables
    }

    pub fn function(&self) -> Function {
        Function::start(&self.variables())
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
        command.args(args).envs(self.variables()).current_dir(self.local.path()).stdin(Stdio::null());
        command
    }

    /// A child of the array job; without an index the only one.
    pub fn worker(&self, run: &str, shard: Option<usize>) -> Command {
        let mut command = self.command(&["work", "--run", run]);
        if let Some(shard) = shard {
            command.env("AWS_BATCH_JOB_ARRAY_INDEX", shard.to_string());
        }
        command
    }

    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> String {
        expect(code, self.command(args))
    }

    /// The published tree.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects("public/")
    }

    pub fn pointer(&self) -> Value {
        self.json("public/current.json")
    }
}

/// Config and tables of a shop of the demonstration's first segments, where the template has them.
pub fn open_shop(bucket: &Bucket, extra: &str) {
    let registry = project().join("models/registry.toml");
    let config = format!("[models]\nregistry = {registry:?}\n{extra}\n");
    bucket.put("config/endcap.toml", config.into_bytes());
    for table in [contract::PRODUCTS, contract::KEYWORDS, contract::INTERACTIONS, contract::MERCHANDISING] {
        bucket.put(&format!("inputs/{table}"), std::fs::read(inputs().join(table)).expect("a table"));
    }
    put_segments(bucket, &segments(bucket));
}

pub fn segments(bucket: &Bucket) -> Vec<SegmentContext> {
    let path = Location::Local(inputs().join(contract::SEGMENTS));
    let file = bucket.runtime.block_on(ingest::fetch(&path)).expect("segments");
    let mut segments = ingest::segments(&file).expect("segments");
    segments.truncate(SEGMENTS);
    segments
}

pub fn put_segments(bucket: &Bucket, segments: &[SegmentContext]) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("segments.parquet");
    contract::write_segments(&path, segments).expect("segments");
    bucket.put("inputs/segments.parquet", std::fs::read(path).expect("segments"));
}

#[track_caller]
pub fn expect(code: i32, mut command: Command) -> String {
    let output: Output = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{text}\n{errors}");
    text
}

/// The status of each segment in a run's index.
pub fn statuses(cloud: &Cloud, run: &str) -> BTreeMap<String, String> {
    let index = cloud.json(&format!("public/runs/{run}/index.json"));
    let segments = index["segments"].as_object().expect("segments");
    let status = |entry: &Value| entry["status"].as_str().expect("status").to_owned();
    segments.iter().map(|(segment, entry)| (segment.clone(), status(entry))).collect()
}

/// Rows of tonight as a later night would have them, merchandising left to the loader.
pub fn moved(segments: &[SegmentContext], days: u64) -> Vec<SegmentContext> {
    let later = |segment: &SegmentContext| SegmentContext {
        as_of: segment.as_of + chrono::Days::new(days),
        merchandising: Merchandising::default().as_context(&segment.segment_id, segment.as_of),
        ..segment.clone()
    };
    segments.iter().map(later).collect()
}
