//! `plan`: tonight's run, with what is reused and how the rest is shared out.

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::RunId;
use crate::night::Planner;

use super::open::Opened;
use super::{Host, LambdaError};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    pub segments: usize,
    /// Unchanged since the current run: nothing is computed for them.
    pub reused: usize,
    /// 0: nothing is to be computed.
    pub shards: usize,
}

pub async fn plan(host: &Host) -> Result<Planned, LambdaError> {
    let config = &host.config;
    let opened = Opened::new(host, false).await?;
    opened.inputs.require_harmony()?;
    let keys = opened.keys(config);
    let planner = Planner {
        workspace: &opened.workspace,
        store: &*opened.store,
        inputs: &opened.inputs,
        recipe: &opened.recipe,
        keys: &keys,
        settings: &config.night,
    };
    let plan = planner.plan(host.clock.now()).await?;
    let (segments, reused, shards) = (plan.segments(), plan.reused(), plan.shards.len());
    tracing::info!(run_id = %plan.run_id, segments, reused, shards, "planned");
    Ok(Planned { run_id: plan.run_id, as_of: plan.as_of, segments, reused, shards })
}
