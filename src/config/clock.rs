//! The clock, read here alone: bytes never depend on it but through a plan's start time.

use std::time::{Instant, SystemTime};

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

/// Nanoseconds since 1970, for traces only: when something took place, whatever `ENDCAP_NOW` says.
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
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
