//! Conflicts and warnings before the night, with their days and segments; and which rules fire.

use endcap::domain::SegmentId;
use endcap::domain::merchandising::*;
use endcap::fuse::{Code, Ground, Survey, rehearse, survey, survey_on};

use super::shop::*;

fn quota(target: Target, scope: QuotaScope, min: Option<usize>, max: Option<usize>) -> RuleKind {
    RuleKind::Quota { target, scope, min, max }
}

fn pin(product: &str, position: usize) -> RuleKind {
    RuleKind::Pin { product: id(product), position }
}

fn products(target: Target, min: usize) -> RuleKind {
    quota(target, QuotaScope::Products, Some(min), None)
}

fn segments() -> Vec<SegmentId> {
    ["seg-1", "seg-2", "seg-3"].map(segment).into()
}

fn on<T>(world: &World, ask: impl Fn(&Ground<'_>) -> T) -> T {
    let (catalog, segments) = (world.catalog(), segments());
    let (merchandising, as_of) = (&world.merchandising, world.context.as_of);
    ask(&Ground { catalog: &catalog, merchandising, segments: &segments, as_of })
}

fn surveyed(world: &World) -> Survey {
    on(world, survey)
}

/// The codes and rules of the conflicts of `kinds`, named a, b, c …
fn conflicts(kinds: Vec<RuleKind>, change: impl Fn(&mut World)) -> Vec<(Code, String)> {
    let mut world = World::new();
    for (kind, name) in kinds.into_iter().zip(["a", "b", "c"]) {
        world.rule(name, kind);
    }
    change(&mut world);
    surveyed(&world).conflicts.into_iter().map(|found| (found.code, found.rules.join(" "))).collect()
}

/// MER-1: four placements of two to four products, twelve products an aisle.
#[test]
fn every_kind_of_conflict_names_its_rules() {
    let placements = |target, min| quota(target, QuotaScope::Placements, Some(min), None);
    let at_most = |target, max| quota(target, QuotaScope::Products, None, Some(max));
    let block = |target| RuleKind::Block { target };
    let fruit_one = || Target::Type("Fruit one".into());
    let (fruit, bread) = (|| aisle("Fruit"), || aisle("Bakery"));
    let cases: Vec<(Vec<RuleKind>, Code, &str)> = vec![
        (vec![pin("fruit-01", 0), pin("fruit-02", 0)], Code::PinClash, "a b"),
        (vec![pin("fruit-01", 0), pin("fruit-01", 1)], Code::PinClash, "a b"),
        (vec![pin("truffles", 0)], Code::PinUnknown, "a"),
        (vec![pin("fruit-01", 0), block(fruit())], Code::PinForbidden, "a b"),
        (vec![pin("fruit-01", 0), RuleKind::Only { target: bread() }], Code::PinForbidden, "a b"),
        (
            vec![pin("fruit-01", 0), RuleKind::BannedPhrases { phrases: vec!["Product fruit".into()] }],
            Code::PinForbidden,
            "a b",
        ),
        (vec![RuleKind::Only { target: fruit_one() }, pin("fruit-01", 3)], Code::PinOffThePage, "b a"),
        (vec![pin("fruit-01", 0), pin("fruit-02", 1), at_most(fruit(), 1)], Code::PinsOverQuota, "a b c"),
        (vec![products(fruit(), 13)], Code::TooFewProducts, "a"),
        (vec![placements(fruit(), 1), block(fruit())], Code::TooFewProducts, "a b"),
        (vec![products(fruit_one(), 3), at_most(fruit(), 2)], Code::QuotaClash, "a b"),
        (vec![placements(fruit(), 2), at_most(fruit(), 3)], Code::QuotaClash, "a b"),
        (
            vec![placements(fruit_one(), 2), quota(fruit(), QuotaScope::Placements, None, Some(1))],
            Code::QuotaClash,
            "a b",
        ),
        (
            vec![products(fruit(), 9), quota(fruit(), QuotaScope::Placements, None, Some(0))],
            Code::QuotaClash,
            "a b",
        ),
        (vec![products(fruit(), 9), products(bread(), 8)], Code::PageTooSmall, "a b"),
        (vec![placements(fruit(), 3), placements(bread(), 2)], Code::PageTooSmall, "a b"),
        (vec![placements(fruit(), 3), products(bread(), 8)], Code::PageTooSmall, "a b"),
        (vec![RuleKind::Only { target: Target::Product(id("fruit-01")) }], Code::NothingToShow, "a"),
    ];
    for (kinds, code, rules) in cases {
        let found = conflicts(kinds.clone(), |_| ());
        assert!(found.contains(&(code, rules.to_owned())), "{kinds:?}: {found:?}");
    }
}

#[test]
fn rules_that_can_hold_together_are_no_conflict() {
    let fruit = || aisle("Fruit");
    for kinds in [
        vec![pin("fruit-01", 0), pin("fruit-02", 1), quota(fruit(), QuotaScope::Products, Some(2), Some(2))],
        vec![products(fruit(), 8), products(aisle("Bakery"), 8)],
        vec![products(fruit(), 8), quota(fruit(), QuotaScope::Placements, None, Some(0))],
        vec![products(Target::Type("Fruit one".into()), 4), products(fruit(), 12)],
    ] {
        assert_eq!(conflicts(kinds.clone(), |_| ()), [], "{kinds:?}");
    }
}

#[test]
fn what_stands_against_the_campaign_is_a_conflict() {
    let cheese = |world: &mut World| world.campaign("Cheese week", vec![aisle("Cheese")], None);
    let banned = RuleKind::BannedPhrases { phrases: vec!["week".into()] };
    assert_eq!(conflicts(vec![banned], cheese), [(Code::CampaignName, "a".into())]);

    let first = || vec![RuleKind::CampaignFirst, pin("fruit-01", 0)];
    assert_eq!(conflicts(first(), cheese), [], "three of four are the campaign's");
    let narrow = |world: &mut World| {
        cheese(world);
        world.merchandising.page.products_per_placement = 2;
    };
    assert_eq!(conflicts(first(), narrow), [(Code::PinBeforeCampaign, "a b".into())]);

    let block = RuleKind::Block { target: aisle("Cheese") };
    assert_eq!(
        conflicts(vec![RuleKind::CampaignFirst, block], cheese),
        [(Code::TooFewProducts, "a b".into())]
    );
}

#[test]
fn a_conflict_names_the_days_and_segments_where_its_rules_meet() {
    let mut world = World::with(pin("fruit-01", 0));
    world.merchandising.rules[0].reach.window.to = Some(day("2017-11-20"));
    let other = world.rule("other", pin("fruit-02", 0));
    other.reach.window.from = Some(day("2017-11-15"));
    other.reach.segments = Some([segment("seg-2")].into());
    // Cuts the days they share in two.
    world.rule("more", RuleKind::Boost { target: aisle("Wine"), factor: 2.0 }).reach.window.from =
        Some(day("2017-11-18"));
    let found = surveyed(&world);
    assert_eq!(
        found.conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "rule \"the-rule\", rule \"other\": they pin two products to position 1 [2017-11-15 to 2017-11-20; seg-2]"
        ]
    );
    let on_the = |date: &str| on(&world, |ground| survey_on(ground, day(date)));
    assert_eq!(
        (on_the("2017-11-13").conflicts.len(), on_the("2017-11-13").warnings.len()),
        (0, 1),
        "it lies ahead"
    );
    assert_eq!(on_the("2017-11-20").conflicts.len(), 1);
    assert_eq!(on_the("2017-11-21"), Survey::default());
    world.merchandising.rules[0].reach.segments = Some([segment("seg-1")].into());
    assert_eq!(surveyed(&world).conflicts, []);
}

