//! `endcap train ranker`: grow the ranker's trees on the input tables, or take a LightGBM model.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::config::clock::Stopwatch;
use crate::domain::Digest;
use crate::night::{self, Inputs};
use crate::rank::{self, Description, RankerModel, TypeVectors, Validation};

use super::super::exit::Exit;
use super::super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Input tables: a folder or s3://bucket/prefix [default: paths.inputs]
    #[arg(long, value_name = "LOCATION")]
    inputs: Option<String>,
    /// Where model.txt, ranker.json and card.md go: a folder or s3://bucket/prefix
    #[arg(long, value_name = "LOCATION", default_value = "out/ranker")]
    out: String,
    /// A LightGBM text model of the ranker's features, instead of growing trees: it is calibrated and put beside a card
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, serde::Serialize)]
struct Summary<'a> {
    out: &'a str,
    as_of: NaiveDate,
    trees: usize,
    rows: (usize, usize),
    digest: Digest,
    validation: &'a Validation,
    seconds: f64,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let config = &context.config;
    let from = args.inputs.as_deref().unwrap_or(&config.paths.inputs);
    let progress = progress::reporter();
    progress.begin("train ranker", "steps", 3);
    let inputs = Inputs::load(from, &config.rank, context.clock.now().date_naive()).await?;
    progress.advance(1);
    let (encoder, _) = tools::encoder(context)?;
    let vectors = TypeVectors::of(&inputs.catalog, &*encoder)?;
    progress.advance(1);
    let model = train(&args, &inputs, &vectors, context)?;
    night::save_ranker(&model, &args.out, &config.publish).await?;
    progress.advance(1);
    progress.end("");
    report(&args, &model, watch.seconds())
}

fn train(
    args: &Args,
    inputs: &Inputs,
    vectors: &TypeVectors,
    context: &Context,
) -> anyhow::Result<RankerModel> {
    let (shop, recipe) = (inputs.shop(vectors), &context.config.rank.train);
    let Some(path) = &args.model else { return Ok(rank::train(shop, recipe)?) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(rank::adopt(shop, recipe, text, path)?)
}

fn report(args: &Args, model: &RankerModel, seconds: f64) -> anyhow::Result<Exit> {
    let Description { as_of, trees, rows, validation, .. } = &model.description;
    if args.json {
        let summary = Summary {
            out: &args.out,
            as_of: *as_of,
            trees: *trees,
            rows: *rows,
            digest: model.digest(),
            validation,
            seconds,
        };
        output::json(&summary)?;
        return Ok(Exit::Success);
    }
    println!("{trees} trees on {} rows before {as_of}, in {seconds:.0} s", rows.0);
    println!(
        "held out, products bought a visit of a page of {}: {:.3} (popularity {:.3}, purchase rates {:.3})",
        validation.page_products, validation.learned, validation.popularity, validation.light_rates
    );
    println!("ranker: {} (card.md); to use it, set rank.model = {:?}", args.out, args.out);
    Ok(Exit::Success)
}
