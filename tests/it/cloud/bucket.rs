//! A bucket of the emulator, as the tests read and write it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;
use tokio::runtime::Runtime;

/// A bucket, and the runtime that its client runs on.
pub struct Bucket {
    pub name: String,
    pub runtime: Arc<Runtime>,
    client: Client,
}

impl Bucket {
    pub fn new(name: &str, client: Client, runtime: Arc<Runtime>) -> Self {
        Self { name: name.into(), runtime, client }
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes));
        self.runtime.block_on(put.send()).expect("put");
    }

    pub fn delete(&self, key: &str) {
        let delete = self.client.delete_object().bucket(&self.name).key(key);
        self.runtime.block_on(delete.send()).expect("delete");
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let get = self.client.get_object().bucket(&self.name).key(key);
        self.runtime.block_on(async {
            let body = get.send().await.ok()?.body;
            Some(body.collect().await.expect("body").to_vec())
        })
    }

    pub fn json(&self, key: &str) -> Value {
        let bytes = self.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        serde_json::from_slice(&bytes).expect("JSON")
    }

    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = list.into_paginator().send();
        self.runtime.block_on(async {
            let mut keys = Vec::new();
            while let Some(page) = pages.next().await {
                keys.extend(
                    page.expect("list").contents().iter().filter_map(|one| Some(one.key()?.to_owned())),
                );
            }
            keys
        })
    }

    /// Key below `prefix` → bytes.
    pub fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let below = |key: &String| key.strip_prefix(prefix).expect("prefix").to_owned();
        self.keys(prefix).iter().map(|key| (below(key), self.get(key).expect("object"))).collect()
    }

    /// Makes the newest of the key's earlier versions the object again.
    pub fn undo(&self, key: &str) {
        let list = self.client.list_object_versions().bucket(&self.name).prefix(key);
        let versions = self.runtime.block_on(list.send()).expect("versions");
        let earlier = versions.versions().iter().find(|one| one.is_latest() != Some(true));
        let version = earlier.and_then(|one| one.version_id()).expect("an earlier version");
        self.copy(key, &format!("{}/{key}?versionId={version}", self.name));
    }

    /// All objects of `other`, with what their headers say.
    pub fn copy_all(&self, other: &Self) {
        other.keys("").iter().for_each(|key| self.copy(key, &format!("{}/{key}", other.name)));
    }

    fn copy(&self, key: &str, source: &str) {
        let copy = self.client.copy_object().bucket(&self.name).key(key).copy_source(source);
        self.runtime.block_on(copy.send()).expect("copy");
    }

    /// A folder's files, under `prefix/`.
    pub fn upload(&self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).expect("folder").flatten() {
            let key = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => self.upload(&entry.path(), &key),
                false => self.put(&key, std::fs::read(entry.path()).expect("file")),
            }
        }
    }
}
