//! Loads what the verbs work with: models by their registry names, the index, AIQA's policy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::aiqa::{TitlePolicy, Vocabulary};
use crate::config::Config;
use crate::config::registry::{Kind, ModelFiles, Registry, Roots, VerifiedFiles};
use crate::datasets::complete_journey::Taxonomy;
use crate::domain::{Catalog, Digest, Keyword};
use crate::embed::{Encoder, Evaluator, Memory};
use crate::index::{Index, UpdateReport};
use crate::ingest::{self, IngestError, Location};
use crate::lm::{Adapter, Decoder, Engine, LmError, Model, ModelConfig, Tokenizer, Weights};
use crate::night::{self, IndexMark, Inputs, Progress, Student, Tools, Workspace};
use crate::rank::RankerModel;
use crate::relevance::RelevanceModel;

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
pub fn encoder(context: &Context) -> anyhow::Result<(Arc<Memory>, Digest)> {
    let files = files(context, &context.config.models.encoder, Kind::Encoder)?;
    let device = context.config.device.open()?;
    let encoder = Encoder::load(&files.files.dir, &device, context.config.encoder.clone())?;
    Ok((Arc::new(Memory::new(Arc::new(encoder))), files.files.digest))
}

/// What stage 2's candidates are judged by, of the vectors of the encoder with `encoder`'s digest, and the digest of its files;
/// `None` where the config names none.
pub fn relevance(context: &Context, encoder: Digest) -> anyhow::Result<Option<(RelevanceModel, Digest)>> {
    let name = &context.config.models.relevance;
    if name.is_empty() {
        return Ok(None);
    }
    let files = files(context, name, Kind::Relevance)?.files;
    if let Some(file) = files.unlisted(&RelevanceModel::FILES[..2]) {
        bail!("the registry entry {name:?} must pin {file}");
    }
    Ok(Some((RelevanceModel::load(&files.dir, encoder)?, files.digest)))
}

/// The language model, and who answers each stage with it.
pub struct Students {
    pub engine: Engine,
    pub themes: Student,
    pub keywords: Student,
    /// Registry name → digest, of the base and its adapters.
    pub digests: BTreeMap<String, Digest>,
}

/// Checks the files of the base and of both stages' adapters. They are loaded, the base once, when the first question is asked.
pub fn students(context: &Context) -> anyhow::Result<Students> {
    let models = &context.config.models;
    let base = files(context, &models.student, Kind::CausalLm)?.files;
    let path = weights(&models.student, &base)?.to_path_buf();
    let mut digests = BTreeMap::from([(models.student.clone(), base.digest)]);
    let mut folders = BTreeMap::new();
    for name in [&models.themes_adapter, &models.keywords_adapter] {
        if !name.is_empty() && !folders.contains_key(name) {
            let files = adapter_files(context, name)?;
            digests.insert(name.clone(), files.digest);
            folders.insert(name.clone(), files.dir);
        }
    }
    let student = |name: &String| match digests.get(name) {
        Some(adapter) => Student::adapted(base.digest, name, *adapter),
        None => Student::base(base.digest),
    };
    let (themes, keywords) = (student(&models.themes_adapter), student(&models.keywords_adapter));
    let (device, settings) = (context.config.device.open()?, context.config.decoder.clone());
    let named = models.student.clone();
    let engine = Engine::new(move || {
        let model = Model::load(&path, &device)?;
        let load = |(name, folder): (&String, &PathBuf)| {
            Ok((name.clone(), adapter((name, folder), (&named, model.config()))?))
        };
        let adapters = folders.iter().map(load).collect::<Result<_, LmError>>()?;
        Ok(Decoder::new(model.with_adapters(adapters)?, settings.clone()))
    });
    Ok(Students { engine, themes, keywords, digests })
}

/// Registry name → digest of every model and adapter of the cascade, by their files: nothing is loaded.
pub fn digests(context: &Context) -> anyhow::Result<BTreeMap<String, Digest>> {
    let models = &context.config.models;
    let named = [
        (&models.student, Kind::CausalLm),
        (&models.themes_adapter, Kind::Lora),
        (&models.keywords_adapter, Kind::Lora),
        (&models.encoder, Kind::Encoder),
        (&models.relevance, Kind::Relevance),
    ];
    let mut digests = BTreeMap::new();
    for (name, kind) in named {
        if !name.is_empty() && !digests.contains_key(name) {
            digests.insert(name.clone(), files(context, name, kind)?.files.digest);
        }
    }
    Ok(digests)
}

/// The base's weights and tokenizer by themselves, and stage 1's adapter where there is one: what training works on.
pub struct Trainable {
    pub weights: Weights,
    pub tokenizer: Tokenizer,
    pub themes_adapter: Option<Adapter>,
}

pub fn trainable(context: &Context) -> anyhow::Result<Trainable> {
    let models = &context.config.models;
    let base = files(context, &models.student, Kind::CausalLm)?.files;
    let path = weights(&models.student, &base)?;
    let (weights, tokenizer) = (Weights::load(path)?, Tokenizer::load(path)?);
    let name = &models.themes_adapter;
    let load = || -> anyhow::Result<Adapter> {
        let folder = adapter_files(context, name)?.dir;
        Ok(adapter((name, &folder), (&models.student, &weights.config))?)
    };
    let themes_adapter = (!name.is_empty()).then(load).transpose()?;
    Ok(Trainable { weights, tokenizer, themes_adapter })
}

