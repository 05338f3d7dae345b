//! A night without models: inputs, title rules, what a run is made of, and the two roots.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aiqa::{TitlePolicy, Vocabulary};
use crate::config::Config;
use crate::config::registry::{Kind, Registry, RegistryError};
use crate::domain::Digest;
use crate::night::{self, Inputs, Night, PageKeys, Plan, Quiet, Recipe, Workspace};
use crate::publish::{self, Store};

use super::{Host, LambdaError};

/// The registry this binary was built with, for a function that is deployed without one beside it.
const BUILT_IN: &str = include_str!("../../models/registry.toml");

pub struct Opened {
    pub inputs: Inputs,
    pub policy: TitlePolicy,
    pub recipe: Recipe,
    pub workspace: Workspace,
    pub store: Arc<dyn Store>,
}

impl Opened {
    /// Reads the inputs; `with_history` also what the interactions say, which a page that must be made here needs.
    pub async fn new(host: &Host, with_history: bool) -> Result<Self, LambdaError> {
        let config = &host.config;
        let (from, today) = (&config.paths.inputs, host.clock.now().date_naive());
        let inputs = match with_history {
            true => Inputs::load(from, &config.rank, today).await?,
            false => Inputs::load_without_history(from, &config.rank, today).await?,
        };
        let policy = TitlePolicy::new(&config.aiqa, Vocabulary::of_shop(&inputs.catalog, &inputs.keywords))?;
        let recipe = config.recipe(models(config).await?);
        Ok(Self { inputs, policy, recipe, workspace: workspace(config).await?, store: store(config).await? })
    }

    pub fn keys(&self, config: &Config) -> PageKeys<'_> {
        PageKeys::new(&self.inputs, &self.recipe, &self.policy, (&config.fuse, &config.night))
    }

    pub fn night<'a>(&'a self, config: &'a Config, plan: &'a Plan) -> Night<'a> {
        Night {
            inputs: &self.inputs,
            policy: &self.policy,
            settings: config.stages(),
            plan,
            recipe: &self.recipe,
            workspace: &self.workspace,
            progress: Arc::new(Quiet),
        }
    }
}

pub async fn workspace(config: &Config) -> Result<Workspace, LambdaError> {
    Ok(Workspace::open(&config.paths.work, &config.paths.cache, &config.publish).await?)
}

pub async fn store(config: &Config) -> Result<Arc<dyn Store>, LambdaError> {
    Ok(publish::open(&config.paths.publish, &config.publish).await?)
}

/// Digest of every model by what the registry pins: a worker, which has the files, checks them and makes the same run of them.
async fn models(config: &Config) -> Result<BTreeMap<String, Digest>, LambdaError> {
    let registry = registry(config)?;
    let models = &config.models;
    let named = [
        (&models.student, Kind::CausalLm),
        (&models.themes_adapter, Kind::Lora),
        (&models.keywords_adapter, Kind::Lora),
        (&models.encoder, Kind::Encoder),
        (&models.relevance, Kind::Relevance),
    ];
    let mut digests = BTreeMap::new();
    for (name, kind) in named.into_iter().filter(|(name, _)| !name.is_empty()) {
        digests.insert(name.clone(), registry.pinned(name, kind)?);
    }
    if !config.rank.model.as_os_str().is_empty() {
        let place = config.rank.model.to_string_lossy();
        digests.insert("ranker".into(), night::load_ranker(&place, &config.publish).await?.digest());
    }
    Ok(digests)
}

/// Digest of the encoder, as an index is marked with it.
pub fn encoder(config: &Config) -> Result<Digest, LambdaError> {
    Ok(registry(config)?.pinned(&config.models.encoder, Kind::Encoder)?)
}

fn registry(config: &Config) -> Result<Registry, RegistryError> {
    match Registry::load(&config.models.registry) {
        Err(RegistryError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Registry::parse(&config.models.registry, BUILT_IN)
        }
        found => found,
    }
}
