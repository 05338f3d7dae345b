//! A feature table through the trees.

use arrow::array::{Array, Float32Array, RecordBatch};

use super::schema::{FEATURES, Feature};
use super::{RankError, RankerModel};

impl RankerModel {
    /// What the trees answer for a feature table, a row after the other, before calibration.
    ///
    /// # Errors
    /// Columns that are not the schema's, in its order; a value that is not finite, with its row as product.
    pub fn outputs(&self, segment: &str, batch: &RecordBatch) -> Result<Vec<f64>, RankError> {
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
            outputs.push(self.trees.predict(&row)?);
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
