//! `merchandising.toml`: every rule, and everything that can be wrong with one.

use endcap::domain::merchandising::{
    Merchandising, Objective, PageShape, PriceRange, QuotaScope, RuleKind, Target,
};
use endcap::domain::{Catalog, ProductId, SegmentContext, SegmentId};
use endcap::ingest::{self, IngestError, Mistake};

use super::{assert_says, product, segment};

fn shop() -> Catalog {
    let mut wine = product("w1", "Red wine");
    (wine.aisle, wine.product_type) = ("Wine".into(), "Red wine".into());
    wine.tags = ["alcohol".to_owned()].into();
    wine.brand = Some("Oak".into());
    Catalog::new(vec![product("p1", "Cookies"), product("p2", "More cookies"), wine])
}

fn segments() -> Vec<SegmentContext> {
    ["seg-001", "seg-002"].map(segment).into()
}

fn read(text: &str) -> Result<Merchandising, IngestError> {
    ingest::merchandising(text, "merchandising.toml", &shop(), &segments())
}

fn refused(text: &str) -> String {
    read(text).expect_err("refused").to_string()
}

#[test]
fn an_empty_file_of_rules_is_the_default_page() {
    let read = read("").expect("merchandising");
    assert_eq!(read.page, PageShape::default());
    assert_eq!((read.objective, read.rules.len()), (Objective::Engagement.into(), 0));
}

