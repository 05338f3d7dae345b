//! Each merchandising rule on a page made for it (MER-1).

use endcap::domain::merchandising::{QuotaScope, RuleKind, Target, Window};
use endcap::domain::stage::Source;
use endcap::fuse::FuseError;

use super::shop::*;

fn quota(target: Target, scope: QuotaScope, min: Option<usize>, max: Option<usize>) -> RuleKind {
    RuleKind::Quota { target, scope, min, max }
}

fn pin(product: &str, position: usize) -> RuleKind {
    RuleKind::Pin { product: id(product), position }
}

#[test]
fn mer_1_a_pinned_product_stands_first_at_its_position_and_nowhere_else() {
    let world = World::with(pin("cheese-01", 1));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(products(&fused, 1), ["cheese-01", "bakery-01", "bakery-02", "bakery-03"]);
    assert!(fused.placements[1].products[0].parts.pinned);
    assert_eq!(products(&fused, 2), ["cheese-02", "cheese-03", "cheese-04", "cheese-05"]);
}

#[test]
fn mer_1_a_pin_holds_on_the_rankers_page_too() {
    let world = World::with(pin("pharmacy-01", 2));
    assert_eq!(products(&world.ranker_page().expect("page"), 2)[0], "pharmacy-01");
}

#[test]
fn mer_1_a_pin_that_no_page_can_hold_is_an_error_that_names_the_rules() {
    let unknown = World::with(pin("truffles", 0)).fuse(&full_page());
    assert_eq!(unknown, Err(FuseError::PinUnknown { rule: "the-rule".into(), product: id("truffles") }));

    let mut world = World::with(pin("fruit-01", 0));
    world.change("fruit-01", |product| product.in_stock = false);
    let sold_out = world.fuse(&full_page());
    assert_eq!(sold_out, Err(FuseError::PinOutOfStock { rule: "the-rule".into(), product: id("fruit-01") }));

    let mut world = World::with(pin("fruit-01", 0));
    world.rule("no-fruit", RuleKind::Block { target: aisle("Fruit") });
    let blocked = world.fuse(&full_page()).expect_err("blocked");
    assert_eq!(
        blocked.to_string(),
        "rule \"the-rule\" pins product fruit-01, which rule \"no-fruit\" forbids; remove one of the two"
    );

    let mut world = World::with(pin("fruit-01", 0));
    world.rule("other", pin("fruit-02", 0));
    let clash = FuseError::PinClash { rule: "other".into(), other: "the-rule".into() };
    assert_eq!(world.fuse(&full_page()), Err(clash));
}

#[test]
fn mer_1_a_pin_past_the_pages_end_is_an_error() {
    let error = World::with(pin("fruit-01", 4)).fuse(&full_page()).expect_err("no fifth placement");
    let FuseError::Unsatisfied { violations, .. } = &error else { panic!("{error}") };
    assert_eq!(violations[0].rule_id, "the-rule");
}

#[test]
fn mer_1_what_is_blocked_or_forbidden_appears_nowhere() {
    let mut world = World::with(RuleKind::Block { target: Target::Type("Fruit one".into()) });
    world.tag("bakery-02", "alcohol");
    world.rule("dry", RuleKind::ForbidTags { tags: vec!["alcohol".into()] });
    for fused in [world.fuse(&full_page()).expect("page"), world.ranker_page().expect("page")] {
        for absent in ["fruit-01", "fruit-04", "fruit-07", "fruit-10", "bakery-02"] {
            assert!(!all_products(&fused).contains(&absent), "{absent}");
        }
    }
}

#[test]
fn mer_1_a_placement_emptied_by_a_block_is_replaced() {
    let world = World::with(RuleKind::Block { target: aisle("Fruit") });
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Toast time", "Cheese board", "Wine", "Crunchy bites"]);
    assert_eq!(fused.source, Source::Mixed);
}

#[test]
fn mer_1_a_banned_phrase_is_in_no_title_keyword_or_product() {
    let mut world =
        World::with(RuleKind::BannedPhrases { phrases: vec!["toast".into(), "Fresh".into(), "Wine".into()] });
    world.change("fruit-01", |product| product.title = "Fresh apples".into());
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Bakery", "Orchard picks", "Cheese board", "Crunchy bites"]);
    assert!(fused.placements.iter().all(|placement| placement.keywords.is_empty()));
    assert!(!all_products(&fused).contains(&"fruit-01"));
}

