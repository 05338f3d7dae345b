//! `endcap index`: bring the LanceDB tables up to date with the catalogue.

use crate::night::load_shelf;

use super::exit::Exit;
use super::{Context, output, progress, tools};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap index --json")]
pub struct Args {
    /// Input tables: a folder or s3://bucket/prefix [default: paths.inputs]
    #[arg(long, value_name = "LOCATION")]
    inputs: Option<String>,
    /// Print what changed as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let shelf = load_shelf(args.inputs.as_deref().unwrap_or(&context.config.paths.inputs)).await?;
    let (encoder, _) = tools::encoder(context)?;
    let index = tools::index(context, &encoder).await?;
    let reporter = progress::reporter();
    reporter.begin("index", "texts", 0);
    let report = index.update(&shelf.keywords, &shelf.catalog, &|texts| reporter.advance(texts)).await?;
    reporter.end("");
    if args.json {
        output::json(&report)?;
        return Ok(Exit::Success);
    }
    for (name, table) in [("keywords", &report.keywords), ("products", &report.products)] {
        println!(
            "{name}: {} added, {} changed, {} removed, {} unchanged; {} texts embedded",
            table.added, table.changed, table.removed, table.unchanged, table.embedded
        );
    }
    Ok(Exit::Success)
}
