//! Several treatments against one control: Holm's step-down ("A simple sequentially rejective multiple test procedure",
//! Scandinavian Journal of Statistics 6, 1979).

/// Adjusted p-values, in the order given: the chance of any false alarm among all is at most the level they are read at.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]).then(a.cmp(b)));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        least = least.max((left * p_values[at]).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}
