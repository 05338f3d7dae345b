//! Rules that cannot hold together on one page are refused before the night, not found out during it.

use super::super::IngestError;
use super::names::Names;
use crate::domain::merchandising::{Rule, RuleKind};
use crate::domain::{Catalog, Product};

/// Refuses two pins in one place, and a pin of a product that another rule keeps off the page.
pub fn check(names: &Names<'_>, rules: &[Rule], catalog: &Catalog) -> Result<(), IngestError> {
    for (at, rule) in rules.iter().enumerate() {
        let RuleKind::Pin { product: id, position } = &rule.kind else { continue };
        let Some(product) = catalog.get(id) else { continue };
        let others = rules.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
        for other in others.filter(|other| meet(rule, other)) {
            let problem = match &other.kind {
                RuleKind::Pin { position: same, .. } if same == position => {
                    format!("rule {:?} pins another product at position {}", other.id, position + 1)
                }
                kind if forbids(kind, product) => {
                    format!("rule {:?} keeps product {id} off the page", other.id)
                }
                _ => continue,
            };
            return Err(names.invalid(&format!("rule {:?}", rule.id), problem));
        }
    }
    Ok(())
}

fn forbids(kind: &RuleKind, product: &Product) -> bool {
    match kind {
        RuleKind::Block { target } => target.matches(product),
        RuleKind::ForbidTags { tags } => tags.iter().any(|tag| product.has_tag(tag)),
        _ => false,
    }
}

/// Whether both rules apply to some segment on some day.
fn meet(a: &Rule, b: &Rule) -> bool {
    let days = |from: Option<_>, to: Option<_>| from.zip(to).is_none_or(|(from, to)| from <= to);
    let overlap = days(a.window.from, b.window.to) && days(b.window.from, a.window.to);
    let segments = match (&a.segments, &b.segments) {
        (Some(some), Some(others)) => some.iter().any(|segment| others.contains(segment)),
        _ => true,
    };
    overlap && segments
}
