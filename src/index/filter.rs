//! What a placement may show: product filters, as typed expressions that LanceDB applies before it searches. No text of
//! a filter is ever parsed as SQL.

use std::collections::BTreeSet;

use lancedb::expr::{DfExpr, col, contains, is_in, lit};

use super::rows::{ID, tag_needle};
use crate::domain::merchandising::Target;

/// Which products a search may return.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductFilter {
    pub in_stock_only: bool,
    /// No product with one of these tags.
    pub forbidden_tags: BTreeSet<String>,
    /// No product that one of these matches.
    pub blocked: BTreeSet<Target>,
}

impl ProductFilter {
    /// The part that a listing decides; `None` lets every listing through.
    pub(super) fn listings(&self) -> Option<DfExpr> {
        let blocked_tags = self.blocked.iter().filter_map(|target| match target {
            Target::Tag(tag) => Some(tag),
            _ => None,
        });
        let tags = self.forbidden_tags.iter().chain(blocked_tags);
        let tags = tags.map(|tag| !contains(col("tags"), lit(tag_needle(tag))));
        let types = self.none_of("type", |target| match target {
            Target::Type(name) => Some(name),
            _ => None,
        });
        let aisles = self.none_of("aisle", |target| match target {
            Target::Aisle(name) => Some(name),
            _ => None,
        });
        all(self.in_stock().into_iter().chain(tags).chain(types).chain(aisles))
    }

    /// The part that a product of an eligible listing decides.
    pub(super) fn products(&self) -> Option<DfExpr> {
        let brands_only = self.blocked.contains(&Target::PrivateLabel);
        let brands = brands_only.then(|| col("private_label").eq(lit(false)));
        let products = self.none_of(ID, |target| match target {
            Target::Product(id) => Some(id.as_str()),
            _ => None,
        });
        all(self.in_stock().into_iter().chain(brands).chain(products))
    }

    fn in_stock(&self) -> Option<DfExpr> {
        self.in_stock_only.then(|| col("in_stock").eq(lit(true)))
    }

    /// `column` is none of what `name` reads off the blocked targets; `None` where that is nothing.
    fn none_of(&self, column: &str, name: impl Fn(&Target) -> Option<&str>) -> Option<DfExpr> {
        let names: Vec<String> = self.blocked.iter().filter_map(name).map(str::to_owned).collect();
        (!names.is_empty()).then(|| !any_of(column, names))
    }
}

/// `column` holds one of `values`.
pub(super) fn any_of(column: &str, values: impl IntoIterator<Item = String>) -> DfExpr {
    is_in(col(column), values.into_iter().map(lit).collect())
}

fn all(conditions: impl Iterator<Item = DfExpr>) -> Option<DfExpr> {
    conditions.reduce(DfExpr::and)
}
