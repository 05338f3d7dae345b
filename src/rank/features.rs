//! The feature table of one origin: segments × products, a record batch a segment.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use chrono::{Days, NaiveDate};

use crate::domain::calendar::{Holiday, Season};
use crate::domain::{Catalog, Product};

use super::counts::{Counts, Members, Overall, Own};
use super::history::History;
use super::rates::{Counts as RateCounts, PurchaseRates, Sparse};
use super::schema::{FEATURES, Feature, schema};
use super::vectors::TypeVectors;
use super::{Purchase, PurchaseRatesBuilder, Settings};

/// What features are computed from.
#[derive(Clone, Copy)]
pub struct Shop<'a> {
    pub catalog: &'a Catalog,
    /// Of the same catalogue.
    pub history: &'a History,
    /// Of the same catalogue, or none.
    pub vectors: &'a TypeVectors,
}

/// Longest time that is told apart, days.
const NEVER_DAYS: f32 = 100.0;
const NO_TAG_DAYS: f32 = 120.0;
const NEVER_DUE: f32 = 5.0;
const NOT_BOUGHT_LATELY: f64 = 1.05;
/// Visits of nothing beside the recent ones.
const RECENT_PRIOR: f64 = 20.0;
/// Visits at the usual rate beside those of late.
const TREND_PRIOR: f64 = 20.0;
const HEAVY_PRIOR: f64 = 2000.0;
const LIGHT_PRIOR: f64 = 150.0;

/// The part of a row that is the product's alone.
struct ProductSide {
    recent_rate: f64,
    days_since: f32,
    interval: f32,
    repurchase: f64,
    price: f32,
    promotion: f64,
    private_label: f32,
    trend: f64,
    type_trend: f64,
    holiday: f32,
}

/// One row; `row[Feature::Price as usize]` is the price.
pub(super) type Row = [f32; FEATURES];

/// All features as of one day.
pub(super) struct Features<'a> {
    shop: Shop<'a>,
    counts: Counts,
    heavy: PurchaseRates,
    light: PurchaseRates,
    products: Vec<ProductSide>,
    /// What the population buys, as a vector; `None` without vectors.
    profile: Option<Vec<f64>>,
}

/// A segment's part of the tables, looked up once.
struct SegmentSide<'a> {
    members: &'a Members,
    heavy: Option<&'a RateCounts<Sparse>>,
    light: Option<&'a RateCounts<Sparse>>,
    /// Of each type.
    similarity: Option<Vec<f32>>,
    /// What the segment pays an item.
    paid: f64,
}

impl<'a> Features<'a> {
    /// From the visits more than `origin` days before the history's `as_of`.
    pub(super) fn new(shop: Shop<'a>, origin: u32) -> Self {
        let counts = Counts::new(shop.history, origin);
        let today = shop.history.as_of.checked_sub_days(Days::new(u64::from(origin)));
        let today = today.unwrap_or(shop.history.as_of);
        let heavy = rates(shop, origin, HEAVY_PRIOR);
        let light = rates(shop, origin, LIGHT_PRIOR);
        let kinds = &shop.history.shelves.product_type;
        let side = |(at, product): (usize, &Product)| {
            let population = heavy.levels(None, at as u32).population;
            product_side(&counts, at, kinds[at], population, product, today)
        };
        let products = shop.catalog.iter().enumerate().map(side).collect();
        let everything: Vec<(u32, f64)> =
            counts.types.iter().zip(0..).map(|((purchases, _), kind)| (kind, *purchases)).collect();
        let profile = shop.vectors.profile(&everything);
        Self { shop, counts, heavy, light, products, profile }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A segment's rows, one a product in the catalogue's order, as `FEATURES` columns.
    pub(super) fn batch(&self, segment: usize) -> RecordBatch {
        let mut columns = vec![Vec::new(); FEATURES];
        self.each(segment, |_, row, _| {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(*value);
            }
        });
        let arrays = columns.into_iter().map(|column| Arc::new(Float32Array::from(column)) as ArrayRef);
        RecordBatch::try_new(schema(), arrays.collect()).expect("columns of one length, as the schema says")
    }

    /// Hands each product's place, row and the segment's purchases of it to `take`.
    pub(super) fn each(&self, segment: usize, mut take: impl FnMut(usize, &Row, Option<&Own>)) {
        let name = self.shop.history.segments[segment].as_str();
        let members = &self.counts.members[segment];
        let side = SegmentSide {
            members,
            heavy: self.heavy.counts(name),
            light: self.light.counts(name),
            similarity: self.similarity(members),
            paid: ratio(members.value, members.quantity).unwrap_or(1.0).max(0.01),
        };
        let mut own = members.own.iter().peekable();
        for product in 0..self.products.len() {
            let mine = own.next_if(|own| own.product as usize == product);
            take(product, &self.row(&side, product, mine), mine);
        }
    }

    /// How like each type's vector is to what sets a segment's purchases apart from the population's.
    fn similarity(&self, members: &Members) -> Option<Vec<f32>> {
        let population = self.profile.as_ref()?;
        let Shop { history, vectors, .. } = self.shop;
        let kinds = &history.shelves.product_type;
        let own: Vec<(u32, f64)> =
            members.own.iter().map(|own| (kinds[own.product as usize], own.visits)).collect();
        let profile = vectors.profile(&own).unwrap_or_else(|| population.clone());
        let direction: Vec<f64> = profile.iter().zip(population).map(|(own, all)| own - all).collect();
        Some(vectors.cosines(&direction))
    }

