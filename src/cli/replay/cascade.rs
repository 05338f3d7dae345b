//! What the cascade offers each segment at an origin: the night's own stages, answers kept by key.
//!
//! A segment's judged page depends on the inputs, the models, the stages' settings and its own id alone (DET-1), so each is
//! kept under the digest of these. Where all are kept, no model is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::origin::Origin;
use crate::cli::{Context, tools};
use crate::domain::digest::DigestBuilder;
use crate::domain::stage::JudgedPage;
use crate::domain::{Digest, SegmentContext, SegmentId};
use crate::keywords;
use crate::night::{Inputs, Night, Plan, Progress, Recipe, Workspace};

/// Each segment's judged page. A segment that failed at a stage is missing.
pub async fn judged(
    context: &Context,
    origin: &Origin,
    inputs: &Inputs,
    reporter: &Arc<dyn Progress>,
) -> anyhow::Result<BTreeMap<SegmentId, JudgedPage>> {
    let kept = Kept {
        workspace: tools::workspace(context).await?,
        recipe: Recipe {
            models: tools::digests(context)?,
            config: context.config.cascade_digest(),
            templates: vec![context.config.themes.mode.version(), keywords::VERSION],
        },
        inputs: inputs.digest,
    };
    let mut missing: Vec<&SegmentContext> = Vec::new();
    for segment in &inputs.segments {
        if kept.read(&segment.segment_id).await?.is_none() {
            missing.push(segment);
        }
    }
    if !missing.is_empty() {
        compute(context, origin, inputs, (&missing, &kept), reporter).await?;
    }
    let mut pages = BTreeMap::new();
    for segment in &inputs.segments {
        // What was computed just now is read back too: the first replay and the second see the same numbers.
        if let Some(page) = kept.read(&segment.segment_id).await? {
            pages.insert(segment.segment_id.clone(), page);
        }
    }
    Ok(pages)
}

/// The judged pages of an origin below the work root.
struct Kept {
    workspace: Workspace,
    recipe: Recipe,
    inputs: Digest,
}

impl Kept {
    fn path(&self, segment: &SegmentId) -> String {
        let mut key = DigestBuilder::default();
        // Merchandising's rules are dropped from the contexts of a replay; the inputs' digest has them.
        key.part(b"judged without rules, with spare placements").part(env!("CARGO_PKG_VERSION").as_bytes());
        key.part(self.inputs.as_bytes()).part(self.recipe.config.as_bytes());
        for (name, digest) in &self.recipe.models {
            key.part(name.as_bytes()).part(digest.as_bytes());
        }
        for version in &self.recipe.templates {
            key.part(version.as_bytes());
        }
        key.part(segment.as_str().as_bytes());
        self.workspace.judged(&key.finish())
    }

    async fn read(&self, segment: &SegmentId) -> anyhow::Result<Option<JudgedPage>> {
        Ok(self.workspace.read(&self.path(segment)).await?)
    }

    async fn write(&self, page: &JudgedPage) -> anyhow::Result<()> {
        Ok(self.workspace.write(&self.path(&page.segment_id), page).await?)
    }
}

/// Runs the stages group by group, and keeps each group's pages as it ends.
async fn compute(
    context: &Context,
    origin: &Origin,
    inputs: &Inputs,
    (segments, kept): (&[&SegmentContext], &Kept),
    reporter: &Arc<dyn Progress>,
) -> anyhow::Result<()> {
    let config = &context.config;
    let loaded = tools::load(context, &origin.index, inputs).await?;
    reporter.begin("index", "texts", 0);
    loaded.tools.index.update(&inputs.keywords, &inputs.catalog, &|texts| reporter.advance(texts)).await?;
    reporter.end("");
    let plan = Plan::new(inputs, &kept.recipe, &config.night, context.clock.now());
    let night = Night {
        inputs,
        policy: &loaded.policy,
        settings: config.stages(),
        plan: &plan,
        recipe: &kept.recipe,
        workspace: &kept.workspace,
        progress: Arc::clone(reporter),
    };
    for group in segments.chunks(config.night.group_segments) {
        for page in night.judged(&loaded.tools, group).await? {
            kept.write(&page).await?;
        }
    }
    Ok(())
}
