//! Which pages need not be made again: a page's key is the digest of everything it was made of, kept with each published run.
//!
//! The date is not part of a key, what follows from it is: the rules and campaigns that are active, the holidays near by as the
//! prompt, AIQA and fusion tell them apart. A page is taken over until it must be renewed ([`Settings::renew_days`]), so a
//! forecast that only moved with the days behind it is at most that old.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::aiqa::TitlePolicy;
use crate::domain::calendar::{self, Holiday, Season};
use crate::domain::digest::DigestBuilder;
use crate::domain::{Digest, SegmentContext, SegmentId};
use crate::fuse;

use super::{Inputs, Recipe, Settings};

/// `pages/<run_id>.json`: what each page that the cascade made, tonight or before, was made of.
pub type PageRecords = BTreeMap<SegmentId, PageRecord>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRecord {
    pub key: Digest,
    /// As the page says.
    pub valid_until: DateTime<Utc>,
    /// Read and written for its answers, whether they came from the cache or not.
    pub tokens: u64,
}

/// The keys of tonight's pages.
pub struct PageKeys<'a> {
    inputs: &'a Inputs,
    shared: Digest,
}

impl<'a> PageKeys<'a> {
    pub fn new(
        inputs: &'a Inputs,
        recipe: &Recipe,
        policy: &TitlePolicy,
        (fuse, night): (&fuse::Settings, &Settings),
    ) -> Self {
        let mut shared = DigestBuilder::default();
        shared.part(env!("CARGO_PKG_VERSION").as_bytes()).part(recipe.config.as_bytes());
        for (name, digest) in &recipe.models {
            shared.part(name.as_bytes()).part(digest.as_bytes());
        }
        for version in &recipe.templates {
            shared.part(version.as_bytes());
        }
        let files = &inputs.files;
        shared.part(files.products.as_bytes()).part(files.keywords.as_bytes());
        if night.follow_demand {
            shared.part(files.interactions.as_bytes());
        }
        for word in dated(inputs.as_of, policy, fuse.season_lead_days) {
            shared.part(word.as_bytes());
        }
        Self { inputs, shared: shared.finish() }
    }

    /// The key of this segment's page.
    pub fn of(&self, context: &SegmentContext) -> Digest {
        let (segment, as_of) = (&context.segment_id, context.as_of);
        let rules = &self.inputs.merchandising;
        let undated = SegmentContext { as_of: NaiveDate::MIN, ..context.clone() };
        let active: Vec<_> = rules.active(segment, as_of).collect();
        let made_of =
            (undated, rules.page, rules.goal(segment, as_of), rules.campaign(segment, as_of), active);
        // Plain data: serialising it cannot fail.
        let bytes = serde_json::to_vec(&made_of).unwrap_or_default();
        Digest::of_parts([&self.shared.as_bytes()[..], &bytes])
    }
}

/// What the stages take from the date.
fn dated(as_of: NaiveDate, policy: &TitlePolicy, lead_days: i64) -> Vec<String> {
    let soon = as_of.checked_add_days(Days::new(lead_days.unsigned_abs())).unwrap_or(as_of);
    let mut words = vec![Season::of(as_of).name().to_owned(), Season::of(soon).name().to_owned()];
    words.extend(calendar::upcoming(as_of).iter().map(|next| {
        let (holiday, distance) = (next.holiday.name(), next.distance_class());
        format!("{holiday} {distance}")
    }));
    words.extend(policy.occasions(as_of).into_iter().map(|occasion| format!("aiqa: {occasion}")));
    let leads = |holiday: &Holiday| holiday.days_until(as_of).is_some_and(|days| days <= lead_days);
    let leading = Holiday::ALL.into_iter().filter(leads);
    words.extend(leading.map(|holiday| format!("fuse: {}", holiday.name())));
    words
}
