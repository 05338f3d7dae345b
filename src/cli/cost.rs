//! `endcap cost`: what a night takes and costs for a number of segments, and which step is its bottleneck. Plain arithmetic over
//! a dated file of prices; nothing is asked of anybody.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::exit::{Exit, UsageError};
use super::{Context, output};

const PRICES: &str = include_str!("../../infra/prices.toml");

const KIB_A_GIB: f64 = 1024.0 * 1024.0;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap cost --segments 50000 --changed 0.02 --views 1000000")]
pub struct Args {
    /// Segments of the shop; may be given several times [default: 1000, 50000, 5000000]
    #[arg(long, value_name = "N")]
    segments: Vec<u64>,
    /// Share of the segments that changed since the night before
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    changed: f64,
    /// Page views a day that the CDN serves
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    views: u64,
    /// Only this instance type
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Another file of prices [default: infra/prices.toml, built in]
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    dated: chrono::NaiveDate,
    region: String,
    caveat: String,
    segment: Segment,
    night: Night,
    instances: BTreeMap<String, Instance>,
    s3: S3,
    lambda: Lambda,
    cdn: Cdn,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Segment {
    read_tokens: f64,
    written_tokens: f64,
    answers: f64,
    core_seconds: f64,
    page_kib: f64,
    page_gzip_kib: f64,
    private_kib: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Night {
    private_days: f64,
    keep_runs: f64,
    shard_segments: f64,
    request_ms: f64,
    concurrency: f64,
    publish_gets: f64,
    publish_puts: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Instance {
    about: String,
    usd_per_hour: f64,
    vcpus: f64,
    read_tokens_per_second: f64,
    written_tokens_per_second: f64,
    start_seconds: f64,
    measured: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3 {
    usd_per_million_puts: f64,
    usd_per_million_gets: f64,
    usd_per_gib_month: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lambda {
    usd_per_gib_second: f64,
    memory_gib: f64,
    max_seconds: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cdn {
    usd_per_million_requests: f64,
    usd_per_gib: f64,
}

/// One night of one shop on one instance type.
#[derive(Debug, Serialize)]
struct Estimate {
    instance: String,
    /// Whether the machine's rates were measured, or are assumed.
    measured: bool,
    segments: u64,
    computed: u64,
    workers: u64,
    /// Of all workers together.
    machine_seconds: f64,
    /// From the first to the last, with all workers at once.
    seconds: Seconds,
    bottleneck: &'static str,
    publish_fits_lambda: bool,
    usd: Usd,
}

#[derive(Debug, Serialize)]
struct Seconds {
    start: f64,
    model: f64,
    search_and_fusion: f64,
    publish: f64,
}

/// US dollars a night; storage and CDN by the day.
#[derive(Debug, Serialize)]
struct Usd {
    machines: f64,
    requests: f64,
    lambda: f64,
    storage: f64,
    cdn: f64,
    total: f64,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    prices_of: chrono::NaiveDate,
    region: &'a str,
    caveat: &'a str,
    estimates: Vec<Estimate>,
}

pub fn run(args: Args, _: &Context) -> anyhow::Result<Exit> {
    if !(0.0..=1.0).contains(&args.changed) {
        return Err(UsageError(format!("--changed {} is not within 0..1", args.changed)).into());
    }
    let prices = prices(&args)?;
    let sizes = match args.segments.as_slice() {
        [] => &[1_000, 50_000, 5_000_000],
        given => given,
    };
    let wanted = |name: &str| args.instance.as_deref().is_none_or(|only| only == name);
    let instances: Vec<_> = prices.instances.iter().filter(|(name, _)| wanted(name)).collect();
    if instances.is_empty() {
        let known: Vec<&str> = prices.instances.keys().map(String::as_str).collect();
        return Err(UsageError(format!("no such instance; the prices have {}", known.join(", "))).into());
    }
    let mut estimates = Vec::new();
    for segments in sizes {
        for (name, instance) in &instances {
            estimates.push(estimate(&prices, (name, instance), *segments, &args));
        }
    }
    let Prices { dated, region, caveat, .. } = &prices;
    if args.json {
        output::json(&Answer { prices_of: *dated, region, caveat, estimates })?;
    } else {
        println!("{region}, prices of {dated}: {caveat}\n");
        print!("{}", estimates.iter().map(|one| tell(one, &prices)).collect::<String>());
    }
    Ok(Exit::Success)
}

fn prices(args: &Args) -> anyhow::Result<Prices> {
    let Some(path) = &args.prices else { return Ok(toml::from_str(PRICES)?) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wrong = |error| UsageError(format!("{} is not a file of prices: {error}", path.display()));
    Ok(toml::from_str(&text).map_err(wrong)?)
}

fn estimate(prices: &Prices, (name, instance): (&str, &Instance), segments: u64, args: &Args) -> Estimate {
    let Prices { segment, night, lambda, .. } = prices;
    let all = segments as f64;
    let computed = (all * args.changed).ceil();
    let workers = (computed / night.shard_segments).ceil().min(10_000.0);
    let model = segment.read_tokens / instance.read_tokens_per_second
        + segment.written_tokens / instance.written_tokens_per_second;
    let cpu = segment.core_seconds / instance.vcpus;
    let each = if workers == 0.0 { 0.0 } else { (computed / workers).ceil() };
    let requests = night.publish_gets + night.publish_puts;
    let publish = all * requests * night.request_ms / 1_000.0 / night.concurrency;
    let start = if workers == 0.0 { 0.0 } else { instance.start_seconds };
    let seconds = Seconds { start, model: each * model, search_and_fusion: each * cpu, publish };
    let machine_seconds = computed * (model + cpu) + workers * start;
    Estimate {
        instance: name.into(),
        measured: instance.measured,
        segments,
        computed: computed as u64,
        workers: workers as u64,
        machine_seconds,
        bottleneck: bottleneck(&seconds),
        publish_fits_lambda: publish <= lambda.max_seconds,
        usd: usd(prices, (all, computed), (machine_seconds * instance.usd_per_hour / 3_600.0, publish), args),
        seconds,
    }
}

/// The step that the night waits for longest.
fn bottleneck(seconds: &Seconds) -> &'static str {
    let steps = [
        ("starting machines", seconds.start),
        ("the model", seconds.model),
        ("search and fusion", seconds.search_and_fusion),
        ("publishing", seconds.publish),
    ];
    steps.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |(step, _)| step)
}

fn usd(prices: &Prices, (all, computed): (f64, f64), (machines, publish): (f64, f64), args: &Args) -> Usd {
    let Prices { segment, night, s3, lambda, cdn, .. } = prices;
    // A worker looks for each answer before it asks, and writes it, the story and a share of a checkpoint.
    let puts = computed * (segment.answers + 1.05) + all * night.publish_puts;
    let gets = computed * (segment.answers + 0.05) + all * night.publish_gets;
    let requests = puts / 1e6 * s3.usd_per_million_puts + gets / 1e6 * s3.usd_per_million_gets;
    let kept = all * segment.page_kib * night.keep_runs + computed * segment.private_kib * night.private_days;
    let storage = kept / KIB_A_GIB * s3.usd_per_gib_month * 12.0 / 365.0;
    let views = args.views as f64;
    // A view is a pointer or a lookup, and a page.
    let cdn = views * 2.0 / 1e6 * cdn.usd_per_million_requests
        + views * segment.page_gzip_kib / KIB_A_GIB * cdn.usd_per_gib;
    let lambda = publish * lambda.memory_gib * lambda.usd_per_gib_second;
    Usd { machines, requests, lambda, storage, cdn, total: machines + requests + lambda + storage + cdn }
}

fn tell(one: &Estimate, prices: &Prices) -> String {
    let Estimate { instance, segments, computed, workers, seconds, usd, .. } = one;
    let about = prices.instances.get(instance).map_or("", |instance| instance.about.as_str());
    let rates = if one.measured { "measured" } else { "assumed" };
    let slow = if one.publish_fits_lambda {
        ""
    } else {
        "; longer than a Lambda may take: publish by `endcap publish`"
    };
    let rows = [
        (
            "workers",
            format!(
                "{workers} of {instance} ({about}; rates {rates}), {:.0} machine-seconds",
                one.machine_seconds
            ),
        ),
        (
            "seconds",
            format!(
                "start {:.0}, model {:.0}, search and fusion {:.0}, publish {:.0}{slow}",
                seconds.start, seconds.model, seconds.search_and_fusion, seconds.publish
            ),
        ),
        ("waits for", one.bottleneck.to_owned()),
        (
            "US dollars",
            format!(
                "machines {:.2}, requests {:.2}, Lambda {:.2}, storage {:.2}, CDN {:.2}: {:.2} a night",
                usd.machines, usd.requests, usd.lambda, usd.storage, usd.cdn, usd.total
            ),
        ),
    ];
    format!("{segments} segments, {computed} computed\n{}\n", output::rows(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(changed: f64) -> Args {
        Args { segments: vec![], changed, views: 0, instance: None, prices: None, json: false }
    }

    fn of(segments: u64, changed: f64) -> Estimate {
        let prices = prices(&args(changed)).expect("the committed prices are read");
        let (name, instance) = prices.instances.get_key_value("g6.xlarge").expect("an instance");
        estimate(&prices, (name, instance), segments, &args(changed))
    }

    /// With one number in each place the sums can be done by hand: 1,000 segments of 2 + 4 + 3 s on 10 workers that start in 50 s.
    #[test]
    fn a_night_by_hand() {
        let mut prices = prices(&args(1.0)).expect("prices");
        prices.segment = Segment {
            read_tokens: 20.0,
            written_tokens: 40.0,
            answers: 1.0,
            core_seconds: 6.0,
            page_kib: 0.0,
            page_gzip_kib: 0.0,
            private_kib: 0.0,
        };
        prices.night.shard_segments = 100.0;
        (prices.night.request_ms, prices.night.concurrency) = (10.0, 4.0);
        (prices.night.publish_gets, prices.night.publish_puts) = (3.0, 1.0);
        let instance = Instance {
            about: String::new(),
            usd_per_hour: 3.6,
            vcpus: 2.0,
            read_tokens_per_second: 10.0,
            written_tokens_per_second: 10.0,
            start_seconds: 50.0,
            measured: true,
        };
        let night = estimate(&prices, ("x", &instance), 1_000, &args(1.0));
        assert_eq!((night.workers, night.machine_seconds), (10, 9_500.0));
        let Seconds { start, model, search_and_fusion, publish } = night.seconds;
        assert_eq!((start, model, search_and_fusion, publish), (50.0, 600.0, 300.0, 10.0));
        assert_eq!(night.bottleneck, "the model");
        assert!((night.usd.machines - 9.5).abs() < 1e-9);
    }

    #[test]
    fn what_did_not_change_costs_no_machine() {
        let (whole, part, none) = (of(50_000, 1.0), of(50_000, 0.02), of(50_000, 0.0));
        assert_eq!((part.computed, none.computed, none.workers), (1_000, 0, 0));
        let ratio = part.usd.machines / whole.usd.machines;
        assert!((0.018..0.03).contains(&ratio), "{ratio}");
        assert_eq!(none.usd.machines, 0.0);
    }

    #[test]
    fn the_bottleneck_moves_from_starting_to_publishing() {
        assert_eq!(of(1_000, 1.0).bottleneck, "starting machines");
        let large = of(5_000_000, 1.0);
        assert_eq!(large.bottleneck, "publishing");
        assert!(!large.publish_fits_lambda && of(1_000, 1.0).publish_fits_lambda);
    }
}
