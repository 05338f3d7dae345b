//! The last steps of a page: order, the campaign's place, pins.

use crate::domain::stage::{FusedPage, FusedPlacement, ScoredProduct};

use super::page::{Page, Placement};
use super::rules::ActiveRules;
use super::score::Scored;

/// Orders the placements, marks and places the campaign's, and pins.
pub(super) fn finish(mut page: Page<'_, '_>) -> FusedPage {
    order(&mut page);
    place_campaign(&mut page);
    pin(&mut page);
    let name = page.desk.rules.campaign.map(|campaign| campaign.name.as_str());
    let publishable = name.filter(|name| page.desk.rules.bans_text(name).is_none());
    let rules = &page.desk.rules;
    let placements: Vec<FusedPlacement> =
        page.placements.into_iter().map(|placement| fused(placement, publishable, rules)).collect();
    FusedPage {
        segment_id: page.desk.scorer.context.segment_id.clone(),
        source: FusedPage::source_of(&placements),
        placements,
    }
}

/// Most valuable first, ties by title.
fn order(page: &mut Page<'_, '_>) {
    let mut valued: Vec<(f32, Placement<'_>)> =
        page.placements.drain(..).map(|placement| (placement.value(), placement)).collect();
    valued.sort_by(|(a_value, a), (b_value, b)| {
        b_value.total_cmp(a_value).then_with(|| a.draft.title.cmp(&b.draft.title))
    });
    page.placements = valued.into_iter().map(|(_, placement)| placement).collect();
}

/// The first placement that holds mostly the campaign's products carries it; `CampaignFirst` goes before its
/// position.
fn place_campaign(page: &mut Page<'_, '_>) {
    let rules = &page.desk.rules;
    let Some(campaign) = rules.campaign else { return };
    let Some(at) = page.placements.iter().position(|placement| placement.mostly(&campaign.feature)) else {
        return;
    };
    page.placements[at].carries_campaign = true;
    let wanted = if rules.campaign_first { Some(0) } else { campaign.position };
    if let Some(position) = wanted {
        let carrier = page.placements.remove(at);
        page.placements.insert(position.min(page.placements.len()), carrier);
    }
}

fn pin(page: &mut Page<'_, '_>) {
    let desk = page.desk;
    for (position, product) in &desk.rules.pins {
        if *position >= page.placements.len() {
            continue;
        }
        let mut pinned = desk.scorer.by_rule(&desk.rules, product, &page.placements[*position].products);
        pinned.parts.pinned = true;
        page.placements[*position].products = with_first(page, *position, pinned);
    }
}

/// The placement's products behind `pinned`; of a full one, the weakest goes that no quota needs, else the
/// weakest.
fn with_first<'a>(page: &Page<'a, '_>, placement: usize, pinned: Scored<'a>) -> Vec<Scored<'a>> {
    let shown = &page.placements[placement].products;
    let without = |out: Option<usize>| {
        let rest = shown.iter().enumerate().filter(|(at, _)| Some(*at) != out).map(|(_, scored)| *scored);
        std::iter::once(pinned).chain(rest).collect::<Vec<Scored<'a>>>()
    };
    if shown.len() < page.desk.shape.products_per_placement {
        return without(None);
    }
    let spare = |out: &usize| {
        let quotas = &page.desk.rules.product_quotas;
        let enough = quotas
            .iter()
            .all(|quota| !quota.target.matches(shown[*out].product) || page.count(quota.target) > quota.min);
        enough && page.same_role(placement, &without(Some(*out)))
    };
    let out = (0..shown.len()).rev().find(spare).or(shown.len().checked_sub(1));
    without(out)
}

fn fused(placement: Placement<'_>, campaign: Option<&str>, rules: &ActiveRules<'_>) -> FusedPlacement {
    let product = |scored: &Scored<'_>| ScoredProduct {
        product_id: scored.product.product_id.clone(),
        score: scored.score,
        parts: scored.parts,
        rules: rules.movers(scored.product),
    };
    FusedPlacement {
        title: placement.draft.title,
        source: placement.draft.source,
        keywords: placement.draft.keywords,
        campaign: campaign.filter(|_| placement.carries_campaign).map(ToOwned::to_owned),
        products: placement.products.iter().map(product).collect(),
    }
}
