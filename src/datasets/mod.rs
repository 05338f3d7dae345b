//! Adapters from public data to the contracts of [`crate::ingest::contract`].

pub mod complete_journey;
