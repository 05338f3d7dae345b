//! The clock, read here alone: bytes never depend on it but through a plan's start time.

use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time, whole seconds; fixed where `ENDCAP_NOW` says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    fixed: Option<DateTime<Utc>>,
}

impl Clock {
    pub fn new(fixed: Option<DateTime<Utc>>) -> Self {
        Self { fixed }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.fixed.unwrap_or_else(Utc::now).trunc_subsecs(0)
    }
}

/// Measures how long a stage took, for reports only.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
