//! The published contracts: the storefront manifest, a run's index and the pointer. Grows by optional fields only.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stage::Source;
use super::{ArmId, Digest, PlacementId, ProductId, RunId, SegmentId};

mod variants;

pub use variants::{Variant, VariantError, Variants};

/// Version of [`StorefrontManifest`].
pub const STOREFRONT_SCHEMA: &str = "endcap.storefront/v1";

/// One segment's storefront page, as a CDN serves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "endcap.storefront/v1")]
pub struct StorefrontManifest {
    /// Always `endcap.storefront/v1`.
    pub schema: String,
    pub segment_id: SegmentId,
    /// The run that made this page; a reused or carried-over page keeps it.
    pub run_id: RunId,
    /// The page's features use nothing from on or after this date.
    pub as_of: NaiveDate,
    pub generated_at: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    /// How the page was made.
    pub source: Source,
    /// In page order. Whoever is in no arm of `variants` sees these.
    pub placements: Vec<ManifestPlacement>,
    /// Other pages for arms of an experiment; absent without one.
    #[serde(default, skip_serializing_if = "Variants::is_empty")]
    pub variants: Variants,
    pub provenance: Provenance,
}

impl StorefrontManifest {
    /// What a shopper of `arm` sees: its variant, or the page itself where it has none.
    pub fn for_arm(&self, arm: Option<&ArmId>) -> &[ManifestPlacement] {
        let variant = arm.and_then(|arm| self.variants.iter().find(|variant| variant.arm == *arm));
        variant.map_or(&self.placements, |variant| &variant.placements)
    }

    /// Every page in the manifest: its own, then the variants'.
    pub fn pages(&self) -> impl Iterator<Item = &[ManifestPlacement]> {
        let variants = self.variants.iter().map(|variant| variant.placements.as_slice());
        std::iter::once(self.placements.as_slice()).chain(variants)
    }

    /// Every placement of every page.
    pub fn every_placement(&self) -> impl Iterator<Item = &ManifestPlacement> {
        self.pages().flatten()
    }

    /// This page with `other`, made for the same segment by the same run, as what `arm` sees.
    pub fn with_variant(mut self, arm: ArmId, other: Self) -> Result<Self, VariantError> {
        if (&self.segment_id, &self.run_id) != (&other.segment_id, &other.run_id) {
            let page = |page: &Self| format!("{} of run {}", page.segment_id, page.run_id);
            return Err(VariantError::OtherPage { arm, page: page(&self), other: page(&other) });
        }
        if !other.variants.is_empty() {
            return Err(VariantError::Nested { arm });
        }
        self.variants.push(Variant { arm, source: other.source, placements: other.placements })?;
        Ok(self)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestPlacement {
    pub placement_id: PlacementId,
    /// 1-based.
    pub position: u32,
    /// Untrusted text: render as text, never as markup.
    pub title: String,
    /// `cascade` or `ranker`.
    pub source: Source,
    /// Search keywords the placement stands for.
    pub keywords: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Best first.
    pub products: Vec<ManifestProduct>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestProduct {
    pub product_id: ProductId,
    /// Untrusted text: render as text, never as markup.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Store currency, two decimals.
    pub price: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
}

/// What made the page, by digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// Model name → sha256 of its weights.
    pub models: BTreeMap<String, Digest>,
    /// All input tables.
    pub inputs: Digest,
    pub config: Digest,
    pub engine_version: String,
}

/// What became of a segment in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PageStatus {
    New,
    /// Unchanged since an earlier night; nothing was computed.
    Reused,
    /// A failure's fallback: an earlier night's page.
    CarriedOver,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexEntry {
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub sha256: Digest,
    pub status: PageStatus,
    pub source: Source,
}

/// `runs/<run_id>/index.json`: every segment of the run (RUN-2), sorted by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunIndex {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    pub generated_at: DateTime<Utc>,
    pub segments: BTreeMap<SegmentId, IndexEntry>,
    /// Key → which segment each household of a share is in ([`lookup`](super::lookup)); absent where they are not published.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<String, LookupEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookupEntry {
    /// Bytes.
    pub size: u64,
    pub sha256: Digest,
}

/// `current.json`: the one mutable object. It grows by optional fields only; a version that cannot keep to that adds a `schema`, by
/// which this one knows that it must not touch it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pointer {
    pub run_id: RunId,
    pub index_sha256: Digest,
    pub previous_run_id: Option<RunId>,
    pub published_at: DateTime<Utc>,
    /// How often retention has fenced the pointer. A sweep raises it before it deletes, so that a writer that checked
    /// an old run before the sweep cannot point at that run after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sweeps: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Object keys of the published tree, relative to the publish root.
pub mod keys {
    use super::{RunId, SegmentId};

    pub const CURRENT: &str = "current.json";

    pub fn run_prefix(run: &RunId) -> String {
        format!("runs/{run}/")
    }

    pub fn index(run: &RunId) -> String {
        format!("runs/{run}/index.json")
    }

    /// One share of the households, by number.
    pub fn lookup(run: &RunId, share: u32) -> String {
        format!("runs/{run}/lookups/{share:04x}.json")
    }

    /// The folder of the run's pages.
    pub fn segments(run: &RunId) -> String {
        format!("runs/{run}/segments/")
    }

    pub fn segment(run: &RunId, segment: &SegmentId) -> String {
        format!("{}{segment}.json", segments(run))
    }
}

/// The bytes of a published JSON document: pretty, key order of the type, a newline at the end.
pub fn to_bytes<T: Serialize>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(document)?;
    bytes.push(b'\n');
    Ok(bytes)
}
