//! The pages of an experiment's other arms, carried in the same manifest, so that a CDN caches one object for all arms.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArmId, ManifestPlacement, Source};

/// What shoppers of one arm see instead of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Variant {
    /// Each arm once in a manifest.
    pub arm: ArmId,
    /// How this page was made.
    pub source: Source,
    /// In page order.
    pub placements: Vec<ManifestPlacement>,
}

/// Variants of a page, each arm once, in order of arm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Variant>", into = "Vec<Variant>")]
#[schemars(with = "Vec<Variant>")]
pub struct Variants(Vec<Variant>);

/// Why pages do not go into one manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariantError {
    #[error("the manifest has two variants for the arm {arm}; keep one of them")]
    Twice { arm: ArmId },
    #[error(
        "the page for the arm {arm} is {other}, the manifest {page}; make both for one segment in one run"
    )]
    OtherPage { arm: ArmId, page: String, other: String },
    #[error("the page for the arm {arm} has variants of its own; give each arm one page")]
    Nested { arm: ArmId },
}

impl Variants {
    /// Adds a variant in its place; an error where its arm has one.
    pub fn push(&mut self, variant: Variant) -> Result<(), VariantError> {
        match self.0.binary_search_by(|other| other.arm.cmp(&variant.arm)) {
            Ok(_) => Err(VariantError::Twice { arm: variant.arm }),
            Err(at) => {
                self.0.insert(at, variant);
                Ok(())
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Deref for Variants {
    type Target = [Variant];
    fn deref(&self) -> &[Variant] {
        &self.0
    }
}

impl TryFrom<Vec<Variant>> for Variants {
    type Error = VariantError;
    fn try_from(list: Vec<Variant>) -> Result<Self, VariantError> {
        let mut variants = Self::default();
        list.into_iter().try_for_each(|variant| variants.push(variant))?;
        Ok(variants)
    }
}

impl From<Variants> for Vec<Variant> {
    fn from(variants: Variants) -> Self {
        variants.0
    }
}
