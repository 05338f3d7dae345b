//! Stage 1: LLM 1 reads a segment's context and writes a [`PageDesign`]: a persona and the page's placements.
//!
//! The room turns a context into a [`Question`] and an answer into a design; asking is [`crate::night`]'s business. While
//! the student is not fine-tuned, [`Mode::Anchored`] lets it write with the segment's own signals only.

mod grammar;
mod grounding;
mod phrases;
mod plan;
mod prompt;
mod select;

use serde::{Deserialize, Serialize};

use crate::domain::stage::{PageDesign, PlacementDesign};
use crate::domain::{Digest, SegmentContext, SegmentId};
use crate::embed::{EmbedError, Memory};
use crate::lm::{Form, Prompt, Question, Sampling};

pub use grammar::Bounds;
use phrases::Wording;
use plan::ThemeSeed;
use prompt::Page;
pub use prompt::{Template, V2};
use select::{Bar, says_twice};

/// How freely the model writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Titles and concepts are composed of the segment's signals; for a model that is not fine-tuned.
    Anchored,
    /// Any text within bounds; for fine-tuned students.
    #[default]
    Free,
}

impl Mode {
    fn template(self) -> prompt::Template {
        match self {
            Self::Anchored => prompt::V1,
            Self::Free => prompt::V2,
        }
    }

    /// Version of this mode's templates.
    pub fn version(self) -> &'static str {
        self.template().version
    }
}

/// `[themes]` of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub mode: Mode,
    /// Whether worked examples stand before every question; a fine-tuned student needs none.
    pub examples: bool,
    /// Themes written beyond the page's number, to refill from; 0..=6.
    pub reserve: usize,
    /// Longest title, characters; 20..=80.
    pub max_title_chars: usize,
    pub sampling: Sampling,
    /// Most tokens of one answer; 200..=4000.
    pub max_tokens: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let sampling = Sampling {
            temperature: 0.3,
            top_p: 0.95,
            top_k: 0,
            repetition_penalty: 1.0,
            repetition_window: 0,
        };
        Self {
            mode: Mode::Free,
            examples: false,
            reserve: 2,
            max_title_chars: 56,
            sampling,
            max_tokens: 1600,
        }
    }
}

impl Settings {
    pub fn validate(&self) -> Result<(), String> {
        if self.reserve > 6 {
            return Err(format!("reserve = {} is not within 0..=6", self.reserve));
        }
        if !(20..=80).contains(&self.max_title_chars) {
            return Err(format!("max_title_chars = {} is not within 20..=80", self.max_title_chars));
        }
        if !(200..=4000).contains(&self.max_tokens) {
            return Err(format!("max_tokens = {} is not within 200..=4000", self.max_tokens));
        }
        self.sampling.validate()
    }
}

/// Why a segment has no page design.
#[derive(Debug, thiserror::Error)]
pub enum ThemesError {
    #[error("template {version} is broken: {source}")]
    Template { version: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("segment {segment}: its signals could not be embedded: {source}")]
    Embed { segment: SegmentId, source: EmbedError },
    #[error("segment {segment}: the model's answer is not a page ({source}); was it cut off at max_tokens?")]
    Answer { segment: SegmentId, source: serde_json::Error },
}

/// Stage 1, ready to ask.
pub struct Themes<'a> {
    settings: &'a Settings,
    encoder: &'a Memory,
    template: prompt::Template,
    wording: Wording,
    prefix: Prompt,
}

/// What one segment's question depends on besides its context.
pub struct Brief<'a> {
    /// Placements of a page.
    pub placements: usize,
    /// Whether a phrase may stand on this segment's page (AIQA's title rules).
    pub admit: &'a dyn Fn(&str) -> bool,
    /// The config's seed; the segment's own is derived from it.
    pub seed: u64,
}

impl<'a> Themes<'a> {
    pub fn new(settings: &'a Settings, encoder: &'a Memory) -> Result<Self, ThemesError> {
        let template = settings.mode.template();
        let wording = template.wording()?;
        let prefix = template.prefix(settings.examples)?;
        Ok(Self { settings, encoder, template, wording, prefix })
    }

