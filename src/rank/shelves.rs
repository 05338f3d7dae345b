//! Where each product stands: product → type → aisle, as dense numbers.

use std::collections::HashMap;

use crate::domain::{Catalog, ProductId};

/// The hierarchy the rates back off along. A type is told apart by its aisle too, so that every type has one
/// parent.
#[derive(Debug, Clone)]
pub(super) struct Shelves {
    product_at: HashMap<ProductId, u32>,
    /// Type of each product.
    pub product_type: Vec<u32>,
    /// Aisle of each type.
    pub type_aisle: Vec<u32>,
    /// Products of each type.
    pub type_size: Vec<u32>,
    /// Types of each aisle.
    pub aisle_size: Vec<u32>,
}

impl Shelves {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut aisles: HashMap<&str, u32> = HashMap::new();
        let mut types: HashMap<(u32, &str), u32> = HashMap::new();
        let mut shelves = Self {
            product_at: HashMap::with_capacity(catalog.len()),
            product_type: Vec::with_capacity(catalog.len()),
            type_aisle: Vec::new(),
            type_size: Vec::new(),
            aisle_size: Vec::new(),
        };
        for product in catalog.iter() {
            let aisle = *aisles.entry(&product.aisle).or_insert_with(|| {
                shelves.aisle_size.push(0);
                shelves.aisle_size.len() as u32 - 1
            });
            let kind = *types.entry((aisle, &product.product_type)).or_insert_with(|| {
                shelves.aisle_size[aisle as usize] += 1;
                shelves.type_aisle.push(aisle);
                shelves.type_size.push(0);
                shelves.type_size.len() as u32 - 1
            });
            shelves.type_size[kind as usize] += 1;
            shelves.product_at.insert(product.product_id.clone(), shelves.product_type.len() as u32);
            shelves.product_type.push(kind);
        }
        shelves
    }

    pub(super) fn product(&self, id: &str) -> Option<u32> {
        self.product_at.get(id).copied()
    }

    pub(super) fn type_of(&self, product: u32) -> u32 {
        self.product_type[product as usize]
    }

    pub(super) fn aisle_of(&self, product: u32) -> u32 {
        self.type_aisle[self.type_of(product) as usize]
    }
}
