//! Why a publish, a rollback or a sweep did not happen.

use crate::domain::{RunId, SegmentId};

use super::StoreError;
use super::verify::Problem;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// PUB-3: nothing a reader sees was changed by the loser.
    #[error(
        "run {run_id} was not published: {winner} became the current run meanwhile. Publish again if {run_id} should follow it"
    )]
    LostRace { run_id: RunId, winner: RunId },
    #[error(
        "{store}: current.json disappeared while run {run_id} was being published; find out who deletes it, then publish again"
    )]
    PointerVanished { store: String, run_id: RunId },
    #[error(
        "run {run_id} was not published: retention kept moving current.json; publish again when no sweep runs"
    )]
    Contended { run_id: RunId },
    #[error("{store}: no run was deleted: current.json kept moving; sweep again when no publisher runs")]
    SweepContended { store: String },
    #[error(
        "{store}: {key} exists with other bytes than run {run_id} would publish. A published run never changes: \
         keep the run's start time and inputs, or give the new bytes a run id of their own"
    )]
    Immutable { store: String, run_id: RunId, key: String },
    #[error(
        "{store}: run {run_id} is being deleted by retention; run the sweep to its end, then publish the run anew"
    )]
    Retired { store: String, run_id: RunId },
    /// PUB-1: the pointer was not written.
    #[error("{store}: run {run_id} is not whole, current.json stays: {} objects are wrong, first {}", .problems.len(), first(.problems))]
    Incomplete { store: String, run_id: RunId, problems: Vec<Problem> },
    #[error("{store}: there is no complete run {run_id} (no index.json); `endcap status` lists the runs")]
    NoSuchRun { store: String, run_id: RunId },
    #[error("{store}: nothing is published yet (no current.json)")]
    NothingPublished { store: String },
    #[error(
        "{store}: {run_id} is the first published run, there is none before it; name the run to go back to"
    )]
    NoPreviousRun { store: String, run_id: RunId },
    /// MER-1: the pointer was not written.
    #[error("segment {segment}: its page is not fit to be published, current.json stays: {reason}")]
    Unfit { segment: SegmentId, reason: String },
    #[error("segment {segment}: run {from_run} has no page to take over; make the page anew")]
    MissingSource { segment: SegmentId, from_run: RunId },
    #[error(
        "segment {segment}: a page of run {run_id} cannot be taken over from the same run; give its bytes"
    )]
    SourceIsItself { segment: SegmentId, run_id: RunId },
    #[error(
        "cannot {action} the file that keeps tonight's pages until they are published: {cause}; make room in the work root, or \
         in the folder for temporary files where the work root is a bucket, and publish again"
    )]
    Spool { action: &'static str, cause: std::io::Error },
    #[error(
        "{store}: {key} is not what endcap publishes: {cause}; roll back to a run that is whole, or delete it"
    )]
    Malformed { store: String, key: String, cause: serde_json::Error },
    /// A later version of endcap publishes here.
    #[error(
        "{store}: {key} is of the schema {schema:?}, which this version of endcap does not know; nothing was changed. Use the \
         version that wrote it, or a later one"
    )]
    Newer { store: String, key: String, schema: String },
    #[error("cannot write {key} as JSON: {cause}")]
    Unwritable { key: String, cause: serde_json::Error },
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}
