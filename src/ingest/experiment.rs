//! The tables of an experiment: its events, the activity before it, and households to be assigned.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;

use super::cells::{Cells, Range};
use super::table::Table;
use super::{IngestError, TableFile, contract};
use crate::domain::experiment::{Day, Events, Totals, UnitTotals};
use crate::domain::{ArmId, UnitId};

/// Names of the columns that hold [`Totals`].
type Columns = [&'static str; 3];

const DURING: Columns = ["page_views", "cart_adds", "revenue"];
const BEFORE: Columns = ["pre_page_views", "pre_cart_adds", "pre_revenue"];

/// Reads an experiment's events and adds them up by unit and, where they have dates, by day.
pub fn events(file: &TableFile) -> Result<Events, IngestError> {
    let mut sums = Sums::default();
    Table::open(file, contract::events_schema())?.each(|rows| {
        for at in 0..rows.len() {
            sums.add(rows, at)?;
        }
        Ok(())
    })?;
    if sums.units.is_empty() {
        return Err(IngestError::NoRows { file: file.name().into(), what: "event" });
    }
    Ok(sums.finish())
}

/// Reads what units did before an experiment, or any events as that: the sums of each unit.
pub fn activity(file: &TableFile) -> Result<BTreeMap<UnitId, Totals>, IngestError> {
    let mut units: HashMap<String, Totals> = HashMap::new();
    let mut checked = BTreeMap::new();
    Table::open(file, contract::activity_schema())?.each(|rows| {
        for at in 0..rows.len() {
            let totals = totals(rows, at, DURING)?;
            match units.get_mut(rows.raw("unit", at)) {
                Some(sum) => *sum += totals,
                None => {
                    let id: UnitId = rows.id("unit", at)?;
                    units.insert(id.into(), totals);
                }
            }
        }
        Ok(())
    })?;
    for (unit, totals) in units {
        checked.insert(UnitId::parse(unit).expect("checked when it was first seen"), totals);
    }
    if checked.is_empty() {
        return Err(IngestError::NoRows { file: file.name().into(), what: "unit" });
    }
    Ok(checked)
}

/// Reads households to be assigned: the `household_id` of a Parquet file, or a text file's lines; each once.
pub fn households(file: &TableFile) -> Result<BTreeSet<UnitId>, IngestError> {
    let mut units = BTreeSet::new();
    if file.bytes().starts_with(b"PAR1") {
        Table::open(file, contract::households_schema())?.each(|rows| {
            for at in 0..rows.len() {
                units.insert(rows.id("household_id", at)?);
            }
            Ok(())
        })?;
    } else {
        for (line, row) in file.text()?.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            let unit = UnitId::parse(line.trim()).map_err(|error| IngestError::Cell {
                file: file.name().into(),
                column: "household_id".into(),
                row,
                problem: error.to_string(),
            })?;
            units.insert(unit);
        }
    }
    if units.is_empty() {
        return Err(IngestError::NoRows { file: file.name().into(), what: "household" });
    }
    Ok(units)
}

fn totals(rows: &Cells<'_>, at: usize, columns: Columns) -> Result<Totals, IngestError> {
    let [page_views, cart_adds, revenue] = columns;
    Ok(Totals {
        page_views: f64::from(rows.count(page_views, at)),
        cart_adds: rows.double(cart_adds, at, Range::Amount)?,
        revenue: rows.double(revenue, at, Range::Any)?,
    })
}

/// The pre-period columns: all three or none.
fn before(rows: &Cells<'_>, at: usize) -> Result<Option<Totals>, IngestError> {
    let missing = BEFORE.iter().filter(|column| rows.is_null(column, at)).count();
    match missing {
        0 => totals(rows, at, BEFORE).map(Some),
        3 => Ok(None),
        _ => Err(rows.refuse(
            BEFORE[0],
            at,
            format!("{} must all three have a value or all three be null", BEFORE.join(", ")),
        )),
    }
}

/// Events added up so far, units in the order of their first row.
#[derive(Default)]
struct Sums {
    places: HashMap<String, usize>,
    units: Vec<Unit>,
    days: BTreeMap<NaiveDate, HashMap<usize, Totals>>,
    /// Whether the first row has a date.
    dated: Option<bool>,
}

struct Unit {
    id: UnitId,
    arm: ArmId,
    totals: Totals,
    before: Option<Totals>,
}

impl Sums {
    fn add(&mut self, rows: &Cells<'_>, at: usize) -> Result<(), IngestError> {
        let during = totals(rows, at, DURING)?;
        let before = before(rows, at)?;
        let place = self.place(rows, at, before)?;
        self.units[place].totals += during;
        let date = if rows.is_null("date", at) { None } else { Some(rows.date("date", at)?) };
        if *self.dated.get_or_insert(date.is_some()) != date.is_some() {
            return Err(rows.refuse("date", at, "either every row has a date or none has"));
        }
        if let Some(date) = date {
            *self.days.entry(date).or_default().entry(place).or_default() += during;
        }
        Ok(())
    }

    /// Place of the row's unit, which is new or agrees with its earlier rows.
    fn place(&mut self, rows: &Cells<'_>, at: usize, before: Option<Totals>) -> Result<usize, IngestError> {
        let Some(&place) = self.places.get(rows.raw("unit", at)) else {
            let id: UnitId = rows.id("unit", at)?;
            let arm = rows.id("arm", at)?;
            self.places.insert(id.as_str().to_owned(), self.units.len());
            self.units.push(Unit { id, arm, totals: Totals::default(), before });
            return Ok(self.units.len() - 1);
        };
        let unit = &self.units[place];
        if rows.raw("arm", at) != unit.arm.as_str() {
            return Err(IngestError::TwoArms {
                file: rows.file().into(),
                unit: super::text::shown(unit.id.as_str()),
                row: rows.row(at),
                arm: rows.id("arm", at)?,
                before: unit.arm.clone(),
            });
        }
        if before != unit.before {
            return Err(rows.refuse(BEFORE[0], at, "the unit's pre-period differs from its earlier rows'"));
        }
        Ok(place)
    }

    fn finish(self) -> Events {
        let arms: BTreeSet<ArmId> = self.units.iter().map(|unit| unit.arm.clone()).collect();
        let arms: Vec<ArmId> = arms.into_iter().collect();
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        order.sort_by(|a, b| self.units[*a].id.cmp(&self.units[*b].id));
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, place)| rank[*place] = at);
        let mut units: Vec<UnitTotals> = self.units.into_iter().map(|unit| finished(unit, &arms)).collect();
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        let days = self.days.into_iter().map(|(date, rows)| {
            let mut rows: Vec<_> = rows.into_iter().map(|(place, totals)| (rank[place], totals)).collect();
            rows.sort_by_key(|(place, _)| *place);
            Day { date, rows }
        });
        Events { arms, units, days: days.collect() }
    }
}

fn finished(unit: Unit, arms: &[ArmId]) -> UnitTotals {
    let arm = arms.binary_search(&unit.arm).expect("the arms are the units'");
    UnitTotals { unit: unit.id, arm, totals: unit.totals, before: unit.before }
}
