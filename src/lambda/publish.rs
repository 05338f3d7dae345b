//! `publish`, `promote` and `rollback`: what moves the pointer, and the edge after it.

use serde::Serialize;

use crate::config::clock::Stopwatch;
use crate::domain::RunId;
use crate::night::{self, Closing, Ending, Metrics, NightError, Plan, Publication, Unfinished};
use crate::publish::{self, Store};

use super::open::{self, Opened};
use super::{Answer, Answered, Host, LambdaError};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// The run that shoppers see now: tonight's, its canary's, or tonight's that was stopped.
    pub run_id: RunId,
    pub ending: Ending,
    /// The command line's, for the same ending.
    pub exit_code: u8,
    pub summary: String,
    pub canary: bool,
    /// What a rollback leads to.
    pub previous_run_id: Option<RunId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    pub run_id: RunId,
}

pub async fn publish(host: &Host, run: RunId, percent: u8) -> Result<Answered, LambdaError> {
    let watch = Stopwatch::start();
    if percent > 99 {
        return Err(LambdaError::Canary(percent));
    }
    let config = &host.config;
    let plan = Plan::read(&open::workspace(config).await?, &run).await?;
    let plan = plan.ok_or_else(|| LambdaError::NoPlan(run))?;
    let mut opened = opened(host, &plan).await?;
    let how = Publication {
        now: host.clock.now(),
        unfinished: Unfinished::CarryOver,
        canary_percent: (percent > 0).then_some(percent),
        assignments: night::load_assignments(&config.paths.inputs, &config.publish).await?,
    };
    let closing = match opened.night(config, &plan).publish(&*opened.store, &how).await {
        // Only a page that nobody made, and that has no older one, is worth reading them for.
        Err(NightError::NoHistory(segment)) => {
            tracing::info!(%segment, "the interactions are read for the ranker's page");
            opened = Opened::new(host, true).await?;
            opened.inputs.keep_planned(&plan);
            opened.night(config, &plan).publish(&*opened.store, &how).await?
        }
        closing => closing?,
    };
    if closing.ending != Ending::Stopped {
        follow(host, &*opened.store).await?;
        publish::sweep(&*opened.store, config.publish.keep_runs, &config.publish).await?;
    }
    finish(host, &opened, (&plan, closing), watch.seconds()).await
}

/// The inputs of the planned run, without the interactions.
async fn opened(host: &Host, plan: &Plan) -> Result<Opened, LambdaError> {
    let mut opened = Opened::new(host, false).await?;
    opened.inputs.keep_planned(plan);
    let now = Plan::new(&opened.inputs, &opened.recipe, &host.config.night, plan.started_at).run_id;
    if now != plan.run_id {
        return Err(LambdaError::Changed { planned: plan.run_id.clone(), now });
    }
    Ok(opened)
}

/// Writes the report, and makes the answer and the metrics.
async fn finish(
    host: &Host,
    opened: &Opened,
    (plan, closing): (&Plan, Closing),
    seconds: f64,
) -> Result<Answered, LambdaError> {
    let metrics = Metrics::of_publish(&plan.run_id, &closing, seconds);
    let metrics = metrics.line(host.deployment.as_deref(), host.clock.now());
    let pointer = publish::read_pointer(&*opened.store).await?.map(|current| current.pointer);
    let (ending, canary) = (closing.ending, closing.canary.clone());
    let report = closing.report(plan, seconds);
    let workspace = &opened.workspace;
    workspace.write(&workspace.report(&plan.run_id), &report).await?;
    tracing::info!(run_id = %plan.run_id, canary = canary.is_some(), summary = report.summary, "ended");
    let answer = Published {
        run_id: canary.as_ref().map_or(&plan.run_id, |canary| &canary.run_id).clone(),
        ending,
        exit_code: ending.exit_code(),
        summary: report.summary,
        canary: canary.is_some(),
        previous_run_id: pointer.and_then(|pointer| pointer.previous_run_id),
    };
    Ok(Answered { answer: Answer::Publish(answer), metrics: Some(metrics) })
}

pub async fn rollback(host: &Host, to: Option<RunId>) -> Result<RolledBack, LambdaError> {
    let config = &host.config;
    let store = open::store(config).await?;
    let done = publish::rollback(&*store, to, host.clock.now(), &config.publish).await?;
    follow(host, &*store).await?;
    Ok(RolledBack { run_id: done.pointer.run_id })
}

async fn follow(host: &Host, store: &dyn Store) -> Result<(), LambdaError> {
    Ok(publish::follow_if_set(store, &host.config.publish.edge_store, host.clock.now()).await?)
}
