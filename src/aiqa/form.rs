//! The outer form of a title: length, case, symbols.

use super::rules::{EMOJI, HIDDEN_CHARACTERS, SHOUTING, TITLE_LENGTH};
use super::text::{Text, is_invisible};
use super::title::Finding;
use super::{Settings, text};

/// Abbreviations that are written in capitals.
const CAPITALS: [&str; 12] =
    ["BBQ", "BLT", "BLTS", "DIY", "IPAS", "ABC", "ABCS", "BYOB", "OJ", "PB&J", "HDMI", "USDA"];

/// The form's findings, at most one a rule.
pub(super) fn check(text: &Text, settings: &Settings) -> Vec<Finding> {
    [length(text, settings), hidden(text), emoji(text), shouting(text)].into_iter().flatten().collect()
}

fn length(text: &Text, settings: &Settings) -> Option<Finding> {
    let chars = text.shown.trim().chars().count();
    let words = text.words.len();
    let reason = if chars < settings.min_title_chars {
        format!("{chars} characters, at least {} are needed", settings.min_title_chars)
    } else if chars > settings.max_title_chars {
        format!("{chars} characters, at most {} are allowed", settings.max_title_chars)
    } else if words > settings.max_title_words {
        format!("{words} words, at most {} are allowed", settings.max_title_words)
    } else {
        return None;
    };
    Some(Finding { rule: TITLE_LENGTH, text: text.shown.clone(), reason })
}

/// A finding about a text too long to be read.
pub(super) fn unread(raw: &str) -> Finding {
    let start: String = raw.chars().take(60).filter(|c| !c.is_control() && !text::is_invisible(*c)).collect();
    Finding { rule: TITLE_LENGTH, text: format!("{start}…"), reason: "too long to be read".into() }
}

fn hidden(text: &Text) -> Option<Finding> {
    let private = |c: char| matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}');
    let found = text.shown.chars().find(|c| c.is_control() || is_invisible(*c) || private(*c))?;
    let text = format!("U+{:04X}", u32::from(found));
    Some(Finding { rule: HIDDEN_CHARACTERS, text, reason: "a control or invisible character".into() })
}

fn emoji(text: &Text) -> Option<Finding> {
    let found = text.shown.chars().find(|c| {
        matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{20e3}'
            | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{25ff}')
    })?;
    Some(Finding { rule: EMOJI, text: found.into(), reason: "an emoji or pictogram".into() })
}

fn shouting(text: &Text) -> Option<Finding> {
    let words: Vec<&str> = text
        .shown
        .split(|c: char| !c.is_alphanumeric() && c != '&')
        .filter(|word| !word.is_empty())
        .collect();
    let loud: Vec<&str> = words.iter().copied().filter(|word| is_loud(word)).collect();
    let shouts = loud.iter().any(|word| word.chars().count() > 4) || loud.len() > 1;
    shouts.then(|| Finding { rule: SHOUTING, text: loud.join(" "), reason: "words in capitals".into() })
}

fn is_loud(word: &str) -> bool {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    letters > 2 && !word.chars().any(char::is_lowercase) && !CAPITALS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(title: &str) -> Vec<&'static str> {
        check(&Text::read(title).expect("short"), &Settings::default())
            .iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn each_form_rule_has_its_cases() {
        assert_eq!(rules("Tacos"), [TITLE_LENGTH]);
        assert_eq!(rules(&"Long pasta ".repeat(9)), [TITLE_LENGTH]);
        assert_eq!(rules("Soft\u{200b} pretzels"), [HIDDEN_CHARACTERS]);
        assert_eq!(rules("Nul\0 pretzels"), [HIDDEN_CHARACTERS]);
        assert_eq!(rules("Pretzels 🥨 and dip"), [EMOJI]);
        assert_eq!(rules("HOT WINGS and dip"), [SHOUTING]);
        assert_eq!(rules("FRESH pretzels"), [SHOUTING]);
        for good in ["BLT fixings: bacon and tomatoes", "BBQ ribs and slaw", "TV dinners, OJ and pies"] {
            assert!(rules(good).is_empty(), "{good}");
        }
    }
}
