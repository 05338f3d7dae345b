//! How each system is asked: the one place that knows what makes a base model, a few-shot base and a student.

use std::collections::HashSet;
use std::sync::Arc;

use crate::aiqa::TitlePolicy;
use crate::config::Config;
use crate::domain::stage::{Candidate, CandidateSet, PlacementDesign};
use crate::domain::training::KeywordExample;
use crate::domain::{Digest, KeywordId, SegmentContext, SegmentId};
use crate::embed::Memory;
use crate::eval::{Answers, Cases, System};
use crate::keywords::{self, Keywords};
use crate::lm::Question;
use crate::night::{self, Answered, Inquiry, Progress, Student, Workspace};
use crate::relevance::RelevanceModel;
use crate::themes::{self, Brief, Mode, Themes};
use crate::train::{self, Corpus};

use super::super::tools::{self, Students, Trainable};
use super::super::{Context, progress};

/// Placements of a page, as the teacher designed them.
const PLACEMENTS: usize = 6;

/// What a system answers with.
struct Setup {
    themes: themes::Settings,
    keywords: keywords::Settings,
}

/// The base models write freely and choose alone, the encoder's weights left out; the students are what the config serves.
fn setup(system: System, config: &Config) -> Setup {
    let (themes, keywords) = (config.themes.clone(), config.keywords.clone());
    let examples = match system {
        System::BaseZeroShot => false,
        System::BaseFewShot => true,
        System::Students | System::Teacher => return Setup { themes, keywords },
    };
    Setup {
        themes: themes::Settings { mode: Mode::Free, examples, ..themes },
        keywords: keywords::Settings { relevance: 0.0, affinity: 0.0, coverage: 0.0, examples, ..keywords },
    }
}

/// The model behind its cache of answers.
pub struct Asker<'a> {
    config: &'a Config,
    policy: &'a TitlePolicy,
    memory: &'a Memory,
    relevance: Option<RelevanceModel>,
    students: Students,
    base: Student,
    trainable: Trainable,
    workspace: Workspace,
    progress: Arc<dyn Progress>,
}

