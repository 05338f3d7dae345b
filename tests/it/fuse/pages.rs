//! Scores, order, and what becomes of a page with too little on it.

use endcap::domain::merchandising::Objective;
use endcap::domain::stage::Source;
use endcap::fuse::{Audience, FuseError, Settings};

use super::shop::*;

#[test]
fn a_full_page_stays_the_cascades_in_order_of_value() {
    let world = World::new();
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(fused.source, Source::Cascade);
    assert_eq!(titles(&fused), ["Orchard picks", "Toast time", "Cheese board", "Crunchy bites"]);
    assert_eq!(products(&fused, 0), ["fruit-01", "fruit-02", "fruit-03", "fruit-04"]);
    assert_eq!(fused.placements[0].keywords, ["fresh"]);
}

/// By hand: the placement's products score 0.9 (the best) and 0.84 with the ranker, relevance 1 and 0.9; with
/// the weights 0.5 and 0.5 the second is sqrt(0.9) · sqrt(0.84 / 0.9 · 1.0 / 1.0).
#[test]
fn a_score_is_the_weighted_geometric_mean_of_its_parts() {
    let mut world = World::new();
    world.settings =
        Settings { relevance_weight: 0.5, ranker_weight: 0.5, min_cascade_placements: 1, ..world.settings };
    let fused = world.fuse(&page(vec![placement("Orchard picks", &["fruit-01", "fruit-03"])])).expect("page");
    let orchard = fused.placements.iter().find(|placement| placement.title == "Orchard picks");
    let [first, second] = &orchard.expect("the placement").products[..] else { panic!("two products") };
    assert_eq!((first.score, first.parts.ranker, first.parts.relevance), (1.0, 1.0, 1.0));
    assert!((second.score - (0.9f32 * 0.84 / 0.9).sqrt()).abs() < 1e-6, "{}", second.score);
    assert_eq!((second.parts.rule_factor, second.parts.pinned), (1.0, false));
}

#[test]
fn a_product_stands_where_it_is_most_relevant_and_once() {
    let world = World::new();
    let mut judged = full_page();
    let apple = judged.placements[0].products[4].clone();
    judged.placements[1].products.push(apple);
    judged.placements[1].products[5].relevance = 0.95;
    let fused = world.fuse(&judged).expect("page");
    assert!(!products(&fused, 0).contains(&"fruit-05"));
    assert!(products(&fused, 1).contains(&"fruit-05"));
}

#[test]
fn one_type_has_at_most_its_share_of_a_placement() {
    let mut world = World::new();
    world.settings.max_per_type = 1;
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(products(&fused, 0), ["fruit-01", "fruit-02", "fruit-03"]);
}

#[test]
fn what_is_out_of_stock_or_unknown_is_left_out() {
    let mut world = World::new();
    world.change("fruit-01", |product| product.in_stock = false);
    world.products.retain(|product| product.product_id.as_str() != "fruit-02");
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(products_of(&fused, "Orchard picks"), ["fruit-03", "fruit-04", "fruit-05"]);
}

#[test]
fn missing_placements_are_the_rankers_best_aisles_not_yet_shown_and_stand_by_value() {
    let world = World::new();
    let mut judged = full_page();
    judged.placements.remove(1);
    judged.placements.pop();
    let fused = world.fuse(&judged).expect("page");
    assert_eq!(fused.source, Source::Mixed);
    assert_eq!(titles(&fused), ["Bakery", "Orchard picks", "Snacks", "Cheese board"]);
    assert_eq!(fused.placements[0].source, Source::Ranker);
    assert_eq!(products(&fused, 0), ["bakery-01", "bakery-02", "bakery-03", "bakery-04"]);
    assert!(fused.placements[0].keywords.is_empty());
}

