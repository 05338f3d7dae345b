//! `endcap bench`: rates on this machine, on the same work as a named peer's.

mod pages;
mod publish;
mod training;

use clap::Subcommand;

use super::Context;
use super::exit::Exit;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Training's arithmetic rate against candle's f32 matmul on the same shapes
    Training(training::Args),
    /// Publish a run of made-up pages, as a night does, and say what it took
    Publish(publish::Args),
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.what {
        What::Training(args) => training::run(args, context),
        What::Publish(args) => publish::run(args, context).await,
    }
}
