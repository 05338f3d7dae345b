//! Learning from graded candidates.

use crate::domain::Digest;
use crate::domain::training::{KeywordExample, Split};
use crate::embed::{EmbedError, Memory};
use crate::trees::{Growth, Table, grow};

use super::RelevanceError;
use super::artifact::{Description, RelevanceModel, Validation};
use super::features::{Asked, Nearness, names, rows, schema};

/// The greatest grade.
const BEST: f64 = 2.0;
/// Of P-K@5.
const CHOSEN: usize = 5;

/// What is learned from.
pub struct Lessons<'a> {
    pub examples: &'a [KeywordExample],
    /// Of their file.
    pub data: Digest,
    pub encoder: &'a Memory,
    /// Of its files.
    pub encoder_digest: Digest,
}

impl<'a> Lessons<'a> {
    /// Those of a split that have something to compare; at least one.
    fn of(&self, split: Split) -> Result<Vec<&'a KeywordExample>, RelevanceError> {
        let is_whole =
            |example: &&KeywordExample| !example.concepts.is_empty() && !example.candidates.is_empty();
        let of_split = self.examples.iter().filter(|example| example.split == split);
        let found: Vec<&KeywordExample> = of_split.filter(is_whole).collect();
        if found.is_empty() { Err(RelevanceError::NoExamples { split: split.as_str() }) } else { Ok(found) }
    }
}

/// Grows the model on the training split; the validation split gives the figures and nothing else. `embedded` hears of every
/// placement.
pub fn train(
    lessons: &Lessons<'_>,
    recipe: &Growth,
    embedded: &dyn Fn(u64),
) -> Result<RelevanceModel, RelevanceError> {
    let (learned, held_out) = (lessons.of(Split::Train)?, lessons.of(Split::Validation)?);
    let grade = |example: &&KeywordExample| {
        embedded(1);
        Graded::new(example, lessons.encoder)
    };
    let training: Vec<Graded> = learned.iter().map(grade).collect::<Result<_, _>>()?;
    let rows: Vec<&[f32]> = training.iter().flat_map(|one| &one.rows).map(Vec::as_slice).collect();
    let labels: Vec<f64> = training.iter().flat_map(|one| &one.labels).copied().collect();
    let weights = vec![1.0; rows.len()];
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let table = Table { rows: &rows, labels: &labels, weights: &weights };
    let grown = grow(recipe, &names, table, None)?;
    let description = Description {
        format: Description::format(),
        schema: schema(),
        encoder: lessons.encoder_digest,
        data: lessons.data,
        placements: training.len(),
        candidates: rows.len(),
        recipe: *recipe,
        trees: recipe.trees,
        importance: grown.importance.into_iter().map(rounded).collect(),
        validation: Validation { placements: held_out.len(), cosine: 0.0, learned: 0.0 },
        model: Digest::of(grown.text.as_bytes()),
    };
    let mut model = RelevanceModel::new(description, grown.text)?;
    model.description.validation = validate(&model, &held_out, lessons.encoder)?;
    Ok(model)
}

/// A placement's candidates as rows and labels.
struct Graded {
    rows: Vec<Vec<f32>>,
    /// Grade over the best.
    labels: Vec<f64>,
}

impl Graded {
    fn new(example: &KeywordExample, encoder: &Memory) -> Result<Self, EmbedError> {
        let candidates = texts(example);
        let asked = asked(example, &candidates);
        let near = Nearness::new(&asked, encoder)?;
        let title = encoder.vectors(&[asked.title])?;
        Ok(Self { rows: rows(&asked, &near, &title[0]), labels: labels(example) })
    }
}

fn texts(example: &KeywordExample) -> Vec<String> {
    example.candidates.iter().map(|candidate| candidate.text.clone()).collect()
}

fn asked<'a>(example: &'a KeywordExample, candidates: &'a [String]) -> Asked<'a> {
    Asked { title: &example.title, concepts: &example.concepts, candidates }
}

fn labels(example: &KeywordExample) -> Vec<f64> {
    example.candidates.iter().map(|candidate| f64::from(candidate.grade) / BEST).collect()
}

fn validate(
    model: &RelevanceModel,
    held_out: &[&KeywordExample],
    encoder: &Memory,
) -> Result<Validation, RelevanceError> {
    let (mut cosine, mut learned) = (0.0, 0.0);
    for example in held_out {
        let candidates = texts(example);
        let asked = asked(example, &candidates);
        let near = Nearness::new(&asked, encoder)?;
        let cosines: Vec<f32> = (0..candidates.len()).map(|at| near.cosine(at)).collect();
        let labels = labels(example);
        cosine += precision(&cosines, &labels);
        learned += precision(&model.log_odds(&asked, &near, encoder)?, &labels);
    }
    let mean = |sum: f64| rounded(sum / held_out.len() as f64);
    Ok(Validation { placements: held_out.len(), cosine: mean(cosine), learned: mean(learned) })
}

/// Sum of the labels of the five greatest scores, over 5.
fn precision(scores: &[f32], labels: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.iter().take(CHOSEN).map(|at| labels[*at]).sum::<f64>() / CHOSEN as f64
}

/// To nine decimals, which JSON reads back exactly.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}
