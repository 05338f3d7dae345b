//! The origins of a replay: tables from before each date, and what was bought from it on.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Args;
use crate::cli::{Context, prepare, tools};
use crate::datasets::complete_journey::{self, PrepareOptions};
use crate::domain::Digest;
use crate::domain::digest::DigestBuilder;
use crate::domain::manifest::to_bytes;
use crate::ingest::{self, Location, TableFile, contract};
use crate::night::{Progress, write_whole};
use crate::replay::Window;

/// The page, and no rules: the demonstration's name goods that are not in every origin's catalogue, and a replay drops rules
/// anyway. `prepare` keeps a file that is there.
const NO_RULES: &str = "objective = \"engagement\"

[page]
placements = 6
products_per_placement = 8
min_products = 4
";
const HELD_OUT: &str = "held-out.parquet";
const RANKER: &str = "ranker";
const SOURCE: [&str; 3] = ["transactions.parquet", "products.parquet", "demographics.parquet"];

/// One date to replay.
pub struct Origin {
    pub as_of: NaiveDate,
    pub window: Window,
    /// Folder or prefix of the input tables.
    pub inputs: String,
    held_out: String,
    /// Folder or prefix of the search tables.
    pub index: String,
    /// Folder of the ranker that is trained at this origin.
    pub ranker: PathBuf,
}

impl Origin {
    pub async fn interactions(&self) -> anyhow::Result<TableFile> {
        Ok(ingest::fetch(&Location::parse(&self.inputs)?.join(contract::INTERACTIONS)).await?)
    }

    pub async fn held_out(&self) -> anyhow::Result<TableFile> {
        Ok(ingest::fetch(&Location::parse(&self.held_out)?).await?)
    }
}

/// `prepared.json`: what an origin's folder was prepared from.
#[derive(Serialize, Deserialize, PartialEq)]
struct Stamp {
    key: Digest,
}

/// The shop's own date, or each of the Complete Journey's, prepared.
pub async fn origins(args: &Args, context: &Context, reporter: &dyn Progress) -> anyhow::Result<Vec<Origin>> {
    let settings = &context.config.replay;
    if let (Some(inputs), Some(held_out)) = (&args.inputs, &args.held_out) {
        let segments = ingest::fetch(&Location::parse(inputs)?.join(contract::SEGMENTS)).await?;
        let first = ingest::segments(&segments)?.into_iter().next();
        let as_of = first.context("the inputs have no segment; nothing can be replayed")?.as_of;
        let window = Window { as_of, weeks: settings.weeks };
        let (inputs, held_out) = (inputs.clone(), held_out.clone());
        let (index, home) = (context.config.paths.index.clone(), home(context, as_of));
        return Ok(vec![Origin { as_of, window, inputs, held_out, index, ranker: home.join(RANKER) }]);
    }
    let source = match &args.source {
        Some(source) => source.clone(),
        None => prepare::dataset(&tools::registry(context)?, context)?,
    };
    let mut dates = if args.origins.is_empty() { settings.origins.clone() } else { args.origins.clone() };
    dates.sort();
    dates.dedup();
    let key = source_digest(&source)?;
    reporter.begin("prepare", "origins", dates.len() as u64);
    let mut origins = Vec::with_capacity(dates.len());
    for as_of in dates {
        let home = home(context, as_of);
        let window = Window { as_of, weeks: settings.weeks };
        origins.push(prepared(&source, key, &home, window).await?);
        reporter.advance(1);
    }
    reporter.end("");
    Ok(origins)
}

fn home(context: &Context, as_of: NaiveDate) -> PathBuf {
    context.config.paths.replay.join(as_of.to_string())
}

/// Prepares the tables below `home`, unless they were prepared from the same.
async fn prepared(source: &Path, source_key: Digest, home: &Path, window: Window) -> anyhow::Result<Origin> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let inputs = home.join("inputs");
    let options = PrepareOptions { as_of: window.as_of, ..PrepareOptions::new(source, &inputs) };
    let stamp_file = home.join("prepared.json");
    let mut key = DigestBuilder::default();
    key.part(source_key.as_bytes()).part(env!("CARGO_PKG_VERSION").as_bytes());
    key.part(format!("{window:?} {} {} {}", options.segments, options.seed, options.min_lines).as_bytes());
    let stamp = Stamp { key: key.finish() };
    let before =
        std::fs::read(&stamp_file).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    if before.as_ref() != Some(&stamp) {
        write_whole(&options.out.join(contract::MERCHANDISING), NO_RULES.as_bytes())?;
        complete_journey::prepare(&options, &|_| ()).await?;
        complete_journey::held_out(&options, window.days(), &home.join(HELD_OUT)).await?;
        write_whole(&stamp_file, &to_bytes(&stamp).context("the stamp is no JSON")?)?;
    }
    Ok(Origin {
        as_of: window.as_of,
        window,
        inputs: text(inputs),
        held_out: text(home.join(HELD_OUT)),
        index: text(home.join("index")),
        ranker: home.join(RANKER),
    })
}

fn source_digest(source: &Path) -> anyhow::Result<Digest> {
    let mut digest = DigestBuilder::default();
    for name in SOURCE {
        let path = source.join(name);
        let file = std::fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let of_file = Digest::of_reader(file).with_context(|| format!("cannot read {}", path.display()))?;
        digest.part(of_file.as_bytes());
    }
    Ok(digest.finish())
}
