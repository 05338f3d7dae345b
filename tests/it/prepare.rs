//! `prepare complete-journey`: meaning, determinism, and nothing from the future.

mod real;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use chrono::{Days, NaiveDate};
use endcap::datasets::complete_journey::{self, DatasetError, PrepareOptions, PrepareReport};
use endcap::domain::segment::Distinctive;
use endcap::domain::{Catalog, KeywordKind, ProductId, SegmentContext};
use endcap::ingest::{self, TableFile, contract};

const FILES: [&str; 6] = [
    contract::SEGMENTS,
    contract::PRODUCTS,
    contract::KEYWORDS,
    contract::INTERACTIONS,
    contract::ASSIGNMENTS,
    contract::MERCHANDISING,
];

fn as_of() -> NaiveDate {
    "2017-11-20".parse().expect("date")
}

fn prepare(options: &PrepareOptions) -> Result<PrepareReport, DatasetError> {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let done = std::cell::Cell::new(0);
    let report =
        runtime.block_on(complete_journey::prepare(options, &|steps| done.set(done.get() + steps)))?;
    assert_eq!(done.get(), complete_journey::STEPS, "progress ends at the end");
    Ok(report)
}

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    FILES.iter().map(|name| std::fs::read(folder.join(name)).expect("file")).collect()
}

fn table(folder: &Path, name: &str) -> TableFile {
    TableFile::new(name, std::fs::read(folder.join(name)).expect("file"))
}

fn segments(folder: &Path) -> Vec<SegmentContext> {
    ingest::segments(&table(folder, contract::SEGMENTS)).expect("segments")
}

fn products(folder: &Path) -> Catalog {
    ingest::products(&table(folder, contract::PRODUCTS)).expect("products")
}

// ------------------------------------------------------------------ a small source, written here

/// Products: id, department, category, type, brand, package size. The keys are rows of the taxonomy but for the last
/// two: one that is not merchandisable there and one that it does not have.
const GOODS: [(i64, [&str; 3], &str, Option<&str>); 8] = [
    (10, ["GROCERY", "FLUID MILK PRODUCTS", "CHOCOLATE MILK"], "National", Some("1/2 GAL")),
    (11, ["GROCERY", "FLUID MILK PRODUCTS", "CHOCOLATE MILK"], "Private", Some("22   OZ")),
    (20, ["PRODUCE", "CITRUS", "CLEMENTINES"], "National", None),
    (30, ["GROCERY", "CONDIMENTS/SAUCES", "BBQ SAUCE"], "National", Some("CTN")),
    (40, ["GROCERY", "SOUP", "DRY SOUP"], "National", Some("5 OZ")),
    (50, ["GROCERY", "BAKED BREAD/BUNS/ROLLS", "HOT DOG BUNS"], "National", Some("8 CT")),
    (60, ["DRUG GM", "CIGARETTES", "CIGARETTES"], "National", None),
    (70, ["NO SUCH", "DEPARTMENT", "AT ALL"], "National", None),
];

/// Household, basket, product, quantity, sales value, discount, seconds since 1970.
type Line = (i64, i64, i64, i64, f64, f64, i64);

/// `hour` o'clock, so many days before `as_of`.
fn at(days_before: u64, hour: u32) -> i64 {
    let day = as_of().checked_sub_days(Days::new(days_before)).expect("day");
    day.and_hms_opt(hour, 0, 0).expect("time").and_utc().timestamp()
}

