//! Fusion over random shops, pages and rules.

use std::collections::BTreeSet;

use endcap::domain::merchandising::{Objective, PageShape, QuotaScope, RuleKind, Target};
use endcap::domain::stage::{FusedPage, JudgedPage, ProductHit};
use endcap::domain::{Product, ProductId};
use endcap::fuse::FuseError;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::shop::*;

const TAGS: &[&str] = &["alcohol", "organic", "pharmacy", "seasonal-christmas"];

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (0usize..60).prop_map(|n| Target::Product(id(&format!("p{n:02}")))),
        select(AISLES).prop_map(aisle),
        (select(AISLES), select(vec!["one", "two"])).prop_map(|(a, t)| Target::Type(format!("{a} {t}"))),
        select(TAGS).prop_map(|tag| Target::Tag(tag.to_owned())),
        Just(Target::PrivateLabel),
    ]
}

/// What fusion can always obey as long as anything is left to show.
fn any_upper_rule() -> impl Strategy<Value = RuleKind> {
    let quota =
        (any_target(), any::<bool>(), 0usize..4).prop_map(|(target, products, max)| RuleKind::Quota {
            target,
            scope: if products { QuotaScope::Products } else { QuotaScope::Placements },
            min: None,
            max: Some(max),
        });
    let phrases = select(vec!["p01", "Product p02", "title 1", "fresh", "Wine"]);
    prop_oneof![
        (any_target(), 1.1f32..5.0).prop_map(|(target, factor)| RuleKind::Boost { target, factor }),
        (any_target(), 0.1f32..0.9).prop_map(|(target, factor)| RuleKind::Bury { target, factor }),
        any_target().prop_map(|target| RuleKind::Block { target }),
        vec(select(TAGS), 1..3)
            .prop_map(|tags| RuleKind::ForbidTags { tags: tags.into_iter().map(str::to_owned).collect() }),
        phrases.prop_map(|phrase| RuleKind::BannedPhrases { phrases: vec![phrase.to_owned()] }),
        quota,
    ]
}

fn any_rule() -> impl Strategy<Value = RuleKind> {
    let quota =
        (any_target(), any::<bool>(), 0usize..4, 0usize..4).prop_map(|(target, products, min, more)| {
            let scope = if products { QuotaScope::Products } else { QuotaScope::Placements };
            RuleKind::Quota { target, scope, min: Some(min), max: Some(min + more) }
        });
    prop_oneof![
        3 => any_upper_rule(),
        1 => (0usize..60, 0usize..4)
            .prop_map(|(n, position)| RuleKind::Pin { product: id(&format!("p{n:02}")), position }),
        1 => quota,
        1 => Just(RuleKind::CampaignFirst),
    ]
}

prop_compose! {
    fn any_product()(
        aisle in select(AISLES),
        kind in select(vec!["one", "two"]),
        tags in vec(select(TAGS), 0..2),
        in_stock in prop::bool::weighted(0.9),
        private_label in any::<bool>(),
        score in select(vec![0.0f32, 0.1, 0.2, 0.5, 0.9, 1.0]),
    ) -> (Product, f32) {
        let tags = tags.into_iter().map(str::to_owned).collect();
        (Product { tags, in_stock, private_label, ..product("p", aisle, &format!("{aisle} {kind}")) }, score)
    }
}

prop_compose! {
    fn any_shape()(placements in 1usize..6, most in 1usize..7, least in 1usize..7) -> PageShape {
        PageShape { placements, products_per_placement: most, min_products: least.min(most) }
    }
}

prop_compose! {
    fn any_page()(
        placements in vec(vec((0usize..60, select(vec![0.0f32, 0.3, 0.5, 0.8, 1.0])), 0..14), 0..6),
    ) -> JudgedPage {
        let hit = |(n, relevance): (usize, f32)| {
            ProductHit { product_id: id(&format!("p{n:02}")), relevance, keyword: "fresh".into() }
        };
        let placements = placements.into_iter().enumerate().map(|(at, hits)| {
            let mut made = placement(&format!("Title {at}"), &[]);
            let mut seen = BTreeSet::new();
            made.products = hits.into_iter().filter(|(n, _)| seen.insert(*n)).map(hit).collect();
            made
        });
        page(placements.collect())
    }
}

prop_compose! {
    fn any_shop()(
        products in vec(any_product(), 5..60),
        shape in any_shape(),
        objective in select(Objective::ALL.to_vec()),
        max_per_type in 1usize..5,
        feature in proptest::option::of(vec(any_target(), 1..3)),
        position in proptest::option::of(0usize..4),
    ) -> World {
        let mut world = World::new();
        world.products.clear();
        for (n, (product, score)) in products.into_iter().enumerate() {
            let product_id = id(&format!("p{n:02}"));
            world.scores.purchases.insert(product_id.clone(), score);
            world.products.push(Product { title: format!("Product {product_id}"), product_id, ..product });
        }
        world.merchandising.page = shape;
        world.merchandising.objective = objective.into();
        world.settings.max_per_type = max_per_type;
        world.context.staples = vec!["Fruit one".into(), "Wine two".into()];
        if let Some(feature) = feature {
            world.campaign("The campaign", feature, position);
        }
        world
    }
}

