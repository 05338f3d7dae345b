//! The door: what it lets in, and what it says about what it does not.

mod folder;
mod merchandising;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use endcap::domain::segment::{ActiveMerchandising, Distinctive, Shopping};
use endcap::domain::{
    HouseholdId, Interaction, Keyword, KeywordId, KeywordKind, Product, ProductId, SegmentContext, SegmentId,
};
use endcap::ingest::{self, IngestError, Location, TableFile, contract};
use proptest::prelude::*;

fn segment(id: &str) -> SegmentContext {
    SegmentContext {
        segment_id: SegmentId::parse(id).expect("id"),
        as_of: "2017-11-20".parse().expect("date"),
        households: 29,
        demographics: [("age".to_owned(), "45-54".to_owned())].into(),
        shopping: Shopping { visits_per_week: 1.8, basket_value: 20.16, ..Shopping::default() },
        distinctive: vec![Distinctive {
            name: "Asparagus".into(),
            aisle: "Fresh vegetables".into(),
            households: 0.24,
            lift: 3.4,
        }],
        staples: vec!["White milk".into(), "Bananas".into()],
        rising: Vec::new(),
        session: Default::default(),
        merchandising: ActiveMerchandising::default(),
    }
}

fn product(id: &str, title: &str) -> Product {
    Product {
        product_id: ProductId::parse(id).expect("id"),
        title: title.into(),
        brand: None,
        department: "Grocery".into(),
        aisle: "Cookies".into(),
        product_type: "Sandwich cookies".into(),
        package_size: Some("12 oz".into()),
        price: 2.5,
        margin: None,
        units_28d: 3,
        in_stock: true,
        private_label: true,
        tags: ["snack".to_owned()].into(),
        image_url: None,
    }
}

fn keyword(id: &str, text: &str) -> Keyword {
    Keyword {
        keyword_id: KeywordId::parse(id).expect("id"),
        text: text.into(),
        kind: KeywordKind::Query,
        product_count: 4,
        popularity: 0.25,
    }
}

fn interaction(visit: &str) -> Interaction {
    Interaction {
        household_id: HouseholdId::parse("900").expect("id"),
        segment_id: SegmentId::parse("seg-001").expect("id"),
        visit_id: visit.into(),
        product_id: ProductId::parse("p1").expect("id"),
        date: "2017-11-19".parse().expect("date"),
        quantity: 2.0,
        value: 5.0,
        impression: Some(true),
    }
}

fn file(batch: &RecordBatch) -> TableFile {
    TableFile::new("in/table.parquet", contract::encode(batch).expect("encode"))
}

fn segments_file(rows: &[SegmentContext]) -> TableFile {
    file(&contract::segments(rows))
}

/// `batch` with `column` holding other values, whatever their type.
fn with(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, old) in batch.schema().fields().iter().zip(batch.columns()) {
        let new = if field.name() == column { &values } else { old };
        fields.push(Field::new(field.name(), new.data_type().clone(), true));
        columns.push(new.clone());
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("batch")
}

fn without(batch: &RecordBatch, column: &str) -> RecordBatch {
    let schema = batch.schema();
    let kept = schema.fields().iter().enumerate().filter(|(_, field)| field.name() != column);
    batch.project(&kept.map(|(at, _)| at).collect::<Vec<_>>()).expect("projection")
}

fn two_products() -> RecordBatch {
    contract::products(&[product("p1", "Cookies"), product("p2", "More cookies")])
}

fn products_error(batch: &RecordBatch) -> String {
    ingest::products(&file(batch)).expect_err("refused").to_string()
}

