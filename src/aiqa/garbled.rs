//! Broken text: wrong encodings, stray symbols, stutters, cut-off ends, split and mashed words.
//!
//! Every check looks for one kind of damage and answers with what it saw; the first one found is reported. A word is
//! doubted only where neither the catalogue nor ordinary writing knows it ([`Vocabulary::knows`]).

use std::collections::{BTreeMap, HashSet};

use super::AiqaError;
use super::lexicon::Lexicon;
use super::text::{Text, Word};
use super::vocabulary::{Vocabulary, singular, word_list};

const ECHOES: &str = include_str!("lexicons/echoes.txt");
const FOREIGN: &str = include_str!("lexicons/foreign.txt");

/// Broken spacing, symbols and digits within words; the reason stands in the section's heading.
const BROKEN: &str = include_str!("lexicons/broken.txt");

/// Units that may follow digits without a space.
const UNITS: [&str; 34] = [
    "oz", "lb", "lbs", "g", "kg", "mg", "ml", "l", "ct", "pk", "pc", "pcs", "in", "ft", "st", "nd", "rd",
    "th", "d", "x", "am", "pm", "k", "hr", "min", "sec", "s", "w", "v", "qt", "gal", "pt", "mm", "cm",
];

/// Lower-case words of one or two letters that stand alone.
const SHORT: [&str; 44] = [
    "a", "i", "o", "n", "x", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me",
    "my", "no", "of", "oh", "ok", "on", "or", "so", "to", "tv", "up", "us", "vs", "we", "oz", "lb", "oj",
    "pb", "la", "le", "el", "de", "du", "al", "ny", "uv",
];

/// Words no title ends with.
const DANGLING: [&str; 29] = [
    "and", "or", "with", "for", "of", "the", "a", "an", "from", "your", "our", "plus", "very", "but", "that",
    "than", "as", "is", "are", "which", "while", "their", "its", "n", "if", "because", "these", "whose",
    "so",
];

/// Runs of neighbouring keys that stand in no word.
const KEY_RUNS: [&str; 14] = [
    "qwer", "rtyu", "tyui", "yuio", "asdf", "sdfg", "dfgh", "fghj", "ghjk", "hjkl", "zxcv", "xcvb", "cvbn",
    "vbnm",
];

/// Longest unknown word, letters.
const LONGEST_WORD: usize = 24;

/// What was seen and why it is wrong.
pub(super) type Damage = (String, String);

/// The spelling checks with their word lists.
#[derive(Debug)]
pub(super) struct Spelling {
    broken: Lexicon,
    echoes: HashSet<(String, String)>,
    foreign: HashSet<&'static str>,
    foreign_strict: HashSet<&'static str>,
}

impl Spelling {
    pub fn load() -> Result<Self, AiqaError> {
        let echoes = word_list(ECHOES).filter_map(|pair| pair.split_once('_'));
        let mut foreign_strict = HashSet::new();
        let mut foreign = HashSet::new();
        let mut strict = false;
        for word in word_list(FOREIGN) {
            match (word, strict) {
                ("=", _) => strict = true,
                (word, true) => {
                    foreign_strict.insert(word);
                    strict = false;
                }
                (word, false) => {
                    foreign.insert(word);
                }
            }
        }
        Ok(Self {
            broken: Lexicon::parse("broken.txt", BROKEN)?,
            echoes: echoes.map(|(a, b)| (a.to_owned(), b.to_owned())).collect(),
            foreign,
            foreign_strict,
        })
    }

    /// The first damage of `text`.
    pub fn damage(&self, text: &Text, vocabulary: &Vocabulary) -> Option<Damage> {
        encoding(text)
            .or_else(|| self.pattern(text))
            .or_else(|| unbalanced(text))
            .or_else(|| script(text))
            .or_else(|| mixed_case(text))
            .or_else(|| digits_for_letters(text))
            .or_else(|| self.stutter(text))
            .or_else(|| dangling_end(text))
            .or_else(|| fragments(text, vocabulary))
            .or_else(|| self.mixed_languages(text))
            .or_else(|| mashed(text, vocabulary))
    }

    /// Symbols and spacing, looked for in the text as shown: folding would repair some of it.
    fn pattern(&self, text: &Text) -> Option<Damage> {
        let shown = text.shown.trim().to_lowercase();
        let as_shown = Text { lower: shown.clone(), folded: shown, shown: String::new(), words: Vec::new() };
        let hit = self.broken.find(&as_shown)?;
        Some((hit.text, hit.reason.to_owned()))
    }

