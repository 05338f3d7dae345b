//! Shopper-facing phrases: product-type names cut to what a title can carry, and the wording around them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::plan::SeedKind;

/// `phrases.toml` of a template version.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    proper: BTreeSet<String>,
    title: TitleWording,
    intent: BTreeMap<String, Vec<String>>,
    persona: PersonaWording,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TitleWording {
    patterns: Vec<String>,
    single: Vec<String>,
    tails: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonaWording {
    openings: Vec<String>,
}

fn key(kind: SeedKind) -> &'static str {
    match kind {
        SeedKind::Campaign => "campaign",
        SeedKind::Distinctive => "distinctive",
        SeedKind::Rising => "rising",
        SeedKind::Staple => "staple",
    }
}

impl Wording {
    /// Reads a `phrases.toml`.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    pub fn title_patterns(&self) -> &[String] {
        &self.title.patterns
    }

    /// For themes with one name a title can carry.
    pub fn single_patterns(&self) -> &[String] {
        &self.title.single
    }

    pub fn title_tails(&self, kind: SeedKind) -> &[String] {
        self.title.tails.get(key(kind)).map_or(&[], Vec::as_slice)
    }

    pub fn intents(&self, kind: SeedKind) -> &[String] {
        self.intent.get(key(kind)).map_or(&[], Vec::as_slice)
    }

    pub fn persona_openings(&self) -> &[String] {
        &self.persona.openings
    }

    /// "Hot baked chicken, 8-piece" → "hot baked chicken"; "Vanilla wafers & kids cookies" → "vanilla wafers";
    /// "Wheat & multigrain bread" → "wheat and multigrain bread"; "Fuji apples" keeps its capital.
    pub fn phrase(&self, name: &str) -> String {
        let head = name.split([',', '(', ':', ';']).next().unwrap_or_default();
        let words: Vec<&str> = head
            .split_whitespace()
            .map(|word| if word == "&" { "and" } else { word })
            .filter(|word| !word.ends_with('%'))
            .collect();
        let kept = match words.iter().position(|word| *word == "and") {
            // "Vanilla wafers and kids cookies": two things with names of their own; the first stands alone.
            Some(at) if at >= 2 && words[at - 1].ends_with('s') => &words[..at],
            _ => &words[..],
        };
        let cased: Vec<String> = kept.iter().map(|word| self.case(word)).collect();
        cased.join(" ")
    }

    fn case(&self, word: &str) -> String {
        let acronym =
            word.chars().filter(|c| c.is_alphabetic()).count() > 1 && !word.chars().any(char::is_lowercase);
        if acronym || self.proper.contains(word) { word.to_owned() } else { word.to_lowercase() }
    }
}

/// Fills `{a}`, `{b}`, `{c}` and `{campaign}`; `None` where the pattern needs more names than there are.
pub fn fill(pattern: &str, names: &[&str], campaign: Option<&str>) -> Option<String> {
    let mut text = pattern.to_owned();
    for (slot, at) in [("{a}", 0), ("{b}", 1), ("{c}", 2)] {
        if text.contains(slot) {
            text = text.replace(slot, names.get(at)?);
        }
    }
    if text.contains("{campaign}") {
        text = text.replace("{campaign}", campaign?);
    }
    Some(text)
}

/// Fills `{a}` and `{aisle}`; `None` where the aisle is not known or says the same as the name.
pub fn fill_single(pattern: &str, name: &str, aisle: Option<&str>) -> Option<String> {
    let filled = fill(pattern, &[name], None)?;
    if !filled.contains("{aisle}") {
        return Some(filled);
    }
    let aisle = aisle.filter(|aisle| !aisle.contains(name) && !name.contains(aisle))?;
    Some(filled.replace("{aisle}", aisle))
}

/// How many names a pattern takes.
pub fn slots(pattern: &str) -> usize {
    ["{a}", "{b}", "{c}"].iter().filter(|slot| pattern.contains(*slot)).count()
}

/// The text with its first letter in upper case.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording() -> Wording {
        Wording::parse(include_str!("templates/v1/phrases.toml")).expect("phrases.toml")
    }

    #[test]
    fn names_become_phrases() {
        for (name, phrase) in [
            ("Hot baked chicken, 8-piece", "hot baked chicken"),
            ("Vanilla wafers & kids cookies", "vanilla wafers"),
            ("Wheat & multigrain bread", "wheat and multigrain bread"),
            ("Refrigerated 100% orange juice", "refrigerated orange juice"),
            ("Canned diced and stewed tomatoes", "canned diced and stewed tomatoes"),
            ("Fuji apples", "Fuji apples"),
            ("Granny Smith apples", "Granny Smith apples"),
            ("BBQ sauce", "BBQ sauce"),
            ("Soda, 2-liter bottles", "soda"),
            ("", ""),
        ] {
            assert_eq!(wording().phrase(name), phrase, "{name}");
        }
    }

    #[test]
    fn a_pattern_is_filled_or_refused() {
        assert_eq!(fill("{a} with {b}", &["tea", "cake"], None).as_deref(), Some("tea with cake"));
        assert_eq!(fill("{a} with {b}", &["tea"], None), None);
        assert_eq!(fill("{campaign}: {a}", &["tea"], None), None);
        assert_eq!(slots("{a}, {b} and {c}"), 3);
    }
}