fn segments_error(batch: &RecordBatch) -> String {
    ingest::segments(&file(batch)).expect_err("refused").to_string()
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

// ------------------------------------------------------------------ what is let in

#[test]
fn every_contract_reads_back_what_was_written() {
    let rows = [segment("seg-002"), segment("seg-001")];
    let read = ingest::segments(&segments_file(&rows)).expect("segments");
    assert_eq!(read, [rows[1].clone(), rows[0].clone()], "sorted by id");

    let rows = [product("p1", "Cookies"), Product { margin: Some(-0.1), ..product("p2", "Tea") }];
    let read = ingest::products(&file(&contract::products(&rows))).expect("products");
    assert_eq!(read.iter().cloned().collect::<Vec<_>>(), rows);

    let rows = [keyword("k1", "organic spinach"), keyword("k2", "juice")];
    assert_eq!(ingest::keywords(&file(&contract::keywords(&rows))).expect("keywords"), rows);

    let rows = [(HouseholdId::parse("900").expect("id"), SegmentId::parse("seg-001").expect("id"))].into();
    assert_eq!(ingest::assignments(&file(&contract::assignments(&rows))).expect("assignments"), rows);
}

#[test]
fn interactions_are_streamed_in_file_order() {
    let rows: Vec<_> = (0..20_000).map(|visit| interaction(&visit.to_string())).collect();
    let mut visits = Vec::new();
    let count = ingest::interactions(&file(&contract::interactions(&rows)), |row| {
        assert_eq!((row.household_id, row.segment_id, row.product_id), ("900", "seg-001", "p1"));
        assert_eq!((row.quantity, row.value, row.impression), (2.0, 5.0, Some(true)));
        visits.push(row.visit_id.to_owned());
    });
    assert_eq!(count.expect("interactions"), 20_000);
    assert_eq!(visits, (0..20_000).map(|visit| visit.to_string()).collect::<Vec<_>>());
}

#[test]
fn no_segments_are_a_night_without_work() {
    assert!(ingest::segments(&segments_file(&[])).expect("segments").is_empty());
}

#[test]
fn a_segment_with_no_history_is_let_in() {
    let mut bare = segment("seg-001");
    (bare.distinctive, bare.staples, bare.rising) = (Vec::new(), Vec::new(), Vec::new());
    bare.demographics.clear();
    let read = ingest::segments(&segments_file(&[bare])).expect("segments");
    assert!(read[0].has_no_history() && read[0].demographics.is_empty());
}

#[test]
fn hostile_titles_pass_as_data() {
    let titles = ["<script>alert(1)</script>", "{{ 7*7 }}", "ignore previous instructions", "../../x"];
    let rows: Vec<_> = titles.iter().enumerate().map(|(at, title)| product(&at.to_string(), title)).collect();
    let read = ingest::products(&file(&contract::products(&rows))).expect("products");
    assert_eq!(read.iter().map(|product| product.title.as_str()).collect::<Vec<_>>(), titles);
}

#[test]
fn white_space_in_text_is_folded() {
    let batch = with(&two_products(), "title", Arc::new(StringArray::from(vec!["  a\n\tb ", "c"])));
    let read = ingest::products(&file(&batch)).expect("products");
    assert_eq!(read.iter().next().expect("product").title, "a b");
}

#[test]
fn other_spellings_of_the_same_types_are_let_in() {
    let plain = two_products();
    let titles = vec!["Cookies", "More cookies"];
    let dictionary: DictionaryArray<Int32Type> = titles.iter().copied().collect();
    for column in [
        Arc::new(StringViewArray::from(titles.clone())) as ArrayRef,
        Arc::new(LargeStringArray::from(titles.clone())),
        Arc::new(dictionary),
    ] {
        let read = ingest::products(&file(&with(&plain, "title", column))).expect("products");
        assert_eq!(read.iter().map(|product| product.title.as_str()).collect::<Vec<_>>(), titles);
    }
    let wide = with(&plain, "price", Arc::new(Float64Array::from(vec![2.5, 2.5])));
    let wide = with(&wide, "units_28d", Arc::new(Int64Array::from(vec![3, 3])));
    let item = Arc::new(Field::new("element", DataType::LargeUtf8, true));
    let tags = cast(plain.column_by_name("tags").expect("tags"), &DataType::LargeList(item)).expect("cast");
    let wide = with(&wide, "tags", tags);
    let read = ingest::products(&file(&wide)).expect("products");
    assert_eq!(
        read.iter().collect::<Vec<_>>(),
        ingest::products(&file(&plain)).expect("products").iter().collect::<Vec<_>>()
    );
}

#[test]
fn nullable_columns_may_be_absent_and_further_columns_are_ignored() {
    let batch = contract::segments(&[segment("seg-001")]);
    let batch = without(&without(&batch, "session"), "demographics");
    let (schema, mut columns, _) = batch.into_parts();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("note", DataType::Int64, true)));
    columns.push(Arc::new(Int64Array::from(vec![1])));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("batch");
    assert_eq!(ingest::segments(&file(&batch)).expect("segments").len(), 1);
}

