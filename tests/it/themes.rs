//! Stage 1's door: what becomes of a student's answer.

use endcap::domain::SegmentContext;
use endcap::embed::Memory;
use endcap::themes::{Brief, Mode, Settings, Themes};
use serde_json::{Value, json};

use crate::embed;

/// Buys for breakfast and for the grill, in autumn.
fn context() -> SegmentContext {
    let names =
        ["Bagels", "Cream cheese", "Ground coffee", "Orange juice", "Ground beef", "Hot dog buns", "Ketchup"];
    let distinctive = names.map(|name| json!({"name": name, "aisle": "any", "households": 0.3, "lift": 3.0}));
    let shopping = json!({
        "visits_per_week": 1.0, "basket_value": 30.0, "private_label_share": 0.2,
        "on_promotion_share": 0.2, "evening_share": 0.3, "weekend_share": 0.3,
    });
    serde_json::from_value(json!({
        "segment_id": "seg-001", "as_of": "2017-10-16", "households": 20, "shopping": shopping,
        "distinctive": distinctive, "staples": ["White milk", "Bananas"], "rising": ["Mustard"],
    }))
    .expect("context")
}

fn placement(title: &str, concepts: &[&str]) -> Value {
    json!({"title": title, "concepts": concepts})
}

fn answer() -> String {
    let breakfast = placement("Bagels and coffee", &["bagels", "cream cheese", "ground coffee"]);
    let again = placement("Coffee with a bagel", &["bagel", "cream cheese spread", "coffee"]);
    let stray = placement("A new set of tyres", &["car tyres", "motor oil", "jumper cables"]);
    let halloween =
        placement("Lanterns and treats", &["halloween candy", "halloween pumpkin", "halloween costume"]);
    let grill =
        placement("Burgers on the grill", &["ground beef", "burger burger buns", "ketchup", "mustard"]);
    let two = placement("Wine and bananas", &["bananas", "white milk", "red wine"]);
    // A theme under an earlier one's title is none of its own.
    let same = placement("bagels and coffee", &["dish soap", "paper towels", "sponges"]);
    json!({"persona": "Breakfast people.", "placements": [two, breakfast, again, stray, same, halloween, grill]})
        .to_string()
}

fn titles(mode: Mode, placements: usize) -> (Vec<String>, Vec<String>) {
    let memory = Memory::new(embed::encoder());
    let settings = Settings { mode, ..Settings::default() };
    let themes = Themes::new(&settings, &memory).expect("templates");
    let admit = |phrase: &str| !phrase.contains("wine");
    let brief = Brief { placements, admit: &admit, seed: 1 };
    let design = themes.design(&context(), &answer(), &brief).expect("a page");
    let titles = |designs: Vec<endcap::domain::stage::PlacementDesign>| {
        designs.into_iter().map(|design| design.title).collect()
    };
    (titles(design.placements), titles(design.reserve))
}

#[test]
fn of_a_free_answer_strays_repetitions_and_what_is_not_admitted_give_way() {
    let (page, reserve) = titles(Mode::Free, 3);
    assert_eq!(page, ["Bagels and coffee", "Lanterns and treats", "Burgers on the grill"]);
    assert_eq!(reserve, ["A new set of tyres", "Coffee with a bagel", "Wine and bananas"]);
}

#[test]
fn a_short_page_keeps_what_it_has() {
    let (page, reserve) = titles(Mode::Free, 6);
    assert_eq!((page.len(), reserve.len()), (6, 0));
}

/// Its grammar has seen to it that nothing stands twice.
#[test]
fn an_anchored_answer_stays_as_written() {
    let (page, _) = titles(Mode::Anchored, 2);
    assert_eq!(page, ["Wine and bananas", "Bagels and coffee"]);
}

#[test]
fn what_says_a_word_twice_gives_way() {
    let memory = Memory::new(embed::encoder());
    let settings = Settings { mode: Mode::Free, ..Settings::default() };
    let themes = Themes::new(&settings, &memory).expect("templates");
    let clumsy = placement(
        "Bagels with more bagels",
        &["bagels", "cream cheese", "ground coffee", "coffee coffee cups"],
    );
    let grill = placement("Burgers on the grill", &["ground beef", "hot dog buns", "ketchup"]);
    let answer = json!({"persona": "Breakfast people.", "placements": [clumsy, grill]}).to_string();
    let brief = Brief { placements: 2, admit: &|_| true, seed: 1 };
    let design = themes.design(&context(), &answer, &brief).expect("a page");
    assert_eq!(design.placements[0].title, "Burgers on the grill");
    assert_eq!(design.placements[1].concepts, ["bagels", "cream cheese", "ground coffee"]);
}
