//! `endcap rollback`: one conditional write of an older run, after checking it whole.

use crate::domain::RunId;
use crate::publish;

use super::exit::Exit;
use super::{Context, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  endcap rollback\n  endcap rollback --to 2017-11-19-0123456789ab")]
pub struct Args {
    /// The run to point at [default: the one before the current]
    #[arg(long, value_name = "RUN_ID")]
    to: Option<RunId>,
    /// Print the new pointer as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let store = publish::open(&config.paths.publish, &config.publish).await?;
    let now = context.clock.now();
    let done = publish::rollback(&*store, args.to, now, &config.publish).await?;
    publish::follow_if_set(&*store, &config.publish.edge_store, now).await?;
    if args.json {
        output::json(&done.pointer)?;
    } else if done.changed {
        println!("shoppers now see {} (it was {})", done.pointer.run_id, done.from);
    } else {
        println!("{} was current already", done.pointer.run_id);
    }
    Ok(Exit::Success)
}
