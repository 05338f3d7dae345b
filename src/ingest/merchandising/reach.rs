//! When and for whom something holds: `from`, `to`, `segments`, `audience`; and the `[audiences.NAME]` tables.

use std::collections::BTreeSet;

use super::names::Names;
use super::sheet::{Cell, Fields};
use crate::domain::SegmentId;
use crate::domain::merchandising::{Audience, Bound, NamedAudience, Reach, Trait, Window};

/// The keys that say when and for whom.
pub const KEYS: [&str; 4] = ["from", "to", "segments", "audience"];

const LISTS: [&str; 5] = ["distinctive_aisle", "distinctive_type", "staple", "rising", "segments"];

pub fn reach(names: &Names<'_>, fields: &Fields<'_>) -> Reach {
    let window = window(fields);
    if fields.has("segments") && fields.has("audience") {
        fields.note("give segments or audience, not both; an audience may list segments too");
    }
    if let Some(cell) = fields.get("audience") {
        return audience_of(names, &cell, window);
    }
    let segments = fields.get("segments").and_then(|cell| {
        if cell.is_list() && cell.list()?.is_empty() {
            return cell.bad("segments is empty; remove it to mean every segment");
        }
        Some(segments(names, &cell))
    });
    Reach { window, segments, audience: None }
}

fn window(fields: &Fields<'_>) -> Window {
    let date = |key: &str| fields.get(key).and_then(|cell| cell.date());
    let (from, to) = (date("from"), date("to"));
    if let (Some(first), Some(last)) = (from, to)
        && first > last
    {
        fields.note(format!("from = {first} is after to = {last}; swap them"));
    }
    Window { from, to }
}

fn segments(names: &Names<'_>, cell: &Cell<'_>) -> BTreeSet<SegmentId> {
    let cells = cell.one_or_more().unwrap_or_default();
    cells.iter().filter_map(|cell| names.segment(cell)).collect()
}

/// An audience by its name, or written in place.
fn audience_of(names: &Names<'_>, cell: &Cell<'_>, window: Window) -> Reach {
    if cell.is_text() {
        let named = names.audience(cell);
        let segments = named.map(|named| named.segments.clone());
        return Reach { window, segments, audience: named.map(|named| named.name.clone()) };
    }
    let audience = cell.table().map(|fields| audience(names, &fields));
    Reach { window, segments: audience.map(|audience| included(names, &audience)), audience: None }
}

fn included(names: &Names<'_>, audience: &Audience) -> BTreeSet<SegmentId> {
    let included = names.contexts.iter().filter(|context| audience.includes(context));
    included.map(|context| context.segment_id.clone()).collect()
}

/// The `[audiences.NAME]` tables of the file.
pub fn audiences(names: &Names<'_>, file: &Fields<'_>) -> Vec<NamedAudience> {
    let Some(tables) = file.get("audiences").and_then(|cell| cell.table()) else { return Vec::new() };
    let mut found = Vec::new();
    for name in tables.keys() {
        let Some(fields) = tables.get(name).and_then(|cell| cell.table()) else { continue };
        let audience = audience(names, &fields.at(&format!("audience {name:?}")));
        let segments = included(names, &audience);
        found.push(NamedAudience { name: name.to_owned(), audience, segments });
    }
    found
}

fn audience(names: &Names<'_>, fields: &Fields<'_>) -> Audience {
    let known: Vec<&str> = Trait::ALL.map(Trait::key).into_iter().chain(LISTS).collect();
    fields.know(&known);
    if !known.iter().any(|key| fields.has(key)) {
        fields.note(format!("an audience needs at least one of {}", known.join(", ")));
    }
    let bound = |of: Trait| fields.get(of.key()).and_then(|cell| bound(of, &cell));
    let list = |key: &str, read: &dyn Fn(&Cell<'_>) -> Option<String>| -> Vec<String> {
        let cells = fields.get(key).and_then(|cell| cell.one_or_more()).unwrap_or_default();
        cells.iter().filter_map(read).collect()
    };
    Audience {
        bounds: Trait::ALL.into_iter().filter_map(bound).collect(),
        distinctive_aisles: list("distinctive_aisle", &|cell| names.aisle(cell)),
        distinctive_types: list("distinctive_type", &|cell| names.product_type(cell)),
        staples: list("staple", &|cell| names.product_type(cell)),
        rising: list("rising", &|cell| names.product_type(cell)),
        segments: fields.get("segments").map(|cell| segments(names, &cell)).unwrap_or_default(),
    }
}

/// `{ min = 0.3 }`, `{ max = 2 }` or both.
fn bound(of: Trait, cell: &Cell<'_>) -> Option<Bound> {
    let fields = cell.table()?;
    fields.know(&["min", "max"]);
    let key = of.key();
    let highest = if of.is_share() { 1.0 } else { f32::MAX };
    let number = |end: &str| {
        let cell = fields.get(end)?;
        let number = cell.number()?;
        if (0.0..=highest).contains(&number) {
            return Some(number);
        }
        let range = if of.is_share() { "a share from 0 to 1" } else { "0 or more" };
        cell.bad(format!("{key}: {end} = {number} must be {range}"))
    };
    let (min, max) = (number("min"), number("max"));
    if !fields.has("min") && !fields.has("max") {
        return cell.bad(format!("{key} needs min, max or both"));
    }
    match (min, max) {
        (Some(min), Some(max)) if min > max => {
            cell.bad(format!("{key}: min = {min} is more than max = {max}"))
        }
        _ => Some(Bound { of, min, max }),
    }
}
