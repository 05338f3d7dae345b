//! `products.parquet` → [`Catalog`].

use super::cells::{Cells, Range, Unique};
use super::table::Table;
use super::text::{MAX_TEXT_CHARS, MAX_TITLE_CHARS, MAX_URL_CHARS};
use super::{IngestError, TableFile, contract};
use crate::domain::{Catalog, Product};

/// Reads the catalogue; at least one product is needed.
pub fn products(file: &TableFile) -> Result<Catalog, IngestError> {
    let mut products = Vec::new();
    let mut ids = Unique::new("product_id");
    Table::open(file, contract::products_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let product = product(rows, at)?;
            ids.note(rows, at, product.product_id.as_str())?;
            products.push(product);
        }
        Ok(())
    })?;
    if products.is_empty() {
        return Err(IngestError::NoRows { file: file.name().into(), what: "product" });
    }
    Ok(Catalog::new(products))
}

fn product(rows: &Cells<'_>, at: usize) -> Result<Product, IngestError> {
    Ok(Product {
        product_id: rows.id("product_id", at)?,
        title: rows.text("title", at, MAX_TITLE_CHARS)?,
        brand: rows.optional_text("brand", at, MAX_TEXT_CHARS)?,
        department: rows.text("department", at, MAX_TEXT_CHARS)?,
        aisle: rows.text("aisle", at, MAX_TEXT_CHARS)?,
        product_type: rows.text("type", at, MAX_TEXT_CHARS)?,
        package_size: rows.optional_text("package_size", at, MAX_TEXT_CHARS)?,
        price: rows.number("price", at, Range::Positive)?,
        margin: rows.optional_number("margin", at, Range::AtMostOne)?,
        units_28d: rows.count("units_28d", at),
        in_stock: rows.flag("in_stock", at),
        private_label: rows.flag("private_label", at),
        tags: rows.texts("tags", at)?.into_iter().collect(),
        image_url: rows.optional_text("image_url", at, MAX_URL_CHARS)?,
    })
}
