//! The night in the cloud on one machine: the real worker and the real Lambda binary over buckets, without a state machine.

mod bucket;
mod chaos;
mod collector;
mod edge;
mod end_to_end;
mod faults;
mod lambda;
mod nights;
mod package;
pub mod proxy;
mod ranker;
mod recovery;
mod shop;
mod stack;
mod store_faults;
