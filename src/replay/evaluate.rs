//! Pages and visits in, metrics out; pure, and fast enough to try settings by the hundred.

use serde::Serialize;

use super::page::{Pages, ReplayPage};
use super::visits::{Bought, Visits};

/// Sums over visits; the means are per page view, or per visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Tally {
    pub views: f64,
    pub visits: f64,
    /// Cart adds: distinct products bought in a visit that stood on its page.
    pub adds: f64,
    /// Those of products that the household had not bought in the 12 weeks before.
    pub new_adds: f64,
    /// Adds, each discounted by its product's place on the page.
    pub attraction: f64,
}

impl Tally {
    pub fn merge(&mut self, other: &Self) {
        self.views += other.views;
        self.visits += other.visits;
        self.adds += other.adds;
        self.new_adds += other.new_adds;
        self.attraction += other.attraction;
    }

    pub fn adds_per_view(&self) -> f64 {
        ratio(self.adds, self.views)
    }

    pub fn adds_per_visit(&self) -> f64 {
        ratio(self.adds, self.visits)
    }

    pub fn new_adds_per_view(&self) -> f64 {
        ratio(self.new_adds, self.views)
    }

    pub fn attraction_per_view(&self) -> f64 {
        ratio(self.attraction, self.views)
    }

    /// Share of the adds that were new to their household.
    pub fn novelty(&self) -> f64 {
        ratio(self.new_adds, self.adds)
    }
}

fn ratio(above: f64, below: f64) -> f64 {
    if below > 0.0 { above / below } else { 0.0 }
}

/// What an arm's pages came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    pub total: Tally,
    /// In order of [`Visits::households`].
    pub by_household: Vec<Tally>,
}

impl Metrics {
    /// In order of [`Visits::segments`].
    pub fn by_segment(&self, visits: &Visits) -> Vec<Tally> {
        let mut segments = vec![Tally::default(); visits.segments().len()];
        for (tally, (_, segment)) in self.by_household.iter().zip(visits.households()) {
            segments[*segment as usize].merge(tally);
        }
        segments
    }
}

/// How much a place on the page counts, 1 at the top left: the discount of Järvelin & Kekäläinen, "Cumulated gain-based
/// evaluation of IR techniques", ACM TOIS 20(4), 2002, over rows and within a row. Both are 0-based.
pub fn discount(row: usize, column: usize) -> f64 {
    1.0 / ((row as f64 + 2.0).log2() * (column as f64 + 2.0).log2())
}

/// Counts what the visits would have added from `pages`. A segment without a page has an empty one.
pub fn evaluate(pages: &Pages, visits: &Visits) -> Metrics {
    let mut by_household = vec![Tally::default(); visits.households().len()];
    let mut shown = Shown { discounts: vec![0.0; visits.catalog()], placed: Vec::new() };
    let mut laid_out = None;
    for (visit, bought) in visits.iter() {
        if laid_out != Some(visit.segment) {
            shown.lay_out(pages.get(&visits.segments()[visit.segment as usize]), visits);
            laid_out = Some(visit.segment);
        }
        let tally = &mut by_household[visit.household as usize];
        tally.visits += 1.0;
        tally.views += f64::from(visit.views);
        shown.count(bought, tally);
    }
    let mut total = Tally::default();
    by_household.iter().for_each(|tally| total.merge(tally));
    Metrics { total, by_household }
}

/// The page looked at, by product.
struct Shown {
    /// 0 for a product that is not on the page.
    discounts: Vec<f64>,
    placed: Vec<usize>,
}

impl Shown {
    /// A product that stands on the page twice counts where it stands first.
    fn lay_out(&mut self, page: Option<&ReplayPage>, visits: &Visits) {
        self.placed.drain(..).for_each(|place| self.discounts[place] = 0.0);
        for (row, placement) in page.iter().flat_map(|page| page.placements.iter().enumerate()) {
            for (column, product) in placement.products.iter().enumerate() {
                let Some(place) = visits.place(product) else { continue };
                if self.discounts[place] == 0.0 {
                    self.discounts[place] = discount(row, column);
                    self.placed.push(place);
                }
            }
        }
    }

    fn count(&self, bought: &[Bought], tally: &mut Tally) {
        for Bought { product, new } in bought {
            let discount = self.discounts[*product as usize];
            if discount > 0.0 {
                tally.adds += 1.0;
                tally.new_adds += f64::from(u8::from(*new));
                tally.attraction += discount;
            }
        }
    }
}
