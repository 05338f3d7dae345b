//! Why an event was not done, by the names that the state machine retries or gives up on.

use crate::aiqa::AiqaError;
use crate::config::ConfigError;
use crate::config::registry::RegistryError;
use crate::domain::RunId;
use crate::ingest::IngestError;
use crate::night::{NightError, RankerFolderError, WorkError};
use crate::publish::{EdgeError, PublishError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum LambdaError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Ranker(#[from] RankerFolderError),
    #[error(transparent)]
    Policy(#[from] AiqaError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Night(#[from] NightError),
    #[error(transparent)]
    Edge(#[from] EdgeError),
    #[error("run {0} has no plan in the work root; plan it first")]
    NoPlan(RunId),
    #[error(
        "inputs, config and models now make the run {now}, not {planned}: they changed since it was planned. Plan again"
    )]
    Changed { planned: RunId, now: RunId },
    #[error("canary_percent is {0}, must be in 0..=99")]
    Canary(u8),
}

impl LambdaError {
    /// `errorType`, as the state machine knows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Config(error) if error.may_pass() => "Endcap.Store",
            Self::Config(_) | Self::Registry(_) | Self::Policy(_) | Self::Canary(_) => "Endcap.Config",
            Self::Ingest(error) => of_ingest(error),
            Self::Changed { .. } => "Endcap.Inputs",
            Self::NoPlan(_) => "Endcap.Unfinished",
            Self::Publish(error) | Self::Night(NightError::Publish(error)) => of_publish(error),
            Self::Night(NightError::Unfinished { .. }) => "Endcap.Unfinished",
            Self::Night(NightError::Ingest(error)) => of_ingest(error),
            Self::Night(NightError::Conflicts(_) | NightError::Fuse(_)) => "Endcap.Inputs",
            _ => "Endcap.Store",
        }
    }
}

/// An input that cannot be fetched may be there in a minute; one that is wrong stays so.
fn of_ingest(error: &IngestError) -> &'static str {
    match error {
        IngestError::Read { .. } => "Endcap.Store",
        _ => "Endcap.Inputs",
    }
}

fn of_publish(error: &PublishError) -> &'static str {
    match error {
        PublishError::LostRace { .. } => "Endcap.LostRace",
        // Another version of endcap must be deployed.
        PublishError::Newer { .. } => "Endcap.Config",
        PublishError::Unfit { .. } => "Endcap.Inputs",
        PublishError::NoSuchRun { .. }
        | PublishError::NothingPublished { .. }
        | PublishError::NoPreviousRun { .. }
        | PublishError::Retired { .. } => "Endcap.Unfinished",
        _ => "Endcap.Store",
    }
}
