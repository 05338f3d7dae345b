//! Looking names up in the catalogue, with the nearest one as a suggestion.

use std::collections::BTreeSet;

use super::super::IngestError;
use super::raw::Selector;
use crate::domain::merchandising::Target;
use crate::domain::{Catalog, ProductId, SegmentId};

/// Similarity from which a name is worth suggesting (Jaro-Winkler, 0..1).
const SUGGEST_FROM: f64 = 0.75;

/// Everything a rule may name.
pub struct Names<'a> {
    file: &'a str,
    catalog: &'a Catalog,
    aisles: BTreeSet<&'a str>,
    types: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
    segments: &'a [SegmentId],
}

impl<'a> Names<'a> {
    pub fn new(
        file: &'a str,
        catalog: &'a Catalog,
        segments: &'a [SegmentId],
        known_tags: &'a [String],
    ) -> Self {
        let mut tags = catalog.tags();
        tags.extend(known_tags.iter().map(String::as_str));
        let (aisles, types) = (catalog.aisles(), catalog.product_types());
        Self { file, catalog, aisles, types, tags, segments }
    }

    pub fn invalid(&self, place: &str, problem: impl Into<String>) -> IngestError {
        IngestError::Merchandising { file: self.file.into(), place: place.into(), problem: problem.into() }
    }

    pub fn product(&self, place: &str, name: &str) -> Result<ProductId, IngestError> {
        let known = ProductId::parse(name).ok().filter(|id| self.catalog.get(id).is_some());
        known.ok_or_else(|| {
            let ids = self.catalog.iter().map(|product| product.product_id.as_str());
            self.unknown(place, "product", name, ids)
        })
    }

    pub fn tag(&self, place: &str, name: &str) -> Result<String, IngestError> {
        self.one_of(place, "tag", name, &self.tags)
    }

    /// Which segment; any well-formed id passes on a night without segments.
    pub fn segment(&self, place: &str, name: &str) -> Result<SegmentId, IngestError> {
        let id = SegmentId::parse(name).map_err(|error| self.invalid(place, error.to_string()))?;
        if self.segments.is_empty() || self.segments.contains(&id) {
            return Ok(id);
        }
        Err(self.unknown(place, "segment", name, self.segments.iter().map(SegmentId::as_str)))
    }

    /// What a campaign features: an aisle, else a product type, else a product id.
    pub fn feature(&self, place: &str, name: &str) -> Result<Target, IngestError> {
        if self.aisles.contains(name) {
            return Ok(Target::Aisle(name.into()));
        }
        if self.types.contains(name) {
            return Ok(Target::Type(name.into()));
        }
        if let Ok(id) = self.product(place, name) {
            return Ok(Target::Product(id));
        }
        let near = self.aisles.union(&self.types).copied();
        Err(self.unknown(place, "aisle, product type or product", name, near))
    }

    pub fn target(&self, place: &str, selector: &Selector<'_>) -> Result<Target, IngestError> {
        match *selector {
            Selector {
                product: Some(id),
                product_type: None,
                aisle: None,
                tag: None,
                private_label: None,
            } => self.product(place, id).map(Target::Product),
            Selector {
                product: None,
                product_type: Some(name),
                aisle: None,
                tag: None,
                private_label: None,
            } => self.one_of(place, "product type", name, &self.types).map(Target::Type),
            Selector {
                product: None,
                product_type: None,
                aisle: Some(name),
                tag: None,
                private_label: None,
            } => self.one_of(place, "aisle", name, &self.aisles).map(Target::Aisle),
            Selector {
                product: None,
                product_type: None,
                aisle: None,
                tag: Some(tag),
                private_label: None,
            } => self.tag(place, tag).map(Target::Tag),
            Selector {
                product: None,
                product_type: None,
                aisle: None,
                tag: None,
                private_label: Some(true),
            } => Ok(Target::PrivateLabel),
            _ => Err(self.invalid(
                place,
                "name the products by exactly one of product, type, aisle, tag or private_label = true",
            )),
        }
    }

    fn one_of(
        &self,
        place: &str,
        kind: &'static str,
        name: &str,
        known: &BTreeSet<&str>,
    ) -> Result<String, IngestError> {
        if known.contains(name) {
            return Ok(name.into());
        }
        Err(self.unknown(place, kind, name, known.iter().copied()))
    }

    fn unknown<'n>(
        &self,
        place: &str,
        kind: &'static str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> IngestError {
        IngestError::UnknownName {
            file: self.file.into(),
            place: place.into(),
            kind,
            name: super::super::text::shown(name),
            suggestion: nearest(name, known),
        }
    }
}

/// The known name most like `name`; of equals the first.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let wanted = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
        if likeness >= best.map_or(SUGGEST_FROM, |(most, _)| most + f64::EPSILON) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_suggested_and_nothing_far_away() {
        let aisles = ["Cookies", "Crackers", "Fresh fruit", "Fresh vegetables"];
        let near = |name: &str| nearest(name, aisles.into_iter());
        assert_eq!(near("fresh friut").as_deref(), Some("Fresh fruit"));
        assert_eq!(near("Cookie").as_deref(), Some("Cookies"));
        assert_eq!(near("zzz"), None);
    }
}
