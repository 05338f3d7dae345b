//! What fusion works on at an origin: the cascade's judged pages, the ranker, the title policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Replay, Shop, cascade};
use crate::aiqa::TitlePolicy;
use crate::cli::tools;
use crate::domain::stage::JudgedPage;
use crate::domain::title_fit::TitleFits;
use crate::domain::{SegmentContext, SegmentId};
use crate::embed::Evaluator;
use crate::fuse;
use crate::replay::arms::Fusion;
use crate::replay::{Eligibility, Ground};

/// One origin's, read once; any number of settings can be tried on it.
pub struct Offer {
    pub judged: BTreeMap<SegmentId, JudgedPage>,
    policy: TitlePolicy,
    fits: TitleFits,
}

/// Every segment, with what the cascade offers it.
pub type Offered<'a> = [(&'a SegmentContext, Option<&'a JudgedPage>)];

impl Offer {
    pub async fn read(replay: &Replay<'_>, shop: &Shop) -> anyhow::Result<Self> {
        let inputs = &shop.inputs;
        let policy = tools::policy(replay.context, &inputs.catalog, &inputs.keywords)?;
        let judged = cascade::judged(replay.context, replay.origin, inputs, replay.reporter).await?;
        let memory = tools::encoder(replay.context)?.0;
        let titles: BTreeSet<&str> = judged.values().flat_map(JudgedPage::titles).collect();
        let titles: Vec<&str> = titles.into_iter().collect();
        let fits = Evaluator::new(&inputs.catalog).fits(&titles, &memory)?;
        Ok(Self { judged, policy, fits })
    }

    /// Hands everything fusion needs to `work`.
    pub fn fuse<T>(
        &self,
        shop: &Shop,
        ground: &Ground<'_>,
        work: impl FnOnce(Fusion<'_>, &Offered<'_>) -> T,
    ) -> T {
        let inputs = &shop.inputs;
        let accepts_title = |context: &SegmentContext, title: &str| self.policy.admits(context, title);
        let fusion = Fusion {
            ground,
            merchandising: &inputs.merchandising,
            ranker: &inputs.forecast,
            fits: &self.fits,
            accepts_title: &accepts_title,
            as_of: inputs.as_of,
        };
        let pages: Vec<_> =
            inputs.segments.iter().map(|context| (context, self.judged.get(&context.segment_id))).collect();
        work(fusion, &pages)
    }
}

/// `settings` that feature nothing beyond what every arm may show.
pub fn within(eligibility: &Eligibility, settings: &fuse::Settings) -> fuse::Settings {
    fuse::Settings {
        never_featured_tags: eligibility.never_tags.clone(),
        never_featured_aisles: eligibility.never_aisles.clone(),
        ..settings.clone()
    }
}
