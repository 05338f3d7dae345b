//! Segment contexts: how a segment shops and what sets it apart, from the window's counts.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::households::Households;
use super::journey::{Answer, Journey};
use super::taxonomy::Taxonomy;
use super::{DatasetError, RECENT_DAYS, WINDOW_DAYS};
use crate::domain::segment::{ActiveMerchandising, Distinctive, Shopping};
use crate::domain::{SegmentContext, SegmentId};

const MAX_DISTINCTIVE: usize = 14;
const MAX_STAPLES: usize = 8;
const MAX_RISING: usize = 6;
/// A distinctive type is bought by this share of the segment's households, or by two of them.
const MIN_SHARE: f64 = 0.12;
const MIN_BUYERS: f64 = 2.0;
const MIN_LIFT: f64 = 1.15;
/// A rising type has so many recent visits, and as many as this share of the households.
const MIN_RISING_VISITS: f64 = 3.0;
const MIN_RISING_SHARE: f64 = 0.15;
const MIN_GROWTH: f64 = 1.3;
/// Demographics are told where they are known of so many households, and of this share of them.
const MIN_KNOWN: f64 = 3.0;
const MIN_KNOWN_SHARE: f64 = 0.15;

/// The context of each segment, in order of `ids`; `members` are positions in `households`.
pub async fn describe(
    journey: &Journey,
    taxonomy: &Taxonomy,
    households: &Households,
    members: &[Vec<usize>],
    ids: &[SegmentId],
    as_of: NaiveDate,
) -> Result<Vec<SegmentContext>, DatasetError> {
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let shopping = shopping(&journey.ask("shopping", include_str!("sql/shopping.sql")).await?, &sizes)?;
    let demographics = demographics(journey, &sizes).await?;
    let growth = growth(&journey.ask("growth", include_str!("sql/growth.sql")).await?, members.len())?;
    let aisles = aisles(&journey.ask("aisles", include_str!("sql/aisles.sql")).await?, taxonomy)?;
    let population = households.buyers(taxonomy.types.len());
    let mut contexts = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        let profile = Profile::of(households, &members[at], taxonomy.types.len());
        let staples = profile.staples();
        let rising = rising(&growth[at], sizes[at], &staples);
        let name = |kind: &usize| taxonomy.types[*kind].clone();
        let distinctive = profile.distinctive(&population, households.ids.len());
        contexts.push(SegmentContext {
            segment_id: id.clone(),
            as_of,
            households: sizes[at] as u32,
            demographics: demographics[at].clone(),
            shopping: shopping[at],
            distinctive: distinctive.into_iter().map(|found| found.named(taxonomy, &aisles)).collect(),
            staples: staples.iter().map(name).collect(),
            rising: rising.iter().map(name).collect(),
            session: BTreeMap::new(),
            merchandising: ActiveMerchandising::default(),
        });
    }
    Ok(contexts)
}

/// What a segment's households bought, by type.
struct Profile {
    households: f64,
    /// Households that bought it.
    buyers: Vec<u32>,
    /// Visits on which a household bought it, over all households.
    visits: Vec<u32>,
}

/// A type that sets a segment apart.
struct Found {
    kind: usize,
    share: f64,
    lift: f64,
}

impl Found {
    fn named(self, taxonomy: &Taxonomy, aisles: &[String]) -> Distinctive {
        Distinctive {
            name: taxonomy.types[self.kind].clone(),
            aisle: aisles[self.kind].clone(),
            households: rounded(self.share, 2),
            lift: rounded(self.lift, 1),
        }
    }
}

impl Profile {
    fn of(households: &Households, members: &[usize], types: usize) -> Self {
        let mut profile =
            Self { households: members.len() as f64, buyers: vec![0; types], visits: vec![0; types] };
        for (kind, visits) in members.iter().flat_map(|at| &households.purchases[*at]) {
            profile.buyers[*kind] += 1;
            profile.visits[*kind] += visits;
        }
        profile
    }

    /// The types by share × ln(lift), where lift is the smoothed share of buyers over the population's.
    fn distinctive(&self, population: &[u32], all_households: usize) -> Vec<Found> {
        let n = self.households;
        let least = MIN_SHARE.min(MIN_BUYERS / n);
        let all = self.buyers.iter().zip(population).enumerate().map(|(kind, (buyers, everywhere))| {
            let share = f64::from(*buyers) / n;
            let lift = (share + 0.5 / n) / (f64::from(*everywhere) / all_households as f64 + 0.005);
            Found { kind, share, lift }
        });
        let mut found: Vec<Found> =
            all.filter(|found| found.share >= least && found.lift > MIN_LIFT).collect();
        let weight = |found: &Found| found.share * found.lift.ln();
        found.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        found.truncate(MAX_DISTINCTIVE);
        found
    }

    /// The types bought on most visits.
    fn staples(&self) -> Vec<usize> {
        let mut bought: Vec<usize> = (0..self.visits.len()).filter(|kind| self.visits[*kind] > 0).collect();
        bought.sort_by_key(|kind| std::cmp::Reverse(self.visits[*kind]));
        bought.truncate(MAX_STAPLES);
        bought
    }
}

/// A type's visits in a segment, in the recent days and in those of the window before.
#[derive(Clone, Copy)]
struct Growth {
    kind: usize,
    recent: f64,
    earlier: f64,
}