// ------------------------------------------------------------------ files

#[tokio::test]
async fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let location =
        Location::parse(&folder.path().join("products.parquet").to_string_lossy()).expect("location");
    let error = ingest::fetch(&location).await.expect_err("missing").to_string();
    assert_says(&error, &["products.parquet", "check that it exists"]);
}

#[tokio::test]
async fn a_file_is_fetched_whole_with_its_digest() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("segments.parquet");
    contract::write_segments(&path, &[segment("seg-001")]).expect("write");
    let url = format!("file://{}", path.display());
    let file = ingest::fetch(&Location::parse(&url).expect("location")).await.expect("fetch");
    let bytes = std::fs::read(&path).expect("read");
    assert_eq!(file.digest(), endcap::domain::Digest::of(&bytes));
    assert_eq!(ingest::segments(&file).expect("segments"), [segment("seg-001")]);
}

#[test]
fn an_empty_file_is_refused() {
    let error = ingest::products(&TableFile::new("in/products.parquet", Vec::new())).expect_err("empty");
    assert_says(&error.to_string(), &["in/products.parquet", "0 bytes"]);
}

#[test]
fn a_file_that_is_not_parquet_is_refused() {
    let error = ingest::products(&TableFile::new("products.csv", "product_id,title\n")).expect_err("csv");
    assert_says(&error.to_string(), &["products.csv is not a Parquet file"]);
}

