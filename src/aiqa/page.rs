//! A whole page: every placement by itself, then against the others, refilled from the reserve.

use std::collections::BTreeSet;

use super::diversity::Vectors;
use super::products::{Gate, Shelves, share_out};
use super::restrictions::Restrictions;
use super::rules::*;
use super::text::fold;
use super::title::{TitleCase, TitlePolicy};
use super::{AiqaError, Embedder};
use crate::domain::merchandising::{PageShape, Rule};
use crate::domain::stage::{JudgedPage, StockedPage, StockedPlacement, Subject, Verdict};
use crate::domain::{Catalog, SegmentContext};

/// A page to judge and what it is judged against.
#[derive(Debug, Clone, Copy)]
pub struct PageInput<'a> {
    pub page: &'a StockedPage,
    /// Of the same segment.
    pub context: &'a SegmentContext,
    pub catalog: &'a Catalog,
    /// Active for this segment on the context's date.
    pub rules: &'a [&'a Rule],
    pub shape: PageShape,
}

/// Judges every placement of a page and of its reserve; what is left is publishable (QA-1, QA-2).
///
/// At most `shape.placements` placements are kept, in page order, those of the reserve last. Every product is in one
/// of them only, so whatever is picked from them later, none is on the page twice. What else is sound and fits beside
/// them is spare; its products may be in them too.
///
/// # Errors
/// The encoder failed, or a rule's phrases cannot be read. A page with nothing acceptable is not an error.
pub fn judge_page(
    policy: &TitlePolicy,
    input: &PageInput<'_>,
    embedder: &dyn Embedder,
) -> Result<JudgedPage, AiqaError> {
    let restrictions = Restrictions::of_rules(&input.context.merchandising.rules, input.rules)?;
    let mut judge = Judge { policy, input, verdicts: Vec::new() };
    let gate = Gate::new(policy, input, &restrictions);
    let offered = input.page.placements.iter().map(|placement| (false, placement));
    let reserve = input.page.reserve.iter().map(|placement| (true, placement));
    let sound: Vec<Sound> = offered
        .chain(reserve)
        .filter_map(|(from_reserve, placement)| {
            let placement = judge.alone(placement, &restrictions, &gate)?;
            Some(Sound { from_reserve, placement })
        })
        .collect();
    let all: Vec<&StockedPlacement> = sound.iter().map(|sound| &sound.placement).collect();
    let shown = input.shape.products_per_placement;
    let vectors = Vectors::of_page(&all, input.catalog, shown, embedder, &input.page.segment_id)?;
    let (chosen, spare) = judge.together(&sound, &vectors);
    Ok(JudgedPage {
        segment_id: input.page.segment_id.clone(),
        refilled: chosen.iter().filter(|chosen| chosen.from_reserve).count(),
        placements: chosen.into_iter().map(|chosen| chosen.placement).collect(),
        spare,
        verdicts: judge.verdicts,
    })
}

/// A placement with nothing wrong by itself.
#[derive(Debug, Clone)]
struct Sound {
    from_reserve: bool,
    placement: StockedPlacement,
}

struct Judge<'a> {
    policy: &'a TitlePolicy,
    input: &'a PageInput<'a>,
    verdicts: Vec<Verdict>,
}

