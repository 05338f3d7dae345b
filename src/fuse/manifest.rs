//! From a fused page to the published contract.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::manifest::{
    ManifestPlacement, ManifestProduct, Provenance, STOREFRONT_SCHEMA, StorefrontManifest, Variants,
};
use crate::domain::stage::{FusedPage, FusedPlacement};
use crate::domain::{Catalog, PlacementId, Product, ProductId, RunId};

use super::FuseError;

/// When, by which run and of what a page was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamp {
    pub run_id: RunId,
    pub as_of: NaiveDate,
    pub generated_at: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub provenance: Provenance,
}

/// The page as it is published: no scores, no persona.
///
/// Errors: a product that is not in `catalog`.
pub fn manifest(page: &FusedPage, catalog: &Catalog, stamp: &Stamp) -> Result<StorefrontManifest, FuseError> {
    let unknown =
        |id: &ProductId| FuseError::UnknownProduct { segment: page.segment_id.clone(), product: id.clone() };
    let placements = page.placements.iter().enumerate().map(|(at, placement)| {
        let product = |id: &ProductId| catalog.get(id).map(published).ok_or_else(|| unknown(id));
        let products = placement.products.iter().map(|scored| product(&scored.product_id));
        Ok(published_placement(at, placement, products.collect::<Result<_, _>>()?))
    });
    Ok(StorefrontManifest {
        schema: STOREFRONT_SCHEMA.to_owned(),
        segment_id: page.segment_id.clone(),
        run_id: stamp.run_id.clone(),
        as_of: stamp.as_of,
        generated_at: stamp.generated_at,
        valid_until: stamp.valid_until,
        source: page.source,
        placements: placements.collect::<Result<_, FuseError>>()?,
        variants: Variants::default(),
        provenance: stamp.provenance.clone(),
    })
}

fn published_placement(
    at: usize,
    placement: &FusedPlacement,
    products: Vec<ManifestProduct>,
) -> ManifestPlacement {
    ManifestPlacement {
        placement_id: PlacementId::new(at, &placement.title),
        position: at as u32 + 1,
        title: placement.title.clone(),
        source: placement.source,
        keywords: placement.keywords.clone(),
        campaign: placement.campaign.clone(),
        products,
    }
}

fn published(product: &Product) -> ManifestProduct {
    ManifestProduct {
        product_id: product.product_id.clone(),
        title: product.title.clone(),
        brand: product.brand.clone(),
        price: (f64::from(product.price) * 100.0).round() / 100.0,
        package_size: product.package_size.clone(),
        image_url: product.image_url.clone(),
    }
}
