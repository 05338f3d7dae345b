//! Training: windows, trees, calibration, and how the result fares on the window held out.

use std::path::Path;

use crate::domain::Digest;
use crate::trees::{Grown, Growth, grow};

use super::artifact::{Description, RankerModel, Validation, parse};
use super::calibration::Calibration;
use super::examples::{Examples, window};
use super::features::{Features, Row, Shop};
use super::history::Labels;
use super::schema::{Feature, schema_digest};
use super::{RankError, Recipe};

/// Trains a ranker on what was bought before the history's `as_of`; later days are not in a history.
///
/// The features of a training row end at its origin and its label is the share of the segment's visits, in the
/// `label_days` after, that bought the product: a probability, learned by log loss with visits as weights. The last window
/// before `as_of` is held out for early stopping, calibration and the figures.
///
/// # Errors
/// A window without visits or purchases; a feature that is not finite.
pub fn train(shop: Shop<'_>, recipe: &Recipe) -> Result<RankerModel, RankError> {
    let (origins, held_out) = recipe.origins();
    let mut training = Examples::default();
    for origin in &origins {
        let labels = window(shop, *origin, recipe)?;
        let part = Examples::new(&Features::new(shop, *origin), &labels, *origin, recipe);
        training = [training, part].into_iter().collect();
    }
    training.check()?;
    let judge = Judge::new(shop, held_out, recipe)?;
    let held_out = Some((judge.examples.table(), recipe.patience));
    let grown = grow(&growth(recipe), &Feature::NAMES, training.table(), held_out)?;
    judge.finish(grown, training.rows.len(), Path::new("model.txt"))
}

/// Takes a LightGBM text model that was trained elsewhere on the same features, and calibrates it as ours are. `path` is for
/// messages.
///
/// # Errors
/// As [`train`]; a text that is no LightGBM model of these features.
pub fn adopt(shop: Shop<'_>, recipe: &Recipe, text: String, path: &Path) -> Result<RankerModel, RankError> {
    let judge = Judge::new(shop, recipe.origins().1, recipe)?;
    judge.finish(Grown { text, importance: Vec::new() }, 0, path)
}

fn growth(recipe: &Recipe) -> Growth {
    Growth {
        trees: recipe.trees,
        learning_rate: recipe.learning_rate,
        leaves: recipe.leaves,
        min_leaf_weight: recipe.min_leaf_purchases,
        l2: recipe.l2,
        bins: recipe.bins,
    }
}

/// The held-out window.
struct Judge<'a> {
    shop: Shop<'a>,
    recipe: &'a Recipe,
    features: Features<'a>,
    labels: Labels,
    examples: Examples,
}

impl<'a> Judge<'a> {
    fn new(shop: Shop<'a>, origin: u32, recipe: &'a Recipe) -> Result<Self, RankError> {
        let labels = window(shop, origin, recipe)?;
        let features = Features::new(shop, origin);
        let examples = Examples::new(&features, &labels, origin, recipe);
        examples.check()?;
        Ok(Self { shop, recipe, features, labels, examples })
    }

    fn finish(self, grown: Grown, training_rows: usize, path: &Path) -> Result<RankerModel, RankError> {
        let trees = parse(&grown.text, path)?;
        let output = |row: &Row| trees.predict(&row.map(f64::from));
        let outputs: Vec<f64> = self.examples.rows.iter().map(output).collect::<Result<_, _>>()?;
        let calibration = Calibration::fit(&outputs, &self.examples.labels, &self.examples.weights);
        let (training_origins, held_out_origin) = self.recipe.origins();
        let own = training_rows > 0;
        let mut model = RankerModel {
            description: Description {
                format: Description::format(),
                schema: schema_digest(),
                features: Feature::ALL.iter().map(|feature| feature.name().to_owned()).collect(),
                as_of: self.shop.history.as_of,
                history_days: self.shop.history.span,
                training_origins: if own { training_origins } else { Vec::new() },
                held_out_origin,
                rows: (training_rows, self.examples.rows.len()),
                recipe: self.recipe.clone(),
                text: !self.shop.vectors.is_none(),
                trees: trees.trees(),
                importance: grown.importance.into_iter().map(rounded).collect(),
                calibration,
                validation: Validation::none(),
                model: Digest::of(grown.text.as_bytes()),
            },
            trees,
            text: grown.text,
        };
        model.description.validation = self.validate(&model)?;
        Ok(model)
    }

    fn validate(&self, model: &RankerModel) -> Result<Validation, RankError> {
        let everybody: Vec<usize> = (0..self.shop.history.segments.len()).collect();
        let learned = model.probabilities(&self.features, self.shop, &everybody)?;
        let visits: u64 = self.labels.visits.iter().map(|visits| u64::from(*visits)).sum();
        let mut validation =
            Validation { visits, page_products: self.recipe.page_products, ..Validation::none() };
        let pairs = visits as f64 * self.shop.catalog.len() as f64;
        for (segment, learned) in learned.iter().enumerate() {
            let mut columns: [Vec<f32>; 3] = Default::default();
            self.features.each(segment, |_, row, _| {
                let scores = [Feature::PopulationRate, Feature::Rate, Feature::LightRate];
                for (column, feature) in columns.iter_mut().zip(scores) {
                    column.push(row[feature as usize]);
                }
            });
            let hits = |scores: &[f32]| self.hits(segment, scores) / visits as f64;
            validation.popularity += hits(&columns[0]);
            validation.rates += hits(&columns[1]);
            validation.light_rates += hits(&columns[2]);
            validation.learned += hits(learned);
            validation.rates_log_loss += self.log_loss(segment, &columns[2]) / pairs;
            validation.learned_log_loss += self.log_loss(segment, learned) / pairs;
        }
        Ok(validation.rounded())
    }

    fn bought(&self, segment: usize, product: usize) -> f64 {
        self.labels.bought.get(&(segment as u32, product as u32)).map_or(0.0, |bought| f64::from(*bought))
    }

    /// Purchases, over the segment's held-out visits, of the products that a page of the best by `scores` would hold.
    fn hits(&self, segment: usize, scores: &[f32]) -> f64 {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        let most = self.recipe.page_products.min(order.len());
        let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        if most < order.len() {
            order.select_nth_unstable_by(most, better);
        }
        order[..most].iter().map(|product| self.bought(segment, *product)).sum()
    }

    /// Summed over the segment's held-out visits and all products, nats.
    fn log_loss(&self, segment: usize, probabilities: &[f32]) -> f64 {
        let visits = f64::from(self.labels.visits[segment]);
        let loss = |(product, probability): (usize, &f32)| {
            let bought = self.bought(segment, product);
            let probability = f64::from(*probability).clamp(1e-9, 1.0 - 1e-9);
            -bought * probability.ln() - (visits - bought).max(0.0) * (-probability).ln_1p()
        };
        probabilities.iter().enumerate().map(loss).sum()
    }
}

/// To nine decimals, which JSON reads back exactly.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

impl Validation {
    fn rounded(self) -> Self {
        Self {
            popularity: rounded(self.popularity),
            rates: rounded(self.rates),
            light_rates: rounded(self.light_rates),
            learned: rounded(self.learned),
            rates_log_loss: rounded(self.rates_log_loss),
            learned_log_loss: rounded(self.learned_log_loss),
            ..self
        }
    }

    fn none() -> Self {
        Self {
            visits: 0,
            page_products: 0,
            popularity: 0.0,
            rates: 0.0,
            light_rates: 0.0,
            learned: 0.0,
            rates_log_loss: 0.0,
            learned_log_loss: 0.0,
        }
    }
}
