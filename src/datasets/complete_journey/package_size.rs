//! Package sizes as a shopper reads them ("22 LB" → "22 lb"), and what is not one dropped.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A number: `12`, `10.75`, `.5`, `1/2`, `10 3/4`.
const AMOUNT: &str = r"\d+ \d/\d+|\d/\d{1,2}|\d*\.\d+|\d+";
const UNIT: &str =
    "FL OZ|OZS?|LBS?|CT|ML|L|PK|PC|PT|QT|GAL?|IN|FT|SQ FT|STEMS?|LOADS?|LDS?|DZ|DOZ|ROLLS?|GM?|CM|YD";

/// `12 OZ`, `12 PK/12 OZ`, `6/11.2 OZ`; a code of one to three letters before it means nothing to a shopper.
static SIZE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r"^(?:[A-Z]{{1,3}} )?(?:(?P<count>\d+) ?/ ?(?P<each>{AMOUNT}) ?(?P<each_unit>{UNIT})|(?P<first>{AMOUNT}) ?(?P<first_unit>{UNIT})(?: ?/ ?(?P<second>{AMOUNT}) ?(?P<second_unit>{UNIT}))?)$"
    );
    Regex::new(&pattern).expect("the pattern above is a constant")
});

/// A number above this is an article code that strayed into the column.
const MAX_AMOUNT: f64 = 5_000.0;

/// The size, or `None` where the source's text says nothing to a shopper.
pub fn package_size(source: &str) -> Option<String> {
    let text = source.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(word) = word(&text) {
        return Some(word.into());
    }
    let found = SIZE.captures(&text)?;
    let measure = |amount: &str, unit: &str| measure(&found, amount, unit);
    if let Some(count) = found.name("count") {
        // 1/2 GAL is half a gallon, 6/11.2 OZ is six times 11.2 oz.
        let (each, unit) = (found.name("each")?.as_str(), found.name("each_unit")?.as_str());
        let fraction =
            matches!((count.as_str(), each), ("1", "2" | "3" | "4" | "8") | ("2", "3") | ("3", "4"));
        return match fraction {
            true => Some(format!("{}/{each} {}", count.as_str(), unit_name(unit))),
            false => Some(format!("{} × {}", amount_text(count.as_str())?, measure("each", "each_unit")?)),
        };
    }
    let first = measure("first", "first_unit")?;
    match found.name("second") {
        Some(_) => Some(format!("{first} / {}", measure("second", "second_unit")?)),
        None => Some(first),
    }
}

fn measure(found: &Captures<'_>, amount: &str, unit: &str) -> Option<String> {
    Some(format!("{} {}", amount_text(found.name(amount)?.as_str())?, unit_name(found.name(unit)?.as_str())))
}

/// The number as written, with a zero before a leading point; `None` for zero and for article codes.
fn amount_text(amount: &str) -> Option<String> {
    let text = if amount.starts_with('.') { format!("0{amount}") } else { amount.to_owned() };
    let believable = match text.parse::<f64>() {
        Ok(value) => value > 0.0 && value <= MAX_AMOUNT,
        Err(_) => !text.contains("/0") && !text.starts_with("0/"),
    };
    believable.then_some(text)
}

fn unit_name(unit: &str) -> &'static str {
    match unit {
        "FL OZ" => "fl oz",
        "OZ" | "OZS" => "oz",
        "LB" | "LBS" => "lb",
        "CT" => "ct",
        "ML" => "ml",
        "L" => "l",
        "PK" => "pk",
        "PC" => "pc",
        "PT" => "pt",
        "QT" => "qt",
        "GA" | "GAL" => "gal",
        "IN" => "in",
        "FT" => "ft",
        "SQ FT" => "sq ft",
        "STEM" | "STEMS" => "stems",
        "LOAD" | "LOADS" | "LD" | "LDS" => "loads",
        "DZ" | "DOZ" => "dozen",
        "ROLL" | "ROLLS" => "rolls",
        "CM" => "cm",
        "YD" => "yd",
        _ => "g",
    }
}

fn word(text: &str) -> Option<&'static str> {
    Some(match text {
        "GAL" => "1 gal",
        "HALF GAL" => "1/2 gal",
        "QT" => "1 qt",
        "PT" => "1 pt",
        "LB" => "1 lb",
        "DZ" | "DOZ" => "1 dozen",
        "LARGE" => "large",
        "MED" | "MEDIUM" => "medium",
        "SMALL" => "small",
        "MINI" => "mini",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::package_size;

    /// Left: texts of the source's products.parquet.
    #[test]
    fn sizes_of_the_source() {
        for (source, expected) in [
            ("22 LB", "22 lb"),
            ("14   OZ", "14 oz"),
            (".5 OZ", "0.5 oz"),
            ("10 3/4 OZ", "10 3/4 oz"),
            ("1/2 GAL", "1/2 gal"),
            ("6/11.2 OZ", "6 × 11.2 oz"),
            ("12 PK/12 OZ", "12 pk / 12 oz"),
            ("12 CT/21 OZ", "12 ct / 21 oz"),
            ("P 16 OZ", "16 oz"),
            ("6 STEM", "6 stems"),
            ("1 GA", "1 gal"),
            ("GAL", "1 gal"),
            ("LARGE", "large"),
        ] {
            assert_eq!(package_size(source).as_deref(), Some(expected), "{source}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_dropped() {
        for source in ["", "CTN", "KIT/EACH", "12730850 CT", "8 PLS2 OZ", "CELL PK", "0 OZ", "9 OZ <b>"] {
            assert_eq!(package_size(source), None, "{source}");
        }
    }
}