    /// The same word again with nothing between, or three times in all.
    fn stutter(&self, text: &Text) -> Option<Damage> {
        let echo = text.words.windows(2).find(|pair| {
            let same = singular(&pair[0].text) == singular(&pair[1].text);
            let spaced = text.folded[pair[0].end..pair[1].start].trim().is_empty();
            let named = self.echoes.contains(&(pair[0].text.clone(), pair[1].text.clone()));
            same && spaced && !named
        });
        if let Some(pair) = echo {
            return Some((format!("{} {}", pair[0].text, pair[1].text), "a word repeated".into()));
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for word in text.words.iter().filter(|word| word.letters() > 3) {
            *counts.entry(singular(&word.text)).or_default() += 1;
        }
        let (word, _) = counts.into_iter().find(|(_, count)| *count > 2)?;
        Some((word, "a word three times over".into()))
    }

    fn mixed_languages(&self, text: &Text) -> Option<Damage> {
        let strict = text.words.iter().find(|word| self.foreign_strict.contains(word.text.as_str()));
        let loose: Vec<&str> = text
            .words
            .iter()
            .map(|word| word.text.as_str())
            .filter(|word| self.foreign.contains(word))
            .collect();
        let seen =
            strict.map(|word| word.text.clone()).or_else(|| (loose.len() > 1).then(|| loose.join(" ")))?;
        Some((seen, "words of another language".into()))
    }
}

/// UTF-8 read as Latin-1 or Windows-1252, and replacement characters.
fn encoding(text: &Text) -> Option<Damage> {
    let chars: Vec<char> = text.shown.chars().collect();
    let lead = |c: char| matches!(c, 'Ã' | 'Â' | 'â' | 'Å' | 'Ä' | 'ð' | 'ï');
    let trail = |c: char| matches!(c, '\u{80}'..='\u{bf}' | '€' | '™' | 'œ' | '\u{17e}' | '\u{2018}'..='\u{2022}' | 'Ÿ' | 'š');
    let broken = chars.windows(2).find(|pair| lead(pair[0]) && trail(pair[1]));
    let seen = match broken {
        Some(pair) => pair.iter().collect(),
        None => chars.iter().find(|c| **c == '\u{fffd}')?.to_string(),
    };
    Some((seen, "a broken character encoding".into()))
}

/// Brackets and double quotes that do not pair up.
fn unbalanced(text: &Text) -> Option<Damage> {
    let mut open = 0i32;
    for c in text.folded.chars() {
        open += i32::from(c == '(') - i32::from(c == ')');
        if open < 0 {
            break;
        }
    }
    let quotes = text.folded.chars().filter(|c| *c == '"').count();
    (open != 0 || quotes % 2 == 1)
        .then(|| (text.shown.clone(), "brackets or quotes that do not pair up".into()))
}

/// Letters that are not Latin: the shop's language is English.
fn script(text: &Text) -> Option<Damage> {
    let latin = |c: char| c.is_ascii() || matches!(c, 'À'..='ɏ' | 'Ḁ'..='ỿ' | 'ª' | 'º');
    let accent = |c: char| matches!(c, '\u{300}'..='\u{36f}');
    let found = text.lower.chars().find(|c| c.is_alphabetic() && !latin(*c) && !accent(*c))?;
    Some((found.into(), "a letter of another script".into()))
}

/// A capital after a small letter within a word (`sAlAd`), names like McIntosh aside.
fn mixed_case(text: &Text) -> Option<Damage> {
    let words = text.shown.split(|c: char| !c.is_alphanumeric());
    let turns = |word: &str| {
        let chars: Vec<char> = word.chars().collect();
        chars.windows(2).any(|pair| pair[0].is_lowercase() && pair[1].is_uppercase())
    };
    let names = ["Mc", "Mac", "De", "La", "Le", "i", "e"];
    let mut odd = words.filter(|word| turns(word));
    let seen = odd.find(|word| {
        let rest = names.iter().find_map(|name| word.strip_prefix(name)).unwrap_or(word);
        turns(rest)
    })?;
    Some((seen.to_owned(), "capitals within a word".into()))
}

/// `c0ff33`, `gr1nds`: digits where letters belong.
fn digits_for_letters(text: &Text) -> Option<Damage> {
    let odd = text.words.iter().find(|word| {
        let word = word.text.trim_end_matches("'s");
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let model = unit.trim_start_matches(|c: char| c.is_alphabetic());
        let has_both = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(char::is_alphabetic);
        let measured = unit.len() < word.len() && UNITS.contains(&unit);
        // Vitamins, batteries and brands of water: one or two letters, then a number.
        let lettered =
            unit.len() == word.len() && unit.len() - model.len() <= 2 && model.parse::<u32>().is_ok();
        has_both && !measured && !lettered
    })?;
    Some((odd.text.clone(), "digits within a word".into()))
}

fn dangling_end(text: &Text) -> Option<Damage> {
    let (last, before) = text.words.split_last()?;
    let dangles = DANGLING.contains(&last.text.as_str());
    if !dangles || last.end < text.folded.trim_end_matches(|c: char| !c.is_alphanumeric()).len() {
        return None;
    }
    let previous = before.last().map_or("", |word| word.text.as_str());
    let ends_in_verb = ["with", "for", "of", "from"].contains(&last.text.as_str())
        && (previous.ends_with("ing") || before.iter().rev().nth(1).is_some_and(|word| word.text == "to"));
    let idiom = ["just", "even", "or", "like", "all"].contains(&previous)
        && ["so", "that", "these"].contains(&last.text.as_str());
    (!ends_in_verb && !idiom).then(|| (last.text.clone(), "an end that hangs in the air".into()))
}

/// Words split by a space, stubs of words, and a last word cut short.
fn fragments(text: &Text, vocabulary: &Vocabulary) -> Option<Damage> {
    let unknown = |word: &Word| word.is_alphabetic() && !vocabulary.knows(&word.text);
    let split = text.words.windows(2).find(|pair| {
        let apart = &text.folded[pair[0].end..pair[1].start] == " ";
        let joined = format!("{}{}", pair[0].text, pair[1].text);
        apart && joined.len() > 3 && (unknown(&pair[0]) || unknown(&pair[1])) && vocabulary.spells(&joined)
    });
    if let Some(pair) = split {
        return Some((format!("{} {}", pair[0].text, pair[1].text), "a word split by a space".into()));
    }
    if let Some(stub) = text.words.iter().find(|word| is_stub(text, word, vocabulary)) {
        return Some((stub.text.clone(), "a stub of a word".into()));
    }
    let last =
        text.words.last().filter(|word| word.letters() > 2 && text.words.len() > 1 && unknown(word))?;
    let whole = vocabulary.completion(&last.text)?;
    Some((last.text.clone(), format!("cut short, perhaps {whole:?}")))
}

fn is_stub(text: &Text, word: &Word, vocabulary: &Vocabulary) -> bool {
    let joined = |c: Option<char>| c.is_some_and(|c| matches!(c, '-' | '&' | '\'' | '.' | '/'));
    let tied = joined(text.folded[..word.start].chars().next_back())
        || joined(text.folded[word.end..].chars().next());
    let vitamin =
        text.folded[..word.start].ends_with("vitamin ") || text.folded[..word.start].ends_with("vitamins ");
    let capital = text.shown.split(|c: char| !c.is_alphanumeric()).any(|shown| {
        shown.chars().next().is_some_and(char::is_uppercase) && shown.to_lowercase() == word.text
    });
    let short = word.letters() < 3 && word.is_alphabetic() && !SHORT.contains(&word.text.as_str());
    short && !tied && !vitamin && !capital && (word.letters() < 2 || !vocabulary.knows(&word.text))
}

/// Words that cannot be said, letters held down, keys rolled over, letters swapped, words run together or reversed.
fn mashed(text: &Text, vocabulary: &Vocabulary) -> Option<Damage> {
    let seen = text.words.iter().find_map(|word| {
        if held_down(&word.text) {
            return Some((word.text.clone(), "a letter or syllable held down"));
        }
        let doubted = word.is_alphabetic() && word.text.is_ascii() && !vocabulary.knows(&word.text);
        let reason = if doubted { mash_of(&word.text, vocabulary)? } else { return None };
        Some((word.text.clone(), reason))
    });
    seen.map(|(word, reason)| (word, reason.to_owned()))
}

fn mash_of(word: &str, vocabulary: &Vocabulary) -> Option<&'static str> {
    let letters: String = word.chars().filter(char::is_ascii_lowercase).collect();
    let vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let longest = |f: &dyn Fn(char) -> bool| letters.split(|c| !f(c)).map(str::len).max().unwrap_or(0);
    if letters.len() > 3 && !letters.contains(vowel) {
        return Some("a word without a vowel");
    }
    if letters.len() > LONGEST_WORD {
        return Some("too long to be a word");
    }
    let strangeness = vocabulary.strangeness(&letters);
    if (longest(&|c| !vowel(c)) > 4 && strangeness > 0.15) || longest(&vowel) > 4 {
        return Some("a word that cannot be said");
    }
    if KEY_RUNS.iter().any(|run| letters.contains(run)) {
        return Some("keys rolled over");
    }
    if letters.len() > 4 && strangeness > 0.4 {
        return Some("a word that cannot be said");
    }
    let reversed = || letters.len() > 4 && vocabulary.is_named(&letters.chars().rev().collect::<String>());
    if letters.len() > 3 && (swapped(&letters, vocabulary) || reversed()) {
        return Some("a word with its letters in the wrong order");
    }
    if letters.len() > 4 && misdoubled(&letters, vocabulary) {
        return Some("a letter doubled or missing");
    }
    (letters.len() > 6 && run_together(&letters, vocabulary, 0)).then_some("words run together")
}

