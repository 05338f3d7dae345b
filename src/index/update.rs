//! Bringing the tables to the inputs: compare, embed what is new, write what differs, rebuild the indexes.

use std::collections::{BTreeMap, BTreeSet};

use lancedb::Table;
use serde::Serialize;

use super::rows::{
    Embedded, KeywordRow, ListingRow, ProductRow, Row, Searchable, TypeRow, catalog_rows, keyword_rows,
    plain_batch, type_rows, vector_batch,
};
use super::store::Store;
use super::{Index, IndexError, encode};
use crate::domain::digest::DigestBuilder;
use crate::domain::{Catalog, Digest, Keyword};

/// Rows a commit: what a killed update of a large catalogue loses at most.
const ROWS_A_COMMIT: usize = 4_096;

/// Texts encoded between two reports of progress.
const TEXTS_A_STEP: usize = 256;

/// What an update did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UpdateReport {
    pub keywords: TableReport,
    pub products: TableReport,
    /// Product types.
    pub types: TableReport,
}

/// Rows by what became of them, and texts that had to be embedded for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
    pub unchanged: u64,
    pub embedded: u64,
}

/// What separates a table from what it should hold.
struct Diff<'a, R> {
    /// Added or changed.
    write: Vec<&'a R>,
    remove: Vec<String>,
    report: TableReport,
}

impl<'a, R: Row> Diff<'a, R> {
    fn new(wanted: &'a [R], stored: &BTreeMap<String, R>) -> Self {
        let ids: BTreeSet<&str> = wanted.iter().map(R::id).collect();
        let remove: Vec<String> = stored.keys().filter(|id| !ids.contains(id.as_str())).cloned().collect();
        let write: Vec<&R> = wanted.iter().filter(|row| stored.get(row.id()) != Some(*row)).collect();
        let changed = write.iter().filter(|row| stored.contains_key(row.id())).count();
        let report = TableReport {
            added: (write.len() - changed) as u64,
            changed: changed as u64,
            removed: remove.len() as u64,
            unchanged: (wanted.len() - write.len()) as u64,
            embedded: 0,
        };
        Self { write, remove, report }
    }

    fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }
}

impl Index {
    /// Makes the index hold exactly `keywords` and `catalog`. `progress` is told of texts embedded.
    ///
    /// Cut short at any point (killed, or its future dropped), the index refuses to be searched until an update has
    /// run to its end. An index of another encoder or format is emptied first.
    pub async fn update(
        &self,
        keywords: &[Keyword],
        catalog: &Catalog,
        progress: &dyn Fn(u64),
    ) -> Result<UpdateReport, IndexError> {
        let _alone = self.updating.lock().await;
        let encoder = self.memory.encoder().digest();
        let state = self.store.state().await?;
        if !state.as_ref().is_some_and(|state| state.fits(encoder)) {
            tracing::info!(uri = self.store.uri(), "no index of this encoder and format: building one");
            self.store.clear().await?;
            self.store.set_state(encoder, None).await?;
        }
        let finished = state.filter(|state| state.fits(encoder)).and_then(|state| state.content).is_some();
        let mut work = Work { index: self, resumes: !finished, marked: !finished, progress };

        let keywords = keyword_rows(keywords);
        let (listings, products) = catalog_rows(catalog);
        let types = type_rows(catalog);
        let report = UpdateReport {
            keywords: work.write_searchable(&keywords).await?,
            products: {
                let TableReport { embedded, .. } = work.write_searchable(&listings).await?;
                TableReport { embedded, ..work.write_products(&products).await? }
            },
            types: work.write_embedded::<TypeRow>(&types).await?.report,
        };
        if work.marked {
            let content = content_digest(encoder, &keywords, &listings, &products, &types);
            self.store.set_state(encoder, Some(content)).await?;
        }
        self.reload().await?;
        Ok(report)
    }
}

/// An update under way.
struct Work<'a> {
    index: &'a Index,
    /// No update finished before this one, so nothing is known of the tables' indexes.
    resumes: bool,
    /// `state` says that the index is unfinished.
    marked: bool,
    progress: &'a dyn Fn(u64),
}

