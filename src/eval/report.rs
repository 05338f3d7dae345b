//! What `endcap eval students --json` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::{Bootstrap, Estimate};
use super::score::System;

/// All figures. A key at the top is `null` where its system was not asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The students' P-T@5.
    pub p_t5: Option<f64>,
    pub p_t5_teacher: Option<f64>,
    /// Of the few-shot base.
    pub p_t5_base: Option<f64>,
    /// The students' P-K@5.
    pub p_k5: Option<f64>,
    pub p_k5_teacher: Option<f64>,
    /// Of the few-shot base.
    pub p_k5_base: Option<f64>,
    /// The students' themes with at least one violation of form, policy or rules, over all their themes.
    pub violation_rate: Option<f64>,
    pub judge: &'static str,
    /// Held-out contexts, one page each.
    pub contexts: usize,
    /// Held-out placements with graded keywords.
    pub placements: usize,
    pub bootstrap: Bootstrap,
    /// The students' figures over the teacher's (`p_t5_to_teacher` …) and over the few-shot base's (`p_t5_to_base` …).
    pub ratios: BTreeMap<&'static str, Estimate>,
    pub systems: Vec<SystemReport>,
    /// The teacher against another segment's context of another season.
    pub control: Option<Control>,
}

/// One system's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    pub system: System,
    pub p_t5: Estimate,
    pub p_t6: Estimate,
    pub p_k5: Option<Estimate>,
    pub distinctness: Option<Estimate>,
    pub cohesion: Option<Estimate>,
    pub violation_rate: Option<Estimate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// Themes written, at most six a page.
    pub themes: usize,
    /// Pages without any theme.
    pub empty_pages: usize,
    /// Themes by kind of violation; one may have several.
    pub violations: BTreeMap<String, usize>,
    /// Themes by reason of rejection; one may have several.
    pub rejections: BTreeMap<String, usize>,
    /// Pages by the merchandising rule they break.
    pub page_flaws: BTreeMap<String, usize>,
}

/// What the judge says where it should reject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Control {
    pub p_t5: Estimate,
    pub p_t6: Estimate,
    pub pages: usize,
    pub rejections: BTreeMap<String, usize>,
}

/// What a report is made of.
pub(super) struct Parts {
    pub judge: &'static str,
    pub contexts: usize,
    pub placements: usize,
    pub bootstrap: Bootstrap,
    pub ratios: BTreeMap<&'static str, Estimate>,
    pub systems: Vec<SystemReport>,
    pub control: Option<Control>,
}

impl Report {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { judge, contexts, placements, bootstrap, ratios, systems, control } = parts;
        let find = |system| systems.iter().find(|one: &&SystemReport| one.system == system);
        let themes = |system| find(system).map(|one| one.p_t5.value);
        let keywords = |system| find(system)?.p_k5.map(|estimate| estimate.value);
        Self {
            p_t5: themes(System::Students),
            p_t5_teacher: themes(System::Teacher),
            p_t5_base: themes(System::BaseFewShot),
            p_k5: keywords(System::Students),
            p_k5_teacher: keywords(System::Teacher),
            p_k5_base: keywords(System::BaseFewShot),
            violation_rate: find(System::Students).and_then(|one| Some(one.violation_rate?.value)),
            judge,
            contexts,
            placements,
            bootstrap,
            ratios,
            systems,
            control,
        }
    }
}
