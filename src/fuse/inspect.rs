//! MER-1 on the very bytes that are about to be published.

use crate::domain::manifest::{STOREFRONT_SCHEMA, StorefrontManifest};
use crate::domain::{Product, SegmentId};

use super::check::{Checklist, Violation, check_manifest};
use super::error::list;

/// Why a page's bytes must not be published.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("the bytes are no storefront manifest: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the schema is {found:?}, not {STOREFRONT_SCHEMA:?}")]
    Schema { found: String },
    #[error("the page is another segment's, {found}")]
    Segment { found: SegmentId },
    #[error("placement {at} says that it stands at position {found}")]
    Position { at: usize, found: u32 },
    #[error("the card of product {product} says {found:?}, the catalogue {expected:?}")]
    Card { product: String, found: String, expected: String },
    #[error("rules do not hold: {}", list(.0))]
    Rules(Vec<Violation>),
}

/// Reads `bytes` back as a shopper's client would, and holds what they say against the rules.
///
/// `fresh` is a page of tonight: its cards must say what the catalogue says. An older page's may be out of date.
pub fn inspect(bytes: &[u8], fresh: bool, list: &Checklist<'_>) -> Result<(), InspectError> {
    let page: StorefrontManifest = serde_json::from_slice(bytes)?;
    if page.schema != STOREFRONT_SCHEMA {
        return Err(InspectError::Schema { found: page.schema });
    }
    if page.segment_id != *list.segment {
        return Err(InspectError::Segment { found: page.segment_id });
    }
    let strayed =
        page.pages().flat_map(|page| page.iter().zip(1..)).find(|(placement, at)| placement.position != *at);
    if let Some((placement, at)) = strayed {
        return Err(InspectError::Position { at: at as usize, found: placement.position });
    }
    if fresh {
        cards(&page, list)?;
    }
    let violations = check_manifest(&page, list);
    if violations.is_empty() { Ok(()) } else { Err(InspectError::Rules(violations)) }
}

/// A card that names one product and shows another would pass the rules of the first.
fn cards(page: &StorefrontManifest, list: &Checklist<'_>) -> Result<(), InspectError> {
    for card in page.every_placement().flat_map(|placement| &placement.products) {
        let Some(Product { title, .. }) = list.catalog.get(&card.product_id) else { continue };
        if card.title != *title {
            let (product, found) = (card.product_id.to_string(), card.title.clone());
            return Err(InspectError::Card { product, found, expected: title.clone() });
        }
    }
    Ok(())
}
