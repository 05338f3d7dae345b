//! The model's folder: `model.txt`, `relevance.json`, `README.md`.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Digest;
use crate::embed::Memory;
use crate::trees::{Growth, Trees};

use super::RelevanceError;
use super::features::{Asked, Nearness, parts, rows, schema};

const FORMAT: &str = "endcap.relevance/v1";
const MODEL: &str = "model.txt";
const DESCRIPTION: &str = "relevance.json";
const CARD: &str = "README.md";

/// Probabilities are kept this far from 0 and 1, so that no candidate is out of the question.
const CERTAIN: f64 = 1e-4;

/// On the placements held out: P-K@5 of the five best candidates, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    pub placements: usize,
    /// By the cosine to the nearest concept.
    pub cosine: f64,
    /// By this model.
    pub learned: f64,
}

/// `relevance.json`: all that judging needs besides the trees, and how they came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub format: String,
    /// Of names, order and meanings of the features.
    pub schema: Digest,
    /// Of the encoder's files whose vectors were seen.
    pub encoder: Digest,
    /// Of `keywords.parquet`.
    pub data: Digest,
    /// Placements and graded candidates that were learned from.
    pub placements: usize,
    pub candidates: usize,
    pub recipe: Growth,
    pub trees: usize,
    /// Share of the total gain, in the order of the features.
    pub importance: Vec<f64>,
    pub validation: Validation,
    /// Of `model.txt`.
    pub model: Digest,
}

/// A model of relevance, ready to judge.
#[derive(Debug)]
pub struct RelevanceModel {
    pub description: Description,
    trees: Trees,
    text: String,
}

impl Description {
    pub(super) fn format() -> String {
        FORMAT.into()
    }
}

impl RelevanceModel {
    /// Its files; a registry entry pins the first two.
    pub const FILES: [&'static str; 3] = [MODEL, DESCRIPTION, CARD];

    pub(super) fn new(description: Description, text: String) -> Result<Self, RelevanceError> {
        Ok(Self { description, trees: Trees::parse(&text)?, text })
    }

    /// Reads a folder that [`RelevanceModel::save`] wrote; `encoder` is the digest of the one whose vectors it will see.
    pub fn load(folder: &Path, encoder: Digest) -> Result<Self, RelevanceError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| RelevanceError::Io { path, source })
        };
        let (path, model) = (folder.join(DESCRIPTION), folder.join(MODEL));
        let description = parse(&path, &read(DESCRIPTION)?)?;
        let found = description.encoder;
        if found != encoder {
            let (found, expected) = (found.to_hex(), encoder.to_hex());
            return Err(RelevanceError::Encoder { path, found, expected });
        }
        let text = read(MODEL)?;
        let (found, expected) = (Digest::of(text.as_bytes()), description.model);
        if found != expected {
            let (found, expected) = (found.to_hex(), expected.to_hex());
            return Err(RelevanceError::Altered { path: model, found, expected });
        }
        let trees = Trees::parse(&text).map_err(|source| RelevanceError::Model { path: model, source })?;
        Ok(Self { description, trees, text })
    }

    /// Writes the folder; the bytes depend on the model alone.
    pub fn save(&self, folder: &Path) -> Result<(), RelevanceError> {
        let fail = |path: &Path, source| RelevanceError::Io { path: path.into(), source };
        std::fs::create_dir_all(folder).map_err(|source| fail(folder, source))?;
        let description = serde_json::to_string_pretty(&self.description)
            .map_err(|source| RelevanceError::Json { path: folder.join(DESCRIPTION), source })?;
        let texts = [&self.text, &(description + "\n"), &card(&self.description)];
        for (name, text) in Self::FILES.into_iter().zip(texts) {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| fail(&path, source))?;
        }
        Ok(())
    }

    /// How relevant each candidate is: the log-odds of its grade over 2, nats, within ±9.3. The texts are data of any length.
    pub fn log_odds(
        &self,
        asked: &Asked<'_>,
        near: &Nearness,
        encoder: &Memory,
    ) -> Result<Vec<f32>, RelevanceError> {
        let title = encoder.vectors(&[asked.title])?;
        let mut odds = Vec::with_capacity(asked.candidates.len());
        for row in rows(asked, near, &title[0]) {
            let row: Vec<f64> = row.into_iter().map(f64::from).collect();
            let probability = self.trees.predict(&row)?.clamp(CERTAIN, 1.0 - CERTAIN);
            odds.push((probability / (1.0 - probability)).ln() as f32);
        }
        Ok(odds)
    }
}

