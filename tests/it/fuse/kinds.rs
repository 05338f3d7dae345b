//! Rules by brand, department and price, `only`, objectives by date; and the rules a product's score names (MER-1).

use endcap::domain::merchandising::*;
use endcap::domain::stage::ScoredProduct;

use super::shop::*;

#[test]
fn mer_1_only_what_a_rule_allows_is_shown() {
    let cheap = Target::Price(PriceRange { min: None, max: Some(299) });
    let fruit_or_bread = Target::Any(vec![aisle("Fruit"), aisle("Bakery")]);
    let mut world = World::with(RuleKind::Only { target: Target::All(vec![fruit_or_bread, cheap]) });
    world.change("fruit-01", |product| product.price = 3.0);
    for page in [world.fuse(&full_page()).expect("page"), world.ranker_page().expect("page")] {
        let shown = all_products(&page);
        assert!(
            shown.iter().all(|name| name.starts_with("fruit") || name.starts_with("bakery")),
            "{shown:?}"
        );
        assert!(!shown.contains(&"fruit-01"));
    }
}

#[test]
fn mer_1_a_brand_or_department_is_blocked_everywhere() {
    let mut world = World::with(RuleKind::Block { target: Target::Brand("Oak".into()) });
    world.rule("fresh", RuleKind::Block { target: Target::Department("Frozen".into()) });
    world.change("fruit-01", |product| product.brand = Some("Oak".into()));
    world.change("bakery-01", |product| product.department = "Frozen".into());
    let page = world.fuse(&full_page()).expect("page");
    assert!(!all_products(&page).contains(&"fruit-01") && !all_products(&page).contains(&"bakery-01"));
}

#[test]
fn mer_1_so_many_products_of_a_brand_in_an_aisle_are_brought_in() {
    let target = Target::All(vec![aisle("Wine"), Target::Brand("Oak".into())]);
    let kind = RuleKind::Quota { target, scope: QuotaScope::Products, min: Some(2), max: None };
    let mut world = World::with(kind);
    for name in ["wine-11", "wine-12", "fruit-12"] {
        world.change(name, |product| product.brand = Some("Oak".into()));
    }
    let page = world.fuse(&full_page()).expect("page");
    assert!(all_products(&page).contains(&"wine-11") && all_products(&page).contains(&"wine-12"));
}

#[test]
fn a_product_names_the_rules_that_moved_it() {
    let mut world = World::with(RuleKind::Boost { target: aisle("Fruit"), factor: 2.0 });
    world.rule("less-04", RuleKind::Bury { target: Target::Product(id("fruit-04")), factor: 0.5 });
    world.rule("pin-05", RuleKind::Pin { product: id("fruit-05"), position: 0 });
    let page = world.fuse(&full_page()).expect("page");
    let of = |name: &str| -> Vec<String> {
        let all = page.placements.iter().flat_map(|placement| &placement.products);
        let found: Vec<&ScoredProduct> = all.filter(|one| one.product_id.as_str() == name).collect();
        found.first().map(|one| one.rules.clone()).unwrap_or_default()
    };
    assert_eq!(of("fruit-01"), ["the-rule"]);
    assert_eq!(of("fruit-05"), ["pin-05", "the-rule"]);
    assert_eq!(of("cheese-01"), Vec::<String>::new());
}

#[test]
fn the_objective_is_the_days_and_a_mixture_lies_between() {
    let mut world = World::new();
    world.settings.objective_tilt = 4.0;
    world.change("fruit-05", |product| product.private_label = true);
    let first = |world: &World| {
        let page = world.fuse(&full_page()).expect("page");
        let all = page.placements.iter().flat_map(|placement| &placement.products);
        let found = all.filter(|one| one.product_id.as_str() == "fruit-05").map(|one| one.score).next();
        found.unwrap_or(0.0)
    };
    let plain = first(&world);
    let dated = |world: &mut World, goal: Goal, from: &str| {
        let window = Window { from: Some(day(from)), to: None };
        world.merchandising.goals = vec![DatedGoal { goal, reach: Reach { window, ..Reach::default() } }];
    };
    dated(&mut world, Objective::PrivateLabel.into(), "2017-11-14");
    assert_eq!(first(&world), plain, "it begins tomorrow");
    dated(&mut world, Objective::PrivateLabel.into(), "2017-11-13");
    let own = first(&world);
    let half = Goal::weighted(&[(Objective::PrivateLabel, 1.0), (Objective::Engagement, 3.0)]).expect("goal");
    dated(&mut world, half, "2017-11-13");
    let mixed = first(&world);
    assert!(plain < mixed && mixed <= own, "{plain} {mixed} {own}");
}

/// The model was fine-tuned on these bytes.
#[test]
fn a_rules_sentence_stays_as_it_was() {
    let quota = |target, scope, min, max| RuleKind::Quota { target, scope, min, max };
    let snack = Target::Tag("snack".into());
    for (kind, sentence) in [
        (RuleKind::Block { target: aisle("Incontinence care") }, Some("no incontinence care")),
        (RuleKind::Block { target: Target::Tag("alcohol".into()) }, Some("no alcohol products")),
        (RuleKind::ForbidTags { tags: vec!["alcohol".into(), "meat".into()] }, Some("no alcohol, no meat")),
        (quota(snack.clone(), QuotaScope::Placements, None, Some(1)), Some("at most one snack placement")),
        (quota(snack, QuotaScope::Products, Some(2), None), Some("at least two snack product")),
        (
            quota(Target::PrivateLabel, QuotaScope::Products, Some(4), None),
            Some("at least 4 private label product"),
        ),
        (RuleKind::BannedPhrases { phrases: vec!["a".into(), "b".into()] }, Some("never say a, b")),
        (RuleKind::CampaignFirst, Some("feature the campaign first")),
        (RuleKind::Boost { target: aisle("Wine"), factor: 2.0 }, None),
        (RuleKind::Only { target: aisle("Wine") }, Some("only wine")),
        (RuleKind::Block { target: Target::Price(PriceRange { min: Some(1), max: None }) }, None),
    ] {
        let rule = Rule { id: "r".into(), kind, reach: Reach::default(), sentence: None };
        assert_eq!(rule.sentence().as_deref(), sentence, "{:?}", rule.kind);
    }
}
