//! Values of a segment's demographics, and whether a text gives one away (QA-2).
//!
//! A value is matched as a whole ("45-54", "2 Adults No Kids", "100-124K"), and so is each part that tells something by
//! itself ("2 adults", "no kids"). A bare number or fraction tells nothing, nor does a single word that the shop uses
//! for its goods ("White" and white bread).

use std::collections::BTreeMap;

use super::text::{Text, fold};
use super::vocabulary::{Vocabulary, singular};

const NUMBERS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// The first demographic that `text` gives away: its name and value.
pub(super) fn revealed<'a>(
    text: &Text,
    demographics: &'a BTreeMap<String, String>,
    vocabulary: &Vocabulary,
) -> Option<(&'a str, &'a str)> {
    if demographics.is_empty() {
        return None;
    }
    let title = tokens(&text.folded);
    demographics.iter().find_map(|(name, value)| {
        let value_tokens = tokens(&fold(value));
        let told = telling(&value_tokens, vocabulary);
        let open_ended = open_ended(value).is_some_and(|age| opens_at(&title, &text.folded, &age));
        let found =
            open_ended || told.iter().any(|part| title.windows(part.len()).any(|window| window == *part));
        found.then_some((name.as_str(), value.as_str()))
    })
}

/// The parts of a value that tell something by themselves.
fn telling<'a>(value: &'a [String], vocabulary: &Vocabulary) -> Vec<&'a [String]> {
    let number = |token: &String| token.bytes().all(|byte| byte.is_ascii_digit());
    let fraction =
        value.first().is_some_and(|first| first == "0" || first == "1") && value.iter().all(number);
    match value {
        [] => Vec::new(),
        [word] => {
            let tells = word.chars().count() > 2 && !number(word) && !vocabulary.uses(word);
            if tells { vec![value] } else { Vec::new() }
        }
        _ if fraction => Vec::new(),
        _ => {
            let counted = |pair: &&[String]| (number(&pair[0]) || pair[0] == "no") && !number(&pair[1]);
            std::iter::once(value).chain(value.windows(2).filter(counted)).collect()
        }
    }
}

/// The number of "65+" or "250K+".
fn open_ended(value: &str) -> Option<String> {
    let number = value.trim().strip_suffix('+')?;
    tokens(&fold(number)).into_iter().next().filter(|token| token.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a title says "65+", "65 and over", "over 65".
fn opens_at(title: &[String], folded: &str, number: &str) -> bool {
    let beside = |word: &String| {
        ["over", "older", "plus", "up", "above", "past", "beyond", "better"].contains(&word.as_str())
    };
    folded.contains(&format!("{number}+"))
        || folded.contains(&format!("{number}k+"))
        || title
            .windows(2)
            .any(|pair| (pair[0] == number && beside(&pair[1])) || (beside(&pair[0]) && pair[1] == number))
}

/// Words and numbers, singular, number words as digits, "k" of thousands dropped, joining words left out.
fn tokens(folded: &str) -> Vec<String> {
    folded
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|token| !token.is_empty() && !["to", "and", "through", "or", "between"].contains(token))
        .map(|token| {
            let thousands = token
                .strip_suffix('k')
                .filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()) && !rest.is_empty());
            let number = NUMBERS.iter().position(|word| *word == token).map(|number| number.to_string());
            number.unwrap_or_else(|| thousands.map_or_else(|| singular(token), str::to_owned))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gives_away(title: &str, value: &str) -> bool {
        let vocabulary = Vocabulary::new(["White bread", "Kids cereal"]);
        let demographics = BTreeMap::from([("any".to_owned(), value.to_owned())]);
        revealed(&Text::read(title).expect("short"), &demographics, &vocabulary).is_some()
    }

    #[test]
    fn whole_values_and_telling_parts_are_seen() {
        for (title, value) in [
            ("Dinners for ages 45 to 54", "45-54"),
            ("Steak for the 45–54 crowd", "45-54"),
            ("Suppers for two adults", "2 Adults No Kids"),
            ("Quiet dinners, no kids", "2 Adults No Kids"),
            ("Treats on $100k to 124k", "100-124K"),
            ("Living on under 15k", "Under 15K"),
            ("Soups for 65 and over", "65+"),
            ("Soups, 65+", "65+"),
            ("Widowed and hungry", "Widowed"),
        ] {
            assert!(gives_away(title, value), "{title} / {value}");
        }
    }

    #[test]
    fn digits_fractions_and_shop_words_tell_nothing() {
        for (title, value) in [
            ("15 fast suppers", "0.15"),
            ("White bread and butter", "White"),
            ("Kids cereal and milk", "2 Adults Kids"),
            ("4 ways with eggs", "4"),
            ("Two-bean chili", "2 Adults No Kids"),
            ("Half and half", "0.0"),
            ("65-percent cocoa bars", "65+"),
        ] {
            assert!(!gives_away(title, value), "{title} / {value}");
        }
    }
}
