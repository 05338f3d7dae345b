//! Ids of traces and spans, as W3C Trace Context has them.

use std::fmt;

use crate::domain::Digest;

/// 16 bytes, 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// 8 bytes, 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// Of a run: the first 16 bytes of its id's SHA-256.
    pub fn of_run(run: &str) -> Self {
        Self::of(&Digest::of(run.as_bytes()))
    }

    /// Of a process that never came to know its run.
    pub(super) fn of_process(nonce: u64) -> Self {
        Self::of(&Digest::of(&nonce.to_le_bytes()))
    }

    fn of(digest: &Digest) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        Self(bytes)
    }
}

impl SpanId {
    /// The root of a run's trace: the next 8 bytes.
    pub fn root_of_run(run: &str) -> Self {
        Self::of(&Digest::of(run.as_bytes()).as_bytes()[16..24])
    }

    /// The `n`th span of a process.
    pub(super) fn nth(nonce: u64, n: u64) -> Self {
        Self::of(&Digest::of_parts([&nonce.to_le_bytes()[..], &n.to_le_bytes()]).as_bytes()[..8])
    }

    fn of(digest: &[u8]) -> Self {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(digest);
        Self(bytes)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_ids_are_parts_of_its_sha256() {
        // printf 2017-11-20-0123456789ab | sha256sum
        let run = "2017-11-20-0123456789ab";
        assert_eq!(TraceId::of_run(run).to_string(), "ef18377fa5b1c206cf06df514c72b098");
        assert_eq!(SpanId::root_of_run(run).to_string(), "5e90ac421c23365d");
        assert_ne!(TraceId::of_run("2017-11-21-0123456789ab"), TraceId::of_run(run));
    }

    #[test]
    fn spans_of_one_process_and_of_two_differ() {
        assert_ne!(SpanId::nth(1, 0), SpanId::nth(1, 1));
        assert_ne!(SpanId::nth(1, 0), SpanId::nth(2, 0));
    }
}