/// Twelve households with twenty visits each in the window: half of them buy chocolate milk and clementines, half BBQ
/// sauce and soup; and household 99 with too few purchases for a profile.
fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for household in 1..=12 {
        for visit in 0..20 {
            let basket = household * 1_000 + visit;
            let when = at(1 + 4 * visit as u64, if visit % 4 == 0 { 18 } else { 10 });
            let pair = if household % 2 == 0 { [10, 20] } else { [30, 40] };
            lines.push((household, basket, pair[0], 2, 5.0, 1.0, when));
            lines.push((household, basket, pair[1], 1, 3.0, 0.0, when));
        }
        lines.push((household, household * 1_000, 60, 1, 9.0, 0.0, at(1, 18)));
        lines.push((household, household * 1_000, 70, 1, 9.0, 0.0, at(1, 18)));
    }
    // Own-brand milk, last sold 50 days ago, once at a mistaken price; buns once in the window.
    lines.push((2, 90_001, 11, 1, 2.0, 0.0, at(60, 9)));
    lines.push((2, 90_002, 11, 2, 6.0, 0.0, at(50, 9)));
    lines.push((2, 90_003, 11, 1, 0.01, 0.0, at(55, 9)));
    lines.push((3, 90_004, 50, 1, 2.0, 0.0, at(10, 9)));
    lines.push((99, 90_005, 10, 1, 2.0, 0.0, at(3, 9)));
    lines
}

fn write_source(folder: &Path, lines: &[Line]) {
    let integers =
        |of: fn(&Line) -> i64| Arc::new(Int64Array::from_iter_values(lines.iter().map(of))) as ArrayRef;
    let numbers =
        |of: fn(&Line) -> f64| Arc::new(Float64Array::from_iter_values(lines.iter().map(of))) as ArrayRef;
    let times = TimestampNanosecondArray::from_iter_values(lines.iter().map(|line| line.6 * 1_000_000_000));
    write(
        folder,
        "transactions.parquet",
        vec![
            ("household_id", integers(|line| line.0)),
            ("basket_id", integers(|line| line.1)),
            ("product_id", integers(|line| line.2)),
            ("quantity", integers(|line| line.3)),
            ("sales_value", numbers(|line| line.4)),
            ("retail_disc", numbers(|line| line.5)),
            ("transaction_timestamp", Arc::new(times)),
        ],
    );
    let key = |part: usize| {
        Arc::new(StringArray::from_iter_values(GOODS.iter().map(|goods| goods.1[part]))) as ArrayRef
    };
    write(
        folder,
        "products.parquet",
        vec![
            ("product_id", Arc::new(Int64Array::from_iter_values(GOODS.iter().map(|goods| goods.0)))),
            ("department", key(0)),
            ("product_category", key(1)),
            ("product_type", key(2)),
            ("brand", Arc::new(StringArray::from_iter_values(GOODS.iter().map(|goods| goods.2)))),
            ("package_size", Arc::new(GOODS.iter().map(|goods| goods.3).collect::<StringArray>())),
        ],
    );
    let text = |values: [&str; 4]| Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
    write(
        folder,
        "demographics.parquet",
        vec![
            ("household_id", Arc::new(Int64Array::from(vec![2, 4, 6, 1]))),
            ("age", text(["35-44", "25-34", "25-34", "65+"])),
            ("income", text(["50-74K", "35-49K", "35-49K", "50-74K"])),
            ("household_comp", text(["2 Adults Kids", "2 Adults Kids", "1 Adult Kids", "1 Adult No Kids"])),
            ("kids_count", text(["1", "2", "0", "0"])),
        ],
    );
}

fn write(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    std::fs::write(folder.join(name), contract::encode(&batch).expect("encode")).expect("write");
}

/// A source of `lines`, prepared into `out` below the same folder.
struct Small {
    folder: tempfile::TempDir,
    options: PrepareOptions,
}

