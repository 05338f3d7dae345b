//! The judge of the students, the figures, and the controls: the teacher's own pages are good, a stranger's are not.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::NaiveDate;
use endcap::aiqa::{Settings, TitlePolicy, Vocabulary};
use endcap::datasets::complete_journey::Taxonomy;
use endcap::domain::SegmentContext;
use endcap::domain::stage::PlacementDesign;
use endcap::domain::training::{GradedCandidate, KeywordExample, Split, ThemeExample};
use endcap::embed::Memory;
use endcap::eval::{
    Answers, Bootstrap, Cases, Judge, PageFlaw, PageVerdict, ProductType, Reason, Rubric, Shelf, System,
    ThemeVerdict, evaluate, keyword_precision, markdown, terminal,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{embed, support};

/// What the rubric works with: the demonstration taxonomy and the real encoder.
struct Bench {
    policy: TitlePolicy,
    shelf: Shelf,
    memory: Memory,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let taxonomy = Taxonomy::committed().expect("taxonomy");
    let policy = TitlePolicy::new(&Settings::default(), Vocabulary::new(taxonomy.words())).expect("policy");
    let memory = Memory::new(embed::encoder());
    let types =
        taxonomy.rows.into_iter().map(|row| ProductType { name: row.name, aisle: row.aisle, tags: row.tags });
    let shelf = Shelf::new(types, &memory).expect("shelf");
    Bench { policy, shelf, memory }
});

impl Bench {
    fn rubric(&self) -> Rubric<'_> {
        Rubric::new(&self.policy, &self.shelf, &self.memory)
    }
}

fn context(as_of: &str, merchandising: Value) -> SegmentContext {
    let distinctive = ["Asparagus", "Gala apples", "Ground coffee", "Frozen chicken wings", "Dry rice"]
        .map(|name| json!({"name": name, "aisle": "any", "households": 0.3, "lift": 3.0}));
    let shopping = json!({
        "visits_per_week": 1.0, "basket_value": 30.0, "private_label_share": 0.2,
        "on_promotion_share": 0.2, "evening_share": 0.3, "weekend_share": 0.3,
    });
    serde_json::from_value(json!({
        "segment_id": "seg-001", "as_of": as_of, "households": 20, "demographics": {"age": "45-54"},
        "shopping": shopping, "distinctive": distinctive,
        "staples": ["White milk", "Bananas", "White bread", "Shredded cheese"],
        "rising": ["Canned corn", "Canned green beans"], "merchandising": merchandising,
    }))
    .expect("context")
}

fn plain() -> SegmentContext {
    context("2017-10-16", json!({"objective": "engagement", "campaign": null, "rules": []}))
}

fn ruled(rules: &[&str]) -> SegmentContext {
    let campaign = json!({"name": "Breakfast week", "feature": ["Cereal", "Eggs", "Juice"]});
    context("2017-10-16", json!({"objective": "engagement", "campaign": campaign, "rules": rules}))
}

fn theme(title: &str, concepts: &[&str]) -> PlacementDesign {
    PlacementDesign {
        title: title.into(),
        intent: "because".into(),
        concepts: concepts.iter().map(|concept| (*concept).to_owned()).collect(),
    }
}

fn judged(context: &SegmentContext, page: &[PlacementDesign]) -> PageVerdict {
    BENCH.rubric().judge(context, page).expect("verdicts")
}

#[track_caller]
fn assert_reasons(context: &SegmentContext, theme: PlacementDesign, expected: &[Reason]) -> ThemeVerdict {
    let verdict = judged(context, std::slice::from_ref(&theme)).themes.remove(0);
    assert_eq!(verdict.reasons, expected.iter().copied().collect::<BTreeSet<_>>(), "{theme:?}");
    verdict
}

/// P-K@5 of the recorded choices in the fixture, computed by a few lines of Python from their grades.
const TEACHER_P_K5: f64 = 0.99;

const SUPPER: [&str; 4] = ["asparagus", "dry rice", "shredded cheese", "butter"];

#[test]
fn a_good_theme_is_accepted() {
    let verdict = assert_reasons(&plain(), theme("Roasted asparagus with cheesy rice", &SUPPER), &[]);
    assert!(verdict.accepted() && verdict.violations.is_empty());
}

#[test]
fn the_title_must_pass_the_policy() {
    for (title, violation) in [
        ("Save big on asparagus and rice", "title price-claim"),
        ("Easter asparagus and rice", "title off-season"),
    ] {
        let verdict = assert_reasons(&plain(), theme(title, &SUPPER), &[Reason::Policy]);
        assert!(verdict.violations.contains(violation), "{title}: {:?}", verdict.violations);
    }
}

