//! A small published shop, written through the same doors as a night's: two runs, three segments, one hostile title.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::support::spooled;
use endcap::cli::serve::{ServeState, Stories, router};
use endcap::domain::explain::PageStory;
use endcap::domain::manifest::{
    ManifestPlacement, ManifestProduct, PageStatus, Provenance, STOREFRONT_SCHEMA, StorefrontManifest,
    Variant, to_bytes,
};
use endcap::domain::segment::{ActiveCampaign, ActiveMerchandising, Distinctive, Shopping};
use endcap::domain::stage::{
    Candidate, ChosenPlacement, FusedPage, FusedPlacement, PageDesign, PlacementDesign, ProductHit,
    ScoreParts, ScoredProduct, Source, StockedPlacement, Subject, Verdict,
};
use endcap::domain::{ArmId, Digest, KeywordId, PlacementId, ProductId, RunId, SegmentContext, SegmentId};
use endcap::publish::{self, PagePlan, PublishPlan, Store};

pub const LAST_WEEK: &str = "2017-11-13-9b0e44aa1c02";
pub const TONIGHT: &str = "2017-11-20-3fa9c1d27be4";

/// New tonight; has a story.
pub const FIRST: &str = "seg-001";
/// New tonight; its second title is [`HOSTILE`].
pub const SECOND: &str = "seg-002";
/// Carried over from last week, whose story it has.
pub const CARRIED: &str = "seg-003";

pub const HOSTILE: &str =
    r#"<script>document.title = "taken"</script><img src=x onerror="document.title='taken'">"#;

/// An arm of an experiment that sees every page's first placement only.
pub const SHORT_ARM: &str = "short";

pub const PERSONA: &str = "Small-basket shopper of asparagus and crisp apples.";
pub const REJECTED: &str = "Lowest prices on pork";

/// The published root and the private work root of a shop.
pub struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    /// Publishes both runs to a directory and keeps the stories.
    pub async fn open() -> Self {
        let shop = Self { dir: tempfile::tempdir().expect("temporary folder") };
        publish_to(&*shop.store().await).await;
        shop.keep_story(LAST_WEEK, CARRIED);
        shop.keep_story(TONIGHT, FIRST);
        shop.keep_story(TONIGHT, SECOND);
        shop
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("storefronts")
    }

    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub fn story_path(&self, run: &str, segment: &str) -> PathBuf {
        self.work().join("explain").join(run).join(format!("{segment}.json"))
    }

    pub async fn store(&self) -> std::sync::Arc<dyn Store> {
        let root = self.root().display().to_string();
        publish::open(&root, &publish::Settings::default()).await.expect("store")
    }

    /// With the merchandiser's view.
    pub async fn serve(&self) -> SocketAddr {
        self.serve_with(Stories::Under(self.work())).await
    }

    pub async fn serve_with(&self, stories: Stories) -> SocketAddr {
        serve_store(self.store().await, stories).await
    }

    fn keep_story(&self, run: &str, segment: &str) {
        let path = self.story_path(run, segment);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("explain folder");
        std::fs::write(path, to_bytes(&story(run, segment)).expect("JSON")).expect("story");
    }
}

