//! A published tree in an S3 bucket.
//!
//! Conditions travel as `If-None-Match: *` and `If-Match`; S3 answers 412 where they do not hold. A 409 means that another
//! conditional write of the key was under way and nobody knows yet who wins: the same request is sent again. Every upload
//! carries its SHA-256, which S3 checks and keeps, so that a later `HeadObject` proves an object without fetching it; the
//! answer to the upload repeats it, so that the answer's ETag in a listing proves the object too, a thousand at a time.
//! Requests that fail on the way are retried by the SDK (standard mode, `AWS_MAX_ATTEMPTS`), which also corrects the clock that it
//! signs with where S3 says that it is off. The SDK's part ends with an answer's head: an object whose body breaks off or stalls
//! is asked for again here.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, ObjectIdentifier};
use bytes::Bytes;

use super::s3_error::{Answer, Failure};
use super::store::{CONTENT_TYPE, check_folder, check_key};
use super::{Condition, ETag, Listed, Listing, Object, ObjectHead, PutOptions, Store, StoreError, Written};
use crate::domain::Digest;

/// How often a write that met a 409 is sent, and the first pause; each later pause is twice as long.
const CONFLICT_ATTEMPTS: u32 = 8;
const CONFLICT_PAUSE: Duration = Duration::from_millis(25);

/// How often an object is asked for whose body breaks off, and the first pause; each later pause is twice as long.
const BODY_ATTEMPTS: u32 = 4;
const BODY_PAUSE: Duration = Duration::from_millis(100);

/// Keys that one `DeleteObjects` takes.
const DELETE_BATCH: usize = 1000;

/// A bucket, or a prefix of one, as a store.
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
    location: String,
}

impl S3Store {
    /// `prefix` is empty or a key, without a slash at its end.
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Result<Self, StoreError> {
        let location = format!("s3://{bucket}/{prefix}");
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            check_key(prefix)?;
            format!("{prefix}/")
        };
        Ok(Self { client, bucket: bucket.into(), prefix, location })
    }

    fn full(&self, key: &str) -> Result<String, StoreError> {
        check_key(key)?;
        Ok(format!("{}{key}", self.prefix))
    }

    fn put_request(
        &self,
        key: &str,
        bytes: Bytes,
        options: &PutOptions,
    ) -> Result<PutObjectFluentBuilder, StoreError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key)?)
            .content_type(CONTENT_TYPE)
            .cache_control(&options.cache_control)
            .checksum_sha256(base64(options.sha256.as_bytes()))
            .body(ByteStream::from(bytes));
        Ok(match &options.condition {
            Condition::Any => request,
            Condition::IfAbsent => request.if_none_match("*"),
            Condition::IfMatch(ETag(etag)) => request.if_match(etag),
        })
    }

    fn failure<'a>(&'a self, action: &'static str, key: &'a str) -> Failure<'a> {
        Failure { store: &self.location, action, key }
    }

    fn precondition(&self, key: &str) -> StoreError {
        StoreError::Precondition { store: self.location.clone(), key: key.into() }
    }
}