impl Small {
    fn new(lines: &[Line]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        write_source(folder.path(), lines);
        let options =
            PrepareOptions { segments: 2, ..PrepareOptions::new(folder.path(), folder.path().join("out")) };
        Self { folder, options }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn prepared(lines: &[Line]) -> (Self, PrepareReport) {
        let small = Self::new(lines);
        let report = prepare(&small.options).expect("prepare");
        (small, report)
    }
}

/// Eight lines on and after `as_of`: one of a household without a segment, one a return, one after the window.
#[test]
fn held_out_purchases_begin_at_as_of_and_stay_out_of_the_inputs() {
    let after = |days: i64| at(0, 10) + days * 86_400;
    let mut future: Vec<Line> = (0..5).map(|day| (1, 70_000 + day, 30, 1, 3.0, 0.0, after(day))).collect();
    future.push((99, 80_000, 10, 1, 2.0, 0.0, after(1)));
    future.push((1, 80_001, 10, 0, 0.0, 0.0, after(1)));
    future.push((1, 80_002, 10, 1, 2.0, 0.0, after(28)));
    let (small, _) = Small::prepared(&[lines(), future].concat());
    let (before, _) = Small::prepared(&lines());
    assert_eq!(bytes(&small.out()), bytes(&before.out()));
    let file = small.out().join("held-out.parquet");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let report = runtime.block_on(complete_journey::held_out(&small.options, 28, &file)).expect("held out");
    assert_eq!((report.from, report.until.to_string(), report.purchases), (as_of(), "2017-12-18".into(), 5));
    let mut days = Vec::new();
    ingest::interactions(&table(&small.out(), "held-out.parquet"), |row| {
        assert_eq!((row.household_id, row.segment_id, row.product_id), ("1", "seg-001", "30"));
        days.push(row.date);
    })
    .expect("interactions");
    assert_eq!((days.first(), days.len()), (Some(&as_of()), 5));
}

#[test]
fn the_small_source_gives_the_numbers_counted_by_hand() {
    let (small, report) = Small::prepared(&lines());
    assert_eq!((report.households, report.segments, report.products), (12, 2, 5));
    // 12 × 20 × 2 lines, three of own-brand milk; the buns, bought once, are not in the catalogue.
    assert_eq!((report.interactions, report.outside_catalogue), (483, 1));

    let segments = segments(&small.out());
    let [first, second] = &segments[..] else { panic!("{segments:?}") };
    // Of two segments of six, the one with household 1 comes first.
    assert_eq!((first.segment_id.as_str(), first.households, second.households), ("seg-001", 6, 6));
    assert_eq!(first.staples, ["BBQ sauce", "Dry soup mixes", "Hot dog buns"]);
    // 20 visits of each and one for buns: (120 + 1) / 6 / 12 = 1.68; (120 × 8 + 2) / 121 = 7.95.
    assert_eq!((first.shopping.visits_per_week, first.shopping.basket_value), (1.7, 7.95));
    // 120 of discount on 962 + 120; 5 of 20 visits at six in the evening: 30 / 121.
    assert_eq!((first.shopping.on_promotion_share, first.shopping.evening_share), (0.11, 0.25));
    assert_eq!(first.shopping.private_label_share, 0.0);
    // Own brand: 2.00 + 6.00 + 0.01 of 960 + 8.01.
    assert_eq!(second.shopping.private_label_share, 0.01);
    // Share 1 of the segment, 1/2 of all: (1 + 0.5/6) / (0.5 + 0.005) = 2.145.
    let sauce = Distinctive {
        name: "BBQ sauce".into(),
        aisle: "Condiments and sauces".into(),
        households: 1.0,
        lift: 2.1,
    };
    assert_eq!(first.distinctive[0], sauce);
    // Known of one household: too few. Of three: the most frequent answers, two of three with children.
    assert!(first.demographics.is_empty());
    let told =
        [("age", "25-34"), ("household", "2 Adults Kids"), ("income", "35-49K"), ("with_kids", "0.67")];
    assert_eq!(second.demographics, told.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn products_have_prices_units_and_stock_of_the_window() {
    let (small, _) = Small::prepared(&lines());
    let catalog = products(&small.out());
    let product = |id: &str| catalog.get(&ProductId::parse(id).expect("id")).expect("product");
    let milk = product("10");
    assert_eq!(
        (milk.title.as_str(), milk.aisle.as_str(), milk.department.as_str()),
        ("Chocolate milk", "Milk and cream", "Grocery")
    );
    assert_eq!((milk.price, milk.in_stock, milk.private_label), (2.5, true, false));
    assert_eq!((milk.package_size.as_deref(), milk.brand.as_deref()), (Some("1/2 gal"), None));
    // Six households, two units on each of the visits 1, 5, 9 … 25 days ago; and one of household 99.
    assert_eq!(milk.units_28d, 6 * 7 * 2 + 1);
    let own = product("11");
    // Unit prices 2.00 and 3.00; that of one cent is a recording error.
    assert_eq!((own.price, own.units_28d, own.in_stock), (2.5, 0, false));
    assert_eq!((own.brand.as_deref(), own.package_size.as_deref()), (Some("Own brand"), Some("22 oz")));
    assert_eq!(product("30").package_size, None, "CTN says nothing to a shopper");
    assert_eq!(catalog.len(), 5, "no cigarettes, nothing outside the taxonomy, nothing bought once");
}

#[test]
fn keywords_count_products_and_visits() {
    let (small, _) = Small::prepared(&lines());
    let keywords = ingest::keywords(&table(&small.out(), contract::KEYWORDS)).expect("keywords");
    let keyword = |text: &str| keywords.iter().find(|keyword| keyword.text == text).expect(text);
    let milk = keyword("chocolate milk");
    assert_eq!((milk.kind, milk.product_count), (KeywordKind::Query, 2));
    // 120 visits with milk, 3 with own-brand milk and 1 of household 99, of 240 + 5.
    assert!((milk.popularity - 124.0 / 245.0).abs() < 1e-6, "{}", milk.popularity);
    assert_eq!(keyword("milk and cream").kind, KeywordKind::Aisle);
    assert!(!keywords.iter().any(|keyword| keyword.text.contains("hot dog")), "nothing to buy behind it");
    // printf 'chocolate milk' | sha256sum
    assert!(milk.keyword_id.as_str().starts_with("kw-") && milk.keyword_id.as_str().len() == 13);
}

#[test]
fn the_same_source_gives_the_same_bytes_whatever_the_threads() {
    let (one, _) = Small::prepared(&lines());
    let two = Small::new(&lines());
    let single = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
    // The pool is used by the calling thread: k-means finds it there.
    let prepared = rayon.install(|| single.block_on(complete_journey::prepare(&two.options, &|_| ())));
    prepared.expect("prepare");
    assert_eq!(bytes(&one.out()), bytes(&two.out()));
}

#[test]
fn nothing_from_on_or_after_as_of_is_used() {
    let (before, _) = Small::prepared(&lines());
    let mut later = lines();
    later.extend(
        (0..200).map(|visit| {
            (1 + visit % 12, 500_000 + visit, 50, 9, 99.0, 9.0, at(0, 0) + 86_400 * (visit % 30))
        }),
    );
    let (after, _) = Small::prepared(&later);
    assert_eq!(bytes(&before.out()), bytes(&after.out()));
    later.push((1, 600_000, 50, 9, 99.0, 9.0, at(0, 0) - 1));
    let (leaked, _) = Small::prepared(&later);
    assert_ne!(bytes(&before.out()), bytes(&leaked.out()), "the last second before as_of counts");
}

#[test]
fn rules_in_the_folder_are_kept() {
    let small = Small::new(&lines());
    std::fs::create_dir_all(small.out()).expect("folder");
    let rules = small.out().join(contract::MERCHANDISING);
    std::fs::write(&rules, "objective = \"discovery\"").expect("write");
    assert!(prepare(&small.options).expect("prepare").merchandising_kept);
    assert_eq!(std::fs::read_to_string(&rules).expect("read"), "objective = \"discovery\"");
}

#[test]
fn a_source_that_is_not_one_is_refused() {
    let small = Small::new(&lines());
    let elsewhere = PrepareOptions { source: small.folder.path().join("none"), ..small.options.clone() };
    let error = prepare(&elsewhere).expect_err("no source").to_string();
    assert!(error.contains("transactions.parquet does not exist") && error.contains("make setup"), "{error}");

    let early = PrepareOptions { as_of: "2016-01-01".parse().expect("date"), ..small.options.clone() };
    let error = prepare(&early).expect_err("nothing bought");
    assert!(matches!(error, DatasetError::NoPurchases { days: 84, .. }), "{error}");

    write(
        small.folder.path(),
        "demographics.parquet",
        vec![("household_id", Arc::new(Int64Array::from(vec![1])))],
    );
    let error = prepare(&small.options).expect_err("no column").to_string();
    assert!(error.contains("demographics.parquet has no column \"age\""), "{error}");
}
