//! What fusion adds to what retrieval found: others of its types and aisles, companions, favorites, reserves; and what a product is worth.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use endcap::domain::stage::{FusedPage, JudgedPage, ScoredProduct, Source, Via};
use endcap::domain::title_fit::TitleFits;
use endcap::fuse::Settings;

use super::shop::*;

/// Two generated placements, one a page's half.
fn two() -> JudgedPage {
    page(vec![
        placement("Orchard picks", &["fruit-01", "fruit-04"]),
        placement("Toast time", &["bakery-02", "bakery-03"]),
    ])
}

fn placed<'a>(page: &'a FusedPage, title: &str) -> &'a [ScoredProduct] {
    let found = page.placements.iter().find(|placement| placement.title == title);
    &found.unwrap_or_else(|| panic!("no {title:?} in {:?}", titles(page))).products
}

fn by(page: &FusedPage, title: &str, via: Via) -> Vec<String> {
    let of = placed(page, title).iter().filter(|scored| scored.parts.via == via);
    of.map(|scored| scored.product_id.to_string()).collect()
}

#[test]
fn the_found_types_other_products_are_alternatives() {
    let mut world = World::new();
    world.settings.alternatives = 0.9;
    world.settings.max_per_type = 4;
    let fused = world.fuse(&two()).expect("page");
    // fruit-01 and -04 are of the first type, and so are -07 and -10.
    assert_eq!(by(&fused, "Orchard picks", Via::Alternative), ["fruit-07", "fruit-10"]);
    let found = &placed(&fused, "Orchard picks")[0];
    assert_eq!((found.product_id.as_str(), found.parts.via), ("fruit-01", Via::Retrieved));
    let alike = placed(&fused, "Orchard picks").iter().find(|one| one.product_id.as_str() == "fruit-07");
    assert!((alike.expect("fruit-07").parts.relevance - 0.9).abs() < 1e-6);
}

#[test]
fn the_rest_of_the_aisle_is_less_relevant() {
    let mut world = World::new();
    world.settings = Settings {
        alternatives: 0.9,
        aisle_alternatives: 0.25,
        relevance_weight: 0.05,
        max_per_type: 4,
        ..world.settings
    };
    let fused = world.fuse(&two()).expect("page");
    let relevance = |id: &str| {
        placed(&fused, "Toast time")
            .iter()
            .find(|one| one.product_id.as_str() == id)
            .map(|one| one.parts.relevance)
    };
    // The best of the aisle is of no type that a keyword found, and sells well enough to be shown all the same.
    assert_eq!(relevance("bakery-01"), Some(0.25), "{:?}", placed(&fused, "Toast time"));
    assert_eq!(by(&fused, "Toast time", Via::Neighbor), ["bakery-01"]);
    assert_eq!(products_of(&fused, "Toast time").last(), Some(&"bakery-01"), "after what the title says");
    world.settings.max_guests = 0;
    assert!(by(&world.fuse(&two()).expect("page"), "Toast time", Via::Neighbor).is_empty());
    world.settings.max_guests = 6;
    world.settings.aisle_alternatives = 0.0;
    let fused = world.fuse(&two()).expect("page");
    assert!(by(&fused, "Toast time", Via::Neighbor).is_empty());
}

/// Of fruit equally relevant and sold equally often, what goes under the title comes first; at weight 0 nobody asks.
#[test]
fn what_fits_the_title_comes_first() {
    let mut world = World::new();
    world.settings.evaluator_weight = 0.3;
    let orchard = placement("Orchard picks", &["fruit-02", "fruit-03"]);
    let judged = page(vec![orchard, placement("Toast time", &["bakery-02", "bakery-03"])]);
    for product in ["fruit-02", "fruit-03"] {
        world.scores.purchases.insert(id(product), 0.4);
    }
    let places = ["Fruit two", "Fruit three"].map(str::to_owned).into_iter().zip(0..).collect();
    let title = "Orchard picks".to_owned();
    let fits = TitleFits::new(Arc::new(places), [(title, vec![0.3, 0.6])]);
    let order = |world: &World, fits: &TitleFits| {
        let fused = world.fuse_fitting(&judged, fits).expect("page");
        let found = placed(&fused, "Orchard picks").iter().filter(|one| one.parts.via == Via::Retrieved);
        found.map(|one| (one.product_id.to_string(), one.parts.fit)).collect::<Vec<_>>()
    };
    let fitting = order(&world, &fits);
    let found = |name: &str, fit| (name.to_owned(), fit);
    assert_eq!(fitting, [found("fruit-03", 1.0), found("fruit-02", 0.5)]);
    assert_eq!(order(&world, &TitleFits::none()), [found("fruit-02", 0.0), found("fruit-03", 0.0)]);
    world.settings =
        Settings { evaluator_weight: 0.0, lead_weight: 0.0, promised_products: 0, ..world.settings };
    assert_eq!(order(&world, &fits), [found("fruit-02", 0.5), found("fruit-03", 1.0)]);
}

