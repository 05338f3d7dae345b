//! `endcap stage`: one stage alone over JSON lines, through the code of the night.

use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;
use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aiqa::TitleCase;
use crate::datasets::complete_journey::Taxonomy;
use crate::domain::stage::{Candidate, CandidateSet, PlacementDesign};
use crate::domain::{KeywordId, SegmentContext, SegmentId};
use crate::keywords::Keywords;
use crate::lm::Question;
use crate::night::{Answers, Inquiry, Progress, Student, Workspace};
use crate::themes::{Brief, Themes};

use super::exit::{Exit, UsageError};
use super::tools::Students;
use super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Debug, Subcommand)]
enum Stage {
    /// Contexts → page designs: {"segment_id", "persona", "placements"}
    #[command(after_help = "Example:\n  head -3 contexts.jsonl | endcap stage themes")]
    Themes {
        /// Placements a page
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=12))]
        placements: u8,
    },
    /// Placements with title, concepts and candidates → the same with "keywords"
    #[command(after_help = "Example:\n  head -3 choices.jsonl | endcap stage keywords")]
    Keywords,
    /// Titles with as_of and rules → {"title", "verdict", "rules"}
    #[command(
        after_help = "Example:\n  echo '{\"title\":\"Cure your cold soup\",\"as_of\":\"2017-11-20\",\"rules\":[]}' | endcap stage aiqa"
    )]
    Aiqa,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.stage {
        Stage::Themes { placements } => themes(context, placements.into(), &mut out).await?,
        Stage::Keywords => keywords(context, &mut out).await?,
        Stage::Aiqa => aiqa(context, &mut out)?,
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// The non-empty lines of standard input, each parsed; an error names its line.
fn lines<T: DeserializeOwned>() -> anyhow::Result<Vec<T>> {
    let mut rows = Vec::new();
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.context("standard input cannot be read")?;
        if line.trim().is_empty() {
            continue;
        }
        let row =
            serde_json::from_str(&line).map_err(|error| UsageError(format!("line {}: {error}", at + 1)))?;
        rows.push(row);
    }
    Ok(rows)
}

/// The model, its cache and the progress of one stage.
struct Asker {
    students: Students,
    workspace: Workspace,
    progress: Arc<dyn Progress>,
}

impl Asker {
    async fn new(context: &Context) -> anyhow::Result<Self> {
        let students = tools::students(context)?;
        let workspace = tools::workspace(context).await?;
        Ok(Self { students, workspace, progress: progress::reporter() })
    }

    async fn ask(
        &self,
        student: &Student,
        inquiry: Inquiry<'_>,
    ) -> anyhow::Result<Vec<crate::night::Answered>> {
        self.progress.begin(inquiry.stage, "answers", inquiry.questions.len() as u64);
        let answers = Answers { workspace: &self.workspace, engine: &self.students.engine, student };
        let replies = answers.ask(inquiry, Arc::clone(&self.progress)).await?;
        self.progress.end(&format!("{} from the cache", replies.cached));
        let answers: Result<Vec<_>, _> = replies.answers.into_iter().collect();
        Ok(answers?)
    }
}

