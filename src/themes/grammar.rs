//! The grammar of a page: JSON of persona and placements, in one of two strictnesses.
//!
//! *Anchored*: titles, intents and concepts are composed of the segment's own signals and the wording file, so that a model
//! that is not fine-tuned yet cannot write broken text, and no concept stands twice on a page. *Free*: any text
//! within bounds. Written as Lark for llguidance; compact JSON without spaces, so that the answer parses by construction.

use std::fmt::Write as _;

use crate::domain::SegmentContext;

use super::phrases::{Wording, capitalised, fill, fill_single, slots};
use super::plan::{MAX_ANCHORS, MIN_ANCHORS, ThemeSeed};

/// Longest texts the grammar lets through, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub title: usize,
    pub intent: usize,
    pub persona: usize,
    pub concept: usize,
}

/// Most names of a theme tried in title patterns: 5 give 20 pairs and 60 triples.
const TITLE_NAMES: usize = 5;

/// A literal of a Lark grammar that matches `text` as the inside of a JSON string.
fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let inner = &json[1..json.len() - 1];
    serde_json::Value::from(inner).to_string()
}

fn alternatives(texts: &[String]) -> String {
    let literals: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    literals.join(" | ")
}

/// The grammar of a page with one placement a seed, in order.
pub fn anchored(context: &SegmentContext, seeds: &[ThemeSeed], wording: &Wording, bounds: Bounds) -> String {
    let mut grammar = String::new();
    let placements: Vec<String> = (0..seeds.len()).map(|at| format!("p{at}")).collect();
    let list = placements.join(" \",\" ");
    let _ = writeln!(grammar, r#"start: "{{\"persona\":\"" persona "\",\"placements\":[" {list} "]}}""#);
    let _ =
        writeln!(grammar, "persona: {}", alternatives(&personas(context, seeds, wording, bounds.persona)));
    let campaign = context.merchandising.campaign.as_ref().map(|campaign| campaign.name.as_str());
    for (at, seed) in seeds.iter().enumerate() {
        let (short, long) = titles(seed, wording, bounds.title);
        let intents = intents(seed, wording, campaign, bounds.intent);
        let _ = writeln!(
            grammar,
            r#"p{at}: "{{\"title\":\"" t{at} "\",\"intent\":\"" i{at} "\",\"concepts\":[" c{at}_0_0 "]}}""#
        );
        let tails = wording.title_tails(seed.kind);
        let written: Vec<String> =
            tails.iter().filter(|tail| !tail.is_empty()).map(|tail| literal(tail)).collect();
        let optional = if written.len() < tails.len() { "?" } else { "" };
        let mut options = Vec::new();
        if !short.is_empty() && !written.is_empty() {
            options.push(format!("({}) ({}){optional}", alternatives(&short), written.join(" | ")));
        } else if !short.is_empty() {
            options.push(alternatives(&short));
        }
        if !long.is_empty() {
            options.push(alternatives(&long));
        }
        let _ = writeln!(grammar, "t{at}: {}", options.join(" | "));
        let _ = writeln!(grammar, "i{at}: {}", alternatives(&intents));
        concepts(&mut grammar, at, seed);
    }
    grammar
}

/// The grammar of a page of `placements` with free text within `bounds`.
pub fn free(placements: usize, bounds: Bounds) -> String {
    let list = vec!["placement"; placements].join(" \",\" ");
    let Bounds { title, persona, concept, .. } = bounds;
    format!(
        r#"start: "{{\"persona\":\"" PERSONA "\",\"placements\":[" {list} "]}}"
placement: "{{\"title\":\"" TITLE "\",\"concepts\":[" concepts "]}}"
concepts: concept ("," concept){{{},{}}}
concept: "\"" CONCEPT "\""
PERSONA: /[A-Z][^"\\\x00-\x1f\x7f]{{15,{}}}/
TITLE: /[A-Z0-9][^"\\\x00-\x1f\x7f<>{{}}]{{7,{}}}/
CONCEPT: /[a-z0-9][^"\\\x00-\x1f\x7f<>{{}}]{{2,{}}}/
"#,
        MIN_ANCHORS - 1,
        MAX_ANCHORS - 1,
        persona - 1,
        title - 1,
        concept - 1
    )
}

/// Titles with room for a tail, and titles without.
fn titles(seed: &ThemeSeed, wording: &Wording, longest: usize) -> (Vec<String>, Vec<String>) {
    let room = wording.title_tails(seed.kind).iter().map(|tail| tail.chars().count()).max().unwrap_or(0);
    let names = names(seed);
    let all: Vec<String> = wording
        .title_patterns()
        .iter()
        .flat_map(|pattern| {
            let ordered =
                orderings(&names, slots(pattern)).into_iter().filter(|names| reads_well(pattern, names));
            ordered.filter_map(|names| fill(pattern, &names, None))
        })
        .map(|title| capitalised(&title))
        .filter(|title| title.chars().count() <= longest)
        .collect();
    if let (true, [name, ..]) = (all.is_empty(), &names[..]) {
        return (Vec::new(), single_titles(name, seed, wording, longest));
    }
    all.into_iter().partition(|title| title.chars().count() + room <= longest)
}

/// Titles of a theme with one name; they are whole, and take no tail.
fn single_titles(name: &str, seed: &ThemeSeed, wording: &Wording, longest: usize) -> Vec<String> {
    let filled = wording
        .single_patterns()
        .iter()
        .filter_map(|pattern| fill_single(pattern, name, seed.aisle.as_deref()));
    let titles = filled.map(|title| capitalised(&title)).filter(|title| title.chars().count() <= longest);
    let titles: Vec<String> = titles.collect();
    if titles.is_empty() { vec![capitalised(name)] } else { titles }
}

/// "spices and seasonings and butter" does not.
fn reads_well(pattern: &str, names: &[&str]) -> bool {
    !(pattern.contains(" and ") && names.iter().any(|name| name.contains(" and ")))
}

fn intents(seed: &ThemeSeed, wording: &Wording, campaign: Option<&str>, longest: usize) -> Vec<String> {
    let names = names(seed);
    let filled = wording.intents(seed.kind).iter().filter_map(|pattern| fill(pattern, &names, campaign));
    let mut intents: Vec<String> = filled.filter(|intent| intent.chars().count() <= longest).collect();
    if intents.is_empty() {
        intents.push(capitalised(&names.join(", ")));
    }
    intents
}

fn personas(context: &SegmentContext, seeds: &[ThemeSeed], wording: &Wording, longest: usize) -> Vec<String> {
    let firsts: Vec<&str> = seeds.iter().filter_map(|seed| names(seed).first().copied()).take(4).collect();
    let habit = habit(context);
    let mut personas: Vec<String> = wording
        .persona_openings()
        .iter()
        .flat_map(|pattern| {
            orderings(&firsts, slots(pattern)).into_iter().filter_map(|names| fill(pattern, &names, None))
        })
        .map(|opening| format!("{opening}{habit}."))
        .filter(|persona| persona.chars().count() <= longest)
        .collect();
    if personas.is_empty() {
        personas.push(format!("Everyday shoppers{habit}."));
    }
    personas
}

fn habit(context: &SegmentContext) -> &'static str {
    let shopping = &context.shopping;
    if shopping.evening_share >= 0.5 {
        ", mostly in the evening"
    } else if shopping.weekend_share >= 0.4 {
        ", mostly at weekends"
    } else if shopping.private_label_share >= 0.3 {
        ", often the shop's own brand"
    } else {
        ""
    }
}

fn names(seed: &ThemeSeed) -> Vec<&str> {
    let titled = seed.anchors.iter().filter(|anchor| anchor.titled).map(|anchor| anchor.phrase.as_str());
    titled.take(TITLE_NAMES).collect()
}

/// Every ordering of `slots` different names in which none contains another ("cat food", "dry cat food").
fn orderings<'a>(names: &[&'a str], slots: usize) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = vec![Vec::new()];
    for _ in 0..slots {
        found = found
            .into_iter()
            .flat_map(|chosen| {
                let fits =
                    |name: &&str| !chosen.iter().any(|other| other.contains(*name) || name.contains(other));
                let more: Vec<Vec<&str>> = names
                    .iter()
                    .filter(|name| fits(name))
                    .map(|name| [chosen.as_slice(), &[*name]].concat())
                    .collect();
                more
            })
            .collect();
    }
    found
}

