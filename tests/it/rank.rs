//! The rankers through their public doors.

mod forecast;
pub mod learned;

use endcap::domain::ranker::Ranker;
use endcap::domain::{Catalog, Product, ProductId, SegmentId};
use endcap::rank::{Purchase, PurchaseRates, PurchaseRatesBuilder, Recipe, Settings};
use proptest::prelude::*;

/// (segment, household, visit, product)
type Row = (&'static str, &'static str, &'static str, &'static str);

fn product(id: &str, aisle: &str, kind: &str) -> Product {
    Product {
        product_id: ProductId::parse(id).expect("id"),
        title: id.to_owned(),
        brand: None,
        department: "Grocery".into(),
        aisle: aisle.to_owned(),
        product_type: kind.to_owned(),
        package_size: None,
        price: 1.0,
        margin: None,
        units_28d: 0,
        in_stock: true,
        private_label: false,
        tags: Default::default(),
        image_url: None,
    }
}

fn catalog() -> Catalog {
    Catalog::new(vec![
        product("gala", "Fruit", "Apples"),
        product("fuji", "Fruit", "Apples"),
        product("conference", "Fruit", "Pears"),
        product("milk", "Dairy", "Milk"),
    ])
}

fn settings() -> Settings {
    Settings { prior_visits: 2.0, population_prior_visits: 4.0, ..Settings::default() }
}

fn rates(catalog: &Catalog, settings: Settings, rows: &[Row]) -> PurchaseRates {
    let mut builder = PurchaseRatesBuilder::new(catalog, settings);
    for (segment, household, visit, id) in rows {
        let product = ProductId::parse(*id).expect("id");
        builder.add(Purchase { segment, household, visit, product: product.as_str() });
    }
    builder.finish()
}

fn segment(id: &str) -> SegmentId {
    SegmentId::parse(id).expect("segment")
}

fn find<'a>(catalog: &'a Catalog, id: &str) -> &'a Product {
    catalog.get(&ProductId::parse(id).expect("id")).expect("product")
}

const ROWS: [Row; 6] = [
    ("a", "h1", "v1", "gala"),
    ("a", "h1", "v1", "milk"),
    ("a", "h1", "v2", "gala"),
    ("a", "h1", "v2", "fuji"),
    ("b", "h2", "v3", "milk"),
    ("b", "h2", "v4", "conference"),
];

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
}

/// By hand, V = 4, k = 4: π(Fruit) = (3 + 4/2)/8 = 0.625, π(Apples) = (2 + 4·0.625/2)/8 = 0.40625,
/// π(Pears) = (1 + 1.25)/8 = 0.28125; π(gala) = (2 + 4·0.40625/2)/8, π(conference) = (1 + 4·0.28125)/8,
/// π(milk) = (2 + 4·0.5)/8 with π(Milk) = π(Dairy) = (2 + 4/2)/8 = 0.5.
#[test]
fn the_population_rates_are_those_of_the_formula() {
    let catalog = catalog();
    let rates = rates(&catalog, settings(), &ROWS);
    let rate = |id: &str| rates.rate(&segment("unseen"), find(&catalog, id));
    close(rate("gala"), 0.351_562_5);
    close(rate("fuji"), 0.226_562_5);
    close(rate("conference"), 0.265_625);
    close(rate("milk"), 0.5);
}

/// By hand, v = 2, m = 2: r(Fruit) = (2 + 2·0.625)/4 = 0.8125, 1.3 times the population's; r(Apples) = (2 +
/// 2·0.40625·1.3)/4 = 0.7640625, 1.88077 times; r(gala) = (2 + 2·0.3515625·1.88077)/4. The segment never
/// bought a pear: r(Pears) = 2·0.28125·1.3/4, 0.65 times; r(conference) = 2·0.265625·0.65/4.
#[test]
fn the_segment_rates_are_those_of_the_formula() {
    let catalog = catalog();
    let rates = rates(&catalog, settings(), &ROWS);
    let rate = |id: &str| rates.rate(&segment("a"), find(&catalog, id));
    close(rate("gala"), (2.0 + 2.0 * 0.351_562_5 * 0.764_062_5 / 0.406_25) / 4.0);
    close(rate("fuji"), (1.0 + 2.0 * 0.226_562_5 * 0.764_062_5 / 0.406_25) / 4.0);
    close(rate("conference"), 0.086_328_125);
    let gala = rates.rate(&segment("a"), find(&catalog, "gala"));
    assert_eq!(rates.purchases(&segment("a"), find(&catalog, "gala")), gala as f32);
}

#[test]
fn a_segment_without_history_scores_as_the_population_does() {
    let catalog = catalog();
    let rates = rates(&catalog, settings(), &ROWS);
    assert_eq!(rates.visits(&segment("unseen")), None);
    assert_eq!((rates.visits(&segment("a")), rates.population_visits()), (Some(2), 4));
    for product in catalog.iter() {
        let population = rates.rate(&segment("unseen"), product);
        assert_eq!(rates.purchases(&segment("unseen"), product), population as f32);
    }
}

