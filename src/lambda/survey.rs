//! `survey`: is the index behind tonight's catalogue, and the ranker of another week?

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

use crate::night::{self, IndexMark, Inputs, RankerFolderError};
use crate::rank::RankError;

use super::{Host, LambdaError, open};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surveyed {
    pub as_of: NaiveDate,
    pub refresh_index: bool,
    pub refresh_ranker: bool,
}

pub async fn survey(host: &Host) -> Result<Surveyed, LambdaError> {
    let config = &host.config;
    let today = host.clock.now().date_naive();
    let inputs = Inputs::load_without_history(&config.paths.inputs, &config.rank, today).await?;
    let workspace = open::workspace(config).await?;
    let mark = IndexMark::new(inputs.files.catalogue(), open::encoder(config)?);
    let found: Option<IndexMark> = workspace.read(&workspace.index()).await?;
    let refresh_ranker = is_ranker_behind(host, inputs.as_of).await?;
    Ok(Surveyed { as_of: inputs.as_of, refresh_index: found != Some(mark), refresh_ranker })
}

/// A ranker is of the week it was trained in; one that is not there, or not readable, is to be written too.
async fn is_ranker_behind(host: &Host, as_of: NaiveDate) -> Result<bool, LambdaError> {
    let rank = &host.config.rank;
    if rank.model.as_os_str().is_empty() {
        return Ok(false);
    }
    match night::load_ranker(&rank.model.to_string_lossy(), &host.config.publish).await {
        Ok(model) => Ok(model.description.as_of.iso_week() != as_of.iso_week()),
        Err(RankerFolderError::Nothing { .. }) => Ok(true),
        Err(RankerFolderError::Rank { source, .. }) => {
            tracing::warn!(%source, "the ranker is trained again");
            Ok(!matches!(source, RankError::FromTheFuture { .. }))
        }
        Err(error) => Err(error.into()),
    }
}