impl Judge<'_> {
    fn verdict(
        &mut self,
        placement: &StockedPlacement,
        subject: Subject,
        rule: &str,
        text: String,
        reason: String,
    ) {
        self.verdicts.push(Verdict {
            segment_id: self.input.page.segment_id.clone(),
            placement: placement.chosen.design.title.clone(),
            subject,
            rule: rule.to_owned(),
            text,
            reason,
        });
    }

    fn reject(&mut self, placement: &StockedPlacement, rule: &str, reason: String) {
        let title = placement.chosen.design.title.clone();
        self.verdict(placement, Subject::Placement, rule, title, reason);
    }

    /// The placement without the keywords and products that may not be shown, or `None` where it is rejected.
    fn alone(
        &mut self,
        placement: &StockedPlacement,
        restrictions: &Restrictions,
        gate: &Gate<'_>,
    ) -> Option<StockedPlacement> {
        let findings = self.policy.title_findings(&self.case(&placement.chosen.design.title), restrictions);
        if !findings.is_empty() {
            for finding in findings {
                self.verdict(placement, Subject::Title, finding.rule, finding.text, finding.reason);
            }
            return None;
        }
        let mut kept = placement.clone();
        self.keep_keywords(&mut kept, restrictions);
        let (keywords, least) = (kept.chosen.keywords.len(), self.policy.settings().min_keywords);
        if keywords < least {
            self.reject(
                placement,
                TOO_FEW_KEYWORDS,
                format!("{keywords} keywords, at least {least} are needed"),
            );
            return None;
        }
        kept.products.retain(|hit| match gate.refuse(hit) {
            Some(drop) => {
                self.verdict(placement, Subject::Product, drop.rule, drop.text, drop.reason);
                false
            }
            None => true,
        });
        let (products, least) = (kept.products.len(), self.input.shape.min_products);
        if products < least {
            self.reject(
                placement,
                TOO_FEW_PRODUCTS,
                format!("{products} products, at least {least} are needed"),
            );
            return None;
        }
        Some(kept)
    }

    fn case<'a>(&'a self, title: &'a str) -> TitleCase<'a> {
        TitleCase::of(self.input.context, title)
    }

    fn keep_keywords(&mut self, placement: &mut StockedPlacement, restrictions: &Restrictions) {
        let mut seen = BTreeSet::new();
        let keywords = std::mem::take(&mut placement.chosen.keywords);
        for keyword in keywords {
            let findings = self.policy.keyword_findings(&self.case(&keyword.text), restrictions);
            let sound = findings.is_empty();
            for finding in findings {
                self.verdict(placement, Subject::Keyword, finding.rule, keyword.text.clone(), finding.reason);
            }
            if sound && !seen.insert(fold(&keyword.text)) {
                let reason = "the placement has this keyword already".to_owned();
                self.verdict(placement, Subject::Keyword, DUPLICATE_KEYWORD, keyword.text.clone(), reason);
            } else if sound {
                placement.chosen.keywords.push(keyword);
            }
        }
    }

    /// The placements of the page: coherent, unlike each other, each with enough products of its own. And those that could
    /// stand beside them.
    fn together(&mut self, sound: &[Sound], vectors: &Vectors) -> (Vec<Sound>, Vec<StockedPlacement>) {
        let mut queue = sound.iter();
        let mut chosen: Vec<&Sound> = Vec::new();
        loop {
            while chosen.len() < self.input.shape.placements {
                let Some(next) = queue.next() else { break };
                if self.fits(next, &chosen, vectors) {
                    chosen.push(next);
                }
            }
            let placements: Vec<&StockedPlacement> = chosen.iter().map(|sound| &sound.placement).collect();
            let shelves = share_out(&placements, self.input, self.policy.settings());
            let Some(short) =
                shelves.kept.iter().rposition(|kept| kept.len() < self.input.shape.min_products)
            else {
                let stocked = self.stock(&chosen, shelves);
                let spare = self.spare(queue, chosen, vectors);
                return (stocked, spare);
            };
            self.record_drops(&chosen[short].placement, &shelves, short);
            let reason =
                format!("{} products are left that no other placement shows", shelves.kept[short].len());
            self.reject(&chosen[short].placement, TOO_FEW_PRODUCTS, reason);
            chosen.remove(short);
        }
    }

    fn spare<'s>(
        &mut self,
        left: impl Iterator<Item = &'s Sound>,
        mut chosen: Vec<&'s Sound>,
        vectors: &Vectors,
    ) -> Vec<StockedPlacement> {
        let on_page = chosen.len();
        for next in left {
            if self.fits(next, &chosen, vectors) {
                chosen.push(next);
            }
        }
        chosen[on_page..].iter().map(|sound| sound.placement.clone()).collect()
    }

    fn fits(&mut self, next: &Sound, chosen: &[&Sound], vectors: &Vectors) -> bool {
        let (settings, placement) = (self.policy.settings(), &next.placement);
        let title = fold(&placement.chosen.design.title);
        if chosen.iter().any(|earlier| fold(&earlier.placement.chosen.design.title) == title) {
            self.reject(placement, DUPLICATE_TITLE, "the page has this title already".into());
            return false;
        }
        let shown = self.input.shape.products_per_placement;
        let coherence = vectors.coherence(placement, self.input.catalog, shown);
        if let Some(cosine) = coherence.filter(|cosine| *cosine < settings.min_title_product_cosine) {
            let least = settings.min_title_product_cosine;
            self.reject(
                placement,
                TITLE_PRODUCTS_MISMATCH,
                format!("cosine {cosine:.2}, at least {least} is needed"),
            );
            return false;
        }
        let most = settings.max_placement_cosine;
        let likeness = |earlier: &&&Sound| vectors.likeness(&earlier.placement, placement);
        let like = chosen.iter().find(|earlier| likeness(earlier) > most);
        if let Some(earlier) = like {
            let other = &earlier.placement.chosen.design.title;
            let reason = format!("cosine {:.2} to {other:?}, at most {most} is allowed", likeness(&earlier));
            self.reject(placement, DUPLICATE_PLACEMENT, reason);
            return false;
        }
        true
    }

    fn stock(&mut self, chosen: &[&Sound], shelves: Shelves) -> Vec<Sound> {
        for (at, sound) in chosen.iter().enumerate() {
            self.record_drops(&sound.placement, &shelves, at);
        }
        let stocked = chosen.iter().zip(shelves.kept).map(|(sound, products)| {
            let placement = StockedPlacement { chosen: sound.placement.chosen.clone(), products };
            Sound { from_reserve: sound.from_reserve, placement }
        });
        stocked.collect()
    }

    fn record_drops(&mut self, placement: &StockedPlacement, shelves: &Shelves, at: usize) {
        for drop in &shelves.dropped[at] {
            self.verdict(placement, Subject::Product, drop.rule, drop.text.clone(), drop.reason.clone());
        }
    }
}
