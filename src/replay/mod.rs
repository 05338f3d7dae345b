//! Offline replay: would shoppers have added more from these pages than from those?
//!
//! ```text
//! tables before as_of ── Ground ── arms (a)-(e) ──▶ Pages ──┐
//!                                                           ├── evaluate ──▶ Metrics ── compare ──▶ Report
//! purchases from as_of on ──────────────────────▶ Visits ──┘
//! ```
//!
//! A visit of a household is one page view of its segment's page. Its *cart adds* are the distinct products it bought that
//! stand on the page. Arms are judged on the same visits, with the same number of places and the same eligible products, by
//! paired resamples of households. `docs/replay.md` has the metrics' formulas, their papers, and what a replay cannot say.
//!
//! # No leakage
//! What makes pages ([`Ground`], the rankers, the cascade) reads tables from before `as_of`; [`History`] refuses a row that is
//! not. Purchases from `as_of` on reach [`Visits`] alone, and [`Visits`] reach [`evaluate`] alone.
//!
//! # Fusion's settings
//! [`evaluate`] is a pure function of pages and visits and takes milliseconds, so that [`search`] can learn fusion's weights on
//! validation windows. These end before the first clean origin: the weeks of the headline are never looked at for that.

pub mod arms;
mod compare;
mod evaluate;
mod frontier;
mod ground;
mod history;
mod html;
mod page;
mod page_figures;
mod plot;
mod report;
mod settings;
mod table;
mod tune;
mod visits;
mod window;

use chrono::NaiveDate;

use crate::ingest::IngestError;

pub use arms::Arm;
pub use compare::{Judged, Judgement, Lift, Panel};
pub use evaluate::{Metrics, Tally, evaluate};
pub use frontier::{Frontier, FrontierPoint, OverRanker, frontier};
pub use ground::{Eligibility, Expected, Ground};
pub use history::History;
pub use html::html;
pub use page::{Pages, ReplayPage, ReplayPlacement};
pub use page_figures::PageFigures;
pub use report::{ArmReport, OriginParts, OriginReport, Report, SegmentReport};
pub use settings::{RankerChoice, Settings};
pub use table::terminal;
pub use tune::{Learned, Trial, Weight, search};
pub use visits::{Skipped, Visits, VisitsBuilder};
pub use window::Window;

/// Why an origin cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(
        "{file}: household {household} has a row of {date}, not before as_of {as_of}; pages are made from what came before, \
         so write the inputs again without it"
    )]
    Future { file: String, household: String, date: NaiveDate, as_of: NaiveDate },
    #[error(
        "{file} holds no visit of a segment from {from} to before {until}; choose an origin within the data, or write the \
         purchases from {from} on"
    )]
    NoVisits { file: String, from: NaiveDate, until: NaiveDate },
    #[error(
        "as of {as_of} nothing is eligible: no product is in stock outside the tags and aisles never featured"
    )]
    NothingEligible { as_of: NaiveDate },
    #[error("the plot {name:?} could not be drawn: {problem}")]
    Plot { name: &'static str, problem: String },
}
