//! Sets of products that a rule or a campaign speaks of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::{Product, ProductId};

/// A set of products a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Product(ProductId),
    Type(String),
    Aisle(String),
    Department(String),
    Brand(String),
    Tag(String),
    PrivateLabel,
    Price(PriceRange),
    /// What all of them match; two or more.
    All(Vec<Target>),
    /// What any of them matches; two or more.
    Any(Vec<Target>),
}

/// Shelf prices in hundredths of the store currency, both ends included; `None` is unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PriceRange {
    pub min: Option<u32>,
    pub max: Option<u32>,
}

impl PriceRange {
    /// `price` in the store currency; compared as it is shown, with two decimals.
    pub fn contains(&self, price: f32) -> bool {
        let cents = (f64::from(price) * 100.0).round();
        self.min.is_none_or(|min| f64::from(min) <= cents)
            && self.max.is_none_or(|max| cents <= f64::from(max))
    }
}

impl fmt::Display for PriceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |cents: u32| format!("{}.{:02}", cents / 100, cents % 100);
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "priced {} to {}", money(min), money(max)),
            (Some(min), None) => write!(f, "priced {} or more", money(min)),
            (None, Some(max)) => write!(f, "priced {} or less", money(max)),
            (None, None) => f.write_str("at any price"),
        }
    }
}

impl Target {
    pub fn matches(&self, product: &Product) -> bool {
        match self {
            Self::Product(id) => product.product_id == *id,
            Self::Type(name) => product.product_type == *name,
            Self::Aisle(name) => product.aisle == *name,
            Self::Department(name) => product.department == *name,
            Self::Brand(name) => product.brand.as_ref() == Some(name),
            Self::Tag(tag) => product.has_tag(tag),
            Self::PrivateLabel => product.private_label,
            Self::Price(range) => range.contains(product.price),
            Self::All(parts) => parts.iter().all(|part| part.matches(product)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(product)),
        }
    }

    /// Whether it matches `product` by naming it, its type or its aisle: whoever wrote that knew what is sold there.
    pub fn names(&self, product: &Product) -> bool {
        match self {
            Self::Product(_) | Self::Type(_) | Self::Aisle(_) => self.matches(product),
            Self::All(parts) => self.matches(product) && parts.iter().any(|part| part.names(product)),
            Self::Any(parts) => parts.iter().any(|part| part.names(product)),
            _ => false,
        }
    }

    /// Whether the search index has a column for it; of others it is told as aisles and products.
    pub fn is_indexed(&self) -> bool {
        matches!(self, Self::Product(_) | Self::Type(_) | Self::Aisle(_) | Self::Tag(_) | Self::PrivateLabel)
    }

    /// Whether a sentence about it is one a writer of titles can use; combinations and prices are not.
    pub(super) fn is_speakable(&self) -> bool {
        match self {
            Self::All(_) | Self::Price(_) => false,
            Self::Any(parts) => parts.iter().all(Self::is_speakable),
            _ => true,
        }
    }

    /// What it features, one name a thing, as the context of a campaign says it.
    pub(super) fn features(&self) -> Vec<String> {
        match self {
            Self::Any(parts) => parts.iter().flat_map(Self::features).collect(),
            Self::All(parts) => {
                parts.iter().map(Self::features).find(|names| !names.is_empty()).unwrap_or_default()
            }
            Self::Price(_) => Vec::new(),
            named => vec![named.to_string()],
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: &[Self], by: &str| {
            let texts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            texts.join(by)
        };
        match self {
            Self::Product(id) => write!(f, "product {id}"),
            Self::Type(name) | Self::Aisle(name) | Self::Department(name) | Self::Brand(name) => {
                f.write_str(name)
            }
            Self::Tag(tag) => write!(f, "{tag} products"),
            Self::PrivateLabel => f.write_str("private label"),
            Self::Price(range) => write!(f, "products {range}"),
            Self::All(parts) => match parts.split_first() {
                Some((first, rest)) => write!(f, "{first} ({})", joined(rest, "; ")),
                None => f.write_str("every product"),
            },
            Self::Any(parts) => f.write_str(&joined(parts, " or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_compared_as_it_is_shown() {
        let range = PriceRange { min: Some(100), max: Some(299) };
        assert!(range.contains(2.99) && range.contains(1.0) && range.contains(2.994));
        assert!(!range.contains(3.0) && !range.contains(0.99) && !range.contains(f32::NAN));
        assert!(PriceRange { min: None, max: None }.contains(5.0));
    }

    #[test]
    fn a_combination_reads_as_one_thing() {
        let target = Target::All(vec![
            Target::Aisle("Wine".into()),
            Target::Any(vec![Target::Brand("Oak".into()), Target::Brand("Elm".into())]),
            Target::Price(PriceRange { min: None, max: Some(1000) }),
        ]);
        assert_eq!(target.to_string(), "Wine (Oak or Elm; products priced 10.00 or less)");
        assert_eq!(target.features(), ["Wine"]);
    }
}
