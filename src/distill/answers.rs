//! A batch of answers, our journal or a downloaded batch output, joined with what was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::journal::{self, Entry};
use super::ratings::read_ratings;
use super::recorded::{Contexts, read_contexts};
use super::requests::{Asked, Request, read_placements};
use super::{DistillError, Drafts, KeywordDraft, Source, ThemeDraft};
use crate::domain::Digest;
use crate::domain::stage::PlacementDesign;
use crate::domain::training::GradedCandidate;

/// Where answers and what was asked are.
#[derive(Debug, Clone, Copy)]
pub struct AnswerFiles<'a> {
    pub answers: &'a [std::path::PathBuf],
    /// Contexts of every answered segment.
    pub contexts: &'a Path,
    /// Placements with candidates; needed for answers of stage 2.
    pub placements: Option<&'a Path>,
}

/// The answer of stage 1.
#[derive(Deserialize)]
struct Page {
    persona: String,
    placements: Vec<PlacementDesign>,
}

/// The JSON inside a code fence, where a teacher writes one.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

fn page(content: &str) -> Result<Page, String> {
    serde_json::from_str(unfenced(content)).map_err(|error| format!("not a page ({error})"))
}

/// One keyword a line; a list's dashes are taken off.
fn keywords(content: &str) -> Vec<String> {
    let lines = unfenced(content).lines().map(|line| {
        let line = line.trim();
        line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).unwrap_or(line).trim().to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// Whether an answer has the form its request asks for.
///
/// # Errors
/// Why not.
pub fn check_answer(request: &Request, content: &str) -> Result<(), String> {
    match request.custom_id.split('/').next() {
        Some("themes") => page(content).map(drop),
        Some("judge") => read_ratings(unfenced(content)).map(drop),
        _ if keywords(content).is_empty() => Err("the answer is empty".into()),
        _ => Ok(()),
    }
}

/// The text of every answered request, by `custom_id`; the latest answer counts.
pub fn read_answers(path: &Path) -> Result<BTreeMap<String, String>, DistillError> {
    let entries = journal::read(path)?.entries.into_iter();
    let answers = entries.filter_map(|entry| {
        let content = unfenced(entry.response?.content()?).to_owned();
        Some((entry.custom_id, content))
    });
    Ok(answers.collect())
}

/// Joins answers with contexts and placements.
pub fn import_answers(files: &AnswerFiles<'_>) -> Result<Drafts, DistillError> {
    let (contexts, source) = read_contexts(files.contexts)?;
    let mut import = Import { contexts, placements: BTreeMap::new(), drafts: Drafts::default() };
    import.drafts.sources.push(source);
    if let Some(path) = files.placements {
        let (placements, source) = read_placements(path)?;
        import.placements = placements;
        import.drafts.sources.push(source);
    }
    for path in files.answers {
        import.read(path)?;
    }
    Ok(import.drafts)
}

struct Import {
    contexts: Contexts,
    placements: BTreeMap<String, Asked>,
    drafts: Drafts,
}

impl Import {
    fn read(&mut self, path: &Path) -> Result<(), DistillError> {
        let bytes = std::fs::read(path).map_err(|source| DistillError::Read { path: path.into(), source })?;
        let entries = journal::read(path)?.entries;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.drafts.sources.push(Source { name, lines: entries.len(), sha256: Digest::of(&bytes) });
        // Money lines are no answers; the last line of a request is its answer.
        let last: BTreeMap<String, Entry> = entries
            .into_iter()
            .filter(|entry| entry.response.is_some() || entry.error.is_some())
            .map(|entry| (entry.custom_id.clone(), entry))
            .collect();
        for (custom_id, entry) in &last {
            match custom_id.split_once('/') {
                Some(("themes", id)) => self.theme(id, entry),
                Some(("keywords", id)) => self.keyword(id, entry),
                _ => {}
            }
        }
        Ok(())
    }

    fn theme(&mut self, id: &str, entry: &Entry) {
        let tally = &mut self.drafts.themes_tally;
        let Some(context) = self.contexts.get(id) else {
            return tally.drop(id, "unknown segment", "has no context");
        };
        match content(entry).and_then(page) {
            Err(reason) => tally.drop(id, "no answer", reason),
            Ok(Page { persona, placements }) => {
                self.drafts.themes.push(ThemeDraft { context: Arc::clone(context), persona, placements });
            }
        }
    }

    fn keyword(&mut self, id: &str, entry: &Entry) {
        let tally = &mut self.drafts.keywords_tally;
        let Some(asked) = self.placements.get(id) else {
            return tally.drop(id, "unknown placement", "is not in the file of placements");
        };
        let Some(context) = self.contexts.get(asked.segment.as_str()) else {
            return tally.drop(id, "unknown segment", "has no context");
        };
        match content(entry) {
            Err(reason) => tally.drop(id, "no answer", reason),
            Ok(content) => self.drafts.keywords.push(KeywordDraft {
                context: Arc::clone(context),
                placement: asked.placement,
                title: asked.title.clone(),
                concepts: asked.concepts.clone(),
                candidates: graded(&asked.candidates, &keywords(content)),
                chosen: keywords(content),
            }),
        }
    }
}

fn content(entry: &Entry) -> Result<&str, String> {
    if let Some(failure) = &entry.error {
        return Err(failure.message.clone());
    }
    let response = entry.response.as_ref().ok_or("no response")?;
    response.content().ok_or_else(|| format!("status {}, no content", response.status_code))
}

/// What was chosen is strong, the rest irrelevant: the only grades a choice gives away.
fn graded(candidates: &[String], chosen: &[String]) -> Vec<GradedCandidate> {
    let grade = |text: &String| if chosen.contains(text) { 2 } else { 0 };
    candidates.iter().map(|text| GradedCandidate { text: text.clone(), grade: grade(text) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_and_dashes_are_taken_off() {
        assert_eq!(unfenced("```json\n{\"a\":1}\n```"), "{\"a\":1}");
        assert_eq!(unfenced(" {\"a\":1} "), "{\"a\":1}");
        assert_eq!(keywords("- milk\n\n* 2 percent milk\n eggs "), ["milk", "2 percent milk", "eggs"]);
    }
}
