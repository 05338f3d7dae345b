//! Stage 2: LLM 2 picks a placement's keywords, only ever from its candidates (KW-1: by construction of the decoder).
//!
//! The answer's form is a choice without replacement over the candidates' own tokens; no other text can be decoded, so
//! there is nothing to parse and nothing to match back.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};

use crate::domain::stage::{Candidate, CandidateSet, ChosenPlacement, PlacementDesign};
use crate::domain::{Digest, SegmentId};
use crate::embed::Memory;
use crate::lm::{Choices, Form, Prompt, Question, Sampling};
use crate::relevance::{Asked, Nearness, RelevanceError, RelevanceModel};

/// A versioned set of template files.
pub struct Template {
    pub version: &'static str,
    system: &'static str,
    placement: &'static str,
    examples: &'static str,
}

/// The newest version.
pub const V1: Template = Template {
    version: "keywords-v1",
    system: include_str!("templates/v1/system.txt"),
    placement: include_str!("templates/v1/placement.txt"),
    examples: include_str!("templates/v1/examples.jsonl"),
};

/// Version of the newest templates.
pub const VERSION: &str = V1.version;

/// `[keywords]` of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether worked examples stand before every question; a fine-tuned student needs none.
    pub examples: bool,
    /// Candidates retrieved a placement; 8..=400 (larger models read more).
    pub candidates: usize,
    /// Fewest keywords a placement; 1..=`max`.
    pub min: usize,
    /// Most keywords a placement; `min`..=20.
    pub max: usize,
    /// How much a candidate's learned relevance (`models.relevance`), log-odds, counts beside the language model; 0 leaves it out.
    pub relevance: f32,
    /// Without a model of relevance: how much a candidate's cosine to its nearest concept counts, nats per unit; 0 leaves it out.
    pub affinity: f32,
    /// How much a candidate loses for every other that is nearer to the same concept, nats; 0 leaves it out. It makes the
    /// choice cover all concepts.
    pub coverage: f32,
    /// Added to the logit of ending the list, nats; above 0 makes lists shorter.
    pub ending: f32,
    pub sampling: Sampling,
}

impl Default for Settings {
    fn default() -> Self {
        let sampling = Sampling {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            repetition_penalty: 1.0,
            repetition_window: 0,
        };
        Self {
            examples: false,
            candidates: 40,
            min: 5,
            max: 8,
            relevance: 8.0,
            affinity: 30.0,
            coverage: 1.0,
            ending: 0.0,
            sampling,
        }
    }
}

impl Settings {
    pub fn validate(&self) -> Result<(), String> {
        if !(8..=400).contains(&self.candidates) {
            return Err(format!("candidates = {} is not within 8..=400", self.candidates));
        }
        if self.min == 0 || self.min > self.max || self.max > 20 {
            return Err(format!(
                "min = {} and max = {} must satisfy 1 <= min <= max <= 20",
                self.min, self.max
            ));
        }
        for (name, nats) in [
            ("relevance", self.relevance),
            ("affinity", self.affinity),
            ("coverage", self.coverage),
            ("ending", self.ending),
        ] {
            if !(0.0..=100.0).contains(&nats) {
                return Err(format!("{name} = {nats} is not within 0..=100"));
            }
        }
        self.sampling.validate()
    }
}

/// Why a placement has no keywords.
#[derive(Debug, thiserror::Error)]
pub enum KeywordsError {
    #[error("template {version} is broken: {source}")]
    Template { version: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("segment {segment}: its candidates could not be judged: {source}")]
    Relevance { segment: SegmentId, source: RelevanceError },
    #[error(
        "the answer names candidate {index} of {candidates}; the cached answer belongs to other candidates"
    )]
    Index { index: usize, candidates: usize },
}

/// Stage 2, ready to ask.
pub struct Keywords<'a> {
    settings: &'a Settings,
    encoder: &'a Memory,
    relevance: Option<&'a RelevanceModel>,
    template: Template,
    prefix: Prompt,
}

/// What `placement.txt` may use.
#[derive(Serialize)]
struct Placement<'a> {
    title: &'a str,
    concepts: &'a [String],
    candidates: &'a [String],
}

/// A worked example of `examples.jsonl`.
#[derive(Deserialize)]
struct Example {
    title: String,
    concepts: Vec<String>,
    candidates: Vec<String>,
    keywords: Vec<String>,
}

impl<'a> Keywords<'a> {
    pub fn new(
        settings: &'a Settings,
        encoder: &'a Memory,
        relevance: Option<&'a RelevanceModel>,
    ) -> Result<Self, KeywordsError> {
        let template = V1;
        let prefix = template.prefix(settings.examples)?;
        Ok(Self { settings, encoder, relevance, template, prefix })
    }

