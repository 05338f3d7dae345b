//! From answers to the training set on disk.

use std::path::Path;
use std::sync::OnceLock;

use endcap::aiqa::{self, TitlePolicy, Vocabulary};
use endcap::datasets::complete_journey::Taxonomy;
use endcap::distill::dataset::{self, Origin};
use endcap::distill::requests::{self, Role};
use endcap::distill::{
    AnswerFiles, Drafts, Gate, Ratings, Settings, TrainingSet, assemble, import_answers, import_recorded,
    read_ratings,
};
use endcap::domain::Digest;
use endcap::domain::training::{GradedCandidate, KeywordExample, Split};
use serde_json::{Value, json};

use super::context;
use super::teacher::completion;
use crate::support;

const TITLES: [&str; 6] = [
    "Bagels, eggs and orange juice",
    "Rye bread with salami and cheese",
    "Bananas and yogurt for breakfast",
    "Popcorn, pretzels and crackers",
    "Chicken, rice and vegetables",
    "Tomatoes, lettuce and cucumbers",
];

fn page(segment: &str) -> Value {
    let concepts = |at: usize| ["milk", "bread", "eggs"].map(|word| format!("{word} {at}"));
    let placements: Vec<Value> = (TITLES.iter().enumerate())
        .map(|(at, title)| json!({"title": title, "intent": "Carries what they buy.", "concepts": concepts(at)}))
        .collect();
    json!({"segment_id": segment, "persona": "Shoppers who like bread and milk.", "placements": placements})
}

fn choice(segment: &str) -> Value {
    json!({
        "segment_id": segment, "placement": 1, "title": TITLES[1], "concepts": ["rye bread", "salami", "cheese"],
        "candidates": ["rye bread", "salami", "cheese", "soap"], "grades": [2, 2, 1, 0],
        "chosen": ["rye bread", "salami", "cheese"],
    })
}

/// A folder of recorded answers.
struct Recording(tempfile::TempDir);

impl Recording {
    fn new(contexts: &[Value], pages: &[Value], choices: &[Value]) -> Self {
        let this = Self(tempfile::tempdir().expect("temporary folder"));
        for (name, lines) in [("contexts", contexts), ("pages", pages), ("choices", choices)] {
            this.write(name, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        this
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("a recording");
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(format!("{name}.jsonl"))
    }

    /// Two segments, of 18 September and 16 October.
    fn sound() -> Self {
        let contexts = [context(0, "2017-09-18"), context(1, "2017-10-16")];
        let contexts = contexts.map(|context| serde_json::to_value(context).expect("a context"));
        let [pages, choices] = [page, choice].map(|make| ["seg-000", "seg-001"].map(make));
        Self::new(&contexts, &pages, &choices)
    }
}

/// The policy of the committed taxonomy, compiled once.
fn policy() -> &'static TitlePolicy {
    static POLICY: OnceLock<TitlePolicy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let taxonomy = Taxonomy::committed().expect("the taxonomy");
        TitlePolicy::new(&aiqa::Settings::default(), Vocabulary::new(taxonomy.words())).expect("a policy")
    })
}

fn gated(drafts: Drafts, ratings: Option<&Ratings>) -> TrainingSet {
    let gate = Gate { policy: policy(), placements: 6, max_title_chars: 56 };
    assemble(drafts, &gate, ratings).expect("a set")
}

fn imported(recording: &Recording) -> TrainingSet {
    gated(import_recorded(recording.0.path()).expect("a sound recording"), None)
}

