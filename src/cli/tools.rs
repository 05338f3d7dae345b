//! Loads what the verbs work with: models by their registry names, the index, AIQA's policy.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::aiqa::{TitlePolicy, Vocabulary};
use crate::config::registry::{Kind, ModelFiles, Registry, Roots};
use crate::datasets::complete_journey::Taxonomy;
use crate::domain::{Catalog, Digest, Keyword};
use crate::embed::{Encoder, Memory};
use crate::index::Index;
use crate::lm::{Decoder, Engine, Model};
use crate::night::Tools;

use super::Context;

/// Where installed packages and caches are.
pub fn roots(context: &Context) -> Roots {
    Roots {
        site_packages: context.variables.site_packages(Path::new(".")),
        hugging_face: context.variables.hf_home().map(Path::to_path_buf),
    }
}

pub fn registry(context: &Context) -> anyhow::Result<Registry> {
    Ok(Registry::load(&context.config.models.registry)?)
}

fn files(context: &Context, name: &str, kind: Kind) -> anyhow::Result<ModelFiles> {
    let files = registry(context)?.resolve(name, kind, &roots(context));
    files.with_context(|| format!("model {name:?} cannot be used"))
}

/// The sentence encoder and the digest of its files.
pub fn encoder(context: &Context) -> anyhow::Result<(Arc<Encoder>, Digest)> {
    let files = files(context, &context.config.models.encoder, Kind::Encoder)?;
    let device = context.config.device.open()?;
    let encoder = Encoder::load(&files.files.dir, &device, context.config.encoder.clone())?;
    Ok((Arc::new(encoder), files.files.digest))
}

/// The language model on its own thread, and the digest of its files.
pub fn engine(context: &Context) -> anyhow::Result<(Engine, Digest)> {
    let files = files(context, &context.config.models.student, Kind::CausalLm)?;
    let gguf = files.files.with_extension("gguf").context("the registry entry lists no .gguf file")?;
    let device = context.config.device.open()?;
    let model = Model::load(gguf, &device)?;
    let engine = Engine::start(Decoder::new(model, context.config.decoder.clone()))?;
    Ok((engine, files.files.digest))
}

/// AIQA's title rules over this shop's words.
pub fn policy(context: &Context, catalog: &Catalog, keywords: &[Keyword]) -> anyhow::Result<TitlePolicy> {
    Ok(TitlePolicy::new(&context.config.aiqa, Vocabulary::of_shop(catalog, keywords))?)
}

/// The same over the demonstration taxonomy's words, where there is no catalogue.
pub fn taxonomy_policy(context: &Context, taxonomy: &Taxonomy) -> anyhow::Result<TitlePolicy> {
    Ok(TitlePolicy::new(&context.config.aiqa, Vocabulary::new(taxonomy.words()))?)
}

/// An open index, as it is.
pub async fn index(context: &Context, encoder: &Arc<Encoder>) -> anyhow::Result<Index> {
    let config = &context.config;
    Ok(Index::open(&config.paths.index, Arc::clone(encoder), config.index.clone()).await?)
}

/// Everything a night needs, with the digests of both models.
pub struct Loaded {
    pub tools: Tools,
    pub encoder: Digest,
}

pub async fn load(context: &Context, catalog: &Catalog, keywords: &[Keyword]) -> anyhow::Result<Loaded> {
    let (encoder, encoder_digest) = encoder(context)?;
    let (engine, student) = engine(context)?;
    let index = index(context, &encoder).await?;
    let policy = policy(context, catalog, keywords)?;
    Ok(Loaded {
        tools: Tools { engine, student, encoder: Memory::new(encoder), index, policy },
        encoder: encoder_digest,
    })
}
