//! What the operator chose: a TOML file over defaults, checked once. Also the only room that reads the environment
//! ([`env`]), the clock ([`clock`]) and what the process uses ([`process`]).
//!
//! Each room defines its own settings; this one composes them, resolves paths and checks the whole.

pub mod clock;
pub mod env;
mod nonce;
pub mod process;
pub mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::Digest;
use crate::lm::DeviceChoice;
use crate::{
    aiqa, distill, embed, fuse, index, ingest, keywords, lm, night, publish, rank, replay, themes, train,
    trees,
};

/// A config that cannot be used. The command line answers with exit code 64.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the config file {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a valid config: {source}", path = path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("the config cannot be read: {0}")]
    Fetch(Box<ingest::IngestError>),
    #[error("config [{section}]: {problem}")]
    Invalid { section: &'static str, problem: String },
    #[error("environment variable {name}={value:?}: {problem}")]
    Variable { name: &'static str, value: String, problem: String },
}

impl ConfigError {
    /// Whether the config's place could not be read for now: nothing is wrong with the config or the call.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.may_pass())
    }
}

/// All settings. Every key has a default, so an empty file is a valid config.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `auto` (CUDA if built in and present), `cpu` or `cuda`.
    pub device: DeviceChoice,
    pub paths: Paths,
    pub models: Models,
    pub themes: themes::Settings,
    pub keywords: keywords::Settings,
    pub decoder: lm::Settings,
    pub encoder: embed::Settings,
    pub index: index::Settings,
    pub aiqa: aiqa::Settings,
    pub relevance: trees::Growth,
    pub rank: rank::Settings,
    pub fuse: fuse::Settings,
    pub publish: publish::Settings,
    pub night: night::Settings,
    pub train: train::Settings,
    pub distill: distill::Settings,
    pub replay: replay::Settings,
}

/// Where things are. Relative paths are relative to the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Folder or `s3://bucket/prefix` with the five input tables and `merchandising.toml`.
    pub inputs: String,
    /// LanceDB: a folder or `s3://bucket/prefix`.
    pub index: String,
    /// The public root: a folder or `s3://bucket/prefix`.
    pub publish: String,
    /// The private root: checkpoints, stage caches, explain data. A folder or `s3://bucket/prefix`.
    pub work: String,
    /// Where answers are kept on this machine besides, if `work` is a bucket.
    pub cache: PathBuf,
    /// Where `report.json` of the latest night is written.
    pub report: PathBuf,
    /// Where `endcap replay` keeps each origin's inputs and index, and writes its report.
    pub replay: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            inputs: "out/inputs".into(),
            index: "out/index".into(),
            publish: "out/storefronts".into(),
            work: "out/work".into(),
            cache: "out/cache".into(),
            report: "out/report.json".into(),
            replay: "out/replay".into(),
        }
    }
}

impl Paths {
    /// The private root as a folder; `None` where it is a bucket.
    pub fn work_folder(&self) -> Option<&Path> {
        (!self.work.starts_with("s3://")).then(|| Path::new(&self.work))
    }
}

/// Which models, by their names in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    pub registry: PathBuf,
    /// The causal language model of both stages.
    pub student: String,
    /// What fine-tuning for stage 1 added to it; empty: nothing.
    pub themes_adapter: String,
    /// The same for stage 2.
    pub keywords_adapter: String,
    /// The sentence encoder of retrieval and AIQA.
    pub encoder: String,
    /// What stage 2's candidates are judged by beside the language model; empty: nothing learned.
    pub relevance: String,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            registry: "models/registry.toml".into(),
            student: "smollm2-135m-instruct".into(),
            themes_adapter: "smollm2-135m-themes".into(),
            keywords_adapter: "smollm2-135m-keywords".into(),
            encoder: "all-minilm-l6-v2".into(),
            relevance: "minilm-relevance".into(),
        }
    }
}