#[test]
fn boost_and_bury_multiply_the_score() {
    let world = World::with(RuleKind::Boost { target: Target::Product(id("fruit-04")), factor: 3.0 });
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(products(&fused, 0), ["fruit-04", "fruit-01", "fruit-02", "fruit-03"]);
    assert_eq!(fused.placements[0].products[0].parts.rule_factor, 3.0);

    let world = World::with(RuleKind::Bury { target: Target::Product(id("fruit-01")), factor: 0.1 });
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(products_of(&fused, "Orchard picks"), ["fruit-02", "fruit-03", "fruit-04", "fruit-05"]);
}

#[test]
fn a_rule_outside_its_window_or_for_another_segment_does_nothing() {
    let plain = World::new().fuse(&full_page());
    let mut over = World::new();
    over.rule("over", RuleKind::Block { target: aisle("Fruit") }).reach.window.to = Some(day("2017-11-12"));
    assert_eq!(over.fuse(&full_page()), plain);
    let mut elsewhere = World::new();
    elsewhere.rule("elsewhere", RuleKind::Block { target: aisle("Fruit") }).reach.segments =
        Some([segment("seg-2")].into());
    assert_eq!(elsewhere.fuse(&full_page()), plain);
    let mut last_day = World::new();
    let window = Window { from: Some(day("2017-11-13")), to: Some(day("2017-11-13")) };
    last_day.rule("today", RuleKind::Block { target: aisle("Fruit") }).reach.window = window;
    assert_ne!(last_day.fuse(&full_page()), plain);
}

#[test]
fn mer_1_at_most_so_many_placements() {
    let world = World::with(quota(aisle("Snacks"), QuotaScope::Placements, None, Some(0)));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Orchard picks", "Toast time", "Cheese board", "Wine"]);
}

#[test]
fn mer_1_at_least_so_many_placements_replace_the_weakest() {
    let mut world = World::with(quota(Target::Tag("produce".into()), QuotaScope::Placements, Some(1), None));
    for n in 1..=4 {
        world.tag(&format!("wine-{n:02}"), "produce");
    }
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Orchard picks", "Toast time", "Cheese board", "Wine"]);
    assert_eq!(products(&fused, 3), ["wine-01", "wine-02", "wine-03", "wine-04"]);
}

#[test]
fn mer_1_a_cascade_placement_that_meets_the_quota_is_kept() {
    let world = World::with(quota(aisle("Snacks"), QuotaScope::Placements, Some(1), None));
    assert_eq!(world.fuse(&full_page()).expect("page").source, Source::Cascade);
}

#[test]
fn mer_1_a_quota_of_a_type_gets_a_placement_titled_by_it() {
    let world = World::with(quota(Target::Type("Wine two".into()), QuotaScope::Placements, Some(1), None));
    let fused = world.fuse(&full_page()).expect("page");
    assert!(titles(&fused).contains(&"Wine two"), "{:?}", titles(&fused));
}

#[test]
fn mer_1_at_most_so_many_products_keeps_the_best() {
    let world = World::with(quota(aisle("Fruit"), QuotaScope::Products, None, Some(2)));
    let fused = world.fuse(&full_page()).expect("page");
    let fruit: Vec<&str> =
        all_products(&fused).into_iter().filter(|name| name.starts_with("fruit")).collect();
    assert_eq!(fruit, ["fruit-01", "fruit-02"]);
}

#[test]
fn mer_1_at_least_so_many_products_are_exchanged_in_from_the_bench() {
    let mut world = World::with(quota(Target::PrivateLabel, QuotaScope::Products, Some(2), None));
    world.change("fruit-05", |product| product.private_label = true);
    world.change("snacks-05", |product| product.private_label = true);
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(fused.source, Source::Cascade);
    assert_eq!(products(&fused, 0), ["fruit-01", "fruit-02", "fruit-03", "fruit-05"]);
    assert!(all_products(&fused).contains(&"snacks-05"));
}