prop_compose! {
    fn shop_with(rule: BoxedStrategy<RuleKind>, most: usize)(
        mut world in any_shop(),
        rules in vec((rule, prop::bool::weighted(0.8)), 0..most),
    ) -> World {
        for (n, (kind, active)) in rules.into_iter().enumerate() {
            let rule = world.rule(&format!("rule-{n}"), kind);
            rule.reach.window.to = (!active).then(|| day("2017-01-01"));
        }
        world
    }
}

/// What must hold of any page, written out a third time.
fn assert_sound(world: &World, page: &FusedPage) -> Result<(), TestCaseError> {
    let shape = world.merchandising.page;
    prop_assert!((1..=shape.placements).contains(&page.placements.len()));
    let mut seen: BTreeSet<&ProductId> = BTreeSet::new();
    for placement in &page.placements {
        let size = placement.products.len();
        prop_assert!((shape.min_products..=shape.products_per_placement).contains(&size), "{size} products");
        for scored in &placement.products {
            prop_assert!(seen.insert(&scored.product_id), "{} twice", scored.product_id);
            prop_assert!(scored.score.is_finite());
            let product = world.products.iter().find(|product| product.product_id == scored.product_id);
            let product = product.expect("a product of the shop");
            prop_assert!(product.in_stock);
            for rule in world.merchandising.active(&page.segment_id, world.context.as_of) {
                let blocked = matches!(&rule.kind, RuleKind::Block { target } if target.matches(product));
                prop_assert!(!blocked, "{} is blocked by {}", product.product_id, rule.id);
            }
        }
    }
    prop_assert_eq!(world.check(page), []);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mer_1_every_page_obeys_every_rule_or_there_is_no_page(
        world in shop_with(any_rule().boxed(), 5),
        judged in any_page(),
    ) {
        for page in [world.fuse(&judged), world.ranker_page()].into_iter().flatten() {
            assert_sound(&world, &page)?;
        }
    }

    #[test]
    fn mer_1_rules_that_only_take_away_never_stop_the_night(
        world in shop_with(any_upper_rule().boxed(), 4),
        judged in any_page(),
    ) {
        for made in [world.fuse(&judged), world.ranker_page()] {
            match made {
                Ok(page) => assert_sound(&world, &page)?,
                Err(error) => prop_assert!(matches!(error, FuseError::NothingToShow { .. }), "{error}"),
            }
        }
    }

    /// A demand for an aisle that has the products is always met.
    #[test]
    fn mer_1_a_lower_bound_on_a_stocked_aisle_is_met(
        mut world in any_shop(),
        judged in any_page(),
        name in select(AISLES),
        scope in select(vec![QuotaScope::Products, QuotaScope::Placements]),
    ) {
        world.merchandising.campaigns.clear();
        let enough = world.merchandising.page.min_products;
        world.settings.max_per_type = enough;
        world.settings.never_featured_tags.clear();
        world.products.iter_mut().for_each(|product| product.tags.clear());
        let stock = world.products.iter().filter(|product| product.aisle == name && product.in_stock).count();
        prop_assume!(stock >= enough);
        world.rule("demand", RuleKind::Quota { target: aisle(name), scope, min: Some(1), max: None });
        let page = world.fuse(&judged);
        prop_assert!(page.is_ok(), "{}", page.unwrap_err());
    }

    #[test]
    fn the_order_of_hits_and_products_does_not_matter(
        world in shop_with(any_rule().boxed(), 3),
        judged in any_page(),
    ) {
        let mut other = world.clone();
        other.products.reverse();
        let mut turned = judged.clone();
        turned.placements.iter_mut().for_each(|placement| placement.products.reverse());
        prop_assert_eq!(world.fuse(&judged), other.fuse(&turned));
    }

    /// On a page of several placements it may move to another one, which stands lower.
    #[test]
    fn boosting_a_product_keeps_it_on_the_page_and_never_lowers_it_in_a_placement(
        mut world in any_shop(),
        judged in any_page(),
        n in 0usize..60,
        factor in 1.0f32..10.0,
    ) {
        world.merchandising.campaigns.clear();
        let boosted = id(&format!("p{n:02}"));
        let position = |world: &World| {
            let page = world.fuse(&judged).ok()?;
            let within = |products: &[endcap::domain::stage::ScoredProduct]| {
                products.iter().position(|product| product.product_id == boosted)
            };
            let places = page.placements.iter().enumerate();
            places.filter_map(|(at, placement)| Some((at, within(&placement.products)?))).next()
        };
        let mut with_rule = world.clone();
        with_rule.rule("boost", RuleKind::Boost { target: Target::Product(boosted.clone()), factor });
        if let Some(before) = position(&world) {
            let after = position(&with_rule).expect("a boosted product stays on the page");
            let alone = world.merchandising.page.placements == 1;
            prop_assert!(!alone || after <= before, "{before:?} became {after:?}");
        }
    }
}