#[async_trait]
impl Store for S3Store {
    fn location(&self) -> &str {
        &self.location
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let failure = self.failure("read", key);
        let mut attempt = 0;
        loop {
            let request = self.client.get_object().bucket(&self.bucket).key(self.full(key)?);
            let answer = match request.checksum_mode(ChecksumMode::Enabled).send().await {
                Ok(answer) => answer,
                Err(error) if Answer::of(&error).is_no_such_key() => return Ok(None),
                Err(error) => return Err(failure.of(error)),
            };
            let etag = ETag(answer.e_tag.unwrap_or_default());
            let error = match answer.body.collect().await {
                Ok(body) => return Ok(Some(Object { bytes: body.into_bytes(), etag })),
                Err(error) => error,
            };
            attempt += 1;
            if attempt == BODY_ATTEMPTS {
                return Err(failure.of_body(error));
            }
            tracing::debug!(key, attempt, %error, "an object's body broke off, asked for again");
            tokio::time::sleep(BODY_PAUSE * 2u32.pow(attempt - 1)).await;
        }
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, StoreError> {
        let request = self.client.head_object().bucket(&self.bucket).key(self.full(key)?);
        match request.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(answer) => Ok(Some(ObjectHead {
                size: answer.content_length().and_then(|size| size.try_into().ok()).unwrap_or_default(),
                sha256: answer.checksum_sha256().and_then(digest_of_base64),
                etag: ETag(answer.e_tag.unwrap_or_default()),
            })),
            Err(error) if Answer::of(&error).is_no_such_key() => Ok(None),
            Err(error) => Err(self.failure("look at", key).of(error)),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let mut attempt = 0;
        loop {
            let request = self.put_request(key, bytes.clone(), options)?;
            let error = match request.send().await {
                Ok(answer) => {
                    let kept = answer.checksum_sha256().and_then(digest_of_base64);
                    let vouched = kept == Some(options.sha256);
                    return Ok(Written { etag: ETag(answer.e_tag.unwrap_or_default()), vouched });
                }
                Err(error) => error,
            };
            let answer = Answer::of(&error);
            attempt += 1;
            if answer.is_conflict() && attempt < CONFLICT_ATTEMPTS {
                tracing::debug!(
                    key,
                    attempt,
                    request_id = error.request_id(),
                    "conflicting write, sent again"
                );
                tokio::time::sleep(CONFLICT_PAUSE * 2u32.pow(attempt - 1)).await;
            } else if answer.is_bad_checksum() {
                let (store, key) = (self.location.clone(), key.to_owned());
                let found = Digest::of(&bytes);
                return Err(StoreError::Checksum { store, key, expected: options.sha256, found });
            } else if answer.refuses(&options.condition) {
                return Err(self.precondition(key));
            } else {
                return Err(self.failure("write", key).of(error));
            }
        }
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let request = self
            .client
            .copy_object()
            .bucket(&self.bucket)
            .copy_source(format!("{}/{}", self.bucket, self.full(from)?))
            .key(self.full(to)?)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .if_none_match("*");
        let Err(error) = request.send().await else { return Ok(()) };
        let answer = Answer::of(&error);
        if answer.is_no_such_key() {
            Err(StoreError::NotFound { store: self.location.clone(), key: from.into() })
        } else if answer.refuses(&Condition::IfAbsent) || answer.is_conflict() {
            Err(self.precondition(to))
        } else {
            Err(self.failure("copy to", to).of(error))
        }
    }

    async fn list_part(&self, prefix: &str, next: Option<String>) -> Result<Listing, StoreError> {
        check_folder(prefix)?;
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let request = request.prefix(format!("{}{prefix}", self.prefix)).set_continuation_token(next);
        let answer = request.send().await.map_err(|error| self.failure("list", prefix).of(error))?;
        let next = answer.next_continuation_token.filter(|token| !token.is_empty());
        let listed = |object: aws_sdk_s3::types::Object| {
            let key = object.key?.strip_prefix(&self.prefix)?.to_owned();
            Some(Listed { key, etag: object.e_tag.map(ETag) })
        };
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(listed).collect();
        Ok(Listing { objects, next })
    }

    async fn children(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        check_folder(prefix)?;
        let folder = format!("{}{prefix}", self.prefix);
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let mut pages = request.prefix(&folder).delimiter("/").into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failure("list", prefix).of(error))?;
            let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
            let child = |path: &str| Some(path.strip_prefix(&folder)?.strip_suffix('/')?.to_owned());
            names.extend(folders.filter_map(child));
        }
        names.sort();
        Ok(names)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for batch in keys.chunks(DELETE_BATCH) {
            let first = batch.first().map_or("", String::as_str);
            let failure = self.failure("delete", first);
            let mut delete = Delete::builder().quiet(true);
            for key in batch {
                let object = ObjectIdentifier::builder().key(self.full(key)?).build();
                delete = delete.objects(object.map_err(|error| failure.of_build(error))?);
            }
            let delete = delete.build().map_err(|error| failure.of_build(error))?;
            let request = self.client.delete_objects().bucket(&self.bucket).delete(delete);
            let answer = request.send().await.map_err(|error| failure.of(error))?;
            if let Some(refused) = answer.errors().first() {
                return Err(failure.of_refused(refused));
            }
        }
        Ok(())
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 base64, padded: the form of S3's checksum headers.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, byte| (group << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(BASE64[sextet as usize]) } else { '=' });
        }
    }
    text
}

/// The digest of a checksum header; `None` for the "-N" composites of multipart uploads, which hash parts.
fn digest_of_base64(text: &str) -> Option<Digest> {
    let sextets = text.strip_suffix('=')?.bytes().map(|c| BASE64.iter().position(|known| *known == c));
    let bits = sextets.collect::<Option<Vec<usize>>>()?;
    let mut bytes = Vec::with_capacity(33);
    for group in bits.chunks(4) {
        let word = group.iter().fold(0usize, |word, sextet| (word << 6) | sextet) << (6 * (4 - group.len()));
        bytes.extend(
            [word >> 16, word >> 8, word]
                .map(|byte| (byte & 0xff) as u8)
                .into_iter()
                .take(group.len() * 6 / 8),
        );
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::parse(&hex).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    proptest! {
        #[test]
        fn checksum_headers_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let digest = Digest::of(&bytes);
            prop_assert_eq!(digest_of_base64(&base64(digest.as_bytes())), Some(digest));
        }
    }

    #[test]
    fn a_composite_checksum_is_no_digest() {
        let whole = base64(Digest::of(b"x").as_bytes());
        assert_eq!(digest_of_base64(&format!("{whole}-2")), None);
        assert_eq!(digest_of_base64(""), None);
        assert_eq!(digest_of_base64("Zm8="), None);
    }
}
