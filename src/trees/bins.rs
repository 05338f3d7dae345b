//! Features as numbers of quantile bins, cut by rows. forust-ml would cut by weight, and nearly all weight is on pairs that
//! nobody buys: the rest would share a few bins.

use rayon::prelude::*;

/// The cuts of each feature, ascending: a value's bin is the number of cuts at or below it.
pub(super) struct Bins(Vec<Vec<f32>>);

impl Bins {
    /// At most `most` bins a feature; where there are no more distinct values, a bin each.
    pub(super) fn new<R: AsRef<[f32]> + Sync>(rows: &[R], features: usize, most: usize) -> Self {
        let cuts = |feature: usize| {
            let mut values: Vec<f32> = rows.iter().map(|row| row.as_ref()[feature]).collect();
            values.sort_unstable_by(f32::total_cmp);
            let mut distinct = values.clone();
            distinct.dedup();
            if distinct.len() > most {
                distinct = (0..most).map(|bin| values[bin * values.len() / most]).collect();
                distinct.dedup();
            }
            distinct.split_off(1.min(distinct.len()))
        };
        Self((0..features).into_par_iter().map(cuts).collect())
    }

    /// Bin numbers, a column after the other.
    pub(super) fn columns<R: AsRef<[f32]> + Sync>(&self, rows: &[R]) -> Vec<f64> {
        let column = |(feature, cuts): (usize, &Vec<f32>)| {
            let bin = move |row: &R| cuts.partition_point(|cut| *cut <= row.as_ref()[feature]) as f64;
            rows.iter().map(bin).collect::<Vec<f64>>()
        };
        self.0.par_iter().enumerate().map(column).collect::<Vec<_>>().concat()
    }

    /// The value below which rows have a bin below `bin`.
    pub(super) fn value(&self, feature: usize, bin: f64) -> f64 {
        let cuts = &self.0[feature];
        match (bin as usize).checked_sub(1).and_then(|at| cuts.get(at)) {
            Some(cut) => f64::from(*cut),
            None if bin < 1.0 => f64::NEG_INFINITY,
            None => f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: usize = 5;

    fn rows(values: impl Iterator<Item = f32>) -> Vec<[f32; FEATURES]> {
        values.map(|value| [value; FEATURES]).collect()
    }

    #[test]
    fn a_bin_and_its_value_split_rows_alike() {
        let rows = rows((0..1000).map(|at| ((at * 37) % 211) as f32 * 0.5));
        let bins = Bins::new(&rows, FEATURES, 16);
        let columns = bins.columns(&rows);
        assert!(columns.iter().all(|bin| (0.0..16.0).contains(bin)));
        for bin in 1..16 {
            let value = bins.value(3, f64::from(bin));
            for (row, number) in rows.iter().zip(&columns[3 * rows.len()..]) {
                assert_eq!(*number < f64::from(bin), f64::from(row[3]) < value);
            }
        }
    }

    #[test]
    fn few_values_have_a_bin_each_and_one_value_has_no_cut() {
        let two = Bins::new(&rows([0.0, 1.0, 1.0].into_iter()), FEATURES, 16);
        assert_eq!(
            (two.value(0, 1.0), two.columns(&rows([0.0, 1.0].into_iter()))[..2].to_vec()),
            (1.0, vec![0.0, 1.0])
        );
        assert!(Bins::new(&rows([7.0, 7.0].into_iter()), FEATURES, 16).0[0].is_empty());
    }
}