#[test]
fn a_recording_becomes_a_set_that_reads_back_and_repeats_to_the_byte() {
    let set = imported(&Recording::sound());
    assert_eq!((set.themes_tally.kept, set.keywords_tally.kept), (2, 2), "{:?}", set.themes_tally);
    let splits: Vec<Split> = set.themes.iter().map(|row| row.split).collect();
    assert_eq!(splits, [Split::Train, Split::Validation]);
    let folders = [tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder")];
    for folder in &folders {
        set.write(folder.path()).expect("written");
    }
    let [first, second] = folders.each_ref().map(tempfile::TempDir::path);
    assert_eq!(dataset::read_themes(&first.join("themes.parquet")).expect("themes"), set.themes);
    assert_eq!(dataset::read_keywords(&first.join("keywords.parquet")).expect("keywords"), set.keywords);
    let origin = dataset::read_origin(&first.join("keywords.parquet")).expect("an origin");
    assert_eq!(origin, Origin { template: "keywords-v1".into(), sources: set.sources_digest() });
    for name in ["themes.parquet", "keywords.parquet", "README.md"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).expect("a file");
        assert_eq!(read(first), read(second), "{name}");
    }
}

#[test]
fn a_damaged_line_is_named_by_file_line_and_field() {
    for (file, change, field) in [
        ("contexts", json!({"as_of": "October"}), "as_of"),
        ("contexts", json!({"segment_id": "../up"}), "segment_id"),
        ("contexts", json!({"shopping": {"visits_per_week": 1.0}}), "shopping"),
        ("contexts", json!({"staples": "milk"}), "staples"),
        ("contexts", json!({"segment_id": "seg-000"}), "segment_id"),
        ("pages", json!({"persona": 3}), "persona"),
        ("pages", json!({"placements": [{"title": "Milk"}]}), "placements"),
        ("choices", json!({"placement": -1}), "placement"),
        ("choices", json!({"grades": [2, "1"]}), "grades"),
        ("choices", json!({"candidates": null}), "candidates"),
    ] {
        let recording = Recording::sound();
        let text = std::fs::read_to_string(recording.file(file)).expect("lines");
        let lines: Vec<&str> = text.lines().collect();
        let mut bad: Value = serde_json::from_str(lines[1]).expect("a line");
        bad.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        recording.write(file, &format!("{}\n\n{bad}\n", lines[0]));
        let error = import_recorded(recording.0.path()).expect_err("damaged").to_string();
        assert!(error.contains(&format!("{file}.jsonl, line 3, field {field:?}")), "{change}: {error}");
    }
    for (text, told) in
        [("{\"segment_id\": ", "is not JSON"), ("[1]\n", "not an object"), ("\u{FEFF}{}", "is not JSON")]
    {
        let recording = Recording::sound();
        recording.write("pages", text);
        let error = import_recorded(recording.0.path()).expect_err("damaged").to_string();
        assert!(error.contains("pages.jsonl, line 1") && error.contains(told), "{error}");
    }
}

#[test]
fn what_breaks_a_rule_is_mended_or_dropped_and_counted() {
    let with = |path: &str, value: Value| {
        let mut page = page("seg-000");
        *page.pointer_mut(path).expect("a field") = value;
        page
    };
    let concepts = "/placements/0/concepts";
    for (page, repair) in [
        (with("/placements/0/title", json!("  Bagels, eggs \n and orange juice ")), "white space"),
        (with(concepts, json!(["Milk", "bread", "eggs"])), "concept in lower case"),
        (with(concepts, json!(["milk", "bread", "eggs", "milk"])), "concept repeats in its placement"),
        (with(concepts, json!(["milk", "bread", "eggs", "milk 1"])), "concept repeats on the page"),
        (with(concepts, json!(["milk", "bread", "eggs", "vodka"])), "concept against policy"),
    ] {
        let recording = Recording::sound();
        recording.write("pages", &format!("{page}\n"));
        let tally = imported(&recording).themes_tally;
        assert_eq!(tally.repairs.keys().collect::<Vec<_>>(), [repair], "{tally:?}");
        assert_eq!((tally.repaired, tally.dropped.len()), (1, 0));
    }
    for (page, reason) in [
        (with("/placements", json!([])), "number of placements"),
        (with("/placements/0/title", json!("Bagels at half price")), "title: price-claim"),
        (with("/placements/0/title", json!(TITLES[1])), "title repeats on the page"),
        (with("/placements/0/title", json!("Bagels <b>now</b>")), "title characters"),
        (with("/placements/0/intent", json!("Why")), "intent length"),
        (with("/persona", json!("Someone")), "persona length"),
        (with(concepts, json!(["milk", "bread"])), "too few concepts"),
        (with(concepts, json!(["milk", "bread", "vodka"])), "concept: restricted-alcohol"),
        (with("/segment_id", json!("seg-999")), "unknown segment"),
    ] {
        let recording = Recording::sound();
        recording.write("pages", &format!("{page}\n"));
        let tally = imported(&recording).themes_tally;
        assert_eq!(tally.reasons().into_iter().collect::<Vec<_>>(), [(reason, 1)], "{tally:?}");
    }
}

