//! Every environment variable `endcap` reads, in one place.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `AWS_BATCH_JOB_ARRAY_INDEX` | which shard `endcap work` computes; set by AWS Batch |
//! | `ENDCAP_CACHE` | local folder of answers; over `paths.cache` |
//! | `ENDCAP_CONFIG` | config file or `s3://bucket/key`, where `--config` is not given |
//! | `ENDCAP_DEPLOYMENT` | a name that metrics carry as the dimension `Deployment` |
//! | `ENDCAP_DEVICE` | `auto`, `cpu` or `cuda`; over the config's `device` |
//! | `ENDCAP_EDGE_STORE` | ARN of the CloudFront KeyValueStore that follows the pointer; over `publish.edge_store` |
//! | `ENDCAP_INDEX`, `ENDCAP_INPUTS`, `ENDCAP_PUBLISH`, `ENDCAP_WORK` | over the same names of `[paths]` |
//! | `ENDCAP_LOG` | log filter, as `tracing` reads it (`info`, `endcap=debug`) |
//! | `ENDCAP_LOG_FORMAT` | `text` or `json`: one object a line |
//! | `ENDCAP_NOW` | RFC 3339 time used in place of the clock, to reproduce a night |
//! | `ENDCAP_SITE_PACKAGES` | Python `site-packages` that carry models and data; over the project's `.venv` |
//! | `ENDCAP_TEACHER_KEY` | key of the teacher's endpoint, sent as `Authorization: Bearer`; never logged |
//! | `ENDCAP_TEACHER_URL` | base of an OpenAI-compatible endpoint, such as `https://host/v1` |
//! | `HF_HOME` | Hugging Face cache, for registry entries of that kind |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | base of an OpenTelemetry collector that takes OTLP over HTTP; unset: no traces |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `name=value,…` sent to it, values percent-encoded; never logged |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_HEADERS` | the same for traces alone: the whole address |
//! | `OTEL_SERVICE_NAME` | name of the service in traces |
//!
//! The AWS SDK reads its own (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, credentials …).

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Config, ConfigError, clock, nonce};
use crate::distill::client::Key;
use crate::lm::DeviceChoice;
use crate::trace;

/// The environment, read once at start.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// A file or `s3://bucket/key`.
    pub config: Option<String>,
    pub log: Option<String>,
    /// What metrics are told apart by.
    pub deployment: Option<String>,
    log_format: Option<String>,
    array_index: Option<String>,
    places: Places,
    edge_store: Option<String>,
    site_packages: Option<PathBuf>,
    hf_home: Option<PathBuf>,
    device: Option<String>,
    now: Option<String>,
    teacher_url: Option<String>,
    teacher_key: Option<Key>,
    collector: Collector,
}

/// Where traces go.
#[derive(Debug, Clone, Default)]
struct Collector {
    url: Option<String>,
    headers: trace::Headers,
    service: Option<String>,
}

/// Locations over those of the config.
#[derive(Debug, Clone, Default)]
struct Places {
    inputs: Option<String>,
    index: Option<String>,
    publish: Option<String>,
    work: Option<String>,
    cache: Option<String>,
}

impl Variables {
    pub fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            config: text("ENDCAP_CONFIG"),
            log: text("ENDCAP_LOG"),
            deployment: text("ENDCAP_DEPLOYMENT"),
            log_format: text("ENDCAP_LOG_FORMAT"),
            array_index: text("AWS_BATCH_JOB_ARRAY_INDEX"),
            places: Places {
                inputs: text("ENDCAP_INPUTS"),
                index: text("ENDCAP_INDEX"),
                publish: text("ENDCAP_PUBLISH"),
                work: text("ENDCAP_WORK"),
                cache: text("ENDCAP_CACHE"),
            },
            edge_store: text("ENDCAP_EDGE_STORE"),
            site_packages: text("ENDCAP_SITE_PACKAGES").map(PathBuf::from),
            hf_home: text("HF_HOME").map(PathBuf::from),
            device: text("ENDCAP_DEVICE"),
            now: text("ENDCAP_NOW"),
            teacher_url: text("ENDCAP_TEACHER_URL"),
            teacher_key: text("ENDCAP_TEACHER_KEY").map(Key::new),
            collector: Collector {
                url: text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
                    .or_else(|| text("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| trace::traces_of(&base))),
                headers: text("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
                    .or_else(|| text("OTEL_EXPORTER_OTLP_HEADERS"))
                    .map(|headers| trace::Headers::parse(&headers))
                    .unwrap_or_default(),
                service: text("OTEL_SERVICE_NAME"),
            },
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

    /// Puts the environment's locations in the place of the config's.
    pub(super) fn relocate(&self, config: &mut Config) {
        let Places { inputs, index, publish, work, cache } = &self.places;
        let paths = &mut config.paths;
        let over = [
            (&mut paths.inputs, inputs),
            (&mut paths.index, index),
            (&mut paths.publish, publish),
            (&mut paths.work, work),
            (&mut config.publish.edge_store, &self.edge_store),
        ];
        for (place, given) in over {
            if let Some(given) = given {
                place.clone_from(given);
            }
        }
        if let Some(cache) = cache {
            paths.cache = cache.into();
        }
    }

    /// Whether logs are JSON.
    pub fn logs_json(&self) -> Result<bool, ConfigError> {
        match self.log_format.as_deref() {
            None | Some("text") => Ok(false),
            Some("json") => Ok(true),
            Some(value) => Err(ConfigError::Variable {
                name: "ENDCAP_LOG_FORMAT",
                value: value.into(),
                problem: "expected text or json".into(),
            }),
        }
    }

    /// Which child of an array job this is.
    pub fn array_index(&self) -> Result<Option<usize>, ConfigError> {
        let Some(value) = &self.array_index else { return Ok(None) };
        let parsed = value.parse().map_err(|_| ConfigError::Variable {
            name: "AWS_BATCH_JOB_ARRAY_INDEX",
            value: value.clone(),
            problem: "expected a number".into(),
        })?;
        Ok(Some(parsed))
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

    /// Where traces go; `None` where no collector is named.
    pub fn traces(&self) -> Option<trace::Settings> {
        let Collector { url, headers, service } = self.collector.clone();
        Some(trace::Settings {
            url: url?,
            headers,
            service: service.unwrap_or_else(|| "endcap".into()),
            deployment: self.deployment.clone(),
            source: trace::Source { now: clock::unix_nanos, nonce: nonce::of_process() },
        })
    }

    pub fn hf_home(&self) -> Option<&Path> {
        self.hf_home.as_deref()
    }
}
