//! Tonight's inputs, read and checked before anything is computed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::domain::merchandising::Merchandising;
use crate::domain::{Catalog, Digest, HouseholdId, Keyword, SegmentContext, SegmentId};
use crate::fuse::{self, Ground};
use crate::ingest::{self, IngestError, Location, contract};
use crate::publish;
use crate::rank::{
    self, Forecast, History, HistoryBuilder, Line, PurchaseRatesBuilder, RankError, RankerModel, TextVectors,
    TypeVectors,
};
use crate::trace::{self, step};

use super::{NightError, Plan};

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
    /// Whether they were read: forecast and history are an empty shop's where not.
    pub with_history: bool,
    /// Of all tables, byte for byte.
    pub digest: Digest,
    /// Of those that every page depends on.
    pub files: FileDigests,
}

/// The tables that every segment's page depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigests {
    pub products: Digest,
    pub keywords: Digest,
    pub interactions: Digest,
}

impl FileDigests {
    /// Of what an index is built from.
    pub fn catalogue(&self) -> Digest {
        catalogue_digest(self.products, self.keywords)
    }
}

fn catalogue_digest(products: Digest, keywords: Digest) -> Digest {
    Digest::of_parts([&products.as_bytes()[..], keywords.as_bytes()])
}

/// The catalogue's side of the inputs: all an index needs.
pub struct Shelf {
    pub catalog: Catalog,
    pub keywords: Vec<Keyword>,
    /// Of both tables.
    pub digest: Digest,
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
    let digest = catalogue_digest(products.digest(), keywords.digest());
    Ok(Shelf { catalog: ingest::products(&products)?, keywords: ingest::keywords(&keywords)?, digest })
}

/// Reads which segment each household is in, if `settings` say that it is published.
pub async fn load_assignments(
    from: &str,
    settings: &publish::Settings,
) -> Result<Option<BTreeMap<HouseholdId, SegmentId>>, IngestError> {
    if settings.lookup_salt.is_empty() {
        return Ok(None);
    }
    let file = ingest::fetch(&Location::parse(from)?.join(contract::ASSIGNMENTS)).await?;
    ingest::assignments(&file).map(Some)
}

impl Inputs {
    /// Reads everything below `from`. `today` stands in for `as_of` where there is not one segment.
    pub async fn load(from: &str, rank: &rank::Settings, today: NaiveDate) -> Result<Self, IngestError> {
        trace::within(step!("inputs"), Self::read(from, rank, today, true)).await
    }

    /// The same without what the interactions say: enough to plan, and to publish pages that are made. A page that must be made
    /// from them is refused ([`NightError::NoHistory`]); the digest is that of all tables.
    pub async fn load_without_history(
        from: &str,
        rank: &rank::Settings,
        today: NaiveDate,
    ) -> Result<Self, IngestError> {
        trace::within(step!("inputs"), Self::read(from, rank, today, false)).await
    }

    async fn read(
        from: &str,
        rank: &rank::Settings,
        today: NaiveDate,
        with_history: bool,
    ) -> Result<Self, IngestError> {
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
        let lines = |row: ingest::InteractionRow<'_>| {
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
        };
        if with_history {
            ingest::interactions(&interactions_file, lines)?;
        }
        let history = history.finish();
        let forecast = Forecast::new(&catalog, &history, rates.finish());
        let files = [&segments_file, &products_file, &keywords_file, &interactions_file, &rules_file];
        let digests: Vec<Digest> = files.iter().map(|file| file.digest()).collect();
        let digest = Digest::of_parts(digests.iter().map(|digest| &digest.as_bytes()[..]));
        let files = FileDigests {
            products: products_file.digest(),
            keywords: keywords_file.digest(),
            interactions: interactions_file.digest(),
        };
        Ok(Self {
            as_of,
            segments,
            catalog,
            keywords,
            merchandising,
            forecast,
            history,
            with_history,
            digest,
            files,
        })
    }

    /// What a ranker's features are computed from.
    pub fn shop<'a>(&'a self, vectors: &'a TypeVectors) -> rank::Shop<'a> {
        rank::Shop { catalog: &self.catalog, history: &self.history, vectors }
    }

    /// Scores `segments` with a trained ranker; it orders their products from now on.
    pub fn learn(
        &mut self,
        model: &RankerModel,
        segments: &BTreeSet<SegmentId>,
        encoder: &dyn TextVectors,
    ) -> Result<(), RankError> {
        if segments.is_empty() {
            return Ok(());
        }
        let vectors = match model.description.text {
            true => TypeVectors::of(&self.catalog, encoder)?,
            false => TypeVectors::none(),
        };
        let learned = model.score(self.shop(&vectors), segments)?;
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

    /// Keeps the segments of a plan that was made for fewer of them.
    pub fn keep_planned(&mut self, plan: &Plan) {
        let planned: BTreeSet<&SegmentId> = plan.groups.iter().flatten().collect();
        self.segments
            .retain(|context| planned.contains(&context.segment_id) || plan.takes_over(&context.segment_id));
    }

    /// Keeps the first `most` segments by id.
    pub fn keep_first(&mut self, most: usize) {
        self.segments.truncate(most);
    }
}
