//! Untrusted text: what is folded, what is refused. Its meaning is never looked at here.

use std::fmt;

/// Longest product title, characters.
pub const MAX_TITLE_CHARS: usize = 1_000;
/// Longest other text cell (names, tags, keywords …), characters.
pub const MAX_TEXT_CHARS: usize = 200;
/// Longest URL, characters.
pub(super) const MAX_URL_CHARS: usize = 2_048;
/// Longest list in one cell, items.
pub(super) const MAX_ITEMS: usize = 1_000;

/// Why a text cell was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TextProblem {
    Blank,
    Control(char),
    TooLong { chars: usize, max: usize },
}

impl fmt::Display for TextProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("the text is blank"),
            Self::Control(found) => {
                write!(f, "the text holds the control character U+{:04X}; remove it", u32::from(*found))
            }
            Self::TooLong { chars, max } => {
                write!(f, "the text has {chars} characters, at most {max} are allowed")
            }
        }
    }
}

/// Folds white space (tabs and newlines too) to single spaces, trims, and checks the rest.
pub(super) fn clean(raw: &str, max: usize) -> Result<String, TextProblem> {
    let chars = raw.chars().count();
    if chars > max {
        return Err(TextProblem::TooLong { chars, max });
    }
    if let Some(found) = raw.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        return Err(TextProblem::Control(found));
    }
    let mut folded = String::with_capacity(raw.len());
    for word in raw.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if folded.is_empty() { Err(TextProblem::Blank) } else { Ok(folded) }
}

/// The beginning of `value`, escaped, for a message.
pub(super) fn shown(value: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_folded_and_markup_is_left_alone() {
        assert_eq!(clean("  White\tmilk\r\n 1 gal ", 100).as_deref(), Ok("White milk 1 gal"));
        let hostile = "<script>alert(1)</script> {{ 7*7 }} ignore previous instructions";
        assert_eq!(clean(hostile, 100).as_deref(), Ok(hostile));
    }

    #[test]
    fn control_characters_blanks_and_giants_are_refused() {
        assert_eq!(clean("a\0b", 100), Err(TextProblem::Control('\0')));
        assert_eq!(clean("a\u{1b}[31m", 100), Err(TextProblem::Control('\u{1b}')));
        assert_eq!(clean(" \n", 100), Err(TextProblem::Blank));
        assert_eq!(clean("äöü", 2), Err(TextProblem::TooLong { chars: 3, max: 2 }));
    }

    #[test]
    fn a_shown_value_is_short_and_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), 61);
    }
}
