//! What an S3 answer other than success means.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{Condition, Hint, StoreError};

/// The status and error code of a failed request; both empty where no answer came.
pub(super) struct Answer<'a> {
    status: Option<u16>,
    code: &'a str,
}

impl<'a> Answer<'a> {
    pub fn of<E: ProvideErrorMetadata>(error: &'a SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        Self { status, code: error.code().unwrap_or_default() }
    }

    /// A `HeadObject` answer has no body, hence no code.
    pub fn is_no_such_key(&self) -> bool {
        self.status == Some(404) && self.code != "NoSuchBucket"
    }

    /// Another conditional write of the key is under way.
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409) && matches!(self.code, "ConditionalRequestConflict" | "OperationAborted")
    }

    /// The bytes did not have the checksum sent with them.
    pub fn is_bad_checksum(&self) -> bool {
        matches!(self.code, "BadDigest" | "XAmzContentChecksumMismatch")
    }

    /// The condition did not hold. S3 answers 404 to `If-Match` on a key without an object.
    pub fn refuses(&self, condition: &Condition) -> bool {
        self.status == Some(412) || (matches!(condition, Condition::IfMatch(_)) && self.is_no_such_key())
    }

    fn hint(&self) -> Hint {
        Hint(match (self.status, self.code) {
            (_, "NoSuchBucket") => "create the bucket or correct the location",
            (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
                "set AWS_REGION to the bucket's region"
            }
            (Some(401 | 403), _) => "check the credentials; docs/publishing.md lists the permissions needed",
            (None, _) => "check the network, the AWS credentials, AWS_REGION and AWS_ENDPOINT_URL_S3",
            _ => "",
        })
    }
}

/// Builds the [`StoreError::Failed`] of one operation on one key.
#[derive(Clone, Copy)]
pub(super) struct Failure<'a> {
    pub store: &'a str,
    pub action: &'static str,
    pub key: &'a str,
}

impl Failure<'_> {
    pub fn of<E>(self, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        tracing::debug!(key = self.key, error = %DisplayErrorContext(&error), "S3 request failed");
        let answer = Answer::of(&error);
        let reason = match (answer.status, error.message()) {
            (Some(status), Some(message)) => format!("{} ({status}): {message}", answer.code),
            (Some(status), None) => format!("the server answered {status} {}", answer.code).trim_end().into(),
            (None, _) => innermost(&error),
        };
        self.failed(reason, answer.hint())
    }

    /// The connection broke while an object was being read.
    pub fn of_body(self, error: impl Error + 'static) -> StoreError {
        self.failed(innermost(&error), Hint("try again"))
    }

    pub fn of_build(self, error: impl Error) -> StoreError {
        self.failed(error.to_string(), Hint(""))
    }

    /// One key of a batch was not deleted.
    pub fn of_refused(self, refused: &aws_sdk_s3::types::Error) -> StoreError {
        let code = refused.code().unwrap_or("no error code");
        let reason = format!("{code}: {}", refused.message().unwrap_or("no message"));
        Failure { key: refused.key().unwrap_or(self.key), ..self }.failed(reason, Hint("sweep again"))
    }

    fn failed(self, reason: String, hint: Hint) -> StoreError {
        let (store, key) = (self.store.to_owned(), self.key.to_owned());
        StoreError::Failed { store, action: self.action, key, reason, hint }
    }
}

/// The cause at the end of the chain: what the SDK wraps says little.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
