//! The model card (Mitchell et al., "Model cards for model reporting", FAT* 2019).

use std::fmt::Write as _;

use super::artifact::Description;
use super::schema::Feature;

/// Markdown; the bytes depend on the description alone.
pub(super) fn render(ranker: &Description) -> String {
    let validation = &ranker.validation;
    let lift = (validation.learned / validation.light_rates.max(f64::MIN_POSITIVE) - 1.0) * 100.0;
    let mut card = format!(
        "# Ranker as of {as_of}\n\n\
         Answers how likely a visit of a customer segment is to buy a product. {trees} gradient-boosted trees \
         (`model.txt`, LightGBM's text format) over {features} features, calibrated by isotonic regression.\n\n\
         - **Data**: interactions of the {days} days before {as_of}; nothing of that day or later was read. A household's segment is \
         that of the preparation, so it was found from the whole time before {as_of}.\n\
         - **Training rows**: {rows} pairs of segment and product, features ending {origins:?} days before, labels from the \
         {label} days after.\n\
         - **Held out**: {held} rows, features ending {held_origin} days before; they stopped the growing and fitted the \
         calibration, so the figures below flatter a little.\n\
         - **Text similarity**: {text}.\n\n\
         ## Held-out figures\n\n\
         {visits} visits. Distinct products bought a visit of the {page} that a page of the segment's best would hold:\n\n\
         | order | products a visit |\n| --- | --- |\n\
         | popularity | {popularity:.4} |\n\
         | purchase rates, prior of 2,000 visits | {rates:.4} |\n\
         | purchase rates, prior of 150 visits | {light:.4} |\n\
         | this ranker | {learned:.4} ({lift:+.1} % on the line above) |\n\n\
         Log loss, nats a visit and product: {rates_loss:.6} (rates, prior of 150 visits), {learned_loss:.6} (this ranker).\n",
        as_of = ranker.as_of,
        trees = ranker.trees,
        features = ranker.features.len(),
        days = ranker.history_days,
        rows = ranker.rows.0,
        origins = ranker.training_origins,
        label = ranker.recipe.label_days,
        held = ranker.rows.1,
        held_origin = ranker.held_out_origin,
        text = if ranker.text { "from the sentence encoder" } else { "not computed; 0 throughout" },
        visits = validation.visits,
        page = validation.page_products,
        popularity = validation.popularity,
        rates = validation.rates,
        light = validation.light_rates,
        learned = validation.learned,
        rates_loss = validation.rates_log_loss,
        learned_loss = validation.learned_log_loss,
    );
    card.push_str(&features(ranker));
    card.push_str(
        "\n## Limits\n\n\
         It knows purchases, not what was shown; a product without history stands by its type, its price and its text. It was \
         trained on whole segments, and says nothing about a single household.\n",
    );
    card
}

/// The features by their share of the gain.
fn features(ranker: &Description) -> String {
    let mut text =
        String::from("\n## Features\n\n| feature | share of gain | meaning |\n| --- | --- | --- |\n");
    let gain = |at: usize| ranker.importance.get(at).copied();
    let mut order: Vec<usize> = (0..Feature::ALL.len()).collect();
    order.sort_by(|a, b| gain(*b).unwrap_or(0.0).total_cmp(&gain(*a).unwrap_or(0.0)).then(a.cmp(b)));
    for at in order {
        let share = gain(at).map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
        let feature = Feature::ALL[at];
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| `{}` | {share} | {} |", feature.name(), feature.meaning());
    }
    text
}
