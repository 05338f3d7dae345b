//! The products on sale.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::{Days, NaiveDate};

use super::journey::{Answer, Journey};
use super::package_size::package_size;
use super::taxonomy::{Taxonomy, department};
use super::{DatasetError, IN_STOCK_DAYS, currency, id};
use crate::domain::{Product, ProductId};

/// What a shopper reads for the source's `Private`; other brands have no names in it.
const OWN_BRAND: &str = "Own brand";

/// The products, in the source's order of id.
pub struct Catalogue {
    pub products: Vec<Product>,
    /// Each product's row of the taxonomy.
    pub taxonomy_rows: Vec<usize>,
    pub without_price: usize,
}

impl Catalogue {
    /// Asks for the products and keeps them as the table `catalogue` of later queries.
    pub async fn ask(journey: &Journey, taxonomy: &Taxonomy, as_of: NaiveDate) -> Result<Self, DatasetError> {
        let offers = journey.ask("offers", include_str!("sql/offers.sql")).await?;
        let (catalogue, source_ids) = Self::from_offers(&offers, taxonomy, as_of)?;
        let positions = Int64Array::from_iter_values(0..source_ids.len() as i64);
        let columns: [(&str, ArrayRef); 2] =
            [("product_id", Arc::new(Int64Array::from(source_ids))), ("position", Arc::new(positions))];
        let table = RecordBatch::try_from_iter(columns).expect("two columns of one length");
        journey.keep("catalogue", table)?;
        Ok(catalogue)
    }

    fn from_offers(
        offers: &Answer,
        taxonomy: &Taxonomy,
        as_of: NaiveDate,
    ) -> Result<(Self, Vec<i64>), DatasetError> {
        let (ids, rows) = (offers.integers("product_id")?, offers.integers("taxonomy_row")?);
        let (own, sizes) = (offers.flags("private_label")?, offers.texts("package_size")?);
        let (prices, units) = (offers.numbers("unit_cents")?, offers.integers("units_28d")?);
        let last_sold = offers.dates("last_sold")?;
        let in_stock_from = as_of.checked_sub_days(Days::new(IN_STOCK_DAYS)).unwrap_or(NaiveDate::MIN);
        let in_stock_from = Date32Type::from_naive_date(in_stock_from);
        let mut catalogue = Self { products: Vec::new(), taxonomy_rows: Vec::new(), without_price: 0 };
        let mut source_ids = Vec::new();
        for at in 0..offers.len() {
            if prices.is_null(at) {
                catalogue.without_price += 1;
                continue;
            }
            let row = rows.value(at) as usize;
            let kind = &taxonomy.rows[row];
            catalogue.products.push(Product {
                product_id: id(ids.value(at).to_string(), ProductId::parse)?,
                title: kind.name.clone(),
                brand: own.value(at).then(|| OWN_BRAND.to_owned()),
                department: department(&kind.key[0]),
                aisle: kind.aisle.clone(),
                product_type: kind.name.clone(),
                package_size: sizes.is_valid(at).then(|| package_size(sizes.value(at))).flatten(),
                price: currency(prices.value(at)),
                margin: None,
                units_28d: u32::try_from(units.value(at)).unwrap_or(u32::MAX),
                in_stock: last_sold.value(at) >= in_stock_from,
                private_label: own.value(at),
                tags: kind.tags.clone(),
                image_url: None,
            });
            catalogue.taxonomy_rows.push(row);
            source_ids.push(ids.value(at));
        }
        Ok((catalogue, source_ids))
    }
}
