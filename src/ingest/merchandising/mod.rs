//! `merchandising.toml` → [`Merchandising`]: names looked up, positions made 0-based, contradictions refused.
//!
//! ```toml
//! objective = "engagement"     # or basket-building, discovery, private-label, seasonal
//! known_tags = ["tobacco"]     # tags rules may name although no product carries them tonight
//!
//! [page]
//! placements = 6
//! products_per_placement = 8
//! min_products = 4
//!
//! [[campaign]]
//! name = "Holiday baking"
//! from = 2017-11-06            # first and last day, both optional
//! to = 2017-12-24
//! feature = ["Baking supplies", "Butter"]   # aisles, product types or product ids
//! position = 1                 # counted from 1; optional
//!
//! [[rule]]                     # exactly one action a rule
//! id = "less-hardware"
//! bury = { aisle = "Hardware", factor = 0.5 }
//! segments = ["seg-001"]       # optional, as are from, to and sentence (words for the model)
//! ```
//!
//! Actions: `pin = { product, position }`, `boost`/`bury = { …, factor }`, `block = { … }`,
//! `quota = { …, scope, min, max }`, `forbid_tags`, `banned_phrases`, `campaign_first = true`, where `…` is one of
//! `product`, `type`, `aisle`, `tag` and `private_label = true`.

mod contradictions;
mod names;
mod raw;
mod rules;

use chrono::NaiveDate;

use super::IngestError;
use super::text::{MAX_TEXT_CHARS, clean};
use crate::domain::merchandising::{Campaign, Merchandising, PageShape, Window};
use crate::domain::{Catalog, SegmentId};
use names::Names;
use raw::{RawCampaign, RawFile, RawPage};

/// Largest page: placements, and products in one of them.
const MAX_PLACEMENTS: usize = 12;
const MAX_PRODUCTS: usize = 50;

/// Reads `text`, the content of `file_name`, against tonight's catalogue and segments.
pub fn merchandising(
    text: &str,
    file_name: &str,
    catalog: &Catalog,
    segments: &[SegmentId],
) -> Result<Merchandising, IngestError> {
    let file: RawFile = toml::from_str(text).map_err(|error| IngestError::Syntax {
        file: file_name.into(),
        message: error.to_string().trim_end().into(),
    })?;
    let names = Names::new(file_name, catalog, segments, &file.known_tags);
    let page = page(&names, &file.page)?;
    let campaigns = campaigns(&names, &file.campaigns, page)?;
    let rules = rules::rules(&names, &file.rules, page)?;
    contradictions::check(&names, &rules, catalog)?;
    Ok(Merchandising { page, objective: file.objective, campaigns, rules })
}

fn page(names: &Names<'_>, raw: &RawPage) -> Result<PageShape, IngestError> {
    let RawPage { placements, products_per_placement, min_products } = *raw;
    let limits = [
        ("placements", placements, MAX_PLACEMENTS),
        ("products_per_placement", products_per_placement, MAX_PRODUCTS),
        ("min_products", min_products, products_per_placement),
    ];
    for (key, value, max) in limits {
        if !(1..=max).contains(&value) {
            return Err(names.invalid("[page]", format!("{key} = {value} must be within 1..={max}")));
        }
    }
    Ok(PageShape { placements, products_per_placement, min_products })
}

fn campaigns(names: &Names<'_>, raw: &[RawCampaign], page: PageShape) -> Result<Vec<Campaign>, IngestError> {
    let mut campaigns: Vec<Campaign> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let name = text(names, &format!("campaign {}", at + 1), "name", &raw.name)?;
        let place = format!("campaign {name:?}");
        if campaigns.iter().any(|earlier| earlier.name == name) {
            return Err(names.invalid(&place, "another campaign has this name"));
        }
        if raw.feature.is_empty() {
            return Err(names.invalid(&place, "feature is empty; list at least one aisle or product type"));
        }
        campaigns.push(Campaign {
            window: window(names, &place, raw.from, raw.to)?,
            feature: raw.feature.iter().map(|name| names.feature(&place, name)).collect::<Result<_, _>>()?,
            position: raw
                .position
                .map(|position| self::position(names, &place, position, page))
                .transpose()?,
            name,
        });
    }
    Ok(campaigns)
}

/// A position of the file, counted from 1, as the domain's, counted from 0.
fn position(names: &Names<'_>, place: &str, written: usize, page: PageShape) -> Result<usize, IngestError> {
    if (1..=page.placements).contains(&written) {
        return Ok(written - 1);
    }
    let problem =
        format!("position = {written} is not on the page; its positions are 1 to {}", page.placements);
    Err(names.invalid(place, problem))
}

fn window(
    names: &Names<'_>,
    place: &str,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Window, IngestError> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(names.invalid(place, format!("from = {from} is after to = {to}; swap them")))
        }
        _ => Ok(Window { from, to }),
    }
}

fn text(names: &Names<'_>, place: &str, key: &str, written: &str) -> Result<String, IngestError> {
    clean(written, MAX_TEXT_CHARS).map_err(|problem| names.invalid(place, format!("{key}: {problem}")))
}
