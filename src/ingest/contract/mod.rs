//! The contracts as Arrow schemas, each defined once, with the builders and writers of their files.
//!
//! Columns are non-null unless marked here. Writing is deterministic: the same rows give the same bytes.

mod build;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

pub use build::{arms, assignments, interactions, keywords, products, segments};
pub use write::{
    encode, write_arms, write_assignments, write_interactions, write_keywords, write_products, write_segments,
};

/// File names of the contracts in an input folder.
pub const SEGMENTS: &str = "segments.parquet";
pub const PRODUCTS: &str = "products.parquet";
pub const KEYWORDS: &str = "keywords.parquet";
pub const INTERACTIONS: &str = "interactions.parquet";
pub const ASSIGNMENTS: &str = "assignments.parquet";
pub const MERCHANDISING: &str = "merchandising.toml";

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(required("item", item)))
}

fn map_fields() -> Fields {
    Fields::from(vec![required("key", DataType::Utf8), required("value", DataType::Utf8)])
}

fn map_entry() -> Field {
    required("entries", DataType::Struct(map_fields()))
}

fn text_map() -> DataType {
    DataType::Map(Arc::new(map_entry()), false)
}

fn distinctive_fields() -> Fields {
    Fields::from(vec![
        required("name", DataType::Utf8),
        required("aisle", DataType::Utf8),
        required("households", DataType::Float32),
        required("lift", DataType::Float32),
    ])
}

/// `segments.parquet`: a row a segment. `demographics` and `session` are nullable.
pub fn segments_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("segment_id", DataType::Utf8),
        required("as_of", DataType::Date32),
        required("households", DataType::UInt32),
        required("visits_per_week", DataType::Float32),
        required("basket_value", DataType::Float32),
        required("private_label_share", DataType::Float32),
        required("on_promotion_share", DataType::Float32),
        required("evening_share", DataType::Float32),
        required("weekend_share", DataType::Float32),
        optional("demographics", text_map()),
        required("distinctive", list_of(DataType::Struct(distinctive_fields()))),
        required("staples", list_of(DataType::Utf8)),
        required("rising", list_of(DataType::Utf8)),
        optional("session", text_map()),
    ]))
}

/// `products.parquet`. `brand`, `package_size`, `margin` and `image_url` are nullable.
pub fn products_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("product_id", DataType::Utf8),
        required("title", DataType::Utf8),
        optional("brand", DataType::Utf8),
        required("department", DataType::Utf8),
        required("aisle", DataType::Utf8),
        required("type", DataType::Utf8),
        optional("package_size", DataType::Utf8),
        required("price", DataType::Float32),
        optional("margin", DataType::Float32),
        required("units_28d", DataType::UInt32),
        required("in_stock", DataType::Boolean),
        required("private_label", DataType::Boolean),
        required("tags", list_of(DataType::Utf8)),
        optional("image_url", DataType::Utf8),
    ]))
}

/// `keywords.parquet`.
pub fn keywords_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("keyword_id", DataType::Utf8),
        required("text", DataType::Utf8),
        required("kind", DataType::Utf8),
        required("product_count", DataType::UInt32),
        required("popularity", DataType::Float32),
    ]))
}

/// `interactions.parquet`. `impression` is nullable.
pub fn interactions_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("household_id", DataType::Utf8),
        required("segment_id", DataType::Utf8),
        required("visit_id", DataType::Utf8),
        required("product_id", DataType::Utf8),
        required("date", DataType::Date32),
        required("quantity", DataType::Float32),
        required("value", DataType::Float32),
        optional("impression", DataType::Boolean),
    ]))
}

/// `assignments.parquet`.
pub fn assignments_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("household_id", DataType::Utf8),
        required("segment_id", DataType::Utf8),
    ]))
}

/// What a unit did before an experiment, a row a unit or several (they are added).
pub fn activity_schema() -> SchemaRef {
    Arc::new(Schema::new(activity_fields()))
}

fn activity_fields() -> Vec<Field> {
    vec![
        required("unit", DataType::Utf8),
        required("page_views", DataType::UInt32),
        required("cart_adds", DataType::Float64),
        required("revenue", DataType::Float64),
    ]
}

/// The events of an experiment: the columns of [`activity_schema`] and the unit's `arm`, a row a unit or several (they are
/// added). `date` and the pre-period (`pre_page_views`, `pre_cart_adds`, `pre_revenue`) are nullable.
pub fn events_schema() -> SchemaRef {
    let mut fields = activity_fields();
    fields.insert(1, required("arm", DataType::Utf8));
    fields.extend([
        optional("date", DataType::Date32),
        optional("pre_page_views", DataType::UInt32),
        optional("pre_cart_adds", DataType::Float64),
        optional("pre_revenue", DataType::Float64),
    ]);
    Arc::new(Schema::new(fields))
}

/// Which arm each unit is in.
pub fn arms_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![required("unit", DataType::Utf8), required("arm", DataType::Utf8)]))
}

/// The households of any table that names them, such as `assignments.parquet`.
pub fn households_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![required("household_id", DataType::Utf8)]))
}
