//! Proofs that no page can keep the rules of one situation.

use crate::domain::merchandising::{QuotaScope, Rule, RuleKind};

use super::super::phrase;
use super::Ground;
use super::calendar::Situation;
use super::finding::{Code, Raw};
use super::stock::{Mask, Stock, bans};

/// Every conflict among the rules that are active together.
pub(super) fn of(ground: &Ground<'_>, stock: &Stock<'_>, situation: &Situation) -> Vec<Raw> {
    let mut case = Case::new(ground, stock, situation);
    case.pins();
    case.demands();
    case.pairs();
    case.sums();
    case.pin_before_campaign();
    case.campaign_name();
    case.anything_at_all();
    case.found
}

/// A lower bound: so many products of a set, or so many placements mostly of it.
struct Demand<'a> {
    rule: &'a str,
    campaign: Option<&'a str>,
    what: String,
    all: &'a Mask,
    /// What rules leave of it, stock aside.
    allowed: Mask,
    products: usize,
    placements: usize,
}

impl Demand<'_> {
    fn raw(&self, code: Code, rules: &[&str], problem: String) -> Raw {
        let all: Vec<&str> = std::iter::once(self.rule).chain(rules.iter().copied()).collect();
        Raw::conflict(code, &all, problem).of_campaigns(&self.campaign.into_iter().collect::<Vec<_>>())
    }
}

/// An upper bound.
struct Cap<'a> {
    rule: &'a str,
    what: String,
    mask: &'a Mask,
    scope: QuotaScope,
    max: usize,
}

/// A pin of a product in the catalogue.
#[derive(Clone, Copy)]
struct Pin<'a> {
    rule: &'a str,
    /// Place in the catalogue.
    product: usize,
    position: usize,
    mask: &'a Mask,
}

struct Case<'a> {
    ground: &'a Ground<'a>,
    stock: &'a Stock<'a>,
    /// Active rules with what they speak of.
    rules: Vec<(&'a Rule, &'a Mask)>,
    campaign: Option<usize>,
    /// What no rule keeps off the page.
    allowed: Mask,
    pins: Vec<Pin<'a>>,
    demands: Vec<Demand<'a>>,
    caps: Vec<Cap<'a>>,
    found: Vec<Raw>,
}

impl<'a> Case<'a> {
    fn new(ground: &'a Ground<'a>, stock: &'a Stock<'a>, situation: &Situation) -> Self {
        let rules: Vec<(&Rule, &Mask)> =
            situation.rules.iter().map(|at| (&ground.merchandising.rules[*at], &stock.rules[*at])).collect();
        let banned = rules.iter().filter(|(rule, _)| bans(&rule.kind));
        let allowed = banned.fold(stock.all.clone(), |left, (_, mask)| left.without(mask));
        let mut case = Self {
            ground,
            stock,
            rules,
            campaign: situation.campaigns.first().copied(),
            allowed,
            pins: Vec::new(),
            demands: Vec::new(),
            caps: Vec::new(),
            found: Vec::new(),
        };
        case.sort();
        case
    }

    /// The rules by what they ask for.
    fn sort(&mut self) {
        let half = self.ground.merchandising.page.min_products / 2 + 1;
        for (rule, mask) in self.rules.clone() {
            let allowed = || mask.and(&self.allowed);
            match &rule.kind {
                RuleKind::Quota { target, scope, min, max } => {
                    let what = target.to_string();
                    if let Some(max) = *max {
                        self.caps.push(Cap { rule: &rule.id, what: what.clone(), mask, scope: *scope, max });
                    }
                    let min = min.unwrap_or(0);
                    let (products, placements) = match scope {
                        QuotaScope::Products => (min, 0),
                        QuotaScope::Placements => (min * half, min),
                    };
                    let (rule, campaign, allowed) = (rule.id.as_str(), None, allowed());
                    let demand = Demand { rule, campaign, what, all: mask, allowed, products, placements };
                    self.demands.extend((min > 0).then_some(demand));
                }
                RuleKind::CampaignFirst => {
                    let Some(at) = self.campaign else { continue };
                    let all = &self.stock.campaigns[at];
                    self.demands.push(Demand {
                        rule: &rule.id,
                        campaign: Some(&self.ground.merchandising.campaigns[at].name),
                        what: "the campaign".into(),
                        all,
                        allowed: all.and(&self.allowed),
                        products: half,
                        placements: 1,
                    });
                }
                RuleKind::Pin { product, position } => {
                    let at = self.stock.products.iter().position(|one| one.product_id == *product);
                    let pin = |product| Pin { rule: &rule.id, product, position: *position, mask };
                    self.pins.extend(at.map(pin));
                }
                _ => {}
            }
        }
    }