#[test]
fn a_page_with_too_little_of_the_cascade_is_the_rankers() {
    let world = World::new();
    let mut judged = full_page();
    judged.placements.truncate(1);
    let fused = world.fuse(&judged).expect("page");
    assert_eq!(fused.source, Source::Ranker);
    assert_eq!(Ok(fused), world.ranker_page());
}

#[test]
fn the_rankers_page_has_the_best_aisles_and_never_those_not_featured() {
    let mut world = World::new();
    world.merchandising.page.placements = 6;
    world.tag("wine-01", "tobacco");
    let fused = world.ranker_page().expect("page");
    assert_eq!(titles(&fused), ["Fruit", "Bakery", "Cheese", "Snacks", "Wine"]);
    assert_eq!(products(&fused, 4), ["wine-02", "wine-03", "wine-04", "wine-05"]);
}

#[test]
fn a_title_that_is_not_accepted_is_not_used() {
    let world = World::new();
    let fused = world.on_the_night(|fuser, audience| {
        fuser
            .ranker_page(&Audience { accepts_title: &|title: &str| title != "Bakery", ..*audience })
            .expect("page")
    });
    assert_eq!(titles(&fused), ["Fruit", "Cheese", "Snacks", "Wine"]);
}

#[test]
fn an_empty_shop_is_an_error_that_names_the_segment() {
    let mut world = World::new();
    world.products.clear();
    assert_eq!(
        world.fuse(&full_page()),
        Err(FuseError::NothingToShow { segment: segment("seg-1"), rules: Vec::new() })
    );
}

/// 13 November 2017 is 42 days before Christmas: out of season at a lead of 35 days, in season a week later.
#[test]
fn products_out_of_season_are_never_featured_by_the_ranker_and_sink_elsewhere() {
    let mut world = World::new();
    world.tag("fruit-01", "seasonal-christmas");
    assert!(!all_products(&world.ranker_page().expect("page")).contains(&"fruit-01"));
    assert_eq!(products_of(&world.fuse(&full_page()).expect("page"), "Orchard picks")[0], "fruit-02");
    world.context.as_of = day("2017-11-20");
    assert!(all_products(&world.ranker_page().expect("page")).contains(&"fruit-01"));
    assert_eq!(products_of(&world.fuse(&full_page()).expect("page"), "Orchard picks")[0], "fruit-01");
}

#[test]
fn the_objective_tilts_the_ranker() {
    let order = |objective, change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world.merchandising.objective = Objective::into(objective);
        let fused = world.fuse(&full_page()).expect("page");
        products_of(&fused, "Orchard picks").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let second_is_private =
        |world: &mut World| world.change("fruit-02", |product| product.private_label = true);
    assert_eq!(order(Objective::Engagement, second_is_private)[0], "fruit-01");
    assert_eq!(order(Objective::PrivateLabel, second_is_private)[0], "fruit-02");
    let first_is_staple = |world: &mut World| world.context.staples = vec!["Fruit one".into()];
    assert_eq!(order(Objective::BasketBuilding, first_is_staple)[0], "fruit-01");
    assert_eq!(order(Objective::Discovery, first_is_staple)[0], "fruit-02");
    let second_is_seasonal = |world: &mut World| {
        world.tag("fruit-02", "seasonal-thanksgiving");
    };
    assert_eq!(order(Objective::Seasonal, second_is_seasonal)[0], "fruit-02");
}

#[test]
fn settings_name_the_key_that_is_wrong() {
    assert_eq!(Settings::default().validate(), Ok(()));
    for (settings, key) in [
        (Settings { relevance_weight: -1.0, ..Settings::default() }, "relevance_weight"),
        (Settings { ranker_weight: f32::NAN, ..Settings::default() }, "ranker_weight"),
        (Settings { out_of_season: 0.0, ..Settings::default() }, "out_of_season"),
        (Settings { max_per_type: 0, ..Settings::default() }, "max_per_type"),
    ] {
        let message = settings.validate().expect_err(key);
        assert!(message.starts_with(key), "{message}");
    }
}
