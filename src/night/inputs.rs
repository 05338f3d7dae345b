//! Tonight's inputs, read and checked before anything is computed.

use chrono::NaiveDate;

use crate::domain::merchandising::Merchandising;
use crate::domain::{Catalog, Digest, Keyword, SegmentContext, SegmentId};
use crate::fuse::{self, Ground};
use crate::ingest::{self, IngestError, Location, contract};
use crate::rank::{
    self, Forecast, History, HistoryBuilder, Line, PurchaseRatesBuilder, RankError, RankerModel, TextVectors,
    TypeVectors,
};

use super::NightError;

/// All of tonight's inputs.
pub struct Inputs {
    pub as_of: NaiveDate,
    /// Sorted by id, merchandising filled in.
    pub segments: Vec<SegmentContext>,
    pub catalog: Catalog,
    pub keywords: Vec<Keyword>,
    pub merchandising: Merchandising,
    /// What the interactions say of tonight's visits.
    pub forecast: Forecast,
    /// The interactions.
    pub history: History,
    /// Of all tables, byte for byte.
    pub digest: Digest,
}

/// The catalogue's side of the inputs: all an index needs.
pub struct Shelf {
    pub catalog: Catalog,
    pub keywords: Vec<Keyword>,
}

/// The merchandiser's side of the inputs.
pub struct RuleBook {
    /// Name of the rules' file.
    pub file: String,
    /// Of the segments; `today` of the caller where there is none.
    pub as_of: NaiveDate,
    pub segments: Vec<SegmentContext>,
    pub catalog: Catalog,
    pub merchandising: Merchandising,
}

/// Reads segments, products and `merchandising.toml` alone.
pub async fn load_rules(from: &str, today: NaiveDate) -> Result<RuleBook, IngestError> {
    let root = Location::parse(from)?;
    let segments = ingest::segments(&ingest::fetch(&root.join(contract::SEGMENTS)).await?)?;
    let catalog = ingest::products(&ingest::fetch(&root.join(contract::PRODUCTS)).await?)?;
    let rules = ingest::fetch(&root.join(contract::MERCHANDISING)).await?;
    let merchandising = ingest::merchandising(rules.text()?, rules.name(), &catalog, &segments)?;
    let as_of = segments.first().map_or(today, |segment| segment.as_of);
    let file = rules.name().to_owned();
    Ok(RuleBook { file, as_of, segments, catalog, merchandising })
}

/// Reads products and keywords alone.
pub async fn load_shelf(from: &str) -> Result<Shelf, IngestError> {
    let root = Location::parse(from)?;
    let products = ingest::fetch(&root.join(contract::PRODUCTS)).await?;
    let keywords = ingest::fetch(&root.join(contract::KEYWORDS)).await?;
    Ok(Shelf { catalog: ingest::products(&products)?, keywords: ingest::keywords(&keywords)? })
}

impl Inputs {
    /// Reads everything below `from`. `today` stands in for `as_of` where there is not one segment.
    pub async fn load(from: &str, rank: &rank::Settings, today: NaiveDate) -> Result<Self, IngestError> {
        let root = Location::parse(from)?;
        let fetch = |name: &'static str| {
            let location = root.join(name);
            async move { ingest::fetch(&location).await }
        };
        let segments_file = fetch(contract::SEGMENTS).await?;
        let products_file = fetch(contract::PRODUCTS).await?;
        let keywords_file = fetch(contract::KEYWORDS).await?;
        let interactions_file = fetch(contract::INTERACTIONS).await?;
        let rules_file = fetch(contract::MERCHANDISING).await?;

        let mut segments = ingest::segments(&segments_file)?;
        let catalog = ingest::products(&products_file)?;
        let keywords = ingest::keywords(&keywords_file)?;
        let merchandising =
            ingest::merchandising(rules_file.text()?, rules_file.name(), &catalog, &segments)?;
        for segment in &mut segments {
            segment.merchandising = merchandising.as_context(&segment.segment_id, segment.as_of);
        }
        let as_of = segments.first().map_or(today, |segment| segment.as_of);
        let mut rates = PurchaseRatesBuilder::new(&catalog, rank.clone());
        let mut history = HistoryBuilder::new(&catalog, as_of);
        ingest::interactions(&interactions_file, |row| {
            if row.date >= as_of {
                return;
            }
            history.add(Line {
                segment: row.segment_id,
                household: row.household_id,
                visit: row.visit_id,
                product: row.product_id,
                date: row.date,
                quantity: row.quantity,
                value: row.value,
            });
            rates.add(rank::Purchase {
                segment: row.segment_id,
                household: row.household_id,
                visit: row.visit_id,
                product: row.product_id,
            });
        })?;
        let history = history.finish();
        let forecast = Forecast::new(&catalog, &history, rates.finish());
        let files = [&segments_file, &products_file, &keywords_file, &interactions_file, &rules_file];
        let digests: Vec<Digest> = files.iter().map(|file| file.digest()).collect();
        let digest = Digest::of_parts(digests.iter().map(|digest| &digest.as_bytes()[..]));
        Ok(Self { as_of, segments, catalog, keywords, merchandising, forecast, history, digest })
    }

    /// What a ranker's features are computed from.
    pub fn shop<'a>(&'a self, vectors: &'a TypeVectors) -> rank::Shop<'a> {
        rank::Shop { catalog: &self.catalog, history: &self.history, vectors }
    }

    /// Scores everything with a trained ranker; it orders products from now on.
    pub fn learn(&mut self, model: &RankerModel, encoder: &dyn TextVectors) -> Result<(), RankError> {
        let vectors = match model.description.text {
            true => TypeVectors::of(&self.catalog, encoder)?,
            false => TypeVectors::none(),
        };
        let learned = model.score(self.shop(&vectors))?;
        self.forecast.learn(learned);
        Ok(())
    }

    /// Refuses rules that cannot all hold on tonight's pages; conflicts of other days and warnings are logged.
    pub fn require_harmony(&self) -> Result<(), NightError> {
        let segments: Vec<SegmentId> =
            self.segments.iter().map(|context| context.segment_id.clone()).collect();
        let Self { catalog, merchandising, as_of, .. } = self;
        let ground = Ground { catalog, merchandising, segments: &segments, as_of: *as_of };
        let found = fuse::survey_on(&ground, *as_of);
        for warning in &found.warnings {
            tracing::warn!(%warning, "merchandising");
        }
        if found.conflicts.is_empty() { Ok(()) } else { Err(NightError::Conflicts(found.conflicts)) }
    }

    /// Takes campaigns, rules and the objective's tilt away, from the segments' contexts too; the page's shape stays.
    pub fn drop_rules(&mut self) {
        let page = self.merchandising.page;
        self.merchandising = Merchandising { page, ..Merchandising::default() };
        for segment in &mut self.segments {
            segment.merchandising = self.merchandising.as_context(&segment.segment_id, segment.as_of);
        }
    }

    /// Keeps the first `most` segments by id.
    pub fn keep_first(&mut self, most: usize) {
        self.segments.truncate(most);
    }
}
