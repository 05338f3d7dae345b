//! Exit codes: which of three nights it was, or that the call was wrong.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::night::Ending;

pub const HELP: &str = "\
Exit codes:
  0   all published (or the verb did what was asked)
  1   finished, some segments kept an older page or got the population's
  2   nothing changed, the old pages stand
  64  bad usage or config
  75  interrupted; start it again to go on (`endcap work`)";

/// `EX_TEMPFAIL` of `sysexits.h`.
pub const INTERRUPTED: u8 = 75;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// Finished with fallbacks.
    Fallbacks,
    /// Nothing changed.
    Unchanged,
    Usage,
    /// Asked to stop; a second start goes on.
    Interrupted,
}

/// A mistake in the call itself, found after parsing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Exit {
    pub fn of(error: &anyhow::Error) -> Self {
        let wrong_config = |error: &ConfigError| !error.may_pass();
        let wrong_call = |cause: &(dyn std::error::Error + 'static)| {
            cause.is::<UsageError>() || cause.downcast_ref().is_some_and(wrong_config)
        };
        if error.chain().any(wrong_call) { Self::Usage } else { Self::Unchanged }
    }

    /// What the process answers the shell with.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Fallbacks => 1,
            Self::Unchanged => 2,
            Self::Usage => 64,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// Which kind of failure it is, `None` where it is none.
    pub fn failure(self) -> Option<&'static str> {
        match self {
            Self::Success | Self::Fallbacks => None,
            Self::Unchanged => Some("unchanged"),
            Self::Usage => Some("usage"),
            Self::Interrupted => Some("interrupted"),
        }
    }
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Published => Self::Success,
            Ending::PublishedWithFallbacks => Self::Fallbacks,
            Ending::Stopped => Self::Unchanged,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::IngestError;

    /// Batch gives up at once on 64.
    #[test]
    fn a_config_that_cannot_be_fetched_is_no_mistake_of_the_call() {
        let fetch = |error| anyhow::Error::from(ConfigError::Fetch(Box::new(error)));
        let file = || "s3://shop/config/endcap.toml".to_owned();
        let away = IngestError::Read { file: file(), source: "503 SlowDown".into() };
        assert_eq!(Exit::of(&fetch(away).context("starting")), Exit::Unchanged);
        assert_eq!(Exit::of(&fetch(IngestError::NotText { file: file() })), Exit::Usage);
        assert_eq!(Exit::of(&UsageError("no such shard".into()).into()), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("the store is away")), Exit::Unchanged);
    }
}
