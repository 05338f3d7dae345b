//! What a shop may tune.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Settings of the first layer of AIQA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Shortest title, characters; 1..=`max_title_chars`.
    pub min_title_chars: usize,
    /// Longest title, characters; 1..=512.
    pub max_title_chars: usize,
    /// Most words of a title; 1..=64.
    pub max_title_words: usize,
    /// Longest product title a page may show, characters; 1..=512.
    pub max_product_title_chars: usize,
    /// A placement left with fewer keywords is rejected; 1..=8.
    pub min_keywords: usize,
    /// Products with one of these tags are never on a page, whatever the rules say.
    pub never_featured_tags: BTreeSet<String>,
    /// A placement whose title is less like its products (cosine of the embeddings) is rejected; -1..=1.
    pub min_title_product_cosine: f32,
    /// A placement more like an earlier one (cosine of title with concepts) is rejected; 0..=1.
    pub max_placement_cosine: f32,
    /// Products of one type a page may offer; 1..=50.
    pub max_same_type: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_title_chars: 6,
            max_title_chars: 60,
            max_title_words: 12,
            max_product_title_chars: 200,
            min_keywords: 2,
            never_featured_tags: ["pharmacy", "tobacco"].map(String::from).into(),
            min_title_product_cosine: 0.25,
            max_placement_cosine: 0.75,
            max_same_type: 4,
        }
    }
}

impl Settings {
    /// # Errors
    /// A sentence naming the key and its range.
    pub fn validate(&self) -> Result<(), String> {
        let range = |key: &str, value: usize, low: usize, high: usize| {
            let fits = (low..=high).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("aiqa.{key} is {value}, it must be {low} to {high}"))
        };
        range("max_title_chars", self.max_title_chars, 1, 512)?;
        range("min_title_chars", self.min_title_chars, 1, self.max_title_chars)?;
        range("max_title_words", self.max_title_words, 1, 64)?;
        range("max_product_title_chars", self.max_product_title_chars, 1, 512)?;
        range("min_keywords", self.min_keywords, 1, 8)?;
        range("max_same_type", self.max_same_type, 1, 50)?;
        let cosine = |key: &str, value: f32, low: f32| {
            let fits = (low..=1.0).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("aiqa.{key} is {value}, it must be {low} to 1"))
        };
        cosine("min_title_product_cosine", self.min_title_product_cosine, -1.0)?;
        cosine("max_placement_cosine", self.max_placement_cosine, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_bad_values_name_their_key() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let bad = Settings { min_title_chars: 90, ..Settings::default() };
        assert!(bad.validate().expect_err("out of range").contains("aiqa.min_title_chars"));
        let nan = Settings { max_placement_cosine: f32::NAN, ..Settings::default() };
        assert!(nan.validate().expect_err("NaN").contains("aiqa.max_placement_cosine"));
    }
}
