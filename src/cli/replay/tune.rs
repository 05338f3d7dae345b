//! `endcap train fusion`: learns fusion's weights on the validation origins.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::offer::{Offer, within};
use super::{Args, Context, Exit, Replay, Shop, UsageError, origin, output, progress, training_end};
use crate::config::clock::Stopwatch;
use crate::fuse;
use crate::night::write_whole;
use crate::replay::arms::fused;
use crate::replay::{Eligibility, Ground, Learned, Tally, Trial, Weight, Window, evaluate, search};

#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// Dates whose held-out weeks are learned on [default: replay.validation]
    #[arg(long, value_name = "DATES", value_delimiter = ',')]
    origins: Vec<NaiveDate>,
    /// Folder of the Complete Journey's Parquet files [default: the registry's, with checked sums]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// The students' training set: the first origin it does not reach is where the test weeks begin
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    training: PathBuf,
    /// Only the first N segments by id
    #[arg(long, value_name = "N")]
    segments: Option<NonZeroUsize>,
    /// The weights, as a piece of a config file
    #[arg(long, value_name = "FILE", default_value = "out/fusion.toml")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What the search learned, for a script.
#[derive(serde::Serialize)]
struct Summary<'a> {
    out: &'a Path,
    origins: &'a [NaiveDate],
    weights: BTreeMap<&'static str, f32>,
    #[serde(flatten)]
    learned: &'a Learned,
    seconds: f64,
}

pub async fn tune(args: TuneArgs, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let settings = &context.config.replay;
    let dates = if args.origins.is_empty() { settings.validation.clone() } else { args.origins.clone() };
    refuse_test_weeks(&dates, training_end(&args.training, settings.training_end)?, context)?;
    let reporter = progress::reporter();
    let (source, segments) = (args.source.clone(), args.segments);
    let replayed = Args { origins: dates.clone(), source, segments, ..Args::default() };
    let mut fields = Vec::with_capacity(dates.len());
    for origin in &origin::origins(&replayed, context, &*reporter).await? {
        let replay = Replay { args: &replayed, context, origin, reporter: &reporter };
        let shop = replay.shop().await?;
        let offer = Offer::read(&replay, &shop).await?;
        fields.push(Field { shop, offer, eligibility: replay.eligibility() });
    }
    let grounds: Vec<Ground<'_>> =
        fields.iter().map(|field| field.shop.ground(&field.eligibility)).collect::<anyhow::Result<_>>()?;
    reporter.begin("fusion", "settings", 0);
    let learned = search(&context.config.fuse, settings.new_add_weight, |settings| {
        reporter.advance(1);
        let tallies = fields.iter().zip(&grounds).map(|(field, ground)| field.adds(ground, settings));
        tallies.fold(Tally::default(), |mut total, tally| {
            total.merge(&tally);
            total
        })
    });
    reporter.end("");
    write_whole(&args.out, toml(&learned, &dates).as_bytes())?;
    let weights = Weight::ALL.map(|weight| (weight.key(), weight.of(&learned.after.settings))).into();
    let summary =
        Summary { out: &args.out, origins: &dates, weights, learned: &learned, seconds: watch.seconds() };
    tell(&summary, args.json)
}

/// One validation origin.
struct Field {
    shop: Shop,
    offer: Offer,
    eligibility: Eligibility,
}

impl Field {
    /// What its validation weeks would have added from the pages that `settings` make.
    fn adds(&self, ground: &Ground<'_>, settings: &fuse::Settings) -> Tally {
        let settings = within(&self.eligibility, settings);
        let made = self.offer.fuse(&self.shop, ground, |fusion, pages| fused(fusion, &settings, pages));
        evaluate(&made.pages, &self.shop.visits).total
    }
}

/// The weeks of a clean origin are the test, and nothing is learned on them.
fn refuse_test_weeks(dates: &[NaiveDate], reach: NaiveDate, context: &Context) -> Result<(), UsageError> {
    let settings = &context.config.replay;
    let Some(test) = settings.origins.iter().find(|origin| **origin > reach) else { return Ok(()) };
    let ends = |as_of: &NaiveDate| Window { as_of: *as_of, weeks: settings.weeks }.until();
    match dates.iter().find(|as_of| ends(as_of) > *test) {
        None => Ok(()),
        Some(as_of) => Err(UsageError(format!(
            "the held-out weeks of {as_of} run into those of {test}, which are the test; learn on earlier ones"
        ))),
    }
}

fn toml(learned: &Learned, dates: &[NaiveDate]) -> String {
    let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
    let Trial { adds_per_view, new_adds_per_view, settings, .. } = &learned.after;
    let mut text = format!(
        "# Learned by `endcap train fusion` on the weeks from {}: {adds_per_view:.4} adds a view,\n# \
         {new_adds_per_view:.4} of them of products new to the household ({:.4} and {:.4} before).\n[fuse]\n",
        dates.join(" and "),
        learned.before.adds_per_view,
        learned.before.new_adds_per_view,
    );
    for weight in Weight::ALL {
        text.push_str(&format!("{} = {}\n", weight.key(), weight.of(settings)));
    }
    text
}

fn tell(summary: &Summary<'_>, json: bool) -> anyhow::Result<Exit> {
    if json {
        output::json(summary)?;
        return Ok(Exit::Success);
    }
    let Learned { before, after, tried } = summary.learned;
    println!("{tried} settings in {:.0} s", summary.seconds);
    println!("adds a view         {:.4} -> {:.4}", before.adds_per_view, after.adds_per_view);
    println!("new to a household  {:.4} -> {:.4}", before.new_adds_per_view, after.new_adds_per_view);
    for (key, value) in &summary.weights {
        println!("  {key} = {value}");
    }
    println!("weights: {} (copy them into [fuse] of your config)", summary.out.display());
    Ok(Exit::Success)
}
