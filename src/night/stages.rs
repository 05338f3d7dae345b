//! The stages of one group of segments, in order: design → candidates → keywords → products → AIQA → fusion.
//!
//! A segment that fails at a stage leaves the group there and is settled later (carried over, or the ranker's page); the
//! others go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::Empty;

use crate::aiqa::{self, PageInput, TitleCase};
use crate::config::clock::Stopwatch;
use crate::domain::explain::PageStory;
use crate::domain::manifest::PageStatus;
use crate::domain::merchandising::{Rule, RuleKind};
use crate::domain::stage::{
    CandidateSet, ChosenPlacement, JudgedPage, PageDesign, StockedPage, StockedPlacement,
};
use crate::domain::title_fit::TitleFits;
use crate::domain::{SegmentContext, SegmentId};
use crate::fuse::{Audience, Fuser};
use crate::index::{IndexError, ProductFilter};
use crate::keywords::{Keywords, KeywordsError};
use crate::lm::Usage;
use crate::themes::{Brief, Themes, ThemesError};
use crate::trace::{self, step};

use super::answers::{Answers, AskError, Inquiry, Replies, Student};
use super::progress::Progress;
use super::stop::Stop;
use super::workspace::WorkError;
use super::{Night, PageError, Tools};

/// What became of a segment within its group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Page(Box<PageStory>),
    Failed { stage: String, reason: String },
}

/// What a model stage cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelCost {
    pub asked: usize,
    pub cached: usize,
    /// Of the answers that were computed.
    pub usage: Usage,
}

impl ModelCost {
    pub fn merge(&mut self, other: &Self) {
        self.asked += other.asked;
        self.cached += other.cached;
        self.usage += other.usage;
    }

    fn add(&mut self, replies: &Replies) {
        self.asked += replies.answers.len();
        self.cached += replies.cached;
        self.usage += replies.usage;
    }
}

/// A finished group, as its checkpoint keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GroupRecord {
    pub outcomes: BTreeMap<SegmentId, Outcome>,
    pub themes: ModelCost,
    pub keywords: ModelCost,
    /// Stage → seconds.
    pub seconds: BTreeMap<String, f64>,
    /// Read and written for each segment's answers, whether they came from the cache or not.
    #[serde(default)]
    pub tokens: BTreeMap<SegmentId, u64>,
}

/// The whole group cannot go on; the night stops and can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Themes(#[from] ThemesError),
    #[error(transparent)]
    Keywords(#[from] KeywordsError),
    #[error("asked to stop; what was answered is kept, start again to go on")]
    Stopped,
}

/// A segment on its way through the stages.
struct Draft<'a> {
    context: &'a SegmentContext,
    design: Option<PageDesign>,
    placements: Vec<StockedPlacement>,
}

/// One group at work.
pub struct GroupRun<'a> {
    night: &'a Night<'a>,
    tools: &'a Tools,
    fuser: &'a Fuser<'a>,
    stop: Stop,
    record: GroupRecord,
}

impl<'a> GroupRun<'a> {
    pub fn new(night: &'a Night<'a>, tools: &'a Tools, fuser: &'a Fuser<'a>) -> Self {
        Self { night, tools, fuser, stop: Stop::default(), record: GroupRecord::default() }
    }

