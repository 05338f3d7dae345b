//! Looking names up in the catalogue, with the nearest one as a suggestion.

use std::collections::{BTreeMap, BTreeSet};

use super::super::text::shown;
use super::sheet::Cell;
use crate::domain::merchandising::{NamedAudience, PageShape, Target};
use crate::domain::{Catalog, ProductId, SegmentContext, SegmentId};

/// Similarity from which a name is worth suggesting (Jaro-Winkler, 0..1).
const SUGGEST_FROM: f64 = 0.75;

/// Everything a rule may name.
pub struct Names<'a> {
    pub catalog: &'a Catalog,
    pub contexts: &'a [SegmentContext],
    pub page: PageShape,
    pub audiences: BTreeMap<String, NamedAudience>,
    aisles: BTreeSet<&'a str>,
    types: BTreeSet<&'a str>,
    departments: BTreeSet<&'a str>,
    brands: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
    segments: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// `known_tags` may be named although no product carries them.
    pub fn new(catalog: &'a Catalog, contexts: &'a [SegmentContext], known_tags: &[&'a str]) -> Self {
        let mut tags = catalog.tags();
        tags.extend(known_tags);
        Self {
            catalog,
            contexts,
            page: PageShape::default(),
            audiences: BTreeMap::new(),
            aisles: catalog.aisles(),
            types: catalog.product_types(),
            departments: catalog.departments(),
            brands: catalog.brands(),
            tags,
            segments: contexts.iter().map(|context| context.segment_id.as_str()).collect(),
        }
    }

    pub fn product(&self, cell: &Cell<'_>) -> Option<ProductId> {
        let name = cell.text()?;
        let known = ProductId::parse(name).ok().filter(|id| self.catalog.get(id).is_some());
        known.or_else(|| {
            let ids = self.catalog.iter().map(|product| product.product_id.as_str());
            unknown(cell, "product", name, ids)
        })
    }

    pub fn tag(&self, cell: &Cell<'_>) -> Option<String> {
        one_of(cell, "tag", &self.tags)
    }

    pub fn aisle(&self, cell: &Cell<'_>) -> Option<String> {
        one_of(cell, "aisle", &self.aisles)
    }

    pub fn product_type(&self, cell: &Cell<'_>) -> Option<String> {
        one_of(cell, "product type", &self.types)
    }

    pub fn department(&self, cell: &Cell<'_>) -> Option<String> {
        one_of(cell, "department", &self.departments)
    }

    pub fn brand(&self, cell: &Cell<'_>) -> Option<String> {
        one_of(cell, "brand", &self.brands)
    }

    /// Which segment; any well-formed id passes on a night without segments.
    pub fn segment(&self, cell: &Cell<'_>) -> Option<SegmentId> {
        let name = cell.text()?;
        match SegmentId::parse(name) {
            Err(error) => cell.bad(error.to_string()),
            Ok(id) if self.segments.is_empty() || self.segments.contains(name) => Some(id),
            Ok(_) => unknown(cell, "segment", name, self.segments.iter().copied()),
        }
    }

    pub fn audience(&self, cell: &Cell<'_>) -> Option<&NamedAudience> {
        let name = cell.text()?;
        let known = self.audiences.get(name);
        known.or_else(|| unknown(cell, "audience", name, self.audiences.keys().map(String::as_str)))
    }

    /// What a name among a campaign's features is: an aisle, else a product type, a brand, a product id.
    pub fn feature(&self, cell: &Cell<'_>) -> Option<Target> {
        let name = cell.text()?;
        if self.aisles.contains(name) {
            return Some(Target::Aisle(name.into()));
        }
        if self.types.contains(name) {
            return Some(Target::Type(name.into()));
        }
        if self.brands.contains(name) {
            return Some(Target::Brand(name.into()));
        }
        let product = ProductId::parse(name).ok().filter(|id| self.catalog.get(id).is_some());
        product.map(Target::Product).or_else(|| {
            let near = self.aisles.iter().chain(&self.types).chain(&self.brands).copied();
            unknown(cell, "aisle, product type, brand or product", name, near)
        })
    }
}

fn one_of(cell: &Cell<'_>, kind: &str, known: &BTreeSet<&str>) -> Option<String> {
    let name = cell.text()?;
    if known.contains(name) { Some(name.into()) } else { unknown(cell, kind, name, known.iter().copied()) }
}

fn unknown<'n, T>(
    cell: &Cell<'_>,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> Option<T> {
    let near = nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    cell.bad(format!("there is no {kind} {:?}{near}", shown(name)))
}

/// The known name most like `name`; of equals the first.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
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
