//! The learned ranker through its public doors, on a small shop where each segment has its favourites.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use chrono::{Days, NaiveDate};
use endcap::domain::{Catalog, Product, SegmentId};
use endcap::rank::{
    BoxError, FEATURES, Feature, History, HistoryBuilder, LearnedRanker, Line, RankError, RankerModel,
    Recipe, Shop, TextVectors, TypeVectors, adopt, schema, train,
};
use endcap::trees::Trees;
use serde_json::Value;

use crate::support;

const SEGMENTS: usize = 4;
const PRODUCTS: usize = 40;
const NEVER: &str = "p39";
/// Like [`NEVER`] in all but its id, and bought from `as_of` on.
const FUTURE: &str = "p38";

fn as_of() -> NaiveDate {
    NaiveDate::from_ymd_opt(2017, 11, 6).expect("date")
}

fn day(before: u64) -> NaiveDate {
    as_of().checked_sub_days(Days::new(before)).expect("date")
}

fn catalog() -> Catalog {
    let product = |at: usize| {
        let (aisle, kind) = (format!("Aisle {}", at % 5), format!("Type {}", at % 10));
        let twin = at >= 38;
        let (aisle, kind) = if twin { ("Aisle 4".into(), "Type 9".into()) } else { (aisle, kind) };
        Product {
            price: if twin { 2.0 } else { 1.0 + at as f32 / 8.0 },
            ..super::product(&format!("p{at:02}"), &aisle, &kind)
        }
    };
    Catalog::new((0..PRODUCTS).map(product).collect())
}

struct Row {
    segment: String,
    household: String,
    visit: String,
    product: String,
    date: NaiveDate,
}

/// Twelve households a segment visit every third day; each buys one favourite of its segment every time, another every
/// second time, and now and then something of the shop at large.
fn rows(days: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for household in 0..SEGMENTS * 12 {
        let segment = household % SEGMENTS;
        for before in (1..=days).filter(|before| (before + household as u64).is_multiple_of(3)) {
            let visit = (before / 3) as usize;
            let mut buy = |product: usize| {
                rows.push(Row {
                    segment: format!("s{segment}"),
                    household: format!("h{household}"),
                    visit: format!("v{before}"),
                    product: format!("p{product:02}"),
                    date: day(before),
                });
            };
            buy(segment * 8 + household / SEGMENTS % 4);
            if visit.is_multiple_of(2) {
                buy(segment * 8 + 4 + household / SEGMENTS % 3);
            }
            if (visit + household).is_multiple_of(5) {
                buy((visit * 7 + household * 3) % 36);
            }
        }
    }
    rows
}

fn history<'a>(catalog: &Catalog, rows: impl IntoIterator<Item = &'a Row>) -> History {
    let mut builder = HistoryBuilder::new(catalog, as_of());
    for row in rows {
        builder.add(Line {
            segment: &row.segment,
            household: &row.household,
            visit: &row.visit,
            product: &row.product,
            date: row.date,
            quantity: 1.0,
            value: 2.0,
        });
    }
    builder.finish()
}

fn recipe() -> Recipe {
    Recipe {
        trees: 40,
        min_leaf_purchases: 2.0,
        l2: 1.0,
        unbought_share: 1.0,
        page_products: 6,
        ..Recipe::default()
    }
}

/// One axis a product type.
struct Axes;

impl TextVectors for Axes {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        let axis = |text: &&str| {
            let at: usize = text.trim_start_matches("Type ").parse().unwrap_or(0);
            (0..10).map(|axis| f32::from(u8::from(axis == at))).collect()
        };
        Ok(texts.iter().map(axis).collect())
    }
}

/// A shop that owns what [`Shop`] borrows.
struct Owned {
    catalog: Catalog,
    history: History,
    vectors: TypeVectors,
}

impl Owned {
    fn new(rows: &[Row]) -> Self {
        let catalog = catalog();
        let history = history(&catalog, rows);
        let vectors = TypeVectors::of(&catalog, &Axes).expect("vectors");
        Self { catalog, history, vectors }
    }

