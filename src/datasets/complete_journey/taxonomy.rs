//! The taxonomy: shopper-facing names, aisles, search keywords and tags for the source's product types.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde::Deserialize;

use super::DatasetError;

/// A merchandisable row: one of the source's product types. Several may share a clean name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxonomyRow {
    /// The source's key: department, category and type.
    pub key: [String; 3],
    /// Clean, shopper-facing type.
    pub name: String,
    pub aisle: String,
    /// Lower case, each once.
    pub keywords: BTreeSet<String>,
    pub tags: BTreeSet<String>,
}

/// All merchandisable rows, and their clean names, sorted.
#[derive(Debug)]
pub struct Taxonomy {
    pub rows: Vec<TaxonomyRow>,
    /// A type's id is its place here.
    pub types: Vec<String>,
}

#[derive(Deserialize)]
struct Record {
    department: String,
    product_category: String,
    product_type: String,
    name: String,
    aisle: String,
    keywords: String,
    tags: String,
    merchandisable: String,
}

impl Taxonomy {
    /// The committed taxonomy of the Complete Journey.
    pub fn committed() -> Result<Self, DatasetError> {
        Self::parse(include_str!("taxonomy.csv"))
    }

    fn parse(text: &str) -> Result<Self, DatasetError> {
        let mut rows = Vec::new();
        for record in csv::Reader::from_reader(text.as_bytes()).deserialize() {
            let record: Record = record?;
            if record.merchandisable == "yes" {
                rows.push(TaxonomyRow::from(record));
            }
        }
        let types = rows.iter().map(|row| row.name.clone()).collect::<BTreeSet<_>>();
        Ok(Self { rows, types: types.into_iter().collect() })
    }

    /// Every text that names something the shop sells: types, aisles and search keywords.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let keywords = self.rows.iter().flat_map(|row| &row.keywords).map(String::as_str);
        self.rows.iter().flat_map(|row| [row.name.as_str(), row.aisle.as_str()]).chain(keywords)
    }

    /// As the table `taxonomy` of the queries.
    pub fn table(&self) -> RecordBatch {
        let key = |part: usize| StringArray::from_iter_values(self.rows.iter().map(|row| &row.key[part]));
        let type_id = |row: &TaxonomyRow| self.types.partition_point(|name| *name < row.name) as i64;
        let text = |name| Field::new(name, DataType::Utf8, false);
        let number = |name| Field::new(name, DataType::Int64, false);
        let schema = Schema::new(vec![
            text("department"),
            text("product_category"),
            text("product_type"),
            number("taxonomy_row"),
            number("type_id"),
        ]);
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(key(0)),
            Arc::new(key(1)),
            Arc::new(key(2)),
            Arc::new(Int64Array::from_iter_values(0..self.rows.len() as i64)),
            Arc::new(Int64Array::from_iter_values(self.rows.iter().map(type_id))),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).expect("the columns above follow the schema above")
    }
}

impl From<Record> for TaxonomyRow {
    fn from(record: Record) -> Self {
        let folded = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            key: [record.department, record.product_category, record.product_type],
            name: record.name,
            aisle: record.aisle,
            keywords: record.keywords.split('|').map(folded).filter(|text| !text.is_empty()).collect(),
            tags: record.tags.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// The source's department as a shopper would say it.
pub fn department(source: &str) -> String {
    let name = match source {
        "COSMETICS" => "Beauty",
        "DRUG GM" => "Health and home",
        "GARDEN CENTER" => "Garden center",
        "MEAT-PCKGD" => "Packaged meat",
        "NUTRITION" => "Natural and organic",
        "PASTRY" => "Bakery",
        "SEAFOOD-PCKGD" => "Packaged seafood",
        "TRAVEL & LEISURE" => "Travel and leisure",
        other => return sentence_case(other),
    };
    name.into()
}

fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted with pandas: 1,731 rows are merchandisable, under 1,699 names.
    #[test]
    fn the_committed_taxonomy_is_whole() {
        let taxonomy = Taxonomy::committed().expect("taxonomy");
        assert_eq!((taxonomy.rows.len(), taxonomy.types.len()), (1_731, 1_699));
        let milk = taxonomy.rows.iter().find(|row| row.name == "White milk").expect("milk");
        assert_eq!(milk.aisle, "Milk and cream");
        assert!(milk.keywords.iter().all(|keyword| *keyword == keyword.to_lowercase()));
    }

    #[test]
    fn departments_read_as_words() {
        assert_eq!(department("GROCERY"), "Grocery");
        assert_eq!(department("DRUG GM"), "Health and home");
    }
}
