//! A canary: a run of its own in which a share of the segments shows tonight's page and the others keep the one they have. It is
//! promoted by publishing the whole run after it, or rolled back to the run before it.
//!
//! Which segments are in the share is decided by a hash of run and segment, so the same ones are in it at every start. What was
//! published as a canary is written down, so that the whole run, published after it, names the run before the canary as its
//! predecessor: a rollback never leads back to a canary.

use serde::{Deserialize, Serialize};

use crate::domain::manifest::Pointer;
use crate::domain::{Digest, RunId, SegmentId};
use crate::publish::PagePlan;

use super::settle::SettledPage;
use super::workspace::WorkError;
use super::{Night, NightError};

/// A canary that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryRun {
    pub run_id: RunId,
    /// How many show tonight's page.
    pub segments: usize,
}

/// `runs/<run_id>/canary.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Canary {
    pub run_id: RunId,
    /// The run whose pages the others keep.
    pub before: RunId,
    pub percent: u8,
}

/// The canary's run of tonight, if there was one.
pub(super) async fn known(night: &Night<'_>) -> Result<Option<RunId>, WorkError> {
    let canary: Option<Canary> = night.workspace.read(&night.workspace.canary(&night.plan.run_id)).await?;
    Ok(canary.map(|canary| canary.run_id))
}

impl Canary {
    /// The canary to publish: none where none was asked for, where there is no run to keep pages of, or where the whole run is
    /// current already.
    pub async fn choose(
        night: &Night<'_>,
        current: Option<&Pointer>,
        percent: Option<u8>,
    ) -> Result<Option<Self>, NightError> {
        let run = &night.plan.run_id;
        let (Some(percent), Some(current)) = (percent, current) else { return Ok(None) };
        if current.run_id == *run {
            return Ok(None);
        }
        let path = night.workspace.canary(run);
        let written: Option<Self> = night.workspace.read(&path).await?;
        if let Some(written) = written.filter(|canary| canary.run_id == current.run_id) {
            return Ok(Some(written));
        }
        let before = current.run_id.clone();
        let parts = [&b"canary"[..], run.as_str().as_bytes(), before.as_str().as_bytes(), &[percent]];
        let canary = Self { run_id: RunId::new(night.plan.as_of, &Digest::of_parts(parts)), before, percent };
        night.workspace.write(&path, &canary).await?;
        Ok(Some(canary))
    }

    /// The page that a segment keeps: `None` where it shows tonight's, because it is in the share of `run` or its old page may
    /// not stand.
    pub fn keeps(&self, run: &RunId, page: &SettledPage) -> Option<PagePlan> {
        if shows(run, &page.segment_id, self.percent) {
            return None;
        }
        let from_run = page.kept.clone().filter(|kept| *kept == self.before)?;
        Some(PagePlan::Reused { from_run })
    }
}

/// Whether `segment` is among the `percent` of segments that see the canary of `run`.
fn shows(run: &RunId, segment: &SegmentId, percent: u8) -> bool {
    let parts = [run.as_str().as_bytes(), segment.as_str().as_bytes()];
    Digest::of_parts(parts).seed() % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn the_share_is_about_the_percentage_and_grows_with_it() {
        let date = NaiveDate::from_ymd_opt(2017, 11, 20).expect("date");
        let run = RunId::new(date, &Digest::of(b"run"));
        let segments: Vec<SegmentId> =
            (0..2_000).map(|n| SegmentId::parse(format!("seg-{n}")).expect("segment")).collect();
        let share = |percent| segments.iter().filter(|id| shows(&run, id, percent)).collect::<Vec<_>>();
        for percent in [1, 10, 50, 99] {
            let expected = 20.0 * f64::from(percent);
            // Five standard deviations of a binomial count.
            let slack = 5.0 * (expected * (1.0 - f64::from(percent) / 100.0)).sqrt();
            assert!((share(percent).len() as f64 - expected).abs() < slack, "{percent} %");
        }
        assert!(share(10).iter().all(|id| share(50).contains(id)));
    }
}
