//! Exchanges products until the page holds as many of a quota's products as it must.

use crate::domain::merchandising::Target;

use super::page::{Page, mostly};
use super::score::{Scored, arrange, sort};

/// Where the products that come in are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// The placement's own bench: they suit its title.
    Bench,
    /// All of the shop, the limit a type aside: a rule outweighs both.
    Shop,
}

/// One product of a placement for another.
struct Exchange<'a> {
    placement: usize,
    out: usize,
    inn: Scored<'a>,
    /// Score lost.
    cost: f32,
}

impl<'a> Page<'a, '_> {
    /// Meets the lower bounds on products as far as the pool allows, cheapest exchange first.
    pub(super) fn exchange(&mut self, pool: Pool) {
        for quota in &self.desk.rules.product_quotas {
            while self.count(quota.target) < quota.min {
                let Some(best) = self.cheapest_exchange(quota.target, pool) else { break };
                let products = &mut self.placements[best.placement].products;
                products[best.out] = best.inn;
                arrange(products, self.desk.scorer.settings);
            }
        }
    }

    fn cheapest_exchange(&self, target: &Target, pool: Pool) -> Option<Exchange<'a>> {
        let places = 0..self.placements.len();
        let exchanges = places.filter_map(|placement| self.exchange_within(placement, target, pool));
        exchanges.min_by(|a, b| a.cost.total_cmp(&b.cost).then(a.placement.cmp(&b.placement)))
    }

    /// The pool's best absent product of the target for the placement's weakest that may go.
    fn exchange_within(&self, placement: usize, target: &Target, pool: Pool) -> Option<Exchange<'a>> {
        let shown = &self.placements[placement].products;
        self.offered(placement, target, pool).into_iter().find_map(|inn| {
            let of_type = |other: &&Scored<'_>| other.product.product_type == inn.product.product_type;
            let out = (0..shown.len()).rev().find(|out| {
                let type_mates = shown.iter().filter(of_type).count() - usize::from(of_type(&&shown[*out]));
                let fits = pool == Pool::Shop || type_mates < self.placements[placement].draft.max_per_type;
                fits && self.may_exchange(placement, *out, &inn, target)
            })?;
            Some(Exchange { placement, out, inn, cost: shown[out].score - inn.score })
        })
    }

    /// Products of the target that are not on the page, best first.
    fn offered(&self, placement: usize, target: &Target, pool: Pool) -> Vec<Scored<'a>> {
        let here = &self.placements[placement];
        let absent = |scored: &Scored<'_>| {
            !self.products().any(|product| product.product_id == scored.product.product_id)
        };
        if pool == Pool::Bench {
            let bench = here.draft.bench.iter().copied();
            return bench.filter(|scored| target.matches(scored.product) && absent(scored)).collect();
        }
        let desk = self.desk;
        let guests =
            desk.all_of(target).map(|product| desk.scorer.by_rule(&desk.rules, product, &here.products));
        let mut guests: Vec<Scored<'a>> = guests.filter(absent).collect();
        sort(&mut guests);
        guests
    }

    /// No quota breaks by the exchange, and the placement keeps its role.
    fn may_exchange(&self, placement: usize, out: usize, inn: &Scored<'a>, target: &Target) -> bool {
        let leaving = self.placements[placement].products[out].product;
        let mut after = self.placements[placement].products.clone();
        after[out] = *inn;
        let bounds = self.desk.rules.product_quotas.iter().all(|quota| {
            let (comes, goes) = (quota.target.matches(inn.product), quota.target.matches(leaving));
            let count = self.count(quota.target);
            let over = comes && !goes && quota.max.is_some_and(|max| count >= max);
            let under = goes && !comes && count <= quota.min;
            !over && !under
        });
        !target.matches(leaving) && bounds && self.same_role(placement, &after)
    }

    /// Whether the placement would still count for, and only for, the placement quotas and the campaign it
    /// counts for.
    pub(super) fn same_role(&self, placement: usize, after: &[Scored<'a>]) -> bool {
        let rules = &self.desk.rules;
        let quotas = rules.placement_quotas.iter().map(|quota| std::slice::from_ref(quota.target));
        let campaign = rules.campaign.map(|campaign| campaign.feature.as_slice());
        let before = &self.placements[placement];
        quotas.chain(campaign).all(|targets| before.mostly(targets) == mostly(after, targets))
    }
}
