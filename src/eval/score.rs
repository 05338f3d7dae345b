//! Puts every system's answers to the judge and sums up.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::{Bootstrap, Cluster, Estimate};
use super::judge::{Judge, PageVerdict};
use super::metrics::{centroid, cohesion, distinctness, keyword_precision, theme_precision};
use super::report::{Control, Report, SystemReport};
use super::{EvalError, report};
use crate::domain::SegmentContext;
use crate::domain::stage::PlacementDesign;
use crate::domain::training::{KeywordExample, ThemeExample};
use crate::embed::Memory;

/// Themes of a page that are judged.
const THEMES: usize = 6;
/// Keywords of a placement that are graded.
const KEYWORDS: usize = 5;

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The base model with the instructions alone.
    BaseZeroShot,
    /// The base model with worked examples.
    BaseFewShot,
    /// What the config serves.
    Students,
    /// The recorded answers the students learned from.
    Teacher,
}

impl System {
    pub const ALL: [System; 4] = [Self::BaseZeroShot, Self::BaseFewShot, Self::Students, Self::Teacher];

    pub fn id(self) -> &'static str {
        match self {
            Self::BaseZeroShot => "base-zero-shot",
            Self::BaseFewShot => "base-few-shot",
            Self::Students => "students",
            Self::Teacher => "teacher",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.id() == text)
    }
}

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub struct Cases<'a> {
    /// Held out.
    pub themes: &'a [ThemeExample],
    /// Held out.
    pub keywords: &'a [KeywordExample],
    /// Contexts the control takes its strangers from: those of another season are used, in this order.
    pub others: &'a [SegmentContext],
}

/// What one system answered, in the order of the cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    pub system: System,
    /// A page a context; empty where there is no usable answer.
    pub pages: Vec<Vec<PlacementDesign>>,
    /// Chosen keywords a placement, best first.
    pub keywords: Vec<Vec<String>>,
    /// Of the teacher's pages under this system's model, where it was measured.
    pub perplexity: Option<f64>,
}

impl Answers {
    /// The teacher's, as recorded.
    pub fn of_teacher(cases: &Cases) -> Self {
        Self {
            system: System::Teacher,
            pages: cases.themes.iter().map(|one| one.placements.clone()).collect(),
            keywords: cases.keywords.iter().map(|one| one.chosen.clone()).collect(),
            perplexity: None,
        }
    }

    fn check(&self, cases: &Cases) -> Result<(), EvalError> {
        let counts = [
            ("pages", self.pages.len(), cases.themes.len()),
            ("keyword choices", self.keywords.len(), cases.keywords.len()),
        ];
        match counts.into_iter().find(|(_, answered, asked)| answered != asked) {
            None => Ok(()),
            Some((what, answered, asked)) => {
                Err(EvalError::Unanswered { system: self.system.id(), answered, asked, what })
            }
        }
    }
}

/// Judges all answers by one judge.
///
/// # Errors
/// No contexts, answers that do not fit the cases, or a judge or encoder that failed.
pub fn evaluate(
    judge: &dyn Judge,
    memory: &Memory,
    cases: &Cases,
    answers: &[Answers],
    bootstrap: Bootstrap,
) -> Result<Report, EvalError> {
    if cases.themes.is_empty() {
        return Err(EvalError::NoContexts);
    }
    let mut tallies = Vec::with_capacity(answers.len());
    for one in answers {
        one.check(cases)?;
        tallies.push((one, Tally::of(judge, memory, cases, one)?));
    }
    let systems = tallies.iter().filter_map(|(one, tally)| tally.report(one, &bootstrap)).collect();
    let find = |system| tallies.iter().find(|(one, _)| one.system == system).map(|(_, tally)| tally);
    Ok(Report::new(report::Parts {
        judge: judge.name(),
        contexts: cases.themes.len(),
        placements: cases.keywords.len(),
        ratios: ratios(&bootstrap, &find),
        control: control(judge, cases, &bootstrap)?,
        systems,
        bootstrap,
    }))
}

/// One system's counts, a cluster a page.
#[derive(Default)]
struct Tally {
    p_t5: Vec<Cluster>,
    p_t6: Vec<Cluster>,
    p_k5: Vec<Cluster>,
    distinctness: Vec<Cluster>,
    cohesion: Vec<Cluster>,
    violating: Vec<Cluster>,
    rejections: BTreeMap<String, usize>,
    violations: BTreeMap<String, usize>,
    page_flaws: BTreeMap<String, usize>,
    themes: usize,
    empty_pages: usize,
}

impl Tally {
    fn of(judge: &dyn Judge, memory: &Memory, cases: &Cases, answers: &Answers) -> Result<Self, EvalError> {
        let mut tally = Self::default();
        for (example, page) in cases.themes.iter().zip(&answers.pages) {
            let page = &page[..page.len().min(THEMES)];
            tally.verdict(&judge.judge(&example.context, page)?);
            let embedded = tally.vectors(memory, page);
            let segment = example.context.segment_id.to_string();
            embedded.map_err(|source| EvalError::Embed { segment, source })?;
        }
        tally.p_k5 = keyword_clusters(cases.keywords, &answers.keywords);
        Ok(tally)
    }

