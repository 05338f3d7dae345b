//! Why a page could not be made.

use crate::domain::{ProductId, SegmentId};

use super::Violation;

/// Each names the segment or the rules at fault; nothing of the page is published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FuseError {
    #[error(
        "rule {rule:?} pins product {product}, which is not in the catalogue; correct the id or remove the rule"
    )]
    PinUnknown { rule: String, product: ProductId },
    #[error("rule {rule:?} pins product {product}, which is out of stock; end the rule or restock")]
    PinOutOfStock { rule: String, product: ProductId },
    #[error("rule {rule:?} pins product {product}, which rule {by:?} forbids; remove one of the two")]
    PinForbidden { rule: String, product: ProductId, by: String },
    #[error(
        "rules {rule:?} and {other:?} pin two products to one position, or one product to two; remove one of the two"
    )]
    PinClash { rule: String, other: String },
    #[error(
        "segment {segment}: no aisle has enough eligible products for a single placement; loosen `min_products`{}",
        restricting(rules)
    )]
    NothingToShow { segment: SegmentId, rules: Vec<String> },
    #[error("segment {segment}: no page satisfies the merchandising rules: {}", list(violations))]
    Unsatisfied { segment: SegmentId, violations: Vec<Violation> },
    #[error("segment {segment}: product {product} of the page is not in the catalogue")]
    UnknownProduct { segment: SegmentId, product: ProductId },
}

/// The rules that leave so little.
fn restricting(rules: &[String]) -> String {
    let names: Vec<String> = rules.iter().map(|id| format!("{id:?}")).collect();
    if names.is_empty() { String::new() } else { format!(" or one of the rules {}", names.join(", ")) }
}

pub(super) fn list(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
