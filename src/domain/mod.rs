//! The words of the system: ids, contracts, and what one stage hands the next. No I/O.
//!
//! Everything here has been parsed: a [`SegmentId`] is a safe object key, a [`Share`](segment::Shopping) is within 0..1.
//! Rooms further up ([`crate::ingest`], [`crate::config`]) do the parsing; stages trust these types.

pub mod calendar;
pub mod catalog;
pub mod digest;
pub mod experiment;
pub mod explain;
pub mod ids;
pub mod lookup;
pub mod manifest;
pub mod merchandising;
pub mod ranker;
pub mod segment;
pub mod stage;
pub mod title_fit;
pub mod training;

pub use catalog::{Catalog, Interaction, Keyword, KeywordKind, Product};
pub use digest::Digest;
pub use ids::{
    ArmId, HouseholdId, IdError, KeywordId, PlacementId, ProductId, RunId, Salt, SegmentId, UnitId,
};
pub use segment::SegmentContext;

/// Of the index's tables. Raised when those of older versions can no longer be used; they are then built anew.
pub const INDEX_FORMAT: u32 = 2;