    fn shop(&self) -> Shop<'_> {
        Shop { catalog: &self.catalog, history: &self.history, vectors: &self.vectors }
    }

    fn find(&self, id: &str) -> &Product {
        super::find(&self.catalog, id)
    }
}

/// Trained on the shop.
pub fn trained() -> RankerModel {
    train(Owned::new(&rows(84)).shop(), &recipe()).expect("train")
}

/// All segments of the shop, and one without a visit.
fn everybody() -> BTreeSet<SegmentId> {
    (0..SEGMENTS).map(|at| segment(&format!("s{at}"))).chain([segment("nobody")]).collect()
}

/// What `ranker` says of a segment it scored.
fn purchases(ranker: &LearnedRanker, id: &str, product: &Product) -> f32 {
    ranker.purchases(&segment(id), product).expect("scored")
}

fn segment(id: &str) -> SegmentId {
    super::segment(id)
}

/// Names and bytes of a saved ranker's files.
fn saved(model: &RankerModel) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().expect("folder");
    model.save(dir.path()).expect("save");
    ["model.txt", "ranker.json", "card.md"]
        .map(|name| (name.to_owned(), std::fs::read(dir.path().join(name)).expect(name)))
        .into()
}

fn lightgbm(name: &str) -> String {
    let path = support::project().join("tests/fixtures/lightgbm").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn lightgbms_own_models_score_as_lightgbm_scores_them() {
    let expected: Value = serde_json::from_str(&lightgbm("expected.json")).expect("JSON");
    let rows: Vec<Vec<Option<f64>>> = serde_json::from_value(expected["rows"].clone()).expect("rows");
    for name in ["lambdarank", "binary", "cross_entropy", "poisson"] {
        let trees = Trees::parse(&lightgbm(&format!("{name}.txt"))).expect(name);
        assert_eq!((trees.features(), trees.trees()), (5, 12));
        let answers: Vec<f64> = serde_json::from_value(expected[name].clone()).expect("answers");
        assert_eq!(rows.len(), answers.len());
        for (row, answer) in rows.iter().zip(answers) {
            let row: Vec<f64> = row.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
            let found = trees.predict(&row).expect("five values");
            assert!((found - answer).abs() < 1e-6, "{name} {row:?}: {found}, LightGBM says {answer}");
        }
        assert!(trees.predict(&[0.0; 4]).is_err());
    }
}

#[test]
fn it_learns_what_each_segment_buys() {
    let owned = Owned::new(&rows(84));
    let model = train(owned.shop(), &recipe()).expect("train");
    let held_out = &model.description.validation;
    assert!(held_out.visits > 100);
    assert!(held_out.learned > held_out.popularity * 1.2, "{held_out:?}");
    assert!(held_out.learned >= held_out.light_rates * 0.99, "{held_out:?}");
    assert!(held_out.learned_log_loss < held_out.rates_log_loss, "{held_out:?}");
    let ranker = model.score(owned.shop(), &everybody()).expect("score");
    for number in 0..SEGMENTS {
        let own = owned.find(&format!("p{:02}", number * 8));
        let others = owned.find(&format!("p{:02}", (number + 1) % SEGMENTS * 8));
        let segment = format!("s{number}");
        assert!(purchases(&ranker, &segment, own) > 2.0 * purchases(&ranker, &segment, others));
        for product in owned.catalog.iter() {
            assert!((0.0..=1.0).contains(&purchases(&ranker, &segment, product)));
        }
    }
    let importance: f64 = model.description.importance.iter().sum();
    assert!((importance - 1.0).abs() < 1e-6, "{importance}");
}

#[test]
fn nothing_from_as_of_on_is_read() {
    let past = rows(84);
    let mut leaking = rows(84);
    for (at, date) in [as_of(), as_of() + Days::new(9)].into_iter().enumerate() {
        for household in 0..200 {
            let (household, visit) = (format!("h{household}"), format!("future {at}"));
            leaking.push(Row { segment: "s0".into(), household, visit, product: FUTURE.into(), date });
        }
    }
    let (known, planted) = (Owned::new(&past), Owned::new(&leaking));
    let model = train(planted.shop(), &recipe()).expect("train");
    assert_eq!(saved(&model), saved(&train(known.shop(), &recipe()).expect("train")));
    let ranker = model.score(planted.shop(), &everybody()).expect("score");
    for name in ["s0", "s1", "nobody"] {
        let score = |id| purchases(&ranker, name, planted.find(id));
        assert!(score(FUTURE) <= score(NEVER), "{name}");
    }
}

#[test]
fn the_bytes_depend_on_neither_threads_nor_the_order_of_rows() {
    let forth = rows(84);
    let mut back = rows(84);
    back.reverse();
    let made = |rows: &[Row], threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let owned = Owned::new(rows);
            let model = train(owned.shop(), &recipe()).expect("train");
            let ranker = model.score(owned.shop(), &everybody()).expect("score");
            let scores: Vec<f32> =
                owned.catalog.iter().map(|product| purchases(&ranker, "s2", product)).collect();
            (saved(&model), scores)
        })
    };
    let one = made(&forth, 1);
    assert_eq!(one, made(&forth, 3));
    assert_eq!(one, made(&back, 2));
}

