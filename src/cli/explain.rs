//! `endcap explain`: one page's whole story, from signals to scores.

use anyhow::Context as _;

use crate::domain::explain::PageStory;
use crate::domain::manifest::PageStatus;
use crate::domain::stage::{FusedPage, FusedPlacement, ScoreParts, ScoredProduct, StockedPlacement, Via};
use crate::domain::{ProductId, RunId, SegmentId};
use crate::night::Workspace;
use crate::publish::{self, Store};

use super::exit::{Exit, UsageError};
use super::{Context, output, tools};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  endcap explain --segment seg-001\n  endcap explain --segment seg-001 --product 1082185"
)]
pub struct Args {
    /// Whose page
    #[arg(long, value_name = "ID")]
    segment: SegmentId,
    /// Only what led to this product's place, or kept it off the page
    #[arg(long, value_name = "ID")]
    product: Option<ProductId>,
    /// Of which run [default: the current one]
    #[arg(long, value_name = "RUN_ID")]
    run: Option<RunId>,
    /// Print the story as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let store = publish::open(&config.paths.publish, &config.publish).await?;
    let run = match args.run {
        Some(run) => run,
        None => {
            publish::read_pointer(&*store)
                .await?
                .context("nothing is published yet; run `endcap run`")?
                .pointer
                .run_id
        }
    };
    let story = story(&tools::workspace(context).await?, &*store, &run, &args.segment).await?;
    let Some(story) = story else {
        let known = publish::read_page(&*store, &run, &args.segment).await?.is_some();
        let problem = match known {
            true => "the page was carried over or is the ranker's, or another work root holds its story",
            false => "the run has no such segment; `endcap status` shows the current run",
        };
        return Err(UsageError(format!("no story of {} in {run}: {problem}", args.segment)).into());
    };
    match (&args.product, args.json) {
        (None, true) => output::json(&story)?,
        (None, false) => print!("{}", tell(&story)),
        (Some(product), true) => output::json(&Traces::of(product, &story))?,
        (Some(product), false) => print!("{}", trace(&Traces::of(product, &story), &story)),
    }
    Ok(Exit::Success)
}

/// The story of a page as `run` shows it: the run's own or, for a page taken over from an earlier night, that night's.
async fn story(
    workspace: &Workspace,
    store: &dyn Store,
    run: &RunId,
    segment: &SegmentId,
) -> anyhow::Result<Option<PageStory>> {
    if let Some(story) = workspace.read(&workspace.story(run, segment)).await? {
        return Ok(Some(story));
    }
    let page = publish::read_manifest(store, run, segment).await?;
    let Some(maker) = page.map(|page| page.run_id).filter(|maker| maker != run) else { return Ok(None) };
    let story: Option<PageStory> = workspace.read(&workspace.story(&maker, segment)).await?;
    Ok(story.map(|story| PageStory { status: PageStatus::Reused, ..story }))
}

fn tell(story: &PageStory) -> String {
    let context = &story.context;
    let mut lines = vec![
        format!("{} as of {} ({} households)", context.segment_id, context.as_of, context.households),
        format!("  signals   {}", context.signals().join("; ")),
        format!("  goal      {}", context.merchandising.objective),
    ];
    if let Some(campaign) = &context.merchandising.campaign {
        lines.push(format!("  campaign  {} ({})", campaign.name, campaign.feature.join(", ")));
    }
    for rule in &context.merchandising.rules {
        lines.push(format!("  rule      {rule}"));
    }
    if let Some(design) = &story.design {
        lines.push(format!("  persona   {} (private)", design.persona));
    }
    lines.push("\nWhat the cascade wrote".into());
    lines.extend(story.placements.iter().map(written));
    lines.push("\nWhat AIQA found".into());
    if story.verdicts.is_empty() {
        lines.push("  nothing".into());
    }
    for verdict in &story.verdicts {
        lines.push(format!(
            "  {:<24} {:?} in {:?}: {}",
            verdict.rule, verdict.text, verdict.placement, verdict.reason
        ));
    }
    lines.push(format!("\nThe published page ({:?}, {:?})", story.fused.source, story.status));
    lines
        .extend(story.fused.placements.iter().enumerate().map(|(at, placement)| shown(at, placement, story)));
    lines.push("\nWhat the ranker alone would show".into());
    lines.extend(story.ranker_page.placements.iter().map(|placement| format!("  {}", placement.title)));
    lines.join("\n") + "\n"
}

fn written(placement: &StockedPlacement) -> String {
    let design = &placement.chosen.design;
    let keywords: Vec<&str> = placement.chosen.keywords.iter().map(|keyword| keyword.text.as_str()).collect();
    format!(
        "  {}\n    intent    {}\n    concepts  {}\n    keywords  {} (of {} candidates)\n    products  {} retrieved",
        design.title,
        design.intent,
        design.concepts.join(", "),
        keywords.join(", "),
        placement.chosen.candidates.len(),
        placement.products.len()
    )
}