/// A table brought up to date.
struct Written {
    table: Table,
    report: TableReport,
    /// What is built over its rows has to be built again.
    changed: bool,
}

impl Work<'_> {
    fn store(&self) -> &Store {
        &self.index.store
    }

    async fn write_products(&mut self, wanted: &[ProductRow]) -> Result<TableReport, IndexError> {
        let table = self.store().plain_table::<ProductRow>().await?;
        let stored = self.store().rows(&table, None).await?;
        let diff = Diff::new(wanted, &stored);
        if !diff.is_empty() {
            self.mark().await?;
            for rows in diff.write.chunks(ROWS_A_COMMIT) {
                self.store().upsert(&table, plain_batch(rows)?).await?;
            }
            self.store().delete(&table, &diff.remove).await?;
            self.store().compact(&table).await?;
        }
        Ok(diff.report)
    }

    async fn write_searchable<R: Searchable>(&mut self, wanted: &[R]) -> Result<TableReport, IndexError> {
        let Written { table, report, changed } = self.write_embedded(wanted).await?;
        if changed {
            self.store().reindex::<R>(&table, self.index.settings.vector_index_min_rows).await?;
        }
        Ok(report)
    }

    async fn write_embedded<R: Embedded>(&mut self, wanted: &[R]) -> Result<Written, IndexError> {
        let table = self.store().vector_table::<R>().await?;
        let stored = self.store().rows(&table, None).await?;
        let mut diff = Diff::new(wanted, &stored);
        if diff.is_empty() && !self.resumes {
            return Ok(Written { table, report: diff.report, changed: false });
        }
        self.mark().await?;
        for rows in diff.write.chunks(ROWS_A_COMMIT) {
            diff.report.embedded += self.write_with_vectors(&table, rows).await?;
        }
        // Only now: a row about to go may hold the vector of one that comes.
        self.store().delete(&table, &diff.remove).await?;
        self.store().compact(&table).await?;
        Ok(Written { table, report: diff.report, changed: true })
    }

    /// Marks the index unfinished, before the first write.
    async fn mark(&mut self) -> Result<(), IndexError> {
        if !self.marked {
            self.store().set_state(self.index.memory.encoder().digest(), None).await?;
            self.marked = true;
        }
        Ok(())
    }

    /// Writes `rows`, taking from the table the vectors of texts it already holds. Returns the number of texts embedded.
    async fn write_with_vectors<R: Embedded>(&self, table: &Table, rows: &[&R]) -> Result<u64, IndexError> {
        let texts: BTreeSet<&str> = rows.iter().map(|row| row.text()).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        let mut vectors = self.store().vectors_of(table, &texts).await?;
        let new: Vec<String> =
            texts.into_iter().filter(|text| !vectors.contains_key(*text)).map(str::to_owned).collect();
        for texts in new.chunks(TEXTS_A_STEP) {
            let encoded = encode(self.index.memory.encoder(), texts.to_vec()).await?;
            vectors.extend(texts.iter().cloned().zip(encoded));
            (self.progress)(texts.len() as u64);
        }
        let flat: Vec<f32> =
            rows.iter().filter_map(|row| vectors.get(row.text())).flatten().copied().collect();
        let batch = vector_batch(rows, flat, self.store().dimension())?;
        self.store().upsert(table, batch).await?;
        Ok(new.len() as u64)
    }
}

/// Digest of everything that is read.
fn content_digest(
    encoder: Digest,
    keywords: &[KeywordRow],
    listings: &[ListingRow],
    products: &[ProductRow],
    types: &[TypeRow],
) -> Digest {
    let mut digest = DigestBuilder::default();
    digest.part(encoder.as_bytes());
    digest_rows(&mut digest, keywords);
    digest_rows(&mut digest, listings);
    digest_rows(&mut digest, products);
    digest_rows(&mut digest, types);
    digest.finish()
}

fn digest_rows<R: Row>(digest: &mut DigestBuilder, rows: &[R]) {
    digest.part(&(rows.len() as u64).to_le_bytes());
    rows.iter().for_each(|row| row.digest(digest));
}
