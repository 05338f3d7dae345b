//! The file as it is written: values with their places, and every mistake found in them.
//!
//! Reading never stops at a mistake: it is noted with its line and column, and the value counts as absent.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use chrono::NaiveDate;
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::text::{MAX_TEXT_CHARS, clean};
use super::names::nearest;

/// Something wrong in `merchandising.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
    /// The table it stands in (`rule "no-wine"`); empty for the file itself.
    pub place: String,
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.problem)
    }
}

/// The text and what was found wrong in it so far.
pub struct Sheet<'t> {
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Sheet<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, mistakes: RefCell::default() }
    }

    /// Notes a mistake at the byte `offset`.
    pub fn note(&self, offset: usize, place: &str, problem: impl Into<String>) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.mistakes.borrow_mut().push(Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            place: place.to_owned(),
            problem: problem.into(),
        });
    }

    /// Every mistake, in order of place. Where the text is no TOML, what the rest of that line seems to say does not
    /// count.
    pub fn finish(self, syntax: &[usize]) -> Vec<Mistake> {
        let broken: Vec<usize> =
            self.mistakes.borrow().iter().take(syntax.len()).map(|one| one.line).collect();
        let mut mistakes = self.mistakes.into_inner();
        let mut at = 0;
        mistakes.retain(|one| {
            at += 1;
            at <= syntax.len() || !broken.contains(&one.line)
        });
        mistakes.sort_by(|a, b| (a.line, a.column, &a.problem).cmp(&(b.line, b.column, &b.problem)));
        mistakes.dedup();
        mistakes
    }
}

/// A table of the file.
#[derive(Clone)]
pub struct Fields<'s> {
    sheet: &'s Sheet<'s>,
    place: Rc<str>,
    offset: usize,
    table: &'s DeTable<'s>,
}

impl<'s> Fields<'s> {
    pub fn of_file(sheet: &'s Sheet<'s>, table: &'s DeTable<'s>) -> Self {
        Self { sheet, place: "".into(), offset: 0, table }
    }

    /// The same under another name.
    pub fn at(&self, place: &str) -> Self {
        Self { place: place.into(), ..self.clone() }
    }

    pub fn note(&self, problem: impl Into<String>) {
        self.sheet.note(self.offset, &self.place, problem);
    }

    /// Notes every key that is not one of `known`.
    pub fn know(&self, known: &[&str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name: &str = key.get_ref();
            let near = nearest(name, known.iter().copied());
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let problem = format!("there is no key {name:?}{near} (expected one of {})", known.join(", "));
            self.sheet.note(key.span().start, &self.place, problem);
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub fn keys(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    pub fn get(&self, key: &str) -> Option<Cell<'s>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Cell::new(self.sheet, &self.place, key.get_ref(), value))
    }

    /// A key that must be there.
    pub fn need(&self, key: &str) -> Option<Cell<'s>> {
        let found = self.get(key);
        if found.is_none() {
            self.note(format!("{key} is missing"));
        }
        found
    }

    /// The tables of `[[key]]`; none where there is no such key.
    pub fn tables(&self, key: &str) -> Vec<Self> {
        let cells = self.get(key).and_then(|cell| cell.list()).unwrap_or_default();
        cells.iter().filter_map(Cell::table).collect()
    }
}

/// A value of the file.
#[derive(Clone)]
pub struct Cell<'s> {
    sheet: &'s Sheet<'s>,
    place: Rc<str>,
    key: &'s str,
    value: &'s DeValue<'s>,
    offset: usize,
}

impl<'s> Cell<'s> {
    fn new(sheet: &'s Sheet<'s>, place: &Rc<str>, key: &'s str, value: &'s Spanned<DeValue<'s>>) -> Self {
        let Range { start: offset, .. } = value.span();
        Self { sheet, place: Rc::clone(place), key, value: value.get_ref(), offset }
    }

    pub fn key(&self) -> &'s str {
        self.key
    }

    /// Notes what is wrong with it.
    pub fn note(&self, problem: impl Into<String>) {
        self.sheet.note(self.offset, &self.place, problem);
    }

    /// The same, for want of a value.
    pub fn bad<T>(&self, problem: impl Into<String>) -> Option<T> {
        self.note(problem);
        None
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.bad(format!("{} must be {what}, not {}", self.key, kind(self.value)))
    }

    pub fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub fn text(&self) -> Option<&'s str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.expected("a text"),
        }
    }

    /// A text of reasonable length, white space folded.
    pub fn clean(&self) -> Option<String> {
        match clean(self.text()?, MAX_TEXT_CHARS) {
            Ok(text) => Some(text),
            Err(problem) => self.bad(format!("{}: {problem}", self.key)),
        }
    }

    pub fn flag(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.expected("true or false"),
        }
    }

    pub fn count(&self) -> Option<usize> {
        let DeValue::Integer(number) = self.value else { return self.expected("a whole number") };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        match parsed.and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.bad(format!("{} = {number} must be a whole number from 0", self.key)),
        }
    }

    /// Any number; not-a-number and infinity are left to the caller.
    pub fn number(&self) -> Option<f32> {
        let parsed = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f32)
            }
            _ => return self.expected("a number"),
        };
        parsed.or_else(|| self.expected("a number"))
    }

    /// A day, as a TOML date (`2017-11-06`) or the same in quotes.
    pub fn date(&self) -> Option<NaiveDate> {
        let text = match self.value {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => return self.expected("a date such as 2017-11-06"),
        };
        let date = text.parse().ok();
        date.or_else(|| self.bad(format!("{}: {text:?} is not a date such as 2017-11-06", self.key)))
    }

    pub fn list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else { return self.expected("a list") };
        Some(items.iter().map(|item| Self::new(self.sheet, &self.place, self.key, item)).collect())
    }

    /// A list with something in it.
    pub fn filled_list(&self) -> Option<Vec<Self>> {
        let list = self.list()?;
        if list.is_empty() { self.bad(format!("{} is empty", self.key)) } else { Some(list) }
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub fn one_or_more(&self) -> Option<Vec<Self>> {
        if self.is_list() { self.filled_list() } else { Some(vec![self.clone()]) }
    }

    pub fn table(&self) -> Option<Fields<'s>> {
        let DeValue::Table(table) = self.value else { return self.expected("a table") };
        let (sheet, place, offset) = (self.sheet, Rc::clone(&self.place), self.offset);
        Some(Fields { sheet, place, offset, table })
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
