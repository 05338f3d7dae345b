//! `keywords.parquet` → [`Keyword`].

use super::cells::{Cells, Range, Unique};
use super::table::Table;
use super::text::{MAX_TEXT_CHARS, shown};
use super::{IngestError, TableFile, contract};
use crate::domain::{Keyword, KeywordKind};

/// Reads the keyword corpus, sorted by id; at least one keyword is needed, and each text stands once.
pub fn keywords(file: &TableFile) -> Result<Vec<Keyword>, IngestError> {
    let mut keywords: Vec<Keyword> = Vec::new();
    let mut ids = Unique::new("keyword_id");
    let mut texts = Unique::new("text");
    Table::open(file, contract::keywords_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let keyword = keyword(rows, at)?;
            ids.note(rows, at, keyword.keyword_id.as_str())?;
            texts.note(rows, at, &keyword.text)?;
            keywords.push(keyword);
        }
        Ok(())
    })?;
    if keywords.is_empty() {
        return Err(IngestError::NoRows { file: file.name().into(), what: "keyword" });
    }
    keywords.sort_by(|a, b| a.keyword_id.cmp(&b.keyword_id));
    Ok(keywords)
}

fn keyword(rows: &Cells<'_>, at: usize) -> Result<Keyword, IngestError> {
    let kind = rows.raw("kind", at);
    let kind = KeywordKind::parse(kind).ok_or_else(|| {
        rows.refuse("kind", at, format!("{:?} must be query, aisle or attribute", shown(kind)))
    })?;
    Ok(Keyword {
        keyword_id: rows.id("keyword_id", at)?,
        text: rows.text("text", at, MAX_TEXT_CHARS)?,
        kind,
        product_count: rows.count("product_count", at),
        popularity: rows.number("popularity", at, Range::Share)?,
    })
}
