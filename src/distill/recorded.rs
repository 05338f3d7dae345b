//! Recorded answers: `contexts.jsonl`, `pages.jsonl` and `choices.jsonl` of one folder.
//!
//! A line that is not of its file's shape is an error: the recording is damaged. A sound line that fits nothing (an
//! unknown segment, a second answer) is dropped and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::lines::{self, Line};
use super::{DistillError, Drafts, KeywordDraft, Source, ThemeDraft};
use crate::domain::segment::{ActiveMerchandising, Distinctive, Shopping};
use crate::domain::stage::PlacementDesign;
use crate::domain::training::GradedCandidate;
use crate::domain::{SegmentContext, SegmentId};

/// Contexts by segment.
pub type Contexts = BTreeMap<SegmentId, Arc<SegmentContext>>;

/// Reads a folder of recorded answers.
pub fn import_recorded(folder: &Path) -> Result<Drafts, DistillError> {
    let (contexts, source) = read_contexts(&folder.join("contexts.jsonl"))?;
    let mut drafts = Drafts { sources: vec![source], ..Drafts::default() };
    let pages = read_pages(&folder.join("pages.jsonl"), &contexts, &mut drafts)?;
    read_choices(&folder.join("choices.jsonl"), &contexts, &pages, &mut drafts)?;
    Ok(drafts)
}

/// Reads contexts, a JSON object a line; a segment that stands twice is an error.
pub fn read_contexts(path: &Path) -> Result<(Contexts, Source), DistillError> {
    let (lines, source) = lines::read(path)?;
    let mut contexts = Contexts::new();
    for line in lines {
        let context = context(&line)?;
        let id = context.segment_id.clone();
        if contexts.insert(id.clone(), Arc::new(context)).is_some() {
            return Err(line.refuse("segment_id", format!("{:?} has a context already", id.as_str())));
        }
    }
    Ok((contexts, source))
}

/// Field by field first, so that the error names the field.
fn context(line: &Line) -> Result<SegmentContext, DistillError> {
    line.need::<SegmentId>("segment_id")?;
    line.need::<NaiveDate>("as_of")?;
    line.need::<u32>("households")?;
    line.may::<Map<String, Value>>("demographics")?;
    line.need::<Shopping>("shopping")?;
    line.need::<Vec<Distinctive>>("distinctive")?;
    line.need::<Vec<String>>("staples")?;
    line.need::<Vec<String>>("rising")?;
    line.may::<Map<String, Value>>("session")?;
    line.may::<ActiveMerchandising>("merchandising")?;
    line.whole()
}

/// Placements of each page, for the choices that follow.
type Pages = BTreeMap<SegmentId, usize>;

fn read_pages(path: &Path, contexts: &Contexts, drafts: &mut Drafts) -> Result<Pages, DistillError> {
    let (lines, source) = lines::read(path)?;
    drafts.sources.push(source);
    let mut pages = Pages::new();
    for line in lines {
        let segment: SegmentId = line.need("segment_id")?;
        let persona: String = line.need("persona")?;
        let placements: Vec<PlacementDesign> = line.need("placements")?;
        let Some(context) = contexts.get(&segment) else {
            drafts.themes_tally.drop(segment.as_str(), "unknown segment", "has no context");
            continue;
        };
        if pages.insert(segment.clone(), placements.len()).is_some() {
            drafts.themes_tally.drop(segment.as_str(), "second answer", persona);
            continue;
        }
        drafts.themes.push(ThemeDraft { context: Arc::clone(context), persona, placements });
    }
    Ok(pages)
}

fn read_choices(
    path: &Path,
    contexts: &Contexts,
    pages: &Pages,
    drafts: &mut Drafts,
) -> Result<(), DistillError> {
    let (lines, source) = lines::read(path)?;
    drafts.sources.push(source);
    let mut seen = BTreeSet::new();
    for line in lines {
        let choice = Choice::read(&line)?;
        let id = format!("{}/{}", choice.segment.as_str(), choice.placement);
        let Some(context) = contexts.get(&choice.segment) else {
            drafts.keywords_tally.drop(id, "unknown segment", "has no context");
            continue;
        };
        if pages.get(&choice.segment).is_some_and(|placements| choice.placement >= *placements) {
            drafts.keywords_tally.drop(id, "unknown placement", "its page has fewer placements");
        } else if choice.grades.len() != choice.candidates.len() {
            let detail = format!("{} grades, {} candidates", choice.grades.len(), choice.candidates.len());
            drafts.keywords_tally.drop(id, "grades do not match candidates", detail);
        } else if !seen.insert(id.clone()) {
            drafts.keywords_tally.drop(id, "second answer", choice.title);
        } else {
            drafts.keywords.push(choice.draft(context));
        }
    }
    Ok(())
}

/// A line of `choices.jsonl`.
struct Choice {
    segment: SegmentId,
    placement: usize,
    title: String,
    concepts: Vec<String>,
    candidates: Vec<String>,
    grades: Vec<u8>,
    chosen: Vec<String>,
}

impl Choice {
    fn read(line: &Line) -> Result<Self, DistillError> {
        Ok(Self {
            segment: line.need("segment_id")?,
            placement: line.need("placement")?,
            title: line.need("title")?,
            concepts: line.need("concepts")?,
            candidates: line.need("candidates")?,
            grades: line.need("grades")?,
            chosen: line.need("chosen")?,
        })
    }

    fn draft(self, context: &Arc<SegmentContext>) -> KeywordDraft {
        let graded = self.candidates.into_iter().zip(self.grades);
        KeywordDraft {
            context: Arc::clone(context),
            placement: self.placement,
            title: self.title,
            concepts: self.concepts,
            candidates: graded.map(|(text, grade)| GradedCandidate { text, grade }).collect(),
            chosen: self.chosen,
        }
    }
}
