//! The `[publish]` table of the configuration.

use serde::{Deserialize, Serialize};

/// How runs are published and kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Requests in flight at once, 1..=256.
    pub concurrency: usize,
    /// A request to a bucket that is not answered for so long is sent again; seconds, 1..=3600.
    pub request_timeout_seconds: u32,
    /// `max-age` of `current.json`, seconds, 0..=3600: how long a shop front may show the run before.
    pub pointer_max_age_seconds: u32,
    /// Complete runs kept by retention, 2..=10000; the current and the previous run are kept besides.
    pub keep_runs: usize,
    /// Addresses buckets as `endpoint/bucket` instead of `bucket.endpoint`. Needed for most S3 servers reached by a host
    /// name of their own; an endpoint given by IP address is addressed so anyway.
    pub s3_force_path_style: bool,
    /// Hashed with every household's id before it is published which segment it is in; empty: that is not published.
    pub lookup_salt: String,
    /// Households are published in two to the power of so many shares; 0..=16.
    pub lookup_bits: u32,
    /// ARN of the CloudFront KeyValueStore whose key `current` follows the pointer; empty: none.
    pub edge_store: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            request_timeout_seconds: 60,
            pointer_max_age_seconds: 5,
            keep_runs: 14,
            s3_force_path_style: false,
            lookup_salt: String::new(),
            lookup_bits: 8,
            edge_store: String::new(),
        }
    }
}

impl Settings {
    /// Names the key that is out of range.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=256).contains(&self.concurrency) {
            return Err(format!("publish.concurrency is {}, must be in 1..=256", self.concurrency));
        }
        if !(1..=3600).contains(&self.request_timeout_seconds) {
            let seconds = self.request_timeout_seconds;
            return Err(format!("publish.request_timeout_seconds is {seconds}, must be in 1..=3600"));
        }
        if self.pointer_max_age_seconds > 3600 {
            let seconds = self.pointer_max_age_seconds;
            return Err(format!("publish.pointer_max_age_seconds is {seconds}, must be in 0..=3600"));
        }
        if !(2..=10_000).contains(&self.keep_runs) {
            return Err(format!("publish.keep_runs is {}, must be in 2..=10000", self.keep_runs));
        }
        if self.lookup_bits > 16 {
            return Err(format!("publish.lookup_bits is {}, must be in 0..=16", self.lookup_bits));
        }
        Ok(())
    }
}
