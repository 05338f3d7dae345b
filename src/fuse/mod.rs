//! Fusion: the last stage before a page is published.
//!
//! The cascade's products, with others of their types and aisles and what is bought together with them (`bench`), are
//! scored by the ranker and their relevance (`score`); placements of the cascade and the ranker are chosen so that
//! tonight's rules hold (`compose`), and the order is set (`finish`). A page that ends with too few of the cascade's
//! placements, or cannot satisfy the rules, becomes the ranker's own page; if that cannot either, fusion fails and names the rules.
//!
//! # Which rule wins
//!
//! 1. **Blocks, `only`, forbidden tags, banned phrases and stock.** What they keep off appears nowhere.
//! 2. **Pins.** A pin of something that 1 forbids is an error. A pinned product counts towards quotas and is
//!    left alone by them; it stands on no other placement.
//! 3. **The campaign** goes first where a rule says so, else to its own position.
//! 4. **Quotas.** Upper bounds leave placements and products out; lower bounds bring them in.
//! 5. **Boosts and buries** multiply scores and so decide only among what 1 to 4 leave.
//!
//! Within a kind all active rules hold at once: several blocks add up, several `only` leave what all of them allow,
//! factors multiply. Of campaigns and dated objectives the first listed that is active counts. What cannot hold together
//! is found before the night by [`survey`].
//!
//! Whatever came of it is verified against the rules by [`check`], which shares no code with the steps above
//! (MER-1).

mod bench;
mod check;
mod compose;
mod demand;
mod desk;
mod draft;
mod error;
mod finish;
mod inspect;
mod manifest;
mod page;
mod phrase;
mod quota;
mod rules;
mod score;
mod season;
mod settings;
mod shelf;
mod survey;

use std::cell::OnceCell;

use chrono::NaiveDate;

use crate::domain::merchandising::Merchandising;
use crate::domain::ranker::Ranker;
use crate::domain::stage::{FusedPage, JudgedPage, Source};
use crate::domain::{Catalog, SegmentContext};

use compose::compose;
use desk::Desk;
use draft::Draft;
use finish::finish;
use rules::ActiveRules;
use score::{Scorer, mean_margin};
use shelf::Shelf;

pub use check::{
    CheckablePage, Checklist, IN_STOCK, KNOWN_PRODUCT, PAGE_SIZE, PLACEMENT_SIZE, REPEATED_PRODUCT,
    Violation, check, check_manifest,
};
pub use demand::Demand;
pub use error::FuseError;
pub use inspect::{InspectError, inspect};
pub use manifest::{Stamp, manifest};
pub use settings::Settings;
pub use survey::{Code, Finding, Firing, Ground, Rehearsal, Share, Survey, rehearse, survey, survey_on};

/// What fusion reads, the same for every segment of a night.
#[derive(Clone, Copy)]
pub struct Shop<'a> {
    pub catalog: &'a Catalog,
    pub merchandising: &'a Merchandising,
    pub ranker: &'a dyn Ranker,
}

/// Whom a page is for.
#[derive(Clone, Copy)]
pub struct Audience<'a> {
    /// Its segment may be unknown to the ranker: the page is then the population's.
    pub context: &'a SegmentContext,
    /// Whether a ranker placement may carry this title, an aisle's or product type's name: a later stage of
    /// judging is not to come (QA-1, QA-2).
    pub accepts_title: &'a dyn Fn(&str) -> bool,
}

/// Makes the pages of one night.
pub struct Fuser<'a> {
    shop: Shop<'a>,
    settings: &'a Settings,
    as_of: NaiveDate,
    shelf: Shelf<'a>,
    mean_margin: f32,
}

impl<'a> Fuser<'a> {
    pub fn new(shop: Shop<'a>, settings: &'a Settings, as_of: NaiveDate) -> Self {
        let mean_margin = mean_margin(shop.catalog.iter());
        Self { shop, settings, as_of, shelf: Shelf::new(shop.catalog), mean_margin }
    }

    /// Fuses a judged page. Every rule active for the segment holds on the answer (MER-1).
    ///
    /// Errors: a pin that no page can hold, rules that neither this page nor the ranker's satisfies, or a
    /// catalogue with nothing to show.
    pub fn fuse(&self, page: &JudgedPage, audience: &Audience<'_>) -> Result<FusedPage, FuseError> {
        let desk = self.desk(audience)?;
        let fused = self.composed(&desk, &desk.cascade_drafts(page));
        let segment = audience.context.segment_id.as_str();
        let enough = self.settings.min_cascade_placements.min(desk.shape.placements);
        let cascade = fused.placements.iter().filter(|placement| placement.source == Source::Cascade).count();
        if cascade < enough {
            tracing::info!(
                segment,
                cascade,
                enough,
                "too few placements of the cascade, the ranker's page instead"
            );
            return self.verified(&desk, self.composed(&desk, &[]));
        }
        self.verified(&desk, fused).or_else(|error| {
            tracing::info!(segment, %error, "the rules do not hold on the cascade's page, the ranker's page instead");
            self.verified(&desk, self.composed(&desk, &[]))
        })
    }

    /// The page the ranker makes alone: its favorites and the aisles it values most, under the same rules.
    pub fn ranker_page(&self, audience: &Audience<'_>) -> Result<FusedPage, FuseError> {
        let desk = self.desk(audience)?;
        self.verified(&desk, self.composed(&desk, &[]))
    }

    fn desk<'s>(&'s self, audience: &Audience<'s>) -> Result<Desk<'s>, FuseError> {
        let shop: Shop<'s> = self.shop;
        Ok(Desk {
            rules: ActiveRules::new(&shop, &audience.context.segment_id, self.as_of)?,
            scorer: Scorer::new(shop, self.settings, audience.context, self.as_of, self.mean_margin),
            shape: shop.merchandising.page,
            shelf: &self.shelf,
            accepts_title: audience.accepts_title,
            best: OnceCell::new(),
        })
    }

    fn composed<'s>(&self, desk: &Desk<'s>, cascade: &[Draft<'s>]) -> FusedPage {
        finish(compose(desk, cascade))
    }

    fn verified(&self, desk: &Desk<'_>, page: FusedPage) -> Result<FusedPage, FuseError> {
        let segment = page.segment_id.clone();
        if page.placements.is_empty() {
            return Err(FuseError::NothingToShow { segment, rules: desk.rules.restricting() });
        }
        let Shop { catalog, merchandising, .. } = self.shop;
        let list = Checklist { catalog, merchandising, segment: &segment, as_of: self.as_of };
        let violations = check(&CheckablePage::from(&page), &list);
        if violations.is_empty() { Ok(page) } else { Err(FuseError::Unsatisfied { segment, violations }) }
    }
}