/// Fits of the title "Orchard picks" with the three types of fruit; `of_two` is the second's.
fn fruit_fits(of_two: f32) -> TitleFits {
    let places = ["Fruit one", "Fruit two", "Fruit three", "Pears"];
    let places = places.map(str::to_owned).into_iter().zip(0..).collect();
    TitleFits::new(Arc::new(places), [("Orchard picks".to_owned(), vec![0.3, of_two, 0.3, 1.0])])
}

/// A row begins with what its title promises, though it sells worst and there would be no room for it.
#[test]
fn a_promised_product_has_the_first_place() {
    let mut world = World::new();
    world.settings = Settings { evaluator_weight: 0.0, lead_weight: 0.0, ..world.settings };
    let all = ["fruit-01", "fruit-03", "fruit-04", "fruit-06", "fruit-11"];
    let judged =
        page(vec![placement("Orchard picks", &all), placement("Toast time", &["bakery-02", "bakery-03"])]);
    let shown = |world: &World, fits: &TitleFits| {
        let fused = world.fuse_fitting(&judged, fits).expect("page");
        products_of(&fused, "Orchard picks").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(&world, &fruit_fits(0.6)), ["fruit-11", "fruit-01", "fruit-03", "fruit-04"]);
    let unchanged = ["fruit-01", "fruit-03", "fruit-04", "fruit-06"];
    assert_eq!(shown(&world, &fruit_fits(0.59)), unchanged, "nothing is promised");
    assert_eq!(shown(&world, &TitleFits::none()), unchanged, "nobody was asked");
    world.settings.promised_products = 0;
    assert_eq!(shown(&world, &fruit_fits(0.6)), unchanged, "nobody asks");
}

/// The placement that sells best gives way to any other of the cascade's that holds what its title says; it stays where none is left.
#[test]
fn a_placement_without_what_its_title_promises_comes_last() {
    let mut world = World::new();
    world.settings.cascade_share = 0.5;
    world.settings.favorites = vec!["Favorites".into(), "More favorites".into()];
    let mut judged = page(vec![
        placement("Orchard picks", &["fruit-01", "fruit-03"]),
        placement("Cheese board", &["cheese-01", "cheese-02"]),
    ]);
    let types = ["Fruit one", "Fruit three", "Cheese one", "Cheese two", "Snacks three"];
    let places: HashMap<String, usize> = types.map(str::to_owned).into_iter().zip(0..).collect();
    let fits = [
        ("Orchard picks", [0.3, 0.3, 0.1, 0.1, 1.0]),
        ("Cheese board", [0.1, 0.1, 1.0, 0.4, 0.1]),
        ("Crunchy bites", [0.1, 0.1, 0.1, 0.1, 1.0]),
    ];
    let fits = fits.map(|(title, likeness)| (title.to_owned(), likeness.to_vec()));
    let fits = TitleFits::new(Arc::new(places), fits);
    let cascade = |judged: &JudgedPage| {
        let fused = world.fuse_fitting(judged, &fits).expect("page");
        let ours = fused.placements.iter().filter(|one| one.source == Source::Cascade);
        ours.map(|one| one.title.clone()).collect::<BTreeSet<_>>()
    };
    let titles = |titles: [&str; 2]| BTreeSet::from(titles.map(str::to_owned));
    assert_eq!(cascade(&judged), titles(["Cheese board", "Orchard picks"]));
    judged.spare = vec![placement("Crunchy bites", &["snacks-09", "snacks-12"])];
    assert_eq!(cascade(&judged), titles(["Cheese board", "Crunchy bites"]));
}

/// Wine goes with fruit, bakery does not.
#[test]
fn companions_are_bought_together_come_last_and_never_outnumber() {
    let mut world = World::new();
    world.settings = Settings { max_companions: 4, cascade_share: 0.5, ..world.settings };
    world.settings.favorites = vec!["Favorites".into()];
    world.scores.together.insert(("Fruit", "Wine"), 2.0);
    let fused = world.fuse(&two()).expect("page");
    assert_eq!(by(&fused, "Orchard picks", Via::Companion), ["wine-01", "wine-02"]);
    assert_eq!(products_of(&fused, "Orchard picks"), ["fruit-01", "fruit-04", "wine-01", "wine-02"]);
    assert!(by(&fused, "Toast time", Via::Companion).is_empty());
    let relevance = placed(&fused, "Orchard picks")[2].parts.relevance;
    assert!((relevance - 0.5).abs() < 1e-6, "1 - 1/2: {relevance}");

    world.settings.max_companions = 1;
    let fused = world.fuse(&two()).expect("page");
    assert_eq!(by(&fused, "Orchard picks", Via::Companion), ["wine-01"]);

    world.settings = Settings { max_companions: 4, companion_affinity: 2.5, ..world.settings };
    let fused = world.fuse(&two()).expect("page");
    assert!(by(&fused, "Orchard picks", Via::Companion).is_empty(), "not close enough");
}

