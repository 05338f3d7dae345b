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
    /// Good enough for a title; an aisle that only rounds out the concepts is not.
    pub titled: bool,
}

/// One theme before the model writes it: 3 to [`MAX_ANCHORS`] anchors, none shared with another theme of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeSeed {
    pub kind: SeedKind,
    pub anchors: Vec<Anchor>,
}

/// Most concepts a theme has.
pub const MAX_ANCHORS: usize = 6;
/// Fewest concepts a theme has.
pub const MIN_ANCHORS: usize = 3;
/// Least cosine of all-MiniLM-L6-v2 at which two product types may share a theme; below it they read as unrelated.
const NEAR: f32 = 0.34;
/// The same for rising products, which share their moment.
const NEAR_RISING: f32 = 0.22;
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
    let mut planner = Planner { signals, taken: vec![false; signals.len()], aisles: BTreeSet::new() };
    let mut themes: Vec<ThemeSeed> = planner.campaign().into_iter().collect();
    let staples = planner.staples();
    let rising = planner.next(SeedKind::Rising, NEAR_RISING);
    let mut distinctive = std::iter::from_fn(|| planner.next(SeedKind::Distinctive, NEAR));
    themes.extend(distinctive.by_ref().take(2));
    themes.extend(rising);
    themes.extend(distinctive.by_ref().take(1));
    themes.extend(staples);
    themes.extend(distinctive.take(wanted));
    while let Some(more) = planner.next(SeedKind::Rising, NEAR_RISING).or_else(|| planner.next(SeedKind::Staple, NEAR)) {
        themes.push(more);
    }
    themes.truncate(wanted);
    themes
}

struct Planner<'a> {
    signals: &'a [Signal],
    taken: Vec<bool>,
    /// Aisle phrases already used as concepts.
    aisles: BTreeSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn campaign(&mut self) -> Option<ThemeSeed> {
        let features: Vec<usize> = self.free(SeedKind::Campaign).take(4).collect();
        if features.is_empty() {
            return None;
        }
        self.take(&features);
        let room = MAX_ANCHORS - features.len();
        let near = self.nearest(&features, room, NEAR);
        self.take(&near);
        self.seed(SeedKind::Campaign, features.into_iter().chain(near).collect())
    }

    fn staples(&mut self) -> Option<ThemeSeed> {
        let staples: Vec<usize> = self.free(SeedKind::Staple).take(STAPLES).collect();
        if staples.len() < MIN_ANCHORS {
            return None;
        }
        self.take(&staples);
        self.seed(SeedKind::Staple, staples)
    }

    /// The next theme around an untaken signal of `kind`; signals that find no company are passed over.
    fn next(&mut self, kind: SeedKind, near: f32) -> Option<ThemeSeed> {
        loop {
            let seed = self.free(kind).next()?;
            self.take(&[seed]);
            let company = self.nearest(&[seed], MAX_ANCHORS - 2, near);
            if let Some(theme) = self.seed(kind, std::iter::once(seed).chain(company.iter().copied()).collect()) {
                self.take(&company);
                return Some(theme);
            }
        }
    }

    fn free(&self, kind: SeedKind) -> impl Iterator<Item = usize> {
        (0..self.signals.len()).filter(move |at| !self.taken[*at] && self.signals[*at].kind == kind)
    }

    fn take(&mut self, signals: &[usize]) {
        for at in signals {
            self.taken[*at] = true;
        }
    }

    /// Untaken signals within `near` of any of `around`, closest first, ties by position.
    fn nearest(&self, around: &[usize], most: usize, near: f32) -> Vec<usize> {
        let mut close: Vec<(f32, usize)> = (0..self.signals.len())
            .filter(|at| !self.taken[*at] && self.signals[*at].kind != SeedKind::Campaign)
            .map(|at| (around.iter().map(|from| self.cosine(*from, at)).fold(f32::MIN, f32::max), at))
            .filter(|(cosine, _)| *cosine >= near)
            .collect();
        close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        close.into_iter().take(most).map(|(_, at)| at).collect()
    }

    fn cosine(&self, a: usize, b: usize) -> f32 {
        self.signals[a].vector.iter().zip(&self.signals[b].vector).map(|(x, y)| x * y).sum()
    }

    /// A theme of `members`, rounded out by their aisles; `None` if that leaves fewer than [`MIN_ANCHORS`].
    fn seed(&mut self, kind: SeedKind, members: Vec<usize>) -> Option<ThemeSeed> {
        let mut anchors: Vec<Anchor> = members
            .iter()
            .map(|at| Anchor { phrase: self.signals[*at].phrase.clone(), titled: true })
            .collect();
        let aisles = members.iter().filter_map(|at| self.signals[*at].aisle.as_deref());
        let fresh: Vec<&str> = aisles
            .filter(|aisle| !self.aisles.contains(aisle) && !self.signals.iter().any(|signal| signal.phrase == **aisle))
            .collect();
        for aisle in fresh {
            if anchors.len() < MAX_ANCHORS && self.aisles.insert(aisle) {
                anchors.push(Anchor { phrase: aisle.to_owned(), titled: false });
            }
        }
        let titled = anchors.iter().filter(|anchor| anchor.titled).count();
        (anchors.len() >= MIN_ANCHORS && titled >= 2).then_some(ThemeSeed { kind, anchors })
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
            signal(SeedKind::Distinctive, "sponges", 175.0),
            signal(SeedKind::Rising, "grapes", 10.0),
            signal(SeedKind::Rising, "brushes", 185.0),
        ];
        let themes = plan(&signals, 6);
        let phrases: Vec<Vec<&str>> =
            themes.iter().map(|theme| theme.anchors.iter().map(|a| a.phrase.as_str()).collect()).collect();
        assert_eq!(phrases, [vec!["soap", "sponges", "brushes"], vec!["grapes", "pears", "plums"]]);
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
