//! Every environment variable `endcap` reads, in one place.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `ENDCAP_CONFIG` | config file, where `--config` is not given |
//! | `ENDCAP_DEVICE` | `auto`, `cpu` or `cuda`; over the config's `device` |
//! | `ENDCAP_LOG` | log filter, as `tracing` reads it (`info`, `endcap=debug`) |
//! | `ENDCAP_NOW` | RFC 3339 time used in place of the clock, to reproduce a night |
//! | `ENDCAP_SITE_PACKAGES` | Python `site-packages` that carry models and data; over the project's `.venv` |
//! | `ENDCAP_TEACHER_KEY` | key of the teacher's endpoint, sent as `Authorization: Bearer`; never logged |
//! | `ENDCAP_TEACHER_URL` | base of an OpenAI-compatible endpoint, such as `https://host/v1` |
//! | `HF_HOME` | Hugging Face cache, for registry entries of that kind |
//!
//! The AWS SDK reads its own (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, credentials …).

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::ConfigError;
use crate::distill::client::Key;
use crate::lm::DeviceChoice;

/// The environment, read once at start.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    pub config: Option<PathBuf>,
    pub log: Option<String>,
    site_packages: Option<PathBuf>,
    hf_home: Option<PathBuf>,
    device: Option<String>,
    now: Option<String>,
    teacher_url: Option<String>,
    teacher_key: Option<Key>,
}

impl Variables {
    pub fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            config: text("ENDCAP_CONFIG").map(PathBuf::from),
            log: text("ENDCAP_LOG"),
            site_packages: text("ENDCAP_SITE_PACKAGES").map(PathBuf::from),
            hf_home: text("HF_HOME").map(PathBuf::from),
            device: text("ENDCAP_DEVICE"),
            now: text("ENDCAP_NOW"),
            teacher_url: text("ENDCAP_TEACHER_URL"),
            teacher_key: text("ENDCAP_TEACHER_KEY").map(Key::new),
        }
    }

    pub(super) fn device(&self) -> Result<Option<DeviceChoice>, ConfigError> {
        let Some(value) = &self.device else { return Ok(None) };
        let parsed = DeviceChoice::parse(value);
        parsed.map(Some).ok_or_else(|| ConfigError::Variable {
            name: "ENDCAP_DEVICE",
            value: value.clone(),
            problem: "expected auto, cpu or cuda".into(),
        })
    }

    /// The fixed time of `ENDCAP_NOW`.
    pub fn now(&self) -> Result<Option<DateTime<Utc>>, ConfigError> {
        let Some(value) = &self.now else { return Ok(None) };
        let parsed = DateTime::parse_from_rfc3339(value).map_err(|error| ConfigError::Variable {
            name: "ENDCAP_NOW",
            value: value.clone(),
            problem: format!("expected a time such as 2017-11-20T02:00:00Z ({error})"),
        })?;
        Ok(Some(parsed.with_timezone(&Utc)))
    }

    /// Folders that may hold installed Python packages, first match wins.
    pub fn site_packages(&self, project: &Path) -> Vec<PathBuf> {
        if let Some(given) = &self.site_packages {
            return vec![given.clone()];
        }
        let Ok(entries) = std::fs::read_dir(project.join(".venv/lib")) else { return Vec::new() };
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path().join("site-packages"))
            .filter(|path| path.is_dir())
            .collect();
        found.sort();
        found
    }

    /// Base of the teacher's endpoint.
    pub fn teacher_url(&self) -> Option<&str> {
        self.teacher_url.as_deref()
    }

    pub fn teacher_key(&self) -> Option<Key> {
        self.teacher_key.clone()
    }

    pub fn hf_home(&self) -> Option<&Path> {
        self.hf_home.as_deref()
    }
}
