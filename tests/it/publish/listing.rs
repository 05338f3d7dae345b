//! A store that vouches for its uploads and lists ETags, as AWS S3 does: a listing takes the place of a request for each page,
//! and only where it proves as much (PUB-1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use endcap::domain::manifest::keys;
use endcap::publish::{
    ETag, FsStore, Listed, Listing, Object, ObjectHead, PublishError, PutOptions, Store, StoreError, Written,
    publish,
};

use super::place::{current_run, mixed_plan, one_by_one, overwrite, plan, publish_plan, run, segment};

/// Objects in a part of a listing.
const PART: usize = 2;

struct Vouching {
    inner: Arc<dyn Store>,
    /// A page that somebody replaces right after it was put.
    replaced: Option<String>,
    /// Of single objects, tombstones aside.
    heads: AtomicUsize,
}

impl Vouching {
    fn new(inner: &Arc<dyn Store>, replaced: Option<String>) -> Self {
        Self { inner: Arc::clone(inner), replaced, heads: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Store for Vouching {
    fn location(&self) -> &str {
        self.inner.location()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.inner.get(key).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, StoreError> {
        self.heads.fetch_add(usize::from(key.contains("/segments/")), Ordering::SeqCst);
        self.inner.head(key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let written = self.inner.put(key, bytes, options).await?;
        if self.replaced.as_deref() == Some(key) {
            overwrite(&*self.inner, key, "something else").await;
        }
        Ok(written)
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        self.inner.copy(from, to).await
    }

    /// With ETags, a few objects at a time.
    async fn list_part(&self, prefix: &str, next: Option<String>) -> Result<Listing, StoreError> {
        let keys = self.inner.list(prefix).await?;
        let start = next.map_or(0, |next| next.parse().expect("what the part before said"));
        let mut objects = Vec::new();
        for key in keys.iter().skip(start).take(PART) {
            let etag: Option<ETag> = self.inner.head(key).await?.map(|head| head.etag);
            objects.push(Listed { key: key.clone(), etag });
        }
        let end = start + objects.len();
        Ok(Listing { objects, next: (end < keys.len()).then(|| end.to_string()) })
    }

    async fn children(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.children(prefix).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.inner.delete(keys).await
    }
}

fn directory(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(FsStore::new(folder.path()))
}

#[tokio::test]
async fn no_upload_that_a_listing_proves_is_asked_for() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = directory(&folder);
    let vouching = Vouching::new(&store, None);
    publish_plan(&vouching, &plan(&run(1), 7)).await;
    assert_eq!(vouching.heads.load(Ordering::SeqCst), 0);
    assert_eq!(current_run(&*store).await, Some(run(1)));

    // Of one upload and two copies, nobody vouched for the copies.
    publish_plan(&vouching, &mixed_plan(&run(2), &run(1))).await;
    assert_eq!(vouching.heads.load(Ordering::SeqCst), 2);

    // Nor for what an earlier attempt left.
    publish_plan(&vouching, &plan(&run(1), 7)).await;
    assert_eq!(vouching.heads.load(Ordering::SeqCst), 2 + 7);
}

#[tokio::test]
async fn pub_1_an_upload_that_was_replaced_stops_the_publish() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = directory(&folder);
    publish_plan(&*store, &plan(&run(1), 5)).await;
    let key = keys::segment(&run(2), &segment(3));
    let vouching = Vouching::new(&store, Some(key.clone()));
    let error = publish(&vouching, &plan(&run(2), 5), &one_by_one(), &|_| ()).await.expect_err("published");
    assert!(matches!(&error, PublishError::Immutable { key: named, .. } if *named == key), "{error}");
    assert_eq!(vouching.heads.load(Ordering::SeqCst), 1);
    assert_eq!(current_run(&*store).await, Some(run(1)));
}

/// A part that is the last one says so, and a listing of many parts is whole and in order.
#[tokio::test]
async fn the_parts_of_a_listing_make_the_whole() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = directory(&folder);
    publish_plan(&*store, &plan(&run(1), 2 * PART)).await;
    let vouching = Vouching::new(&store, None);
    assert_eq!(vouching.list("").await.expect("list"), store.list("").await.expect("list"));
    assert!(vouching.list("none/").await.expect("list").is_empty());
}
