//! What a theme breaks of form, policy and rules, whatever it is about. Counted before AIQA has seen the page.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::judge::{Reason, ThemeVerdict};
use crate::aiqa::{TitleCase, TitlePolicy};
use crate::domain::SegmentContext;
use crate::domain::stage::PlacementDesign;

/// Concepts of a theme, as the prompt asks for them.
const CONCEPTS: RangeInclusive<usize> = 3..=6;

/// AIQA's keyword rules that a concept is held to. No shopper reads a concept, so how it is worded is not judged.
const CONCEPT_RULES: [&str; 6] = [
    "off-season",
    "demographic-value",
    "restricted-alcohol",
    "restricted-tobacco",
    "restricted-minors",
    "forbidden-by-rule",
];

/// The verdict as far as form, policy and rules go.
pub fn check(policy: &TitlePolicy, context: &SegmentContext, theme: &PlacementDesign) -> ThemeVerdict {
    let mut verdict = ThemeVerdict::default();
    for kind in shape(theme) {
        verdict.reasons.insert(Reason::Malformed);
        verdict.violations.insert(format!("form {kind}"));
    }
    for finding in policy.judge_title(&TitleCase::of(context, &theme.title)) {
        verdict.reasons.insert(Reason::Policy);
        verdict.violations.insert(format!("title {}", finding.rule));
    }
    for concept in &theme.concepts {
        let findings = policy.judge_keyword(&TitleCase::of(context, concept));
        for finding in findings.into_iter().filter(|finding| CONCEPT_RULES.contains(&finding.rule)) {
            verdict.reasons.insert(Reason::Rules);
            verdict.violations.insert(format!("concept {}", finding.rule));
        }
    }
    verdict
}

fn shape(theme: &PlacementDesign) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::new();
    let distinct: BTreeSet<String> = theme.concepts.iter().map(|concept| concept.to_lowercase()).collect();
    if distinct.len() < *CONCEPTS.start() {
        kinds.insert("too-few-concepts");
    }
    if theme.concepts.len() > *CONCEPTS.end() {
        kinds.insert("too-many-concepts");
    }
    if theme.concepts.iter().any(|concept| concept.trim().is_empty()) {
        kinds.insert("empty-concept");
    }
    kinds
}
