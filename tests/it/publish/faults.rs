//! A store that misbehaves at a chosen call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use endcap::domain::manifest::keys;
use endcap::publish::{ETag, Hint, Listing, Object, ObjectHead, PutOptions, Store, StoreError, Written};
use futures::future::BoxFuture;
use tokio::sync::Barrier;

/// What happens to calls; the number counts from 0.
pub enum Fault {
    None,
    /// One call fails, before or after it took effect.
    Fail {
        at: usize,
        effect: Effect,
    },
    /// This call and every later one fails: the process is dead.
    Die {
        at: usize,
        effect: Effect,
    },
    /// One call takes a while.
    Delay {
        at: usize,
    },
    /// Every call takes a while.
    Slow,
    /// Somebody else acts just before one call.
    Meanwhile {
        at: usize,
        act: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    },
    /// Every write is sent twice and only the second answer arrives.
    AnswersLost,
    /// A put of this key is acknowledged and dropped.
    Forget {
        key: String,
    },
    /// Writers of the pointer wait for each other.
    Together(Arc<Barrier>),
}

/// Whether a failing call took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Not,
    Took,
}

pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Fault,
    calls: AtomicUsize,
}

impl Faulty {
    pub fn new(inner: &Arc<dyn Store>, fault: Fault) -> Self {
        Self { inner: Arc::clone(inner), fault, calls: AtomicUsize::new(0) }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn call<T: Send>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let effect = match &self.fault {
            Fault::Fail { at, effect } if number == *at => effect,
            Fault::Die { at, effect } if number == *at => effect,
            Fault::Die { at, .. } if number > *at => &Effect::Not,
            other => {
                match other {
                    Fault::Delay { at } if number == *at => {
                        tokio::time::sleep(Duration::from_millis(20)).await
                    }
                    Fault::Slow => tokio::time::sleep(Duration::from_millis(2)).await,
                    Fault::Meanwhile { at, act } if number == *at => act().await,
                    _ => {}
                }
                return work.await;
            }
        };
        if *effect == Effect::Took {
            work.await.ok();
        }
        Err(broken(number))
    }
}

fn broken(number: usize) -> StoreError {
    StoreError::Failed {
        store: "faulty".into(),
        action: "make call",
        key: number.to_string(),
        reason: "injected".into(),
        hint: Hint(""),
    }
}

#[async_trait]
impl Store for Faulty {
    fn location(&self) -> &str {
        self.inner.location()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.call(self.inner.get(key)).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, StoreError> {
        self.call(self.inner.head(key)).await
    }

    async fn put(&self, key: &str, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        match &self.fault {
            Fault::Forget { key: forgotten } if forgotten == key => {
                return Ok(Written { etag: ETag("forgotten".into()), vouched: true });
            }
            Fault::AnswersLost => drop(self.inner.put(key, bytes.clone(), options).await),
            Fault::Together(barrier) if key == keys::CURRENT => {
                barrier.wait().await;
            }
            _ => {}
        }
        self.call(self.inner.put(key, bytes, options)).await
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        if matches!(self.fault, Fault::AnswersLost) {
            drop(self.inner.copy(from, to).await);
        }
        self.call(self.inner.copy(from, to)).await
    }

    async fn list_part(&self, prefix: &str, next: Option<String>) -> Result<Listing, StoreError> {
        self.call(self.inner.list_part(prefix, next)).await
    }

    async fn children(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.call(self.inner.children(prefix)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.call(self.inner.delete(keys)).await
    }
}
