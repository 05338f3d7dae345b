//! The replay: what it counts, that nothing of the future reaches a page, and one small origin of real data.

mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use endcap::domain::manifest::to_bytes;
use endcap::domain::merchandising::{Merchandising, PageShape};
use endcap::domain::stage::{ChosenPlacement, JudgedPage, PlacementDesign, ProductHit, StockedPlacement};
use endcap::domain::title_fit::TitleFits;
use endcap::domain::{Catalog, Interaction, Product, ProductId, SegmentId};
use endcap::fuse;
use endcap::ingest::InteractionRow;
use endcap::rank::{Purchase, PurchaseRates, PurchaseRatesBuilder};
use endcap::replay::arms::{Fusion, cascade, fused, plain};
use endcap::replay::{
    Arm, Eligibility, Ground, History, Pages, ReplayPage, ReplayPlacement, Visits, VisitsBuilder, Window,
    evaluate,
};
use serde_json::Value;

use crate::support::{ShopFolder, json};
use shop::{UNSOLD, as_of, catalog, context, day, id, purchases, row, segment};

const SHAPE: PageShape = PageShape { placements: 3, products_per_placement: 6, min_products: 2 };
const WINDOW: fn() -> Window = || Window { as_of: as_of(), weeks: 4 };

fn borrowed(row: &Interaction) -> InteractionRow<'_> {
    InteractionRow {
        household_id: row.household_id.as_str(),
        segment_id: row.segment_id.as_str(),
        visit_id: &row.visit_id,
        product_id: row.product_id.as_str(),
        date: row.date,
        quantity: row.quantity,
        value: row.value,
        impression: row.impression,
    }
}

fn history(catalog: &Catalog, rows: &[Interaction]) -> History {
    let mut history = History::new(catalog, as_of());
    rows.iter().for_each(|row| history.add(&borrowed(row)));
    history
}

fn segments() -> Vec<SegmentId> {
    vec![segment("even"), segment("odd")]
}

fn visits(history: &History, rows: &[Interaction]) -> Visits {
    let mut builder = VisitsBuilder::new(WINDOW(), history, &segments());
    rows.iter().for_each(|row| builder.add(&borrowed(row)));
    builder.finish()
}

fn rates(catalog: &Catalog, rows: &[Interaction]) -> PurchaseRates {
    let mut builder = PurchaseRatesBuilder::new(catalog, endcap::rank::Settings::default());
    for row in rows {
        builder.add(Purchase {
            segment: row.segment_id.as_str(),
            household: row.household_id.as_str(),
            visit: &row.visit_id,
            product: row.product_id.as_str(),
        });
    }
    builder.finish()
}

fn eligibility() -> Eligibility {
    Eligibility { never_tags: ["tobacco".to_owned()].into(), never_aisles: Default::default() }
}

fn placement(title: &str, products: &[&str]) -> ReplayPlacement {
    let products = products.iter().map(|id| ProductId::parse(*id).expect("id")).collect();
    ReplayPlacement { title: title.into(), cascade: true, products }
}

fn pages(segment: &SegmentId, placements: Vec<ReplayPlacement>) -> Pages {
    Pages::from([(segment.clone(), ReplayPage { segment_id: segment.clone(), placements })])
}

/// The pages of the arms that need no language model, over purchases before `as_of`.
fn plain_pages(catalog: &Catalog, before: &[Interaction]) -> BTreeMap<Arm, Pages> {
    let (history, rates) = (history(catalog, before), rates(catalog, before));
    let ground = Ground::new((catalog, &history), SHAPE, eligibility(), as_of()).expect("eligible products");
    let ranker = |segment: &SegmentId, product: &Product| rates.rate(segment, product);
    let made = |arm: Arm| Some((arm, plain(arm, &ground, &segments(), &ranker)?));
    Arm::ALL.into_iter().filter_map(made).collect()
}

// ------------------------------------------------------------------ what is counted

