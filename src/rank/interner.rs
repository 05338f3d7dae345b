//! Texts as dense numbers.

use std::collections::HashMap;

/// Numbers each text in the order of first sight.
#[derive(Default)]
pub(super) struct Interner(HashMap<String, u32>);

impl Interner {
    pub(super) fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.0.get(text) {
            return *id;
        }
        let id = self.0.len() as u32;
        self.0.insert(text.to_owned(), id);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of first sight.
    pub(super) fn into_names(self) -> Vec<String> {
        let mut named: Vec<(String, u32)> = self.0.into_iter().collect();
        named.sort_by_key(|(_, id)| *id);
        named.into_iter().map(|(name, _)| name).collect()
    }

    /// The texts sorted, and the place among them of each text in the order of first sight: numbers that do not depend on
    /// the order of the rows.
    pub(super) fn into_sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut named: Vec<(String, u32)> = self.0.into_iter().collect();
        named.sort();
        let mut places = vec![0; named.len()];
        for (place, (_, id)) in named.iter().enumerate() {
            places[*id as usize] = place as u32;
        }
        (named.into_iter().map(|(name, _)| name).collect(), places)
    }
}
