//! `merchandising.toml` → [`Merchandising`]: names looked up, audiences resolved to segments, positions made 0-based.
//!
//! `docs/merchandising.md` has every key. All mistakes of a file are found in one reading, each with its line and
//! column. Whether rules can hold together is another question, which [`crate::fuse::survey`] answers.

mod names;
mod reach;
mod rules;
mod sheet;
mod targets;

use toml::de::DeTable;

use super::IngestError;
use crate::domain::merchandising::{Campaign, DatedGoal, Goal, Merchandising, Objective, PageShape, Target};
use crate::domain::{Catalog, SegmentContext};
use names::{Names, nearest};
use sheet::{Cell, Fields, Sheet};

pub use sheet::Mistake;

/// Largest page: placements, and products in one of them.
const MAX_PLACEMENTS: usize = 12;
const MAX_PRODUCTS: usize = 50;

/// Reads `text`, the content of `file_name`, against tonight's catalogue and segments.
///
/// Errors: [`IngestError::Merchandising`] with every mistake of the file.
pub fn merchandising(
    text: &str,
    file_name: &str,
    catalog: &Catalog,
    segments: &[SegmentContext],
) -> Result<Merchandising, IngestError> {
    let sheet = Sheet::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let broken: Vec<usize> = errors.iter().map(|error| error.span().map_or(0, |span| span.start)).collect();
    for (error, offset) in errors.iter().zip(&broken) {
        sheet.note(*offset, "", format!("not TOML: {}", error.message().trim()));
    }
    let read = file(&Fields::of_file(&sheet, document.get_ref()), catalog, segments);
    let mistakes = sheet.finish(&broken);
    if mistakes.is_empty() {
        Ok(read)
    } else {
        Err(IngestError::Merchandising { file: file_name.into(), mistakes })
    }
}

/// What the file says, as far as it can be read.
fn file(file: &Fields<'_>, catalog: &Catalog, segments: &[SegmentContext]) -> Merchandising {
    file.know(&["objective", "known_tags", "page", "audiences", "objective_window", "campaign", "rule"]);
    let known_tags = file.get("known_tags").and_then(|cell| cell.list()).unwrap_or_default();
    let known_tags: Vec<&str> = known_tags.iter().filter_map(Cell::text).collect();
    let mut names = Names::new(catalog, segments, &known_tags);
    names.page =
        file.get("page").and_then(|cell| cell.table()).map(|fields| page(&fields)).unwrap_or_default();
    let audiences = reach::audiences(&names, file);
    names.audiences = audiences.iter().map(|one| (one.name.clone(), one.clone())).collect();
    Merchandising {
        page: names.page,
        objective: file.get("objective").and_then(|cell| goal(&cell)).unwrap_or_default(),
        goals: goals(&names, file),
        campaigns: campaigns(&names, file),
        rules: rules::rules(&names, file),
        audiences,
    }
}

fn page(fields: &Fields<'_>) -> PageShape {
    let fields = fields.at("[page]");
    fields.know(&["placements", "products_per_placement", "min_products"]);
    let within = |key: &str, default: usize, max: usize| {
        let Some(cell) = fields.get(key) else { return default.min(max) };
        let value = cell.count().unwrap_or(default);
        if (1..=max).contains(&value) {
            return value;
        }
        cell.note(format!("{key} = {value} must be within 1..={max}"));
        default.min(max)
    };
    let PageShape { placements, products_per_placement, min_products } = PageShape::default();
    let placements = within("placements", placements, MAX_PLACEMENTS);
    let products_per_placement = within("products_per_placement", products_per_placement, MAX_PRODUCTS);
    let min_products = within("min_products", min_products, products_per_placement);
    PageShape { placements, products_per_placement, min_products }
}

/// One objective by name, or a table of weights.
fn goal(cell: &Cell<'_>) -> Option<Goal> {
    if cell.is_text() {
        return objective(cell, cell.text()?).map(Goal::from);
    }
    let fields = cell.table()?;
    let weights: Vec<Option<(Objective, f32)>> = fields
        .keys()
        .map(|key| {
            let cell = fields.get(key)?;
            let (objective, weight) = (objective(&cell, key), cell.number());
            Some((objective?, weight?))
        })
        .collect();
    let weights = weights.into_iter().collect::<Option<Vec<_>>>()?;
    let goal = Goal::weighted(&weights);
    goal.or_else(|| cell.bad("an objective's weights are numbers from 0, at least one above 0"))
}

fn objective(cell: &Cell<'_>, name: &str) -> Option<Objective> {
    let known = Objective::ALL.map(Objective::key);
    Objective::ALL.into_iter().find(|objective| objective.key() == name).or_else(|| {
        let near = nearest(name, known.into_iter());
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        cell.bad(format!("there is no objective {name:?}{near} (expected one of {})", known.join(", ")))
    })
}

fn goals(names: &Names<'_>, file: &Fields<'_>) -> Vec<DatedGoal> {
    let mut goals = Vec::new();
    for (at, fields) in file.tables("objective_window").iter().enumerate() {
        let fields = fields.at(&format!("objective_window {}", at + 1));
        fields.know(&["objective"].into_iter().chain(reach::KEYS).collect::<Vec<_>>());
        let goal = fields.need("objective").and_then(|cell| goal(&cell)).unwrap_or_default();
        goals.push(DatedGoal { goal, reach: reach::reach(names, &fields) });
    }
    goals
}

fn campaigns(names: &Names<'_>, file: &Fields<'_>) -> Vec<Campaign> {
    let mut campaigns: Vec<Campaign> = Vec::new();
    for (at, fields) in file.tables("campaign").iter().enumerate() {
        let fields = fields.at(&format!("campaign {}", at + 1));
        let name = fields.need("name").and_then(|cell| cell.clean()).unwrap_or_default();
        let fields = if name.is_empty() { fields } else { fields.at(&format!("campaign {name:?}")) };
        let known = ["name", "feature", "position"].into_iter().chain(reach::KEYS);
        fields.know(&known.collect::<Vec<_>>());
        if !name.is_empty() && campaigns.iter().any(|earlier| earlier.name == name) {
            fields.note("another campaign has this name");
        }
        campaigns.push(Campaign {
            name,
            reach: reach::reach(names, &fields),
            feature: fields.need("feature").map(|cell| features(names, &cell)).unwrap_or_default(),
            position: fields.get("position").and_then(|cell| position(names, &cell)),
        });
    }
    campaigns
}

/// Names or selectors.
fn features(names: &Names<'_>, cell: &Cell<'_>) -> Vec<Target> {
    let Some(cells) = cell.list() else { return Vec::new() };
    if cells.is_empty() {
        cell.note("feature is empty; list at least one aisle or product type");
    }
    let feature = |cell: &Cell<'_>| {
        if cell.is_text() {
            return names.feature(cell);
        }
        let fields = cell.table()?;
        fields.know(&targets::KEYS);
        targets::target(names, &fields)
    };
    cells.iter().filter_map(feature).collect()
}

/// A position of the file, counted from 1, as the domain's, counted from 0.
fn position(names: &Names<'_>, cell: &Cell<'_>) -> Option<usize> {
    let (written, last) = (cell.count()?, names.page.placements);
    if (1..=last).contains(&written) {
        return Some(written - 1);
    }
    cell.bad(format!("position = {written} is not on the page; its positions are 1 to {last}"))
}