    /// Version of the templates, part of every answer's key.
    pub fn version(&self) -> &'static str {
        self.template.version
    }

    /// The beginning all questions of this stage share.
    pub fn prefix(&self) -> &Prompt {
        &self.prefix
    }

    /// What to ask for one placement; `None` where it has fewer candidates than keywords are wanted.
    pub fn question(
        &self,
        set: &CandidateSet,
        segment: &SegmentId,
        seed: u64,
    ) -> Result<Option<Question>, KeywordsError> {
        if set.candidates.len() < self.settings.min {
            return Ok(None);
        }
        let texts: Vec<String> = set.candidates.iter().map(|candidate| candidate.text.clone()).collect();
        let prompt = self.template.turn(&set.design.title, &set.design.concepts, &texts)?;
        let parts =
            [&seed.to_le_bytes()[..], b"keywords", segment.as_str().as_bytes(), set.design.title.as_bytes()];
        let max = self.settings.max.min(texts.len());
        let PlacementDesign { title, concepts, .. } = &set.design;
        let prior = self
            .prior(&Asked { title, concepts, candidates: &texts })
            .map_err(|source| KeywordsError::Relevance { segment: segment.clone(), source })?;
        let form = Form::Choices(Choices {
            prior,
            ending: self.settings.ending,
            ..Choices::lines(texts, self.settings.min, max)
        });
        let sampling = self.settings.sampling.clone();
        // Enough for the longest: a keyword has a handful of tokens, and the decoder counts forced ones too.
        let max_tokens = max * 24;
        Ok(Some(Question { prompt, form, sampling, max_tokens, seed: Digest::of_parts(parts).seed() }))
    }

    /// Log-weights of the candidates: relevant is good, and being the nearest to a concept is better.
    fn prior(&self, asked: &Asked<'_>) -> Result<Vec<f32>, RelevanceError> {
        let Settings { relevance, affinity, coverage, .. } = *self.settings;
        let model = self.relevance.filter(|_| relevance > 0.0);
        if asked.concepts.is_empty() || (model.is_none() && affinity == 0.0 && coverage == 0.0) {
            return Ok(Vec::new());
        }
        let near = Nearness::new(asked, self.encoder)?;
        let mut weights: Vec<f32> = match model {
            Some(model) => {
                let odds = model.log_odds(asked, &near, self.encoder)?;
                odds.into_iter().map(|odds| relevance * odds).collect()
            }
            None => (0..asked.candidates.len()).map(|at| affinity * near.cosine(at)).collect(),
        };
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight -= coverage * near.place(at) as f32;
        }
        Ok(weights)
    }

    /// The placement with the candidates the answer chose, in its order.
    pub fn chosen(&self, set: CandidateSet, choices: &[usize]) -> Result<ChosenPlacement, KeywordsError> {
        let candidates = set.candidates.len();
        let pick = |index: &usize| {
            set.candidates.get(*index).cloned().ok_or(KeywordsError::Index { index: *index, candidates })
        };
        let keywords: Vec<Candidate> = choices.iter().map(pick).collect::<Result<_, _>>()?;
        Ok(ChosenPlacement { design: set.design, candidates: set.candidates, keywords })
    }
}

/// What a student learns to choose for a placement: the prompt, without worked examples, and the answer's lines.
pub fn lesson(
    title: &str,
    concepts: &[String],
    candidates: &[String],
    chosen: &[String],
) -> Result<(Prompt, Vec<String>), KeywordsError> {
    let prompt = V1.prefix(false)?.then(V1.turn(title, concepts, candidates)?);
    Ok((prompt, chosen.iter().map(|keyword| format!("{keyword}\n")).collect()))
}

fn asking(turn: String) -> Prompt {
    Prompt::new().trusted("<|im_start|>user\n").data(turn).trusted("<|im_end|>\n<|im_start|>assistant\n")
}

impl Template {
    pub fn system(&self) -> &'static str {
        self.system.trim_end()
    }

    /// What all prompts begin with.
    fn prefix(&self, examples: bool) -> Result<Prompt, KeywordsError> {
        let mut prefix =
            Prompt::new().trusted("<|im_start|>system\n").trusted(self.system()).trusted("<|im_end|>\n");
        for (asked, answered) in if examples { self.examples()? } else { Vec::new() } {
            prefix = prefix.then(asking(asked)).data(answered).trusted("<|im_end|>\n");
        }
        Ok(prefix)
    }

    /// One placement's turn, up to where the answer begins.
    fn turn(&self, title: &str, concepts: &[String], candidates: &[String]) -> Result<Prompt, KeywordsError> {
        Ok(asking(self.render(title, concepts, candidates)?))
    }

    /// Worked examples as (user's turn, answer) pairs; an answer's keywords stand one a line.
    pub fn examples(&self) -> Result<Vec<(String, String)>, KeywordsError> {
        let example = |line: &str| {
            let example: Example = serde_json::from_str(line).map_err(|source| self.broken(source))?;
            let asked = self.render(&example.title, &example.concepts, &example.candidates)?;
            Ok((asked, example.keywords.join("\n") + "\n"))
        };
        self.examples.lines().filter(|line| !line.is_empty()).map(example).collect()
    }

    /// The user's turn for one placement. Data: it may hold anything a catalogue holds.
    pub fn render(
        &self,
        title: &str,
        concepts: &[String],
        candidates: &[String],
    ) -> Result<String, KeywordsError> {
        let mut environment = Environment::new();
        environment.add_template("placement", self.placement).map_err(|source| self.broken(source))?;
        let template = environment.get_template("placement").map_err(|source| self.broken(source))?;
        let placement = Placement { title, concepts, candidates };
        let text = template.render(Serde(placement)).map_err(|source| self.broken(source))?;
        Ok(text.trim_end().to_owned())
    }

    fn broken(&self, source: impl std::error::Error + Send + Sync + 'static) -> KeywordsError {
        KeywordsError::Template { version: self.version, source: Box::new(source) }
    }
}
