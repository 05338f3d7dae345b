//! Rows of the catalogue and interaction contracts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::merchandising::Target;
use super::{HouseholdId, KeywordId, ProductId, SegmentId};

/// A row of `products.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    pub product_id: ProductId,
    /// Shopper-facing; untrusted text.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    pub department: String,
    pub aisle: String,
    /// Shopper-facing product type ("Yellow nectarines"): products of one type are near substitutes.
    #[serde(rename = "type")]
    pub product_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_size: Option<String>,
    /// Store currency, > 0.
    pub price: f32,
    /// Share of the price, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f32>,
    /// Units sold in the last 28 days.
    pub units_28d: u32,
    pub in_stock: bool,
    pub private_label: bool,
    /// `alcohol`, `pharmacy`, `seasonal-christmas` …
    pub tags: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
}

impl Product {
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }
}

/// All products of the shop, sorted by id, each once.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    products: Vec<Product>,
    by_id: HashMap<ProductId, usize>,
}

impl Catalog {
    /// `products` must hold each id once ([`crate::ingest`] reports duplicates with their rows); a later one is dropped.
    pub fn new(mut products: Vec<Product>) -> Self {
        products.sort_by(|a, b| a.product_id.cmp(&b.product_id));
        products.dedup_by(|a, b| a.product_id == b.product_id);
        let by_id =
            products.iter().enumerate().map(|(at, product)| (product.product_id.clone(), at)).collect();
        Self { products, by_id }
    }

    pub fn get(&self, id: &ProductId) -> Option<&Product> {
        self.by_id.get(id).map(|at| &self.products[*at])
    }

    /// In order of id.
    pub fn iter(&self) -> std::slice::Iter<'_, Product> {
        self.products.iter()
    }

    pub fn len(&self) -> usize {
        self.products.len()
    }

    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    pub fn aisles(&self) -> BTreeSet<&str> {
        self.products.iter().map(|product| product.aisle.as_str()).collect()
    }

    /// The products that `wanted` accepts, told as whole aisles where it accepts all of one.
    pub fn cover(&self, wanted: impl Fn(&Product) -> bool) -> BTreeSet<Target> {
        let mut aisles: BTreeMap<&str, (Vec<&Product>, usize)> = BTreeMap::new();
        for product in &self.products {
            let (chosen, all) = aisles.entry(&product.aisle).or_default();
            *all += 1;
            if wanted(product) {
                chosen.push(product);
            }
        }
        let told = |(aisle, (chosen, all)): (&str, (Vec<&Product>, usize))| -> Vec<Target> {
            if chosen.len() == all {
                return vec![Target::Aisle(aisle.to_owned())];
            }
            chosen.into_iter().map(|product| Target::Product(product.product_id.clone())).collect()
        };
        aisles.into_iter().flat_map(told).collect()
    }

    pub fn departments(&self) -> BTreeSet<&str> {
        self.products.iter().map(|product| product.department.as_str()).collect()
    }

    pub fn brands(&self) -> BTreeSet<&str> {
        self.products.iter().filter_map(|product| product.brand.as_deref()).collect()
    }

    pub fn product_types(&self) -> BTreeSet<&str> {
        self.products.iter().map(|product| product.product_type.as_str()).collect()
    }

    pub fn tags(&self) -> BTreeSet<&str> {
        self.products.iter().flat_map(|product| &product.tags).map(String::as_str).collect()
    }
}

/// Where a keyword of the corpus comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeywordKind {
    Query,
    Aisle,
    Attribute,
}

impl KeywordKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Aisle => "aisle",
            Self::Attribute => "attribute",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "query" => Some(Self::Query),
            "aisle" => Some(Self::Aisle),
            "attribute" => Some(Self::Attribute),
            _ => None,
        }
    }
}

/// A row of `keywords.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keyword {
    pub keyword_id: KeywordId,
    pub text: String,
    pub kind: KeywordKind,
    /// Products the keyword stands for.
    pub product_count: u32,
    /// Share of the shop's visits that bought one of them, 0..1.
    pub popularity: f32,
}

/// A row of `interactions.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    pub household_id: HouseholdId,
    pub segment_id: SegmentId,
    pub visit_id: String,
    pub product_id: ProductId,
    pub date: NaiveDate,
    pub quantity: f32,
    /// Store currency.
    pub value: f32,
    pub impression: Option<bool>,
}
