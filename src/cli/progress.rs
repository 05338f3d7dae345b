//! Progress: a bar with rate and time left on a terminal, plain lines in a log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::clock::Stopwatch;
use crate::night::Progress;

use super::output;

/// A plain line at most this often, seconds.
const LINE_EVERY: f64 = 10.0;

/// The reporter that fits where stderr goes.
pub fn reporter() -> std::sync::Arc<dyn Progress> {
    if output::is_terminal() {
        std::sync::Arc::new(Bars::default())
    } else {
        std::sync::Arc::new(Lines::default())
    }
}

#[derive(Default)]
struct Bars(Mutex<Option<ProgressBar>>);

impl Progress for Bars {
    fn begin(&self, stage: &str, unit: &'static str, total: u64) {
        let bar = ProgressBar::new(total);
        let template = match total {
            0 => format!("{{prefix:<16}} {{spinner}} {{pos}} {unit}  {{per_sec}}"),
            _ => format!("{{prefix:<16}} {{bar:28}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&self, units: u64) {
        if let Some(bar) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.inc(units);
        }
    }

    fn end(&self, note: &str) {
        if let Some(bar) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let spent = bar.elapsed().as_secs_f64();
            let done = bar.position();
            let prefix = bar.prefix();
            bar.finish_and_clear();
            eprintln!("{}", closing(&prefix, done, spent, note));
        }
    }
}

#[derive(Default)]
struct Lines(Mutex<Option<Line>>);

struct Line {
    stage: String,
    unit: &'static str,
    total: u64,
    done: u64,
    watch: Stopwatch,
    told_at: f64,
}

impl Progress for Lines {
    fn begin(&self, stage: &str, unit: &'static str, total: u64) {
        let line =
            Line { stage: stage.into(), unit, total, done: 0, watch: Stopwatch::start(), told_at: 0.0 };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }

    fn advance(&self, units: u64) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = guard.as_mut() else { return };
        line.done += units;
        let spent = line.watch.seconds();
        if spent - line.told_at < LINE_EVERY {
            return;
        }
        line.told_at = spent;
        let rate = line.done as f64 / spent;
        let Line { stage, unit, total, done, .. } = line;
        if total > done {
            let left = (*total - *done) as f64 / rate.max(1e-9);
            eprintln!("{stage}: {done}/{total} {unit}, {rate:.1}/s, {left:.0} s left");
        } else {
            eprintln!("{stage}: {done} {unit}, {rate:.1}/s");
        }
    }

    fn end(&self, note: &str) {
        if let Some(line) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            eprintln!("{}", closing(&line.stage, line.done, line.watch.seconds(), note));
        }
    }
}

fn closing(stage: &str, done: u64, spent: f64, note: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
    format!("{stage:<16} {done:>6} in {spent:.1} s{note}")
}