fn shown(at: usize, placement: &FusedPlacement, story: &PageStory) -> String {
    let campaign = placement.campaign.as_ref().map(|name| format!(", campaign {name}")).unwrap_or_default();
    let mut text = format!("  {}. {} ({:?}{campaign})", at + 1, placement.title, placement.source);
    let titles = story.manifest.placements.iter().flat_map(|placement| &placement.products);
    let titles: std::collections::BTreeMap<_, _> =
        titles.map(|card| (&card.product_id, card.title.as_str())).collect();
    for product in &placement.products {
        let parts = &product.parts;
        let pinned = if parts.pinned { ", pinned" } else { "" };
        let by =
            if product.rules.is_empty() { String::new() } else { format!(" ({})", product.rules.join(", ")) };
        text.push_str(&format!(
            "\n     {:.3}  {:<44} {}{pinned}{by}",
            product.score,
            titles.get(&product.product_id).copied().unwrap_or("?"),
            told(parts)
        ));
    }
    text
}

/// The parts of a score, for a merchandiser.
fn told(parts: &ScoreParts) -> String {
    let judged = || format!("(relevance {:.2}, title fit {:.2})", parts.relevance, parts.fit);
    let via = match parts.via {
        Via::Retrieved => format!("found {}", judged()),
        Via::Alternative => format!("alternative {}", judged()),
        Via::Neighbor => format!("same aisle {}", judged()),
        Via::Companion => format!("companion {}", judged()),
        Via::Ranker => "ranker".into(),
        Via::Rule => "rule".into(),
    };
    format!(
        "{via}, {:.4} purchases a visit, {:.4} lately, {:.4} first ones, business x{:.2}, rules x{:.2}",
        parts.purchases, parts.recent_purchases, parts.first_purchases, parts.business, parts.rule_factor
    )
}

/// Everything a page's story holds of one product.
#[derive(serde::Serialize)]
struct Traces<'a> {
    product_id: &'a ProductId,
    /// Generated placements whose keywords found it.
    found: Vec<Found<'a>>,
    /// Where the published page shows it.
    shown: Option<Place<'a>>,
    /// Where the ranker alone would show it.
    ranker_page: Option<Place<'a>>,
}

#[derive(serde::Serialize)]
struct Found<'a> {
    title: &'a str,
    relevance: f32,
    /// Products found for this placement, and how many of them are more relevant.
    products: usize,
    more_relevant: usize,
}

#[derive(serde::Serialize)]
struct Place<'a> {
    title: &'a str,
    /// From 1.
    placement: usize,
    position: usize,
    #[serde(flatten)]
    scored: &'a ScoredProduct,
}

impl<'a> Traces<'a> {
    fn of(product: &'a ProductId, story: &'a PageStory) -> Self {
        let found = |placement: &'a StockedPlacement| {
            let hit = placement.products.iter().find(|hit| hit.product_id == *product)?;
            let better = placement.products.iter().filter(|other| other.relevance > hit.relevance);
            Some(Found {
                title: &placement.chosen.design.title,
                relevance: hit.relevance,
                products: placement.products.len(),
                more_relevant: better.count(),
            })
        };
        Self {
            product_id: product,
            found: story.placements.iter().filter_map(found).collect(),
            shown: place(product, &story.fused),
            ranker_page: place(product, &story.ranker_page),
        }
    }
}

fn place<'a>(product: &ProductId, page: &'a FusedPage) -> Option<Place<'a>> {
    page.placements.iter().enumerate().find_map(|(row, placement)| {
        let column = placement.products.iter().position(|scored| scored.product_id == *product)?;
        let scored = &placement.products[column];
        Some(Place { title: &placement.title, placement: row + 1, position: column + 1, scored })
    })
}

fn trace(traces: &Traces<'_>, story: &PageStory) -> String {
    let mut lines = vec![format!("{} for {}", traces.product_id, story.context.segment_id)];
    for found in &traces.found {
        lines.push(format!(
            "  found for {:?} with relevance {:.2}; {} of its {} products are more relevant",
            found.title, found.relevance, found.more_relevant, found.products
        ));
    }
    if traces.found.is_empty() {
        lines.push("  found for no generated placement".into());
    }
    let mut tell = |page: &str, place: &Option<Place<'_>>| match place {
        None => lines.push(format!("  not on {page}")),
        Some(Place { title, placement, position, scored }) => {
            lines.push(format!("  on {page}: placement {placement} {title:?}, position {position}"));
            let pinned = if scored.parts.pinned { ", pinned" } else { "" };
            lines.push(format!("    score {:.3}: {}{pinned}", scored.score, told(&scored.parts)));
            if !scored.rules.is_empty() {
                lines.push(format!("    rules: {}", scored.rules.join(", ")));
            }
        }
    };
    tell("the published page", &traces.shown);
    tell("the ranker's page", &traces.ranker_page);
    lines.join("\n") + "\n"
}
