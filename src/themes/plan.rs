//! Sorts a segment's signals into theme seeds: which product types belong together on one placement.
//!
//! A greedy grouping in the sentence encoder's space: each seed takes the nearest signals no other theme has taken, so no
//! concept stands twice on a page. The model writes around these anchors; it does not choose them.

use std::collections::BTreeSet;

use crate::domain::SegmentContext;

use super::phrases::Wording;

/// What kind of signal a theme is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SeedKind {
    Campaign,
    Distinctive,
    Rising,
    Staple,
}

/// A product type, campaign feature or aisle that a theme may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Shopper's words, lower case but for proper names.
    pub phrase: String,
    /// Short enough for a title, and no mere filler.
    pub titled: bool,
}

/// One theme before the model writes it: 3 to [`MAX_ANCHORS`] anchors, none shared with another theme of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeSeed {
    pub kind: SeedKind,
    /// The signal it is built around first.
    pub anchors: Vec<Anchor>,
    /// Where the first signal stands, if known.
    pub aisle: Option<String>,
}

/// Most concepts a theme has.
pub const MAX_ANCHORS: usize = 6;
/// Fewest concepts a theme has.
pub const MIN_ANCHORS: usize = 3;
/// Least cosine of all-MiniLM-L6-v2 at which two product types share a theme; below it shoppers see no connection.
const NEAR: f32 = 0.46;
/// Longest name a title carries, characters; longer ones are left to the concepts.
const LONGEST_TITLE_NAME: usize = 26;
/// Most staples a replenishment theme takes.
const STAPLES: usize = 5;

/// A signal with its phrase and vector.
#[derive(Debug, Clone)]
pub struct Signal {
    pub kind: SeedKind,
    pub phrase: String,
    /// The aisle's phrase, where known.
    pub aisle: Option<String>,
    /// Unit length.
    pub vector: Vec<f32>,
}

/// Lists a context's signals, each phrase once: campaign features, distinctive, rising, staples. Vectors are left empty.
///
/// `admit` says whether a phrase may stand on a page of this segment; what it refuses is left out.
pub fn signals(context: &SegmentContext, wording: &Wording, admit: &dyn Fn(&str) -> bool) -> Vec<Signal> {
    let campaign = context.merchandising.campaign.iter().flat_map(|campaign| &campaign.feature);
    let named = campaign
        .map(|name| (SeedKind::Campaign, name, None))
        .chain(context.distinctive.iter().map(|item| (SeedKind::Distinctive, &item.name, Some(&item.aisle))))
        .chain(context.rising.iter().map(|name| (SeedKind::Rising, name, None)))
        .chain(context.staples.iter().map(|name| (SeedKind::Staple, name, None)));
    let mut seen = BTreeSet::new();
    let mut signals = Vec::new();
    for (kind, name, aisle) in named {
        let phrase = wording.phrase(name);
        if phrase.is_empty() || !seen.insert(phrase.to_lowercase()) || !admit(&phrase) {
            continue;
        }
        let aisle = aisle.map(|aisle| wording.phrase(aisle)).filter(|aisle| admit(aisle));
        signals.push(Signal { kind, phrase, aisle, vector: Vec::new() });
    }
    signals
}

/// Groups `signals` (with vectors) into at most `wanted` themes, most telling first.
pub fn plan(signals: &[Signal], wanted: usize) -> Vec<ThemeSeed> {
    let mut planner = Planner { signals, taken: vec![false; signals.len()], used: BTreeSet::new() };
    let mut themes: Vec<ThemeSeed> = planner.campaign().into_iter().collect();
    let staples = planner.staples();
    let rising = planner.next(SeedKind::Rising);
    let mut distinctive = std::iter::from_fn(|| planner.next(SeedKind::Distinctive));
    themes.extend(distinctive.by_ref().take(2));
    themes.extend(rising);
    themes.extend(distinctive.by_ref().take(1));
    themes.extend(staples);
    themes.extend(distinctive.take(wanted));
    while let Some(more) = planner.next(SeedKind::Rising).or_else(|| planner.next(SeedKind::Staple)) {
        themes.push(more);
    }
    themes.truncate(wanted);
    themes
}

struct Planner<'a> {
    signals: &'a [Signal],
    taken: Vec<bool>,
    /// Phrases that are a concept of some theme already, signals aside.
    used: BTreeSet<String>,
}