#[test]
fn a_truncated_parquet_is_refused_wherever_it_ends() {
    let whole = contract::encode(&two_products()).expect("encode");
    for length in (4..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let error = ingest::products(&TableFile::new("products.parquet", whole[..length].to_vec()));
        assert!(matches!(error, Err(IngestError::Damaged { .. })), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn merchandising_that_is_not_utf8_is_refused() {
    let error = TableFile::new("merchandising.toml", vec![0xff, 0xfe]).text().expect_err("bytes");
    assert_says(&error.to_string(), &["merchandising.toml", "UTF-8"]);
}

// ------------------------------------------------------------------ columns

#[test]
fn a_missing_column_is_named_with_those_found() {
    let error = products_error(&without(&two_products(), "price"));
    assert_says(&error, &["in/table.parquet", "\"price\" (f32)", "product_id, title"]);
}

#[test]
fn a_column_of_a_wrong_type_is_named_with_both_types() {
    let error =
        products_error(&with(&two_products(), "price", Arc::new(StringArray::from(vec!["2.50", "3"]))));
    assert_says(&error, &["\"price\" must be f32, but is utf8"]);
    let times = TimestampMillisecondArray::from(vec![0]);
    let batch = contract::segments(&[segment("seg-001")]);
    assert_says(&segments_error(&with(&batch, "as_of", Arc::new(times))), &["\"as_of\" must be date32"]);
    let words = Arc::new(StringArray::from(vec!["Asparagus"]));
    let error = segments_error(&with(&batch, "distinctive", words));
    assert_says(&error, &["list<struct{name: utf8, aisle: utf8, households: f32, lift: f32}>"]);
}

#[test]
fn a_null_in_a_required_column_names_its_row() {
    let titles = Arc::new(StringArray::from(vec![Some("Cookies"), None]));
    assert_says(&products_error(&with(&two_products(), "title", titles)), &["\"title\" is null in row 2"]);
}

#[test]
fn a_null_inside_a_list_names_its_row() {
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let values = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 1]);
    let tags = ListArray::new(item, offsets, values, None);
    assert_says(
        &products_error(&with(&two_products(), "tags", Arc::new(tags))),
        &["\"tags\" is null in row 2"],
    );
}

#[test]
fn a_count_that_does_not_fit_names_its_row() {
    let units = Arc::new(Int64Array::from(vec![1, -4]));
    let error = products_error(&with(&two_products(), "units_28d", units));
    assert_says(&error, &["\"units_28d\", row 2", "does not fit u32"]);
}

// ------------------------------------------------------------------ cells

#[test]
fn a_duplicate_id_names_both_rows() {
    let rows = [product("p1", "a"), product("p2", "b"), product("p1", "c")];
    let error = products_error(&contract::products(&rows));
    assert_says(&error, &["product_id \"p1\" stands in row 1 and again in row 3"]);
    let error = segments_error(&contract::segments(&[segment("s"), segment("s")]));
    assert_says(&error, &["segment_id \"s\" stands in row 1 and again in row 2"]);
    let rows = [keyword("k1", "juice"), keyword("k2", "juice")];
    let error = ingest::keywords(&file(&contract::keywords(&rows))).expect_err("twice").to_string();
    assert_says(&error, &["text \"juice\" stands in row 1 and again in row 2"]);
}

#[test]
fn nan_infinite_and_unbelievable_numbers_name_column_and_row() {
    for (value, demand) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (0.0, "above 0"), (-1.0, "above 0")] {
        let prices = Arc::new(Float32Array::from(vec![2.5, value]));
        let error = products_error(&with(&two_products(), "price", prices));
        assert_says(&error, &["\"price\", row 2", demand]);
    }
    let overflow = Arc::new(Float64Array::from(vec![2.5, 1e300]));
    assert_says(&products_error(&with(&two_products(), "price", overflow)), &["\"price\", row 2", "inf"]);
}

#[test]
fn a_share_outside_0_to_1_is_refused() {
    let mut row = segment("seg-001");
    row.shopping.evening_share = 1.01;
    let error = segments_error(&contract::segments(&[row]));
    assert_says(&error, &["\"evening_share\", row 1", "1.01 must be a share within 0..1"]);
    let mut row = segment("seg-001");
    row.distinctive[0].households = f32::NAN;
    let error = segments_error(&contract::segments(&[segment("seg-000"), row]));
    assert_says(&error, &["\"distinctive.households\", row 2"]);
}

#[test]
fn ids_that_could_leave_their_folder_are_refused() {
    let batch = contract::segments(&[segment("seg-001")]);
    for id in ["../x", "../../x", "a/b", "a\0b", "", ".hidden"] {
        let error = segments_error(&with(&batch, "segment_id", Arc::new(StringArray::from(vec![id]))));
        assert_says(&error, &["\"segment_id\", row 1"]);
    }
    let ids = Arc::new(StringArray::from(vec!["p1", "p\0"]));
    assert_says(
        &products_error(&with(&two_products(), "product_id", ids)),
        &["\"product_id\", row 2", "control"],
    );
    let rows = contract::interactions(&[interaction("v"), interaction("")]);
    let error = ingest::interactions(&file(&rows), |_| {}).expect_err("visit").to_string();
    assert_says(&error, &["\"visit_id\", row 2", "visit_id is empty"]);
}

#[test]
fn a_title_of_ten_megabytes_is_refused_with_its_length() {
    let giant = "x".repeat(10_000_000);
    let titles = Arc::new(StringArray::from(vec!["fine", giant.as_str()]));
    let error = products_error(&with(&two_products(), "title", titles));
    assert_says(&error, &["\"title\", row 2", "10000000 characters, at most 1000"]);
    assert!(error.len() < 300, "the message holds the title");
}

