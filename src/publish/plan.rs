//! What a run publishes: every segment of the input, each page new or taken over (RUN-2).

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::manifest::PageStatus;
use crate::domain::stage::Source;
use crate::domain::{RunId, SegmentId};

use super::Spooled;

/// A run, ready to be published.
#[derive(Debug, Clone)]
pub struct PublishPlan {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    /// The run's start time, fixed in the night's plan: it stands in the index, whose bytes never change.
    pub generated_at: DateTime<Utc>,
    /// Stands in the pointer.
    pub published_at: DateTime<Utc>,
    pub pages: BTreeMap<SegmentId, PagePlan>,
    /// A run that is only a step on the way to this one (its canary): where it is current, the run before it becomes this run's
    /// predecessor.
    pub passing: Option<RunId>,
    /// Number of a share of the households → its lookup; empty where none are published.
    pub lookups: BTreeMap<u32, Bytes>,
}

#[derive(Debug, Clone)]
pub enum PagePlan {
    /// Made tonight.
    New { page: Spooled, source: Source },
    /// Unchanged since `from_run`: copied, nothing was computed.
    Reused { from_run: RunId },
    /// A failure's fallback: copied from `from_run`.
    CarriedOver { from_run: RunId },
}

impl PagePlan {
    pub fn status(&self) -> PageStatus {
        match self {
            Self::New { .. } => PageStatus::New,
            Self::Reused { .. } => PageStatus::Reused,
            Self::CarriedOver { .. } => PageStatus::CarriedOver,
        }
    }

    /// The run whose page is copied.
    pub fn from_run(&self) -> Option<&RunId> {
        match self {
            Self::New { .. } => None,
            Self::Reused { from_run } | Self::CarriedOver { from_run } => Some(from_run),
        }
    }
}
