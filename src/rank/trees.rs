//! Gradient-boosted trees: grown by forust-ml, kept as a LightGBM text model, evaluated by bosk.

use std::fmt::Write as _;
use std::path::Path;

use arrow::array::{Array, Float32Array, RecordBatch};
use bosk::{LgbModel, Model as _};
use forust_ml::gradientbooster::{GrowPolicy, ImportanceMethod};
use forust_ml::metric::Metric;
use forust_ml::objective::ObjectiveType;
use forust_ml::tree::Tree;
use forust_ml::{GradientBooster, Matrix};

use super::bins::Bins;
use super::examples::Examples;
use super::features::Row;
use super::schema::{FEATURES, Feature};
use super::{RankError, Recipe};

/// A LightGBM text model: anything with one output that LightGBM 4 writes, linear trees excepted.
#[derive(Debug)]
pub struct Trees(LgbModel);

impl Trees {
    /// Reads `text`; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RankError> {
        let parsed = LgbModel::parse(text);
        parsed.map(Self).map_err(|error| RankError::Model { path: path.into(), reason: error.to_string() })
    }

    /// Values a row.
    pub fn features(&self) -> usize {
        self.0.num_features()
    }

    pub fn trees(&self) -> usize {
        self.0.num_trees()
    }

    /// What LightGBM's `predict` answers: after the objective's transform. NaN is missing, as there.
    ///
    /// # Errors
    /// A row of another length.
    pub fn predict(&self, row: &[f64]) -> Result<f64, RankError> {
        self.0.predict(row).map_err(|error| RankError::Grow(error.to_string()))
    }

    /// The same for a row of the feature table.
    pub(super) fn output(&self, row: &Row) -> f64 {
        self.0.predict_unchecked(&row.map(f64::from))
    }

    /// Outputs of a feature table, a row after the other.
    ///
    /// # Errors
    /// Columns that are not the schema's, in its order; a value that is not finite, with its row as product.
    pub fn predict_batch(&self, segment: &str, batch: &RecordBatch) -> Result<Vec<f64>, RankError> {
        let columns = columns(batch)?;
        let mut row = [0.0; FEATURES];
        let mut outputs = Vec::with_capacity(batch.num_rows());
        for at in 0..batch.num_rows() {
            for ((value, column), feature) in row.iter_mut().zip(&columns).zip(Feature::ALL) {
                let found = if column.is_null(at) { f32::NAN } else { column.value(at) };
                if !found.is_finite() {
                    return Err(RankError::NotFinite {
                        segment: segment.into(),
                        product: format!("in row {}", at + 1),
                        feature: feature.name().into(),
                        value: found,
                    });
                }
                *value = f64::from(found);
            }
            outputs.push(self.0.predict_unchecked(&row));
        }
        Ok(outputs)
    }
}

fn columns(batch: &RecordBatch) -> Result<Vec<&Float32Array>, RankError> {
    let named = batch.schema_ref().fields().iter().map(|field| field.name().as_str());
    let columns: Option<Vec<&Float32Array>> =
        batch.columns().iter().map(|column| column.as_any().downcast_ref()).collect();
    let same = named.eq(Feature::ALL.iter().map(|feature| feature.name()));
    columns.filter(|_| same).ok_or_else(|| RankError::Columns {
        found: batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| format!("{}: {}", field.name(), field.data_type()))
            .collect(),
        expected: Feature::ALL.iter().map(|feature| feature.name()).collect(),
    })
}

/// Trees as they come out of training.
pub(super) struct Grown {
    /// LightGBM's text format.
    pub text: String,
    /// Share of the total gain, in the order of [`Feature::ALL`].
    pub importance: Vec<f64>,
}

/// Largest step of a leaf before shrinkage, log-odds. From a rate of 0.001, Newton's step towards 0.2 would be 200.
const MAX_STEP: f32 = 2.0;

