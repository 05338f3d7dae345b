//! The rows of the tables, and their way into Arrow and back. A table holds what search reads and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float32Array, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;

use super::IndexError;
use crate::domain::digest::DigestBuilder;
use crate::domain::{Catalog, Digest, Keyword, Product};

/// The column of every table that identifies a row.
pub const ID: &str = "id";
/// The column that both kinds of search read, of tables that have a [`VECTOR`].
pub const TEXT: &str = "text";
pub const VECTOR: &str = "vector";

/// A row of a table, as the inputs want it or as the table holds it.
pub trait Row: Clone + PartialEq + Send + Sync {
    const TABLE: &'static str;

    fn id(&self) -> &str;

    /// All columns but the vector.
    fn fields() -> Vec<Field>;
    fn columns(rows: &[&Self]) -> Vec<ArrayRef>;
    fn read(batch: &RecordBatch) -> Result<Vec<Self>, IndexError>;

    fn digest(&self, digest: &mut DigestBuilder);
}

/// A row with a vector.
pub trait Embedded: Row {
    /// What is embedded.
    fn text(&self) -> &str;
}

/// A row that is found by its text.
pub trait Searchable: Embedded {
    /// The column that a search returns beside the id.
    const LABEL: &'static str;

    /// The column that full-text search reads.
    const WORDS: &'static str;
}

/// A keyword of the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct KeywordRow {
    id: String,
    text: String,
}

/// What several products have in common that a shopper would type: products of one title, type, aisle and set of tags
/// share one listing, and so one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct ListingRow {
    id: String,
    /// Words and aisle. The aisle tells the vectors of "Bar soap" and "Protein bars" apart; among the words it would
    /// only make every listing of the aisle "Milk and cream" a match for "milk".
    text: String,
    /// The title, and the type where the title does not already say it.
    words: String,
    product_type: String,
    aisle: String,
    /// See [`tag_list`].
    tags: String,
    /// At least one of its products is in stock.
    in_stock: bool,
}

/// A product, by the columns that choose among those of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductRow {
    pub id: String,
    pub listing: String,
    pub units_28d: u32,
    pub in_stock: bool,
    pub private_label: bool,
}

/// A product type of the catalogue, by itself: nobody searches for it, but titles and households are held against it.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeRow(String);

/// Between the tags of a listing's row; no tag holds it, being a control character.
const SEPARATOR: char = '\u{1f}';

/// `tags` as one text in which [`tag_needle`] finds a whole tag and never a part of one.
fn tag_list(tags: &BTreeSet<String>) -> String {
    tags.iter().map(|tag| tag_needle(tag)).collect()
}

/// What the text of a tag looks like inside [`tag_list`].
pub fn tag_needle(tag: &str) -> String {
    format!("{SEPARATOR}{}{SEPARATOR}", tag.replace(SEPARATOR, " "))
}

/// The keyword rows of a corpus, by id.
pub fn keyword_rows(keywords: &[Keyword]) -> Vec<KeywordRow> {
    let by_id: BTreeMap<&str, &Keyword> =
        keywords.iter().map(|keyword| (keyword.keyword_id.as_str(), keyword)).collect();
    by_id.into_iter().map(|(id, keyword)| KeywordRow { id: id.into(), text: keyword.text.clone() }).collect()
}

/// The listings and products of a catalogue, by id.
pub fn catalog_rows(catalog: &Catalog) -> (Vec<ListingRow>, Vec<ProductRow>) {
    let mut listings: BTreeMap<String, ListingRow> = BTreeMap::new();
    let mut products = Vec::with_capacity(catalog.len());
    for product in catalog.iter() {
        let listing = ListingRow::of(product);
        products.push(ProductRow::of(product, &listing.id));
        listings.entry(listing.id.clone()).or_insert(listing).in_stock |= product.in_stock;
    }
    (listings.into_values().collect(), products)
}

/// The product types of a catalogue, each once, in order.
pub fn type_rows(catalog: &Catalog) -> Vec<TypeRow> {
    let types: BTreeSet<&str> = catalog.iter().map(|product| product.product_type.as_str()).collect();
    types.into_iter().map(|text| TypeRow(text.into())).collect()
}

