//! A page in the making: placements are added one by one, and none that would break an upper bound.

use std::collections::{HashMap, HashSet};

use crate::domain::merchandising::Target;
use crate::domain::stage::Via;
use crate::domain::{Product, ProductId};

use super::bench::trim_companions;
use super::desk::Desk;
use super::draft::Draft;
use super::score::{Scored, arrange, placement_value};

/// A draft with the products it shows, in the order of the row.
#[derive(Clone)]
pub(super) struct Placement<'a> {
    pub draft: Draft<'a>,
    pub products: Vec<Scored<'a>>,
    /// Set on the one that carries the active campaign.
    pub carries_campaign: bool,
}

impl Placement<'_> {
    pub(super) fn value(&self) -> f32 {
        placement_value(&self.products) * self.draft.prior
    }

    pub(super) fn mostly(&self, targets: &[Target]) -> bool {
        mostly(&self.products, targets)
    }
}

/// More than half of `products` match one of `targets`.
pub(super) fn mostly(products: &[Scored<'_>], targets: &[Target]) -> bool {
    let matches = |scored: &&Scored<'_>| targets.iter().any(|target| target.matches(scored.product));
    2 * products.iter().filter(matches).count() > products.len()
}

/// The placements chosen so far.
pub(super) struct Page<'a, 'd> {
    pub desk: &'d Desk<'a>,
    pub placements: Vec<Placement<'a>>,
}

impl<'a, 'd> Page<'a, 'd> {
    pub(super) fn new(desk: &'d Desk<'a>) -> Self {
        Self { desk, placements: Vec::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.placements.len() >= self.desk.shape.placements
    }

    pub(super) fn products(&self) -> impl Iterator<Item = &'a Product> {
        self.placements.iter().flat_map(|placement| placement.products.iter().map(|scored| scored.product))
    }

    /// Products on the page that match, with those still to be pinned.
    pub(super) fn count(&self, target: &Target) -> usize {
        let rules = &self.desk.rules;
        let chosen = self.products().filter(|product| !rules.is_pinned(product));
        chosen.chain(rules.pins.values().copied()).filter(|product| target.matches(product)).count()
    }

    /// Adds the draft if it gets enough products, its title is new, and every upper bound holds. `suits` may
    /// refuse what it would show.
    pub(super) fn add_if(&mut self, draft: &Draft<'a>, suits: impl Fn(&[Scored<'a>]) -> bool) -> bool {
        let title = draft.title.to_lowercase();
        if self.is_full() || self.placements.iter().any(|other| other.draft.title.to_lowercase() == title) {
            return false;
        }
        let products = self.fill(draft);
        if products.len() < self.desk.shape.min_products || !suits(&products) || !self.leaves_room(&products)
        {
            return false;
        }
        self.placements.push(Placement { draft: draft.clone(), products, carries_campaign: false });
        true
    }

    /// [`Self::add_if`], provided that a draft made for a purpose serves it.
    pub(super) fn add(&mut self, draft: &Draft<'a>) -> bool {
        self.add_if(draft, |products| match draft.purpose {
            None => true,
            Some(purpose) if purpose.mostly => mostly(products, purpose.targets),
            Some(purpose) => products.iter().any(|scored| purpose.matches(scored.product)),
        })
    }

    /// No upper bound on placements is passed by one more with these products.
    fn leaves_room(&self, products: &[Scored<'a>]) -> bool {
        self.desk.rules.placement_quotas.iter().all(|quota| {
            let targets = std::slice::from_ref(quota.target);
            let before = self.placements.iter().filter(|placement| placement.mostly(targets)).count();
            quota.max.is_none_or(|max| before + usize::from(mostly(products, targets)) <= max)
        })
    }

    /// The products the draft would show on this page.
    pub(super) fn fill(&self, draft: &Draft<'a>) -> Vec<Scored<'a>> {
        let most = self.desk.shape.products_per_placement;
        let settings = self.desk.scorer.settings;
        let mut picker = Picker::new(self, draft.max_per_type);
        if let Some(purpose) = draft.purpose {
            picker.pick(draft.bench.iter().filter(|scored| purpose.matches(scored.product)), most);
            let half = if purpose.mostly { (2 * picker.picked.len()).saturating_sub(1) } else { most };
            let others = draft.bench.iter().filter(|scored| !purpose.matches(scored.product));
            picker.pick(others, half.min(purpose.filled_to));
        } else {
            let keeping = draft.bench.iter().filter(|scored| scored.keeps(settings.promise));
            picker.pick(keeping, settings.promised_products.min(most));
            picker.pick(draft.bench.iter(), most);
        }
        let mut picked = picker.picked;
        arrange(&mut picked, settings);
        trim_companions(&mut picked);
        picked
    }
}

/// Takes products, each once a page, within the quotas and the limits of types, companions and guests.
///
/// What is taken maximises Σ over types Σₖ scoreₖ · discountᵏ, k counting a type's products on the page from 0, best first: a
/// monotone submodular objective (each further product of a type adds less). Taking the most gain first is within 1 - 1/e of
/// the best where the number of places is the only limit (Nemhauser, Wolsey & Fisher, Mathematical Programming 14, 1978), and
/// within 1 / (p + 1) under the p further limits that bind (Fisher, Nemhauser & Wolsey, Study 8, 1978).
struct Picker<'a> {
    picked: Vec<Scored<'a>>,
    used: HashSet<&'a ProductId>,
    /// Products of each type on the page so far, and on this placement.
    on_page: HashMap<&'a str, usize>,
    types: HashMap<&'a str, usize>,
    max_per_type: usize,
    repeat_discount: f32,
    /// Companions, and guests of both kinds, that may still come.
    companions: usize,
    guests: usize,
    /// Target and how many more may come.
    left: Vec<(&'a Target, usize)>,
}

impl<'a> Picker<'a> {
    fn new(page: &Page<'a, '_>, max_per_type: usize) -> Self {
        let bounded =
            page.desk.rules.product_quotas.iter().filter_map(|quota| Some((quota.target, quota.max?)));
        let left = bounded.map(|(target, max)| (target, max.saturating_sub(page.count(target)))).collect();
        let used = page.products().map(|product| &product.product_id).collect();
        let mut on_page = HashMap::new();
        for product in page.products() {
            *on_page.entry(product.product_type.as_str()).or_insert(0) += 1;
        }
        let settings = page.desk.scorer.settings;
        Self {
            picked: Vec::new(),
            used,
            on_page,
            types: HashMap::new(),
            max_per_type,
            repeat_discount: settings.repeat_discount,
            companions: settings.max_companions,
            guests: settings.max_guests,
            left,
        }
    }

    /// Takes up to `most` in all from a bench in order of score.
    fn pick<'b>(&mut self, bench: impl Iterator<Item = &'b Scored<'a>>, most: usize)
    where
        'a: 'b,
    {
        let bench: Vec<&Scored<'a>> = bench.collect();
        while self.picked.len() < most {
            let Some(next) = self.most_gain(&bench) else { return };
            self.take(next);
        }
    }

    /// Of equal gains, the first.
    fn most_gain(&self, bench: &[&Scored<'a>]) -> Option<Scored<'a>> {
        let mut best: Option<(f32, &Scored<'a>)> = None;
        for scored in bench {
            // A gain is never above the score, and scores fall.
            if best.is_some_and(|(gain, _)| scored.score <= gain) {
                break;
            }
            if self.admits(scored) {
                let gain = scored.score * self.discount(scored.product);
                if best.is_none_or(|(most, _)| gain > most) {
                    best = Some((gain, scored));
                }
            }
        }
        best.map(|(_, scored)| *scored)
    }

    fn discount(&self, product: &Product) -> f32 {
        let count =
            |types: &HashMap<&str, usize>| types.get(product.product_type.as_str()).copied().unwrap_or(0);
        self.repeat_discount.powi((count(&self.on_page) + count(&self.types)) as i32)
    }

    fn admits(&self, scored: &Scored<'a>) -> bool {
        let product = scored.product;
        let of_type = self.types.get(product.product_type.as_str()).copied().unwrap_or(0);
        of_type < self.max_per_type
            && !self.used.contains(&product.product_id)
            && (self.companions > 0 || scored.parts.via != Via::Companion)
            && (self.guests > 0 || !scored.parts.via.is_guest())
            && self.left.iter().all(|(target, left)| *left > 0 || !target.matches(product))
    }

    fn take(&mut self, scored: Scored<'a>) {
        self.used.insert(&scored.product.product_id);
        self.companions -= usize::from(scored.parts.via == Via::Companion);
        self.guests -= usize::from(scored.parts.via.is_guest());
        *self.types.entry(&scored.product.product_type).or_insert(0) += 1;
        for (target, left) in &mut self.left {
            if target.matches(scored.product) {
                *left -= 1;
            }
        }
        self.picked.push(scored);
    }
}