impl Planner<'_> {
    fn campaign(&mut self) -> Option<ThemeSeed> {
        let features: Vec<usize> = self.free(SeedKind::Campaign).take(4).collect();
        if features.is_empty() {
            return None;
        }
        self.take(features.iter().copied());
        // Features alone, where there are enough: what is merely like them dilutes the campaign.
        let near = self.nearest(&features, MIN_ANCHORS.saturating_sub(features.len()));
        self.take(near.iter().copied());
        self.seed(SeedKind::Campaign, features.into_iter().chain(near).collect())
    }

    fn staples(&mut self) -> Option<ThemeSeed> {
        let staples: Vec<usize> = self.free(SeedKind::Staple).take(STAPLES).collect();
        if staples.len() < MIN_ANCHORS {
            return None;
        }
        self.take(staples.iter().copied());
        self.seed(SeedKind::Staple, staples)
    }

    /// The next theme around an untaken signal of `kind`; a signal that makes none is passed over.
    fn next(&mut self, kind: SeedKind) -> Option<ThemeSeed> {
        loop {
            let first = self.free(kind).next()?;
            self.take([first]);
            let near = self.nearest(&[first], MAX_ANCHORS - 2);
            let members = std::iter::once(first).chain(near.iter().copied()).collect();
            if let Some(theme) = self.seed(kind, members) {
                self.take(near.iter().copied());
                return Some(theme);
            }
        }
    }

    fn free(&self, kind: SeedKind) -> impl Iterator<Item = usize> {
        (0..self.signals.len()).filter(move |at| !self.taken[*at] && self.signals[*at].kind == kind)
    }

    fn take(&mut self, signals: impl IntoIterator<Item = usize>) {
        for at in signals {
            self.taken[at] = true;
        }
    }

    /// Untaken signals near any of `around`, closest first, ties by position.
    fn nearest(&self, around: &[usize], most: usize) -> Vec<usize> {
        let mut close: Vec<(f32, usize)> = (0..self.signals.len())
            .filter(|at| !self.taken[*at] && self.signals[*at].kind != SeedKind::Campaign)
            .map(|at| (around.iter().map(|from| self.cosine(*from, at)).fold(f32::MIN, f32::max), at))
            .filter(|(cosine, _)| *cosine >= NEAR)
            .collect();
        close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        close.into_iter().take(most).map(|(_, at)| at).collect()
    }

    fn cosine(&self, a: usize, b: usize) -> f32 {
        self.signals[a].vector.iter().zip(&self.signals[b].vector).map(|(x, y)| x * y).sum()
    }

    /// A theme of `members`, rounded out to [`MIN_ANCHORS`] by the first one's aisle and its
    /// more general name; `None` if that is not enough.
    fn seed(&mut self, kind: SeedKind, members: Vec<usize>) -> Option<ThemeSeed> {
        let first = &self.signals[*members.first()?];
        let mut anchors: Vec<Anchor> = members
            .iter()
            .map(|at| {
                let phrase = self.signals[*at].phrase.clone();
                Anchor { titled: phrase.chars().count() <= LONGEST_TITLE_NAME, phrase }
            })
            .collect();
        if !anchors.iter().any(|anchor| anchor.titled) {
            return None;
        }
        let general =
            first.phrase.split_once(' ').map(|(_, rest)| rest.to_owned()).filter(|rest| rest.len() >= 4);
        for phrase in first.aisle.clone().into_iter().chain(general) {
            let new =
                !self.used.contains(&phrase) && !self.signals.iter().any(|signal| signal.phrase == phrase);
            if anchors.len() < MIN_ANCHORS && new {
                self.used.insert(phrase.clone());
                anchors.push(Anchor { phrase, titled: false });
            }
        }
        (anchors.len() >= MIN_ANCHORS).then(|| ThemeSeed { kind, anchors, aisle: first.aisle.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signals on a circle: those with close angles are near.
    fn signal(kind: SeedKind, phrase: &str, degrees: f32) -> Signal {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Signal { kind, phrase: phrase.into(), aisle: None, vector: vec![cos, sin] }
    }

    #[test]
    fn near_signals_share_a_theme_and_none_stands_twice() {
        let signals = [
            signal(SeedKind::Distinctive, "plums", 0.0),
            signal(SeedKind::Distinctive, "soap", 180.0),
            signal(SeedKind::Distinctive, "pears", 5.0),
            signal(SeedKind::Distinctive, "sponges", 176.0),
            signal(SeedKind::Rising, "grapes", 10.0),
            signal(SeedKind::Rising, "brushes", 185.0),
        ];
        let themes = plan(&signals, 6);
        let phrases: Vec<Vec<&str>> =
            themes.iter().map(|theme| theme.anchors.iter().map(|a| a.phrase.as_str()).collect()).collect();
        assert_eq!(phrases, [vec!["soap", "sponges", "brushes"], vec!["grapes", "pears", "plums"]]);
    }

    #[test]
    fn a_lonely_signal_is_rounded_out_by_its_aisle_and_its_general_name() {
        let aisle = Some("diapers and wipes".to_owned());
        let lonely = Signal { aisle: aisle.clone(), ..signal(SeedKind::Distinctive, "baby diapers", 0.0) };
        let themes = plan(&[lonely, signal(SeedKind::Distinctive, "cheese", 90.0)], 6);
        assert_eq!(themes.len(), 1, "cheese alone makes no theme");
        let phrases: Vec<&str> = themes[0].anchors.iter().map(|anchor| anchor.phrase.as_str()).collect();
        assert_eq!(phrases, ["baby diapers", "diapers and wipes", "diapers"]);
        assert_eq!(themes[0].aisle, aisle);
    }

    #[test]
    fn a_name_too_long_for_a_title_is_no_theme() {
        let long = "refrigerated specialty breakfast rolls";
        let signals = [signal(SeedKind::Distinctive, long, 0.0), signal(SeedKind::Rising, "bread", 90.0)];
        assert!(plan(&signals, 6).is_empty());
    }

    #[test]
    fn a_campaign_leads() {
        let mut signals: Vec<Signal> =
            ["milk", "eggs", "bread"].iter().map(|name| signal(SeedKind::Staple, name, 90.0)).collect();
        signals.extend(["chips", "cookies", "crackers"].map(|name| signal(SeedKind::Campaign, name, 0.0)));
        let kinds: Vec<SeedKind> = plan(&signals, 6).iter().map(|theme| theme.kind).collect();
        assert_eq!(kinds, [SeedKind::Campaign, SeedKind::Staple]);
    }

    #[test]
    fn nothing_to_go_by_is_no_theme() {
        assert!(plan(&[], 6).is_empty());
        assert!(plan(&[signal(SeedKind::Distinctive, "plums", 0.0)], 6).is_empty());
    }
}