    fn verdict(&mut self, page: &PageVerdict) {
        let accepted: Vec<bool> = page.themes.iter().map(|theme| theme.accepted()).collect();
        for (clusters, at) in [(&mut self.p_t5, 5), (&mut self.p_t6, THEMES)] {
            let count = at as f64;
            clusters.push(Cluster { sum: theme_precision(&accepted, at) * count, count });
        }
        let violating = page.themes.iter().filter(|theme| !theme.violations.is_empty()).count();
        self.violating.push(Cluster { sum: violating as f64, count: page.themes.len() as f64 });
        self.themes += page.themes.len();
        self.empty_pages += usize::from(page.themes.is_empty());
        for theme in &page.themes {
            theme.reasons.iter().for_each(|reason| count(&mut self.rejections, reason.id()));
            theme.violations.iter().for_each(|kind| count(&mut self.violations, kind));
        }
        page.flaws.iter().for_each(|flaw| count(&mut self.page_flaws, flaw.id()));
    }

    fn vectors(&mut self, memory: &Memory, page: &[PlacementDesign]) -> Result<(), crate::embed::EmbedError> {
        let mut centroids = Vec::with_capacity(page.len());
        let mut cohesions = Cluster::default();
        for theme in page {
            let title = memory.vectors(&[theme.title.as_str()])?;
            let concepts = memory.vectors(&theme.concepts.iter().map(String::as_str).collect::<Vec<_>>())?;
            if let Some(cosine) = title.first().and_then(|title| cohesion(title, &concepts)) {
                cohesions.sum += cosine;
                cohesions.count += 1.0;
                centroids.push(centroid(&concepts));
            }
        }
        self.cohesion.push(cohesions);
        self.distinctness.push(distinctness(&centroids).map(Cluster::one).unwrap_or_default());
        Ok(())
    }

    /// `None` where not a single page was judged.
    fn report(&self, answers: &Answers, bootstrap: &Bootstrap) -> Option<SystemReport> {
        Some(SystemReport {
            system: answers.system,
            p_t5: bootstrap.mean(&self.p_t5)?,
            p_t6: bootstrap.mean(&self.p_t6)?,
            p_k5: bootstrap.mean(&self.p_k5),
            distinctness: bootstrap.mean(&self.distinctness),
            cohesion: bootstrap.mean(&self.cohesion),
            violation_rate: bootstrap.mean(&self.violating),
            perplexity: answers.perplexity,
            themes: self.themes,
            empty_pages: self.empty_pages,
            violations: self.violations.clone(),
            rejections: self.rejections.clone(),
            page_flaws: self.page_flaws.clone(),
        })
    }
}

fn count(counts: &mut BTreeMap<String, usize>, key: &str) {
    *counts.entry(key.to_owned()).or_default() += 1;
}

/// Placements of one page (`<segment>/<placement>`) are one cluster.
fn keyword_clusters(examples: &[KeywordExample], chosen: &[Vec<String>]) -> Vec<Cluster> {
    let mut pages: BTreeMap<&str, Cluster> = BTreeMap::new();
    for (example, chosen) in examples.iter().zip(chosen) {
        let page = example.example_id.split('/').next().unwrap_or_default();
        let cluster = pages.entry(page).or_default();
        cluster.sum += keyword_precision(chosen, &example.candidates, KEYWORDS);
        cluster.count += 1.0;
    }
    pages.into_values().collect()
}

/// Students over teacher and over the few-shot base, page by page.
fn ratios<'t>(
    bootstrap: &Bootstrap,
    find: &dyn Fn(System) -> Option<&'t Tally>,
) -> BTreeMap<&'static str, Estimate> {
    let mut ratios = BTreeMap::new();
    let Some(students) = find(System::Students) else { return ratios };
    let names = [
        (System::Teacher, "p_t5_to_teacher", "p_k5_to_teacher"),
        (System::BaseFewShot, "p_t5_to_base", "p_k5_to_base"),
    ];
    for (system, themes, keywords) in names {
        let Some(other) = find(system) else { continue };
        ratios.extend(bootstrap.ratio(&students.p_t5, &other.p_t5).map(|ratio| (themes, ratio)));
        ratios.extend(bootstrap.ratio(&students.p_k5, &other.p_k5).map(|ratio| (keywords, ratio)));
    }
    ratios
}

/// The teacher's pages judged against contexts they were not designed for, of another season.
fn control(judge: &dyn Judge, cases: &Cases, bootstrap: &Bootstrap) -> Result<Option<Control>, EvalError> {
    let mut tally = Tally::default();
    for (at, example) in cases.themes.iter().enumerate() {
        let strange = |other: &&SegmentContext| {
            other.season() != example.context.season() && other.segment_id != example.context.segment_id
        };
        let strangers: Vec<&SegmentContext> = cases.others.iter().filter(strange).collect();
        if let Some(stranger) = strangers.get(at % strangers.len().max(1)) {
            let page = &example.placements[..example.placements.len().min(THEMES)];
            tally.verdict(&judge.judge(stranger, page)?);
        }
    }
    let figures = bootstrap.mean(&tally.p_t5).zip(bootstrap.mean(&tally.p_t6));
    Ok(figures.map(|(p_t5, p_t6)| Control {
        p_t5,
        p_t6,
        pages: tally.p_t5.len(),
        rejections: tally.rejections,
    }))
}
