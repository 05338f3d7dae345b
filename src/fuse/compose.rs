//! Chooses the placements of a page.
//!
//! What rules demand comes first: the campaign's placement, then each lower bound on placements, then
//! placements for products a page is short of. Then the cascade's own, most valuable first, until they have their share of
//! the page; then the ranker's favorites; then what else the cascade has, and the ranker's aisles. A placement that would pass an
//! upper bound is left out, so the weakest give way.
//!
//! Should the page still be short of a quota's products, some on it are exchanged for others of the same
//! benches ([`super::quota`]); failing that, the page is composed again with one more placement made for that
//! quota; failing that too, products are exchanged for any of the shop's.

use std::cell::OnceCell;

use crate::domain::merchandising::Target;
use crate::domain::stage::Source;

use super::desk::Desk;
use super::draft::{Draft, Purpose};
use super::page::{Page, mostly};
use super::quota::Pool;
use super::score::{Scored, promised};

/// The page's placements in no particular order, before pins.
pub(super) fn compose<'a, 'd>(desk: &'d Desk<'a>, cascade: &[Draft<'a>]) -> Page<'a, 'd> {
    let composer = Composer { desk, cascade: most_valuable_first(desk, cascade), aisles: OnceCell::new() };
    let quotas = &desk.rules.product_quotas;
    let mut made_for = vec![0; quotas.len()];
    loop {
        let page = composer.page(&made_for);
        match quotas.iter().position(|quota| page.count(quota.target) < quota.min) {
            None => return page,
            Some(at) if made_for[at] < desk.shape.placements => made_for[at] += 1,
            Some(_) => break,
        }
    }
    let mut page = composer.page(&vec![0; quotas.len()]);
    page.exchange(Pool::Shop);
    page
}

/// Cascade drafts by what each would bring to an empty page; ties keep the model's order.
///
/// What the favorites would show anyway brings no more than the next in line, which takes its place there.
fn most_valuable_first<'a>(desk: &Desk<'a>, cascade: &[Draft<'a>]) -> Vec<Draft<'a>> {
    let empty = Page::new(desk);
    let next_in_line = next_in_line(desk);
    let brought = |products: &[Scored<'_>]| -> f32 {
        products.iter().map(|scored| scored.value.min(next_in_line)).sum()
    };
    let value = |draft: &Draft<'a>| brought(&empty.fill(draft)) * draft.prior;
    let mut valued: Vec<(f32, &Draft<'a>)> = cascade.iter().map(|draft| (value(draft), draft)).collect();
    valued.sort_by(|a, b| b.0.total_cmp(&a.0));
    valued.into_iter().map(|(_, draft)| draft.clone()).collect()
}

/// Value of the last product that the favorites have room for; infinite where there are none.
fn next_in_line(desk: &Desk<'_>) -> f32 {
    let rows = (desk.shape.placements - cascade_share(desk)).min(desk.scorer.settings.favorites.len());
    let last = (rows * desk.shape.products_per_placement).checked_sub(1);
    last.and_then(|last| desk.best().get(last)).map_or(f32::INFINITY, |scored| scored.value)
}

/// How many placements are to be the cascade's.
fn cascade_share(desk: &Desk<'_>) -> usize {
    let placements = desk.shape.placements;
    let share = (desk.scorer.settings.cascade_share * placements as f32).ceil() as usize;
    share.min(placements)
}

struct Composer<'a, 'd> {
    desk: &'d Desk<'a>,
    cascade: Vec<Draft<'a>>,
    /// Scores the whole shop, so made only for a page that needs it.
    aisles: OnceCell<Vec<Draft<'a>>>,
}

impl<'a, 'd> Composer<'a, 'd> {
    /// A page with so many placements made for each product quota.
    fn page(&self, made_for: &[usize]) -> Page<'a, 'd> {
        let mut page = Page::new(self.desk);
        self.demand_campaign(&mut page);
        self.demand_placements(&mut page);
        for (quota, count) in self.desk.rules.product_quotas.iter().zip(made_for) {
            self.demand_products(&mut page, quota.target, *count);
        }
        self.add_cascade(&mut page, cascade_share(self.desk));
        if !page.is_full() {
            self.desk.favorite_drafts().iter().for_each(|draft| {
                page.add(draft);
            });
            self.add_cascade(&mut page, self.desk.shape.placements);
        }
        if !page.is_full() {
            self.add_aisles(&mut page);
        }
        page.exchange(Pool::Bench);
        page
    }

    /// Adds the cascade's placements until the page has so many: first those that hold what their titles promise, others only
    /// where these are too few.
    fn add_cascade(&self, page: &mut Page<'a, '_>, most: usize) {
        let ours = |page: &Page<'_, '_>| {
            page.placements.iter().filter(|placement| placement.draft.source == Source::Cascade).count()
        };
        let settings = self.desk.scorer.settings;
        for least in [settings.promised_products, 0] {
            for draft in &self.cascade {
                if ours(page) >= most {
                    return;
                }
                page.add_if(draft, |products| promised(products, settings.promise) >= least);
            }
        }
    }

    fn demand_campaign(&self, page: &mut Page<'a, '_>) {
        let rules = &self.desk.rules;
        let Some(campaign) = rules.campaign.filter(|_| rules.campaign_first) else { return };
        let joint = |purpose| self.desk.joint_draft(&campaign.name, purpose);
        self.demand_one(page, &campaign.feature, joint);
    }

    fn demand_placements(&self, page: &mut Page<'a, '_>) {
        for quota in &self.desk.rules.placement_quotas {
            let targets = std::slice::from_ref(quota.target);
            let count = |page: &Page<'_, '_>| {
                page.placements.iter().filter(|placement| placement.mostly(targets)).count()
            };
            while count(page) < quota.min && self.demand_one(page, targets, |_| None) {}
        }
    }

    /// Adds the cascade's first placement that is mostly of the targets, else the ranker's best, else what
    /// `last` makes; what the ranker never features comes last.
    fn demand_one(
        &self,
        page: &mut Page<'a, '_>,
        targets: &'a [Target],
        last: impl Fn(Purpose<'a>) -> Option<Draft<'a>>,
    ) -> bool {
        if self.cascade.iter().any(|draft| page.add_if(draft, |products| mostly(products, targets))) {
            return true;
        }
        let filled_to = self.desk.shape.products_per_placement;
        [false, true].into_iter().any(|anything| {
            let purpose = Purpose { targets, mostly: true, anything, filled_to };
            self.desk.purpose_drafts(purpose).iter().any(|draft| page.add(draft))
                || self.desk.type_drafts(purpose).iter().any(|draft| page.add(draft))
                || last(purpose).is_some_and(|draft| page.add(&draft))
        })
    }

    fn demand_products(&self, page: &mut Page<'a, '_>, target: &'a Target, placements: usize) {
        let filled_to = self.desk.shape.products_per_placement;
        let targets = std::slice::from_ref(target);
        let purpose = Purpose { targets, mostly: false, anything: false, filled_to };
        for _ in 0..placements {
            if !self.desk.purpose_drafts(purpose).iter().any(|draft| page.add(draft)) {
                return;
            }
        }
    }

    /// Fills the page with aisles that no placement is mostly made of yet.
    fn add_aisles(&self, page: &mut Page<'a, '_>) {
        for draft in self.aisles.get_or_init(|| self.desk.aisle_drafts()) {
            let aisle = [Target::Aisle(draft.title.clone())];
            if !page.placements.iter().any(|placement| placement.mostly(&aisle)) {
                page.add(draft);
            }
        }
    }
}
