//! Growing.

use forust_ml::gradientbooster::{GrowPolicy, ImportanceMethod};
use forust_ml::metric::Metric;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

use super::bins::Bins;
use super::text::lightgbm;
use super::{Growth, TreesError};

/// What trees are grown on, or held against. A row has a value a feature; none is NaN.
pub struct Table<'a, R> {
    pub rows: &'a [R],
    /// Probabilities, 0..=1; one a row.
    pub labels: &'a [f64],
    /// How much a row counts, > 0; one a row.
    pub weights: &'a [f64],
}

/// Trees as they come out of training.
pub struct Grown {
    /// LightGBM's text format.
    pub text: String,
    /// Share of the total gain, in the order of the features.
    pub importance: Vec<f64>,
}

/// Largest step of a leaf before shrinkage, log-odds. From a rate of 0.001, Newton's step towards 0.2 would be 200.
const MAX_STEP: f32 = 2.0;

/// Grows trees by the log loss of the labels. `names` are the features', without white space. With a held-out table and a
/// patience, only until its loss has not fallen for so many trees. The number of threads changes nothing.
pub fn grow<R: AsRef<[f32]> + Sync>(
    growth: &Growth,
    names: &[&str],
    training: Table<'_, R>,
    held_out: Option<(Table<'_, R>, usize)>,
) -> Result<Grown, TreesError> {
    let features = names.len();
    let bins = Bins::new(training.rows, features, usize::from(growth.bins));
    let columns = bins.columns(training.rows);
    let data = Matrix::new(&columns, training.rows.len(), features);
    let held_columns = held_out.as_ref().map(|(table, _)| bins.columns(table.rows));
    let mut booster = GradientBooster::default()
        .set_objective_type(ObjectiveType::LogLoss)
        .set_iterations(growth.trees)
        .set_learning_rate(growth.learning_rate)
        .set_max_depth(growth.leaves)
        .set_max_leaves(growth.leaves)
        .set_min_leaf_weight(growth.min_leaf_weight)
        .set_l2(growth.l2)
        .set_max_delta_step(MAX_STEP)
        // More than there are distinct values, so that each stays a bin.
        .set_nbins(growth.bins + 2)
        .set_initialize_base_score(true)
        .set_parallel(true)
        .set_tiled_histograms(true)
        .set_evaluation_metric(Some(Metric::LogLoss))
        .set_early_stopping_rounds(held_out.as_ref().map(|(_, patience)| *patience));
    booster.grow_policy = GrowPolicy::LossGuide;
    let evaluation = held_out.as_ref().zip(held_columns.as_deref()).map(|((table, _), columns)| {
        vec![(Matrix::new(columns, table.rows.len(), features), table.labels, table.weights)]
    });
    booster.fit(&data, training.labels, training.weights, evaluation)?;
    let kept = booster.prediction_iteration.unwrap_or(booster.trees.len());
    booster.trees.truncate(kept);
    let gains = booster.calculate_feature_importance(ImportanceMethod::TotalGain, false);
    let gain = |at: usize| gains.get(&at).map_or(0.0, |gain| f64::from(*gain));
    let total: f64 = (0..features).map(gain).sum();
    let importance = (0..features).map(|at| if total > 0.0 { gain(at) / total } else { 0.0 }).collect();
    Ok(Grown { text: lightgbm(&booster.trees, booster.base_score, names, &bins), importance })
}
