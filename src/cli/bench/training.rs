//! `endcap bench training`: training's arithmetic rate, as a ratio to candle's on the same shapes.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::{Context, output, tools};
use crate::config::clock::Stopwatch;
use crate::train::Probe;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  endcap bench training --rounds 3 --json")]
pub struct Args {
    /// Times both are measured, one after the other; the medians count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Figures {
    threads: usize,
    /// Of prompts and answers.
    tokens_per_second: f64,
    /// 10^9 multiply-adds a second.
    training_gmacs: f64,
    candle_matmul_gmacs: f64,
    ratio: f64,
}

pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let Args { rounds, json } = args;
    let threads = rayon::current_num_threads();
    let base = tools::trainable(context)?;
    let probe = Probe::new(&base.weights, &context.config.train.themes, threads)?;
    let (mut training, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let watch = Stopwatch::start();
        probe.gradient()?;
        training.push(watch.seconds());
        let watch = Stopwatch::start();
        probe.peer()?;
        peer.push(watch.seconds());
    }
    let (training, peer) = (median(training), median(peer));
    let training_gmacs = probe.multiply_adds() / training / 1e9;
    let candle_matmul_gmacs = probe.peer_multiply_adds() / peer / 1e9;
    let figures = Figures {
        threads,
        tokens_per_second: probe.tokens() as f64 / training,
        training_gmacs,
        candle_matmul_gmacs,
        ratio: training_gmacs / candle_matmul_gmacs,
    };
    if json {
        output::json(&figures)?;
    } else {
        println!(
            "training: {:.0} tokens/s, {training_gmacs:.1} GMAC/s; candle's f32 matmul: {candle_matmul_gmacs:.1} GMAC/s; ratio {:.2}",
            figures.tokens_per_second, figures.ratio
        );
    }
    Ok(Exit::Success)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