    fn row(&self, segment: &SegmentSide<'_>, at: usize, own: Option<&Own>) -> Row {
        let (members, product) = (segment.members, &self.products[at]);
        let heavy = self.heavy.levels(segment.heavy, at as u32);
        let light = self.light.levels(segment.light, at as u32);
        let kind = self.shop.history.shelves.product_type[at] as usize;
        let none = Own { last: u32::MAX, ..Own::default() };
        let own = own.unwrap_or(&none);
        let visits = members.visits.max(1.0);
        let mut row = [0.0; FEATURES];
        let mut set = |feature: Feature, value: f64| row[feature as usize] = value as f32;
        set(Feature::Rate, heavy.product);
        set(Feature::LightRate, light.product);
        set(Feature::OwnRate, own.visits / visits);
        set(Feature::RecentRate, own.recent / (members.recent + RECENT_PRIOR));
        set(Feature::PopulationRate, heavy.population);
        set(Feature::RecentPopulationRate, product.recent_rate);
        set(Feature::TypeRate, heavy.kind);
        set(Feature::TypeAffinity, heavy.type_taste);
        set(Feature::AisleAffinity, heavy.aisle_taste);
        set(Feature::HouseholdMix, own.mix[0]);
        set(Feature::SlowHouseholdMix, own.mix[1]);
        set(Feature::Buyers, own.buyers / members.households.max(1.0));
        set(Feature::BuyerVisits, own.buyer_visits);
        set(Feature::RepeaterVisits, own.repeater_visits);
        set(Feature::DaysSince, f64::from(capped(own.last)));
        set(Feature::PopulationDaysSince, f64::from(product.days_since));
        set(Feature::Due, ratio(own.due, own.repeaters).unwrap_or(f64::from(NEVER_DUE)));
        set(Feature::RepurchaseInterval, f64::from(product.interval));
        set(Feature::RepurchaseShare, product.repurchase);
        set(Feature::Price, f64::from(product.price));
        set(Feature::RelativePrice, f64::from(product.price) / segment.paid);
        set(Feature::Promotion, product.promotion);
        set(Feature::PrivateLabel, f64::from(product.private_label));
        set(Feature::Trend, product.trend);
        set(Feature::TypeTrend, product.type_trend);
        set(Feature::DaysToHoliday, f64::from(product.holiday));
        set(Feature::TextSimilarity, segment.similarity.as_ref().map_or(0.0, |types| f64::from(types[kind])));
        set(Feature::SegmentVisits, members.visits);
        set(Feature::Concentration, members.concentration);
        row
    }
}

/// The quotient where the denominator is above 0.
fn ratio(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

fn capped(days: u32) -> f32 {
    (days as f32).min(NEVER_DAYS)
}

fn rates(shop: Shop<'_>, origin: u32, prior_visits: f64) -> PurchaseRates {
    let settings = Settings { prior_visits, ..Settings::default() };
    let mut builder = PurchaseRatesBuilder::new(shop.catalog, settings);
    let history = shop.history;
    let products: Vec<&str> = shop.catalog.iter().map(|product| product.product_id.as_str()).collect();
    let mut bought = history.bought.iter().peekable();
    for (at, visit) in history.visits.iter().enumerate() {
        let number = at.to_string();
        let segment = history.segments[visit.segment as usize].as_str();
        let mut add = |product| builder.add(Purchase { segment, household: "", visit: &number, product });
        let counts = visit.day > origin;
        if counts {
            // A visit without a product of the catalogue counts as a visit.
            add("");
        }
        while let Some(line) = bought.next_if(|line| line.visit as usize == at) {
            if counts {
                add(products[line.product as usize]);
            }
        }
    }
    builder.finish()
}

fn product_side(
    counts: &Counts,
    at: usize,
    kind: u32,
    population: f64,
    product: &Product,
    today: NaiveDate,
) -> ProductSide {
    let overall = &counts.products[at];
    let (purchases, lately) = counts.types[kind as usize];
    let usual = ratio(purchases, counts.visits).unwrap_or(0.0);
    let trend = |lately: f64, usual: f64| {
        ratio((lately + TREND_PRIOR * usual) / (counts.lately + TREND_PRIOR), usual).unwrap_or(1.0)
    };
    ProductSide {
        recent_rate: ratio(overall.recent, counts.recent).unwrap_or(0.0),
        days_since: overall.last.map_or(NEVER_DAYS, capped),
        interval: ratio(overall.intervals, overall.repeaters).map_or(NEVER_DAYS, |days| days as f32),
        repurchase: (overall.repeaters + 0.5) / (overall.buyers + 3.0),
        price: product.price,
        promotion: promotion(overall),
        private_label: f32::from(u8::from(product.private_label)),
        trend: trend(overall.lately, population),
        type_trend: trend(lately, usual),
        holiday: holiday(product, today),
    }
}

fn promotion(overall: &Overall) -> f64 {
    let paid = ratio(overall.value, overall.quantity).filter(|paid| *paid > 0.0);
    let lately = ratio(overall.value_lately, overall.quantity_lately);
    let share = paid.zip(lately).map(|(paid, lately)| (lately / paid).clamp(0.0, 3.0));
    share.unwrap_or(NOT_BOUGHT_LATELY)
}

/// Days to the nearest holiday, or summer, that a `seasonal-` tag names.
fn holiday(product: &Product, today: NaiveDate) -> f32 {
    let days = |tag: &String| {
        let holiday = match tag.strip_prefix("seasonal-")? {
            "christmas" => Holiday::Christmas,
            "easter" => Holiday::Easter,
            "halloween" => Holiday::Halloween,
            "valentine" => Holiday::Valentines,
            "summer" => return Some(if Season::of(today) == Season::Summer { 0.0 } else { NEVER_DAYS }),
            _ => return None,
        };
        Some((holiday.days_until(today)? as f32).min(NEVER_DAYS))
    };
    product.tags.iter().filter_map(days).fold(NO_TAG_DAYS, f32::min)
}