#[test]
fn the_form_is_three_to_six_concepts() {
    let short = theme("Roasted asparagus with rice", &["asparagus", "dry rice"]);
    let verdict = assert_reasons(&plain(), short, &[Reason::Malformed, Reason::Irrelevant]);
    assert_eq!(verdict.violations, BTreeSet::from(["form too-few-concepts".to_owned()]));
    let seven = ["asparagus", "dry rice", "shredded cheese", "butter", "salt", "black pepper", "garlic"];
    assert_reasons(&plain(), theme("Roasted asparagus with rice", &seven), &[Reason::Malformed]);
}

#[test]
fn a_concept_may_not_break_a_rule() {
    let concepts = ["asparagus", "dry rice", "shredded cheese", "white wine"];
    let risotto = || theme("Asparagus risotto night", &concepts);
    assert_reasons(&plain(), risotto(), &[]);
    let verdict = assert_reasons(&ruled(&["no alcohol"]), risotto(), &[Reason::Rules]);
    assert_eq!(verdict.violations, BTreeSet::from(["concept restricted-alcohol".to_owned()]));
}

#[test]
fn three_concepts_must_serve_the_segment_the_campaign_or_the_season() {
    let pets = || theme("Dog treats and cat litter", &["dog treats", "cat litter", "dry dog food"]);
    assert_reasons(&plain(), pets(), &[Reason::Irrelevant]);
    let campaign = json!({"name": "Pet days", "feature": ["Pet food", "Pet supplies"]});
    let pet_days = context("2017-10-16", json!({"objective": "seasonal", "campaign": campaign, "rules": []}));
    assert_reasons(&pet_days, pets(), &[]);

    let party = || {
        theme(
            "Halloween candy and costumes",
            &["halloween candy", "halloween costumes", "halloween decorations"],
        )
    };
    assert_reasons(&plain(), party(), &[]);
    let july = context("2017-07-17", json!({"objective": "engagement", "campaign": null, "rules": []}));
    let verdict = judged(&july, &[party()]).themes.remove(0);
    assert!(
        verdict.reasons.is_superset(&BTreeSet::from([Reason::Policy, Reason::Irrelevant])),
        "{verdict:?}"
    );
}

#[test]
fn a_title_must_name_the_theme_s_own_goods() {
    for title in ["Fresh vegetables", "Chocolate cake by candlelight", "Toothpaste for the week"] {
        assert_reasons(&plain(), theme(title, &SUPPER), &[Reason::Unspecific]);
    }
    let generic = judged(&plain(), &[theme("Everything you love today", &SUPPER)]).themes.remove(0);
    assert_eq!(generic.reasons, BTreeSet::from([Reason::Policy, Reason::Unspecific]));
}

#[test]
fn a_theme_must_differ_from_the_accepted_ones_before_it() {
    let supper = || theme("Roasted asparagus with cheesy rice", &SUPPER);
    let breakfast = || theme("Coffee, bananas and cold milk", &["ground coffee", "bananas", "white milk"]);
    let page = judged(&plain(), &[supper(), breakfast(), supper()]);
    let accepted: Vec<bool> = page.themes.iter().map(ThemeVerdict::accepted).collect();
    assert_eq!(accepted, [true, true, false]);
    assert_eq!(page.themes[2].reasons, BTreeSet::from([Reason::Repeats]));
    // The same goods under another name, and the same name over other goods.
    let renamed = theme("Cheesy rice bowls", &["asparagus", "dry rice", "shredded cheese", "lemons"]);
    assert_eq!(judged(&plain(), &[supper(), renamed]).themes[1].reasons, BTreeSet::from([Reason::Repeats]));
    // What was rejected does not stand in anybody's way.
    let bad = theme("Save big on asparagus and rice", &SUPPER);
    assert!(judged(&plain(), &[bad, supper()]).themes[1].accepted());
}

