//! Lexicons: plain files of words and phrases that a merchandiser can read and extend.
//!
//! A line is a comment (`#`), the heading of a section (`[why it is not allowed]`, the reason of its terms) or a term:
//!
//! | line | meaning |
//! | --- | --- |
//! | `craft beer` | the word or phrase, also in the plural, with hyphens or spaces |
//! | `= save` | exactly this |
//! | `~ \bhalf off\b` | a regular expression over the folded text |
//! | `! root beer` | never counts: taken out before the other terms are looked for |
//! | `!~ \broot \w+` | the same as a regular expression |

use regex::Regex;

use super::AiqaError;
use super::text::{Text, fold};

/// What stands where an exception was taken out; matches no term, so that no phrase bridges the gap.
const GAP: &str = "\u{241f}";

/// A compiled lexicon.
#[derive(Debug)]
pub(super) struct Lexicon {
    sections: Vec<Section>,
    exceptions: Option<Regex>,
}

#[derive(Debug)]
struct Section {
    reason: String,
    terms: Regex,
}

/// The first term found, in order of the file's sections.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    pub text: String,
    pub reason: &'a str,
}

impl Lexicon {
    /// Compiles the file `name`; an error names the file and what is wrong with it.
    pub fn parse(name: &str, source: &str) -> Result<Self, AiqaError> {
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        let mut exceptions = Vec::new();
        for (at, line) in source.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(reason) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push((reason.to_owned(), Vec::new()));
                continue;
            }
            match (Term::parse(line), sections.last_mut()) {
                (Term::Exception(pattern), _) => exceptions.push(pattern),
                (Term::Forbidden(pattern), Some((_, terms))) => terms.push(pattern),
                (Term::Forbidden(_), None) => {
                    let reason = format!("line {}: a term before the first [section]", at + 1);
                    return Err(AiqaError::Lexicon { name: name.to_owned(), reason });
                }
            }
        }
        Self::build(name, sections, &exceptions)
    }

    /// A lexicon of one section.
    pub fn of_terms<'a>(
        name: &str,
        reason: &str,
        terms: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AiqaError> {
        let (mut forbidden, mut exceptions) = (Vec::new(), Vec::new());
        for term in terms {
            match Term::parse(term) {
                Term::Forbidden(pattern) => forbidden.push(pattern),
                Term::Exception(pattern) => exceptions.push(pattern),
            }
        }
        Self::build(name, vec![(reason.to_owned(), forbidden)], &exceptions)
    }

    fn build(
        name: &str,
        sections: Vec<(String, Vec<String>)>,
        exceptions: &[String],
    ) -> Result<Self, AiqaError> {
        let compile = |patterns: &[String]| {
            Regex::new(&patterns.join("|"))
                .map_err(|error| AiqaError::Lexicon { name: name.to_owned(), reason: error.to_string() })
        };
        let sections = sections
            .into_iter()
            .filter(|(_, patterns)| !patterns.is_empty())
            .map(|(reason, patterns)| Ok(Section { reason, terms: compile(&patterns)? }))
            .collect::<Result<_, AiqaError>>()?;
        let exceptions = if exceptions.is_empty() { None } else { Some(compile(exceptions)?) };
        Ok(Self { sections, exceptions })
    }

    /// The first term in `text`; accents count where a pattern spells them (`rosé`), else they do not.
    pub fn find(&self, text: &Text) -> Option<Hit<'_>> {
        let accented = || (text.lower != text.folded).then(|| self.find_in(&text.lower)).flatten();
        self.find_in(&text.folded).or_else(accented)
    }

    fn find_in(&self, view: &str) -> Option<Hit<'_>> {
        let masked = self.exceptions.as_ref().map(|exceptions| exceptions.replace_all(view, GAP));
        let view = masked.as_deref().unwrap_or(view);
        self.sections.iter().find_map(|section| {
            let found = section.terms.find(view)?;
            Some(Hit { text: found.as_str().trim().to_owned(), reason: &section.reason })
        })
    }
}

enum Term {
    Forbidden(String),
    Exception(String),
}

impl Term {
    fn parse(line: &str) -> Self {
        if let Some(rest) = line.strip_prefix("!~") {
            return Self::Exception(rest.trim().to_owned());
        }
        if let Some(rest) = line.strip_prefix('!') {
            return Self::Exception(inflected(rest));
        }
        if let Some(rest) = line.strip_prefix('~') {
            return Self::Forbidden(rest.trim().to_owned());
        }
        match line.strip_prefix('=') {
            Some(rest) => Self::Forbidden(bounded(&spaced(rest))),
            None => Self::Forbidden(inflected(line)),
        }
    }
}

/// Letters and digits as they are; a space is any space or hyphen, a hyphen may be missing, an apostrophe too.
fn spaced(term: &str) -> String {
    fold(term)
        .chars()
        .map(|c| match c {
            ' ' => r"[ \-]+".to_owned(),
            '-' => r"[ \-]?".to_owned(),
            '\'' => "'?".to_owned(),
            c => regex::escape(&c.to_string()),
        })
        .collect()
}

fn bounded(pattern: &str) -> String {
    let edge = |c: Option<char>| if c.is_some_and(char::is_alphanumeric) { r"(?-u:\b)" } else { "" };
    let last = pattern.chars().rev().find(|c| !matches!(c, '?' | ')' | '\''));
    format!("{}{pattern}{}", edge(pattern.chars().next()), edge(last))
}

/// `term` with plural and possessive endings of its last word.
fn inflected(term: &str) -> String {
    let term = term.trim();
    let stem_y = term.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    let (stem, ending) = match stem_y {
        Some(stem) => (stem, "(?:y|ies)"),
        None if term.ends_with(['s', 'x', 'z']) || term.ends_with("ch") || term.ends_with("sh") => {
            (term, "(?:es)?")
        }
        None => (term, "(?:e?s)?"),
    };
    if !term.ends_with(char::is_alphanumeric) {
        return bounded(&spaced(term));
    }
    bounded(&format!("{}{ending}(?:'s?)?", spaced(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon(source: &str) -> Lexicon {
        Lexicon::parse("test", source).expect("lexicon")
    }

    fn hit(lexicon: &Lexicon, title: &str) -> Option<String> {
        lexicon.find(&Text::read(title).expect("short")).map(|hit| hit.text)
    }

    #[test]
    fn terms_bend_for_plurals_hyphens_and_accents() {
        let lexicon = lexicon("[why]\ncraft beer\nberry\n= save\nbeyonce\n~ \\brosés?\\b\n! root berry\n");
        for (title, found) in [
            ("Craft beers", Some("craft beers")),
            ("Craft-beer night", Some("craft-beer")),
            ("Berries", Some("berries")),
            ("Saves", None),
            ("Save", Some("save")),
            ("Beyoncé's picks", Some("beyonce's")),
            ("Rosé brunch", Some("rosé")),
            ("Rose bouquet", None),
            ("Root berries", None),
            ("Raspberry", None),
        ] {
            assert_eq!(hit(&lexicon, title).as_deref(), found, "{title}");
        }
    }

    #[test]
    fn an_exception_leaves_no_bridge() {
        let lexicon = lexicon("[why]\nbeer pong\n! root\n");
        assert_eq!(hit(&lexicon, "beer root pong"), None);
    }

    #[test]
    fn a_broken_lexicon_says_where() {
        let error = Lexicon::parse("price.txt", "save\n").expect_err("no section");
        assert!(error.to_string().contains("price.txt"), "{error}");
        assert!(Lexicon::parse("price.txt", "[x]\n~ (\n").is_err());
    }
}