#[test]
fn choices_outside_their_candidates_are_mended_or_dropped() {
    let with = |field: &str, value: Value| {
        let mut choice = choice("seg-000");
        choice[field] = value;
        choice
    };
    let chosen = |extra: &str| json!(["rye bread", "salami", "cheese", extra]);
    for (choice, repair) in [
        (with("chosen", chosen("caviar")), "chosen keyword is no candidate"),
        (with("chosen", chosen("soap")), "chosen keyword is graded irrelevant"),
        (with("chosen", chosen("salami")), "keyword repeats"),
    ] {
        let recording = Recording::sound();
        recording.write("choices", &format!("{choice}\n"));
        let set = imported(&recording);
        assert_eq!(set.keywords_tally.repairs.keys().collect::<Vec<_>>(), [repair]);
        assert_eq!(set.keywords[0].chosen, ["rye bread", "salami", "cheese"]);
    }
    for (choice, reason) in [
        (with("chosen", json!(["rye bread", "salami", "caviar"])), "chosen keyword is no candidate"),
        (with("chosen", json!(["rye bread"])), "too few keywords"),
        (with("grades", json!([2, 2, 1, 3])), "grade out of range"),
        (with("grades", json!([2, 2])), "grades do not match candidates"),
        (with("candidates", json!(["rye bread", "salami", "salami", "soap"])), "candidate repeats"),
        (with("placement", json!(6)), "unknown placement"),
        (with("segment_id", json!("seg-999")), "unknown segment"),
    ] {
        let recording = Recording::sound();
        recording.write("choices", &format!("{choice}\n"));
        let tally = imported(&recording).keywords_tally;
        assert_eq!(tally.reasons().into_iter().collect::<Vec<_>>(), [(reason, 1)], "{tally:?}");
    }
}

#[test]
fn a_judge_s_low_score_or_silence_drops_a_page() {
    let rating = |policy: u8| json!({"relevance": 5, "specificity": 4, "season": 4, "policy": policy, "reason": "why"});
    let answer = |worst: u8| json!({"placements": [rating(5), rating(worst)]}).to_string();
    let drafts = || import_recorded(Recording::sound().0.path()).expect("a sound recording");
    let mut ratings = Ratings::new("tester", 3);
    ratings.insert("seg-000", read_ratings(&answer(2)).expect("ratings"));
    let dropped = gated(drafts(), Some(&ratings)).themes_tally;
    let reasons = dropped.reasons().into_iter().collect::<Vec<_>>();
    assert_eq!(reasons, [("judge: no answer", 1), ("judge: policy", 1)]);
    ratings.insert("seg-000", read_ratings(&answer(3)).expect("ratings"));
    assert_eq!(gated(drafts(), Some(&ratings)).themes_tally.kept, 1);
    assert!(read_ratings(&answer(6)).expect_err("out of range").contains("policy is 6"));
}

