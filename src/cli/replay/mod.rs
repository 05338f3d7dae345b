//! `endcap replay`: would shoppers have added more from these pages than from those?

mod cascade;
mod offer;
mod origin;
mod ranker;
mod tune;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{Days, NaiveDate};

use crate::distill::dataset::{THEMES_FILE, read_themes};
use crate::domain::manifest::to_bytes;
use crate::domain::ranker::Ranker;
use crate::domain::{Product, SegmentId};
use crate::night::{Inputs, Progress, write_whole};
use crate::replay::arms::{FusedPages, cascade, fused, plain};
use crate::replay::{
    Arm, Eligibility, FrontierPoint, Ground, History, OriginParts, OriginReport, Pages, Panel, ReplayPage,
    Report, Visits, frontier, html, terminal,
};

use super::exit::{Exit, UsageError};
use super::{Context, output, progress};
use offer::{Offer, within};
use origin::Origin;

pub use tune::{TuneArgs, tune};

#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  endcap replay\n  endcap replay --arms a,b,c --origins 2017-11-06 --json\n  endcap replay --inputs out/inputs --held-out later.parquet     # a shop's own data"
)]
pub struct Args {
    /// Dates whose pages are replayed; each one's come from before it [default: replay.origins]
    #[arg(long, value_name = "DATES", value_delimiter = ',', conflicts_with = "inputs")]
    origins: Vec<NaiveDate>,
    /// Pages compared, by letter or name: a popularity, b baseline, c ranker, d cascade, e fused; b always is [default: all]
    #[arg(long, value_name = "ARMS", value_delimiter = ',', value_parser = arm)]
    arms: Vec<Arm>,
    /// Only the first N segments by id
    #[arg(long, value_name = "N")]
    segments: Option<NonZeroUsize>,
    /// Folder of the Complete Journey's Parquet files [default: the registry's, with checked sums]
    #[arg(long, value_name = "DIR", conflicts_with = "inputs")]
    source: Option<PathBuf>,
    /// A shop's own input tables, of one date, instead of the Complete Journey
    #[arg(long, value_name = "LOCATION", requires = "held_out")]
    inputs: Option<String>,
    /// What was bought from that date on, in the contract of interactions.parquet
    #[arg(long, value_name = "FILE", requires = "inputs")]
    held_out: Option<String>,
    /// The students' training set: origins it reaches are not clean
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    training: PathBuf,
    /// Where the report and the pages go [default: paths.replay]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn arm(text: &str) -> Result<Arm, String> {
    let known = || Arm::ALL.map(|arm| format!("{} ({})", arm.letter(), arm.id())).join(", ");
    Arm::parse(text).ok_or_else(|| format!("expected some of {}", known()))
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let settings = &context.config.replay;
    let bootstrap = settings.bootstrap();
    let training_end = training_end(&args.training, settings.training_end)?;
    let arms = arms(&args.arms);
    let out = args.out.clone().unwrap_or_else(|| context.config.paths.replay.clone());
    let reporter = progress::reporter();
    let mut origins: Vec<(OriginReport, Panel)> = Vec::new();
    for origin in origin::origins(&args, context, &*reporter).await? {
        let replay = Replay { args: &args, context, origin: &origin, reporter: &reporter };
        let shop = replay.shop().await?;
        let made = replay.pages(&shop, &arms).await?;
        write_pages(&out, &origin, &made.pages)?;
        let parts = OriginParts {
            clean: origin.as_of > training_end,
            ground: &shop.ground(&replay.eligibility())?,
            visits: &shop.visits,
            pages: &made.pages,
            fused: made.fused.as_ref(),
            frontier: &made.frontier,
        };
        origins.push(OriginReport::new(&parts, &bootstrap));
    }
    let report = Report::new(origins, training_end, bootstrap);
    write_whole(&out.join("report.json"), &to_bytes(&report).context("the report is no JSON")?)?;
    write_whole(&out.join("report.html"), html(&report)?.as_bytes())?;
    if args.json {
        output::json(&report)?;
    } else {
        print!("{}", terminal(&report));
        println!("\nThe report is in {}.", out.join("report.html").display());
    }
    Ok(Exit::Success)
}

/// The arms asked for and the strong baseline, in order.
fn arms(asked: &[Arm]) -> Vec<Arm> {
    let wanted = |arm: &Arm| asked.is_empty() || *arm == Arm::Baseline || asked.contains(arm);
    Arm::ALL.into_iter().filter(wanted).collect()
}

/// The day before the training set's last `as_of`, or the configured one where that is later or there is no set.
fn training_end(folder: &Path, configured: NaiveDate) -> anyhow::Result<NaiveDate> {
    let file = folder.join(THEMES_FILE);
    if !file.exists() {
        return Ok(configured);
    }
    let last = read_themes(&file)?.iter().map(|example| example.as_of).max();
    let reach = last.and_then(|last| last.checked_sub_days(Days::new(1)));
    Ok(reach.map_or(configured, |reach| reach.max(configured)))
}

