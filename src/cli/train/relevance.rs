//! `endcap train relevance`: learn from graded candidates what stage 2's candidates are judged by.

use std::path::PathBuf;

use crate::config::clock::Stopwatch;
use crate::distill::dataset::read_keywords;
use crate::domain::Digest;
use crate::relevance::{self, Lessons, Validation};

use super::super::exit::Exit;
use super::super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with keywords.parquet
    #[arg(long, value_name = "DIR", default_value = "models/training")]
    training: PathBuf,
    /// Where model.txt, relevance.json and the card go
    #[arg(long, value_name = "DIR", default_value = "out/train/relevance")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, serde::Serialize)]
struct Summary<'a> {
    out: &'a PathBuf,
    trees: usize,
    candidates: usize,
    validation: Validation,
    seconds: f64,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    let path = args.training.join("keywords.parquet");
    let examples = read_keywords(&path)?;
    let data = Digest::of_reader(std::fs::File::open(&path)?)?;
    let (encoder, encoder_digest) = tools::encoder(context)?;
    let lessons = Lessons { examples: &examples, data, encoder: &encoder, encoder_digest };
    let progress = progress::reporter();
    progress.begin("train relevance", "placements", 0);
    let model = relevance::train(&lessons, &context.config.relevance, &|placements| {
        progress.advance(placements);
    })?;
    progress.end("");
    model.save(&args.out)?;
    let description = &model.description;
    let (validation, seconds) = (description.validation, watch.seconds());
    if args.json {
        let (trees, candidates) = (description.trees, description.candidates);
        output::json(&Summary { out: &args.out, trees, candidates, validation, seconds })?;
        return Ok(Exit::Success);
    }
    println!("{} trees on {} candidates, in {seconds:.0} s", description.trees, description.candidates);
    println!(
        "held out, P-K@5 of the best five on {} placements: {:.3} (cosine to a concept {:.3})",
        validation.placements, validation.learned, validation.cosine
    );
    println!(
        "relevance: {} (README.md); pin it in the registry and name it in models.relevance",
        args.out.display()
    );
    Ok(Exit::Success)
}