/// Grows trees by the log loss of the labels, until that of `held_out` has stopped falling. The number of threads changes
/// nothing.
pub(super) fn grow(training: &Examples, held_out: &Examples, recipe: &Recipe) -> Result<Grown, RankError> {
    let failed = |error: forust_ml::errors::ForustError| RankError::Grow(error.to_string());
    let bins = Bins::new(&training.rows, usize::from(recipe.bins));
    let (columns, held_columns) = (bins.columns(&training.rows), bins.columns(&held_out.rows));
    let data = Matrix::new(&columns, training.rows.len(), FEATURES);
    let held = Matrix::new(&held_columns, held_out.rows.len(), FEATURES);
    let mut booster = GradientBooster::default()
        .set_objective_type(ObjectiveType::LogLoss)
        .set_iterations(recipe.trees)
        .set_learning_rate(recipe.learning_rate)
        .set_max_depth(recipe.leaves)
        .set_max_leaves(recipe.leaves)
        .set_min_leaf_weight(recipe.min_leaf_purchases)
        .set_l2(recipe.l2)
        .set_max_delta_step(MAX_STEP)
        // More than there are distinct values, so that each stays a bin.
        .set_nbins(recipe.bins + 2)
        .set_initialize_base_score(true)
        .set_seed(recipe.seed)
        .set_parallel(true)
        .set_tiled_histograms(true)
        .set_evaluation_metric(Some(Metric::LogLoss))
        .set_early_stopping_rounds(Some(recipe.patience));
    booster.grow_policy = GrowPolicy::LossGuide;
    let evaluation = vec![(held, held_out.labels.as_slice(), held_out.weights.as_slice())];
    booster.fit(&data, &training.labels, &training.weights, Some(evaluation)).map_err(failed)?;
    let kept = booster.prediction_iteration.unwrap_or(booster.trees.len());
    booster.trees.truncate(kept);
    let gains = booster.calculate_feature_importance(ImportanceMethod::TotalGain, false);
    let gain = |at: usize| gains.get(&at).map_or(0.0, |gain| f64::from(*gain));
    let total: f64 = (0..FEATURES).map(gain).sum();
    let importance = (0..FEATURES).map(|at| if total > 0.0 { gain(at) / total } else { 0.0 }).collect();
    Ok(Grown { text: lightgbm_text(&booster.trees, booster.base_score, &bins), importance })
}

/// LightGBM's text format, version 4. The base score goes into the first tree's leaves, as LightGBM does it.
fn lightgbm_text(trees: &[Tree], base_score: f64, bins: &Bins) -> String {
    let names: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    let infos = vec!["[-1e+308:1e+308]"; FEATURES];
    let base = |at: usize| if at == 0 { base_score } else { 0.0 };
    let mut sections: Vec<String> =
        trees.iter().enumerate().map(|(at, tree)| section(at, tree, base(at), bins)).collect();
    if sections.is_empty() {
        sections.push(format!(
            "Tree=0\nnum_leaves=1\nnum_cat=0\nleaf_value={base_score:e}\nis_linear=0\nshrinkage=1\n\n\n"
        ));
    }
    let sizes: Vec<String> = sections.iter().map(|section| section.len().to_string()).collect();
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\nobjective=cross_entropy\n\
         feature_names={}\nfeature_infos={}\ntree_sizes={}\n\n{}end of trees\n\nparameters:\n\nend of parameters\n",
        FEATURES - 1,
        names.join(" "),
        infos.join(" "),
        sizes.join(" "),
        sections.concat()
    )
}

/// Missing values are NaN (bits 2 and 3 of a decision hold 2); bit 1: they go left.
const MISSING_NAN: u8 = 2 << 2;
const DEFAULT_LEFT: u8 = 2;

/// One tree. LightGBM numbers inner nodes from 0 and leaves from -1 down; ours stand in one list, the root first.
fn section(number: usize, tree: &Tree, base_score: f64, bins: &Bins) -> String {
    let (mut inner, mut leaves) = (0, 0);
    let places: Vec<i64> = tree
        .nodes
        .iter()
        .map(|node| {
            let counter: &mut i64 = if node.is_leaf { &mut leaves } else { &mut inner };
            *counter += 1;
            if node.is_leaf { -*counter } else { *counter - 1 }
        })
        .collect();
    let mut text = format!("Tree={number}\nnum_leaves={leaves}\nnum_cat=0\n");
    let mut line = |name: &str, values: Vec<String>| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name}={}", values.join(" "));
    };
    let splits: Vec<_> = tree.nodes.iter().filter(|node| !node.is_leaf).collect();
    let ends: Vec<_> = tree.nodes.iter().filter(|node| node.is_leaf).collect();
    if !splits.is_empty() {
        let place = |child: usize| places[child].to_string();
        line("split_feature", splits.iter().map(|node| node.split_feature.to_string()).collect());
        line("split_gain", splits.iter().map(|node| format!("{:e}", node.split_gain)).collect());
        // Ours go left below the value, LightGBM's up to it.
        let threshold = |feature: usize, bin: f64| format!("{:e}", bins.value(feature, bin).next_down());
        line(
            "threshold",
            splits.iter().map(|node| threshold(node.split_feature, node.split_value)).collect(),
        );
        let decision = |to_left: bool| (MISSING_NAN | if to_left { DEFAULT_LEFT } else { 0 }).to_string();
        line(
            "decision_type",
            splits.iter().map(|node| decision(node.missing_node == node.left_child)).collect(),
        );
        line("left_child", splits.iter().map(|node| place(node.left_child)).collect());
        line("right_child", splits.iter().map(|node| place(node.right_child)).collect());
    }
    let value = |weight: f32| format!("{:e}", f64::from(weight) + base_score);
    line("leaf_value", ends.iter().map(|node| value(node.weight_value)).collect());
    text.push_str("is_linear=0\nshrinkage=1\n\n\n");
    text
}
