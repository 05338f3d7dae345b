//! Rows of the domain as record batches of the contracts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, ListArray, MapArray, RecordBatch, StringArray,
    StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Date32Type, Field, SchemaRef};
use chrono::NaiveDate;

use crate::domain::segment::Distinctive;
use crate::domain::{ArmId, HouseholdId, Interaction, Keyword, Product, SegmentContext, SegmentId, UnitId};

/// `segments.parquet` of these rows; their merchandising is not part of the contract.
pub fn segments(rows: &[SegmentContext]) -> RecordBatch {
    batch(
        super::segments_schema(),
        vec![
            texts(rows.iter().map(|row| row.segment_id.as_str())),
            dates(rows.iter().map(|row| row.as_of)),
            counts(rows.iter().map(|row| row.households)),
            numbers(rows.iter().map(|row| row.shopping.visits_per_week)),
            numbers(rows.iter().map(|row| row.shopping.basket_value)),
            numbers(rows.iter().map(|row| row.shopping.private_label_share)),
            numbers(rows.iter().map(|row| row.shopping.on_promotion_share)),
            numbers(rows.iter().map(|row| row.shopping.evening_share)),
            numbers(rows.iter().map(|row| row.shopping.weekend_share)),
            maps(rows.iter().map(|row| &row.demographics)),
            distinctive(rows.iter().map(|row| row.distinctive.as_slice())),
            text_lists(rows.iter().map(|row| row.staples.as_slice())),
            text_lists(rows.iter().map(|row| row.rising.as_slice())),
            maps(rows.iter().map(|row| &row.session)),
        ],
    )
}

/// `products.parquet` of these rows.
pub fn products(rows: &[Product]) -> RecordBatch {
    let tags: Vec<Vec<&str>> = rows.iter().map(|row| row.tags.iter().map(String::as_str).collect()).collect();
    batch(
        super::products_schema(),
        vec![
            texts(rows.iter().map(|row| row.product_id.as_str())),
            texts(rows.iter().map(|row| row.title.as_str())),
            optional_texts(rows.iter().map(|row| row.brand.as_deref())),
            texts(rows.iter().map(|row| row.department.as_str())),
            texts(rows.iter().map(|row| row.aisle.as_str())),
            texts(rows.iter().map(|row| row.product_type.as_str())),
            optional_texts(rows.iter().map(|row| row.package_size.as_deref())),
            numbers(rows.iter().map(|row| row.price)),
            Arc::new(rows.iter().map(|row| row.margin).collect::<Float32Array>()),
            counts(rows.iter().map(|row| row.units_28d)),
            flags(rows.iter().map(|row| Some(row.in_stock))),
            flags(rows.iter().map(|row| Some(row.private_label))),
            text_lists(tags.iter().map(Vec::as_slice)),
            optional_texts(rows.iter().map(|row| row.image_url.as_deref())),
        ],
    )
}

/// `keywords.parquet` of these rows.
pub fn keywords(rows: &[Keyword]) -> RecordBatch {
    batch(
        super::keywords_schema(),
        vec![
            texts(rows.iter().map(|row| row.keyword_id.as_str())),
            texts(rows.iter().map(|row| row.text.as_str())),
            texts(rows.iter().map(|row| row.kind.as_str())),
            counts(rows.iter().map(|row| row.product_count)),
            numbers(rows.iter().map(|row| row.popularity)),
        ],
    )
}

/// `interactions.parquet` of these rows.
pub fn interactions(rows: &[Interaction]) -> RecordBatch {
    batch(
        super::interactions_schema(),
        vec![
            texts(rows.iter().map(|row| row.household_id.as_str())),
            texts(rows.iter().map(|row| row.segment_id.as_str())),
            texts(rows.iter().map(|row| row.visit_id.as_str())),
            texts(rows.iter().map(|row| row.product_id.as_str())),
            dates(rows.iter().map(|row| row.date)),
            numbers(rows.iter().map(|row| row.quantity)),
            numbers(rows.iter().map(|row| row.value)),
            flags(rows.iter().map(|row| row.impression)),
        ],
    )
}

/// `assignments.parquet` of these households.
pub fn assignments(rows: &BTreeMap<HouseholdId, SegmentId>) -> RecordBatch {
    let columns =
        vec![texts(rows.keys().map(HouseholdId::as_str)), texts(rows.values().map(SegmentId::as_str))];
    batch(super::assignments_schema(), columns)
}

/// Units and their arms.
pub fn arms(rows: &BTreeMap<UnitId, ArmId>) -> RecordBatch {
    let columns = vec![texts(rows.keys().map(UnitId::as_str)), texts(rows.values().map(ArmId::as_str))];
    batch(super::arms_schema(), columns)
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema, columns).expect("the columns above follow the contract's schema")
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    optional_texts(values.map(Some))
}

fn optional_texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = f32>) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(values))
}

fn counts(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}

fn flags(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<BooleanArray>())
}

fn dates(values: impl Iterator<Item = NaiveDate>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(values.map(Date32Type::from_naive_date)))
}

fn text_lists<'a, T: AsRef<str> + 'a>(lists: impl Iterator<Item = &'a [T]> + Clone) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[T]>::len));
    let values = texts(lists.flatten().map(AsRef::as_ref));
    Arc::new(ListArray::new(Arc::new(Field::new("item", DataType::Utf8, false)), offsets, values, None))
}

fn distinctive<'a>(lists: impl Iterator<Item = &'a [Distinctive]> + Clone) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[Distinctive]>::len));
    let items = lists.flatten();
    let fields = super::distinctive_fields();
    let columns = vec![
        texts(items.clone().map(|item| item.name.as_str())),
        texts(items.clone().map(|item| item.aisle.as_str())),
        numbers(items.clone().map(|item| item.households)),
        numbers(items.map(|item| item.lift)),
    ];
    let values = StructArray::new(fields.clone(), columns, None);
    let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
    Arc::new(ListArray::new(item, offsets, Arc::new(values), None))
}

/// An empty map is written as null.
fn maps<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, String>> + Clone) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(maps.clone().map(BTreeMap::len));
    let nulls = NullBuffer::from_iter(maps.clone().map(|map| !map.is_empty()));
    let entries = maps.flatten();
    let columns = vec![
        texts(entries.clone().map(|entry| entry.0.as_str())),
        texts(entries.map(|entry| entry.1.as_str())),
    ];
    let entries = StructArray::new(super::map_fields(), columns, None);
    Arc::new(MapArray::new(Arc::new(super::map_entry()), offsets, entries, Some(nulls), false))
}
