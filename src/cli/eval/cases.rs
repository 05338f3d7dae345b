//! The held-out rows of the training set.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

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
        let (mut themes, training): (Vec<_>, Vec<_>) =
            read::themes(folder)?.into_iter().partition(|one| one.split == Split::Validation);
        themes.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
        let kept: BTreeSet<&str> = themes.iter().map(|one| one.example_id.as_str()).collect();
        let of_kept = |one: &KeywordExample| {
            one.split == Split::Validation
                && one.example_id.split('/').next().is_some_and(|page| limit.is_none() || kept.contains(page))
        };
        let keywords = read::keywords(folder)?.into_iter().filter(of_kept).collect();
        let others = training.into_iter().map(|one| one.context).collect();
        Ok(Self { themes, keywords, others })
    }

    pub fn cases(&self) -> Cases<'_> {
        Cases { themes: &self.themes, keywords: &self.keywords, others: &self.others }
    }
}

/// AT THE MERGE: becomes `distill::dataset::read_themes(&folder.join(THEMES_FILE))` and `read_keywords(…)`; until then the
/// same rows as JSON lines.
mod read {
    use std::path::Path;

    use anyhow::Context as _;
    use serde_json::Value;

    use crate::domain::training::{GradedCandidate, KeywordExample, Split, ThemeExample};

    fn rows(path: &Path) -> anyhow::Result<Vec<Value>> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn split(row: &Value) -> anyhow::Result<Split> {
        row["split"].as_str().and_then(Split::parse).context("no split")
    }

    pub fn themes(folder: &Path) -> anyhow::Result<Vec<ThemeExample>> {
        let read = |row: Value| {
            Ok(ThemeExample {
                example_id: serde_json::from_value(row["example_id"].clone())?,
                as_of: serde_json::from_value(row["as_of"].clone())?,
                split: split(&row)?,
                context: serde_json::from_value(row["context"].clone())?,
                persona: serde_json::from_value(row["persona"].clone())?,
                placements: serde_json::from_value(row["placements"].clone())?,
            })
        };
        rows(&folder.join("themes.jsonl"))?.into_iter().map(read).collect()
    }

    pub fn keywords(folder: &Path) -> anyhow::Result<Vec<KeywordExample>> {
        let read = |row: Value| {
            let candidates: Vec<(String, u8)> = serde_json::from_value(row["candidates"].clone())?;
            Ok(KeywordExample {
                example_id: serde_json::from_value(row["example_id"].clone())?,
                as_of: serde_json::from_value(row["as_of"].clone())?,
                split: split(&row)?,
                title: serde_json::from_value(row["title"].clone())?,
                concepts: serde_json::from_value(row["concepts"].clone())?,
                candidates: candidates
                    .into_iter()
                    .map(|(text, grade)| GradedCandidate { text, grade })
                    .collect(),
                chosen: serde_json::from_value(row["chosen"].clone())?,
            })
        };
        rows(&folder.join("keywords.jsonl"))?.into_iter().map(read).collect()
    }
}
