//! The words a shop uses: what names something it sells, and what is a known word at all.

use std::collections::{BTreeSet, HashSet};

use super::text::{Text, Word};
use crate::domain::{Catalog, Keyword};

const CULINARY: &str = include_str!("lexicons/culinary.txt");
const GENERIC: &str = include_str!("lexicons/generic.txt");
const WORDS: &str = include_str!("lexicons/words.txt");

/// Words that name something the shop sells, and all words known to the spelling checks.
///
/// Built from the catalogue's product types and aisles and the keyword corpus, or from any list of such texts, with a
/// built-in list of culinary words added.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Singular words that name something; sorted for prefix look-ups.
    things: BTreeSet<String>,
    /// Names of two words or more ("personal care"), singular words joined by a space.
    phrases: HashSet<String>,
    generic: HashSet<String>,
    /// Every known word, as written and singular.
    known: HashSet<String>,
    pairs: HashSet<[u8; 2]>,
}

impl Vocabulary {
    /// From texts that name what the shop sells: product types, aisles, keywords.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let generic: HashSet<String> = word_list(GENERIC).map(str::to_owned).collect();
        let mut this = Self {
            things: BTreeSet::new(),
            phrases: HashSet::new(),
            known: HashSet::new(),
            pairs: HashSet::new(),
            generic,
        };
        for text in texts {
            this.add_text(text);
        }
        for name in word_list(CULINARY) {
            this.add_name(name);
        }
        this.known.extend(word_list(WORDS).chain(word_list(GENERIC)).map(str::to_owned));
        this
    }

    /// From a catalogue and its keyword corpus.
    pub fn of_shop(catalog: &Catalog, keywords: &[Keyword]) -> Self {
        let types = catalog.product_types().into_iter().chain(catalog.aisles());
        Self::new(types.chain(keywords.iter().map(|keyword| keyword.text.as_str())))
    }

    fn add_text(&mut self, text: &str) {
        let Some(text) = Text::read(text) else { return };
        for word in text.words.iter().filter(|word| word.is_alphabetic() && word.letters() > 1) {
            self.add_known(&word.text);
            if !self.generic.contains(&word.text) {
                self.things.insert(singular(&word.text));
            }
        }
    }

    fn add_name(&mut self, name: &str) {
        let parts: Vec<String> = name.split('_').map(singular).collect();
        for part in name.split('_') {
            self.add_known(part);
        }
        if parts.len() > 1 {
            self.phrases.insert(parts.join(" "));
        } else {
            self.things.extend(name.split('-').map(singular));
        }
    }

    fn add_known(&mut self, word: &str) {
        self.pairs.extend(pairs(word));
        self.known.insert(singular(word));
        self.known.insert(word.to_owned());
    }

    /// Whether `words` name something to sell, cook or celebrate.
    pub(super) fn names_something(&self, words: &[Word]) -> bool {
        let singulars: Vec<String> = words.iter().map(|word| singular(&word.text)).collect();
        let single = words.iter().zip(&singulars).any(|(word, one)| self.is_thing(&word.text, one));
        single || singulars.windows(2).any(|pair| self.phrases.contains(&pair.join(" ")))
    }

    /// The words of `words` that name something by themselves, in the singular.
    pub(super) fn named<'a>(&'a self, words: &'a [Word]) -> impl Iterator<Item = String> + 'a {
        words
            .iter()
            .map(|word| (word, singular(&word.text)))
            .filter_map(|(word, one)| self.is_thing(&word.text, &one).then_some(one))
    }

    fn is_thing(&self, word: &str, one: &str) -> bool {
        !self.generic.contains(word) && (self.things.contains(one) || self.things.contains(word))
    }

    /// Whether the shop uses `word` for anything, be it a thing or a generic word.
    pub(super) fn uses(&self, word: &str) -> bool {
        self.generic.contains(word) || self.things.contains(&singular(word))
    }

    /// Whether `word` is known as it is written, or its singular.
    pub(super) fn spells(&self, word: &str) -> bool {
        self.known.contains(word) || self.known.contains(&singular(word))
    }

    /// Whether `word` is spelled like a known one, endings aside.
    pub(super) fn knows(&self, word: &str) -> bool {
        if self.spells(word) {
            return true;
        }
        let one = singular(word);
        let is = |stem: &str| self.known.contains(stem);
        const ENDINGS: [&str; 13] =
            ["ed", "ing", "er", "est", "y", "ly", "ish", "d", "r", "ness", "less", "ful", "able"];
        let stems =
            ENDINGS.iter().filter_map(|ending| one.strip_suffix(ending)).filter(|stem| stem.len() >= 3);
        stems.into_iter().any(|stem| {
            // sliced, slicing; crunchier; chopped
            let doubled = stem.as_bytes().windows(2).next_back().is_some_and(|pair| pair[0] == pair[1]);
            let shorter = stem.strip_suffix('i').or_else(|| stem.get(..stem.len() - 1).filter(|_| doubled));
            [stem, &format!("{stem}e"), &format!("{stem}y")].into_iter().chain(shorter).any(is)
        })
    }

    /// Whether `word` names something by itself.
    pub(super) fn is_named(&self, word: &str) -> bool {
        self.things.contains(word) || self.things.contains(&singular(word))
    }

    /// The name of a thing that starts with `word` and is more than `word` with an ending.
    pub(super) fn completion(&self, word: &str) -> Option<&str> {
        const ENDINGS: [&str; 9] = ["", "s", "es", "ed", "ing", "er", "ers", "d", "r"];
        let whole = self.things.range(word.to_owned()..).take_while(|thing| thing.starts_with(word));
        whole.map(String::as_str).find(|thing| {
            let rest = &thing[word.len()..];
            let doubled = word.chars().next_back().and_then(|last| rest.strip_prefix(last));
            !ENDINGS.contains(&rest) && !doubled.is_some_and(|rest| ENDINGS[1..].contains(&rest))
        })
    }

    /// Share of `word`'s letter pairs that no name of a thing has, 0..=1; 0 for a word of other letters than a to z.
    pub(super) fn strangeness(&self, word: &str) -> f32 {
        let all = word.len().saturating_sub(1).max(1);
        let strange = pairs(word).filter(|pair| !self.pairs.contains(pair)).count();
        strange as f32 / all as f32
    }
}

