//! What a survey finds, and where and when it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::domain::SegmentId;
use crate::domain::merchandising::Window;

use super::calendar::Situation;

/// The kind of a finding; stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Two products at one position, or one product at two.
    PinClash,
    /// The product is not in the catalogue.
    PinUnknown,
    PinOutOfStock,
    /// Another rule keeps the product off the page.
    PinForbidden,
    /// The page cannot have a placement at that position.
    PinOffThePage,
    /// More products are pinned than a quota allows.
    PinsOverQuota,
    /// The pinned product leaves the campaign no majority of the first placement.
    PinBeforeCampaign,
    /// A lower bound, or the campaign that goes first, asks for more products than there are.
    TooFewProducts,
    /// A lower bound forces more products or placements than an upper bound allows.
    QuotaClash,
    /// Lower bounds together ask for more than the page holds.
    PageTooSmall,
    /// Too few products are left for a single placement.
    NothingToShow,
    /// A banned phrase stands in a campaign's name.
    CampaignName,
    /// Warning: no product in stock matches.
    NoProducts,
    /// Warning: no segment is reached.
    NoSegments,
    /// Warning: something listed earlier takes its place.
    Shadowed,
    /// Warning: no campaign is ever active for it.
    NoCampaign,
    /// Warning: one rule boosts what another buries.
    Opposed,
    /// Warning: other rules keep all its products off the page.
    NothingLeft,
    /// Warning: no rule, campaign or objective names it.
    UnusedAudience,
}

/// A conflict or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub code: Code,
    /// Ids of the rules at fault.
    pub rules: Vec<String>,
    /// Names of the campaigns at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<String>,
    pub problem: String,
    /// The days on which they meet, in order.
    pub when: Vec<Window>,
    /// The segments in which they meet; empty where that is not a matter of segments.
    pub segments: Vec<SegmentId>,
    /// Of so many segments in all.
    pub of_segments: usize,
}

/// What a survey found; each list in order of code, then rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    pub conflicts: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(|id| format!("rule {id:?}"));
        let names: Vec<String> =
            rules.chain(self.campaigns.iter().map(|name| format!("campaign {name:?}"))).collect();
        if !names.is_empty() {
            write!(f, "{}: ", names.join(", "))?;
        }
        f.write_str(&self.problem)?;
        let days: Vec<String> = self.when.iter().map(ToString::to_string).collect();
        let place = [days.join(", "), self.place()];
        let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
        if place.is_empty() { Ok(()) } else { write!(f, " [{}]", place.join("; ")) }
    }
}

impl Finding {
    fn place(&self) -> String {
        const NAMED: usize = 4;
        let count = self.segments.len();
        if count == 0 {
            return String::new();
        }
        if count == self.of_segments {
            return "every segment".into();
        }
        let named: Vec<&str> = self.segments.iter().take(NAMED).map(SegmentId::as_str).collect();
        let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
        format!("{}{more}", named.join(", "))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Conflict,
    Warning,
}

/// A finding before it is known where and when it holds.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub severity: Severity,
    pub code: Code,
    pub rules: Vec<String>,
    pub campaigns: Vec<String>,
    pub problem: String,
    /// Whether another night's stock could undo it.
    pub of_tonight: bool,
}

impl Raw {
    pub(super) fn conflict(code: Code, rules: &[&str], problem: String) -> Self {
        let rules = rules.iter().map(|id| (*id).to_owned()).collect();
        let (campaigns, severity) = (Vec::new(), Severity::Conflict);
        Self { severity, code, rules, campaigns, problem, of_tonight: false }
    }

    pub(super) fn warning(code: Code, rules: &[&str], problem: String) -> Self {
        Self { severity: Severity::Warning, ..Self::conflict(code, rules, problem) }
    }

    pub(super) fn of_campaigns(self, names: &[&str]) -> Self {
        Self { campaigns: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    pub(super) fn tonight(self, of_tonight: bool) -> Self {
        Self { of_tonight, ..self }
    }
}

type Key = (Severity, Code, Vec<String>, Vec<String>, String);

/// Findings with the situations they hold in.
pub(super) struct Tally<'a> {
    of_segments: usize,
    found: BTreeMap<Key, (Vec<Window>, BTreeSet<&'a SegmentId>)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(of_segments: usize) -> Self {
        Self { of_segments, found: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, severity: Severity, raw: &Raw, situation: &'a Situation) {
        let (when, segments) = self.found.entry(key(severity, raw)).or_default();
        join(when, situation.period);
        segments.extend(&situation.segments);
    }

    /// Adds what holds whatever the day and segment.
    pub(super) fn add_everywhere(&mut self, raw: Raw) {
        self.found.entry(key(raw.severity, &raw)).or_default();
    }

    pub(super) fn finish(self) -> Survey {
        let mut survey = Survey::default();
        for ((severity, code, rules, campaigns, problem), (when, segments)) in self.found {
            let segments = segments.into_iter().cloned().collect();
            let of_segments = self.of_segments;
            let finding = Finding { code, rules, campaigns, problem, when, segments, of_segments };
            match severity {
                Severity::Conflict => survey.conflicts.push(finding),
                Severity::Warning => survey.warnings.push(finding),
            }
        }
        survey
    }
}

fn key(severity: Severity, raw: &Raw) -> Key {
    (severity, raw.code, raw.rules.clone(), raw.campaigns.clone(), raw.problem.clone())
}

/// Adds a period that begins no earlier than the last; neighbours become one.
fn join(when: &mut Vec<Window>, period: Window) {
    let adjoins = |last: &&mut Window| {
        last.from == period.from
            || last.to.and_then(|to| to.succ_opt()) == period.from && period.from.is_some()
    };
    match when.last_mut().filter(adjoins) {
        Some(last) => last.to = period.to,
        None => when.push(period),
    }
}
