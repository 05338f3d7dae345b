//! `endcap rules`: what `merchandising.toml` says, before a night depends on it.

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::SegmentId;
use crate::fuse::{self, Finding, Firing, Ground, Rehearsal, Share};
use crate::ingest::{IngestError, Mistake};
use crate::night::{RuleBook, load_rules};

use super::exit::{Exit, UsageError};
use super::{Context, output};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List every mistake, conflict and warning of the file, over its whole calendar; 64 if a night could not use it
    #[command(
        after_help = "Examples:\n  endcap rules check\n  endcap rules check --inputs s3://shop/tonight --json"
    )]
    Check(CheckArgs),
    /// Say which rules fire on a day, for how many segments and products, and why the others do not
    #[command(
        after_help = "Examples:\n  endcap rules test --date 2017-11-20\n  endcap rules test --date 2017-11-20 --segment seg-001 --json"
    )]
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Input tables: a folder or s3://bucket/prefix [default: paths.inputs]
    #[arg(long, value_name = "LOCATION")]
    inputs: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// The day
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: NaiveDate,
    /// Of this segment alone
    #[arg(long, value_name = "ID")]
    segment: Option<SegmentId>,
    /// Input tables: a folder or s3://bucket/prefix [default: paths.inputs]
    #[arg(long, value_name = "LOCATION")]
    inputs: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What `rules check` found.
#[derive(Serialize)]
struct Answer {
    file: String,
    /// Whose stock and segments the rules were held against; `None` where the file could not be read.
    as_of: Option<NaiveDate>,
    segments: Option<usize>,
    rules: Option<usize>,
    mistakes: Vec<Mistake>,
    conflicts: Vec<Finding>,
    warnings: Vec<Finding>,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.what {
        What::Check(args) => check(args, context).await,
        What::Test(args) => test(args, context).await,
    }
}

async fn load(inputs: Option<&str>, context: &Context) -> Result<RuleBook, IngestError> {
    let from = inputs.unwrap_or(&context.config.paths.inputs);
    load_rules(from, context.clock.now().date_naive()).await
}

/// A night's rules and the ids of its segments, as a survey reads them.
fn ids(book: &RuleBook) -> Vec<SegmentId> {
    book.segments.iter().map(|context| context.segment_id.clone()).collect()
}

fn ground<'a>(book: &'a RuleBook, segments: &'a [SegmentId]) -> Ground<'a> {
    let RuleBook { catalog, merchandising, as_of, .. } = book;
    Ground { catalog, merchandising, segments, as_of: *as_of }
}

async fn check(args: CheckArgs, context: &Context) -> anyhow::Result<Exit> {
    let answer = match load(args.inputs.as_deref(), context).await {
        Ok(book) => surveyed(&book),
        Err(IngestError::Merchandising { file, mistakes }) => Answer {
            file,
            as_of: None,
            segments: None,
            rules: None,
            mistakes,
            conflicts: Vec::new(),
            warnings: Vec::new(),
        },
        Err(other) => return Err(other.into()),
    };
    if args.json {
        output::json(&answer)?;
    } else {
        print!("{}", told(&answer));
    }
    let usable = answer.mistakes.is_empty() && answer.conflicts.is_empty();
    Ok(if usable { Exit::Success } else { Exit::Usage })
}

fn surveyed(book: &RuleBook) -> Answer {
    let segments = ids(book);
    let found = fuse::survey(&ground(book, &segments));
    Answer {
        file: book.file.clone(),
        as_of: Some(book.as_of),
        segments: Some(segments.len()),
        rules: Some(book.merchandising.rules.len()),
        mistakes: Vec::new(),
        conflicts: found.conflicts,
        warnings: found.warnings,
    }
}

fn told(answer: &Answer) -> String {
    let Answer { file, mistakes, conflicts, warnings, .. } = answer;
    let mut text = String::new();
    let mut list = |heading: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("{heading}\n"));
            lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    };
    let lines = |findings: &[Finding]| findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let named = |count: usize, unit: &str| format!("{file}: {}", output::count(count, unit));
    list(&named(mistakes.len(), "mistake"), mistakes.iter().map(ToString::to_string).collect());
    list(&named(conflicts.len(), "conflict"), lines(conflicts));
    list(&named(warnings.len(), "warning"), lines(warnings));
    if let (Some(as_of), Some(segments), Some(rules)) = (answer.as_of, answer.segments, answer.rules)
        && conflicts.is_empty()
    {
        let (rules, segments) = (output::count(rules, "rule"), output::count(segments, "segment"));
        text.push_str(&format!("{file}: {rules} can hold together for {segments}, stock as of {as_of}\n"));
    }
    text
}

async fn test(args: TestArgs, context: &Context) -> anyhow::Result<Exit> {
    let book = match load(args.inputs.as_deref(), context).await {
        Err(mistakes @ IngestError::Merchandising { .. }) => {
            return Err(UsageError(mistakes.to_string()).into());
        }
        book => book?,
    };
    let segments = ids(&book);
    if let Some(segment) = args.segment.as_ref().filter(|segment| !segments.contains(segment)) {
        let count = output::count(segments.len(), "segment");
        return Err(UsageError(format!("there is no segment {segment} among the night's {count}")).into());
    }
    let rehearsal = fuse::rehearse(&ground(&book, &segments), args.date, args.segment.as_ref());
    if args.json {
        output::json(&rehearsal)?;
    } else {
        print!("{}", played(&rehearsal));
    }
    Ok(Exit::Success)
}

fn played(rehearsal: &Rehearsal) -> String {
    let Rehearsal { date, segments, objectives, campaigns, rules } = rehearsal;
    let mut text = format!("{date}, {}\n", output::count(*segments, "segment"));
    let listed = |shares: &[Share]| match shares {
        [] => "none".to_owned(),
        shares => {
            let share = |share: &Share| format!("{} ({})", share.name, share.segments);
            shares.iter().map(share).collect::<Vec<_>>().join("; ")
        }
    };
    text.push_str(&output::rows(&[("objective", listed(objectives)), ("campaign", listed(campaigns))]));
    let (fire, rest): (Vec<&Firing>, Vec<&Firing>) = rules.iter().partition(|firing| firing.fires);
    text.push_str(&format!("{} of {} fire\n", fire.len(), output::count(rules.len(), "rule")));
    text.push_str(&table(&fire, |firing| {
        let products = firing.products.map(|count| format!(", {}", output::count(count, "product")));
        format!("{}{}", output::count(firing.segments, "segment"), products.unwrap_or_default())
    }));
    if !rest.is_empty() {
        text.push_str("the others do not\n");
        text.push_str(&table(&rest, |firing| firing.why_not.clone().unwrap_or_default()));
    }
    text
}

/// Rule, what it does, and `more`, aligned.
fn table(firings: &[&Firing], more: impl Fn(&Firing) -> String) -> String {
    let width = |text: fn(&Firing) -> &str| {
        firings.iter().map(|firing| text(firing).chars().count()).max().unwrap_or(0).min(48)
    };
    let (ids, words) = (width(|firing| &firing.rule), width(|firing| &firing.does));
    let row =
        |firing: &&Firing| format!("  {:<ids$}  {:<words$}  {}\n", firing.rule, firing.does, more(firing));
    firings.iter().map(row).collect()
}