#[test]
fn every_kind_of_rule_is_read() {
    let read = read(
        r#"
        objective = "basket-building"
        known_tags = ["tobacco"]
        page = { placements = 4, products_per_placement = 10, min_products = 2 }
        [[campaign]]
        name = "Sweet week"
        from = 2017-11-06
        to = "2017-11-26"
        feature = ["Cookies", "Red wine", "p2"]
        position = 1
        [[rule]]
        id = "pin"
        pin = { product = "p1", position = 4 }
        segments = ["seg-002"]
        [[rule]]
        id = "boost"
        boost = { aisle = "Cookies", factor = 1.5 }
        [[rule]]
        id = "bury"
        bury = { private_label = true, factor = 0.25 }
        [[rule]]
        id = "block"
        block = { type = "Red wine" }
        [[rule]]
        id = "quota"
        quota = { tag = "snack", scope = "placements", max = 1 }
        [[rule]]
        id = "tags"
        forbid_tags = ["alcohol", "tobacco"]
        [[rule]]
        id = "words"
        banned_phrases = ["half price"]
        sentence = "no discount claims in titles"
        [[rule]]
        id = "first"
        campaign_first = true
        "#,
    )
    .expect("merchandising");
    assert_eq!((read.objective.main(), read.page.placements), (Objective::BasketBuilding, 4));
    let campaign = &read.campaigns[0];
    assert_eq!(campaign.position, Some(0), "1-based in the file, 0-based in the domain");
    assert_eq!(campaign.reach.window.to, Some("2017-11-26".parse().expect("date")));
    let id = |id: &str| ProductId::parse(id).expect("id");
    let feature =
        [Target::Aisle("Cookies".into()), Target::Type("Red wine".into()), Target::Product(id("p2"))];
    assert_eq!(campaign.feature, feature);
    let kinds: Vec<_> = read.rules.iter().map(|rule| rule.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            RuleKind::Pin { product: id("p1"), position: 3 },
            RuleKind::Boost { target: Target::Aisle("Cookies".into()), factor: 1.5 },
            RuleKind::Bury { target: Target::PrivateLabel, factor: 0.25 },
            RuleKind::Block { target: Target::Type("Red wine".into()) },
            RuleKind::Quota {
                target: Target::Tag("snack".into()),
                scope: QuotaScope::Placements,
                min: None,
                max: Some(1)
            },
            RuleKind::ForbidTags { tags: vec!["alcohol".into(), "tobacco".into()] },
            RuleKind::BannedPhrases { phrases: vec!["half price".into()] },
            RuleKind::CampaignFirst,
        ]
    );
    assert_eq!(read.rules[0].reach.segments, Some([SegmentId::parse("seg-002").expect("id")].into()));
    assert_eq!(read.rules[6].sentence().as_deref(), Some("no discount claims in titles"));
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    for (rule, kind, suggestion) in [
        (r#"block = { aisle = "Cokies" }"#, "no aisle \"Cokies\"", "\"Cookies\""),
        (r#"block = { type = "red wine" }"#, "no product type \"red wine\"", "\"Red wine\""),
        (r#"forbid_tags = ["alchohol"]"#, "no tag \"alchohol\"", "\"alcohol\""),
        (r#"pin = { product = "p11", position = 1 }"#, "no product \"p11\"", "\"p1\""),
        ("campaign_first = true\nsegments = [\"seg-01\"]", "no segment \"seg-01\"", "\"seg-001\""),
    ] {
        let error = refused(&format!("[[rule]]\nid = \"mine\"\n{rule}"));
        assert_says(&error, &["merchandising.toml", "rule \"mine\"", kind, "did you mean", suggestion]);
    }
    let error = refused("[[campaign]]\nname = \"c\"\nfeature = [\"Cookie\"]");
    assert_says(
        &error,
        &["campaign \"c\"", "no aisle, product type, brand or product \"Cookie\"", "\"Cookies\""],
    );
}

#[test]
fn syntax_errors_and_unknown_keys_name_the_line() {
    assert_says(&refused("[page]\nplacement = 6"), &["line 2", "placement", "expected one of"]);
    assert_says(&refused("objective = \"sales\""), &["line 1", "sales"]);
    let error = refused("[[rule]]\nid = \"a\"\nblock = { aisle = \"Cookies\", factor = 2 }");
    assert_says(&error, &["line 3", "factor"]);
    assert_says(
        &refused("[[rule]]\nid = \"a\"\nfrom = \"soon\"\ncampaign_first = true"),
        &["line 3", "soon"],
    );
}

#[test]
fn rules_that_say_nothing_or_too_much_are_refused() {
    for (rule, problem) in [
        ("", "exactly one of pin"),
        ("campaign_first = true\nforbid_tags = [\"alcohol\"]", "exactly one of pin"),
        ("campaign_first = false", "does nothing"),
        ("forbid_tags = []", "forbid_tags is empty"),
        ("banned_phrases = [\"\"]", "blank"),
        ("block = {}", "at least one of product, type"),
        ("block = { private_label = false }", "selects nothing"),
        ("boost = { tag = \"snack\", factor = 1.0 }", "above 1"),
        ("boost = { tag = \"snack\", factor = nan }", "above 1"),
        ("bury = { tag = \"snack\", factor = 0.0 }", "below 1"),
        ("bury = { tag = \"snack\", factor = 1.5 }", "below 1"),
        ("pin = { product = \"p1\", position = 0 }", "its positions are 1 to 6"),
        ("pin = { product = \"p1\", position = 7 }", "its positions are 1 to 6"),
        ("quota = { tag = \"snack\", scope = \"products\" }", "needs min, max or both"),
        (
            "quota = { tag = \"snack\", scope = \"products\", min = 3, max = 2 }",
            "min = 3 is more than max = 2",
        ),
        ("quota = { tag = \"snack\", scope = \"placements\", min = 7 }", "more than the page holds (6)"),
        ("campaign_first = true\nfrom = 2017-12-02\nto = 2017-12-01", "2017-12-02 is after to = 2017-12-01"),
        ("campaign_first = true\nsegments = []", "segments is empty"),
        ("campaign_first = true\nsegments = [\"../x\"]", "segment_id"),
    ] {
        let error = refused(&format!("[[rule]]\nid = \"mine\"\n{rule}"));
        assert_says(&error, &["rule \"mine\"", problem]);
    }
    assert_says(&refused("[page]\nplacements = 0"), &["[page]", "placements = 0 must be within 1..=12"]);
    assert_says(&refused("[page]\nmin_products = 9"), &["min_products = 9 must be within 1..=8"]);
}

#[test]
fn rules_and_campaigns_have_one_name_each() {
    let rule = "[[rule]]\nid = \"a\"\ncampaign_first = true\n";
    assert_says(&refused(&rule.repeat(2)), &["rule \"a\"", "ids are unique"]);
    let campaign = "[[campaign]]\nname = \"c\"\nfeature = [\"Cookies\"]\n";
    assert_says(&refused(&campaign.repeat(2)), &["campaign \"c\"", "another campaign"]);
}

#[test]
fn a_rule_for_a_segment_holds_on_a_night_without_segments() {
    let text = "[[rule]]\nid = \"a\"\ncampaign_first = true\nsegments = [\"seg-001\"]";
    assert!(ingest::merchandising(text, "m.toml", &shop(), &[]).is_ok());
}

fn mistakes(text: &str) -> Vec<Mistake> {
    match read(text) {
        Err(IngestError::Merchandising { mistakes, .. }) => mistakes,
        other => panic!("not refused: {other:?}"),
    }
}

/// Forty lines, one mistake on each but the headings.
const FORTY_MISTAKES: &str = r#"objectiv = "engagement"
objective = "sales"
known_tags = [7]
[page]
placements = 13
products_per_placement = 0
min_product = 2
[audiences.owls]
evening_share = { min = 1.5 }
evning_share = { min = 0.5 }
distinctive_aisle = "Cokies"
segments = ["seg-01"]
[audiences.nobody]
[[objective_window]]
objective = { sesonal = 1 }
form = 2017-11-20
[[campaign]]
name = ""
feature = ["Cookie"]
position = 7
[[campaign]]
name = "Sweet week"
feature = []
to = "soon"
from = 12
[[rule]]
id = "pin"
pin = { product = "p11", position = 0 }
segments = []
[[rule]]
id = "boost"
boost = { aisle = "Cokies", factor = 1.0 }
audience = "owl"
[[rule]]
id = "bury"
bury = { brand = "Oat", price = { min = -1 } }
[[rule]]
id = "block"
block = { isle = "Wine" }
[[rule]]
id = "block"
only = { department = "Grocer", type = ["Red wine", "Wite wine"] }
[[rule]]
id = "quota"
quota = { tag = "alchohol", scope = "rows", min = 3, max = 2 }
[[rule]]
id = "tags"
forbid_tags = []
[[rule]]
id = "words"
banned_phrases = [""]
sentence = 3
[[rule]]
id = "first"
campaign_first = false
from = 2017-12-02
to = 2017-12-01
[[rule]]
campaign_first = 1
block = { private_label = false }
"#;

#[test]
fn forty_mistakes_are_all_listed_at_once_with_their_lines() {
    let found = mistakes(FORTY_MISTAKES);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(found.len() >= 40, "{}:\n{text}", found.len());
    let wrong = |line: usize| found.iter().filter(|one| one.line == line).count();
    let expected = [
        (1, 1),
        (2, 1),
        (3, 1),
        (5, 1),
        (6, 1),
        (7, 1),
        (9, 1),
        (10, 1),
        (11, 1),
        (12, 1),
        (15, 1),
        (16, 1),
        (18, 1),
        (19, 1),
        (20, 1),
        (23, 1),
        (24, 1),
        (25, 1),
        (28, 2),
        (29, 1),
        (32, 2),
        (33, 1),
        (36, 3),
        (39, 2),
        (42, 2),
        (45, 3),
        (48, 1),
        (51, 1),
        (52, 1),
        (55, 1),
        (59, 1),
        (60, 1),
    ];
    for (line, count) in expected {
        assert_eq!(wrong(line), count, "line {line} of:\n{text}");
    }
    for said in [
        "line 1, column 1: there is no key \"objectiv\"; did you mean \"objective\"?",
        "line 12, column 13: audience \"owls\": there is no segment \"seg-01\"; did you mean \"seg-001\"?",
        "line 15, column 25: objective_window 1: there is no objective \"sesonal\"; did you mean \"seasonal\"?",
        "line 33, column 12: rule \"boost\": there is no audience \"owl\"; did you mean \"owls\"?",
        "line 36, column 18: rule \"bury\": there is no brand \"Oat\"; did you mean \"Oak\"?",
        "line 39, column 11: rule \"block\": there is no key \"isle\"; did you mean \"aisle\"?",
        "line 42, column 23: rule \"block\": there is no department \"Grocer\"; did you mean \"Grocery\"?",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let error = refused(FORTY_MISTAKES);
    assert!(
        error.starts_with(&format!("merchandising.toml has {} mistakes:\n  line 1", found.len())),
        "{error}"
    );
}

#[test]
fn broken_toml_is_a_mistake_among_others() {
    let found = mistakes("[page]\nplacements = six\n[[rule]]\nid = \"a\"\nblock = { aisle = \"Cokies\" }\n");
    assert!(found.iter().any(|one| one.line == 2 && one.problem.contains("not TOML")), "{found:?}");
    assert!(found.iter().any(|one| one.line == 5 && one.problem.contains("Cokies")), "{found:?}");
}

#[test]
fn keys_narrow_and_lists_widen_what_a_rule_speaks_of() {
    let rule = |body: &str| {
        let read = read(&format!("[[rule]]\nid = \"r\"\n{body}")).expect("merchandising");
        read.rules[0].kind.clone()
    };
    let cookies = || Target::Aisle("Cookies".into());
    assert_eq!(
        rule(r#"block = { aisle = ["Cookies", "Wine"], brand = "Oak", price = { min = 1, max = 9.99 } }"#),
        RuleKind::Block {
            target: Target::All(vec![
                Target::Any(vec![cookies(), Target::Aisle("Wine".into())]),
                Target::Brand("Oak".into()),
                Target::Price(PriceRange { min: Some(100), max: Some(999) }),
            ])
        }
    );
    assert_eq!(
        rule(r#"only = { department = ["Grocery"] }"#),
        RuleKind::Only { target: Target::Department("Grocery".into()) }
    );
    let campaign =
        "[[campaign]]\nname = \"c\"\nfeature = [\"Oak\", { aisle = \"Wine\", price = { max = 10 } }]";
    let read = read(campaign).expect("merchandising");
    assert_eq!(read.campaigns[0].feature[0], Target::Brand("Oak".into()));
    let context = read.as_context(&segments()[0].segment_id, "2017-11-20".parse().expect("date"));
    assert_eq!(context.campaign.expect("campaign").feature, ["Oak", "Wine"]);
}

#[test]
fn audiences_are_segments_by_what_they_are_like() {
    let mut contexts = segments();
    contexts[1].shopping.evening_share = 0.6;
    contexts[1].distinctive[0].aisle = "Wine".into();
    contexts[1].staples = vec!["Red wine".into()];
    let reached = |body: &str| -> Vec<String> {
        let text = format!(
            "[audiences.owls]\nevening_share = {{ min = 0.5, max = 0.7 }}\ndistinctive_aisle = [\"Cookies\", \"Wine\"]\n\
             [[rule]]\nid = \"r\"\ncampaign_first = true\n{body}"
        );
        let read = ingest::merchandising(&text, "m.toml", &shop(), &contexts).expect("merchandising");
        read.rules[0].reach.segments.iter().flatten().map(ToString::to_string).collect()
    };
    assert_eq!(reached("audience = \"owls\""), ["seg-002"]);
    assert_eq!(reached("audience = { evening_share = { max = 0.5 } }"), ["seg-001"]);
    assert_eq!(reached("audience = { staple = \"Red wine\", basket_value = { min = 20 } }"), ["seg-002"]);
    assert_eq!(reached("audience = { households = { min = 29 } }"), ["seg-001", "seg-002"]);
    assert_eq!(
        reached("audience = { segments = [\"seg-001\"], staple = \"Red wine\" }"),
        Vec::<String>::new()
    );
    let both = "[[rule]]\nid = \"r\"\ncampaign_first = true\nsegments = [\"seg-001\"]\naudience = { households = { min = 1 } }";
    assert_says(&refused(both), &["segments or audience, not both"]);
}

#[test]
fn objectives_have_days_and_weights() {
    let text = "objective = { engagement = 3, discovery = 1 }\n[[objective_window]]\nobjective = \"seasonal\"\n\
        from = 2017-11-20\nto = 2017-12-25\nsegments = [\"seg-001\"]\n";
    let read = read(text).expect("merchandising");
    let goal = |segment: usize, date: &str| {
        read.goal(&segments()[segment].segment_id, date.parse().expect("date")).to_string()
    };
    let mixed = "engagement 75 %, discovery 25 %";
    assert_eq!((goal(0, "2017-11-19").as_str(), goal(0, "2017-11-20").as_str()), (mixed, "seasonal"));
    assert_eq!((goal(0, "2017-12-26").as_str(), goal(1, "2017-12-25").as_str()), (mixed, mixed));
    assert_says(&refused("objective = { discovery = 0 }"), &["line 1", "at least one above 0"]);
}
