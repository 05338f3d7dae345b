//! `merchandising.toml`: every rule, and everything that can be wrong with one.

use endcap::domain::merchandising::{Merchandising, Objective, PageShape, QuotaScope, RuleKind, Target};
use endcap::domain::{Catalog, ProductId, SegmentContext, SegmentId};
use endcap::ingest::{self, IngestError};

use super::{assert_says, product, segment};

fn shop() -> Catalog {
    let mut wine = product("w1", "Red wine");
    (wine.aisle, wine.product_type) = ("Wine".into(), "Red wine".into());
    wine.tags = ["alcohol".to_owned()].into();
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
