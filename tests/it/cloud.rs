//! The night in the cloud on one machine: the real worker and the real Lambda binary over buckets, without a state machine.

mod edge;
mod faults;
mod lambda;
mod nights;
mod package;
mod ranker;
mod shop;
