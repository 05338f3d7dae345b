//! A page's whole story, kept under the private work root only.

use serde::{Deserialize, Serialize};

use super::SegmentContext;
use super::manifest::{ManifestProduct, PageStatus, StorefrontManifest};
use super::stage::{FusedPage, PageDesign, StockedPlacement, Verdict};

/// `explain/<segment_id>.json` of a run: what `endcap explain` prints and the merchandiser's view shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageStory {
    pub context: SegmentContext,
    /// What LLM 1 wrote; `None` where the segment had no history to write from.
    pub design: Option<PageDesign>,
    /// Every stocked placement, accepted or not, with candidates, keywords and products.
    pub placements: Vec<StockedPlacement>,
    pub verdicts: Vec<Verdict>,
    /// The published page with the parts of its scores.
    pub fused: FusedPage,
    /// The page the ranker alone would have made.
    pub ranker_page: FusedPage,
    pub manifest: StorefrontManifest,
    /// Cards of the products that `ranker_page` names and `manifest` does not hold, so that a reader needs no
    /// catalogue; in order of id.
    #[serde(default)]
    pub products: Vec<ManifestProduct>,
    pub status: PageStatus,
}