/// By hand: h0's first visit bought p1-03 twice and p2-00 (both shown, p1-03 known from before) and p3-09 (not shown); its
/// second bought nothing shown. h1 is of the other segment, which has no page.
#[test]
fn adds_are_distinct_purchased_products_that_stood_on_the_segments_page() {
    let catalog = catalog();
    let before = [row("h0", "old", "p1-03", day(-3)), row("h0", "older", "p2-00", day(-90))];
    let history = history(&catalog, &before);
    let held_out = [
        row("h0", "v1", "p1-03", day(0)),
        row("h0", "v1", "p1-03", day(0)),
        row("h0", "v1", "p2-00", day(0)),
        row("h0", "v1", "p3-09", day(0)),
        row("h0", "v2", "p3-09", day(27)),
        row("h1", "v3", "p1-03", day(5)),
        row("h0", "late", "p1-03", day(28)),
    ];
    let visits = visits(&history, &held_out);
    assert_eq!((visits.len(), visits.skipped.other_days), (3, 1));
    let page = pages(&segment("even"), vec![placement("A", &["p0-01", "p1-03"]), placement("B", &["p2-00"])]);
    let metrics = evaluate(&page, &visits);
    assert_eq!((metrics.total.views, metrics.total.visits, metrics.total.adds), (3.0, 3.0, 2.0));
    // p2-00 was last bought more than twelve weeks ago: new again.
    assert_eq!(metrics.total.new_adds, 1.0);
    // First row, second place: 1 / (log2 2 · log2 3). Second row, first place: 1 / (log2 3 · log2 2).
    assert!((metrics.total.attraction - 2.0 / 3f64.log2()).abs() < 1e-12);
    let by_segment = metrics.by_segment(&visits);
    assert_eq!((by_segment[0].adds, by_segment[1].adds, by_segment[1].views), (2.0, 0.0, 1.0));
    assert_eq!(evaluate(&Pages::new(), &visits).total.adds, 0.0);
}

#[test]
fn arms_have_the_same_places_and_the_same_eligible_products() {
    let catalog = catalog();
    let pages = plain_pages(&catalog, &purchases(-84, 0));
    assert_eq!(pages.keys().copied().collect::<Vec<_>>(), [Arm::Popularity, Arm::Baseline, Arm::Ranker]);
    for (arm, pages) in &pages {
        for page in pages.values() {
            let shown: Vec<&ProductId> = page.products().collect();
            let distinct: BTreeSet<_> = shown.iter().collect();
            assert_eq!((shown.len(), distinct.len()), (18, 18), "{arm:?}");
            for id in shown {
                let product = catalog.get(id).expect("catalogue");
                assert!(product.in_stock && !product.has_tag("tobacco"), "{arm:?} shows {id}");
            }
        }
    }
}

/// The baseline's themes are aisles or departments, each row is of its theme, and expected adds fall from row to row.
#[test]
fn the_baseline_orders_themes_and_products_for_the_segment() {
    let catalog = catalog();
    let before = purchases(-84, 0);
    let (rates, pages) = (rates(&catalog, &before), plain_pages(&catalog, &before));
    for (name, page) in &pages[&Arm::Baseline] {
        let mut last = f64::INFINITY;
        for placement in &page.placements {
            let products: Vec<&Product> =
                placement.products.iter().filter_map(|id| catalog.get(id)).collect();
            assert!(
                products.iter().all(|one| one.aisle == placement.title || one.department == placement.title)
            );
            let expected: Vec<f64> = products.iter().map(|product| rates.rate(name, product)).collect();
            assert!(expected.is_sorted_by(|a, b| a >= b), "{}", placement.title);
            let row: f64 = expected.iter().sum();
            assert!(row <= last + 1e-12, "{name}: {} is worth more than the row above it", placement.title);
            last = row;
        }
    }
    let first = |name: &str| &pages[&Arm::Baseline][&segment(name)].placements[0].title;
    assert_eq!((first("even").as_str(), first("odd").as_str()), ("Department 0", "Department 1"));
}

// ------------------------------------------------------------------ nothing from the future

/// A product that sells from `as_of` on alone is on no page and scores nothing, however much is bought of it.
#[test]
fn a_future_only_product_scores_nothing() {
    let catalog = catalog();
    let before = purchases(-84, 0);
    let pages = plain_pages(&catalog, &before);
    let held_out: Vec<Interaction> = (0..12)
        .flat_map(|household| {
            let name = format!("h{household}");
            [UNSOLD, "never-listed"].map(|product| row(&name, &format!("v{household}"), product, day(1)))
        })
        .collect();
    let visits = visits(&history(&catalog, &before), &held_out);
    assert_eq!((visits.len(), visits.skipped.unknown_products), (12, 12));
    for (arm, pages) in &pages {
        assert!(pages.values().all(|page| page.products().all(|id| id.as_str() != UNSOLD)), "{arm:?}");
        assert_eq!(evaluate(pages, &visits).total.adds, 0.0, "{arm:?}");
    }
}