/// Compares formats and schemas before the rest is parsed: a file of another version may look different throughout.
fn parse(path: &Path, text: &str) -> Result<Description, RelevanceError> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
        schema: String,
    }
    let fail = |source| RelevanceError::Json { path: path.into(), source };
    let head: Head = serde_json::from_str(text).map_err(fail)?;
    let found = format!("{} {}", head.format, head.schema);
    let expected = format!("{FORMAT} {}", schema().to_hex());
    if found != expected {
        return Err(RelevanceError::Features { path: path.into(), found, expected });
    }
    serde_json::from_str(text).map_err(fail)
}

/// Markdown; the bytes depend on the description alone.
fn card(model: &Description) -> String {
    let Validation { placements: held_out, cosine, learned } = model.validation;
    let mut card = format!(
        "# Relevance of candidates\n\n\
         Answers how relevant a candidate keyword is to a placement's title and concepts. {trees} gradient-boosted trees \
         (`model.txt`, LightGBM's text format) over {features} features of the texts and their sentence vectors. Stage 2 adds its \
         log-odds to what the language model says of a candidate (`keywords.relevance`).\n\n\
         | | |\n| --- | --- |\n\
         | data | {candidates} candidates of {placements} placements with a closed-weight teacher's grades (2, 1, 0; learned as 1, ½, 0) |\n\
         | recipe | at most {leaves} leaves, learning rate {rate}, L2 {l2}, {bins} bins; log loss |\n\
         | encoder | sha256 `{encoder}`: with the vectors of another it is refused |\n\
         | licence | Apache-2.0 |\n\n\
         Written by `endcap train relevance`, which gives the same bytes for the same data and encoder.\n\n\
         ## Figures\n\n\
         P-K@5 (docs/evaluation.md) of the five best candidates of the {held_out} placements held out, without a language model:\n\n\
         | order | P-K@5 |\n| --- | --- |\n\
         | cosine to the nearest concept | {cosine:.3} |\n| **this model** | {learned:.3} |\n\n\
         ## Features\n\n\
         A vector's coordinates stand in one line; `difference` is `candidate` less `concept`.\n\n\
         | feature | share of gain | meaning |\n| --- | --- | --- |\n",
        trees = model.trees,
        features = model.importance.len(),
        candidates = model.candidates,
        placements = model.placements,
        leaves = model.recipe.leaves,
        rate = model.recipe.learning_rate,
        l2 = model.recipe.l2,
        bins = model.recipe.bins,
        encoder = model.encoder,
    );
    for (name, meaning, share) in by_gain(&model.importance) {
        // Writing into a String cannot fail.
        let _ = writeln!(card, "| `{name}` | {:.1} % | {meaning} |", share * 100.0);
    }
    card.push_str(
        "\n## Limits\n\n\
         One grocer's words of 2017, in English, and one teacher's opinion of them. It sees candidates as retrieval brings them, some \
         forty a placement: a longer or shorter list moves the features that count rivals. What sells was never looked at.\n",
    );
    card
}

/// Name, meaning and share of the gain of the features, the greatest first; a vector's coordinates together.
fn by_gain(importance: &[f64]) -> Vec<(&'static str, &'static str, f64)> {
    let mut rest = importance.iter();
    let share = |(name, meaning, columns)| (name, meaning, rest.by_ref().take(columns).sum());
    let mut shares: Vec<(&str, &str, f64)> = parts().map(share).collect();
    shares.sort_by(|a, b| b.2.total_cmp(&a.2));
    shares
}
