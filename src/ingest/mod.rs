//! The door: Parquet and TOML from outside become [`crate::domain`] types, or an error that says what to mend.
//!
//! [`fetch`] brings a file's bytes from a local path or from S3; the other functions read one contract each. The
//! contracts' schemas, and writers for them, are in [`contract`]. What a reader accepts:
//!
//! - every column of the contract that is not nullable, in any order; further columns are ignored;
//! - text as utf8, large utf8, utf8 view or a dictionary of them; numbers as f32 or f64; counts as any integer that
//!   fits; doubles as any number; lists with 32- or 64-bit offsets;
//! - text of any content, as data: white space is folded to single spaces and trimmed, any other control character
//!   (NUL among them) is an error, and so is a cell longer than its limit.
//!
//! Rows are counted from 1 in messages.

mod cells;
pub mod contract;
mod error;
mod experiment;
mod folder;
mod interactions;
mod keywords;
mod location;
mod merchandising;
mod products;
mod segments;
mod table;
mod text;

pub use error::IngestError;
pub use experiment::{activity, events, households};
pub use folder::fetch_folder;
pub use interactions::{InteractionRow, assignments, interactions};
pub use keywords::keywords;
pub use location::{Location, TableFile, fetch};
pub use merchandising::{Mistake, merchandising};
pub use products::products;
pub use segments::segments;
pub use text::{MAX_TEXT_CHARS, MAX_TITLE_CHARS};