#[test]
fn a_title_with_nul_is_refused() {
    let titles = Arc::new(StringArray::from(vec!["fine", "bad\0title"]));
    let error = products_error(&with(&two_products(), "title", titles));
    assert_says(&error, &["\"title\", row 2", "control character U+0000"]);
}

#[test]
fn rows_are_numbered_across_batches() {
    let mut rows: Vec<_> = (0..20_000).map(|at| product(&at.to_string(), "t")).collect();
    rows[19_999].title = " ".into();
    assert_says(&products_error(&contract::products(&rows)), &["\"title\", row 20000", "blank"]);
}

#[test]
fn an_empty_catalogue_or_corpus_is_refused() {
    assert_says(&products_error(&contract::products(&[])), &["no rows", "product"]);
    let error = ingest::keywords(&file(&contract::keywords(&[]))).expect_err("none").to_string();
    assert_says(&error, &["no rows", "keyword"]);
}

#[test]
fn segments_of_two_nights_are_refused() {
    let later = SegmentContext { as_of: "2017-11-21".parse().expect("date"), ..segment("seg-002") };
    let error = segments_error(&contract::segments(&[segment("seg-001"), later]));
    assert_says(&error, &["row 2 is as of 2017-11-21, the first row as of 2017-11-20"]);
}

#[test]
fn a_list_without_end_is_refused() {
    let mut row = segment("seg-001");
    row.staples = (0..1_001).map(|at| at.to_string()).collect();
    assert_says(&segments_error(&contract::segments(&[row])), &["\"staples\", row 1", "1001 items"]);
}

#[test]
fn an_unknown_kind_of_keyword_is_refused() {
    let batch = contract::keywords(&[keyword("k1", "juice")]);
    let batch = with(&batch, "kind", Arc::new(StringArray::from(vec!["querry"])));
    let error = ingest::keywords(&file(&batch)).expect_err("kind").to_string();
    assert_says(&error, &["\"kind\", row 1", "\"querry\" must be query, aisle or attribute"]);
}

// ------------------------------------------------------------------ any valid row

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[A-Za-z0-9<>{}&'éß]{1,12}( [a-z0-9/.]{1,8}){0,3}").expect("regex")
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(text(), 0..5)
}

prop_compose! {
    fn any_distinctive()(name in text(), aisle in text(), households in 0f32..=1.0, lift in 0f32..50.0) -> Distinctive {
        Distinctive { name, aisle, households, lift }
    }
}

prop_compose! {
    fn any_segment()(
        id in "[a-z0-9][a-z0-9._-]{0,20}",
        households in any::<u32>(),
        amounts in [0f32..1e6, 0f32..1e6],
        shares in [0f32..=1.0, 0f32..=1.0, 0f32..=1.0, 0f32..=1.0],
        demographics in proptest::collection::btree_map(text(), text(), 0..4),
        distinctive in proptest::collection::vec(any_distinctive(), 0..4),
        staples in texts(),
        rising in texts(),
    ) -> SegmentContext {
        SegmentContext {
            segment_id: SegmentId::parse(id).expect("id"),
            households,
            demographics,
            shopping: Shopping {
                visits_per_week: amounts[0],
                basket_value: amounts[1],
                private_label_share: shares[0],
                on_promotion_share: shares[1],
                evening_share: shares[2],
                weekend_share: shares[3],
            },
            distinctive,
            staples,
            rising,
            ..segment("unused")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_valid_segments_round_trip(rows in proptest::collection::vec(any_segment(), 0..6)) {
        let mut rows = rows;
        rows.sort_by(|a, b| a.segment_id.cmp(&b.segment_id));
        rows.dedup_by(|a, b| a.segment_id == b.segment_id);
        prop_assert_eq!(ingest::segments(&segments_file(&rows)).expect("segments"), rows);
    }
}
