//! The gate's rules: every draft is kept, repaired or dropped, with a reason.
//!
//! A page the student could not write itself (its grammar is [`crate::themes::Mode::Free`]) teaches it nothing, and a title
//! AIQA would reject must not be learned.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{KeywordDraft, ThemeDraft};
use crate::aiqa::{TitleCase, TitlePolicy};
use crate::domain::SegmentContext;
use crate::domain::stage::PlacementDesign;

/// Concepts of a placement and keywords of a choice.
const FEWEST: usize = 3;
const MOST: usize = 8;

/// Lengths in characters, as the grammar of stage 1 has them.
const PERSONA_CHARS: std::ops::RangeInclusive<usize> = 16..=160;
const INTENT_CHARS: std::ops::RangeInclusive<usize> = 8..=120;
const CONCEPT_CHARS: std::ops::RangeInclusive<usize> = 3..=40;
const FEWEST_TITLE_CHARS: usize = 8;

/// What the gate says of a draft.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged<T> {
    Kept(T),
    /// Mended, and how; never empty.
    Repaired(T, BTreeSet<&'static str>),
    Dropped(Fault),
}

/// Why a draft is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub reason: String,
    pub detail: String,
}

fn fault(reason: impl Into<String>, detail: impl Into<String>) -> Fault {
    Fault { reason: reason.into(), detail: detail.into() }
}

/// The rules; reads nothing, asks nobody.
pub struct Gate<'a> {
    pub policy: &'a TitlePolicy,
    /// Placements of a page.
    pub placements: usize,
    pub max_title_chars: usize,
}

type Repairs = BTreeSet<&'static str>;

impl Gate<'_> {
    /// Judges a page design.
    pub fn page(&self, mut draft: ThemeDraft) -> Judged<ThemeDraft> {
        let mut repairs = Repairs::new();
        match self.mend_page(&mut draft, &mut repairs) {
            Err(fault) => Judged::Dropped(fault),
            Ok(()) if repairs.is_empty() => Judged::Kept(draft),
            Ok(()) => Judged::Repaired(draft, repairs),
        }
    }

    /// Judges a choice of keywords.
    pub fn choice(&self, mut draft: KeywordDraft) -> Judged<KeywordDraft> {
        let mut repairs = Repairs::new();
        match self.mend_choice(&mut draft, &mut repairs) {
            Err(fault) => Judged::Dropped(fault),
            Ok(()) if repairs.is_empty() => Judged::Kept(draft),
            Ok(()) => Judged::Repaired(draft, repairs),
        }
    }

    fn mend_page(&self, draft: &mut ThemeDraft, repairs: &mut Repairs) -> Result<(), Fault> {
        let found = draft.placements.len();
        if found != self.placements {
            return Err(fault("number of placements", format!("{found}, not {}", self.placements)));
        }
        fold(&mut draft.persona, repairs);
        form("persona", &draft.persona, &PERSONA_CHARS, "\"\\")?;
        let mut titles = HashSet::new();
        for placement in &mut draft.placements {
            self.mend_placement(placement, &draft.context, repairs)?;
            if !titles.insert(placement.title.to_lowercase()) {
                return Err(fault("title repeats on the page", placement.title.as_str()));
            }
        }
        distinct_concepts(&mut draft.placements, repairs)
    }

    fn mend_placement(
        &self,
        placement: &mut PlacementDesign,
        context: &SegmentContext,
        repairs: &mut Repairs,
    ) -> Result<(), Fault> {
        fold(&mut placement.title, repairs);
        fold(&mut placement.intent, repairs);
        form("title", &placement.title, &(FEWEST_TITLE_CHARS..=self.max_title_chars), "\"\\<>{}")?;
        form("intent", &placement.intent, &INTENT_CHARS, "\"\\")?;
        self.judge_title(&placement.title, context)?;
        self.mend_concepts(&mut placement.concepts, context, repairs)
    }

    fn judge_title(&self, title: &str, context: &SegmentContext) -> Result<(), Fault> {
        match self.policy.judge_title(&TitleCase::of(context, title)).first() {
            Some(finding) => Err(fault(format!("title: {}", finding.rule), title)),
            None => Ok(()),
        }
    }

    /// Concepts folded, lower-case, each once, within policy, [`FEWEST`] to [`MOST`] of them.
    fn mend_concepts(
        &self,
        concepts: &mut Vec<String>,
        context: &SegmentContext,
        repairs: &mut Repairs,
    ) -> Result<(), Fault> {
        for concept in concepts.iter_mut() {
            fold(concept, repairs);
            let lower = concept.to_lowercase();
            if *concept != lower {
                repairs.insert("concept in lower case");
                *concept = lower;
            }
            form("concept", concept, &CONCEPT_CHARS, "\"\\<>{}")?;
        }
        each_once(concepts, "concept repeats in its placement", repairs);
        let mut offence = None;
        concepts.retain(|concept| {
            let findings = self.policy.judge_keyword(&TitleCase::of(context, concept));
            if let Some(finding) = findings.first() {
                offence = Some(fault(format!("concept: {}", finding.rule), concept.as_str()));
            }
            findings.is_empty()
        });
        if let Some(fault) = offence {
            repairs.insert("concept against policy");
            enough(concepts.len(), fault)?;
        }
        at_most(concepts, "more than eight concepts", repairs);
        enough(concepts.len(), fault("too few concepts", concepts.join(", ")))
    }

    fn mend_choice(&self, draft: &mut KeywordDraft, repairs: &mut Repairs) -> Result<(), Fault> {
        fold(&mut draft.title, repairs);
        form("title", &draft.title, &(FEWEST_TITLE_CHARS..=self.max_title_chars), "\"\\<>{}")?;
        self.judge_title(&draft.title, &draft.context)?;
        self.mend_concepts(&mut draft.concepts, &draft.context, repairs)?;
        let mut grades: HashMap<&str, u8> = HashMap::new();
        for candidate in &draft.candidates {
            if candidate.grade > 2 {
                return Err(fault(
                    "grade out of range",
                    format!("{} for {:?}", candidate.grade, candidate.text),
                ));
            }
            if candidate.text.trim().is_empty() || candidate.text.chars().any(char::is_control) {
                return Err(fault("candidate form", candidate.text.escape_debug().to_string()));
            }
            if grades.insert(&candidate.text, candidate.grade).is_some() {
                return Err(fault("candidate repeats", candidate.text.as_str()));
            }
        }
        for keyword in &mut draft.chosen {
            fold(keyword, repairs);
        }
        each_once(&mut draft.chosen, "keyword repeats", repairs);
        remove(
            &mut draft.chosen,
            |keyword| !grades.contains_key(keyword),
            "chosen keyword is no candidate",
            repairs,
        )?;
        remove(
            &mut draft.chosen,
            |keyword| grades.get(keyword) == Some(&0),
            "chosen keyword is graded irrelevant",
            repairs,
        )?;
        at_most(&mut draft.chosen, "more than eight keywords", repairs);
        enough(draft.chosen.len(), fault("too few keywords", draft.chosen.join(", ")))
    }
}

