//! Arm (e): what the night would publish without merchandising rules. The judged page and the ranker, through fusion.

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::domain::merchandising::Merchandising;
use crate::domain::ranker::Ranker;
use crate::domain::stage::{FusedPage, JudgedPage, Source, StockedPlacement};
use crate::domain::title_fit::TitleFits;
use crate::domain::{ProductId, SegmentContext};
use crate::fuse::{self, Audience, Fuser, Shop};
use crate::replay::evaluate::discount;
use crate::replay::ground::Ground;
use crate::replay::page::{Pages, ReplayPage, ReplayPlacement};

/// Whether a segment's page may carry a title.
pub type AcceptsTitle<'a> = dyn Fn(&SegmentContext, &str) -> bool + Sync + 'a;

/// What fusion needs beside the pages; the same for every setting that is tried.
#[derive(Clone, Copy)]
pub struct Fusion<'a> {
    pub ground: &'a Ground<'a>,
    /// Without rules: they would hold in this arm alone.
    pub merchandising: &'a Merchandising,
    pub ranker: &'a dyn Ranker,
    /// Of all titles of the judged pages.
    pub fits: &'a TitleFits,
    pub accepts_title: &'a AcceptsTitle<'a>,
    pub as_of: NaiveDate,
}

/// The pages, and how many segments have the ranker's instead of a fused one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FusedPages {
    pub pages: Pages,
    /// Without one accepted placement, or with too few after fusion.
    pub ranker_pages: usize,
    /// With fewer than half of their placements from the cascade.
    pub below_half: usize,
    /// Neither a fused page nor the ranker's could be made; they count as empty pages.
    pub empty: usize,
    /// Mean fit with their titles of the cascade placements' products, discounted by place as attraction is, 0..1; 0 without one.
    pub title_fit: f64,
}

/// Fuses every segment's judged page under `settings`. A segment without one gets what the night gives it: the ranker's page.
pub fn fused(
    fusion: Fusion<'_>,
    settings: &fuse::Settings,
    pages: &[(&SegmentContext, Option<&JudgedPage>)],
) -> FusedPages {
    let shop =
        Shop { catalog: fusion.ground.catalog, merchandising: fusion.merchandising, ranker: fusion.ranker };
    let fuser = Fuser::new(shop, settings, fusion.as_of);
    let made: Vec<(ReplayPage, TitleFigure)> = pages
        .par_iter()
        .map(|(context, judged)| {
            let page = fuse_one(&fuser, fusion, context, *judged);
            let fits = page.as_ref().map(title_fit).unwrap_or_default();
            (page.map_or_else(|| ReplayPage::empty(&context.segment_id), replay_page), fits)
        })
        .collect();
    let (fits, weights) =
        made.iter().fold((0.0, 0.0), |(fits, weights), (_, (fit, weight))| (fits + fit, weights + weight));
    let title_fit = if weights > 0.0 { fits / weights } else { 0.0 };
    let mut all = FusedPages { title_fit, ..FusedPages::default() };
    for (page, _) in made {
        let cascade = page.placements.iter().filter(|placement| placement.cascade).count();
        all.empty += usize::from(page.placements.is_empty());
        all.ranker_pages += usize::from(cascade == 0 && !page.placements.is_empty());
        all.below_half += usize::from(2 * cascade < page.placements.len());
        all.pages.insert(page.segment_id.clone(), page);
    }
    all
}

fn fuse_one(
    fuser: &Fuser<'_>,
    fusion: Fusion<'_>,
    context: &SegmentContext,
    judged: Option<&JudgedPage>,
) -> Option<FusedPage> {
    let accepts_title = |title: &str| (fusion.accepts_title)(context, title);
    let audience = Audience { context, accepts_title: &accepts_title };
    let eligible = judged.map(|page| eligible(fusion.ground, page));
    let page = match &eligible {
        Some(page) if !page.placements.is_empty() => {
            fuser.fuse(page, fusion.fits, &audience).or_else(|_| fuser.ranker_page(&audience))
        }
        _ => fuser.ranker_page(&audience),
    };
    page.inspect_err(|error| tracing::warn!(segment = context.segment_id.as_str(), %error, "no fused page"))
        .ok()
}

/// Fits of the products of some cascade placements, discounted by place in the row, and the discounts; both summed.
type TitleFigure = (f64, f64);

fn title_fit(page: &FusedPage) -> TitleFigure {
    let cascade = page.placements.iter().filter(|placement| placement.source == Source::Cascade);
    let products = cascade.flat_map(|placement| placement.products.iter().enumerate());
    products.fold((0.0, 0.0), |(fits, weights), (column, scored)| {
        let weight = discount(0, column);
        (fits + weight * f64::from(scored.parts.fit), weights + weight)
    })
}

/// The page with eligible products alone, so that all arms choose from the same shop.
fn eligible(ground: &Ground<'_>, page: &JudgedPage) -> JudgedPage {
    let eligible = |placements: &[StockedPlacement]| {
        let placements = placements.iter().map(|placement| StockedPlacement {
            chosen: placement.chosen.clone(),
            products: ground.admitted(&placement.products),
        });
        let enough = |placement: &StockedPlacement| placement.products.len() >= ground.shape.min_products;
        placements.filter(enough).collect()
    };
    JudgedPage {
        segment_id: page.segment_id.clone(),
        placements: eligible(&page.placements),
        spare: eligible(&page.spare),
        refilled: page.refilled,
        verdicts: Vec::new(),
    }
}

fn replay_page(page: FusedPage) -> ReplayPage {
    let placements = page.placements.into_iter().map(|placement| ReplayPlacement {
        title: placement.title,
        cascade: placement.source == Source::Cascade,
        products: placement.products.into_iter().map(|scored| scored.product_id).collect::<Vec<ProductId>>(),
    });
    ReplayPage { segment_id: page.segment_id, placements: placements.collect() }
}
