//! How a night tells what it is doing; the command line draws it.

/// Tells nobody.
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self, _: &str) {}
}

/// Receives the stages of a night, one at a time.
pub trait Progress: Send + Sync {
    /// A stage begins: `total` units of `unit` ("pages", "placements"); 0 where it is not known.
    fn begin(&self, stage: &str, unit: &'static str, total: u64);
    /// Units done since the last call.
    fn advance(&self, units: u64);
    /// The stage is over; `note` sums it up ("24 from the cache").
    fn end(&self, note: &str);
}