fn write_pages(out: &Path, origin: &Origin, pages: &BTreeMap<Arm, Pages>) -> anyhow::Result<()> {
    let lists: BTreeMap<Arm, Vec<&ReplayPage>> =
        pages.iter().map(|(arm, pages)| (*arm, pages.values().collect())).collect();
    let bytes = to_bytes(&lists).context("the pages are no JSON")?;
    Ok(write_whole(&out.join(origin.as_of.to_string()).join("pages.json"), &bytes)?)
}

/// One origin at work.
struct Replay<'a> {
    args: &'a Args,
    context: &'a Context,
    origin: &'a Origin,
    reporter: &'a std::sync::Arc<dyn Progress>,
}

/// What was read of one origin.
struct Shop {
    inputs: Inputs,
    history: History,
    visits: Visits,
}

impl Shop {
    fn ground(&self, eligibility: &Eligibility) -> anyhow::Result<Ground<'_>> {
        let shelves = (&self.inputs.catalog, &self.history);
        Ok(Ground::new(shelves, self.inputs.merchandising.page, eligibility.clone(), self.inputs.as_of)?)
    }

    fn segments(&self) -> Vec<SegmentId> {
        self.inputs.segments.iter().map(|segment| segment.segment_id.clone()).collect()
    }
}

/// Every arm's pages.
struct Made {
    pages: BTreeMap<Arm, Pages>,
    fused: Option<FusedPages>,
    frontier: Vec<FrontierPoint>,
}

impl Replay<'_> {
    async fn shop(&self) -> anyhow::Result<Shop> {
        let Origin { as_of, inputs: from, .. } = self.origin;
        let mut inputs =
            Inputs::load(from, &self.context.config.rank, self.context.clock.now().date_naive()).await?;
        if inputs.as_of != *as_of {
            return Err(
                UsageError(format!("the inputs in {from} are as of {}, not {as_of}", inputs.as_of)).into()
            );
        }
        inputs.drop_rules();
        self.reporter.begin(&format!("ranker {as_of}"), "rankers", 1);
        ranker::learn(self.context, self.origin, &mut inputs)?;
        self.reporter.end("");
        inputs.keep_first(self.args.segments.map_or(usize::MAX, NonZeroUsize::get));
        let history = History::read(&inputs.catalog, *as_of, &self.origin.interactions().await?)?;
        let segments: Vec<SegmentId> =
            inputs.segments.iter().map(|segment| segment.segment_id.clone()).collect();
        let window = self.origin.window;
        let visits = Visits::read(&self.origin.held_out().await?, window, &history, &segments)?;
        Ok(Shop { inputs, history, visits })
    }

    /// What no page shows: the tags and aisles that fusion or AIQA never feature.
    fn eligibility(&self) -> Eligibility {
        let config = &self.context.config;
        let (fuse, aiqa) = (&config.fuse, &config.aiqa);
        Eligibility {
            never_tags: fuse.never_featured_tags.union(&aiqa.never_featured_tags).cloned().collect(),
            never_aisles: fuse.never_featured_aisles.clone(),
        }
    }

    async fn pages(&self, shop: &Shop, arms: &[Arm]) -> anyhow::Result<Made> {
        let eligibility = self.eligibility();
        let ground = shop.ground(&eligibility)?;
        let segments = shop.segments();
        let expected =
            |segment: &SegmentId, product: &Product| shop.inputs.forecast.purchases(segment, product).into();
        self.reporter.begin(&format!("pages {}", self.origin.as_of), "arms", arms.len() as u64);
        let mut pages = BTreeMap::new();
        for arm in arms {
            if let Some(made) = plain(*arm, &ground, &segments, &expected) {
                pages.insert(*arm, made);
                self.reporter.advance(1);
            }
        }
        self.reporter.end("");
        let mut made = Made { pages, fused: None, frontier: Vec::new() };
        if arms.iter().any(|arm| arm.generated()) {
            self.generated(shop, (&ground, &eligibility), arms, &mut made).await?;
        }
        Ok(made)
    }

    async fn generated(
        &self,
        shop: &Shop,
        (ground, eligibility): (&Ground<'_>, &Eligibility),
        arms: &[Arm],
        made: &mut Made,
    ) -> anyhow::Result<()> {
        let offer = Offer::read(self, shop).await?;
        if arms.contains(&Arm::Cascade) {
            let page = |segment: SegmentId| {
                let page = offer.judged.get(&segment).map(|page| cascade(ground, page));
                (segment.clone(), page.unwrap_or_else(|| ReplayPage::empty(&segment)))
            };
            made.pages.insert(Arm::Cascade, shop.segments().into_iter().map(page).collect());
        }
        if arms.contains(&Arm::Fused) {
            let settings = within(eligibility, &self.context.config.fuse);
            let weights = &self.context.config.replay.frontier;
            let (all, line) = offer.fuse(shop, ground, |fusion, pages| {
                let line = match arms.contains(&Arm::Ranker) {
                    true => frontier(fusion, &settings, pages, (weights, &shop.visits)),
                    false => Vec::new(),
                };
                (fused(fusion, &settings, pages), line)
            });
            made.pages.insert(Arm::Fused, all.pages.clone());
            (made.fused, made.frontier) = (Some(all), line);
        }
        Ok(())
    }
}
