//! What the cloud's state machine asks of its Lambda functions: one binary, told apart by the event's `action`.
//!
//! | `action` | does | answers |
//! | --- | --- | --- |
//! | `survey` | looks whether index and ranker are behind | [`Surveyed`] |
//! | `plan` | names tonight's run, what is reused, the shards | [`Planned`] |
//! | `publish` | settles, verifies and publishes the run, or a canary of it first | [`Published`] |
//! | `promote` | publishes the whole run after its canary | [`Published`] |
//! | `rollback` | points at an earlier run | [`RolledBack`] |
//!
//! Every handler can be called again: what is done is found done. None of them loads a model or opens the index, so the binary
//! carries neither candle nor LanceDB. Config and inputs are read anew at each call; nothing is kept between them.

mod error;
mod open;
mod plan;
mod publish;
mod survey;

use serde::{Deserialize, Serialize};
use tracing::{Instrument, Span};

use crate::config::Config;
use crate::config::clock::Clock;
use crate::config::env::Variables;
use crate::domain::RunId;
use crate::night::Ending;
use crate::trace;

pub use error::LambdaError;
pub use plan::Planned;
pub use publish::{Published, RolledBack};
pub use survey::Surveyed;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    Survey {},
    Plan {},
    Publish {
        run_id: RunId,
        /// 0: all of it at once.
        #[serde(default)]
        canary_percent: u8,
    },
    Promote {
        run_id: RunId,
    },
    Rollback {
        /// The run before the current one where it is absent.
        #[serde(default)]
        run_id: Option<RunId>,
        /// The run that is rolled back, for its trace: the current one, which may be a canary's, where it is absent.
        #[serde(default)]
        night: Option<RunId>,
    },
}

impl Event {
    /// The span of the night's verb that it asks for; a survey comes before there is a run.
    fn span(&self) -> Span {
        let of = |name, run: Option<&RunId>| {
            let span = trace::verb(name);
            if let Some(run) = run {
                span.record("run_id", run.as_str());
            }
            span
        };
        match self {
            Self::Survey {} => Span::none(),
            Self::Plan {} => of("plan", None),
            Self::Publish { run_id, canary_percent } => {
                let span = of("publish", Some(run_id));
                span.record("canary_percent", canary_percent);
                span
            }
            Self::Promote { run_id } => of("promote", Some(run_id)),
            Self::Rollback { night, .. } => of("rollback", night.as_ref()),
        }
    }
}

/// What an event is answered with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Survey(Surveyed),
    Plan(Planned),
    Publish(Published),
    Rollback(RolledBack),
}

/// An answer, and the line of metrics to be printed beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub answer: Answer,
    pub metrics: Option<String>,
}

/// What every handler works with.
pub(crate) struct Host {
    pub config: Config,
    pub clock: Clock,
    pub deployment: Option<String>,
}

/// Handles one event.
pub async fn handle(event: Event, variables: &Variables) -> Result<Answered, LambdaError> {
    let span = event.span();
    let answered = answer(event, variables).instrument(span.clone()).await;
    match &answered {
        Err(error) => {
            span.record("error", error.name());
        }
        Ok(Answered { answer: Answer::Publish(published), .. }) => {
            span.record("exit_code", published.exit_code);
            if published.ending == Ending::Stopped {
                span.record("error", "stopped");
            }
        }
        Ok(_) => {}
    }
    answered
}

async fn answer(event: Event, variables: &Variables) -> Result<Answered, LambdaError> {
    let config = Config::load(variables.config.as_deref(), variables).await?;
    let clock = Clock::new(variables.now()?);
    let host = Host { config, clock, deployment: variables.deployment.clone() };
    let quiet = |answer| Answered { answer, metrics: None };
    match event {
        Event::Survey {} => Ok(quiet(Answer::Survey(survey::survey(&host).await?))),
        Event::Plan {} => Ok(quiet(Answer::Plan(plan::plan(&host).await?))),
        Event::Publish { run_id, canary_percent } => publish::publish(&host, run_id, canary_percent).await,
        Event::Promote { run_id } => publish::publish(&host, run_id, 0).await,
        Event::Rollback { run_id, .. } => {
            Ok(quiet(Answer::Rollback(publish::rollback(&host, run_id).await?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart_and_typos_are_refused() {
        let parse = |text: &str| serde_json::from_str::<Event>(text);
        let run: RunId = "2017-11-20-0123456789ab".parse().expect("run id");
        assert_eq!(parse(r#"{"action":"plan"}"#).expect("plan"), Event::Plan {});
        let publish = parse(r#"{"action":"publish","run_id":"2017-11-20-0123456789ab"}"#).expect("publish");
        assert_eq!(publish, Event::Publish { run_id: run.clone(), canary_percent: 0 });
        assert_eq!(
            parse(r#"{"action":"rollback"}"#).expect("rollback"),
            Event::Rollback { run_id: None, night: None }
        );
        let back = r#"{"action":"rollback","night":"2017-11-20-0123456789ab"}"#;
        assert_eq!(parse(back).expect("rollback"), Event::Rollback { run_id: None, night: Some(run) });
        for bad in [
            r#"{"action":"deploy"}"#,
            r#"{"action":"promote"}"#,
            r#"{"action":"publish","run_id":"../x"}"#,
            r#"{"action":"publish","run_id":"2017-11-20-0123456789ab","canary_percent":300}"#,
            r#"{"action":"survey","force":true}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad} was taken");
        }
    }
}