/// Rules `c<at>_<i>_<n>`: the rest of the list when anchors before `i` are decided and `n` are taken. Each anchor is taken
/// once or not at all, at least [`MIN_ANCHORS`] in all.
fn concepts(grammar: &mut String, at: usize, seed: &ThemeSeed) {
    let total = seed.anchors.len();
    for (i, anchor) in seed.anchors.iter().enumerate() {
        for n in 0..=i {
            let comma = if n > 0 { "\",\" " } else { "" };
            let concept = literal(&anchor.phrase);
            let take = format!(r#"{comma}"\"" {concept} "\"" c{at}_{}_{}"#, i + 1, n + 1);
            let enough_left = n + (total - i - 1) >= MIN_ANCHORS;
            let skip = if enough_left { format!(" | c{at}_{}_{n}", i + 1) } else { String::new() };
            let _ = writeln!(grammar, "c{at}_{i}_{n}: {take}{skip}");
        }
    }
    for n in 0..=total {
        let _ = writeln!(grammar, "c{at}_{total}_{n}: \"\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_contain_each_other_never_share_a_title() {
        let orders = orderings(&["cat food", "dry cat food", "litter"], 2);
        assert_eq!(orders.len(), 4);
        assert!(orders.iter().all(|pair| pair.contains(&"litter")));
    }

    #[test]
    fn a_literal_is_escaped_for_json_and_for_lark() {
        assert_eq!(literal("7-Up"), r#""7-Up""#);
        assert_eq!(literal(r#"6" subs"#), r#""6\\\" subs""#);
    }
}