#[test]
fn page_rules_are_counted_against_the_page() {
    let chips = || theme("Potato chips and pretzels", &["potato chips", "pretzels", "tortilla chips"]);
    let cookies =
        || theme("Sandwich cookies and crackers", &["sandwich cookies", "cheese crackers", "popcorn"]);
    let produce = || theme("Asparagus, apples and bananas", &["asparagus", "gala apples", "bananas"]);
    let cereal =
        || theme("Cereal, eggs and orange juice", &["breakfast cereal", "large eggs", "orange juice"]);
    let flaws = |rule: &str, page: &[PlacementDesign]| judged(&ruled(&[rule]), page).flaws;
    for (rule, good, bad, flaw) in [
        (
            "at most one snack placement",
            vec![chips(), produce()],
            vec![chips(), produce(), cookies()],
            PageFlaw::SeveralSnackPlacements,
        ),
        (
            "at least one fresh produce placement",
            vec![chips(), produce()],
            vec![chips(), cereal()],
            PageFlaw::NoProducePlacement,
        ),
        (
            "feature the campaign first",
            vec![cereal(), chips()],
            vec![chips(), cereal()],
            PageFlaw::CampaignNotFirst,
        ),
    ] {
        assert_eq!(flaws(rule, &good), BTreeSet::new(), "{rule}");
        assert_eq!(flaws(rule, &bad), BTreeSet::from([flaw]), "{rule}");
        assert_eq!(judged(&plain(), &bad).flaws, BTreeSet::new(), "without the rule");
    }
}

#[derive(Deserialize)]
struct Page {
    context: SegmentContext,
    placements: Vec<PlacementDesign>,
}

#[derive(Deserialize)]
struct Choice {
    segment_id: String,
    placement: usize,
    title: String,
    concepts: Vec<String>,
    candidates: Vec<String>,
    grades: Vec<u8>,
    chosen: Vec<String>,
}

/// Lines of a file of `tests/fixtures/eval`: a third of the recorded validation pages, contexts of spring and summer,
/// and the graded choices of those pages.
fn recorded<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    let path = support::project().join("tests/fixtures/eval").join(name);
    let text = std::fs::read_to_string(path).expect("fixture");
    text.lines().map(|line| serde_json::from_str(line).expect("line")).collect()
}

fn theme_example(context: SegmentContext, placements: Vec<PlacementDesign>) -> ThemeExample {
    let (example_id, as_of) = (context.segment_id.to_string(), context.as_of);
    ThemeExample { example_id, as_of, split: Split::Validation, context, persona: String::new(), placements }
}

fn keyword_example(choice: Choice) -> KeywordExample {
    let graded = choice.candidates.into_iter().zip(choice.grades);
    KeywordExample {
        example_id: format!("{}/{}", choice.segment_id, choice.placement),
        as_of: NaiveDate::default(),
        split: Split::Validation,
        title: choice.title,
        concepts: choice.concepts,
        candidates: graded.map(|(text, grade)| GradedCandidate { text, grade }).collect(),
        chosen: choice.chosen,
    }
}

#[test]
fn the_teacher_passes_and_a_stranger_s_page_does_not() {
    let pages: Vec<Page> = recorded("pages.jsonl");
    let themes: Vec<ThemeExample> =
        pages.into_iter().map(|page| theme_example(page.context, page.placements)).collect();
    let keywords: Vec<KeywordExample> = recorded("choices.jsonl").into_iter().map(keyword_example).collect();
    let others: Vec<SegmentContext> = recorded("strangers.jsonl");
    let cases = Cases { themes: &themes, keywords: &keywords, others: &others };
    let answers = [Answers::of_teacher(&cases)];
    let report =
        evaluate(&BENCH.rubric(), &BENCH.memory, &cases, &answers, Bootstrap::default()).expect("report");
    let teacher = &report.systems[0];
    let control = report.control.as_ref().expect("strangers");
    assert!(teacher.p_t5.value >= 0.85 && teacher.p_t6.value >= 0.85, "{teacher:?}");
    assert!(control.p_t5.high < 0.6 * teacher.p_t5.low, "{control:?}");
    assert!(teacher.violation_rate.is_some_and(|rate| rate.value < 0.02), "{teacher:?}");
    let p_k5 = report.p_k5_teacher.expect("choices");
    assert!((p_k5 - TEACHER_P_K5).abs() < 1e-9, "{p_k5}");
    assert_eq!((report.p_t5, report.p_k5, report.p_t5_base), (None, None, None));
}

/// Accepts the themes whose title says so.
struct Obvious;

impl Judge for Obvious {
    fn name(&self) -> &'static str {
        "obvious"
    }

    fn judge(
        &self,
        _: &SegmentContext,
        page: &[PlacementDesign],
    ) -> Result<PageVerdict, endcap::eval::EvalError> {
        let verdict = |theme: &PlacementDesign| match theme.title.as_str() {
            "good" => ThemeVerdict::default(),
            title => ThemeVerdict {
                reasons: BTreeSet::from([Reason::Policy]),
                violations: BTreeSet::from([format!("title {title}")]),
            },
        };
        Ok(PageVerdict { themes: page.iter().map(verdict).collect(), flaws: BTreeSet::new() })
    }
}

