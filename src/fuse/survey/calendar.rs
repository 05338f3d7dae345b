//! Cuts a file's calendar and the night's segments into situations with constant rules.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::domain::SegmentId;
use crate::domain::merchandising::{Merchandising, Reach, Window};

use super::Ground;

/// A period and a group of segments in which the same things are active, each list in file order.
#[derive(Debug, Clone)]
pub(super) struct Situation {
    pub period: Window,
    /// Empty for a segment that the file does not name, where the night has none.
    pub segments: Vec<SegmentId>,
    /// Numbers of the active rules, campaigns and dated goals.
    pub rules: Vec<usize>,
    pub campaigns: Vec<usize>,
    pub goals: Vec<usize>,
}

/// Every situation, by period and then by group.
pub(super) fn situations(ground: &Ground<'_>) -> Vec<Situation> {
    let reaches: Vec<&Reach> = reaches(ground.merchandising).collect();
    let groups = groups(ground, &reaches);
    let (rules, campaigns) = (ground.merchandising.rules.len(), ground.merchandising.campaigns.len());
    let mut situations = Vec::new();
    for period in periods(&reaches) {
        let day = period.from.or(period.to).unwrap_or(ground.as_of);
        let open: Vec<bool> = reaches.iter().map(|reach| reach.window.contains(day)).collect();
        for (reached, segments) in &groups {
            let active = |from: usize, to: usize| -> Vec<usize> {
                (from..to).filter(|at| open[*at] && reached[*at]).map(|at| at - from).collect()
            };
            situations.push(Situation {
                period,
                segments: segments.clone(),
                rules: active(0, rules),
                campaigns: active(rules, rules + campaigns),
                goals: active(rules + campaigns, reaches.len()),
            });
        }
    }
    situations
}

/// Of rules, campaigns, goals, in this order.
fn reaches(merchandising: &Merchandising) -> impl Iterator<Item = &Reach> {
    let rules = merchandising.rules.iter().map(|rule| &rule.reach);
    let campaigns = merchandising.campaigns.iter().map(|campaign| &campaign.reach);
    rules.chain(campaigns).chain(merchandising.goals.iter().map(|dated| &dated.reach))
}

/// Segments by which reaches include them.
fn groups(ground: &Ground<'_>, reaches: &[&Reach]) -> BTreeMap<Vec<bool>, Vec<SegmentId>> {
    let mut groups: BTreeMap<Vec<bool>, Vec<SegmentId>> = BTreeMap::new();
    let named: BTreeSet<SegmentId>;
    let segments: Vec<&SegmentId> = if ground.segments.is_empty() {
        named = reaches.iter().flat_map(|reach| reach.segments.iter().flatten()).cloned().collect();
        groups.insert(reaches.iter().map(|reach| reach.segments.is_none()).collect(), Vec::new());
        named.iter().collect()
    } else {
        ground.segments.iter().collect()
    };
    for segment in segments {
        let reached = reaches.iter().map(|reach| reach.includes(segment)).collect();
        groups.entry(reached).or_default().push(segment.clone());
    }
    groups
}

/// The calendar between the days on which something begins or has ended; the first and last period are open.
fn periods(reaches: &[&Reach]) -> Vec<Window> {
    let begins = reaches.iter().filter_map(|reach| reach.window.from);
    let after = reaches.iter().filter_map(|reach| reach.window.to?.succ_opt());
    let bounds: BTreeSet<NaiveDate> = begins.chain(after).collect();
    let starts = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let ends = bounds.iter().map(|day| day.pred_opt()).chain([None]);
    starts.zip(ends).map(|(from, to)| Window { from, to }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(from: Option<&str>, to: Option<&str>) -> Reach {
        let day = |text: &str| text.parse().expect("date");
        Reach { window: Window { from: from.map(day), to: to.map(day) }, ..Reach::default() }
    }

    #[test]
    fn the_calendar_is_cut_where_something_begins_or_has_ended() {
        let (one, two) = (reach(Some("2017-11-06"), Some("2017-11-26")), reach(Some("2017-11-20"), None));
        let texts: Vec<String> = periods(&[&one, &two]).iter().map(ToString::to_string).collect();
        let expected =
            ["until 2017-11-05", "2017-11-06 to 2017-11-19", "2017-11-20 to 2017-11-26", "from 2017-11-27"];
        assert_eq!(texts, expected);
        assert_eq!(periods(&[&reach(None, None)]), [Window::default()]);
    }
}