/// Serves `store` on a free port until the test's runtime ends.
pub async fn serve_store(store: std::sync::Arc<dyn Store>, stories: Stories) -> SocketAddr {
    let app = router(ServeState::new(store, publish::Settings::default(), stories));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Publishes last week's run and then tonight's.
pub async fn publish_to(store: &dyn Store) {
    for (run, segments) in [(LAST_WEEK, &[CARRIED][..]), (TONIGHT, &[FIRST, SECOND])] {
        let run_id = RunId::parse(run).expect("run id");
        let mut pages: std::collections::BTreeMap<_, _> = segments
            .iter()
            .map(|segment| {
                let bytes = to_bytes(&manifest(run, segment)).expect("JSON");
                (segment_id(segment), PagePlan::New { page: spooled(bytes), source: Source::Mixed })
            })
            .collect();
        if run == TONIGHT {
            let from_run = RunId::parse(LAST_WEEK).expect("run id");
            pages.insert(segment_id(CARRIED), PagePlan::CarriedOver { from_run });
        }
        let at = run_id.as_of().and_hms_opt(2, 0, 0).expect("time").and_utc();
        let plan = PublishPlan {
            as_of: run_id.as_of(),
            run_id,
            generated_at: at,
            published_at: at,
            pages,
            passing: None,
            lookups: std::collections::BTreeMap::new(),
        };
        publish::publish(store, &plan, &publish::Settings::default(), &|_| ()).await.expect("publish");
    }
}

pub fn read(root: &Path, key: &str) -> Vec<u8> {
    std::fs::read(root.join(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
}

fn segment_id(text: &str) -> SegmentId {
    SegmentId::parse(text).expect("segment id")
}

/// Titles of a page: a campaign's placement, one that only `SECOND` spoils, and the ranker's.
fn titles(segment: &str) -> [&str; 3] {
    [
        "Asparagus and pork chop suppers",
        if segment == SECOND { HOSTILE } else { "Crunch time" },
        "Fresh fruit",
    ]
}

const PRODUCTS: [&str; 8] = [
    "Asparagus",
    "Boneless pork chops",
    "Lemons",
    "Fresh garlic",
    "Olive oil",
    "Pretzels",
    "Cheese crackers",
    "Red Delicious apples",
];

fn product(at: usize) -> ManifestProduct {
    ManifestProduct {
        product_id: product_id(at),
        title: PRODUCTS[at].into(),
        brand: (at == 1).then(|| "Own brand".into()),
        price: 3.49 + at as f64,
        package_size: Some("16 oz".into()),
        image_url: None,
    }
}

fn product_id(at: usize) -> ProductId {
    ProductId::parse(format!("8000{at}")).expect("product id")
}

fn manifest(run: &str, segment: &str) -> StorefrontManifest {
    let run_id = RunId::parse(run).expect("run id");
    let at = run_id.as_of().and_hms_opt(2, 0, 0).expect("time").and_utc();
    let page = fused(segment);
    let placements = page.placements.iter().enumerate().map(|(position, placement)| ManifestPlacement {
        placement_id: PlacementId::new(position, &placement.title),
        position: position as u32 + 1,
        title: placement.title.clone(),
        source: placement.source,
        keywords: placement.keywords.clone(),
        campaign: placement.campaign.clone(),
        products: (0..7).map(product).collect(),
    });
    let placements: Vec<ManifestPlacement> = placements.collect();
    let short = Variant {
        arm: ArmId::parse(SHORT_ARM).expect("arm"),
        source: Source::Cascade,
        placements: placements[..1].into(),
    };
    StorefrontManifest {
        schema: STOREFRONT_SCHEMA.into(),
        segment_id: segment_id(segment),
        as_of: run_id.as_of(),
        run_id,
        generated_at: at,
        valid_until: at + chrono::Duration::days(7),
        source: Source::Mixed,
        placements,
        variants: vec![short].try_into().expect("one variant"),
        provenance: Provenance {
            models: [("smollm2-135m-instruct".into(), Digest::of(b"weights"))].into(),
            inputs: Digest::of(b"inputs"),
            config: Digest::of(b"config"),
            engine_version: "0.1.0".into(),
        },
    }
}

fn fused(segment: &str) -> FusedPage {
    let [campaign, plain, ranker] = titles(segment);
    let placement = |title: &str, source, campaign: Option<&str>| FusedPlacement {
        title: title.into(),
        source,
        keywords: if source == Source::Cascade {
            vec!["asparagus".into(), "pork chops".into()]
        } else {
            vec![]
        },
        campaign: campaign.map(Into::into),
        products: (0..7).map(|at| scored(at, source)).collect(),
    };
    let placements = vec![
        placement(campaign, Source::Cascade, Some("Spring suppers")),
        placement(plain, Source::Cascade, None),
        placement(ranker, Source::Ranker, None),
    ];
    FusedPage { segment_id: segment_id(segment), source: Source::Mixed, placements }
}

/// The ranker likes the last product best; the cascade turned the order round.
fn scored(at: usize, source: Source) -> ScoredProduct {
    let relevance = if source == Source::Ranker { 0.0 } else { 1.0 - 0.1 * at as f32 };
    let parts = ScoreParts {
        ranker: 0.2 + 0.1 * at as f32,
        relevance,
        rule_factor: 1.0,
        pinned: at == 0,
        ..ScoreParts::default()
    };
    ScoredProduct { product_id: product_id(at), score: 0.9 - 0.1 * at as f32, parts, rules: Vec::new() }
}

fn stocked(title: &str) -> StockedPlacement {
    let candidate = |at: usize, text: &str| Candidate {
        keyword_id: KeywordId::parse(format!("k{at}")).expect("keyword id"),
        text: text.into(),
        score: 0.03 - 0.001 * at as f32,
    };
    let texts = ["asparagus", "spring vegetables", "pork chops", "pork tenderloin"];
    let candidates: Vec<_> = texts.iter().enumerate().map(|(at, text)| candidate(at, text)).collect();
    let keywords = vec![candidates[0].clone(), candidates[2].clone()];
    StockedPlacement {
        chosen: ChosenPlacement { design: design(title), candidates, keywords },
        products: (0..7)
            .map(|at| ProductHit { product_id: product_id(at), relevance: 1.0, keyword: "asparagus".into() })
            .collect(),
    }
}

fn design(title: &str) -> PlacementDesign {
    PlacementDesign {
        title: title.into(),
        intent: "Completes a cooked dinner from two distinctive buys.".into(),
        concepts: vec!["asparagus".into(), "pork chops".into()],
    }
}

fn story(run: &str, segment: &str) -> PageStory {
    let [campaign, plain, _] = titles(segment);
    let mut ranker_page = fused(segment);
    ranker_page.source = Source::Ranker;
    for placement in &mut ranker_page.placements {
        placement.title = "Fresh vegetables".into();
        placement.source = Source::Ranker;
        placement.products = [0, 7].map(|at| scored(at, Source::Ranker)).into();
    }
    PageStory {
        context: context(segment),
        design: Some(PageDesign {
            segment_id: segment_id(segment),
            persona: PERSONA.into(),
            placements: [campaign, plain, REJECTED].map(design).into(),
            reserve: vec![],
        }),
        placements: [campaign, plain, REJECTED].map(stocked).into(),
        verdicts: vec![Verdict {
            segment_id: segment_id(segment),
            placement: REJECTED.into(),
            subject: Subject::Title,
            rule: "price-claim".into(),
            text: "lowest prices".into(),
            reason: "the title promises a price that nothing in the input supports".into(),
        }],
        fused: fused(segment),
        ranker_page,
        manifest: manifest(run, segment),
        products: vec![product(7)],
        status: PageStatus::New,
    }
}

fn context(segment: &str) -> SegmentContext {
    SegmentContext {
        segment_id: segment_id(segment),
        as_of: "2017-11-20".parse().expect("date"),
        households: 29,
        demographics: [("age".to_owned(), "45-54".to_owned())].into(),
        shopping: Shopping { visits_per_week: 1.8, basket_value: 20.16, ..Shopping::default() },
        distinctive: vec![Distinctive {
            name: "Asparagus".into(),
            aisle: "Fresh vegetables".into(),
            households: 0.24,
            lift: 3.4,
        }],
        staples: vec!["White milk".into()],
        rising: vec![],
        session: [].into(),
        merchandising: ActiveMerchandising {
            objective: "basket building".into(),
            campaign: Some(ActiveCampaign {
                name: "Spring suppers".into(),
                feature: vec!["Fresh vegetables".into()],
            }),
            rules: vec!["no alcohol".into()],
        },
    }
}
