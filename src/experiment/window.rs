//! Which events are read, and what is known of the time before them.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::experiment::{Events, Totals};
use crate::domain::{ArmId, UnitId};

use super::ExperimentError;

/// Days to read, both inclusive; `None` where they are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    pub from: Option<NaiveDate>,
    pub until: Option<NaiveDate>,
}

impl Window {
    fn contains(&self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| date >= from) && self.until.is_none_or(|until| date <= until)
    }
}

/// The events of `window`; units without any are left out.
pub fn within(events: Events, window: &Window) -> Result<Events, ExperimentError> {
    if *window == Window::default() {
        return Ok(events);
    }
    let (Some(first), Some(last)) = (events.days.first(), events.days.last()) else {
        return Err(ExperimentError::NoDates);
    };
    let span = (first.date, last.date);
    let mut totals: Vec<Option<Totals>> = vec![None; events.units.len()];
    let mut days = events.days;
    days.retain(|day| window.contains(day.date));
    for (place, row) in days.iter().flat_map(|day| &day.rows) {
        *totals[*place].get_or_insert_default() += *row;
    }
    if days.is_empty() {
        let shown = |date: Option<NaiveDate>| date.map_or_else(|| "any day".into(), |date| date.to_string());
        return Err(ExperimentError::EmptyWindow {
            from: shown(window.from),
            until: shown(window.until),
            first: span.0.to_string(),
            last: span.1.to_string(),
        });
    }
    let mut places = vec![0; totals.len()];
    let mut units = Vec::new();
    for (at, (mut unit, totals)) in events.units.into_iter().zip(totals).enumerate() {
        let Some(totals) = totals else { continue };
        places[at] = units.len();
        unit.totals = totals;
        units.push(unit);
    }
    days.iter_mut().flat_map(|day| &mut day.rows).for_each(|(place, _)| *place = places[*place]);
    let mut events = Events { arms: events.arms, units, days };
    drop_empty_arms(&mut events);
    Ok(events)
}

fn drop_empty_arms(events: &mut Events) {
    let mut seen = vec![false; events.arms.len()];
    events.units.iter().for_each(|unit| seen[unit.arm] = true);
    let kept: Vec<ArmId> =
        events.arms.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(arm, _)| arm.clone()).collect();
    for unit in &mut events.units {
        unit.arm -= seen[..unit.arm].iter().filter(|seen| !**seen).count();
    }
    events.arms = kept;
}

/// Gives the units their past; one that is not in `before` has none that is known. Returns how many have one.
pub fn with_before(events: &mut Events, before: &BTreeMap<UnitId, Totals>) -> usize {
    for unit in &mut events.units {
        unit.before = before.get(&unit.unit).copied();
    }
    events.units.iter().filter(|unit| unit.before.is_some()).count()
}
