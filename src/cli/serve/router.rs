//! The addresses: the page, the published tree under its own keys, and private stories.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::domain::manifest::{StorefrontManifest, keys};
use crate::domain::{IdError, RunId, SegmentId};
use crate::publish::{self, Store};

use super::document::Document;
use super::reply::{Cacheable, Failure, weaken_compressed_tag};
use super::stories::{self, Stories};

/// Bodies from this size on are compressed, bytes: what CloudFront starts at.
const COMPRESS_FROM: u16 = 1000;

type Answer = Result<Response, Failure>;
type Asked<T> = Result<Path<T>, PathRejection>;

/// What the handlers share.
#[derive(Clone)]
pub struct ServeState(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    publish: publish::Settings,
    stories: Stories,
    document: Document,
}

impl ServeState {
    pub fn new(store: Arc<dyn Store>, publish: publish::Settings, stories: Stories) -> Self {
        let document = Document::new(&stories);
        Self(Arc::new(Shared { store, publish, stories, document }))
    }

    /// The published object at `key`, with the headers it is published with.
    async fn object(&self, key: &str, request: &HeaderMap) -> Answer {
        let Self(shared) = self;
        let object = shared.store.get(key).await?;
        let Some(object) = object else {
            return Err(Failure::NotFound(format!("{key} is not published")));
        };
        let cache_control = publish::cache_control(key, &shared.publish);
        Ok(Cacheable { bytes: object.bytes, content_type: "application/json", cache_control }.answer(request))
    }
}

/// Every address of `endcap serve`.
pub fn router(state: ServeState) -> Router {
    let mut router = Router::new()
        .route("/", get(page))
        .route("/current.json", get(current))
        .route("/runs/{run}/index.json", get(index))
        .route("/runs/{run}/segments/{file}", get(segment))
        .route("/healthz", get(|| async { "ok\n" }));
    if matches!(state.0.stories, Stories::Under(_)) {
        router = router.route("/api/story/{run}/{segment}", get(story));
    }
    router
        .fallback(|| async { Failure::NotFound("nothing is at this address".into()) })
        .method_not_allowed_fallback(|| async { Failure::Method })
        .with_state(state)
        .layer(CompressionLayer::new().br(true).gzip(true).compress_when(SizeAbove::new(COMPRESS_FROM)))
        .layer(map_response(weaken_compressed_tag))
        .layer(default_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(default_header(header::REFERRER_POLICY, "no-referrer"))
        .layer(default_header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(default_header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}

fn default_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn page(State(state): State<ServeState>, request: HeaderMap) -> impl IntoResponse {
    let Document { html, policy } = &state.0.document;
    let body = Cacheable {
        bytes: html.clone().into(),
        content_type: "text/html; charset=utf-8",
        cache_control: "no-cache".into(),
    };
    ([(header::CONTENT_SECURITY_POLICY, policy.clone())], body.answer(&request))
}

async fn current(State(state): State<ServeState>, request: HeaderMap) -> Answer {
    state.object(keys::CURRENT, &request).await
}

async fn index(State(state): State<ServeState>, run: Asked<RunId>, request: HeaderMap) -> Answer {
    let Path(run) = run?;
    state.object(&keys::index(&run), &request).await
}

/// `<segment_id>.json`
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct SegmentFile(SegmentId);

impl TryFrom<String> for SegmentFile {
    type Error = IdError;

    fn try_from(name: String) -> Result<Self, IdError> {
        SegmentId::parse(name.strip_suffix(".json").unwrap_or_default()).map(Self)
    }
}

async fn segment(
    State(state): State<ServeState>,
    address: Asked<(RunId, SegmentFile)>,
    request: HeaderMap,
) -> Answer {
    let Path((run, SegmentFile(segment))) = address?;
    state.object(&keys::segment(&run, &segment), &request).await
}

/// The story of a page as `run` shows it: the run's own or, for a page taken over from an earlier night, that night's.
async fn story(State(state): State<ServeState>, address: Asked<(RunId, SegmentId)>) -> Answer {
    let Path((run, segment)) = address?;
    let Shared { store, stories: Stories::Under(work), .. } = &*state.0 else {
        return Err(Failure::NotFound("stories are not shown".into()));
    };
    let mut story = stories::read(work, &run, &segment).await?;
    if story.is_none()
        && let Some(maker) = maker(&**store, &run, &segment).await?.filter(|maker| *maker != run)
    {
        story = stories::read(work, &maker, &segment).await?;
    }
    let missing = || Failure::NotFound(format!("no story of {segment} in run {run} is kept"));
    let about = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((about, story.ok_or_else(missing)?).into_response())
}

/// The run that made the page of `segment` in `run`.
async fn maker(store: &dyn Store, run: &RunId, segment: &SegmentId) -> Result<Option<RunId>, Failure> {
    let page = publish::read_page(store, run, segment).await?;
    let manifest = page.and_then(|page| serde_json::from_slice::<StorefrontManifest>(&page.bytes).ok());
    Ok(manifest.map(|manifest| manifest.run_id))
}