    /// Version of the templates, part of every answer's key.
    pub fn version(&self) -> &'static str {
        self.template.version
    }

    /// The beginning all questions of this stage share.
    pub fn prefix(&self) -> &Prompt {
        &self.prefix
    }

    /// What to ask for this segment; `None` where its signals make no theme at all.
    pub fn question(&self, context: &SegmentContext, brief: &Brief) -> Result<Option<Question>, ThemesError> {
        let wanted = brief.placements + self.settings.reserve;
        let bounds = Bounds { title: self.settings.max_title_chars, intent: 120, persona: 160, concept: 40 };
        let grammar = match self.settings.mode {
            Mode::Free if context.has_no_history() => return Ok(None),
            Mode::Free => grammar::free(wanted, bounds),
            Mode::Anchored => {
                let seeds = self.seeds(context, brief, wanted)?;
                if seeds.is_empty() {
                    return Ok(None);
                }
                grammar::anchored(context, &seeds, &self.wording, bounds)
            }
        };
        let prompt = self.template.turn(context)?;
        let seed = Digest::of_parts([
            &brief.seed.to_le_bytes()[..],
            b"themes",
            context.segment_id.as_str().as_bytes(),
        ])
        .seed();
        let sampling = self.settings.sampling.clone();
        Ok(Some(Question {
            prompt,
            form: Form::Lark(grammar),
            sampling,
            max_tokens: self.settings.max_tokens,
            seed,
        }))
    }

    fn seeds(
        &self,
        context: &SegmentContext,
        brief: &Brief,
        wanted: usize,
    ) -> Result<Vec<ThemeSeed>, ThemesError> {
        let mut signals = plan::signals(context, &self.wording, brief.admit);
        let phrases: Vec<&str> = signals.iter().map(|signal| signal.phrase.as_str()).collect();
        let vectors = self
            .encoder
            .vectors(&phrases)
            .map_err(|source| ThemesError::Embed { segment: context.segment_id.clone(), source })?;
        for (signal, vector) in signals.iter_mut().zip(vectors) {
            signal.vector = vector.to_vec();
        }
        Ok(plan::plan(&signals, wanted))
    }

    /// Reads an answer: the first `brief.placements` are the page, the others its reserve. Of a free answer the themes that the
    /// page can best do without stand behind the others.
    pub fn design(
        &self,
        context: &SegmentContext,
        answer: &str,
        brief: &Brief,
    ) -> Result<PageDesign, ThemesError> {
        let segment_id = context.segment_id.clone();
        let page: Page = serde_json::from_str(answer)
            .map_err(|source| ThemesError::Answer { segment: segment_id.clone(), source })?;
        let design = |written: PlacementDesign| tidy(written, context, brief.admit);
        let written: Vec<PlacementDesign> = page.placements.into_iter().map(design).collect();
        let mut designs = match self.settings.mode {
            Mode::Anchored => written,
            Mode::Free => {
                select::best_first(written, &Bar { context, admit: brief.admit, encoder: self.encoder })
                    .map_err(|source| ThemesError::Embed { segment: segment_id.clone(), source })?
            }
        };
        let reserve = designs.split_off(designs.len().min(brief.placements));
        Ok(PageDesign { segment_id, persona: page.persona, placements: designs, reserve })
    }
}

/// What a student learns to write for a context: the prompt, without worked examples, and the answer.
pub fn lesson(
    context: &SegmentContext,
    persona: &str,
    placements: &[PlacementDesign],
) -> Result<(Prompt, String), ThemesError> {
    let template = prompt::V2;
    let prompt = template.prefix(false)?.then(template.turn(context)?);
    Ok((prompt, template.answer(persona, placements)?))
}

/// Admitted concepts each once, without surrounding space (a free answer may repeat itself, and say "sausage sausage"), and an
/// intent where none was written.
fn tidy(
    mut design: PlacementDesign,
    context: &SegmentContext,
    admit: &dyn Fn(&str) -> bool,
) -> PlacementDesign {
    let mut seen = std::collections::HashSet::new();
    design.title = design.title.trim().to_owned();
    design.concepts = design
        .concepts
        .iter()
        .map(|concept| concept.trim().to_owned())
        .filter(|concept| seen.insert(concept.to_lowercase()) && !says_twice(concept) && admit(concept))
        .collect();
    if design.intent.is_empty() {
        design.intent = grounding::intent(context, &design.concepts);
    }
    design
}
