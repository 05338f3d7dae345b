//! Arm (d): the cascade without fusion. The model's placements in the model's order, as AIQA left them, each with its
//! products by retrieval relevance; no ranker.

use std::collections::HashSet;

use crate::domain::ProductId;
use crate::domain::stage::JudgedPage;
use crate::replay::ground::Ground;
use crate::replay::page::{ReplayPage, ReplayPlacement};

/// The judged page as it is. A product stands where it is found first; a placement that is left with too few is not shown.
pub fn cascade(ground: &Ground<'_>, judged: &JudgedPage) -> ReplayPage {
    let shape = ground.shape;
    let mut shown: HashSet<ProductId> = HashSet::new();
    let mut placements = Vec::new();
    for placement in &judged.placements {
        if placements.len() == shape.placements {
            break;
        }
        let mut hits = ground.admitted(&placement.products);
        hits.retain(|hit| !shown.contains(&hit.product_id));
        hits.sort_by(|a, b| {
            b.relevance.total_cmp(&a.relevance).then_with(|| a.product_id.cmp(&b.product_id))
        });
        hits.truncate(shape.products_per_placement);
        if hits.len() < shape.min_products {
            continue;
        }
        let products: Vec<ProductId> = hits.into_iter().map(|hit| hit.product_id).collect();
        shown.extend(products.iter().cloned());
        placements.push(ReplayPlacement {
            title: placement.chosen.design.title.clone(),
            cascade: true,
            products,
        });
    }
    ReplayPage { segment_id: judged.segment_id.clone(), placements }
}
