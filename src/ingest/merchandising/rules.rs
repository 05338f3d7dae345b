//! `[[rule]]` tables → [`Rule`].

use super::super::IngestError;
use super::names::Names;
use super::raw::{RawPin, RawQuota, RawRule, RawWeight};
use super::{position, text, window};
use crate::domain::merchandising::{PageShape, QuotaScope, Rule, RuleKind};

/// The strongest boost; more would be a pin.
const MAX_FACTOR: f32 = 100.0;

pub fn rules(names: &Names<'_>, raw: &[RawRule], page: PageShape) -> Result<Vec<Rule>, IngestError> {
    let mut rules: Vec<Rule> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let id = text(names, &format!("rule {}", at + 1), "id", &raw.id)?;
        let place = format!("rule {id:?}");
        if rules.iter().any(|earlier| earlier.id == id) {
            return Err(names.invalid(&place, "another rule has this id; ids are unique"));
        }
        rules.push(rule(names, &place, id, raw, page)?);
    }
    Ok(rules)
}

fn rule(
    names: &Names<'_>,
    place: &str,
    id: String,
    raw: &RawRule,
    page: PageShape,
) -> Result<Rule, IngestError> {
    let segments = match &raw.segments {
        Some(only) if only.is_empty() => {
            return Err(names.invalid(place, "segments is empty; remove it to mean every segment"));
        }
        Some(only) => Some(only.iter().map(|name| names.segment(place, name)).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(Rule {
        kind: kind(names, place, raw, page)?,
        window: window(names, place, raw.from, raw.to)?,
        segments,
        sentence: raw.sentence.as_deref().map(|words| text(names, place, "sentence", words)).transpose()?,
        id,
    })
}

fn kind(names: &Names<'_>, place: &str, raw: &RawRule, page: PageShape) -> Result<RuleKind, IngestError> {
    let actions: [Option<Result<RuleKind, IngestError>>; 8] = [
        raw.pin.as_ref().map(|raw| pin(names, place, raw, page)),
        raw.boost.as_ref().map(|raw| boost(names, place, raw)),
        raw.bury.as_ref().map(|raw| bury(names, place, raw)),
        raw.block
            .as_ref()
            .map(|raw| names.target(place, &raw.selector()).map(|target| RuleKind::Block { target })),
        raw.quota.as_ref().map(|raw| quota(names, place, raw, page)),
        raw.forbid_tags.as_ref().map(|tags| forbid_tags(names, place, tags)),
        raw.banned_phrases.as_ref().map(|phrases| banned_phrases(names, place, phrases)),
        raw.campaign_first.map(|wanted| match wanted {
            true => Ok(RuleKind::CampaignFirst),
            false => Err(names.invalid(place, "campaign_first = false does nothing; remove the rule")),
        }),
    ];
    let mut actions = actions.into_iter().flatten();
    match (actions.next(), actions.next()) {
        (Some(only), None) => only,
        _ => Err(names.invalid(
            place,
            "a rule has exactly one of pin, boost, bury, block, quota, forbid_tags, banned_phrases, campaign_first",
        )),
    }
}

fn pin(names: &Names<'_>, place: &str, raw: &RawPin, page: PageShape) -> Result<RuleKind, IngestError> {
    let product = names.product(place, &raw.product)?;
    Ok(RuleKind::Pin { product, position: position(names, place, raw.position, page)? })
}

fn boost(names: &Names<'_>, place: &str, raw: &RawWeight) -> Result<RuleKind, IngestError> {
    let factor = raw.factor;
    if !(factor > 1.0 && factor <= MAX_FACTOR) {
        let problem = format!("a boost's factor is above 1 and at most {MAX_FACTOR}, not {factor}");
        return Err(names.invalid(place, problem));
    }
    Ok(RuleKind::Boost { target: names.target(place, &raw.selector())?, factor })
}

fn bury(names: &Names<'_>, place: &str, raw: &RawWeight) -> Result<RuleKind, IngestError> {
    let factor = raw.factor;
    if !(factor > 0.0 && factor < 1.0) {
        let problem =
            format!("a bury's factor is above 0 and below 1, not {factor} (block removes products)");
        return Err(names.invalid(place, problem));
    }
    Ok(RuleKind::Bury { target: names.target(place, &raw.selector())?, factor })
}

fn forbid_tags(names: &Names<'_>, place: &str, tags: &[String]) -> Result<RuleKind, IngestError> {
    let tags = non_empty(names, place, "forbid_tags", tags)?.iter().map(|tag| names.tag(place, tag));
    Ok(RuleKind::ForbidTags { tags: tags.collect::<Result<_, _>>()? })
}

fn banned_phrases(names: &Names<'_>, place: &str, phrases: &[String]) -> Result<RuleKind, IngestError> {
    let phrases = non_empty(names, place, "banned_phrases", phrases)?.iter();
    let phrases = phrases.map(|phrase| text(names, place, "banned_phrases", phrase));
    Ok(RuleKind::BannedPhrases { phrases: phrases.collect::<Result<_, _>>()? })
}

fn quota(names: &Names<'_>, place: &str, raw: &RawQuota, page: PageShape) -> Result<RuleKind, IngestError> {
    let RawQuota { scope, min, max, .. } = *raw;
    let capacity = match scope {
        QuotaScope::Placements => page.placements,
        QuotaScope::Products => page.placements * page.products_per_placement,
    };
    let problem = match (min, max) {
        (None, None) => Some("a quota needs min, max or both".into()),
        (Some(min), Some(max)) if min > max => Some(format!("min = {min} is more than max = {max}")),
        (Some(min), _) if min > capacity => {
            Some(format!("min = {min} is more than the page holds ({capacity})"))
        }
        _ => None,
    };
    match problem {
        Some(problem) => Err(names.invalid(place, problem)),
        None => Ok(RuleKind::Quota { target: names.target(place, &raw.selector())?, scope, min, max }),
    }
}

fn non_empty<'r>(
    names: &Names<'_>,
    place: &str,
    key: &str,
    list: &'r [String],
) -> Result<&'r [String], IngestError> {
    if list.is_empty() { Err(names.invalid(place, format!("{key} is empty"))) } else { Ok(list) }
}
