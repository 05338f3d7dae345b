//! The ranker's folder: `model.txt`, `ranker.json`, `card.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::{Digest, SegmentId};
use crate::trees::Trees;

use super::calibration::Calibration;
use super::card;
use super::features::{Features, Shop};
use super::learned::{LearnedRanker, population};
use super::schema::{Feature, schema_digest};
use super::{RankError, Recipe, TypeVectors};

const FORMAT: &str = "endcap.ranker/v1";
const MODEL: &str = "model.txt";
const DESCRIPTION: &str = "ranker.json";
const CARD: &str = "card.md";

/// Figures on the held-out window, which ends at `as_of`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    pub visits: u64,
    /// Products of a segment's page; the next four are distinct products of it bought a visit, mean.
    pub page_products: usize,
    pub popularity: f64,
    /// Purchase rates with a prior of 2,000 and of 150 visits.
    pub rates: f64,
    pub light_rates: f64,
    pub learned: f64,
    /// Mean over visits and products, nats: of the light rates and of the calibrated trees.
    pub rates_log_loss: f64,
    pub learned_log_loss: f64,
}

/// `ranker.json`: all that scoring needs besides the trees, and how they came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub format: String,
    /// Of names, order and meanings of the features.
    pub schema: Digest,
    pub features: Vec<String>,
    /// Nothing of this day or later was read.
    pub as_of: NaiveDate,
    pub history_days: u32,
    /// Days before `as_of` at which the features of the training rows end, and the held-out rows'.
    pub training_origins: Vec<u32>,
    pub held_out_origin: u32,
    /// Rows of both.
    pub rows: (usize, usize),
    pub recipe: Recipe,
    /// Whether text similarity was computed; without an encoder it is 0.
    pub text: bool,
    pub trees: usize,
    /// Share of the total gain, in the order of `features`; empty for a model that was brought along.
    pub importance: Vec<f64>,
    pub calibration: Calibration,
    pub validation: Validation,
    /// Of `model.txt`.
    pub model: Digest,
}

/// A ranker, ready to score.
#[derive(Debug)]
pub struct RankerModel {
    pub description: Description,
    pub(super) trees: Trees,
    pub(super) text: String,
}

impl Description {
    pub(super) fn format() -> String {
        FORMAT.into()
    }
}

