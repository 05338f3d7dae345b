//! Rules that do nothing, or not what was meant.

use crate::domain::merchandising::{Reach, RuleKind};

use super::Ground;
use super::calendar::Situation;
use super::finding::{Code, Raw};
use super::stock::{Stock, bans};

/// What is odd in one situation.
pub(super) fn of(ground: &Ground<'_>, stock: &Stock<'_>, situation: &Situation) -> Vec<Raw> {
    let mut found = shadowed(ground, situation);
    let rules = &ground.merchandising.rules;
    for at in &situation.rules {
        let (rule, mask) = (&rules[*at], &stock.rules[*at]);
        let RuleKind::Boost { .. } = &rule.kind else {
            if matches!(rule.kind, RuleKind::Bury { .. }) {
                found.extend(nothing_left(ground, stock, situation, *at));
            }
            continue;
        };
        found.extend(nothing_left(ground, stock, situation, *at));
        let opposed = situation.rules.iter().filter(|other| {
            matches!(rules[**other].kind, RuleKind::Bury { .. })
                && stock.rules[**other] == *mask
                && !mask.is_empty()
        });
        for other in opposed {
            let problem = "the first boosts what the second buries; their factors multiply".to_owned();
            found.push(Raw::warning(Code::Opposed, &[&rule.id, &rules[*other].id], problem));
        }
    }
    found
}

fn shadowed(ground: &Ground<'_>, situation: &Situation) -> Vec<Raw> {
    let mut found = Vec::new();
    if let Some((first, rest)) = situation.campaigns.split_first() {
        let name = |at: &usize| ground.merchandising.campaigns[*at].name.as_str();
        for later in rest {
            let problem = "the first is featured; the second is listed after it and has to wait".to_owned();
            found.push(Raw::warning(Code::Shadowed, &[], problem).of_campaigns(&[name(first), name(later)]));
        }
    }
    if let Some((first, rest)) = situation.goals.split_first() {
        let goal = |at: &usize| &ground.merchandising.goals[*at].goal;
        for later in rest {
            let problem = format!(
                "objective_window {} ({}) counts, not objective_window {} ({}), which is listed after it",
                first + 1,
                goal(first),
                later + 1,
                goal(later)
            );
            found.push(Raw::warning(Code::Shadowed, &[], problem));
        }
    }
    found
}

/// A boost or bury whose products are all kept off the page.
fn nothing_left(ground: &Ground<'_>, stock: &Stock<'_>, situation: &Situation, at: usize) -> Option<Raw> {
    let rules = &ground.merchandising.rules;
    let banning = situation.rules.iter().filter(|other| bans(&rules[**other].kind));
    let mask = &stock.rules[at];
    let banning: Vec<usize> = banning.copied().filter(|other| stock.rules[*other].meets(mask)).collect();
    let left = banning.iter().fold(mask.clone(), |left, other| left.without(&stock.rules[*other]));
    if mask.is_empty() || !left.is_empty() {
        return None;
    }
    let names = std::iter::once(&at).chain(&banning).map(|at| rules[*at].id.as_str());
    let problem = "none of its products may be shown; the others keep them off the page".to_owned();
    Some(Raw::warning(Code::NothingLeft, &names.collect::<Vec<_>>(), problem))
}

/// What is odd whatever the day.
pub(super) fn of_file(ground: &Ground<'_>, stock: &Stock<'_>, situations: &[Situation]) -> Vec<Raw> {
    let merchandising = ground.merchandising;
    let mut found = Vec::new();
    for (at, rule) in merchandising.rules.iter().enumerate() {
        found.extend(
            no_products(&rule.kind, stock, at).map(|text| Raw::warning(Code::NoProducts, &[&rule.id], text)),
        );
        found.extend(
            no_segments(ground, &rule.reach).map(|text| Raw::warning(Code::NoSegments, &[&rule.id], text)),
        );
        let meets = |situation: &Situation| situation.rules.contains(&at) && !situation.campaigns.is_empty();
        if matches!(rule.kind, RuleKind::CampaignFirst) && !situations.iter().any(meets) {
            let problem = "no campaign is active on its days for its segments".to_owned();
            found.push(Raw::warning(Code::NoCampaign, &[&rule.id], problem));
        }
    }
    for (at, campaign) in merchandising.campaigns.iter().enumerate() {
        let named = |raw: Raw| raw.of_campaigns(&[&campaign.name]);
        if !stock.campaigns[at].meets(&stock.in_stock) {
            let problem = "none of the products it features is in stock".to_owned();
            found.push(named(Raw::warning(Code::NoProducts, &[], problem)));
        }
        found.extend(
            no_segments(ground, &campaign.reach).map(|text| named(Raw::warning(Code::NoSegments, &[], text))),
        );
    }
    found.extend(audiences(ground));
    found
}

fn no_products(kind: &RuleKind, stock: &Stock<'_>, at: usize) -> Option<String> {
    let target = match kind {
        RuleKind::Boost { target, .. } | RuleKind::Bury { target, .. } | RuleKind::Block { target } => target,
        RuleKind::Quota { target, .. } => target,
        _ => return None,
    };
    (!stock.rules[at].meets(&stock.in_stock)).then(|| format!("no product in stock matches {target}"))
}

fn no_segments(ground: &Ground<'_>, reach: &Reach) -> Option<String> {
    if ground.segments.is_empty() || ground.segments.iter().any(|segment| reach.includes(segment)) {
        return None;
    }
    Some(match &reach.audience {
        Some(name) => format!("no segment is of its audience {name:?}"),
        None => "no segment is of its audience".into(),
    })
}

fn audiences(ground: &Ground<'_>) -> Vec<Raw> {
    let merchandising = ground.merchandising;
    let rules = merchandising.rules.iter().map(|rule| &rule.reach);
    let campaigns = merchandising.campaigns.iter().map(|campaign| &campaign.reach);
    let goals = merchandising.goals.iter().map(|dated| &dated.reach);
    let used: Vec<&String> =
        rules.chain(campaigns).chain(goals).filter_map(|reach| reach.audience.as_ref()).collect();
    let unused = merchandising.audiences.iter().filter(|one| !used.contains(&&one.name));
    let problem = |name: &str| format!("audience {name:?} is declared, and nothing names it");
    unused.map(|one| Raw::warning(Code::UnusedAudience, &[], problem(&one.name))).collect()
}
