//! What tells this process from all others, for the ids of its spans only: no byte of a page depends on it.

use std::hash::{BuildHasher, RandomState};

/// Another number in each process: the standard library seeds its hashers from the operating system.
pub fn of_process() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