#[test]
fn an_unseen_segment_gets_the_populations_and_an_unseen_product_nothing() {
    let owned = Owned::new(&rows(84));
    let ranker =
        train(owned.shop(), &recipe()).expect("train").score(owned.shop(), &everybody()).expect("score");
    let product = owned.find("p01");
    let known: Vec<f32> = (0..SEGMENTS).map(|at| purchases(&ranker, &format!("s{at}"), product)).collect();
    let unseen = purchases(&ranker, "nobody", product);
    let (low, high) = (known.iter().copied().fold(1.0, f32::min), known.iter().copied().fold(0.0, f32::max));
    assert!(low < unseen && unseen < high, "{known:?} {unseen}");
    let strange = super::product("discontinued", "Aisle 1", "Type 1");
    assert_eq!(purchases(&ranker, "s0", &strange), 0.0);
}

/// A worker scores the segments of its shard alone.
#[test]
fn a_segments_scores_do_not_depend_on_who_else_is_scored() {
    let owned = Owned::new(&rows(84));
    let model = train(owned.shop(), &recipe()).expect("train");
    let all = model.score(owned.shop(), &everybody()).expect("score");
    let one = model.score(owned.shop(), &[segment("s1")].into()).expect("score");
    let unseen = model.score(owned.shop(), &[segment("nobody")].into()).expect("score");
    for product in owned.catalog.iter() {
        assert_eq!(purchases(&one, "s1", product), purchases(&all, "s1", product));
        assert_eq!(purchases(&unseen, "nobody", product), purchases(&all, "nobody", product));
        assert_eq!(one.purchases(&segment("s0"), product), None, "nobody asked for it");
    }
    let none = model.score(owned.shop(), &BTreeSet::new()).expect("score");
    assert_eq!(none.purchases(&segment("s1"), owned.find("p01")), None);
}

