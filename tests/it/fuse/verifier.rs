//! `check` sees what is wrong with a page that fusion did not make (MER-1).

use endcap::domain::merchandising::{QuotaScope, RuleKind, Target};
use endcap::domain::stage::{FusedPage, FusedPlacement, ScoreParts, ScoredProduct, Source};
use endcap::fuse::{IN_STOCK, KNOWN_PRODUCT, PAGE_SIZE, PLACEMENT_SIZE, REPEATED_PRODUCT};

use super::shop::*;

/// A page by hand: title and products of each placement.
fn by_hand(placements: &[(&str, &[&str])]) -> FusedPage {
    let parts = ScoreParts { rule_factor: 1.0, ..ScoreParts::default() };
    let placements = placements.iter().map(|(title, products)| FusedPlacement {
        title: (*title).to_owned(),
        source: Source::Cascade,
        keywords: vec!["a keyword".into()],
        campaign: None,
        products: products
            .iter()
            .map(|name| ScoredProduct { product_id: id(name), score: 0.0, parts, rules: Vec::new() })
            .collect(),
    });
    FusedPage { segment_id: segment("seg-1"), source: Source::Cascade, placements: placements.collect() }
}

const GOOD: [(&str, &[&str]); 2] =
    [("Orchard picks", &["fruit-01", "fruit-02"]), ("Toast time", &["bakery-01", "bakery-02", "wine-01"])];

fn found(world: &World, page: &FusedPage) -> Vec<(String, Option<usize>, Option<String>)> {
    let violations = world.check(page).into_iter();
    violations.map(|v| (v.rule_id, v.placement, v.product.map(|product| product.to_string()))).collect()
}

fn broken(kind: RuleKind) -> Vec<(Option<usize>, Option<String>)> {
    let mut world = World::with(kind);
    world.campaign("Cheese week", vec![aisle("Cheese")], None);
    world.tag("wine-01", "alcohol");
    let all = found(&world, &by_hand(&GOOD));
    assert!(all.iter().all(|(rule, ..)| rule == "the-rule"), "{all:?}");
    all.into_iter().map(|(_, placement, product)| (placement, product)).collect()
}

#[test]
fn mer_1_a_good_page_has_no_violation() {
    assert_eq!(found(&World::new(), &by_hand(&GOOD)), []);
}

#[test]
fn mer_1_every_kind_of_rule_is_seen_broken() {
    let quota = |target, scope, min, max| RuleKind::Quota { target, scope, min, max };
    let page = vec![(None, None)];
    let wine = vec![(Some(1), Some("wine-01".to_owned()))];
    let (fruit, bread) = (aisle("Fruit"), aisle("Bakery"));
    for (kind, expected) in [
        (RuleKind::Block { target: aisle("Wine") }, wine.clone()),
        (RuleKind::ForbidTags { tags: vec!["alcohol".into()] }, wine.clone()),
        (RuleKind::Pin { product: id("wine-01"), position: 1 }, wine.clone()),
        (RuleKind::Pin { product: id("wine-01"), position: 2 }, vec![(Some(2), Some("wine-01".to_owned()))]),
        (RuleKind::BannedPhrases { phrases: vec!["TOAST".into()] }, vec![(Some(1), None)]),
        (RuleKind::BannedPhrases { phrases: vec!["keyword".into()] }, vec![(Some(0), None), (Some(1), None)]),
        (RuleKind::BannedPhrases { phrases: vec!["wine".into()] }, wine),
        (RuleKind::CampaignFirst, vec![(Some(0), None)]),
        (quota(fruit.clone(), QuotaScope::Products, Some(3), None), page.clone()),
        (quota(fruit.clone(), QuotaScope::Products, None, Some(1)), page.clone()),
        (quota(fruit, QuotaScope::Placements, Some(2), None), page.clone()),
        (quota(bread, QuotaScope::Placements, None, Some(0)), page),
    ] {
        assert_eq!(broken(kind.clone()), expected, "{kind:?}");
    }
}

#[test]
fn mer_1_rules_that_hold_are_not_reported() {
    let quota = |target, scope, min, max| RuleKind::Quota { target, scope, min, max };
    for kind in [
        RuleKind::Block { target: Target::Type("Wine two".into()) },
        RuleKind::Pin { product: id("bakery-01"), position: 1 },
        RuleKind::BannedPhrases { phrases: vec!["toa".into()] },
        RuleKind::Boost { target: aisle("Wine"), factor: 2.0 },
        quota(aisle("Fruit"), QuotaScope::Products, Some(2), Some(2)),
        quota(aisle("Bakery"), QuotaScope::Placements, Some(1), Some(1)),
    ] {
        assert_eq!(broken(kind.clone()), [], "{kind:?}");
    }
}

#[test]
fn what_holds_without_a_rule_is_reported_by_its_own_id() {
    let mut world = World::new();
    world.change("fruit-02", |product| product.in_stock = false);
    let page = by_hand(&[
        ("One", &["fruit-01", "fruit-02"]),
        ("Two", &["fruit-01", "gone"]),
        ("Three", &["fruit-03"]),
    ]);
    let ids: Vec<String> = found(&world, &page).into_iter().map(|(rule, ..)| rule).collect();
    assert_eq!(ids, [PLACEMENT_SIZE, IN_STOCK, REPEATED_PRODUCT, KNOWN_PRODUCT]);
    assert!(world.check(&page).iter().all(|violation| !violation.is_rule()));
    assert_eq!(found(&world, &by_hand(&[]))[0].0, PAGE_SIZE);
    let five = [GOOD[0]; 5];
    assert_eq!(found(&world, &by_hand(&five))[0].0, PAGE_SIZE);
}

#[test]
fn a_violation_reads_as_a_sentence() {
    let world = World::with(RuleKind::Block { target: aisle("Wine") });
    let violations = world.check(&by_hand(&GOOD));
    assert_eq!(violations[0].to_string(), "the-rule: Wine is blocked, product wine-01, placement 2");
}