#[test]
fn mer_1_products_no_placement_has_get_one_of_their_own() {
    let mut world = World::with(quota(Target::PrivateLabel, QuotaScope::Products, Some(3), None));
    for name in ["wine-08", "wine-09", "wine-10"] {
        world.change(name, |product| product.private_label = true);
    }
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Orchard picks", "Toast time", "Cheese board", "Wine"]);
    assert_eq!(products(&fused, 3), ["wine-01", "wine-08", "wine-09", "wine-10"]);
}

#[test]
fn mer_1_two_placements_of_one_aisle_are_told_apart_by_type() {
    let world = World::with(quota(aisle("Wine"), QuotaScope::Placements, Some(2), None));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Orchard picks", "Toast time", "Wine", "Wine one"]);
    assert_eq!(products_of(&fused, "Wine one"), ["wine-07", "wine-10"]);
}

/// The ranker features nothing beside it in that aisle, so it cannot have a placement of its own.
#[test]
fn mer_1_a_product_that_cannot_have_a_placement_stands_last_among_others() {
    let target = Target::Type("Pharmacy aids one".into());
    let world = World::with(quota(target, QuotaScope::Products, Some(1), Some(1)));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(fused.source, Source::Cascade);
    let last: Vec<&str> = (0..4).filter_map(|at| products(&fused, at).last().copied()).collect();
    assert!(last.contains(&"pharmacy-01"), "{last:?}");
}

#[test]
fn mer_1_a_pin_stays_when_a_quota_is_full() {
    let mut world = World::with(pin("fruit-09", 3));
    world.rule("little-fruit", quota(aisle("Fruit"), QuotaScope::Products, None, Some(1)));
    let fused = world.fuse(&full_page()).expect("page");
    let fruit: Vec<&str> =
        all_products(&fused).into_iter().filter(|name| name.starts_with("fruit")).collect();
    assert_eq!(fruit, ["fruit-09"]);
}

#[test]
fn mer_1_rules_that_contradict_each_other_are_an_error_that_names_them() {
    let mut world = World::with(quota(aisle("Fruit"), QuotaScope::Placements, Some(1), None));
    world.rule("no-fruit", RuleKind::Block { target: aisle("Fruit") });
    let error = world.fuse(&full_page()).expect_err("contradiction").to_string();
    let expected = "segment seg-1: no page satisfies the merchandising rules: \
        the-rule: 0 placements of Fruit, at least 1 are demanded";
    assert_eq!(error, expected);
}

#[test]
fn the_placement_that_is_mostly_the_campaigns_carries_it_to_its_position() {
    let mut world = World::new();
    world.campaign("Cheese week", vec![aisle("Cheese")], Some(1));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused), ["Orchard picks", "Cheese board", "Toast time", "Crunchy bites"]);
    assert_eq!(fused.placements[1].campaign.as_deref(), Some("Cheese week"));
    assert_eq!(fused.placements.iter().filter(|placement| placement.campaign.is_some()).count(), 1);
}

#[test]
fn mer_1_the_campaign_stands_first_and_gets_a_placement_where_it_has_none() {
    let mut world = World::with(RuleKind::CampaignFirst);
    world.campaign("Wine week", vec![aisle("Wine")], Some(3));
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused)[0], "Wine");
    assert_eq!(fused.placements[0].campaign.as_deref(), Some("Wine week"));
    assert_eq!(fused.placements[0].source, Source::Ranker);
}

#[test]
fn mer_1_a_campaign_of_products_from_many_aisles_gets_one_placement_by_its_name() {
    let mut world = World::with(RuleKind::CampaignFirst);
    let names = ["wine-12", "cheese-12", "snacks-12"];
    world.campaign("Chef's three", names.iter().map(|name| Target::Product(id(name))).collect(), None);
    let fused = world.fuse(&full_page()).expect("page");
    assert_eq!(titles(&fused)[0], "Chef's three");
    assert_eq!(products(&fused, 0), ["cheese-12", "snacks-12", "wine-12"]);
}

#[test]
fn the_campaign_rule_asks_nothing_when_no_campaign_is_active() {
    let mut world = World::with(RuleKind::CampaignFirst);
    world.campaign("Wine week", vec![aisle("Wine")], None);
    world.merchandising.campaigns[0].reach.window.to = Some(day("2017-11-12"));
    assert_eq!(world.fuse(&full_page()), World::new().fuse(&full_page()));
}
