//! `endcap index`: bring the LanceDB tables up to date with the catalogue.

use crate::night::{IndexMark, load_shelf};

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
    let (encoder, digest) = tools::encoder(context)?;
    let index = tools::index(context, &context.config.paths.index, &encoder).await?;
    let workspace = tools::workspace(context).await?;
    let mark = IndexMark::new(shelf.digest, digest);
    let tables = (&shelf.catalog, &shelf.keywords[..]);
    let report = tools::refresh_index(&index, tables, (&workspace, mark), &*progress::reporter()).await?;
    if args.json {
        output::json(&report)?;
        return Ok(Exit::Success);
    }
    let tables = [("keywords", &report.keywords), ("products", &report.products), ("types", &report.types)];
    for (name, table) in tables {
        println!(
            "{name}: {} added, {} changed, {} removed, {} unchanged; {} texts embedded",
            table.added, table.changed, table.removed, table.unchanged, table.embedded
        );
    }
    Ok(Exit::Success)
}
