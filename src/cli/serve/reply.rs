//! Answers as a CDN gives them: validators, conditional requests, and errors as small JSON.

use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use crate::domain::Digest;
use crate::publish::StoreError;

use super::stories::StoryError;

/// A body that clients may keep.
pub struct Cacheable {
    pub bytes: Bytes,
    pub content_type: &'static str,
    pub cache_control: String,
}

impl Cacheable {
    /// The body, or 304 where the client's copy is the same.
    pub fn answer(self, request: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", Digest::of(&self.bytes));
        let kept = [(header::CACHE_CONTROL, self.cache_control)];
        match matching_tag(request, &tag) {
            Some(tag) => (StatusCode::NOT_MODIFIED, kept, [(header::ETAG, tag)]).into_response(),
            None => {
                let about = [(header::ETAG, tag), (header::CONTENT_TYPE, self.content_type.to_owned())];
                (kept, about, self.bytes).into_response()
            }
        }
    }
}

/// The client's own form of `tag` (weak or strong) if `If-None-Match` names it: RFC 9110, section 13.1.2, compares weakly.
fn matching_tag(request: &HeaderMap, tag: &str) -> Option<String> {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|theirs| *theirs == "*" || theirs.strip_prefix("W/").unwrap_or(theirs) == tag)
        .map(|theirs| if theirs == "*" { tag.to_owned() } else { theirs.to_owned() })
}

/// A compressed body is another sequence of bytes: its tag becomes weak, as CDNs do it.
pub async fn weaken_compressed_tag(mut response: Response) -> Response {
    if response.headers().contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = response.headers().get(header::ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        response.headers_mut().insert(header::ETAG, weak);
    }
    response
}

/// What went wrong with a request; `{"error": …}` with its status.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    NotFound(String),
    #[error("this address takes GET and HEAD only")]
    Method,
    #[error("{}", .0.body_text())]
    Address(#[from] PathRejection),
    #[error("the store cannot be read; the server's log says why")]
    Store(#[from] StoreError),
    #[error("this page's story cannot be read; the server's log says why")]
    Story(#[from] StoryError),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Address(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::BAD_GATEWAY,
            Self::Story(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        match &self {
            Self::Store(error) => tracing::error!(%error, "store"),
            Self::Story(error) => tracing::error!(%error, "story"),
            Self::NotFound(_) | Self::Method | Self::Address(_) => {}
        }
        let about = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];
        (status, about, json!({ "error": self.to_string() }).to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))])
    }

    #[test]
    fn conditional_requests_compare_weakly() {
        for (value, answer) in [
            ("\"a\"", Some("\"a\"")),
            ("W/\"a\"", Some("W/\"a\"")),
            ("\"b\", W/\"a\"", Some("W/\"a\"")),
            ("*", Some("\"a\"")),
            ("\"b\"", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(matching_tag(&asked(value), "\"a\"").as_deref(), answer, "{value}");
        }
        assert_eq!(matching_tag(&HeaderMap::new(), "\"a\""), None);
    }
}
