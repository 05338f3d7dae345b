//! Recent purchases, first purchases and affinities, counted by hand on a tiny shop.

use chrono::{Days, NaiveDate};
use endcap::domain::ranker::Ranker;
use endcap::rank::{Forecast, History, HistoryBuilder, Line, PurchaseRatesBuilder, Settings};

use super::{catalog, find, segment};

/// (segment, household, visit, product, days before)
type Row = (&'static str, &'static str, &'static str, &'static str, u64);

fn history(rows: &[Row]) -> History {
    let as_of = NaiveDate::from_ymd_opt(2017, 11, 6).expect("date");
    let catalog = catalog();
    let mut builder = HistoryBuilder::new(&catalog, as_of);
    for (segment, household, visit, product, before) in rows {
        let date = as_of.checked_sub_days(Days::new(*before)).expect("date");
        builder.add(Line { segment, household, visit, product, date, quantity: 1.0, value: 1.0 });
    }
    builder.finish()
}

fn forecast(rows: &[Row]) -> Forecast {
    let catalog = catalog();
    let rates = PurchaseRatesBuilder::new(&catalog, Settings::default()).finish();
    Forecast::new(&catalog, &history(rows), rates)
}

fn close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
}

/// "a" has two recent visits of all three; "gala" is in one of the two and in "b"'s.
#[test]
fn recent_purchases_are_the_last_weeks_shrunk_to_everybodys() {
    let rows = [
        ("a", "1", "x", "gala", 3),
        ("a", "1", "y", "milk", 28),
        ("b", "2", "x", "gala", 5),
        ("a", "1", "w", "milk", 29),
    ];
    let (forecast, catalog) = (forecast(&rows), catalog());
    let recent = |name: &str, id: &str| forecast.recent_purchases(&segment(name), find(&catalog, id));
    close(recent("a", "gala"), (1.0 + 100.0 * 2.0 / 3.0) / 102.0);
    close(recent("b", "milk"), (100.0 / 3.0) / 101.0);
    close(recent("new", "gala"), 2.0 / 3.0);
    close(recent("a", "fuji"), 0.0);
}

/// The span is 84 days, so 28 are recent. Household 1 has had "gala" before, 2 tries it, 3 never does; each has visits before and
/// after. A household counts once for what it tries.
#[test]
fn first_purchases_are_tries_by_households_without_the_product() {
    let rows = [
        ("a", "1", "v1", "gala", 84),
        ("a", "1", "v2", "gala", 10),
        ("a", "2", "v3", "milk", 80),
        ("a", "2", "v4", "gala", 20),
        ("a", "2", "v5", "gala", 2),
        ("b", "3", "v6", "milk", 60),
        ("b", "3", "v7", "milk", 6),
    ];
    let (forecast, catalog) = (forecast(&rows), catalog());
    let first = |name: &str, id: &str| forecast.first_purchases(&segment(name), find(&catalog, id));
    // Recent visits: one of 1, two of 2, one of 3. Without "gala" before: 2's and 3's, three; one of these households tried it.
    // "fuji" is of its type, and nobody had it: four chances, no try.
    let of_type = 1.0 / (3.0 + 4.0);
    let gala = (1.0 + 300.0 * of_type) / (3.0 + 300.0);
    // All visits of segment "a" are by households that have had "gala" now; of "b", none.
    close(first("a", "gala"), 0.0);
    close(first("b", "gala"), gala);
    // Of the population's seven visits, five are by households that had it.
    close(first("new", "gala"), gala * 2.0 / 7.0);
    close(first("b", "fuji"), 300.0 * of_type / 304.0);
    close(first("b", "milk"), 0.0);
}

/// Apples and milk meet in every visit that holds either, pears stand alone.
#[test]
fn affinity_is_how_much_oftener_types_meet_than_the_average_purchase() {
    let visits: Vec<String> = (0..40).map(|visit| format!("v{visit}")).collect();
    let mut rows = Vec::new();
    for (at, visit) in visits.iter().enumerate() {
        let visit: &'static str = Box::leak(visit.clone().into_boxed_str());
        match at % 2 {
            0 => rows.extend([("a", "1", visit, "gala", 9), ("a", "1", visit, "milk", 9)]),
            _ => rows.push(("a", "1", visit, "conference", 9)),
        }
    }
    let (forecast, catalog) = (forecast(&rows), catalog());
    let affinity = |with: &str, id: &str| forecast.affinity(find(&catalog, with), find(&catalog, id));
    // 20 of 40 visits hold each type. Shrunk lifts: together 25/15, apart 5/15; of purchases a third each, so milk's mean is
    // (25 + 25 + 5) / 3 / 15.
    let (together, apart) = (25.0 / 15.0, 5.0 / 15.0);
    let mean = (2.0 * together + apart) / 3.0;
    close(affinity("gala", "milk"), together / mean);
    close(affinity("fuji", "milk"), together / mean);
    close(affinity("conference", "milk"), apart / mean);
    assert!(affinity("gala", "milk") > 1.0 && affinity("gala", "conference") < 1.0);
}

#[test]
fn nothing_is_known_of_an_empty_past() {
    let (forecast, catalog) = (forecast(&[]), catalog());
    let (gala, milk) = (find(&catalog, "gala"), find(&catalog, "milk"));
    close(forecast.recent_purchases(&segment("a"), gala), 0.0);
    close(forecast.first_purchases(&segment("a"), gala), 0.0);
    assert!(forecast.affinity(gala, milk).is_finite());
}