/// A config whose own inputs and index are not there: a replay brings its own.
fn empty_shop() -> ShopFolder {
    let rates = "[rank]\nprior_visits = 20\n[replay]\nranker = \"rates\"\n";
    ShopFolder::with_index(Path::new("nowhere"), Path::new("nowhere"), rates)
}

fn shop_with(before: &[Interaction], held_out: &[Interaction]) -> ShopFolder {
    let shop = empty_shop();
    std::fs::create_dir(shop.path("inputs")).expect("folder");
    shop::write(&shop.path("inputs"), before, held_out);
    shop
}

fn replay(shop: &ShopFolder, more: &[&str]) -> Output {
    let path = |name: &str| shop.path(name).display().to_string();
    let (inputs, held_out, out) = (path("inputs"), path("inputs/held-out.parquet"), path("replay"));
    let own = ["replay", "--inputs", &inputs, "--held-out", &held_out, "--out", &out];
    shop.run(&[&own, more].concat())
}

fn report(shop: &ShopFolder) -> Value {
    let output = replay(shop, &["--arms", "a,b,c", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Shuffled, moved or emptied, the future leaves every page's bytes as they were; the figures follow it.
#[test]
fn shuffling_the_future_leaves_the_pages() {
    let before = purchases(-84, 0);
    let future = purchases(0, 28);
    let mut shuffled = future.clone();
    let products: Vec<ProductId> = future.iter().map(|row| row.product_id.clone()).collect();
    let count = products.len();
    for (at, row) in shuffled.iter_mut().enumerate() {
        row.product_id = products[(at * 7 + count / 2) % count].clone();
    }
    let (one, other) = (shop_with(&before, &future), shop_with(&before, &shuffled));
    let (seen, also) = (report(&one), report(&other));
    let pages = |shop: &ShopFolder| {
        std::fs::read(shop.path(&format!("replay/{}/pages.json", as_of()))).expect("pages")
    };
    assert_eq!(pages(&one), pages(&other));
    let adds = |report: &Value| report["origins"][0]["arms"]["ranker"]["total"]["adds"].clone();
    assert_ne!(adds(&seen), adds(&also));
}

#[test]
fn inputs_that_reach_into_the_window_are_refused() {
    let mut before = purchases(-84, 0);
    before.push(row("h3", "v", "p1-01", as_of()));
    let output = replay(&shop_with(&before, &purchases(0, 28)), &["--arms", "a,b,c"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("household h3") && error.contains("2017-11-06"), "{error}");
}

#[test]
fn an_origin_without_visits_is_an_error() {
    let output = replay(&shop_with(&purchases(-84, 0), &purchases(30, 60)), &["--arms", "a,b,c"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("no visit") && error.contains("held-out.parquet"), "{error}");
}

// ------------------------------------------------------------------ the report

#[test]
fn the_report_has_its_headline_keys_and_is_repeatable() {
    let shop = shop_with(&purchases(-84, 0), &purchases(0, 28));
    let first = report(&shop);
    for key in ["lift", "lift_low", "lift_high", "baseline_over_popularity_low", "pooled", "origins"] {
        assert!(first.get(key).is_some(), "no {key}");
    }
    assert!(first["lift"].is_null(), "no fused page was asked for");
    assert!(first["baseline_over_popularity_low"].as_f64().expect("a number") > 0.0, "{first}");
    assert_eq!(first["pooled_over"], serde_json::json!(["2017-11-06"]));
    let origin = &first["origins"][0];
    assert_eq!(
        (origin["clean"].as_bool(), origin["segments_without_visits"].as_u64()),
        (Some(true), Some(0))
    );
    assert_eq!(origin["visits"], 48);
    let bytes = |name: &str| std::fs::read(shop.path(&format!("replay/{name}"))).expect("report");
    let (json, html) = (bytes("report.json"), bytes("report.html"));
    report(&shop);
    assert!(json == bytes("report.json") && html == bytes("report.html"), "DET-1");
    let html = String::from_utf8(html).expect("UTF-8");
    assert_eq!(html.matches("<svg").count(), 3);
    let fetched = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!fetched.contains("http") && !html.contains("<script"), "the page fetches something");
}

#[test]
fn a_wrong_call_says_what_was_expected() {
    let shop = shop_with(&purchases(-84, 0), &[]);
    let output = replay(&shop, &["--arms", "z"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("e (fused)"));
    assert_eq!(shop.run(&["replay", "--inputs", "x"]).status.code(), Some(64), "--held-out is missing");
}

// ------------------------------------------------------------------ the cascade's arms

fn judged(name: &str, placements: &[(&str, &[(&str, f32)])]) -> JudgedPage {
    let placement = |(title, products): &(&str, &[(&str, f32)])| StockedPlacement {
        chosen: ChosenPlacement {
            design: PlacementDesign { title: (*title).into(), intent: String::new(), concepts: Vec::new() },
            candidates: Vec::new(),
            keywords: Vec::new(),
        },
        products: products
            .iter()
            .map(|(id, relevance)| ProductHit {
                product_id: ProductId::parse(*id).expect("id"),
                relevance: *relevance,
                keyword: "goods".into(),
            })
            .collect(),
    };
    JudgedPage {
        segment_id: segment(name),
        placements: placements.iter().map(placement).collect(),
        spare: Vec::new(),
        refilled: 0,
        verdicts: Vec::new(),
    }
}

/// p1-10 is tobacco and p1-11 out of stock; "Second" is left with one product of its own and is not shown.
#[test]
fn the_cascade_alone_keeps_its_order_and_shows_what_is_eligible() {
    let (catalog, before) = (catalog(), purchases(-84, 0));
    let history = history(&catalog, &before);
    let ground = Ground::new((&catalog, &history), SHAPE, eligibility(), as_of()).expect("ground");
    let page = judged(
        "even",
        &[
            ("First", &[("p1-05", 0.4), ("p1-10", 1.0), ("p1-00", 0.9), ("p1-11", 0.8), ("p1-01", 0.4)]),
            ("Second", &[("p1-00", 1.0), ("p2-07", 0.5)]),
            ("Third", &[("p7-09", 0.7), ("p6-08", 1.0)]),
        ],
    );
    let shown = cascade(&ground, &page);
    assert_eq!(
        shown.placements,
        [placement("First", &["p1-00", "p1-01", "p1-05"]), placement("Third", &["p6-08", "p7-09"])]
    );
}

/// "odd" has no judged page: the night would show it the ranker's, and so does the replay, counting it.
#[test]
fn the_fused_arm_is_fusions_page_and_counts_what_is_not() {
    let (catalog, before) = (catalog(), purchases(-84, 0));
    let (history, rates) = (history(&catalog, &before), rates(&catalog, &before));
    let ground = Ground::new((&catalog, &history), SHAPE, eligibility(), as_of()).expect("ground");
    let merchandising = Merchandising { page: SHAPE, ..Merchandising::default() };
    let fusion = Fusion {
        ground: &ground,
        merchandising: &merchandising,
        ranker: &rates,
        fits: &TitleFits::none(),
        accepts_title: &|_, _| true,
        as_of: as_of(),
    };
    let ids = |aisle: usize| (1..7).map(|number| id(aisle, number)).collect::<Vec<String>>();
    let (one, two) = (ids(1), ids(2));
    let one: Vec<(&str, f32)> = one.iter().map(|id| (id.as_str(), 0.9)).collect();
    let two: Vec<(&str, f32)> = two.iter().map(|id| (id.as_str(), 0.9)).collect();
    let page = judged("even", &[("One", &one), ("Two", &two)]);
    let (even, odd) = (context("even"), context("odd"));
    let all = fused(fusion, &fuse::Settings::default(), &[(&even, Some(&page)), (&odd, None)]);
    assert_eq!((all.ranker_pages, all.below_half, all.empty), (1, 1, 0));
    let even = &all.pages[&segment("even")];
    let titles: Vec<&str> = even.placements.iter().map(|placement| placement.title.as_str()).collect();
    assert_eq!(even.placements.len(), 3, "{titles:?}");
    assert_eq!(even.placements.iter().filter(|placement| placement.cascade).count(), 2, "{titles:?}");
    assert!(all.pages[&segment("odd")].placements.iter().all(|placement| !placement.cascade));
    let again = fused(fusion, &fuse::Settings::default(), &[(&context("even"), Some(&page)), (&odd, None)]);
    assert_eq!(to_bytes(&again.pages).expect("JSON"), to_bytes(&all.pages).expect("JSON"));
    assert_eq!(all.title_fit, 0.0, "nobody evaluated");
    // Another type goes twice as well under both titles as any of the shop's; the ranker's rows have no fit and do not count.
    let types: BTreeSet<String> = catalog.iter().map(|product| product.product_type.clone()).collect();
    let places = types.iter().cloned().chain(["Best".to_owned()]).zip(0..).collect();
    let likeness = || [vec![0.3; types.len()], vec![0.6]].concat();
    let fits = TitleFits::new(Arc::new(places), ["One", "Two"].map(|title| (title.to_owned(), likeness())));
    let halves = Fusion { fits: &fits, ..fusion };
    let half = fused(halves, &fuse::Settings::default(), &[(&context("even"), Some(&page)), (&odd, None)]);
    assert!((half.title_fit - 0.5).abs() < 1e-6, "{}", half.title_fit);
}

// ------------------------------------------------------------------ real data, real models

/// One small origin with all arms; the second replay asks no model and writes the same bytes.
#[test]
fn a_small_origin_of_real_data_is_replayed_and_kept() {
    let shop = empty_shop();
    let config = std::fs::read_to_string(shop.path("endcap.toml")).expect("config");
    let home = format!("[paths]\nreplay = {:?}\n", shop.path("replay"));
    std::fs::write(shop.path("endcap.toml"), config.replacen("[paths]\n", &home, 1)).expect("config");
    let args = ["replay", "--origins", "2017-11-06", "--segments", "2", "--json"];
    let first = shop.run(&args);
    let errors = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(0), "{errors}");
    assert!(errors.contains("themes"), "the models were asked: {errors}");
    let report: Value = serde_json::from_slice(&first.stdout).expect("JSON");
    assert_eq!(report, json(&shop.path("replay/report.json")));
    let arms = report["origins"][0]["arms"].as_object().expect("arms");
    assert_eq!(arms.keys().collect::<Vec<_>>(), ["popularity", "baseline", "ranker", "cascade", "fused"]);
    for (arm, figures) in arms {
        assert!(figures["total"]["adds"].as_f64() > Some(0.0), "{arm}: {figures}");
        assert_eq!(figures["total"]["views"], arms["baseline"]["total"]["views"], "{arm}");
    }
    assert_eq!(arms["cascade"]["pages"]["cascade_placements"], 1.0);
    assert!(arms["fused"]["pages"]["cascade_placements"].as_f64() >= Some(0.5));
    assert!(report["lift"].is_f64() && report["lift_low"].as_f64() <= report["lift_high"].as_f64());
    let second = shop.run(&args);
    let errors = String::from_utf8_lossy(&second.stderr);
    assert_eq!((second.status.code(), second.stdout == first.stdout), (Some(0), true), "{errors}");
    assert!(!errors.contains("themes"), "the second replay asks no model: {errors}");
    let line = report["frontier"].as_array().expect("the frontier");
    assert_eq!(line.len(), 6, "{line:?}");
    assert!(line[0]["unthemed"]["new_adds"].is_f64(), "{line:?}");
    weights_are_learned_before_the_test_weeks(&shop);
}

/// The origin of the test above, as if the test began four weeks later; its pages are kept, so no model is asked.
fn weights_are_learned_before_the_test_weeks(shop: &ShopFolder) {
    let out = shop.path("fusion.toml");
    let train = |origin: &str| {
        let out = out.to_str().expect("UTF-8");
        shop.run(&["train", "fusion", "--origins", origin, "--segments", "2", "--out", out, "--json"])
    };
    let refused = train("2017-11-06");
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("which are the test"), "{refused:?}");
    let config = std::fs::read_to_string(shop.path("endcap.toml")).expect("config");
    let mut later: toml::Table = config.parse().expect("TOML");
    let replay = later.entry("replay").or_insert_with(|| toml::Table::new().into());
    replay.as_table_mut().expect("a table").insert("origins".into(), vec!["2017-12-04"].into());
    std::fs::write(shop.path("endcap.toml"), later.to_string()).expect("config");
    let learned = train("2017-11-06");
    let errors = String::from_utf8_lossy(&learned.stderr);
    assert_eq!(learned.status.code(), Some(0), "{errors}");
    assert!(!errors.contains("themes"), "{errors}");
    let learned: Value = serde_json::from_slice(&learned.stdout).expect("JSON");
    let objective = |when: &str| learned[when]["objective"].as_f64().expect("an objective");
    assert!(objective("after") >= objective("before") && learned["tried"].as_u64() > Some(15), "{learned}");
    let weights = std::fs::read_to_string(&out).expect("weights");
    std::fs::write(shop.path("endcap.toml"), format!("{config}\n{weights}")).expect("config");
    assert_eq!(shop.run(&["status", "--json"]).status.code(), Some(0), "the weights are a config: {weights}");
}
