//! `[[rule]]` tables → [`Rule`].

use super::names::Names;
use super::sheet::{Cell, Fields};
use super::{position, reach, targets};
use crate::domain::merchandising::{QuotaScope, Rule, RuleKind, Target};

/// The strongest boost; more would be a pin.
const MAX_FACTOR: f32 = 100.0;

const ACTIONS: [&str; 9] =
    ["pin", "boost", "bury", "block", "only", "quota", "forbid_tags", "banned_phrases", "campaign_first"];

pub fn rules(names: &Names<'_>, file: &Fields<'_>) -> Vec<Rule> {
    let mut seen: Vec<String> = Vec::new();
    let mut rules = Vec::new();
    for (at, fields) in file.tables("rule").iter().enumerate() {
        let fields = fields.at(&format!("rule {}", at + 1));
        let id = fields.need("id").and_then(|cell| cell.clean());
        let fields = id.as_ref().map_or(fields.clone(), |id| fields.at(&format!("rule {id:?}")));
        if let Some(id) = &id {
            if seen.contains(id) {
                fields.note("another rule has this id; ids are unique");
            }
            seen.push(id.clone());
        }
        if let Some(rule) = rule(names, id.unwrap_or_default(), &fields) {
            rules.push(rule);
        }
    }
    rules
}

fn rule(names: &Names<'_>, id: String, fields: &Fields<'_>) -> Option<Rule> {
    let known = ["id", "sentence"].into_iter().chain(reach::KEYS).chain(ACTIONS);
    fields.know(&known.collect::<Vec<_>>());
    let given: Vec<Cell<'_>> = ACTIONS.into_iter().filter_map(|key| fields.get(key)).collect();
    if given.len() != 1 {
        fields.note(format!("a rule has exactly one of {}", ACTIONS.join(", ")));
    }
    let kinds: Vec<Option<RuleKind>> = given.iter().map(|cell| kind(names, cell)).collect();
    let reach = reach::reach(names, fields);
    let sentence = fields.get("sentence").and_then(|cell| cell.clean());
    Some(Rule { kind: kinds.into_iter().flatten().next()?, reach, sentence, id })
}

fn kind(names: &Names<'_>, cell: &Cell<'_>) -> Option<RuleKind> {
    match cell.key() {
        "pin" => pin(names, &cell.table()?),
        "boost" => boost(names, &cell.table()?),
        "bury" => bury(names, &cell.table()?),
        "block" => Some(RuleKind::Block { target: alone(names, &cell.table()?)? }),
        "only" => Some(RuleKind::Only { target: alone(names, &cell.table()?)? }),
        "quota" => quota(names, &cell.table()?),
        "forbid_tags" => {
            let tags = cell.filled_list()?;
            Some(RuleKind::ForbidTags { tags: tags.iter().filter_map(|tag| names.tag(tag)).collect() })
        }
        "banned_phrases" => {
            let phrases = cell.filled_list()?;
            Some(RuleKind::BannedPhrases { phrases: phrases.iter().filter_map(Cell::clean).collect() })
        }
        _ => match cell.flag()? {
            true => Some(RuleKind::CampaignFirst),
            false => cell.bad("campaign_first = false does nothing; remove the rule"),
        },
    }
}

/// A table with a selector and the keys `more`.
fn selecting(names: &Names<'_>, fields: &Fields<'_>, more: &[&str]) -> Option<Target> {
    fields.know(&targets::KEYS.into_iter().chain(more.iter().copied()).collect::<Vec<_>>());
    targets::target(names, fields)
}

fn alone(names: &Names<'_>, fields: &Fields<'_>) -> Option<Target> {
    selecting(names, fields, &[])
}

fn pin(names: &Names<'_>, fields: &Fields<'_>) -> Option<RuleKind> {
    fields.know(&["product", "position"]);
    let product = fields.need("product").and_then(|cell| names.product(&cell));
    let position = fields.need("position").and_then(|cell| position(names, &cell));
    Some(RuleKind::Pin { product: product?, position: position? })
}

fn boost(names: &Names<'_>, fields: &Fields<'_>) -> Option<RuleKind> {
    let target = selecting(names, fields, &["factor"]);
    let cell = fields.need("factor")?;
    let factor = cell.number()?;
    if !(factor > 1.0 && factor <= MAX_FACTOR) {
        return cell.bad(format!("a boost's factor is above 1 and at most {MAX_FACTOR}, not {factor}"));
    }
    Some(RuleKind::Boost { target: target?, factor })
}

fn bury(names: &Names<'_>, fields: &Fields<'_>) -> Option<RuleKind> {
    let target = selecting(names, fields, &["factor"]);
    let cell = fields.need("factor")?;
    let factor = cell.number()?;
    if !(factor > 0.0 && factor < 1.0) {
        return cell
            .bad(format!("a bury's factor is above 0 and below 1, not {factor} (block removes products)"));
    }
    Some(RuleKind::Bury { target: target?, factor })
}

fn quota(names: &Names<'_>, fields: &Fields<'_>) -> Option<RuleKind> {
    let target = selecting(names, fields, &["scope", "min", "max"]);
    let scope = fields.need("scope").and_then(|cell| scope(&cell));
    let count = |key: &str| fields.get(key).and_then(|cell| cell.count());
    let (min, max) = (count("min"), count("max"));
    let page = names.page;
    let capacity = match scope {
        Some(QuotaScope::Placements) => page.placements,
        _ => page.placements * page.products_per_placement,
    };
    if !fields.has("min") && !fields.has("max") {
        fields.note("a quota needs min, max or both");
    }
    match (min, max) {
        (Some(min), Some(max)) if min > max => fields.note(format!("min = {min} is more than max = {max}")),
        (Some(min), _) if min > capacity => {
            fields.note(format!("min = {min} is more than the page holds ({capacity})"));
        }
        _ => {}
    }
    Some(RuleKind::Quota { target: target?, scope: scope?, min, max })
}

fn scope(cell: &Cell<'_>) -> Option<QuotaScope> {
    match cell.text()? {
        "products" => Some(QuotaScope::Products),
        "placements" => Some(QuotaScope::Placements),
        other => cell.bad(format!("scope is \"products\" or \"placements\", not {other:?}")),
    }
}
