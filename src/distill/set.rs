//! From drafts to the training set: gate, split, order, files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::dataset::{self, Origin};
use super::gate::Fault;
use super::{DistillError, Drafts, Gate, Judged, KeywordDraft, Ratings, Source, Tally, ThemeDraft, card};
use crate::domain::Digest;
use crate::domain::training::{KeywordExample, Split, ThemeExample};
use crate::{keywords, themes};

/// What students are trained on, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    /// By example id.
    pub themes: Vec<ThemeExample>,
    /// By example id.
    pub keywords: Vec<KeywordExample>,
    pub themes_tally: Tally,
    pub keywords_tally: Tally,
    pub sources: Vec<Source>,
    /// Who judged: `rules` or `rules and <model>`.
    pub judge: String,
}

/// Figures of a set, for `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary<'a> {
    pub themes: Figures<'a>,
    pub keywords: Figures<'a>,
    pub judge: &'a str,
    pub sources: &'a [Source],
}

/// One stage's part of a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct Figures<'a> {
    pub train: usize,
    pub validation: usize,
    #[serde(flatten)]
    pub tally: &'a Tally,
    pub reasons: BTreeMap<&'a str, usize>,
}

/// Passes every draft through the gate; `ratings` are an LLM judge's, where one was asked.
pub fn assemble(
    drafts: Drafts,
    gate: &Gate<'_>,
    ratings: Option<&Ratings>,
) -> Result<TrainingSet, DistillError> {
    let count = drafts.themes.len() + drafts.keywords.len();
    let dates = drafts.themes.iter().map(|draft| draft.context.as_of);
    let dates = dates.chain(drafts.keywords.iter().map(|draft| draft.context.as_of));
    let Some(last) = dates.max() else { return Err(DistillError::NothingLeft { drafts: count }) };
    let split = |as_of| Split::of(as_of, last);
    let mut set = TrainingSet {
        themes: Vec::new(),
        keywords: Vec::new(),
        themes_tally: drafts.themes_tally,
        keywords_tally: drafts.keywords_tally,
        sources: drafts.sources,
        judge: ratings.map_or_else(|| "rules".into(), |ratings| format!("rules and {}", ratings.judge())),
    };
    for draft in drafts.themes {
        let id = draft.id();
        let judged = gate.page(draft);
        let refusal = match &judged {
            Judged::Kept(draft) | Judged::Repaired(draft, _) => refused(ratings, draft),
            Judged::Dropped(_) => None,
        };
        let judged = refusal.map_or(judged, Judged::Dropped);
        let taken = count_in(&mut set.themes_tally, id, judged);
        set.themes.extend(taken.map(|draft| theme(draft, split)));
    }
    for draft in drafts.keywords {
        let id = draft.id();
        let taken = count_in(&mut set.keywords_tally, id, gate.choice(draft));
        set.keywords.extend(taken.map(|draft| keyword(draft, split)));
    }
    if set.themes.is_empty() && set.keywords.is_empty() {
        return Err(DistillError::NothingLeft { drafts: count });
    }
    set.themes.sort_by(|a, b| a.example_id.cmp(&b.example_id));
    set.keywords.sort_by(|a, b| a.example_id.cmp(&b.example_id));
    Ok(set)
}

fn refused(ratings: Option<&Ratings>, draft: &ThemeDraft) -> Option<Fault> {
    let (reason, detail) = ratings?.refuse(&draft.id())?;
    Some(Fault { reason, detail })
}

fn count_in<T>(tally: &mut Tally, id: String, judged: Judged<T>) -> Option<T> {
    match judged {
        Judged::Kept(draft) => {
            tally.kept += 1;
            Some(draft)
        }
        Judged::Repaired(draft, repairs) => {
            tally.repaired += 1;
            for repair in repairs {
                *tally.repairs.entry(repair.to_owned()).or_default() += 1;
            }
            Some(draft)
        }
        Judged::Dropped(fault) => {
            tally.drop(id, &fault.reason, fault.detail);
            None
        }
    }
}

fn theme(draft: ThemeDraft, split: impl Fn(chrono::NaiveDate) -> Split) -> ThemeExample {
    let as_of = draft.context.as_of;
    ThemeExample {
        example_id: draft.id(),
        as_of,
        split: split(as_of),
        context: draft.context.as_ref().clone(),
        persona: draft.persona,
        placements: draft.placements,
    }
}

fn keyword(draft: KeywordDraft, split: impl Fn(chrono::NaiveDate) -> Split) -> KeywordExample {
    let as_of = draft.context.as_of;
    KeywordExample {
        example_id: draft.id(),
        as_of,
        split: split(as_of),
        title: draft.title,
        concepts: draft.concepts,
        candidates: draft.candidates,
        chosen: draft.chosen,
    }
}

impl TrainingSet {
    /// Writes `themes.parquet`, `keywords.parquet` and the data card into `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), DistillError> {
        let sources = self.sources_digest();
        let origin = |template: &str| Origin { template: template.into(), sources };
        dataset::write_themes(&folder.join(dataset::THEMES_FILE), &self.themes, &origin(themes::V2.version))?;
        dataset::write_keywords(
            &folder.join(dataset::KEYWORDS_FILE),
            &self.keywords,
            &origin(keywords::VERSION),
        )?;
        let digests = [dataset::THEMES_FILE, dataset::KEYWORDS_FILE].map(|name| {
            let path = folder.join(name);
            let bytes = std::fs::read(&path).map_err(|source| DistillError::Read { path, source })?;
            Ok((name, bytes.len(), Digest::of(&bytes)))
        });
        let digests = digests.into_iter().collect::<Result<Vec<_>, DistillError>>()?;
        super::write_whole(&folder.join("README.md"), card::render(self, &digests).as_bytes())
    }

    /// Digest of the sources' digests, in the card's order.
    pub fn sources_digest(&self) -> Digest {
        Digest::of_parts(self.sources.iter().map(|source| &source.sha256.as_bytes()[..]))
    }

    pub fn summary(&self) -> Summary<'_> {
        Summary {
            themes: figures(self.themes.iter().map(|row| row.split), &self.themes_tally),
            keywords: figures(self.keywords.iter().map(|row| row.split), &self.keywords_tally),
            judge: &self.judge,
            sources: &self.sources,
        }
    }
}

fn figures(splits: impl Iterator<Item = Split> + Clone, tally: &Tally) -> Figures<'_> {
    let count = |split: Split| splits.clone().filter(|other| *other == split).count();
    let (train, validation) = (count(Split::Train), count(Split::Validation));
    Figures { train, validation, tally, reasons: tally.reasons() }
}