#[test]
fn a_saved_ranker_scores_the_same_and_another_schema_is_refused_by_name() {
    let owned = Owned::new(&rows(84));
    let model = train(owned.shop(), &recipe()).expect("train");
    let dir = tempfile::tempdir().expect("folder");
    model.save(dir.path()).expect("save");
    let again = RankerModel::load(dir.path()).expect("load");
    assert_eq!((again.digest(), saved(&again)), (model.digest(), saved(&model)));
    let (first, second) = (model.score(owned.shop(), &everybody()), again.score(owned.shop(), &everybody()));
    let (first, second) = (first.expect("score"), second.expect("score"));
    for product in owned.catalog.iter() {
        assert_eq!(purchases(&first, "s1", product), purchases(&second, "s1", product));
    }
    let path = dir.path().join("ranker.json");
    let mut description: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    description["schema"] = "0".repeat(64).into();
    description["features"][3] = "weather".into();
    std::fs::write(&path, description.to_string()).expect("write");
    let message = RankerModel::load(dir.path()).expect_err("another schema").to_string();
    for part in ["ranker.json", "another feature schema", "weather", Feature::ALL[3].name(), "train ranker"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_model_that_ranker_json_does_not_describe_is_refused() {
    let owned = Owned::new(&rows(84));
    let dir = tempfile::tempdir().expect("folder");
    train(owned.shop(), &recipe()).expect("train").save(dir.path()).expect("save");
    let path = dir.path().join("model.txt");
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, text + " ").expect("write");
    assert!(matches!(RankerModel::load(dir.path()), Err(RankError::Altered { .. })));
    std::fs::remove_file(&path).expect("remove");
    assert!(matches!(RankerModel::load(dir.path()), Err(RankError::Io { .. })));
}

#[test]
fn a_lightgbm_model_of_the_same_features_is_taken_and_one_of_others_is_not() {
    let owned = Owned::new(&rows(84));
    let ours = train(owned.shop(), &recipe()).expect("train");
    let text = String::from_utf8(saved(&ours)[0].1.clone()).expect("text");
    let taken = adopt(owned.shop(), &recipe(), text, Path::new("shop.txt")).expect("adopt");
    assert_eq!(taken.description.calibration, ours.description.calibration);
    assert_eq!(taken.description.validation, ours.description.validation);
    let strange = adopt(owned.shop(), &recipe(), lightgbm("binary.txt"), Path::new("shop.txt"));
    let message = strange.expect_err("five columns").to_string();
    assert!(
        message.contains("shop.txt") && message.contains("5 features") && message.contains("light_rate"),
        "{message}"
    );
    let garbage = adopt(owned.shop(), &recipe(), "not a model".into(), Path::new("shop.txt"));
    assert!(matches!(garbage, Err(RankError::Model { .. })));
}

#[test]
fn a_table_with_nan_or_other_columns_is_not_scored() {
    let owned = Owned::new(&rows(84));
    let model = train(owned.shop(), &recipe()).expect("train");
    let table = |price: f32| {
        let column = |feature: &Feature| {
            let value = if *feature == Feature::Price { price } else { 0.5 };
            Arc::new(Float32Array::from(vec![0.5, value])) as ArrayRef
        };
        RecordBatch::try_new(schema(), Feature::ALL.iter().map(column).collect()).expect("table")
    };
    assert_eq!(model.outputs("s0", &table(2.0)).expect("finite").len(), 2);
    let message = model.outputs("s0", &table(f32::NAN)).expect_err("NaN").to_string();
    assert!(message.contains("s0") && message.contains("row 2") && message.contains("price"), "{message}");
    let fewer = table(2.0).project(&(1..FEATURES).collect::<Vec<_>>()).expect("project");
    assert!(matches!(model.outputs("s0", &fewer), Err(RankError::Columns { .. })));
}

#[test]
fn an_empty_window_says_which_and_what_to_do() {
    let short = Owned::new(&rows(20));
    let message = train(short.shop(), &recipe()).expect_err("20 days").to_string();
    assert!(message.contains("feature window") && message.contains("56 days"), "{message}");
    let silent: Vec<Row> = rows(84).into_iter().filter(|row| row.date < day(30)).collect();
    let message = train(Owned::new(&silent).shop(), &recipe()).expect_err("no labels").to_string();
    assert!(message.contains("label window") && message.contains("2017-10-09"), "{message}");
    assert!(train(Owned::new(&[]).shop(), &recipe()).is_err());
}

#[test]
fn a_ranker_of_later_data_or_without_its_vectors_is_not_used() {
    let owned = Owned::new(&rows(84));
    let model = train(owned.shop(), &recipe()).expect("train");
    let none = TypeVectors::none();
    let blind = Shop { vectors: &none, ..owned.shop() };
    assert!(matches!(model.score(blind, &everybody()), Err(RankError::NoVectors)));
    let earlier = HistoryBuilder::new(&owned.catalog, day(1)).finish();
    let shop = Shop { history: &earlier, ..owned.shop() };
    assert!(matches!(model.score(shop, &everybody()), Err(RankError::FromTheFuture { .. })));
    let textless = train(blind, &recipe()).expect("train");
    assert!(!textless.description.text && textless.score(owned.shop(), &everybody()).is_ok());
}
