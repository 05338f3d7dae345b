//! The LanceDB side: tables, commits, indexes.

use std::collections::BTreeMap;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchIterator};
use futures::TryStreamExt;
use lancedb::database::CreateTableMode;
use lancedb::expr::DfExpr;
use lancedb::index::scalar::FtsIndexBuilder;
use lancedb::index::vector::IvfPqIndexBuilder;
use lancedb::query::{ExecutableQuery, Query, QueryBase, Select};
use lancedb::table::OptimizeAction;
use lancedb::{Connection, DistanceType, Table};

use super::IndexError;
use super::filter::any_of;
use super::rows::{
    Embedded, ID, Row, Searchable, TEXT, VECTOR, plain_schema, strings, vector_schema, vectors,
};
use crate::domain::{Digest, INDEX_FORMAT};

/// Values of one `IN (…)`.
const IDS_A_CALL: usize = 1_000;

/// The database of an index.
pub struct Store {
    db: Connection,
    dimension: usize,
}

/// What the tables hold, by the one row of the table `state`.
pub struct State {
    format: String,
    encoder: String,
    /// Digest of the content; `None` while an update is under way.
    pub content: Option<Digest>,
}

impl State {
    /// Whether the tables are of this format and encoder, and so worth keeping.
    pub fn fits(&self, encoder: Digest) -> bool {
        self.format == INDEX_FORMAT.to_string() && self.encoder == encoder.to_hex()
    }
}

/// What LanceDB was asked to do when it failed.
type Outcome<T> = Result<T, lancedb::Error>;

impl Store {
    pub async fn connect(
        uri: &str,
        options: &BTreeMap<String, String>,
        dimension: usize,
    ) -> Result<Self, IndexError> {
        let db = lancedb::connect(uri).storage_options(options).execute().await;
        let db = db.map_err(|source| store_error(uri, "open the database", source))?;
        Ok(Self { db, dimension })
    }

    pub fn uri(&self) -> &str {
        self.db.uri()
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Turns a failure of LanceDB into ours, naming the place and what was being done.
    pub fn check<T>(&self, action: &str, outcome: Outcome<T>) -> Result<T, IndexError> {
        outcome.map_err(|source| store_error(self.uri(), action, source))
    }

    pub async fn state(&self) -> Result<Option<State>, IndexError> {
        let table = match self.db.open_table("state").execute().await {
            Err(lancedb::Error::TableNotFound { .. }) => return Ok(None),
            opened => self.check("open the table state", opened)?,
        };
        let batches = self.collect("read the table state", table.query()).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
        let value = |name| Ok::<_, IndexError>(strings(batch, name)?.value(0).to_owned());
        let content = Digest::parse(&value("content")?).ok();
        Ok(Some(State { format: value("format")?, encoder: value("encoder")?, content }))
    }

    /// Records that the tables hold `content`; `None` before they are written to.
    pub async fn set_state(&self, encoder: Digest, content: Option<Digest>) -> Result<(), IndexError> {
        let names = ["format", "encoder", "content"];
        let values = [
            INDEX_FORMAT.to_string(),
            encoder.to_hex(),
            content.map(|digest| digest.to_hex()).unwrap_or_default(),
        ];
        let fields: Vec<Field> = names.map(|name| Field::new(name, DataType::Utf8, false)).into();
        let columns = values.map(|value| std::sync::Arc::new(StringArray::from(vec![value])) as _);
        let batch = RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns.into())?;
        let written = self.db.create_table("state", batch).mode(CreateTableMode::Overwrite).execute().await;
        self.check("write the table state", written)?;
        Ok(())
    }

    /// The table of products, made if it is not there.
    pub async fn plain_table<R: Row>(&self) -> Result<Table, IndexError> {
        self.table(R::TABLE, plain_schema::<R>()).await
    }

    /// A table with vectors, made if it is not there.
    pub async fn vector_table<R: Embedded>(&self) -> Result<Table, IndexError> {
        self.table(R::TABLE, vector_schema::<R>(self.dimension)).await
    }

    async fn table(&self, name: &str, schema: SchemaRef) -> Result<Table, IndexError> {
        let table = match self.db.open_table(name).execute().await {
            Err(lancedb::Error::TableNotFound { .. }) => {
                self.db.create_empty_table(name, schema).execute().await
            }
            opened => opened,
        };
        self.check(&format!("open the table {name}"), table)
    }

    /// Empties the database.
    pub async fn clear(&self) -> Result<(), IndexError> {
        self.check("drop the old tables", self.db.drop_all_tables(&[]).await)
    }