#[test]
fn tonights_stock_is_tonights_conflict_and_a_later_days_warning() {
    let mut world = World::with(pin("fruit-01", 0));
    world.change("fruit-01", |product| product.in_stock = false);
    world.merchandising.rules[0].reach.window =
        Window { from: Some(day("2017-11-10")), to: Some(day("2017-11-13")) };
    assert_eq!(surveyed(&world).conflicts[0].code, Code::PinOutOfStock);
    world.merchandising.rules[0].reach.window = Window { from: Some(day("2017-11-14")), to: None };
    let found = surveyed(&world);
    assert_eq!((found.conflicts.len(), found.warnings[0].code), (0, Code::PinOutOfStock));
}

#[test]
fn rules_that_do_nothing_are_warnings() {
    let mut world = World::new();
    let boost = |target| RuleKind::Boost { target, factor: 2.0 };
    world.rule("nothing", boost(Target::Tag("organic".into())));
    world.rule("nobody", boost(aisle("Wine"))).reach =
        Reach { segments: Some(Default::default()), audience: Some("Night owls".into()), ..Reach::default() };
    world.rule("up", boost(aisle("Snacks")));
    world.rule("down", RuleKind::Bury { target: aisle("Snacks"), factor: 0.5 });
    world.rule("in-vain", boost(Target::Type("Bakery one".into())));
    world.rule("no-bakery", RuleKind::Block { target: aisle("Bakery") });
    world.rule("first", RuleKind::CampaignFirst).reach.window.from = Some(day("2018-01-01"));
    world.campaign("Cheese week", vec![aisle("Cheese")], None);
    world.campaign("Fruit week", vec![aisle("Fruit")], None);
    for name in ["Night owls", "Unused"] {
        let (audience, segments) = (Audience::default(), Default::default());
        world.merchandising.audiences.push(NamedAudience { name: name.into(), audience, segments });
    }
    let found = surveyed(&world);
    assert_eq!(found.conflicts, []);
    let told: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "rule \"nothing\": no product in stock matches organic products",
            "rule \"nobody\": no segment is of its audience \"Night owls\"",
            "campaign \"Cheese week\", campaign \"Fruit week\": the first is featured; the second is listed after it \
             and has to wait [2017-11-01 to 2017-11-30; every segment]",
            "rule \"first\": no campaign is active on its days for its segments",
            "rule \"up\", rule \"down\": the first boosts what the second buries; their factors multiply [always; every \
             segment]",
            "rule \"in-vain\", rule \"no-bakery\": none of its products may be shown; the others keep them off the page \
             [always; every segment]",
            "audience \"Unused\" is declared, and nothing names it",
        ]
    );
}