/// With no visit at all every rate is the prior's: 1/2 an aisle, halved again for each of two types or
/// products.
#[test]
fn no_interactions_leave_even_shares() {
    let catalog = catalog();
    let rates = rates(&catalog, settings(), &[]);
    let rate = |id: &str| rates.rate(&segment("a"), find(&catalog, id));
    for (id, expected) in [("gala", 0.125), ("fuji", 0.125), ("conference", 0.25), ("milk", 0.5)] {
        close(rate(id), expected);
    }
}

#[test]
fn a_product_bought_twice_in_a_visit_counts_once_and_equal_visit_numbers_of_two_households_are_two() {
    let catalog = catalog();
    let once = rates(&catalog, settings(), &ROWS);
    let twice = rates(&catalog, settings(), &[&ROWS[..], &ROWS[..2]].concat());
    assert_eq!(twice.visits(&segment("a")), Some(2));
    for product in catalog.iter() {
        assert_eq!(once.rate(&segment("a"), product), twice.rate(&segment("a"), product));
    }
    let two = rates(&catalog, settings(), &[("a", "h1", "1", "milk"), ("a", "h2", "1", "milk")]);
    assert_eq!(two.visits(&segment("a")), Some(2));
}

#[test]
fn a_product_outside_the_catalogue_counts_as_a_visit_and_scores_nothing() {
    let catalog = catalog();
    let rates = rates(&catalog, settings(), &[("a", "h1", "v1", "discontinued"), ("a", "h1", "v2", "milk")]);
    assert_eq!(rates.visits(&segment("a")), Some(2));
    assert_eq!(rates.purchases(&segment("a"), &product("discontinued", "Fruit", "Apples")), 0.0);
}

#[test]
fn settings_name_the_key_that_is_wrong() {
    assert_eq!(Settings::default().validate(), Ok(()));
    for (settings, key) in [
        (Settings { prior_visits: 0.0, ..Settings::default() }, "prior_visits"),
        (Settings { population_prior_visits: f64::NAN, ..Settings::default() }, "population_prior_visits"),
        (
            Settings { train: Recipe { leaves: 1, ..Recipe::default() }, ..Settings::default() },
            "train.leaves",
        ),
    ] {
        let message = settings.validate().expect_err(key);
        assert!(message.starts_with(key), "{message}");
    }
}

const SEGMENTS: [&str; 3] = ["a", "b", "c"];
const VISITS: [&str; 8] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];
const PRODUCTS: [&str; 4] = ["gala", "fuji", "conference", "milk"];

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..SEGMENTS.len(), 0..VISITS.len(), 0..PRODUCTS.len());
    let row = row.prop_map(|(s, v, p)| (SEGMENTS[s], SEGMENTS[s], VISITS[v], PRODUCTS[p]));
    proptest::collection::vec(row, 1..40)
}

proptest! {
    #[test]
    fn rates_are_above_0_and_at_most_1(rows in any_rows()) {
        let catalog = catalog();
        let rates = rates(&catalog, settings(), &rows);
        for name in ["a", "b", "c", "unseen"] {
            for product in catalog.iter() {
                let rate = rates.purchases(&segment(name), product);
                prop_assert!(rate > 0.0 && rate <= 1.0, "{name} {}: {rate}", product.product_id);
            }
        }
    }

    #[test]
    fn one_more_purchase_in_a_visit_never_lowers_the_product(rows in any_rows(), at in 0usize..40, more in 0usize..4) {
        let catalog = catalog();
        let visit = rows[at % rows.len()];
        let bought = find(&catalog, PRODUCTS[more]);
        let before = rates(&catalog, settings(), &rows).rate(&segment(visit.0), bought);
        let added = [rows, vec![(visit.0, visit.1, visit.2, PRODUCTS[more])]].concat();
        let after = rates(&catalog, settings(), &added).rate(&segment(visit.0), bought);
        prop_assert!(after >= before - 1e-12, "{before} fell to {after}");
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(rows in any_rows()) {
        let catalog = catalog();
        let mut reversed = rows.clone();
        reversed.reverse();
        let (forth, back) = (rates(&catalog, settings(), &rows), rates(&catalog, settings(), &reversed));
        for product in catalog.iter() {
            prop_assert_eq!(forth.purchases(&segment("a"), product), back.purchases(&segment("a"), product));
        }
    }

    /// A rate without any prior weight is the segment's own; with overwhelming weight it is the population's.
    #[test]
    fn the_rate_lies_between_the_segments_own_and_what_the_prior_expects(rows in any_rows()) {
        let catalog = catalog();
        let light = rates(&catalog, Settings { prior_visits: 1e-9, ..settings() }, &rows);
        let heavy = rates(&catalog, Settings { prior_visits: 1e12, ..settings() }, &rows);
        let name = segment(rows[0].0);
        let mine: Vec<&Row> = rows.iter().filter(|row| row.0 == rows[0].0).collect();
        let visits: std::collections::BTreeSet<&str> = mine.iter().map(|row| row.2).collect();
        for product in catalog.iter() {
            let with: std::collections::BTreeSet<&str> =
                mine.iter().filter(|row| row.3 == product.product_id.as_str()).map(|row| row.2).collect();
            let own = with.len() as f64 / visits.len() as f64;
            prop_assert!((light.rate(&name, product) - own).abs() < 1e-6);
            prop_assert!((heavy.rate(&name, product) - heavy.rate(&segment("unseen"), product)).abs() < 1e-6);
        }
    }
}