impl ListingRow {
    fn of(product: &Product) -> Self {
        let tags = tag_list(&product.tags);
        let words = listing_words(product);
        let parts = [&words, &product.product_type, &product.aisle, &tags];
        Self {
            id: Digest::of_parts(parts.map(|part| part.as_bytes())).to_hex()[..32].into(),
            text: format!("{words}, {}", product.aisle),
            words,
            product_type: product.product_type.clone(),
            aisle: product.aisle.clone(),
            tags,
            in_stock: product.in_stock,
        }
    }
}

fn listing_words(product: &Product) -> String {
    let said = product.title.to_lowercase().contains(&product.product_type.to_lowercase());
    if said { product.title.clone() } else { format!("{}, {}", product.title, product.product_type) }
}

impl ProductRow {
    fn of(product: &Product, listing: &str) -> Self {
        Self {
            id: product.product_id.as_str().into(),
            listing: listing.into(),
            units_28d: product.units_28d,
            in_stock: product.in_stock,
            private_label: product.private_label,
        }
    }
}

impl Row for KeywordRow {
    const TABLE: &'static str = "keywords";

    fn id(&self) -> &str {
        &self.id
    }

    fn fields() -> Vec<Field> {
        vec![utf8(ID), utf8(TEXT)]
    }

    fn columns(rows: &[&Self]) -> Vec<ArrayRef> {
        vec![texts(rows, |row| &row.id), texts(rows, |row| &row.text)]
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, IndexError> {
        let (ids, texts) = (strings(batch, ID)?, strings(batch, TEXT)?);
        Ok((0..batch.num_rows())
            .map(|at| Self { id: ids.value(at).into(), text: texts.value(at).into() })
            .collect())
    }

    fn digest(&self, digest: &mut DigestBuilder) {
        digest.part(self.id.as_bytes()).part(self.text.as_bytes());
    }
}

impl Embedded for KeywordRow {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Searchable for KeywordRow {
    const LABEL: &'static str = TEXT;
    const WORDS: &'static str = TEXT;
}

impl Row for ListingRow {
    const TABLE: &'static str = "listings";

    fn id(&self) -> &str {
        &self.id
    }

    fn fields() -> Vec<Field> {
        let in_stock = Field::new("in_stock", DataType::Boolean, false);
        vec![utf8(ID), utf8(TEXT), utf8("words"), utf8("type"), utf8("aisle"), utf8("tags"), in_stock]
    }

    fn columns(rows: &[&Self]) -> Vec<ArrayRef> {
        vec![
            texts(rows, |row| &row.id),
            texts(rows, |row| &row.text),
            texts(rows, |row| &row.words),
            texts(rows, |row| &row.product_type),
            texts(rows, |row| &row.aisle),
            texts(rows, |row| &row.tags),
            flags(rows, |row| row.in_stock),
        ]
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, IndexError> {
        let column = |name| strings(batch, name);
        let (ids, texts, words) = (column(ID)?, column(TEXT)?, column("words")?);
        let (types, aisles, tags) = (column("type")?, column("aisle")?, column("tags")?);
        let in_stock = booleans(batch, "in_stock")?;
        Ok((0..batch.num_rows())
            .map(|at| Self {
                id: ids.value(at).into(),
                text: texts.value(at).into(),
                words: words.value(at).into(),
                product_type: types.value(at).into(),
                aisle: aisles.value(at).into(),
                tags: tags.value(at).into(),
                in_stock: in_stock.value(at),
            })
            .collect())
    }

    fn digest(&self, digest: &mut DigestBuilder) {
        // The id is the digest of all that does not change.
        digest.part(self.id.as_bytes()).part(&[self.in_stock.into()]);
    }
}

impl Embedded for ListingRow {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Searchable for ListingRow {
    const LABEL: &'static str = "type";
    const WORDS: &'static str = "words";
}

impl Row for ProductRow {
    const TABLE: &'static str = "products";

    fn id(&self) -> &str {
        &self.id
    }

    fn fields() -> Vec<Field> {
        let flag = |name| Field::new(name, DataType::Boolean, false);
        let units = Field::new("units_28d", DataType::UInt32, false);
        vec![utf8(ID), utf8("listing"), units, flag("in_stock"), flag("private_label")]
    }