#[test]
fn requests_carry_the_students_templates_and_their_answers_come_back() {
    let recording = Recording::sound();
    let settings = Settings::default();
    let themes = requests::themes_requests(&recording.file("contexts"), &settings).expect("requests");
    let keywords = requests::keywords_requests(&recording.file("choices"), &settings).expect("requests");
    let first = &themes[0].body.messages;
    assert_eq!(first[0].content, endcap::themes::V2.system());
    assert_eq!(
        first.last().expect("a turn").content,
        endcap::themes::V2.render(&context(0, "2017-09-18")).expect("a turn")
    );
    assert!(first[1..].chunks(2).all(|pair| pair[0].role == Role::User));
    assert_eq!(keywords[1].custom_id, "keywords/seg-001/1");

    let batch = recording.0.path().join("batch.jsonl");
    requests::write_requests(&batch, &themes).expect("written");
    assert_eq!(requests::read_requests(&batch).expect("read"), themes);
    let line: Value = serde_json::from_str(
        std::fs::read_to_string(&batch).expect("a file").lines().next().expect("a line"),
    )
    .expect("JSON");
    assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
    assert_eq!(line["body"]["response_format"], json!({"type": "json_object"}));

    // As a downloaded batch output has them, with fields of its own.
    let body = |content: &str| serde_json::from_str::<Value>(&completion(content)).expect("JSON");
    let answer = |id: &str, content: &str| {
        let response = json!({"status_code": 200, "request_id": "r", "body": body(content)});
        json!({"id": "b", "custom_id": id, "response": response, "error": null})
    };
    let lines = [
        answer("themes/seg-000", &format!("```json\n{}\n```", page("seg-000"))),
        answer("keywords/seg-001/1", "rye bread\n- cheese\nsalami\n"),
        json!({"id": "b", "custom_id": "themes/seg-001", "response": null, "error": {"code": "expired", "message": "too late"}}),
    ];
    recording.write("output", &lines.map(|line| format!("{line}\n")).concat());
    let (answers, contexts, placements) =
        ([recording.file("output")], recording.file("contexts"), recording.file("choices"));
    let files = AnswerFiles { answers: &answers, contexts: &contexts, placements: Some(&placements) };
    let set = gated(import_answers(&files).expect("answers"), None);
    assert_eq!((set.themes.len(), set.keywords.len()), (1, 1));
    assert_eq!(set.themes_tally.reasons().into_iter().collect::<Vec<_>>(), [("no answer", 1)]);
    assert_eq!(set.keywords[0].chosen, ["rye bread", "cheese", "salami"]);
    assert_eq!(set.keywords[0].candidates.iter().map(|c| c.grade).collect::<Vec<_>>(), [2, 2, 2, 0]);
}

#[test]
fn a_bad_cell_is_named_by_file_column_and_row() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let origin = Origin { template: "keywords-v1".into(), sources: Digest::of(b"") };
    let row = |grade: u8| KeywordExample {
        example_id: "seg-000/1".into(),
        as_of: context(0, "2017-09-18").as_of,
        split: Split::Train,
        title: TITLES[1].into(),
        concepts: vec!["salami".into()],
        candidates: vec![GradedCandidate { text: "salami".into(), grade }],
        chosen: Vec::new(),
    };
    let path = folder.path().join("keywords.parquet");
    dataset::write_keywords(&path, &[row(2), row(3)], &origin).expect("written");
    let error = dataset::read_keywords(&path).expect_err("a grade of 3").to_string();
    assert!(error.contains("keywords.parquet: column \"candidates\", row 2"), "{error}");
    let error = dataset::read_themes(&path).expect_err("another file").to_string();
    assert!(error.contains("column \"context\" is missing"), "{error}");
    std::fs::write(&path, b"PAR0").expect("written");
    assert!(
        dataset::read_keywords(&path)
            .expect_err("no Parquet")
            .to_string()
            .contains("not a readable Parquet file")
    );
}

#[test]
fn the_committed_set_reads_and_holds_the_last_date_back() {
    let folder = support::project().join("models/training");
    let themes = dataset::read_themes(&folder.join(dataset::THEMES_FILE)).expect("themes");
    let keywords = dataset::read_keywords(&folder.join(dataset::KEYWORDS_FILE)).expect("keywords");
    assert!(
        themes.len() >= 780 && keywords.len() >= 700,
        "{} pages, {} choices",
        themes.len(),
        keywords.len()
    );
    let last = "2017-10-16".parse().expect("a date");
    assert!(themes.iter().all(|row| row.split == Split::of(row.as_of, last)));
    assert!(keywords.iter().all(|row| row.split == Split::of(row.as_of, last)));
    assert!(themes.iter().all(|row| row.placements.len() == 6));
}
