//! One integration binary: linking this tree is slow.

#![allow(clippy::unwrap_used)]

mod kept;
mod support;

mod aiqa;
mod architecture;
mod browser;
mod cli;
mod cloud;
mod distill;
mod docs;
mod embed;
mod eval;
mod experiment;
mod fuse;
mod index;
mod ingest;
mod lm;
mod night;
mod prepare;
mod publish;
mod rank;
mod registry;
mod relevance;
mod replay;
mod rules;
mod s3_server;
mod serve;
mod themes;
mod train;
