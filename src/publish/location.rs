//! From a location in the configuration to a store.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::config::timeout::TimeoutConfig;

use super::{FsStore, S3Store, Settings, Store, StoreError};

/// Opens the store at `location`: a directory, `file:///directory` or `s3://bucket/prefix`. Nothing is created or sent
/// before it is used.
///
/// For S3 the AWS SDK finds credentials, region and endpoint as every AWS tool does (`AWS_PROFILE`, `AWS_REGION`,
/// `AWS_ENDPOINT_URL_S3` and the rest).
pub async fn open(location: &str, settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    let store: Arc<dyn Store> = match Location::parse(location)? {
        Location::Directory(path) => Arc::new(FsStore::new(path)),
        Location::S3 { bucket, prefix } => {
            let shared = aws_config::load_defaults(BehaviorVersion::latest()).await;
            let timeouts =
                shared.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
            let patience = Duration::from_secs(settings.request_timeout_seconds.into());
            let timeouts = timeouts.operation_attempt_timeout(patience).build();
            let mut config = aws_sdk_s3::config::Builder::from(&shared).timeout_config(timeouts);
            // The SDK's own default depends on the endpoint; only ever ask for more.
            if settings.s3_force_path_style {
                config = config.force_path_style(true);
            }
            Arc::new(S3Store::new(aws_sdk_s3::Client::from_conf(config.build()), bucket, prefix)?)
        }
    };
    Ok(store)
}

#[derive(Debug, PartialEq, Eq)]
enum Location<'a> {
    Directory(&'a str),
    S3 { bucket: &'a str, prefix: &'a str },
}

impl<'a> Location<'a> {
    fn parse(location: &'a str) -> Result<Self, StoreError> {
        let bad = |reason| Err(StoreError::Location { location: location.into(), reason });
        match location.split_once("://") {
            None if location.is_empty() => bad("it is empty"),
            None => Ok(Self::Directory(location)),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Directory(path)),
            Some(("file", _)) => bad("a file:// location needs an absolute path"),
            Some(("s3", path)) => {
                let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
                if is_bucket(bucket) {
                    Ok(Self::S3 { bucket, prefix: prefix.trim_end_matches('/') })
                } else {
                    bad("a bucket name has 3 to 63 of a-z, 0-9, '-' and '.'")
                }
            }
            Some(_) => bad("its scheme is not known"),
        }
    }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let s3 = |bucket, prefix| Location::S3 { bucket, prefix };
        for (text, location) in [
            ("out/storefronts", Location::Directory("out/storefronts")),
            ("/srv/pages", Location::Directory("/srv/pages")),
            ("file:///srv/pages", Location::Directory("/srv/pages")),
            ("s3://shop", s3("shop", "")),
            ("s3://shop/", s3("shop", "")),
            ("s3://shop/a/b/", s3("shop", "a/b")),
        ] {
            assert_eq!(Location::parse(text).expect(text), location);
        }
    }

    #[test]
    fn what_is_not_a_location_says_why() {
        for (text, reason) in [
            ("", "empty"),
            ("file://srv", "absolute"),
            ("https://shop", "scheme"),
            ("s3://", "bucket name"),
            ("s3://Shop/x", "bucket name"),
        ] {
            let message = Location::parse(text).expect_err(text).to_string();
            assert!(message.contains(reason) && message.contains("s3://bucket/prefix"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_prefix_is_checked_like_a_key() {
        let error = open("s3://shop/../other", &Settings::default()).await.err().expect("refused");
        assert!(matches!(error, StoreError::BadKey { .. }), "{error}");
    }
}