/// A GGUF file, or the folder of a model in Hugging Face's layout.
pub fn weights<'a>(name: &str, files: &'a VerifiedFiles) -> anyhow::Result<&'a Path> {
    if let Some(gguf) = files.with_extension("gguf") {
        return Ok(gguf);
    }
    let unlisted = files.unlisted(&["config.json", "tokenizer.json"]);
    let unlisted = unlisted.or(files.with_extension("safetensors").is_none().then_some("*.safetensors"));
    match unlisted {
        Some(file) => {
            bail!("the registry entry {name:?} lists no .gguf file, and as a Hugging Face model lacks {file}")
        }
        None => Ok(&files.dir),
    }
}

fn adapter_files(context: &Context, name: &str) -> anyhow::Result<VerifiedFiles> {
    let files = files(context, name, Kind::Lora)?.files;
    if let Some(file) = files.unlisted(&Adapter::FILES) {
        bail!("the registry entry {name:?} must pin {file}");
    }
    Ok(files)
}

fn adapter((name, folder): (&str, &Path), (base, model): (&str, &ModelConfig)) -> Result<Adapter, LmError> {
    Adapter::load(folder, model).map_err(|source| LmError::NotOfBase {
        adapter: name.into(),
        base: base.into(),
        source: Box::new(source),
    })
}

/// AIQA's title rules over this shop's words.
pub fn policy(context: &Context, catalog: &Catalog, keywords: &[Keyword]) -> anyhow::Result<TitlePolicy> {
    Ok(TitlePolicy::new(&context.config.aiqa, Vocabulary::of_shop(catalog, keywords))?)
}

/// The same over the demonstration taxonomy's words, where there is no catalogue.
pub fn taxonomy_policy(context: &Context, taxonomy: &Taxonomy) -> anyhow::Result<TitlePolicy> {
    Ok(TitlePolicy::new(&context.config.aiqa, Vocabulary::new(taxonomy.words()))?)
}

/// The index at `uri`, opened as it is.
pub async fn index(context: &Context, uri: &str, encoder: &Arc<Memory>) -> anyhow::Result<Index> {
    Ok(Index::open(uri, Arc::clone(encoder), context.config.index.clone()).await?)
}

/// A copy on this machine of an index in a bucket, to be read alone: a segment's searches read thousands of small pieces, each of
/// them a request to the bucket. `None` for any other, and where there is no room.
pub async fn index_copy(context: &Context) -> anyhow::Result<Option<TempDir>> {
    let config = &context.config;
    let Location::S3 { bucket, key } = Location::parse(&config.paths.index)? else { return Ok(None) };
    let no_room = |cause: &dyn std::fmt::Display| {
        tracing::warn!(%cause, "the index is read from its bucket, which is slower: it cannot be copied here");
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(cause) => {
            no_room(&cause);
            return Ok(None);
        }
    };
    match ingest::fetch_folder((&bucket, &key), &config.index.storage, folder.path()).await {
        Ok(files) => {
            tracing::info!(files, "the index is copied to this machine");
            Ok(Some(folder))
        }
        Err(cause @ IngestError::Write { .. }) => {
            no_room(&cause);
            Ok(None)
        }
        Err(cause) => Err(cause.into()),
    }
}

/// The work root.
pub async fn workspace(context: &Context) -> anyhow::Result<Workspace> {
    let Config { paths, publish, .. } = &context.config;
    Ok(Workspace::open(&paths.work, &paths.cache, publish).await?)
}

/// Brings the index up to the catalogue, and writes down that it was: one that is not behind costs a glance.
pub async fn refresh_index(
    index: &Index,
    (catalog, keywords): (&Catalog, &[Keyword]),
    (workspace, mark): (&Workspace, IndexMark),
    progress: &dyn Progress,
) -> anyhow::Result<UpdateReport> {
    progress.begin("index", "texts", 0);
    let report = index.update(keywords, catalog, &|texts| progress.advance(texts)).await?;
    progress.end("");
    if workspace.read::<IndexMark>(&workspace.index()).await? != Some(mark) {
        workspace.write(&workspace.index(), &mark).await?;
    }
    Ok(report)
}

/// Everything a night needs.
pub struct Loaded {
    pub tools: Tools,
    pub policy: TitlePolicy,
    /// Registry name → digest, of every model and adapter.
    pub models: BTreeMap<String, Digest>,
    /// Of the encoder's files.
    pub encoder: Digest,
}

/// `index_uri` is the config's, or its copy's.
pub async fn load(context: &Context, index_uri: &str, inputs: &Inputs) -> anyhow::Result<Loaded> {
    let (encoder, encoder_digest) = encoder(context)?;
    let Students { engine, themes, keywords: chooser, digests: mut models } = students(context)?;
    models.insert(context.config.models.encoder.clone(), encoder_digest);
    let relevance = relevance(context, encoder_digest)?;
    models.extend(relevance.as_ref().map(|(_, digest)| (context.config.models.relevance.clone(), *digest)));
    let relevance = relevance.map(|(model, _)| model);
    let index = index(context, index_uri, &encoder).await?;
    let policy = policy(context, &inputs.catalog, &inputs.keywords)?;
    let evaluator = Evaluator::new(&inputs.catalog);
    Ok(Loaded {
        tools: Tools { engine, themes, keywords: chooser, encoder, relevance, evaluator, index },
        policy,
        models,
        encoder: encoder_digest,
    })
}

/// Hands the encoder what the index keeps of its work: a shop's product types are seconds of it.
pub async fn recall(tools: &Tools) -> anyhow::Result<()> {
    tools.encoder.remember(tools.index.product_types().await?);
    Ok(())
}

/// The ranker that `rank.model` names, by which products are ordered instead of the purchase rates.
pub async fn ranker(context: &Context) -> anyhow::Result<Option<RankerModel>> {
    let model = context.config.rank.model.to_string_lossy();
    if model.is_empty() {
        return Ok(None);
    }
    Ok(Some(night::load_ranker(&model, &context.config.publish).await?))
}