async fn themes(context: &Context, placements: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let contexts: Vec<SegmentContext> = lines()?;
    let policy = tools::taxonomy_policy(context, &Taxonomy::committed()?)?;
    let (encoder, _) = tools::encoder(context)?;
    let stage = Themes::new(&context.config.themes, &encoder)?;
    let seed = context.config.night.seed;
    let mut questions: Vec<Question> = Vec::new();
    let mut asked: Vec<bool> = Vec::new();
    for segment in &contexts {
        let admit = |phrase: &str| policy.admits(segment, phrase);
        let question = stage.question(segment, &Brief { placements, admit: &admit, seed })?;
        asked.push(question.is_some());
        questions.extend(question);
    }
    let inquiry = Inquiry { stage: "themes", version: stage.version(), prefix: stage.prefix(), questions };
    let asker = Asker::new(context).await?;
    let mut answers = asker.ask(&asker.students.themes, inquiry).await?.into_iter();
    for (segment, asked) in contexts.iter().zip(asked) {
        let answer = if asked { answers.next() } else { None };
        let line = match answer {
            Some(answer) => {
                let admit = |phrase: &str| policy.admits(segment, phrase);
                let design =
                    stage.design(segment, &answer.text, &Brief { placements, admit: &admit, seed })?;
                ThemesLine {
                    segment_id: &segment.segment_id,
                    persona: design.persona,
                    placements: design.placements,
                }
            }
            None => {
                ThemesLine { segment_id: &segment.segment_id, persona: String::new(), placements: Vec::new() }
            }
        };
        output::json_line(out, &line)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct ThemesLine<'a> {
    segment_id: &'a SegmentId,
    persona: String,
    placements: Vec<PlacementDesign>,
}

/// A line of stage 2; fields this stage does not know are answered as they came.
#[derive(Deserialize)]
struct KeywordsLine {
    #[serde(default)]
    segment_id: Option<SegmentId>,
    title: String,
    concepts: Vec<String>,
    candidates: Vec<String>,
}

async fn keywords(context: &Context, out: &mut impl Write) -> anyhow::Result<()> {
    let rows: Vec<Map<String, Value>> = lines()?;
    let (encoder, digest) = tools::encoder(context)?;
    let relevance = tools::relevance(context, digest)?.map(|(model, _)| model);
    let stage = Keywords::new(&context.config.keywords, &encoder, relevance.as_ref())?;
    let mut questions = Vec::new();
    let mut sets: Vec<(CandidateSet, bool)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let line: KeywordsLine = serde_json::from_value(Value::Object(row.clone()))
            .map_err(|error| UsageError(format!("line {}: {error}", at + 1)))?;
        let segment = line.segment_id.clone().map_or_else(|| SegmentId::parse("stage"), Ok)?;
        let set = candidate_set(line);
        let question = stage.question(&set, &segment, context.config.night.seed)?;
        sets.push((set, question.is_some()));
        questions.extend(question);
    }
    let inquiry = Inquiry { stage: "keywords", version: stage.version(), prefix: stage.prefix(), questions };
    let asker = Asker::new(context).await?;
    let mut answers = asker.ask(&asker.students.keywords, inquiry).await?.into_iter();
    for (mut row, (set, asked)) in rows.into_iter().zip(sets) {
        let answer = if asked { answers.next() } else { None };
        let chosen = match answer {
            Some(answer) => stage.chosen(set, &answer.choices)?.keywords,
            None => set.candidates,
        };
        let texts: Vec<Value> = chosen.into_iter().map(|keyword| Value::String(keyword.text)).collect();
        row.insert("keywords".into(), Value::Array(texts));
        output::json_line(out, &row)?;
    }
    Ok(())
}

fn candidate_set(line: KeywordsLine) -> CandidateSet {
    let mut seen = std::collections::HashSet::new();
    let texts = line.candidates.into_iter().filter(|text| seen.insert(text.clone()));
    let candidates = texts
        .enumerate()
        .filter_map(|(at, text)| {
            Some(Candidate { keyword_id: KeywordId::parse(format!("line-{at}")).ok()?, text, score: 0.0 })
        })
        .collect();
    CandidateSet {
        design: PlacementDesign { title: line.title, intent: String::new(), concepts: line.concepts },
        candidates,
    }
}

#[derive(Deserialize)]
struct AiqaLine {
    title: String,
    as_of: NaiveDate,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    demographics: std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct AiqaAnswer<'a> {
    title: &'a str,
    verdict: &'static str,
    /// Ids of the rules that reject it, each once.
    rules: Vec<&'static str>,
    reasons: Vec<String>,
}

fn aiqa(context: &Context, out: &mut impl Write) -> anyhow::Result<()> {
    let policy = tools::taxonomy_policy(context, &Taxonomy::committed()?)?;
    for line in lines::<AiqaLine>()? {
        let AiqaLine { title, as_of, rules, demographics } = &line;
        let findings = policy.judge_title(&TitleCase { title, as_of: *as_of, rules, demographics });
        let mut ids: Vec<&'static str> = Vec::new();
        for finding in &findings {
            if !ids.contains(&finding.rule) {
                ids.push(finding.rule);
            }
        }
        let verdict = if ids.is_empty() { "accept" } else { "reject" };
        let reasons = findings.into_iter().map(|finding| finding.reason).collect();
        output::json_line(out, &AiqaAnswer { title, verdict, rules: ids, reasons })?;
    }
    Ok(())
}