    fn columns(rows: &[&Self]) -> Vec<ArrayRef> {
        vec![
            texts(rows, |row| &row.id),
            texts(rows, |row| &row.listing),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.units_28d))),
            flags(rows, |row| row.in_stock),
            flags(rows, |row| row.private_label),
        ]
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, IndexError> {
        let (ids, listings) = (strings(batch, ID)?, strings(batch, "listing")?);
        let (in_stock, private_label) = (booleans(batch, "in_stock")?, booleans(batch, "private_label")?);
        let units = column(batch, "units_28d")?
            .as_primitive_opt::<UInt32Type>()
            .ok_or(IndexError::Column { column: "units_28d" })?;
        Ok((0..batch.num_rows())
            .map(|at| Self {
                id: ids.value(at).into(),
                listing: listings.value(at).into(),
                units_28d: units.value(at),
                in_stock: in_stock.value(at),
                private_label: private_label.value(at),
            })
            .collect())
    }

    fn digest(&self, digest: &mut DigestBuilder) {
        digest
            .part(self.id.as_bytes())
            .part(self.listing.as_bytes())
            .part(&self.units_28d.to_le_bytes())
            .part(&[self.in_stock.into(), self.private_label.into()]);
    }
}

impl Row for TypeRow {
    const TABLE: &'static str = "types";

    fn id(&self) -> &str {
        &self.0
    }

    fn fields() -> Vec<Field> {
        vec![utf8(ID), utf8(TEXT)]
    }

    fn columns(rows: &[&Self]) -> Vec<ArrayRef> {
        let column = texts(rows, |row| &row.0);
        vec![Arc::clone(&column), column]
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, IndexError> {
        Ok(strings(batch, ID)?.iter().flatten().map(|text| Self(text.into())).collect())
    }

    fn digest(&self, digest: &mut DigestBuilder) {
        digest.part(self.0.as_bytes());
    }
}

impl Embedded for TypeRow {
    fn text(&self) -> &str {
        &self.0
    }
}

/// Schema of a table of `R`s.
pub fn plain_schema<R: Row>() -> SchemaRef {
    Arc::new(Schema::new(R::fields()))
}

/// Schema of a table of `R`s with their vectors.
pub fn vector_schema<R: Embedded>(dimension: usize) -> SchemaRef {
    let mut fields = R::fields();
    fields.push(Field::new(VECTOR, DataType::FixedSizeList(vector_item(), dimension as i32), false));
    Arc::new(Schema::new(fields))
}

/// `rows` as one batch.
pub fn plain_batch<R: Row>(rows: &[&R]) -> Result<RecordBatch, IndexError> {
    Ok(RecordBatch::try_new(plain_schema::<R>(), R::columns(rows))?)
}

/// `rows` with their vectors (each of length `dimension`) as one batch.
pub fn vector_batch<R: Embedded>(
    rows: &[&R],
    vectors: Vec<f32>,
    dimension: usize,
) -> Result<RecordBatch, IndexError> {
    let mut columns = R::columns(rows);
    let values = Arc::new(Float32Array::from(vectors));
    columns.push(Arc::new(FixedSizeListArray::try_new(vector_item(), dimension as i32, values, None)?));
    Ok(RecordBatch::try_new(vector_schema::<R>(dimension), columns)?)
}

fn vector_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn utf8(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn texts<R>(rows: &[&R], text: impl Fn(&R) -> &String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(|row| text(row))))
}

fn flags<R>(rows: &[&R], flag: impl Fn(&R) -> bool) -> ArrayRef {
    Arc::new(BooleanArray::from(rows.iter().map(|row| flag(row)).collect::<Vec<_>>()))
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef, IndexError> {
    batch.column_by_name(name).ok_or(IndexError::Column { column: name })
}

pub fn strings<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringArray, IndexError> {
    column(batch, name)?.as_string_opt::<i32>().ok_or(IndexError::Column { column: name })
}

fn booleans<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a BooleanArray, IndexError> {
    column(batch, name)?.as_boolean_opt().ok_or(IndexError::Column { column: name })
}

pub fn floats<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a Float32Array, IndexError> {
    column(batch, name)?.as_primitive_opt::<Float32Type>().ok_or(IndexError::Column { column: name })
}

/// The vectors of a batch, one slice a row.
pub fn vectors(batch: &RecordBatch) -> Result<Vec<&[f32]>, IndexError> {
    let bad = IndexError::Column { column: VECTOR };
    let Some(lists) = column(batch, VECTOR)?.as_fixed_size_list_opt() else { return Err(bad) };
    let Some(values) = lists.values().as_primitive_opt::<Float32Type>() else { return Err(bad) };
    let dimension = lists.value_length() as usize;
    let start = lists.value_offset(0) as usize;
    Ok(values.values()[start..].chunks_exact(dimension).take(lists.len()).collect())
}
