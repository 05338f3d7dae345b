//! The source as tables to query, seen from one night: nothing from on or after `as_of` gets past `lines.sql`.
//!
//! DataFusion runs on one partition and every query orders its answer by a full key, so that answers do not depend on the
//! number of threads.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use chrono::{Days, NaiveDate};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;

use super::taxonomy::Taxonomy;
use super::{DatasetError, PrepareOptions, RECENT_DAYS, WINDOW_DAYS, YEAR_DAYS};

const TRANSACTIONS: [&str; 7] = [
    "household_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "transaction_timestamp",
];
const PRODUCTS: [&str; 6] =
    ["product_id", "department", "brand", "product_category", "product_type", "package_size"];
const DEMOGRAPHICS: [&str; 5] = ["household_id", "age", "income", "household_comp", "kids_count"];

/// The source's tables, and those that queries have built on them.
pub struct Journey {
    context: SessionContext,
    parameters: Vec<(&'static str, ScalarValue)>,
}

impl Journey {
    /// Opens the three files of the source and builds the tables `items` and `lines`.
    pub async fn open(options: &PrepareOptions, taxonomy: &Taxonomy) -> Result<Self, DatasetError> {
        let journey = Self { context: session(), parameters: parameters(options) };
        journey.register(&options.source, "transactions.parquet", "transactions", &TRANSACTIONS).await?;
        journey.register(&options.source, "products.parquet", "source_products", &PRODUCTS).await?;
        journey.register(&options.source, "demographics.parquet", "demographics", &DEMOGRAPHICS).await?;
        journey.keep("taxonomy", taxonomy.table())?;
        journey.keep("items", journey.ask("items", include_str!("sql/items.sql")).await?.rows)?;
        journey.keep("lines", journey.ask("lines", include_str!("sql/lines.sql")).await?.rows)?;
        Ok(journey)
    }

    /// The transactions alone, with the day `days` after `as_of` as the parameter `until`, and that day.
    pub async fn ahead(options: &PrepareOptions, days: u64) -> Result<(Self, NaiveDate), DatasetError> {
        let until = options.as_of.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX);
        let mut parameters = parameters(options);
        parameters.push(("until", ScalarValue::Date32(Some(Date32Type::from_naive_date(until)))));
        let journey = Self { context: session(), parameters };
        journey.register(&options.source, "transactions.parquet", "transactions", &TRANSACTIONS).await?;
        Ok((journey, until))
    }

    async fn register(
        &self,
        folder: &Path,
        file: &str,
        table: &str,
        columns: &[&'static str],
    ) -> Result<(), DatasetError> {
        let path = folder.join(file);
        if !path.is_file() {
            return Err(DatasetError::Missing { path });
        }
        let refuse = |source| DatasetError::Source { path: path.clone(), source };
        let options = ParquetReadOptions::default();
        self.context.register_parquet(table, path.to_string_lossy(), options).await.map_err(refuse)?;
        let found = self.context.table(table).await.map_err(refuse)?;
        match columns.iter().find(|column| found.schema().field_with_unqualified_name(column).is_err()) {
            Some(&column) => Err(DatasetError::Column { path, column }),
            None => Ok(()),
        }
    }

    /// Makes `rows` the table `name` of later queries.
    pub fn keep(&self, name: &'static str, rows: RecordBatch) -> Result<(), DatasetError> {
        let kept = self.context.register_batch(name, rows);
        kept.map(|_| ()).map_err(|source| DatasetError::Query { query: name, source })
    }

    /// Runs one query with the night's parameters.
    pub async fn ask(&self, query: &'static str, sql: &str) -> Result<Answer, DatasetError> {
        let refuse = |source| DatasetError::Query { query, source };
        let frame = self.context.sql(sql).await.map_err(refuse)?;
        let frame = frame.with_param_values(self.parameters.clone()).map_err(refuse)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.map_err(refuse)?;
        let schema = batches.first().map_or(schema, |batch| batch.schema());
        let rows = concat_batches(&schema, &batches).map_err(|error| refuse(error.into()))?;
        Ok(Answer { query, rows })
    }
}

fn session() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
    SessionContext::new_with_config(config)
}

fn parameters(options: &PrepareOptions) -> Vec<(&'static str, ScalarValue)> {
    let before = |days| {
        let day = options.as_of.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN);
        ScalarValue::Date32(Some(Date32Type::from_naive_date(day)))
    };
    vec![
        ("as_of", before(0)),
        ("recent_start", before(RECENT_DAYS)),
        ("window_start", before(WINDOW_DAYS)),
        ("year_start", before(YEAR_DAYS)),
        ("min_lines", ScalarValue::Int64(Some(i64::from(options.min_lines)))),
    ]
}

/// The rows that a query gave.
pub struct Answer {
    query: &'static str,
    pub rows: RecordBatch,
}

impl Answer {
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn integers(&self, column: &str) -> Result<Int64Array, DatasetError> {
        Ok(self.column(column, &DataType::Int64, false)?.as_primitive::<Int64Type>().clone())
    }

    pub fn flags(&self, column: &str) -> Result<BooleanArray, DatasetError> {
        Ok(self.column(column, &DataType::Boolean, false)?.as_boolean().clone())
    }

    pub fn dates(&self, column: &str) -> Result<Date32Array, DatasetError> {
        Ok(self.column(column, &DataType::Date32, false)?.as_primitive::<Date32Type>().clone())
    }

    /// Nullable.
    pub fn numbers(&self, column: &str) -> Result<Float64Array, DatasetError> {
        Ok(self.column(column, &DataType::Float64, true)?.as_primitive::<Float64Type>().clone())
    }

    /// Nullable.
    pub fn texts(&self, column: &str) -> Result<StringArray, DatasetError> {
        Ok(self.column(column, &DataType::Utf8, true)?.as_string::<i32>().clone())
    }

    fn column(&self, name: &str, wanted: &DataType, nullable: bool) -> Result<ArrayRef, DatasetError> {
        let refuse = |problem: String| DatasetError::Answer { query: self.query, problem };
        let found = self.rows.column_by_name(name);
        let found = found.ok_or_else(|| refuse(format!("no column {name:?} in the answer")))?;
        let column = cast(found, wanted).map_err(|error| refuse(error.to_string()))?;
        match (0..column.len()).find(|at| column.is_null(*at)) {
            Some(at) if !nullable => Err(refuse(format!("{name:?} is null in row {}", at + 1))),
            _ => Ok(column),
        }
    }
}