fn held_down(word: &str) -> bool {
    let bytes = word.as_bytes();
    let repeats = |unit: usize, times: usize| {
        let span = unit * times;
        bytes.len() >= span
            && bytes.windows(span).any(|window| window.chunks(unit).all(|chunk| chunk == &window[..unit]))
    };
    bytes.iter().all(u8::is_ascii_alphabetic) && (repeats(1, 3) || repeats(2, 3) || repeats(3, 3))
}

/// Whether two neighbouring letters swapped give the name of a thing.
fn swapped(letters: &str, vocabulary: &Vocabulary) -> bool {
    (1..letters.len() - 1).any(|at| {
        let mut bytes = letters.as_bytes().to_vec();
        bytes.swap(at, at + 1);
        String::from_utf8(bytes).is_ok_and(|word| word != letters && vocabulary.is_named(&word))
    })
}

/// Whether doubling a letter, or undoubling one, gives the name of a thing (`chese`, `tommato`).
fn misdoubled(letters: &str, vocabulary: &Vocabulary) -> bool {
    (0..letters.len()).any(|at| {
        let (head, tail) = letters.split_at(at);
        let Some(letter) = tail.chars().next() else { return false };
        let undoubled = head.ends_with(letter) && vocabulary.is_named(&format!("{head}{}", &tail[1..]));
        undoubled || vocabulary.is_named(&format!("{head}{letter}{tail}"))
    })
}

