//! How well products go under a placement's title: what an evaluator tells fusion.

use std::collections::HashMap;
use std::sync::Arc;

/// A fit is never below this: an evaluator's opinion lowers a product and does not forbid it.
const LEAST_FIT: f32 = 0.05;

/// Product type → its place in every list of fits.
pub type TypePlaces = Arc<HashMap<String, usize>>;

/// Fits of a shop's product types, for some titles.
#[derive(Debug, Clone, Default)]
pub struct TitleFits {
    places: TypePlaces,
    fits: HashMap<String, Vec<f32>>,
}

/// One title's.
#[derive(Debug, Clone, Copy)]
pub struct TitleFit<'a> {
    places: &'a HashMap<String, usize>,
    fits: &'a [f32],
}

impl TitleFits {
    /// `likeness` holds per title one number a type, in the order of `places`, higher for what fits better. The type that
    /// fits a title best has fit 1, the others their share of its likeness: so a narrow title and a broad one compare.
    pub fn new(places: TypePlaces, likeness: impl IntoIterator<Item = (String, Vec<f32>)>) -> Self {
        let fits = likeness.into_iter().map(|(title, mut likeness)| {
            let most = likeness.iter().copied().fold(0.0, f32::max);
            for value in &mut likeness {
                let share = if most > 0.0 { *value / most } else { 1.0 };
                *value = if share.is_finite() { share.clamp(LEAST_FIT, 1.0) } else { LEAST_FIT };
            }
            (title, likeness)
        });
        Self { places, fits: fits.collect() }
    }

    /// No opinion on any title.
    pub fn none() -> Self {
        Self::default()
    }

    /// `None` for a title that was not evaluated.
    pub fn of(&self, title: &str) -> Option<TitleFit<'_>> {
        Some(TitleFit { places: &self.places, fits: self.fits.get(title)? })
    }
}

impl TitleFit<'_> {
    /// 0.05..=1, 1 for the type that fits best; 1 for a type that was not evaluated.
    pub fn of_type(&self, product_type: &str) -> f32 {
        self.places.get(product_type).and_then(|place| self.fits.get(*place)).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(likeness: [f32; 3]) -> TitleFits {
        let places = ["Pasta", "Milk", "Bleach"].map(str::to_owned).into_iter().zip(0..).collect();
        TitleFits::new(Arc::new(places), [("Pasta night".to_owned(), likeness.to_vec())])
    }

    #[test]
    fn the_best_type_fits_fully_and_the_others_by_their_share() {
        let fits = fits([0.6, 0.3, -0.2]);
        let night = fits.of("Pasta night").expect("evaluated");
        assert_eq!(["Pasta", "Milk", "Bleach"].map(|kind| night.of_type(kind)), [1.0, 0.5, LEAST_FIT]);
    }

    #[test]
    fn what_was_not_evaluated_is_not_held_against_a_product() {
        let known = fits([0.6, 0.3, 0.1]);
        assert_eq!(known.of("Pasta night").expect("evaluated").of_type("Candles"), 1.0);
        assert!(known.of("Taco night").is_none());
        assert!(TitleFits::none().of("Pasta night").is_none());
    }

    #[test]
    fn a_title_that_is_like_nothing_says_nothing() {
        let blank = fits([0.0, -0.1, 0.0]);
        assert_eq!(blank.of("Pasta night").expect("evaluated").of_type("Milk"), 1.0);
        let broken = fits([f32::NAN, 0.5, 0.5]);
        assert_eq!(broken.of("Pasta night").expect("evaluated").of_type("Pasta"), LEAST_FIT);
    }
}