fn pairs(word: &str) -> impl Iterator<Item = [u8; 2]> {
    let letters = word.as_bytes().windows(2).map(|pair| [pair[0], pair[1]]);
    letters.filter(|pair| pair.iter().all(u8::is_ascii_lowercase))
}

/// The words of a list file: separated by white space, lines of comments left out.
pub(super) fn word_list(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// `word` without a plural or possessive ending.
/// The words of a text, folded and in the singular; none of one that is too long to be read.
pub fn singular_words(text: &str) -> BTreeSet<String> {
    Text::read(text)
        .map(|text| text.words.iter().map(|word| singular(&word.text)).collect())
        .unwrap_or_default()
}

pub(super) fn singular(word: &str) -> String {
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix('\'')).unwrap_or(word);
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    let sibilant = ["ches", "shes", "sses", "xes", "zes", "oes"].iter().any(|end| word.ends_with(end));
    if sibilant && word.len() > 4 {
        return word[..word.len() - 2].to_owned();
    }
    let keeps = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    match word.strip_suffix('s').filter(|stem| stem.len() > 2 && !keeps) {
        Some(stem) => stem.to_owned(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(title: &str) -> bool {
        let vocabulary = Vocabulary::new(["Personal planners", "Yellow nectarines", "Fresh picks"]);
        vocabulary.names_something(&Text::read(title).expect("short").words)
    }

    #[test]
    fn a_thing_is_named_by_the_shop_or_the_kitchen() {
        for title in ["Nectarine season", "Weeknight suppers", "Personal care for you", "Cherries"] {
            assert!(names(title), "{title}");
        }
        for title in ["Fresh picks for you", "Inspired choices", "Simply the best", "Care and love"] {
            assert!(!names(title), "{title}");
        }
    }

    #[test]
    fn words_are_known_with_their_endings() {
        let vocabulary = Vocabulary::new(["tomato", "turkey"]);
        for word in ["tomatoes", "turkeys", "baked", "crunchier", "grilling", "slicing"] {
            assert!(vocabulary.knows(word), "{word}");
        }
        assert!(!vocabulary.knows("turk"));
        assert_eq!(vocabulary.completion("turk"), Some("turkey"));
        assert!(vocabulary.strangeness("xqzvk") > 0.6);
    }

    #[test]
    fn singulars() {
        for (plural, one) in [
            ("berries", "berry"),
            ("peaches", "peach"),
            ("mom's", "mom"),
            ("hummus", "hummus"),
            ("pies", "pie"),
            ("glass", "glass"),
        ] {
            assert_eq!(singular(plural), one);
        }
    }
}
