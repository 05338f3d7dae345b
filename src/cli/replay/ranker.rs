//! The ranker of an origin: trained on what came before it, and kept beside its tables.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::cli::{Context, tools};
use crate::domain::Digest;
use crate::domain::manifest::to_bytes;
use crate::night::{Inputs, write_whole};
use crate::rank::{self, RankerModel, TypeVectors};
use crate::replay::RankerChoice;

/// `trained.json`: what an origin's ranker was trained from.
#[derive(Serialize, Deserialize, PartialEq)]
struct Stamp {
    key: Digest,
}

/// Puts the configured ranker behind `inputs`; a learned one is trained unless it was from the same.
pub fn learn(context: &Context, origin: &Origin, inputs: &mut Inputs) -> anyhow::Result<()> {
    if context.config.replay.ranker == RankerChoice::Rates {
        return Ok(());
    }
    let (memory, encoder_digest) = tools::encoder(context)?;
    let settings = &context.config.rank;
    let recipe = to_bytes(&settings.train).context("the recipe is no JSON")?;
    let parts = [&inputs.digest.as_bytes()[..], encoder_digest.as_bytes(), &recipe];
    let stamp = Stamp { key: Digest::of_parts(parts) };
    let stamp_file = origin.ranker.join("trained.json");
    let before =
        std::fs::read(&stamp_file).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    let model = if before.as_ref() == Some(&stamp) {
        RankerModel::load(&origin.ranker)?
    } else {
        let vectors = TypeVectors::of(&inputs.catalog, &*memory)?;
        let model = rank::train(inputs.shop(&vectors), &settings.train)?;
        model.save(&origin.ranker)?;
        write_whole(&stamp_file, &to_bytes(&stamp).context("the stamp is no JSON")?)?;
        model
    };
    let segments = inputs.segments.iter().map(|segment| segment.segment_id.clone()).collect();
    Ok(inputs.learn(&model, &segments, &*memory)?)
}