/// Whether `letters` is three names of things, or one and a joining word, without spaces.
fn run_together(letters: &str, vocabulary: &Vocabulary, weight: usize) -> bool {
    if letters.is_empty() {
        return weight > 2;
    }
    let joins = |text: &str| ["and", "with", "the"].contains(&text);
    (3..=letters.len()).filter(|len| letters.is_char_boundary(*len)).any(|len| {
        let (head, tail) = letters.split_at(len);
        let step = if joins(head) { 2 } else { usize::from(vocabulary.is_named(head)) };
        step > 0 && run_together(tail, vocabulary, weight + step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage(title: &str) -> Option<String> {
        let vocabulary = Vocabulary::new([
            "Coffee creamer",
            "Stone fruit",
            "Deli turkey",
            "Strawberries",
            "Chicken",
            "Milk",
        ]);
        let spelling = Spelling::load().expect("lists");
        spelling.damage(&Text::read(title).expect("short"), &vocabulary).map(|(_, reason)| reason)
    }

    #[test]
    fn every_kind_of_damage_is_seen() {
        for (title, reason) in [
            ("CafÃ© latte drinks", "a broken character encoding"),
            ("â€œCrunchyâ€\u{9d} granola bars", "a broken character encoding"),
            ("Tacos *** burritos and nachos", "stray symbols"),
            ("Bread , milk and eggs", "broken spacing or punctuation"),
            ("(Pancakes)) and syrup", "brackets or quotes that do not pair up"),
            ("Fresh сыр and bread", "a letter of another script"),
            ("Green sAlAd kits", "capitals within a word"),
            ("c0ff33 and milk", "digits within a word"),
            ("Fresh fresh herbs", "a word repeated"),
            ("Pizza night, pizza lunch, pizza", "a word three times over"),
            ("Roast chicken, rolls and", "an end that hangs in the air"),
            ("Summer stone fru it", "a word split by a space"),
            ("Bread bre br with milk", "a stub of a word"),
            ("Sliced ham and turk", "cut short, perhaps \"turkey\""),
            ("Wurst mit bread", "words of another language"),
            ("Chckn and gravy", "a word without a vowel"),
            ("Sooooup and bread", "a letter or syllable held down"),
            ("Chikcen and gravy", "a word with its letters in the wrong order"),
            ("Milkchickenbread dinner", "words run together"),
            ("Milk andbread", "words run together"),
            ("Soupsoupsoupsoupsoupsoupsoup", "too long to be a word"),
            ("Chickken and gravy", "a letter doubled or missing"),
        ] {
            assert_eq!(damage(title).as_deref(), Some(reason), "{title}");
        }
    }

    #[test]
    fn sound_titles_pass() {
        for title in [
            "Mahi mahi with lime",
            "Half & half for coffee",
            "Mac 'n' cheese (family size)",
            "12-pack soda, 2-liter juice",
            "Vitamin C and D3",
            "Crème brûlée at home",
            "Jalapeño poppers",
            "T-bone steaks",
            "McIntosh apples",
            "St. Patrick's stew",
            "Soup worth waiting for",
            "7-grain bread and 100% juice",
            "Chips to dip with",
            "Chili con carne",
            "Bananas and milk",
        ] {
            assert_eq!(damage(title), None, "{title}");
        }
    }
}