#[test]
fn a_night_without_segments_still_checks_the_rules() {
    let mut world = World::with(pin("fruit-01", 0));
    world.rule("other", pin("fruit-02", 0)).reach.segments = Some([segment("seg-9")].into());
    let (catalog, as_of) = (world.catalog(), world.context.as_of);
    let merchandising = &world.merchandising;
    let found = survey(&Ground { catalog: &catalog, merchandising, segments: &[], as_of });
    assert_eq!(found.conflicts[0].segments, [segment("seg-9")]);
}

#[test]
fn a_rehearsal_says_which_rules_fire_and_why_not() {
    let mut world = World::new();
    world.tag("wine-01", "alcohol");
    world.rule("dry", RuleKind::ForbidTags { tags: vec!["alcohol".into()] });
    world.rule("first", RuleKind::CampaignFirst);
    world.rule("later", RuleKind::Block { target: aisle("Wine") }).reach.window.from =
        Some(day("2017-12-01"));
    world.rule("over", RuleKind::Block { target: aisle("Wine") }).reach.window.to = Some(day("2017-11-01"));
    world.rule("some", RuleKind::Boost { target: aisle("Fruit"), factor: 2.0 }).reach = Reach {
        segments: Some([segment("seg-2")].into()),
        audience: Some("Owls".into()),
        ..Reach::default()
    };
    world.rule("empty", RuleKind::Boost { target: Target::Brand("Oak".into()), factor: 2.0 });
    world.campaign("Cheese week", vec![aisle("Cheese")], None);
    world.merchandising.campaigns[0].reach.segments = Some([segment("seg-1"), segment("seg-2")].into());
    world.merchandising.goals.push(DatedGoal {
        goal: Objective::Seasonal.into(),
        reach: Reach { segments: Some([segment("seg-3")].into()), ..Reach::default() },
    });
    let told = |only: Option<&SegmentId>| on(&world, |ground| rehearse(ground, day("2017-11-13"), only));
    let all = told(None);
    let shares = |shares: &[endcap::fuse::Share]| {
        shares.iter().map(|share| format!("{} {}", share.name, share.segments)).collect::<Vec<_>>()
    };
    assert_eq!(shares(&all.objectives), ["engagement 2", "seasonal 1"]);
    assert_eq!(shares(&all.campaigns), ["Cheese week 2"]);
    let rows: Vec<(&str, bool, usize, Option<usize>, &str)> = all
        .rules
        .iter()
        .map(|r| (r.rule.as_str(), r.fires, r.segments, r.products, r.why_not.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        rows,
        [
            ("dry", true, 3, Some(1), ""),
            ("first", true, 2, None, ""),
            ("later", false, 0, Some(12), "it begins on 2017-12-01"),
            ("over", false, 0, Some(12), "it ended on 2017-11-01"),
            ("some", true, 1, Some(12), ""),
            ("empty", false, 3, Some(0), "no product in stock matches"),
        ]
    );
    let one = told(Some(&segment("seg-3")));
    assert_eq!(one.rules[1].why_not.as_deref(), Some("no campaign is active"));
    assert_eq!(one.rules[4].why_not.as_deref(), Some("seg-3 is not of its audience \"Owls\""));
}
