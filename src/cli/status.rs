//! `endcap status`: what is published.

use serde::Serialize;

use crate::publish::{self, Status, Verification};

use super::exit::Exit;
use super::{Context, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap status --verify --json")]
pub struct Args {
    /// Read every object of the current run and check its sha256
    #[arg(long)]
    verify: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let store = publish::open(&config.paths.publish, &config.publish).await?;
    let status = publish::status(&*store).await?;
    let verification = match &status.current {
        Some(pointer) if args.verify => {
            Some(publish::verify_run(&*store, &pointer.run_id, &config.publish).await?)
        }
        _ => None,
    };
    let sound = verification.as_ref().is_none_or(|found| found.problems.is_empty());
    if args.json {
        output::json(&Answer { status, verification })?;
    } else {
        print(&status, verification.as_ref(), &config.paths.publish);
    }
    Ok(if sound { Exit::Success } else { Exit::Fallbacks })
}

fn print(status: &Status, verification: Option<&Verification>, root: &str) {
    let Some(pointer) = &status.current else {
        println!("nothing is published in {root} yet");
        return;
    };
    println!("{} is current in {root}", pointer.run_id);
    let mut rows = vec![("published", pointer.published_at.to_string())];
    if let Some(previous) = &pointer.previous_run_id {
        rows.push(("before it", previous.to_string()));
    }
    if let Some(pages) = &status.pages {
        rows.push((
            "pages",
            format!("{} new, {} reused, {} carried over", pages.new, pages.reused, pages.carried_over),
        ));
        rows.push((
            "made by",
            format!("cascade {}, mixed {}, ranker {}", pages.cascade, pages.mixed, pages.ranker),
        ));
    }
    rows.push(("runs kept", status.runs.len().to_string()));
    if let Some(found) = verification {
        let verdict = match found.problems.len() {
            0 => format!("all {} objects hold their sha256", found.segments),
            problems => output::count(problems, "problem"),
        };
        rows.push(("verified", verdict));
    }
    print!("{}", output::rows(&rows));
    for problem in verification.iter().flat_map(|found| &found.problems) {
        println!("  ! {problem}");
    }
}