    /// Ids of the rules that keep some of `mask` off the page.
    fn banning(&self, mask: &Mask) -> Vec<&'a str> {
        let banning = self.rules.iter().filter(|(rule, banned)| bans(&rule.kind) && banned.meets(mask));
        banning.map(|(rule, _)| rule.id.as_str()).collect()
    }

    fn pins(&mut self) {
        for (rule, _) in &self.rules {
            if let RuleKind::Pin { product, .. } = &rule.kind
                && self.ground.catalog.get(product).is_none()
            {
                let problem = format!("product {product} is not in the catalogue");
                self.found.push(Raw::conflict(Code::PinUnknown, &[&rule.id], problem));
            }
        }
        for (at, pin) in self.pins.clone().into_iter().enumerate() {
            self.pin_alone(pin);
            let clash = |other: &&Pin<'_>| (other.position == pin.position) != (other.product == pin.product);
            let clashing: Vec<Pin<'_>> = self.pins[..at].iter().filter(clash).copied().collect();
            clashing.into_iter().for_each(|other| self.pin_clash(other, pin));
        }
    }

    fn pin_clash(&mut self, other: Pin<'_>, pin: Pin<'_>) {
        let problem = if other.position == pin.position {
            format!("they pin two products to position {}", pin.position + 1)
        } else {
            let id = &self.stock.products[pin.product].product_id;
            format!("they pin product {id} to positions {} and {}", other.position + 1, pin.position + 1)
        };
        self.found.push(Raw::conflict(Code::PinClash, &[other.rule, pin.rule], problem));
    }

    fn pin_alone(&mut self, pin: Pin<'_>) {
        let product = self.stock.products[pin.product];
        let id = &product.product_id;
        for by in self.banning(pin.mask) {
            let problem = format!("the first pins product {id}, which the second keeps off the page");
            self.found.push(Raw::conflict(Code::PinForbidden, &[pin.rule, by], problem));
        }
        if !product.in_stock {
            let problem = format!("pins product {id}, which is out of stock");
            self.found.push(Raw::conflict(Code::PinOutOfStock, &[pin.rule], problem).tonight(true));
        }
        let eligible = self.allowed.and(&self.stock.in_stock).count();
        let most = eligible / self.ground.merchandising.page.min_products.max(1);
        if pin.position >= most && most > 0 {
            let problem = format!(
                "pins to position {}, and {eligible} eligible products make {most} placements at most",
                pin.position + 1
            );
            let rules: Vec<&str> = std::iter::once(pin.rule).chain(self.banning(&self.stock.all)).collect();
            self.found.push(Raw::conflict(Code::PinOffThePage, &rules, problem).tonight(true));
        }
    }

    /// Each demand against the catalogue.
    fn demands(&mut self) {
        for demand in &self.demands {
            let Demand { what, products: need, allowed, .. } = demand;
            let (has, now) = (allowed.count(), allowed.and(&self.stock.in_stock).count());
            let banning = self.banning(demand.all);
            let kept = if banning.is_empty() { "" } else { " and not kept off the page" };
            if has < *need {
                let problem = format!("needs {need} products of {what}, and the catalogue has {has}{kept}");
                self.found.push(demand.raw(Code::TooFewProducts, &banning, problem));
            } else if now < *need {
                let problem = format!("needs {need} products of {what}, and {now} are in stock{kept}");
                self.found.push(demand.raw(Code::TooFewProducts, &banning, problem).tonight(true));
            }
        }
    }

    /// Each upper bound against pins and against each lower bound.
    fn pairs(&mut self) {
        let page = self.ground.merchandising.page;
        let (places, most) = (page.placements, page.products_per_placement);
        for cap in &self.caps {
            let pins: Vec<&Pin<'_>> = self.pins.iter().filter(|pin| pin.mask.meets(cap.mask)).collect();
            let mut pinned: Vec<usize> = pins.iter().map(|pin| pin.product).collect();
            pinned.sort_unstable();
            pinned.dedup();
            if cap.scope == QuotaScope::Products && pinned.len() > cap.max {
                let rules: Vec<&str> = pins.iter().map(|pin| pin.rule).chain([cap.rule]).collect();
                let (count, what, max) = (pinned.len(), &cap.what, cap.max);
                let problem = format!("{count} products of {what} are pinned, at most {max} are allowed");
                self.found.push(Raw::conflict(Code::PinsOverQuota, &rules, problem));
            }
            let roof = match cap.scope {
                QuotaScope::Products => cap.max,
                QuotaScope::Placements => cap.max * most + places.saturating_sub(cap.max) * (most / 2),
            };
            for demand in self.demands.iter().filter(|demand| demand.rule != cap.rule) {
                let outside = demand.allowed.without(cap.mask).count();
                let forced = demand.products.saturating_sub(outside);
                let problem = if forced > roof {
                    let (scope, max) = (cap.scope, cap.max);
                    format!(
                        "{} asks for {forced} products that are {} too, of which at most {max} {scope} are allowed",
                        demand.what, cap.what
                    )
                } else if cap.scope == QuotaScope::Placements && outside == 0 && demand.placements > cap.max {
                    let (asked, max) = (demand.placements, cap.max);
                    format!(
                        "{} asks for {asked} placements of {}, at most {max} are allowed",
                        demand.what, cap.what
                    )
                } else {
                    continue;
                };
                self.found.push(demand.raw(Code::QuotaClash, &[cap.rule], problem));
            }
        }
    }

    /// Lower bounds on sets that share no product add up.
    fn sums(&mut self) {
        let page = self.ground.merchandising.page;
        let (places, most) = (page.placements, page.products_per_placement);
        let mut found = Vec::new();
        found.extend(self.packed(places * most, "products", |demand| demand.products));
        found.extend(self.packed(places, "placements", |demand| demand.placements));
        for a in self.demands.iter().filter(|demand| demand.placements > 0) {
            let beside = a.placements * ((most - 1) / 2) + places.saturating_sub(a.placements) * most;
            for b in self.demands.iter().filter(|b| b.placements == 0 && !b.allowed.meets(&a.allowed)) {
                if b.products > beside && b.products <= places * most {
                    let problem = format!(
                        "placements that are mostly {} leave room for {beside} products of {}, {} are asked for",
                        a.what, b.what, b.products
                    );
                    found.push(a.raw(Code::PageTooSmall, &[b.rule], problem));
                }
            }
        }
        self.found.extend(found);
    }

    fn packed(&self, room: usize, unit: &str, size: impl Fn(&Demand<'a>) -> usize) -> Option<Raw> {
        let mut largest: Vec<&Demand<'_>> = self.demands.iter().filter(|demand| size(demand) > 0).collect();
        largest.sort_by_key(|demand| std::cmp::Reverse(size(demand)));
        let mut chosen: Vec<&Demand<'_>> = Vec::new();
        for demand in largest {
            if !chosen.iter().any(|other| other.allowed.meets(&demand.allowed)) {
                chosen.push(demand);
            }
        }
        let asked: usize = chosen.iter().map(|demand| size(demand)).sum();
        let (first, rest) = chosen.split_first()?;
        let rules: Vec<&str> = rest.iter().map(|demand| demand.rule).collect();
        let problem = format!("together they ask for {asked} {unit}, and the page holds {room}");
        (asked > room).then(|| first.raw(Code::PageTooSmall, &rules, problem))
    }

    /// A stranger at the head of the first placement takes a place of the campaign's.
    fn pin_before_campaign(&mut self) {
        let page = self.ground.merchandising.page;
        let least = page.min_products.max(3) / 2 + 1;
        let demands = self.demands.iter().filter(|demand| demand.campaign.is_some());
        let heads = || self.pins.iter().filter(|pin| pin.position == 0);
        let mut found = Vec::new();
        for (demand, pin) in demands.flat_map(|demand| heads().map(move |pin| (demand, pin))) {
            if pin.mask.meets(demand.all) {
                continue;
            }
            let elsewhere = self.pins.iter().filter(|pin| pin.position > 0);
            let left = elsewhere.fold(demand.allowed.clone(), |left, pin| left.without(pin.mask));
            let (has, now) = (left.count(), left.and(&self.stock.in_stock).count());
            if page.products_per_placement < 3 || now < least {
                let problem = format!(
                    "the product pinned to position 1 is not the campaign's, and beside it {now} of the campaign's \
                     are no majority"
                );
                let of_tonight = page.products_per_placement >= 3 && has >= least;
                found.push(demand.raw(Code::PinBeforeCampaign, &[pin.rule], problem).tonight(of_tonight));
            }
        }
        self.found.extend(found);
    }

    fn campaign_name(&mut self) {
        let Some(at) = self.campaign else { return };
        let name = &self.ground.merchandising.campaigns[at].name;
        for (rule, _) in &self.rules {
            let RuleKind::BannedPhrases { phrases } = &rule.kind else { continue };
            if let Some(banned) = phrases.iter().find(|banned| phrase::holds(name, banned)) {
                let problem = format!("the campaign's name holds the banned phrase {banned:?}");
                let raw = Raw::conflict(Code::CampaignName, &[&rule.id], problem);
                self.found.push(raw.of_campaigns(&[name]));
            }
        }
    }

    fn anything_at_all(&mut self) {
        let least = self.ground.merchandising.page.min_products;
        let (has, now) = (self.allowed.count(), self.allowed.and(&self.stock.in_stock).count());
        if now >= least || self.stock.all.count() < least {
            return;
        }
        let rules = self.banning(&self.stock.all);
        let problem = format!("{now} products are left to show, and a placement has at least {least}");
        self.found.push(Raw::conflict(Code::NothingToShow, &rules, problem).tonight(has >= least));
    }
}