impl Growth {
    /// Visits against those of an equally long stretch before, smoothed.
    fn factor(&self) -> f64 {
        let stretches = (WINDOW_DAYS - RECENT_DAYS) as f64 / RECENT_DAYS as f64;
        (self.recent + 1.0) / (self.earlier / stretches + 1.5)
    }
}

fn growth(answer: &Answer, segments: usize) -> Result<Vec<Vec<Growth>>, DatasetError> {
    let (segment, kind) = (answer.integers("segment")?, answer.integers("type_id")?);
    let (recent, earlier) = (answer.integers("recent")?, answer.integers("earlier")?);
    let mut growth = vec![Vec::new(); segments];
    for at in 0..answer.len() {
        growth[segment.value(at) as usize].push(Growth {
            kind: kind.value(at) as usize,
            recent: recent.value(at) as f64,
            earlier: earlier.value(at) as f64,
        });
    }
    Ok(growth)
}

fn rising(growth: &[Growth], households: usize, staples: &[usize]) -> Vec<usize> {
    let least = MIN_RISING_VISITS.max(households as f64 * MIN_RISING_SHARE);
    let candidates = growth.iter().filter(|growth| growth.recent >= least && growth.factor() > MIN_GROWTH);
    let mut rising: Vec<&Growth> = candidates.filter(|growth| !staples.contains(&growth.kind)).collect();
    rising.sort_by(|a, b| b.factor().total_cmp(&a.factor()));
    rising.into_iter().take(MAX_RISING).map(|growth| growth.kind).collect()
}

fn shopping(answer: &Answer, sizes: &[usize]) -> Result<Vec<Shopping>, DatasetError> {
    let column = |name| answer.integers(name);
    let (segment, visits, cents) = (column("segment")?, column("visits")?, column("cents")?);
    let (private, discount) = (column("private_cents")?, column("discount_cents")?);
    let (evening, weekend) = (column("evening_visits")?, column("weekend_visits")?);
    let weeks = WINDOW_DAYS as f64 / 7.0;
    let mut shopping = vec![Shopping::default(); sizes.len()];
    for at in 0..answer.len() {
        let segment = segment.value(at) as usize;
        let share = |part: i64, whole: i64| rounded(part as f64 / whole.max(1) as f64, 2);
        let (visits, cents, discount) = (visits.value(at), cents.value(at), discount.value(at));
        shopping[segment] = Shopping {
            visits_per_week: rounded(visits as f64 / sizes[segment] as f64 / weeks, 1),
            basket_value: rounded(cents as f64 / 100.0 / visits as f64, 2),
            private_label_share: share(private.value(at), cents),
            on_promotion_share: share(discount, cents + discount),
            evening_share: share(evening.value(at), visits),
            weekend_share: share(weekend.value(at), visits),
        };
    }
    Ok(shopping)
}

/// The most frequent answers of each segment, empty where too few are known.
async fn demographics(
    journey: &Journey,
    sizes: &[usize],
) -> Result<Vec<BTreeMap<String, String>>, DatasetError> {
    let known = journey.ask("known", include_str!("sql/known.sql")).await?;
    let answers = journey.ask("demographics", include_str!("sql/demographics.sql")).await?;
    let mut told: Vec<BTreeMap<String, String>> = vec![BTreeMap::new(); sizes.len()];
    let (segment, households) = (known.integers("segment")?, known.integers("known")?);
    let with_kids = known.integers("with_kids")?;
    for at in 0..known.len() {
        let segment = segment.value(at) as usize;
        let households = households.value(at) as f64;
        if households >= MIN_KNOWN.max(MIN_KNOWN_SHARE * sizes[segment] as f64) {
            let share = rounded(with_kids.value(at) as f64 / households, 2);
            told[segment].insert("with_kids".into(), share.to_string());
        }
    }
    let (segment, question, answer) =
        (answers.integers("segment")?, answers.texts("question")?, answers.texts("answer")?);
    for at in 0..answers.len() {
        let told = &mut told[segment.value(at) as usize];
        if !told.is_empty() {
            told.insert(question.value(at).into(), answer.value(at).into());
        }
    }
    Ok(told)
}

/// Each type's aisle: of its rows' aisles the one bought most, of equals the first in the alphabet.
fn aisles(answer: &Answer, taxonomy: &Taxonomy) -> Result<Vec<String>, DatasetError> {
    let (rows, counts) = (answer.integers("taxonomy_row")?, answer.integers("bought")?);
    let mut bought = vec![0; taxonomy.rows.len()];
    for at in 0..answer.len() {
        bought[rows.value(at) as usize] = counts.value(at);
    }
    let mut by_type = BTreeMap::<&str, BTreeMap<&str, i64>>::new();
    for (row, bought) in taxonomy.rows.iter().zip(bought) {
        *by_type.entry(&row.name).or_default().entry(&row.aisle).or_default() += bought;
    }
    let most = |aisles: &BTreeMap<&str, i64>| {
        let best = aisles.iter().min_by_key(|(_, bought)| -**bought);
        best.map(|(aisle, _)| (*aisle).to_owned()).unwrap_or_default()
    };
    Ok(by_type.values().map(most).collect())
}

/// Rounded to so many decimals, so that the same counts print the same.
fn rounded(value: f64, decimals: i32) -> f32 {
    let scale = 10f64.powi(decimals);
    ((value * scale).round() / scale) as f32
}
