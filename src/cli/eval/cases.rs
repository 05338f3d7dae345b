//! The held-out rows of the training set.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use crate::distill::dataset::{KEYWORDS_FILE, THEMES_FILE, read_keywords, read_themes};
use crate::domain::SegmentContext;
use crate::domain::training::{KeywordExample, Split, ThemeExample};
use crate::eval::Cases;

/// What the systems are asked, and the contexts of the control.
pub struct HeldOut {
    themes: Vec<ThemeExample>,
    keywords: Vec<KeywordExample>,
    others: Vec<SegmentContext>,
}

impl HeldOut {
    /// The validation rows of the set in `folder`: the first `limit` contexts and the placements of their pages.
    pub fn load(folder: &Path, limit: Option<NonZeroUsize>) -> anyhow::Result<Self> {
        let (mut themes, training): (Vec<_>, Vec<_>) = read_themes(&folder.join(THEMES_FILE))?
            .into_iter()
            .partition(|one| one.split == Split::Validation);
        themes.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
        let kept: BTreeSet<&str> = themes.iter().map(|one| one.example_id.as_str()).collect();
        let of_kept = |one: &KeywordExample| {
            one.split == Split::Validation
                && one.example_id.split('/').next().is_some_and(|page| limit.is_none() || kept.contains(page))
        };
        let keywords = read_keywords(&folder.join(KEYWORDS_FILE))?.into_iter().filter(of_kept).collect();
        let others = training.into_iter().map(|one| one.context).collect();
        Ok(Self { themes, keywords, others })
    }

    pub fn cases(&self) -> Cases<'_> {
        Cases { themes: &self.themes, keywords: &self.keywords, others: &self.others }
    }
}