impl RankerModel {
    /// Reads a folder that [`RankerModel::save`] wrote.
    pub fn load(folder: &Path) -> Result<Self, RankError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| RankError::Io { path, source })
        };
        let (description, text) = (read(DESCRIPTION)?, read(MODEL)?);
        let path = folder.join(DESCRIPTION);
        check_schema(&path, &description)?;
        let description: Description =
            serde_json::from_str(&description).map_err(|source| RankError::Json { path, source })?;
        let found = Digest::of(text.as_bytes());
        let path = folder.join(MODEL);
        if found != description.model {
            let (found, expected) = (found.to_hex(), description.model.to_hex());
            return Err(RankError::Altered { path, found, expected });
        }
        let trees = parse(&text, &path)?;
        Ok(Self { description, trees, text })
    }

    /// Writes the folder; the bytes depend on the ranker alone.
    pub fn save(&self, folder: &Path) -> Result<(), RankError> {
        let fail = |path: &Path, source| RankError::Io { path: path.into(), source };
        std::fs::create_dir_all(folder).map_err(|source| fail(folder, source))?;
        let description = serde_json::to_string_pretty(&self.description)
            .map_err(|source| RankError::Json { path: folder.join(DESCRIPTION), source })?;
        let card = card::render(&self.description);
        for (name, text) in [(MODEL, &self.text), (DESCRIPTION, &(description + "\n")), (CARD, &card)] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| fail(&path, source))?;
        }
        Ok(())
    }

    /// Of everything that can change a score.
    pub fn digest(&self) -> Digest {
        // Serialising plain numbers cannot fail.
        let calibration = serde_json::to_vec(&self.description.calibration).unwrap_or_default();
        Digest::of_parts([
            self.description.model.as_bytes(),
            self.description.schema.as_bytes(),
            &calibration[..],
        ])
    }

    /// Scores `segments` × all products of the shop as of its history's day, a batch a segment, on all threads. A segment's scores
    /// do not depend on which others are asked for. Where one of them has no visit, all of the shop's are scored for their mean.
    pub fn score(&self, shop: Shop<'_>, segments: &BTreeSet<SegmentId>) -> Result<LearnedRanker, RankError> {
        let (trained, scored) = (self.description.as_of, shop.history.as_of);
        if trained > scored {
            return Err(RankError::FromTheFuture { trained, scored });
        }
        if self.description.text && shop.vectors.is_none() {
            return Err(RankError::NoVectors);
        }
        // What was trained without text is scored without.
        let none = TypeVectors::none();
        let shop = if self.description.text { shop } else { Shop { vectors: &none, ..shop } };
        let features = Features::new(shop, 0);
        let known: BTreeMap<&str, usize> =
            shop.history.segments.iter().map(String::as_str).zip(0..).collect();
        let is_seen = segments.iter().all(|segment| known.contains_key(segment.as_str()));
        let wanted: Vec<usize> = match is_seen {
            true => segments.iter().map(|segment| known[segment.as_str()]).collect(),
            false => (0..known.len()).collect(),
        };
        let probabilities = self.probabilities(&features, shop, &wanted)?;
        let mean: Option<Arc<[f32]>> = (!is_seen).then(|| {
            let visits = features.counts().members.iter().map(|members| members.visits);
            let weighed: Vec<(f64, &Vec<f32>)> = visits.zip(&probabilities).collect();
            population(&weighed, shop.catalog.len()).into()
        });
        let scored: BTreeMap<usize, Arc<[f32]>> =
            wanted.into_iter().zip(probabilities.into_iter().map(Arc::from)).collect();
        let of = |segment: &SegmentId| match known.get(segment.as_str()) {
            Some(place) => scored.get(place).cloned(),
            None => mean.clone(),
        };
        let scores = segments.iter().filter_map(|segment| Some((segment.clone(), of(segment)?))).collect();
        let places =
            shop.catalog.iter().zip(0..).map(|(product, at)| (product.product_id.clone(), at)).collect();
        Ok(LearnedRanker { places, segments: scores })
    }

    /// Product → probability of each of the history's `segments`.
    pub(super) fn probabilities(
        &self,
        features: &Features<'_>,
        shop: Shop<'_>,
        segments: &[usize],
    ) -> Result<Vec<Vec<f32>>, RankError> {
        let score = |&segment: &usize| {
            let name = &shop.history.segments[segment];
            let outputs = self.outputs(name, &features.batch(segment))?;
            let calibration = &self.description.calibration;
            Ok(outputs.into_iter().map(|output| calibration.probability(output) as f32).collect())
        };
        segments.par_iter().map(score).collect()
    }
}

/// Compares schemas before the rest is parsed: a file of another version may look different throughout.
fn check_schema(path: &Path, text: &str) -> Result<(), RankError> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
        schema: String,
        features: Vec<String>,
    }
    let head: Head =
        serde_json::from_str(text).map_err(|source| RankError::Json { path: path.into(), source })?;
    let expected = schema_digest().to_hex();
    if head.format == FORMAT && head.schema == expected {
        return Ok(());
    }
    let difference = match head.format == FORMAT {
        true => difference(&head.features),
        false => format!("its format is {:?}, not {FORMAT:?}", head.format),
    };
    Err(RankError::Schema { path: path.into(), found: head.schema, expected, difference })
}

fn difference(found: &[String]) -> String {
    let known: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    let strange: Vec<&str> = found.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let missing: Vec<&str> =
        known.iter().copied().filter(|name| !found.iter().any(|found| found == name)).collect();
    match (strange.is_empty(), missing.is_empty()) {
        (true, true) => "the features' order or meaning differs".into(),
        _ => format!("unknown features: {strange:?}, missing features: {missing:?}"),
    }
}

/// Trees whose own feature names are the schema's, in its order; `path` is for messages.
pub(super) fn parse(text: &str, path: &Path) -> Result<Trees, RankError> {
    let fail = |reason: String| RankError::Model { path: path.into(), reason };
    let trees = Trees::parse(text).map_err(|error| fail(error.to_string()))?;
    if trees.names().iter().eq(Feature::ALL.iter().map(|feature| feature.name())) {
        return Ok(trees);
    }
    Err(fail(format!("{} features; {}", trees.features(), difference(trees.names()))))
}