/// White space as single spaces, none at the ends.
fn fold(text: &mut String, repairs: &mut Repairs) {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if *text != folded {
        repairs.insert("white space");
        *text = folded;
    }
}

fn form(
    what: &str,
    text: &str,
    chars: &std::ops::RangeInclusive<usize>,
    forbidden: &str,
) -> Result<(), Fault> {
    let length = text.chars().count();
    if !chars.contains(&length) {
        let detail = format!("{length} characters, not {} to {}: {text}", chars.start(), chars.end());
        return Err(fault(format!("{what} length"), detail));
    }
    if text.chars().any(|c| c.is_control() || forbidden.contains(c)) {
        return Err(fault(format!("{what} characters"), text.escape_debug().to_string()));
    }
    Ok(())
}

fn each_once(texts: &mut Vec<String>, repair: &'static str, repairs: &mut Repairs) {
    let before = texts.len();
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.to_lowercase()));
    if texts.len() < before {
        repairs.insert(repair);
    }
}

/// Takes out what `wrong` finds, if enough is left.
fn remove(
    texts: &mut Vec<String>,
    wrong: impl Fn(&str) -> bool,
    repair: &'static str,
    repairs: &mut Repairs,
) -> Result<(), Fault> {
    let Some(first) = texts.iter().find(|text| wrong(text)).cloned() else { return Ok(()) };
    texts.retain(|text| !wrong(text));
    repairs.insert(repair);
    enough(texts.len(), fault(repair, first))
}

fn at_most(texts: &mut Vec<String>, repair: &'static str, repairs: &mut Repairs) {
    if texts.len() > MOST {
        texts.truncate(MOST);
        repairs.insert(repair);
    }
}

fn enough(left: usize, fault: Fault) -> Result<(), Fault> {
    if left < FEWEST { Err(fault) } else { Ok(()) }
}

/// A concept that stands in two placements stays in the earlier one, unless only that one can spare it.
fn distinct_concepts(placements: &mut [PlacementDesign], repairs: &mut Repairs) -> Result<(), Fault> {
    let mut homes: HashMap<String, usize> = HashMap::new();
    for at in 0..placements.len() {
        for concept in placements[at].concepts.clone() {
            let Some(home) = homes.get(&concept).copied() else {
                homes.insert(concept, at);
                continue;
            };
            let spare = |at: usize| placements[at].concepts.len() > FEWEST;
            let from = match (spare(at), spare(home)) {
                (true, _) => at,
                (false, true) => home,
                (false, false) => return Err(fault("concept repeats on the page", concept)),
            };
            placements[from].concepts.retain(|other| *other != concept);
            homes.insert(concept, if from == at { home } else { at });
            repairs.insert("concept repeats on the page");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(concepts: &[&str]) -> PlacementDesign {
        let concepts = concepts.iter().map(|text| (*text).to_owned()).collect();
        PlacementDesign { title: "Title".into(), intent: "Intent".into(), concepts }
    }

    #[test]
    fn a_repeated_concept_leaves_the_placement_that_can_spare_it() {
        let mut repairs = Repairs::new();
        let mut page = [
            placement(&["milk", "eggs", "bread", "jam"]),
            placement(&["milk", "tea", "rice"]),
            placement(&["jam", "oats", "figs", "nuts"]),
        ];
        distinct_concepts(&mut page, &mut repairs).expect("enough is left");
        assert_eq!(page[0].concepts, ["eggs", "bread", "jam"]);
        assert_eq!(page[1].concepts, ["milk", "tea", "rice"]);
        assert_eq!(page[2].concepts, ["oats", "figs", "nuts"]);
        assert_eq!(repairs.len(), 1);

        let mut tight = [placement(&["milk", "eggs", "bread"]), placement(&["milk", "tea", "rice"])];
        let fault = distinct_concepts(&mut tight, &mut repairs).expect_err("no placement can spare it");
        assert_eq!(fault.detail, "milk");
    }
}
