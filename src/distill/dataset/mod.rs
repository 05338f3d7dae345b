//! The training set on disk: `themes.parquet` and `keywords.parquet`, a row an example.
//!
//! | file | columns |
//! | --- | --- |
//! | `themes.parquet` | `example_id` utf8, `as_of` date32, `split` utf8, `context` utf8 (JSON of a [`SegmentContext`](crate::domain::SegmentContext)), `persona` utf8, `placements` list<struct{title, intent, concepts list<utf8>}> |
//! | `keywords.parquet` | `example_id` utf8, `as_of` date32, `split` utf8, `title` utf8, `concepts` list<utf8>, `candidates` list<struct{text, grade u8}>, `chosen` list<utf8> |
//!
//! The files' own metadata hold the set's version, the templates' and a digest of the sources. The same rows give the
//! same bytes.

mod read;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::domain::Digest;

pub use read::{read_keywords, read_origin, read_themes};
pub use write::{write_keywords, write_themes};

/// Version of the columns and their meaning; a reader refuses another.
pub const VERSION: &str = "1";

pub const THEMES_FILE: &str = "themes.parquet";
pub const KEYWORDS_FILE: &str = "keywords.parquet";

const KEY_VERSION: &str = "endcap.dataset.version";
const KEY_TEMPLATE: &str = "endcap.template.version";
const KEY_SOURCES: &str = "endcap.sources.sha256";

/// Where the rows of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Version of the templates the teacher's and the student's prompts are rendered with.
    pub template: String,
    /// Digest of the sources' own digests, in the card's order.
    pub sources: Digest,
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

fn placement_fields() -> Fields {
    let concepts = field("concepts", list(DataType::Utf8));
    Fields::from(vec![field("title", DataType::Utf8), field("intent", DataType::Utf8), concepts])
}

fn candidate_fields() -> Fields {
    Fields::from(vec![field("text", DataType::Utf8), field("grade", DataType::UInt8)])
}

fn themes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("example_id", DataType::Utf8),
        field("as_of", DataType::Date32),
        field("split", DataType::Utf8),
        field("context", DataType::Utf8),
        field("persona", DataType::Utf8),
        field("placements", list(DataType::Struct(placement_fields()))),
    ]))
}

fn keywords_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("example_id", DataType::Utf8),
        field("as_of", DataType::Date32),
        field("split", DataType::Utf8),
        field("title", DataType::Utf8),
        field("concepts", list(DataType::Utf8)),
        field("candidates", list(DataType::Struct(candidate_fields()))),
        field("chosen", list(DataType::Utf8)),
    ]))
}
