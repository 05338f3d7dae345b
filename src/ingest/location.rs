//! Where an input lies, and fetching it whole.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};

use super::IngestError;
use crate::domain::Digest;

/// A local path or an S3 object or prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Local(PathBuf),
    S3 { bucket: String, key: String },
}

impl Location {
    /// Reads `dir/file`, `file:///dir/file` or `s3://bucket/key`.
    pub fn parse(text: &str) -> Result<Self, IngestError> {
        let refuse = |problem: &str| IngestError::Location { text: text.into(), problem: problem.into() };
        match text.split_once("://") {
            None if text.is_empty() => Err(refuse("it is empty")),
            None => Ok(Self::Local(text.into())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Local(path.into())),
            Some(("file", _)) => Err(refuse("a file URL needs three slashes: file:///folder/file")),
            Some(("s3", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(refuse("the bucket is missing: s3://bucket/key"));
                }
                Ok(Self::S3 { bucket: bucket.into(), key: key.trim_matches('/').into() })
            }
            Some((scheme, _)) => {
                Err(refuse(&format!("{scheme}:// is not known; use a path, file:// or s3://")))
            }
        }
    }

    /// The file or object `name` in this folder or prefix.
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Local(folder) => Self::Local(folder.join(name)),
            Self::S3 { bucket, key } if key.is_empty() => {
                Self::S3 { bucket: bucket.clone(), key: name.into() }
            }
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: format!("{key}/{name}") },
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

impl FromStr for Location {
    type Err = IngestError;
    fn from_str(text: &str) -> Result<Self, IngestError> {
        Self::parse(text)
    }
}

/// The bytes of one input, with the name that messages use and the digest that stands for it.
#[derive(Debug, Clone)]
pub struct TableFile {
    name: String,
    bytes: Bytes,
    digest: Digest,
}

impl TableFile {
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { name: name.into(), digest: Digest::of(&bytes), bytes }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The content as text, for `merchandising.toml`.
    pub fn text(&self) -> Result<&str, IngestError> {
        std::str::from_utf8(&self.bytes).map_err(|_| IngestError::NotText { file: self.name.clone() })
    }
}

/// Reads a file or object whole. S3 credentials, region and endpoint come from the AWS environment chain.
pub async fn fetch(location: &Location) -> Result<TableFile, IngestError> {
    let bytes = match location {
        Location::Local(path) => tokio::fs::read(path).await.map(Bytes::from).map_err(Into::into),
        Location::S3 { bucket, key } => fetch_object(bucket, key).await.map_err(Into::into),
    };
    match bytes {
        Ok(bytes) => Ok(TableFile::new(location.to_string(), bytes)),
        Err(source) => Err(IngestError::Read { file: location.to_string(), source }),
    }
}

async fn fetch_object(bucket: &str, key: &str) -> object_store::Result<Bytes> {
    let path = object_store::path::Path::parse(key)?;
    open(bucket, &BTreeMap::new())?.get(&path).await?.bytes().await
}

/// A bucket as the AWS environment chain has it; `options` (`aws_region`, `allow_http` …) come before that.
pub(super) fn open(bucket: &str, options: &BTreeMap<String, String>) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    for (key, value) in options {
        // What is not the store's is LanceDB's.
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    // An endpoint that says http:// means it, as it does to the AWS SDK.
    let endpoints = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoints.iter().find_map(|key| builder.get_config_value(key));
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if plain { builder.with_allow_http(true).build() } else { builder.build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings_of_a_place() {
        let s3 = |bucket: &str, key: &str| Location::S3 { bucket: bucket.into(), key: key.into() };
        for (text, location) in [
            ("out/inputs", Location::Local("out/inputs".into())),
            ("file:///data/x.parquet", Location::Local("/data/x.parquet".into())),
            ("s3://shop/night/", s3("shop", "night")),
            ("s3://shop", s3("shop", "")),
        ] {
            assert_eq!(Location::parse(text).expect("location"), location);
        }
        for bad in ["", "s3:///key", "https://example.org/x", "file://relative"] {
            assert!(Location::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn joining_keeps_the_kind_of_place() {
        let joined = |text: &str| Location::parse(text).expect("location").join("a.parquet").to_string();
        assert_eq!(joined("in"), "in/a.parquet");
        assert_eq!(joined("s3://shop"), "s3://shop/a.parquet");
        assert_eq!(joined("s3://shop/night/"), "s3://shop/night/a.parquet");
    }
}
