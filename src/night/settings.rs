//! `[night]` of the config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ArmId;

/// A page that a night makes of a segment anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VariantPage {
    /// The fused page, which is also the manifest's own: for an A/A test.
    Cascade,
    /// The page the ranker makes alone.
    Ranker,
}

/// How a night is cut up, and when it is not good enough to publish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Segments a group: the unit of batch, checkpoint and shard; 1..=512.
    pub group_segments: usize,
    /// Segments a shard of the cloud's array job computes, about; 1..=100,000.
    pub shard_segments: usize,
    /// Whether every page is made anew once the interactions changed. Without, an unchanged segment keeps its page until it is
    /// renewed.
    pub follow_demand: bool,
    /// Past this share of carried-over and ranker-only pages the night stops and the pointer stays; 0..1.
    pub max_fallback_share: f64,
    /// A page says it is valid for this many days; 1..=60.
    pub valid_days: u32,
    /// An unchanged page is made new once fewer days than this are left to it; 0..=`valid_days`.
    pub renew_days: u32,
    /// Products retrieved a placement, before ranking and rules; 10..=400.
    pub retrieved_products: usize,
    /// Searches under way at once; 1..=64.
    pub concurrent_searches: usize,
    /// What a worker's machine costs, US dollars an hour, for the metric `Cost`; 0 where it is not known.
    pub worker_usd_per_hour: f64,
    /// Arms of a running experiment → what their shoppers see instead of the page; empty without one.
    pub variants: BTreeMap<ArmId, VariantPage>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 7,
            group_segments: 24,
            shard_segments: 480,
            follow_demand: true,
            max_fallback_share: 0.5,
            valid_days: 7,
            renew_days: 2,
            retrieved_products: 40,
            concurrent_searches: 16,
            worker_usd_per_hour: 0.0,
            variants: BTreeMap::new(),
        }
    }
}

impl Settings {
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, low: usize, high: usize| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} = {value} is not within {low}..={high}")),
        };
        within("group_segments", self.group_segments, 1, 512)?;
        within("shard_segments", self.shard_segments, 1, 100_000)?;
        within("valid_days", self.valid_days as usize, 1, 60)?;
        within("renew_days", self.renew_days as usize, 0, self.valid_days as usize)?;
        within("retrieved_products", self.retrieved_products, 10, 400)?;
        within("concurrent_searches", self.concurrent_searches, 1, 64)?;
        if !(0.0..=1.0).contains(&self.max_fallback_share) {
            return Err(format!("max_fallback_share = {} is not within 0..1", self.max_fallback_share));
        }
        if !(0.0..=10_000.0).contains(&self.worker_usd_per_hour) {
            return Err(format!("worker_usd_per_hour = {} is not within 0..10000", self.worker_usd_per_hour));
        }
        Ok(())
    }

    /// The settings that can change a page's bytes.
    pub fn shaping(&self) -> impl Serialize {
        (self.seed, self.retrieved_products, &self.variants)
    }
}
