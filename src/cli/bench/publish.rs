//! `endcap bench publish`: a run of made-up pages through the door that a night publishes by.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::exit::{Exit, UsageError};
use crate::cli::{Context, output, progress};
use crate::config::clock::Stopwatch;
use crate::config::process::Usage;
use crate::domain::SegmentId;
use crate::domain::manifest::{PageStatus, to_bytes};
use crate::domain::stage::Source;
use crate::publish::{self, PagePlan, PublishPlan, Settings, Spool, Store};

use super::pages::Shop;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  endcap bench publish --to s3://bucket/bench-1 --segments 10000 --concurrency 32 --json"
)]
pub struct Args {
    /// Where to: a folder or s3://bucket/prefix under which nothing is published yet
    #[arg(long, value_name = "ROOT")]
    to: String,
    /// How many pages
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..10_000_000))]
    segments: u64,
    /// Requests in flight at once, in place of publish.concurrency
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Figures {
    segments: u64,
    /// Of a page, on average.
    page_bytes: u64,
    concurrency: usize,
    /// Before publishing: what it took to make the pages and write them to a file.
    making_seconds: f64,
    making_cpu_seconds: f64,
    wall_seconds: f64,
    manifests_per_second: f64,
    /// Of this process, program and kernel, while it published.
    cpu_seconds: f64,
    cpu_seconds_per_1000: f64,
    /// Bytes resident at most, before the first page was made and at the end.
    memory_before: u64,
    peak_memory: u64,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mut settings = context.config.publish.clone();
    settings.concurrency = args.concurrency.unwrap_or(settings.concurrency);
    settings.validate().map_err(UsageError)?;
    let store = publish::open(&args.to, &settings).await?;
    if publish::read_pointer(&*store).await?.is_some() {
        let problem = format!("something is published under {}; made-up pages go to an empty root", args.to);
        return Err(UsageError(problem).into());
    }
    let figures = measure(&*store, &args, &settings, context).await?;
    if args.json {
        output::json(&figures)?;
    } else {
        print(&figures);
    }
    Ok(Exit::Success)
}

async fn measure(
    store: &dyn Store,
    args: &Args,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<Figures> {
    let shop = Shop::new(args.segments)?;
    let (start, watch) = (Usage::now()?, Stopwatch::start());
    let (pages, bytes) = made(&shop, args.segments)?;
    let (made, making_seconds) = (Usage::now()?, watch.seconds());

    let plan = PublishPlan {
        run_id: shop.run_id.clone(),
        as_of: shop.run_id.as_of(),
        generated_at: shop.started_at,
        published_at: context.clock.now(),
        pages,
        passing: None,
        lookups: BTreeMap::new(),
    };
    let bar = progress::reporter();
    bar.begin("publish", "pages", args.segments);
    let inspect =
        |segment: &SegmentId, status: PageStatus, bytes: &[u8]| shop.inspect(segment, status, bytes);
    let watch = Stopwatch::start();
    publish::publish_inspected(store, &plan, settings, &|done| bar.advance(done), &inspect).await?;
    let (wall_seconds, end) = (watch.seconds(), Usage::now()?);
    bar.end("");

    let cpu_seconds = end.cpu_seconds - made.cpu_seconds;
    Ok(Figures {
        segments: args.segments,
        page_bytes: bytes / args.segments,
        concurrency: settings.concurrency,
        making_seconds,
        making_cpu_seconds: made.cpu_seconds - start.cpu_seconds,
        wall_seconds,
        manifests_per_second: args.segments as f64 / wall_seconds,
        cpu_seconds,
        cpu_seconds_per_1000: cpu_seconds / args.segments as f64 * 1000.0,
        memory_before: start.peak_memory,
        peak_memory: end.peak_memory,
    })
}

/// The pages, in a file as the night keeps them, and how many bytes they are.
fn made(shop: &Shop, segments: u64) -> anyhow::Result<(BTreeMap<SegmentId, PagePlan>, u64)> {
    let mut spool = Spool::new(tempfile::tempfile()?);
    let (mut pages, mut total) = (BTreeMap::new(), 0);
    for number in 0..segments {
        let page = shop.page(number)?;
        let bytes = to_bytes(&page)?;
        total += bytes.len() as u64;
        pages.insert(page.segment_id, PagePlan::New { page: spool.add(&bytes)?, source: Source::Cascade });
    }
    Ok((pages, total))
}

fn print(figures: &Figures) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "published {} pages of {} bytes in {:.2} s: {:.0} a second, {:.3} CPU-seconds a 1,000, {} in flight",
        figures.segments,
        figures.page_bytes,
        figures.wall_seconds,
        figures.manifests_per_second,
        figures.cpu_seconds_per_1000,
        figures.concurrency
    );
    println!(
        "peak memory {:.0} MiB, {:.0} MiB before the first page; the pages were made in {:.2} s",
        mib(figures.peak_memory),
        mib(figures.memory_before),
        figures.making_seconds
    );
}