    /// All rows of `table` that `filter` lets through, by id, without their vectors.
    pub async fn rows<R: Row>(
        &self,
        table: &Table,
        filter: Option<DfExpr>,
    ) -> Result<BTreeMap<String, R>, IndexError> {
        let columns: Vec<String> = R::fields().iter().map(|field| field.name().clone()).collect();
        let query = with_filter(table.query().select(Select::columns(&columns)), filter);
        let mut rows = BTreeMap::new();
        for batch in self.collect(&format!("read the table {}", R::TABLE), query).await? {
            rows.extend(R::read(&batch)?.into_iter().map(|row| (row.id().to_owned(), row)));
        }
        Ok(rows)
    }

    /// The stored vectors of those of `texts` that a row of `table` holds.
    pub async fn vectors_of(
        &self,
        table: &Table,
        texts: &[&str],
    ) -> Result<BTreeMap<String, Vec<f32>>, IndexError> {
        let mut found = BTreeMap::new();
        for texts in texts.chunks(IDS_A_CALL) {
            let wanted = any_of(TEXT, texts.iter().map(|text| (*text).to_owned()));
            found.extend(self.vectors(table, Some(wanted)).await?);
        }
        Ok(found)
    }

    /// Text and vector of all rows of `table` that `filter` lets through.
    pub async fn vectors(
        &self,
        table: &Table,
        filter: Option<DfExpr>,
    ) -> Result<Vec<(String, Vec<f32>)>, IndexError> {
        let query = with_filter(table.query().select(Select::columns(&[TEXT, VECTOR])), filter);
        let mut found = Vec::new();
        for batch in self.collect("read stored vectors", query).await? {
            let texts = strings(&batch, TEXT)?.iter().flatten().map(str::to_owned);
            found.extend(texts.zip(vectors(&batch)?.into_iter().map(<[f32]>::to_vec)));
        }
        Ok(found)
    }

    pub async fn collect(&self, action: &str, query: Query) -> Result<Vec<RecordBatch>, IndexError> {
        let stream = self.check(action, query.execute().await)?;
        self.check(action, stream.try_collect().await)
    }

    /// Replaces the rows of `batch`'s ids, or adds them: one commit.
    pub async fn upsert(&self, table: &Table, batch: RecordBatch) -> Result<(), IndexError> {
        let schema = batch.schema();
        let mut merge = table.merge_insert(&[ID]);
        merge.when_matched_update_all(None).when_not_matched_insert_all();
        let merged = merge.execute(Box::new(RecordBatchIterator::new([Ok(batch)], schema))).await;
        self.check(&format!("write the table {}", table.name()), merged)?;
        Ok(())
    }

    pub async fn delete(&self, table: &Table, ids: &[String]) -> Result<(), IndexError> {
        for ids in ids.chunks(IDS_A_CALL) {
            let gone = any_of(ID, ids.iter().cloned());
            self.check(&format!("delete from the table {}", table.name()), table.delete(&gone).await)?;
        }
        Ok(())
    }

    /// Merges small files and removes versions older than LanceDB's seven days.
    pub async fn compact(&self, table: &Table) -> Result<(), IndexError> {
        self.check(
            &format!("compact the table {}", table.name()),
            table.optimize(OptimizeAction::All).await,
        )?;
        Ok(())
    }

    /// Builds the full-text index afresh, and the vector index where `table` has at least `vector_min_rows` rows.
    pub async fn reindex<R: Searchable>(
        &self,
        table: &Table,
        vector_min_rows: usize,
    ) -> Result<(), IndexError> {
        let rows = self.count(table).await?;
        if rows > 0 {
            // English stems and stop words, lower case, accents folded; one worker, so one partition.
            let words = lancedb::index::Index::FTS(FtsIndexBuilder::default().num_workers(1));
            let built = table.create_index(&[R::WORDS], words).execute().await;
            self.check(&format!("build the full-text index of {}", R::TABLE), built)?;
        }
        let existing = self.check("list indexes", table.list_indices().await)?;
        let existing = existing.into_iter().find(|index| index.columns.iter().any(|column| column == VECTOR));
        if rows >= vector_min_rows {
            let vector = IvfPqIndexBuilder::default().distance_type(DistanceType::Dot);
            let built = table.create_index(&[VECTOR], lancedb::index::Index::IvfPq(vector)).execute().await;
            self.check(&format!("build the vector index of {}", R::TABLE), built)?;
        } else if let Some(index) = existing {
            self.check("drop the vector index", table.drop_index(&index.name).await)?;
        }
        Ok(())
    }

    pub async fn count(&self, table: &Table) -> Result<usize, IndexError> {
        self.check(&format!("count the table {}", table.name()), table.count_rows(None).await)
    }
}

/// `query`, restricted by `filter` before anything else happens.
pub fn with_filter<Q: QueryBase>(query: Q, filter: Option<DfExpr>) -> Q {
    match filter {
        Some(filter) => query.only_if_expr(filter),
        None => query,
    }
}

fn store_error(uri: &str, action: &str, source: lancedb::Error) -> IndexError {
    IndexError::Store { uri: uri.into(), action: action.into(), source: Box::new(source) }
}
