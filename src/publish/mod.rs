//! Publishing a run to a local directory or a bucket, rolling back, and deleting old runs.
//!
//! ```text
//! runs/<run_id>/segments/<segment_id>.json   a page; never changes
//! runs/<run_id>/index.json                   every segment: key, size, sha256, status, source; never changes
//! current.json                               names the current run; the one object that changes
//! ```
//!
//! # Consistency
//!
//! Objects first, the index after all of them were checked, the pointer last (PUB-1). A reader takes the run id from the
//! pointer and then an immutable page of that run, so that it sees the old page or the new page, whole, at any instant
//! (PUB-2). Every run's tree is complete by itself: pages taken over from an earlier run are copied, so that deleting a run
//! touches no other. The pointer is written on the condition that it still is what this publisher read when it began; of
//! several publishers exactly one wins (PUB-3), the others get [`PublishError::LostRace`] with the winner's run id.
//! [`sweep`] keeps all this true while it deletes; its module says how.
//!
//! # Memory
//!
//! A page's bytes wait in a [`Spool`] and are read when they are needed, so at most
//! [`Settings::concurrency`] pages are in memory. What a segment costs besides is its entry in the plan, its size, digest
//! and ETag, and its lines in `index.json`, which is one object: 0.8 KB together.
//!
//! # Retries
//!
//! Every step can be repeated. A put that is refused because the object is there is a success if the bytes are the same:
//! a retried request may have been refused by its own first attempt. The same holds for the pointer, which is read back
//! after every failed write. Bytes that differ under a published key are never overwritten ([`PublishError::Immutable`]).
//!
//! # Cancellation
//!
//! Dropping a future stops after the request in flight, which may or may not take effect. It leaves what a crash leaves.
//!
//! # Crash consistency
//!
//! Killed before the pointer write, a publish leaves objects under a run id nobody names; the next attempt keeps those
//! that are whole and goes on. Killed after it, the run is current and the next attempt changes nothing. A run that is
//! never tried again is deleted by retention.

mod edge;
mod error;
mod fs;
mod headers;
mod in_flight;
mod location;
mod pages;
mod plan;
mod pointer;
mod publisher;
mod read;
pub mod retention;
mod rollback;
mod s3;
mod s3_error;
mod settings;
mod sigv4a;
mod spool;
mod status;
mod store;
mod verify;
mod write;

pub use edge::{Edge, EdgeError, KeyValueStore, follow, follow_if_set};
pub use error::PublishError;
pub use fs::FsStore;
pub use headers::cache_control;
pub use location::open;
pub use plan::{PagePlan, PublishPlan};
pub use pointer::{Current, read_pointer};
pub use publisher::{Inspector, Published, publish, publish_inspected};
pub use read::{read_index, read_manifest, read_page};
pub use retention::{Swept, sweep};
pub use rollback::{RolledBack, rollback};
pub use s3::S3Store;
pub use settings::Settings;
pub use spool::{Spool, Spooled};
pub use status::{PageCounts, RunState, RunSummary, Status, status};
pub use store::{
    CONTENT_TYPE, Condition, ETag, Hint, Listed, Listing, Object, ObjectHead, PutOptions, Store, StoreError,
    Written,
};
pub use verify::{Fault, Problem, Verification, verify_run};
