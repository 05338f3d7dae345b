//! A shop small enough to count by hand: eight aisles in two departments, two segments with tastes of their own.

use std::path::Path;

use chrono::{Days, NaiveDate};
use endcap::domain::segment::Shopping;
use endcap::domain::{
    Catalog, HouseholdId, Interaction, Keyword, KeywordId, KeywordKind, Product, ProductId, SegmentContext,
    SegmentId,
};
use endcap::ingest::contract;

pub const AISLES: usize = 8;
/// Products of an aisle; the first is bought most.
pub const DEPTH: usize = 12;
/// In stock, on sale, and bought by nobody before `as_of`.
pub const UNSOLD: &str = "p0-00";

pub fn as_of() -> NaiveDate {
    "2017-11-06".parse().expect("date")
}

pub fn day(after: i64) -> NaiveDate {
    let days = Days::new(after.unsigned_abs());
    if after < 0 { as_of().checked_sub_days(days) } else { as_of().checked_add_days(days) }.expect("day")
}

pub fn id(aisle: usize, number: usize) -> String {
    format!("p{aisle}-{number:02}")
}

pub fn segment(name: &str) -> SegmentId {
    SegmentId::parse(name).expect("segment")
}

pub fn product(aisle: usize, number: usize) -> Product {
    let tags: &[&str] = if number == 10 { &["tobacco"] } else { &[] };
    Product {
        product_id: ProductId::parse(id(aisle, number)).expect("id"),
        title: format!("Goods {aisle} {number}"),
        brand: None,
        department: format!("Department {}", aisle / 4),
        aisle: format!("Aisle {aisle}"),
        product_type: format!("Type {aisle} {}", number / 2),
        package_size: None,
        price: 1.0,
        margin: None,
        units_28d: 1,
        in_stock: number != 11,
        private_label: false,
        tags: tags.iter().map(ToString::to_string).collect(),
        image_url: None,
    }
}

pub fn products() -> Vec<Product> {
    (0..AISLES).flat_map(|aisle| (0..DEPTH).map(move |number| product(aisle, number))).collect()
}

pub fn catalog() -> Catalog {
    Catalog::new(products())
}

pub fn row(household: &str, visit: &str, product: &str, date: NaiveDate) -> Interaction {
    // Households of even number are segment "even".
    let number: usize = household[1..].parse().expect("number");
    Interaction {
        household_id: HouseholdId::parse(household).expect("household"),
        segment_id: segment(if number.is_multiple_of(2) { "even" } else { "odd" }),
        visit_id: visit.into(),
        product_id: ProductId::parse(product).expect("product"),
        date,
        quantity: 1.0,
        value: 1.0,
        impression: None,
    }
}

/// What a household buys in its `visit`-th visit: even ones in the first four aisles, odd ones in the others; low numbers more
/// often than high ones, out-of-stock and tobacco products included, [`UNSOLD`] never.
fn basket(household: usize, visit: usize) -> impl Iterator<Item = String> {
    let first = if household.is_multiple_of(2) { 0 } else { 4 };
    (first..first + 4).flat_map(move |aisle| {
        let often = move |number: &usize| (visit + household).is_multiple_of(*number / 2 + 1);
        (0..DEPTH).filter(often).map(move |number| id(aisle, number)).filter(|id| id != UNSOLD)
    })
}

/// Twelve households, a visit every seventh day from `from` to before `until`, days from `as_of`.
pub fn purchases(from: i64, until: i64) -> Vec<Interaction> {
    let mut rows = Vec::new();
    for household in 0..12 {
        for (visit, after) in (from..until).step_by(7).enumerate() {
            let (name, number) = (format!("h{household}"), format!("v{household}-{after}"));
            rows.extend(basket(household, visit).map(|product| row(&name, &number, &product, day(after))));
        }
    }
    rows
}

pub fn context(name: &str) -> SegmentContext {
    SegmentContext {
        segment_id: segment(name),
        as_of: as_of(),
        households: 6,
        demographics: Default::default(),
        shopping: Shopping::default(),
        distinctive: Vec::new(),
        staples: vec!["Type 0 0".into()],
        rising: Vec::new(),
        session: Default::default(),
        merchandising: Default::default(),
    }
}

/// Writes the input tables and `held-out.parquet` to `folder`.
pub fn write(folder: &Path, before: &[Interaction], held_out: &[Interaction]) {
    let path = |name: &str| folder.join(name);
    contract::write_products(&path(contract::PRODUCTS), &products()).expect("products");
    contract::write_segments(&path(contract::SEGMENTS), &[context("even"), context("odd")])
        .expect("segments");
    let keyword = Keyword {
        keyword_id: KeywordId::parse("k1").expect("id"),
        text: "goods".into(),
        kind: KeywordKind::Query,
        product_count: 1,
        popularity: 0.5,
    };
    contract::write_keywords(&path(contract::KEYWORDS), &[keyword]).expect("keywords");
    contract::write_interactions(&path(contract::INTERACTIONS), before).expect("interactions");
    contract::write_interactions(&path("held-out.parquet"), held_out).expect("held out");
    let rules =
        "objective = \"discovery\"\n[page]\nplacements = 3\nproducts_per_placement = 6\nmin_products = 2\n";
    std::fs::write(path(contract::MERCHANDISING), rules).expect("rules");
}
