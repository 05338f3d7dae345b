//! Fixtures: empty stores of both kinds, small runs, and the invariants as checks of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::Client;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use endcap::domain::manifest::{Pointer, RunIndex, keys};
use endcap::domain::stage::Source;
use endcap::domain::{Digest, RunId, SegmentId};
use endcap::publish::{
    Condition, FsStore, PagePlan, PublishPlan, PutOptions, S3Store, Settings, Store, publish,
};

use crate::s3_server;
use crate::support::spooled;

/// A directory or bucket of one test's own.
pub struct Place {
    kind: Kind,
    made: AtomicUsize,
}

enum Kind {
    Directory(tempfile::TempDir),
    Bucket { client: Client, name: String },
}

impl Place {
    /// In memory where the system offers it: waiting for a disk would be most of these tests' time.
    pub fn directory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("tempdir");
        Self { kind: Kind::Directory(folder), made: AtomicUsize::new(0) }
    }

    /// `test` names the bucket, as far as a bucket's name allows.
    pub async fn bucket(test: &str) -> Self {
        let name = format!("endcap-{}", &Digest::of(test.as_bytes()).to_hex()[..16]);
        let client = s3_server::create_bucket(&name).await;
        Self { kind: Kind::Bucket { client, name }, made: AtomicUsize::new(0) }
    }

    /// An empty store.
    pub fn store(&self) -> Arc<dyn Store> {
        let name = format!("store-{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.open(&name)
    }

    /// A store that holds `tree`: cheaper than publishing it anew.
    pub async fn store_with(&self, tree: &Tree) -> Arc<dyn Store> {
        let store = self.store();
        for (key, bytes) in tree {
            overwrite(&*store, key, bytes).await;
        }
        store
    }

    /// The store of that name, as another process would open it.
    pub fn open(&self, name: &str) -> Arc<dyn Store> {
        match &self.kind {
            Kind::Directory(folder) => Arc::new(FsStore::new(folder.path().join(name))),
            Kind::Bucket { client, name: bucket } => {
                Arc::new(S3Store::new(client.clone(), bucket, name).expect("prefix"))
            }
        }
    }
}

/// One request at a time, so that the order of calls is the same each time.
pub fn one_by_one() -> Settings {
    Settings { concurrency: 1, ..Settings::default() }
}

pub fn run(day: u32) -> RunId {
    variant(day, "")
}

/// Runs of one day over different inputs.
pub fn variant(day: u32, inputs: &str) -> RunId {
    RunId::new(date(day), &Digest::of(inputs.as_bytes()))
}

pub fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2017, 11, day).expect("date")
}

pub fn time(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2017, 11, day, 2, 30, 0).single().expect("time")
}

pub fn segment(number: usize) -> SegmentId {
    SegmentId::parse(format!("seg-{number:03}")).expect("segment")
}

pub fn page_text(run: &RunId, segment: &SegmentId) -> String {
    format!("{{\"run_id\": \"{run}\", \"segment_id\": \"{segment}\"}}\n")
}

fn new_page(run: &RunId, segment: &SegmentId) -> PagePlan {
    PagePlan::New { page: spooled(page_text(run, segment)), source: Source::Cascade }
}

/// A run whose pages are all new.
pub fn plan(run_id: &RunId, segments: usize) -> PublishPlan {
    let day = chrono::Datelike::day(&run_id.as_of());
    let pages = (0..segments).map(segment).map(|id| (id.clone(), new_page(run_id, &id))).collect();
    PublishPlan {
        run_id: run_id.clone(),
        as_of: run_id.as_of(),
        generated_at: time(day),
        published_at: time(day) + TimeDelta::hours(1),
        pages,
        passing: None,
        lookups: BTreeMap::new(),
    }
}

/// A run of three segments: one new page, one reused and one carried over from `from`.
pub fn mixed_plan(run_id: &RunId, from: &RunId) -> PublishPlan {
    let mut plan = plan(run_id, 3);
    plan.pages.insert(segment(1), PagePlan::Reused { from_run: from.clone() });
    plan.pages.insert(segment(2), PagePlan::CarriedOver { from_run: from.clone() });
    plan
}

pub async fn publish_plan(store: &dyn Store, plan: &PublishPlan) {
    publish(store, plan, &one_by_one(), &|_| ()).await.expect("publish");
}

/// Every object and its bytes.
pub type Tree = BTreeMap<String, Bytes>;

pub async fn tree(store: &dyn Store) -> Tree {
    let mut tree = Tree::new();
    for key in store.list("").await.expect("list") {
        let object = store.get(&key).await.expect("get").expect("a listed object");
        tree.insert(key, object.bytes);
    }
    tree
}

/// Puts what no publisher would.
pub async fn overwrite(store: &dyn Store, key: &str, bytes: impl AsRef<[u8]>) {
    let bytes = Bytes::copy_from_slice(bytes.as_ref());
    let sha256 = Digest::of(&bytes);
    let options = PutOptions { cache_control: "no-store".into(), condition: Condition::Any, sha256 };
    store.put(key, bytes, &options).await.expect("overwrite");
}

/// The current run, checked against PUB-1 from the bytes alone.
pub async fn current(store: &dyn Store) -> Option<Pointer> {
    let pointer = store.get(keys::CURRENT).await.expect("get")?;
    let pointer: Pointer = serde_json::from_slice(&pointer.bytes).expect("pointer");
    let index =
        store.get(&keys::index(&pointer.run_id)).await.expect("get").expect("PUB-1: the index is there");
    assert_eq!(Digest::of(&index.bytes), pointer.index_sha256, "PUB-1: the index is the one named");
    assert_whole(store, &serde_json::from_slice(&index.bytes).expect("index")).await;
    Some(pointer)
}

pub async fn current_run(store: &dyn Store) -> Option<RunId> {
    current(store).await.map(|pointer| pointer.run_id)
}

pub async fn assert_whole(store: &dyn Store, index: &RunIndex) {
    for (segment, entry) in &index.segments {
        assert_eq!(entry.key, keys::segment(&index.run_id, segment));
        let page = store.get(&entry.key).await.expect("get");
        let page = page.unwrap_or_else(|| panic!("PUB-1: {} is missing", entry.key));
        assert_eq!(page.bytes.len() as u64, entry.size, "PUB-1: {}", entry.key);
        assert_eq!(Digest::of(&page.bytes), entry.sha256, "PUB-1: {}", entry.key);
    }
}
