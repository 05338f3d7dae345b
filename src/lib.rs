//! `endcap` precomputes one storefront page per customer segment, every night, with a cascade of small language models,
//! and publishes the pages as JSON manifests that a CDN serves.
//!
//! ```text
//! segments.parquet  products.parquet  keywords.parquet  interactions.parquet  merchandising.toml
//!         │                │                │                   │                   │
//!     [ingest] ── SegmentContext ───────────┼───────────────────┼───────────────────┤
//!         │                                 │                   │                   │
//!     [themes]   LLM 1 → PageDesign: persona + placements       │                   │
//!         │                                 │                                       │
//!     [index]    concepts → hybrid search → candidate keywords a placement          │
//!         │                                 │                                       │
//!     [keywords] LLM 2 → keywords, each one of the candidates, by construction      │
//!         │                                 │                                       │
//!     [index]    keywords → product search → eligible products a placement          │
//!         │                                                                         │
//!     [aiqa]     rules → embedding diversity → verdicts with reasons                │
//!         │                                                                         │
//!     [fuse]     pointwise ranker × generated relevance × merchandising rules → FusedPage
//!         │
//!     [publish]  objects, then index.json, then current.json (one conditional write)
//! ```
//!
//! [`night`] runs the stages in order; no stage knows another. `ARCHITECTURE.md` has the rooms and the invariants.

pub mod aiqa;
pub mod cli;
pub mod config;
pub mod datasets;
pub mod distill;
pub mod domain;
pub mod embed;
pub mod eval;
pub mod experiment;
pub mod fuse;
pub mod index;
pub mod ingest;
pub mod keywords;
pub mod lambda;
pub mod lm;
pub mod night;
pub mod publish;
pub mod rank;
pub mod relevance;
pub mod replay;
pub mod themes;
pub mod trace;
pub mod train;
pub mod trees;
