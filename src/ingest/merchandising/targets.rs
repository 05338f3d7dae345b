//! Selectors (`{ aisle = "Wine", brand = ["Oak", "Elm"], price = { max = 10 } }`) → [`Target`].

use super::names::Names;
use super::sheet::{Cell, Fields};
use crate::domain::merchandising::{PriceRange, Target};

/// The keys that say which products; several together narrow, several values of one widen.
pub const KEYS: [&str; 8] =
    ["product", "type", "aisle", "department", "brand", "tag", "private_label", "price"];

/// Highest price a range may name, store currency.
const MAX_PRICE: f32 = 1_000_000.0;

/// The products that `fields` select, its other keys aside.
pub fn target(names: &Names<'_>, fields: &Fields<'_>) -> Option<Target> {
    let given: Vec<Cell<'_>> = KEYS.into_iter().filter_map(|key| fields.get(key)).collect();
    if given.is_empty() {
        let keys = KEYS.join(", ").replace("private_label", "private_label = true");
        fields.note(format!("name the products by at least one of {keys}"));
        return None;
    }
    let parts: Vec<Option<Target>> = given.iter().map(|cell| part(names, cell)).collect();
    joined(parts.into_iter().collect::<Option<Vec<_>>>()?, Target::All)
}

/// A selector, or one of its parts.
fn joined(mut parts: Vec<Target>, more: impl Fn(Vec<Target>) -> Target) -> Option<Target> {
    if parts.len() > 1 { Some(more(parts)) } else { parts.pop() }
}

fn part(names: &Names<'_>, cell: &Cell<'_>) -> Option<Target> {
    match cell.key() {
        "private_label" => match cell.flag()? {
            true => Some(Target::PrivateLabel),
            false => cell.bad("private_label = false selects nothing; leave it out, or name the brands"),
        },
        "price" => price(&cell.table()?).map(Target::Price),
        _ => {
            let items = cell.one_or_more()?;
            let items: Vec<Option<Target>> = items.iter().map(|item| named(names, item)).collect();
            joined(items.into_iter().collect::<Option<Vec<_>>>()?, Target::Any)
        }
    }
}

fn named(names: &Names<'_>, cell: &Cell<'_>) -> Option<Target> {
    match cell.key() {
        "product" => names.product(cell).map(Target::Product),
        "type" => names.product_type(cell).map(Target::Type),
        "aisle" => names.aisle(cell).map(Target::Aisle),
        "department" => names.department(cell).map(Target::Department),
        "brand" => names.brand(cell).map(Target::Brand),
        _ => names.tag(cell).map(Target::Tag),
    }
}

fn price(fields: &Fields<'_>) -> Option<PriceRange> {
    fields.know(&["min", "max"]);
    let cents = |cell: Cell<'_>| {
        let price = cell.number()?;
        if (0.0..=MAX_PRICE).contains(&price) {
            return Some((f64::from(price) * 100.0).round() as u32);
        }
        cell.bad(format!("price: {} = {price} must be within 0 and {MAX_PRICE}", cell.key()))
    };
    let (min, max) = (fields.get("min").and_then(cents), fields.get("max").and_then(cents));
    match (min, max) {
        (Some(min), Some(max)) if min > max => fields.note("price: min is more than max; swap them"),
        _ if !fields.has("min") && !fields.has("max") => fields.note("price needs min, max or both"),
        _ => return Some(PriceRange { min, max }),
    }
    None
}