fn page_of(titles: &[&str]) -> Vec<PlacementDesign> {
    titles.iter().map(|title| theme(title, &["milk", "bread", "eggs"])).collect()
}

#[test]
fn the_report_adds_up_by_hand() {
    let good = ["good"; 6];
    let themes = [theme_example(plain(), page_of(&good)), theme_example(plain(), page_of(&good))];
    let graded = [("a", 2), ("b", 1), ("c", 0), ("d", 2), ("e", 2)];
    let keywords = [KeywordExample {
        example_id: "seg-001/0".into(),
        as_of: NaiveDate::default(),
        split: Split::Validation,
        title: "t".into(),
        concepts: vec![],
        candidates: graded.map(|(text, grade)| GradedCandidate { text: text.into(), grade }).to_vec(),
        chosen: ["a", "b", "d", "e", "c"].map(str::to_owned).to_vec(),
    }];
    let cases = Cases { themes: &themes, keywords: &keywords, others: &[] };
    let students = Answers {
        system: System::Students,
        pages: vec![page_of(&["good", "bad", "good", "good", "bad", "good"]), page_of(&["good", "worse"])],
        keywords: vec![vec!["a".into(), "c".into()]],
        perplexity: Some(12.5),
    };
    let base = Answers {
        system: System::BaseFewShot,
        pages: vec![page_of(&["good"]), vec![]],
        keywords: vec![vec!["zz".into()]],
        perplexity: None,
    };
    let answers = [base, students, Answers::of_teacher(&cases)];
    let report = evaluate(&Obvious, &BENCH.memory, &cases, &answers, Bootstrap::default()).expect("report");
    let near = |figure: Option<f64>, expected: f64| {
        let figure = figure.expect("figure");
        assert!((figure - expected).abs() < 1e-9, "{figure} is not {expected}");
    };
    near(report.p_t5, (3.0 + 1.0) / 10.0);
    near(report.p_t5_teacher, 1.0);
    near(report.p_t5_base, 0.1);
    near(report.p_k5, 2.0 / 2.0 / 5.0);
    near(report.p_k5_teacher, 7.0 / 2.0 / 5.0);
    near(report.p_k5_base, 0.0);
    near(report.violation_rate, 3.0 / 8.0);
    near(report.ratios.get("p_t5_to_teacher").map(|ratio| ratio.value), 0.4);
    near(report.ratios.get("p_k5_to_teacher").map(|ratio| ratio.value), 2.0 / 7.0);
    assert!(!report.ratios.contains_key("p_k5_to_base"), "nothing is so many times nothing");
    let own = &report.systems[1];
    near(Some(own.p_t6.value), 5.0 / 12.0);
    assert_eq!((own.themes, own.empty_pages, report.systems[0].empty_pages), (8, 0, 1));
    assert_eq!(own.violations.get("title bad"), Some(&2));
    assert_eq!(own.rejections.get("policy"), Some(&3));
    assert_eq!((report.judge, report.control.is_none()), ("obvious", true));

    let value = serde_json::to_value(&report).expect("json");
    for key in ["p_t5", "p_t5_teacher", "p_t5_base", "p_k5", "p_k5_teacher", "p_k5_base", "violation_rate"] {
        assert!(value[key].is_number(), "{key}");
    }
    for text in [markdown(&report), terminal(&report)] {
        assert!(text.contains("students") && text.contains("0.400 [") && text.contains("12.50"), "{text}");
    }
}

#[test]
fn answers_that_do_not_fit_the_questions_are_refused() {
    let themes = [theme_example(plain(), page_of(&["good"]))];
    let cases = Cases { themes: &themes, keywords: &[], others: &[] };
    let short = Answers { system: System::Students, pages: vec![], keywords: vec![], perplexity: None };
    let evaluated = |cases: &Cases, answers: &[Answers]| {
        evaluate(&Obvious, &BENCH.memory, cases, answers, Bootstrap::default())
    };
    let error = evaluated(&cases, &[short]).expect_err("a page is missing").to_string();
    assert!(error.contains("students answered 0 of 1 pages"), "{error}");
    let nothing = Cases { themes: &[], keywords: &[], others: &[] };
    assert!(evaluated(&nothing, &[]).is_err());
}

#[test]
fn a_keyword_in_another_spelling_is_not_the_candidate() {
    let graded = [GradedCandidate { text: "olive oil".into(), grade: 2 }];
    let score = |text: &str| keyword_precision(&[text.to_owned()], &graded, 5);
    assert_eq!((score("olive oil"), score("Olive oil")), (0.2, 0.0));
}
