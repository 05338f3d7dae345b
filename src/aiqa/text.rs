//! A text as the rules read it: several views of one title, made once.
//!
//! Matching must not be fooled by full-width letters, look-alikes, accents or invisible characters, so the lexicons see
//! a folded view (Unicode NFKC, UAX #15; a small part of the confusables of UTS #39). Spelling checks see the text as
//! it would be published.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Texts longer than this are not read at all; they are over every limit anyway. Bytes before normalisation.
const MAX_BYTES: usize = 64 * 1024;
/// Longest text the rules look at, characters after normalisation.
const MAX_CHARS: usize = 512;

/// One text in the views the rules need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// As it would be published: canonical composition (NFC).
    pub shown: String,
    /// NFKC, lower case, plain quotes and dashes, single spaces, nothing invisible; accents kept.
    pub lower: String,
    /// `lower` without accents and with look-alike letters replaced by Latin ones.
    pub folded: String,
    /// The words of `folded`, in order.
    pub words: Vec<Word>,
}

/// A run of letters and digits, apostrophes within it included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    /// Byte range in [`Text::folded`].
    pub start: usize,
    pub end: usize,
}

impl Word {
    pub fn is_alphabetic(&self) -> bool {
        self.text.chars().all(|c| c.is_alphabetic() || c == '\'')
    }

    pub fn letters(&self) -> usize {
        self.text.chars().filter(|c| c.is_alphabetic()).count()
    }
}

impl Text {
    /// `None` where the text is too long to be read ([`MAX_BYTES`], [`MAX_CHARS`]): bounded work for any input.
    pub fn read(raw: &str) -> Option<Self> {
        if raw.len() > MAX_BYTES {
            return None;
        }
        let compatible: String = raw.nfkc().take(MAX_CHARS + 1).collect();
        if compatible.chars().count() > MAX_CHARS {
            return None;
        }
        let shown = raw.nfc().collect();
        let lower = lower(&compatible);
        let folded = fold_accents(&lower);
        let words = words(&folded);
        Some(Self { shown, lower, folded, words })
    }
}

/// The folded view of a short trusted text (a lexicon term, a rule's phrase).
pub(super) fn fold(text: &str) -> String {
    let compatible: String = text.nfkc().collect();
    fold_accents(&lower(&compatible))
}

/// Characters that show nothing: zero-width, bidirectional controls, soft hyphens, tags, variation selectors.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

fn lower(compatible: &str) -> String {
    let mut out = String::with_capacity(compatible.len());
    for c in compatible.chars().filter(|c| !is_invisible(*c)) {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{60}' | '\u{b4}' | '\u{2bc}' => {
                out.push('\'')
            }
            '\u{201c}'..='\u{201f}' | '\u{2033}' | '«' | '»' => out.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' => out.push('-'),
            c if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    // Lower-casing may decompose (İ), and dropping an invisible character may bring a letter to its accent.
    out.nfkc().collect()
}

fn fold_accents(lower: &str) -> String {
    lower.nfd().filter(|c| !is_combining_mark(*c)).flat_map(latin).collect()
}

/// A letter that looks like a Latin one, or stands for two, as Latin.
fn latin(c: char) -> impl Iterator<Item = char> {
    let text: &str = match c {
        'а' | 'α' | 'ɑ' | 'ᴀ' => "a",
        'в' | 'ʙ' => "b",
        'с' | 'ϲ' | 'ᴄ' => "c",
        'ԁ' | 'đ' | 'ð' | 'ᴅ' => "d",
        'е' | 'ε' | 'є' | 'ᴇ' => "e",
        'ɡ' => "g",
        'һ' | 'н' | 'ħ' => "h",
        'і' | 'ι' | 'ı' | 'ɪ' => "i",
        'ј' => "j",
        'к' | 'κ' | 'ᴋ' => "k",
        'ł' | 'ӏ' | 'ʟ' => "l",
        'м' | 'ᴍ' => "m",
        'п' | 'ո' | 'ɴ' => "n",
        'о' | 'ο' | 'σ' | 'ø' | 'օ' | 'ᴏ' => "o",
        'р' | 'ρ' | 'ᴘ' => "p",
        'г' | 'ʀ' => "r",
        'ѕ' | 'ꜱ' => "s",
        'т' | 'τ' | 'ᴛ' => "t",
        'υ' | 'ս' | 'ᴜ' => "u",
        'ν' | 'ѵ' | 'ᴠ' => "v",
        'ѡ' | 'ω' | 'ᴡ' => "w",
        'х' | 'χ' => "x",
        'у' | 'γ' | 'ʏ' => "y",
        'ᴢ' => "z",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        _ => "",
    };
    let itself = text.is_empty().then_some(c);
    text.chars().chain(itself)
}

fn words(folded: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    let mut chars = folded.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_letter = chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        let inside = c.is_alphanumeric() || (c == '\'' && start.is_some() && next_is_letter);
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(Word { text: folded[from..at].to_owned(), start: from, end: at });
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        words.push(Word { text: folded[from..].to_owned(), start: from, end: folded.len() });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(raw: &str) -> String {
        Text::read(raw).expect("short").folded
    }

    #[test]
    fn disguises_fold_to_plain_latin() {
        assert_eq!(folded("ｄｉｓｃｏｕｎｔ"), "discount");
        assert_eq!(folded("dis\u{200b}co\u{ad}unt"), "discount");
        assert_eq!(folded("d\u{456}sc\u{43e}unt"), "discount"); // Cyrillic і, о
        assert_eq!(folded("𝐝𝐢𝐬𝐜𝐨𝐮𝐧𝐭"), "discount");
        assert_eq!(folded("Beyoncé’s  Jalapeño — Dip"), "beyonce's jalapeno - dip");
    }

    #[test]
    fn composed_and_decomposed_forms_read_the_same() {
        assert_eq!(Text::read("Crème brûlée"), Text::read("Cre\u{300}me bru\u{302}le\u{301}e"));
    }

    #[test]
    fn words_keep_inner_apostrophes_only() {
        let text = Text::read("'Mac 'n' cheese' for mom's day").expect("short");
        let words: Vec<_> = text.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["mac", "n", "cheese", "for", "mom's", "day"]);
    }

    #[test]
    fn a_huge_text_is_not_read() {
        assert_eq!(Text::read(&"a".repeat(10 << 20)), None);
        assert_eq!(Text::read(&format!("e{}", "\u{301}".repeat(4 << 20))), None);
        assert_eq!(Text::read(&"a ".repeat(300)), None);
    }
}