impl Config {
    /// Reads `place`, a file or `s3://bucket/key`, or takes the defaults where none is given; then applies the environment's
    /// overrides.
    pub async fn load(place: Option<&str>, variables: &env::Variables) -> Result<Self, ConfigError> {
        let mut config = match place {
            None => Self::default(),
            Some(place) => toml::from_str(&read(place).await?)
                .map_err(|source| ConfigError::Parse { path: place.into(), source: Box::new(source) })?,
        };
        variables.relocate(&mut config);
        if let Some(device) = variables.device()? {
            config.device = device;
        }
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let checks: [(&'static str, Result<(), String>); 14] = [
            ("themes", self.themes.validate()),
            ("keywords", self.keywords.validate()),
            ("decoder", self.decoder.validate()),
            ("encoder", self.encoder.validate()),
            ("index", self.index.validate()),
            ("aiqa", self.aiqa.validate()),
            ("relevance", self.relevance.validate()),
            ("rank", self.rank.validate()),
            ("fuse", self.fuse.validate()),
            ("publish", self.publish.validate()),
            ("night", self.night.validate()),
            ("train", self.train.validate()),
            ("distill", self.distill.validate()),
            ("replay", self.replay.validate()),
        ];
        for (section, check) in checks {
            check.map_err(|problem| ConfigError::Invalid { section, problem })?;
        }
        Ok(())
    }

    /// What a run is made of besides the inputs, with `models` by registry name.
    pub fn recipe(&self, models: BTreeMap<String, Digest>) -> night::Recipe {
        let templates = vec![self.themes.mode.version(), keywords::VERSION];
        night::Recipe { models, config: self.digest(), templates }
    }

    /// The stages' settings, as a night takes them.
    pub fn stages(&self) -> night::StageSettings<'_> {
        night::StageSettings {
            themes: &self.themes,
            keywords: &self.keywords,
            fuse: &self.fuse,
            publish: &self.publish,
            night: &self.night,
        }
    }

    /// Digest of every setting that can change a page's bytes: paths, publishing, the night's logistics and distillation are
    /// left out, so that moving a folder does not make a new run.
    pub fn digest(&self) -> Digest {
        let index = self.index.shaping();
        let shaping = (
            (&self.models.student, &self.models.encoder, self.device),
            (&self.models.themes_adapter, &self.models.keywords_adapter, &self.models.relevance),
            (&self.themes, &self.keywords, &self.encoder, &index),
            (&self.aiqa, self.rank.shaping(), &self.fuse),
            self.night.shaping(),
        );
        // Serialising plain settings to a JSON value cannot fail: no map has a key that is not text.
        Digest::of(serde_json::to_string(&shaping).unwrap_or_default().as_bytes())
    }

    /// Digest of every setting that can change what the cascade offers fusion: those of [`Config::digest`] without ranking and
    /// fusion.
    pub fn cascade_digest(&self) -> Digest {
        let index = self.index.shaping();
        let shaping = (
            (&self.models.student, &self.models.encoder, self.device),
            (&self.models.themes_adapter, &self.models.keywords_adapter, &self.models.relevance),
            (&self.themes, &self.keywords, &self.encoder, &index, &self.aiqa),
            self.night.shaping(),
        );
        // As in `digest`.
        Digest::of(serde_json::to_string(&shaping).unwrap_or_default().as_bytes())
    }
}

async fn read(place: &str) -> Result<String, ConfigError> {
    if !place.starts_with("s3://") {
        return std::fs::read_to_string(place)
            .map_err(|source| ConfigError::Read { path: place.into(), source });
    }
    let fetched = async { ingest::fetch(&ingest::Location::parse(place)?).await?.text().map(str::to_owned) };
    fetched.await.map_err(|source| ConfigError::Fetch(Box::new(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<Config>("[paths]\nimputs = \"x\"").expect_err("typo");
        assert!(error.to_string().contains("imputs"), "{error}");
    }

    #[test]
    fn moving_a_folder_is_not_a_new_run() {
        let mut moved = Config::default();
        moved.paths.publish = "elsewhere".into();
        assert_eq!(moved.digest(), Config::default().digest());
        moved.night.seed += 1;
        assert_ne!(moved.digest(), Config::default().digest());
    }

    #[test]
    fn other_weights_of_fusion_ask_the_models_for_nothing_new() {
        let mut tuned = Config::default();
        tuned.fuse.ranker_weight = 2.0;
        assert_eq!(tuned.cascade_digest(), Config::default().cascade_digest());
        assert_ne!(tuned.digest(), Config::default().digest());
        tuned.aiqa.min_keywords += 1;
        assert_ne!(tuned.cascade_digest(), Config::default().cascade_digest());
    }

    #[test]
    fn the_defaults_hold() {
        Config::default().validate().expect("defaults are valid");
    }
}