#[test]
fn the_cascade_has_its_share_and_favorites_the_rest() {
    let mut world = World::new();
    world.settings.cascade_share = 0.5;
    world.settings.favorites = vec!["Everyday favorites".into(), "More of what you love".into()];
    let fused = world.fuse(&full_page()).expect("page");
    let cascade: Vec<&str> = fused
        .placements
        .iter()
        .filter(|placement| placement.source == Source::Cascade)
        .map(|placement| placement.title.as_str())
        .collect();
    assert_eq!(cascade.len(), 2, "{:?}", titles(&fused));
    // The best that is left, of any aisle; two of a type, as everywhere.
    let first = products_of(&fused, "Everyday favorites");
    let second = products_of(&fused, "More of what you love");
    assert!(first.iter().all(|id| !second.contains(id)));
    assert_eq!(fused.source, Source::Mixed);
    assert!(placed(&fused, "Everyday favorites").iter().all(|one| one.parts.via == Via::Ranker));
    let worst =
        placed(&fused, "Everyday favorites").iter().map(|one| one.parts.purchases).fold(1.0, f32::min);
    let best =
        placed(&fused, "More of what you love").iter().map(|one| one.parts.purchases).fold(0.0, f32::max);
    assert!(worst >= best, "{worst} < {best}");
}

/// The themes that bring what the favorites would not show anyway are chosen, the reserve's too.
#[test]
fn a_reserve_that_brings_more_is_taken() {
    let mut world = World::new();
    world.settings = Settings { cascade_share: 0.5, min_cascade_placements: 1, ..world.settings };
    world.settings.favorites = vec!["Favorites".into(), "More favorites".into()];
    let mut judged = page(vec![
        placement("Crunchy bites", &["snacks-09", "snacks-10"]),
        placement("Cheese board", &["cheese-01", "cheese-02"]),
    ]);
    judged.spare = vec![placement("Toast time", &["bakery-01", "bakery-02"])];
    let fused = world.fuse(&judged).expect("page");
    let cascade =
        |title: &str| fused.placements.iter().any(|one| one.title == title && one.source == Source::Cascade);
    assert!(
        cascade("Toast time") && cascade("Cheese board") && !cascade("Crunchy bites"),
        "{:?}",
        titles(&fused)
    );
}

#[test]
fn each_further_product_of_a_type_counts_less() {
    let mut world = World::new();
    world.settings = Settings { max_per_type: 4, alternatives: 0.0, ..world.settings };
    let judged = page(vec![
        placement("Orchard picks", &["fruit-01", "fruit-04", "fruit-07", "fruit-10", "fruit-02", "fruit-03"]),
        placement("Toast time", &["bakery-02", "bakery-03"]),
    ]);
    let of_the_first_type = |world: &World| {
        let fused = world.fuse(&judged).expect("page");
        let shown = products_of(&fused, "Orchard picks");
        ["fruit-01", "fruit-04", "fruit-07", "fruit-10"].iter().filter(|id| shown.contains(*id)).count()
    };
    let without = of_the_first_type(&world);
    world.settings.repeat_discount = 0.5;
    assert!(of_the_first_type(&world) < without, "{} of {without}", of_the_first_type(&world));
}

/// worth = ((1 - 0.25) · 0.9 + 0.25 · 0.5 + 2 · 0.1) · business.
#[test]
fn a_products_worth_has_its_recent_and_first_purchases_and_its_margin() {
    let mut world = World::new();
    world.settings = Settings {
        momentum: 0.25,
        discovery: 2.0,
        margin_weight: 1.0,
        relevance_weight: 0.0,
        ranker_weight: 1.0,
        min_cascade_placements: 1,
        ..world.settings
    };
    world.scores.recent.insert(id("fruit-01"), 0.5);
    world.scores.first.insert(id("fruit-01"), 0.1);
    world.change("fruit-01", |product| product.margin = Some(1.0));
    world.change("fruit-04", |product| product.margin = Some(3.0));
    let judged = page(vec![placement("Orchard picks", &["fruit-01", "fruit-04"])]);
    let fused = world.fuse(&judged).expect("page");
    let [best, second] = placed(&fused, "Orchard picks") else { panic!("two products") };
    // Margins are relative to the mean of 2.
    assert_eq!(best.product_id.as_str(), "fruit-04");
    assert!((best.parts.business - 1.5).abs() < 1e-6 && (second.parts.business - 0.5).abs() < 1e-6);
    let parts = second.parts;
    assert_eq!((parts.purchases, parts.recent_purchases, parts.first_purchases), (0.9, 0.5, 0.1));
    let worth = (0.75 * 0.9 + 0.25 * 0.5 + 2.0 * 0.1) * 0.5;
    assert!((second.score - worth / (0.81 * 1.5)).abs() < 1e-6, "{}", second.score);
}