impl<'a> Asker<'a> {
    pub async fn new(
        context: &'a Context,
        policy: &'a TitlePolicy,
        (memory, encoder): (&'a Memory, Digest),
    ) -> anyhow::Result<Self> {
        let students = tools::students(context)?;
        let base = Student::base(students.digests[&context.config.models.student]);
        let workspace = tools::workspace(context).await?;
        let progress = progress::reporter();
        let trainable = tools::trainable(context)?;
        let relevance = tools::relevance(context, encoder)?.map(|(model, _)| model);
        let config = &context.config;
        Ok(Self { config, policy, memory, relevance, students, base, trainable, workspace, progress })
    }

    /// Both stages of one system over all cases.
    pub async fn answers(&self, system: System, cases: &Cases<'_>) -> anyhow::Result<Answers> {
        let setup = setup(system, self.config);
        let contexts: Vec<&SegmentContext> = cases.themes.iter().map(|one| &one.context).collect();
        let pages = self.pages(system, &setup.themes, &contexts).await?;
        let keywords = self.keywords(system, &setup.keywords, cases.keywords).await?;
        let perplexity = self.perplexity(system, cases)?;
        Ok(Answers { system, pages, keywords, perplexity })
    }

    /// Of the teacher's pages, asked for without worked examples.
    fn perplexity(&self, system: System, cases: &Cases<'_>) -> anyhow::Result<Option<f64>> {
        let adapter = match system {
            System::BaseZeroShot => None,
            System::Students => self.trainable.themes_adapter.as_ref(),
            System::BaseFewShot | System::Teacher => return Ok(None),
        };
        let Trainable { weights, tokenizer, .. } = &self.trainable;
        let corpus = Corpus::Themes(cases.themes.to_vec());
        self.progress.begin(&format!("{} perplexity", system.id()), "pages", 0);
        let perplexity =
            train::perplexity(&corpus, tokenizer, weights, adapter, &self.config.device.open()?)?;
        self.progress.end("");
        Ok(Some(perplexity))
    }

    async fn pages(
        &self,
        system: System,
        settings: &themes::Settings,
        contexts: &[&SegmentContext],
    ) -> anyhow::Result<Vec<Vec<PlacementDesign>>> {
        let stage = Themes::new(settings, self.memory)?;
        let seed = self.config.night.seed;
        let mut questions = Vec::with_capacity(contexts.len());
        for segment in contexts {
            let admit = |phrase: &str| self.policy.admits(segment, phrase);
            questions.push(stage.question(segment, &Brief { placements: PLACEMENTS, admit: &admit, seed })?);
        }
        let inquiry =
            Inquiry { stage: "themes", version: stage.version(), prefix: stage.prefix(), questions: vec![] };
        let student = self.student(system, &self.students.themes);
        let answers = self.ask(student, system, inquiry, questions).await?;
        // A page that was cut off or is no JSON is an empty page, and counts as one.
        let design = |(segment, answer): (&&SegmentContext, Option<Answered>)| {
            let admit = |phrase: &str| self.policy.admits(segment, phrase);
            let design = stage
                .design(segment, &answer?.text, &Brief { placements: PLACEMENTS, admit: &admit, seed })
                .ok()?;
            Some(design.placements)
        };
        Ok(contexts.iter().zip(answers).map(|pair| design(pair).unwrap_or_default()).collect())
    }

    async fn keywords(
        &self,
        system: System,
        settings: &keywords::Settings,
        examples: &[KeywordExample],
    ) -> anyhow::Result<Vec<Vec<String>>> {
        let stage = Keywords::new(settings, self.memory, self.relevance.as_ref())?;
        let mut questions = Vec::with_capacity(examples.len());
        let mut sets = Vec::with_capacity(examples.len());
        for example in examples {
            let page = example.example_id.split('/').next().unwrap_or_default();
            let set = candidate_set(example);
            questions.push(stage.question(&set, &SegmentId::parse(page)?, self.config.night.seed)?);
            sets.push(set);
        }
        let inquiry = Inquiry {
            stage: "keywords",
            version: stage.version(),
            prefix: stage.prefix(),
            questions: vec![],
        };
        let student = self.student(system, &self.students.keywords);
        let answers = self.ask(student, system, inquiry, questions).await?;
        let mut chosen = Vec::with_capacity(sets.len());
        for (set, answer) in sets.into_iter().zip(answers) {
            let choices = answer.map(|answer| answer.choices).unwrap_or_default();
            let placement = stage.chosen(set, &choices)?;
            chosen.push(placement.keywords.into_iter().map(|keyword| keyword.text).collect());
        }
        Ok(chosen)
    }

    /// Who answers a stage for a system.
    fn student<'s>(&'s self, system: System, served: &'s Student) -> &'s Student {
        match system {
            System::BaseZeroShot | System::BaseFewShot => &self.base,
            System::Students | System::Teacher => served,
        }
    }

    /// One answer a question; `None` where nothing could be asked or the answer was cut off.
    async fn ask(
        &self,
        student: &Student,
        system: System,
        inquiry: Inquiry<'_>,
        questions: Vec<Option<Question>>,
    ) -> anyhow::Result<Vec<Option<Answered>>> {
        let asked: Vec<bool> = questions.iter().map(Option::is_some).collect();
        let questions: Vec<Question> = questions.into_iter().flatten().collect();
        let title = format!("{} {}", system.id(), inquiry.stage);
        self.progress.begin(&title, "answers", questions.len() as u64);
        let answers = night::Answers { workspace: &self.workspace, engine: &self.students.engine, student };
        let replies = answers.ask(Inquiry { questions, ..inquiry }, Arc::clone(&self.progress)).await?;
        self.progress.end(&format!("{} from the cache", replies.cached));
        let mut answers = replies.answers.into_iter();
        Ok(asked.into_iter().map(|asked| if asked { answers.next()?.ok() } else { None }).collect())
    }
}

fn candidate_set(example: &KeywordExample) -> CandidateSet {
    let mut seen = HashSet::new();
    let texts = example.candidates.iter().map(|one| &one.text).filter(|text| seen.insert(*text));
    let candidate = |(at, text): (usize, &String)| {
        let keyword_id = KeywordId::parse(format!("candidate-{at}")).ok()?;
        Some(Candidate { keyword_id, text: text.clone(), score: 0.0 })
    };
    CandidateSet {
        design: PlacementDesign {
            title: example.title.clone(),
            intent: String::new(),
            concepts: example.concepts.clone(),
        },
        candidates: texts.enumerate().filter_map(candidate).collect(),
    }
}