    /// Gives up between two stages once `stop` is asked.
    pub fn until(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// Runs all stages over `contexts`.
    pub async fn run(mut self, contexts: &[&'a SegmentContext]) -> Result<GroupRecord, GroupError> {
        let drafts = self.stocked(contexts).await?;
        step!("aiqa and fusion", pages = drafts.len()).in_scope(|| self.finish(&drafts));
        Ok(self.record)
    }

    /// Runs the stages before fusion alone: what the cascade offers each segment. A segment that failed is left out, with a
    /// log line.
    pub async fn judged(mut self, contexts: &[&'a SegmentContext]) -> Result<Vec<JudgedPage>, GroupError> {
        let drafts = self.stocked(contexts).await?;
        let mut pages = Vec::with_capacity(drafts.len());
        for (draft, page) in
            drafts.iter().zip(drafts.par_iter().map(|draft| self.judge(draft)).collect::<Vec<_>>())
        {
            match page {
                Ok(page) => pages.push(page),
                Err(error) => self.fail(&draft.context.segment_id, "aiqa", error),
            }
        }
        for (segment, outcome) in &self.record.outcomes {
            if let Outcome::Failed { stage, reason } = outcome {
                tracing::warn!(segment = segment.as_str(), stage, reason, "a segment has no judged page");
            }
        }
        Ok(pages)
    }

    async fn stocked(&mut self, contexts: &[&'a SegmentContext]) -> Result<Vec<Draft<'a>>, GroupError> {
        self.go_on()?;
        let span = step!("themes", asked = Empty, cached = Empty, tokens = Empty);
        let mut drafts = trace::within(span, self.design(contexts)).await?;
        self.go_on()?;
        let sets = trace::within(step!("candidates", placements = Empty), self.candidates(&drafts)).await?;
        self.go_on()?;
        let span = step!("keywords", asked = Empty, cached = Empty, tokens = Empty);
        let chosen = trace::within(span, self.choose(&drafts, sets)).await?;
        self.go_on()?;
        let span = step!("products", placements = chosen.len());
        trace::within(span, self.stock(&mut drafts, chosen)).await?;
        Ok(drafts)
    }

    fn go_on(&self) -> Result<(), GroupError> {
        if self.stop.is_asked() { Err(GroupError::Stopped) } else { Ok(()) }
    }

    fn spent(&mut self, segment: &SegmentId, usage: Usage) {
        let tokens = usage.prompt_tokens + usage.generated_tokens;
        *self.record.tokens.entry(segment.clone()).or_default() += tokens as u64;
    }

    fn fail(&mut self, segment: &SegmentId, stage: &str, reason: impl ToString) {
        let outcome = Outcome::Failed { stage: stage.into(), reason: reason.to_string() };
        self.record.outcomes.insert(segment.clone(), outcome);
    }

    fn took(&mut self, stage: &str, watch: Stopwatch) {
        self.record.seconds.insert(stage.into(), watch.seconds());
    }

    fn answers(&self, student: &'a Student) -> Answers<'a> {
        Answers { workspace: self.night.workspace, engine: &self.tools.engine, student }
    }

    fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.night.progress)
    }

    /// Stage 1. A segment without signals has no design and gets the ranker's page in the end.
    async fn design(&mut self, contexts: &[&'a SegmentContext]) -> Result<Vec<Draft<'a>>, GroupError> {
        let watch = Stopwatch::start();
        let night = self.night;
        let placements = night.inputs.merchandising.page.placements;
        let themes = Themes::new(night.settings.themes, &self.tools.encoder)?;
        let seed = night.settings.night.seed;
        let mut drafts = Vec::new();
        let mut questions = Vec::new();
        let mut asking = Vec::new();
        for context in contexts {
            let admit = |phrase: &str| accepts_phrase(night, context, phrase);
            match themes.question(context, &Brief { placements, admit: &admit, seed })? {
                Some(question) => {
                    questions.push(question);
                    asking.push(*context);
                }
                None => drafts.push(Draft { context, design: None, placements: Vec::new() }),
            }
        }
        night.progress.begin("themes", "pages", questions.len() as u64);
        let inquiry =
            Inquiry { stage: "themes", version: themes.version(), prefix: themes.prefix(), questions };
        let replies = self.answers(&self.tools.themes).ask(inquiry, self.progress()).await?;
        self.record.themes.add(&replies);
        note(&replies);
        night.progress.end(&cached(&replies));
        for (context, answer) in asking.into_iter().zip(replies.answers) {
            let segment = &context.segment_id;
            let admit = |phrase: &str| accepts_phrase(night, context, phrase);
            if let Ok(answer) = &answer {
                self.spent(segment, answer.usage);
            }
            let design = match answer {
                Ok(answer) => themes
                    .design(context, &answer.text, &Brief { placements, admit: &admit, seed })
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match design {
                Ok(design) => drafts.push(Draft { context, design: Some(design), placements: Vec::new() }),
                Err(reason) => self.fail(segment, "themes", reason),
            }
        }
        drafts.sort_by(|a, b| a.context.segment_id.cmp(&b.context.segment_id));
        self.took("themes", watch);
        Ok(drafts)
    }

    /// Retrieves candidate keywords for every placement of every draft, with the draft's number.
    async fn candidates(&mut self, drafts: &[Draft<'a>]) -> Result<Vec<(usize, CandidateSet)>, GroupError> {
        let watch = Stopwatch::start();
        let (night, tools) = (self.night, self.tools);
        let designs: Vec<_> = drafts
            .iter()
            .enumerate()
            .flat_map(|(at, draft)| {
                let pages = draft.design.iter().flat_map(|page| page.placements.iter().chain(&page.reserve));
                pages.map(move |design| (at, design.clone()))
            })
            .collect();
        night.progress.begin("candidates", "placements", designs.len() as u64);
        Span::current().record("placements", designs.len());
        let limit = night.settings.keywords.candidates;
        let sets: Vec<(usize, CandidateSet)> = stream::iter(designs)
            .map(|(at, design)| async move {
                let mut queries = design.concepts.clone();
                queries.push(design.title.clone());
                let candidates = tools.index.search_keywords(&queries, limit).await?;
                night.progress.advance(1);
                Ok::<_, IndexError>((at, CandidateSet { design, candidates }))
            })
            .buffered(night.settings.night.concurrent_searches)
            .try_collect()
            .await?;
        night.progress.end("");
        self.took("candidates", watch);
        Ok(sets)
    }

    /// Stage 2. A placement without an answer is dropped, with a log line; AIQA's reserve fills its place.
    async fn choose(
        &mut self,
        drafts: &[Draft<'a>],
        sets: Vec<(usize, CandidateSet)>,
    ) -> Result<Vec<(usize, ChosenPlacement)>, GroupError> {
        let watch = Stopwatch::start();
        let night = self.night;
        let Tools { encoder, relevance, index, .. } = self.tools;
        let candidates = sets.iter().flat_map(|(_, set)| &set.candidates);
        let candidates = encoder.unknown(candidates.map(|candidate| candidate.text.as_str()));
        encoder.remember(index.keyword_vectors(&candidates).await?);
        let keywords = Keywords::new(night.settings.keywords, encoder, relevance.as_ref())?;
        let mut questions = Vec::new();
        let mut asking = Vec::new();
        for (at, set) in sets {
            let segment = &drafts[at].context.segment_id;
            if let Some(question) = keywords.question(&set, segment, night.settings.night.seed)? {
                questions.push(question);
                asking.push((at, set));
            }
        }
        night.progress.begin("keywords", "placements", questions.len() as u64);
        let inquiry =
            Inquiry { stage: "keywords", version: keywords.version(), prefix: keywords.prefix(), questions };
        let replies = self.answers(&self.tools.keywords).ask(inquiry, self.progress()).await?;
        self.record.keywords.add(&replies);
        note(&replies);
        night.progress.end(&cached(&replies));
        let mut chosen = Vec::new();
        for ((at, set), answer) in asking.into_iter().zip(replies.answers) {
            match answer {
                Ok(answer) => {
                    self.spent(&drafts[at].context.segment_id, answer.usage);
                    chosen.push((at, keywords.chosen(set, &answer.choices)?));
                }
                Err(error) => {
                    tracing::warn!(placement = set.design.title, %error, "a placement has no keywords")
                }
            }
        }
        self.took("keywords", watch);
        Ok(chosen)
    }

    /// Finds products for every placement and hands them to their drafts, in page order.
    async fn stock(
        &mut self,
        drafts: &mut [Draft<'a>],
        chosen: Vec<(usize, ChosenPlacement)>,
    ) -> Result<(), GroupError> {
        let watch = Stopwatch::start();
        let (night, tools) = (self.night, self.tools);
        night.progress.begin("products", "placements", chosen.len() as u64);
        let filters: Vec<ProductFilter> = drafts.iter().map(|draft| filter(night, draft.context)).collect();
        let stocked: Vec<(usize, StockedPlacement)> = stream::iter(chosen)
            .map(|(at, chosen)| {
                let filter = &filters[at];
                async move {
                    let texts: Vec<String> =
                        chosen.keywords.iter().map(|keyword| keyword.text.clone()).collect();
                    let limit = night.settings.night.retrieved_products;
                    let products = tools.index.search_products(&texts, filter, limit).await?;
                    night.progress.advance(1);
                    Ok::<_, IndexError>((at, StockedPlacement { chosen, products }))
                }
            })
            .buffered(night.settings.night.concurrent_searches)
            .try_collect()
            .await?;
        for (at, placement) in stocked {
            drafts[at].placements.push(placement);
        }
        night.progress.end("");
        self.took("products", watch);
        Ok(())
    }

    /// AIQA and fusion, segment by segment.
    fn finish(&mut self, drafts: &[Draft<'a>]) {
        let watch = Stopwatch::start();
        self.night.progress.begin("aiqa and fusion", "pages", drafts.len() as u64);
        let Tools { encoder, evaluator, .. } = self.tools;
        // Should it fail, every page says so.
        evaluator.prepare(encoder).ok();
        let page = |draft: &Draft<'a>| {
            let page = self.page(draft);
            self.night.progress.advance(1);
            page
        };
        let pages: Vec<_> = drafts.par_iter().map(page).collect();
        for (draft, page) in drafts.iter().zip(pages) {
            let segment = &draft.context.segment_id;
            match page {
                Ok(story) => {
                    self.record.outcomes.insert(segment.clone(), Outcome::Page(Box::new(story)));
                }
                Err((stage, reason)) => self.fail(segment, stage, reason),
            }
        }
        self.night.progress.end("");
        self.took("aiqa and fusion", watch);
    }

    fn page(&self, draft: &Draft<'a>) -> Result<PageStory, (&'static str, String)> {
        let judged = self.judge(draft).map_err(|error| ("aiqa", error.to_string()))?;
        let Tools { encoder, evaluator, .. } = self.tools;
        let fits = evaluator.fits(&judged.titles(), encoder);
        let fits = fits.map_err(|error| ("evaluator", error.to_string()))?;
        self.story(draft, judged, &fits).map_err(|error| ("fusion", error.to_string()))
    }

    fn judge(&self, draft: &Draft<'a>) -> Result<JudgedPage, aiqa::AiqaError> {
        let night = self.night;
        let context = draft.context;
        let rules: Vec<&Rule> =
            night.inputs.merchandising.active(&context.segment_id, context.as_of).collect();
        let titles = draft.design.iter().flat_map(|design| &design.placements).map(|design| &design.title);
        let first: BTreeSet<&String> = titles.collect();
        let (placements, reserve) = draft
            .placements
            .iter()
            .cloned()
            .partition(|placement| first.contains(&placement.chosen.design.title));
        let persona = draft.design.as_ref().map(|design| design.persona.clone()).unwrap_or_default();
        let page = StockedPage { segment_id: context.segment_id.clone(), persona, placements, reserve };
        let shape = night.inputs.merchandising.page;
        let input = PageInput { page: &page, context, catalog: &night.inputs.catalog, rules: &rules, shape };
        aiqa::judge_page(night.policy, &input, &*self.tools.encoder)
    }

    fn story(&self, draft: &Draft<'a>, judged: JudgedPage, fits: &TitleFits) -> Result<PageStory, PageError> {
        let night = self.night;
        let context = draft.context;
        let accepts_title = |aisle: &str| accepts_phrase(night, context, aisle);
        let audience = Audience { context, accepts_title: &accepts_title };
        let ranker_page = self.fuser.ranker_page(&audience)?;
        let fused = if judged.placements.is_empty() {
            ranker_page.clone()
        } else {
            self.fuser.fuse(&judged, fits, &audience)?
        };
        let manifest = night.manifest_of_arms(&fused, &ranker_page)?;
        Ok(PageStory {
            context: context.clone(),
            design: draft.design.clone(),
            placements: draft.placements.clone(),
            verdicts: judged.verdicts,
            products: night.cards(&ranker_page, &manifest)?,
            fused,
            ranker_page,
            manifest,
            status: PageStatus::New,
        })
    }
}

fn cached(replies: &Replies) -> String {
    match replies.cached {
        0 => String::new(),
        cached => format!("{cached} from the cache"),
    }
}

/// What a model stage cost, on its span.
fn note(replies: &Replies) {
    let tokens = replies.usage.prompt_tokens + replies.usage.generated_tokens;
    let span = Span::current();
    span.record("asked", replies.answers.len()).record("cached", replies.cached).record("tokens", tokens);
}

/// Whether a written title may stand on this segment's page.
pub fn accepts_title(night: &Night, context: &SegmentContext, title: &str) -> bool {
    night.policy.judge_title(&TitleCase::of(context, title)).is_empty()
}

/// The same of an aisle or product type, which need not read like a title.
pub fn accepts_phrase(night: &Night, context: &SegmentContext, phrase: &str) -> bool {
    night.policy.admits(context, phrase)
}

/// What may be retrieved for this segment at all.
fn filter(night: &Night, context: &SegmentContext) -> ProductFilter {
    let mut filter = ProductFilter { in_stock_only: true, ..ProductFilter::default() };
    filter.forbidden_tags.extend(night.policy.settings().never_featured_tags.iter().cloned());
    for rule in night.inputs.merchandising.active(&context.segment_id, context.as_of) {
        match &rule.kind {
            RuleKind::ForbidTags { tags } => filter.forbidden_tags.extend(tags.iter().cloned()),
            RuleKind::Block { target } if target.is_indexed() => {
                filter.blocked.insert(target.clone());
            }
            RuleKind::Block { target } => {
                filter.blocked.extend(night.inputs.catalog.cover(|product| target.matches(product)));
            }
            RuleKind::Only { target } => {
                filter.blocked.extend(night.inputs.catalog.cover(|product| !target.matches(product)));
            }
            _ => {}
        }
    }
    filter
}
