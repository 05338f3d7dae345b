//! What merchandising rules do to each other, found before any page is made.
//!
//! The calendar of the file is cut into periods in which nothing begins or ends, and the segments into groups that the
//! same rules reach; within one period and group the active rules are constant, so each such situation is looked at once
//! ([`conflicts`], [`warnings`]). A *conflict* is proof that no page can keep all the rules it names: counting arguments
//! over the products that blocks, stock and the page's size leave. It is sound and not complete: rules that conflict in
//! subtler ways are an error of fusion, which verifies every page (MER-1). A *warning* is a rule that does nothing, or
//! not what was meant.
//!
//! What depends on tonight's stock is a conflict where tonight is within the period, elsewhere a warning.

mod calendar;
mod conflicts;
mod finding;
mod rehearse;
mod stock;
mod warnings;

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::merchandising::{Merchandising, Window};
use crate::domain::{Catalog, SegmentId};

use calendar::{Situation, situations};
use finding::{Raw, Severity, Tally};
use stock::Stock;

pub use finding::{Code, Finding, Survey};
pub use rehearse::{Firing, Rehearsal, Share, rehearse};

/// What rules are held against.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub merchandising: &'a Merchandising,
    /// Of the night; where there is none, those that the file names stand in.
    pub segments: &'a [SegmentId],
    /// Tonight: whose stock the catalogue tells.
    pub as_of: NaiveDate,
}

/// Every conflict and warning of the file, over its whole calendar.
pub fn survey(ground: &Ground<'_>) -> Survey {
    let situations = situations(ground);
    let stock = Stock::new(ground);
    let mut tally = tally(ground, &stock, &situations, |_| true);
    for raw in warnings::of_file(ground, &stock, &situations) {
        tally.add_everywhere(raw);
    }
    tally.finish()
}

/// The conflicts and warnings of one night; conflicts of later days are warnings.
pub fn survey_on(ground: &Ground<'_>, date: NaiveDate) -> Survey {
    let situations = situations(ground);
    let stock = Stock::new(ground);
    let later = |period: &Window| period.from.is_some_and(|from| from > date);
    let tonight = tally(ground, &stock, &situations, |period| period.contains(date)).finish();
    let after = tally(ground, &stock, &situations, later).finish();
    Survey {
        conflicts: tonight.conflicts,
        warnings: tonight.warnings.into_iter().chain(after.conflicts).collect(),
    }
}

fn tally<'a>(
    ground: &Ground<'_>,
    stock: &Stock<'_>,
    situations: &'a [Situation],
    wanted: impl Fn(&Window) -> bool,
) -> Tally<'a> {
    // Most situations have the active rules of another.
    let mut known: BTreeMap<[&[usize]; 3], Vec<Raw>> = BTreeMap::new();
    let mut tally = Tally::new(ground.segments.len());
    for situation in situations.iter().filter(|situation| wanted(&situation.period)) {
        let key = [&situation.rules[..], &situation.campaigns[..], &situation.goals[..]];
        let raws = known.entry(key).or_insert_with(|| {
            let mut raws = conflicts::of(ground, stock, situation);
            raws.extend(warnings::of(ground, stock, situation));
            raws
        });
        for raw in raws {
            let elsewhere = raw.of_tonight && !situation.period.contains(ground.as_of);
            let severity = if elsewhere { Severity::Warning } else { raw.severity };
            tally.add(severity, raw, situation);
        }
    }
    tally
}
