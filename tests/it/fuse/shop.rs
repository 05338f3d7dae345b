//! A small shop to fuse pages of.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use endcap::domain::manifest::StorefrontManifest;
use endcap::domain::merchandising::{
    Campaign, Merchandising, PageShape, Reach, Rule, RuleKind, Target, Window,
};
use endcap::domain::ranker::Ranker;
use endcap::domain::segment::{ActiveMerchandising, Shopping};
use endcap::domain::stage::{
    Candidate, ChosenPlacement, FusedPage, JudgedPage, PlacementDesign, ProductHit, StockedPlacement,
};
use endcap::domain::{Catalog, KeywordId, Product, ProductId, SegmentContext, SegmentId};
use endcap::fuse::{
    Audience, CheckablePage, Checklist, FuseError, Fuser, Settings, Shop, Violation, check, check_manifest,
};

/// Aisles of the shop; each has the types "<aisle> one", "<aisle> two", "<aisle> three", of four products
/// each.
pub const AISLES: &[&str] = &["Fruit", "Bakery", "Cheese", "Snacks", "Wine", "Pharmacy aids"];

pub fn day(text: &str) -> NaiveDate {
    text.parse().expect("date")
}

pub fn id(text: &str) -> ProductId {
    ProductId::parse(text).expect("product id")
}

pub fn segment(text: &str) -> SegmentId {
    SegmentId::parse(text).expect("segment id")
}

pub fn aisle(name: &str) -> Target {
    Target::Aisle(name.to_owned())
}

pub fn product(name: &str, aisle: &str, kind: &str) -> Product {
    Product {
        product_id: id(name),
        title: format!("Product {name}"),
        brand: None,
        department: "Grocery".into(),
        aisle: aisle.to_owned(),
        product_type: kind.to_owned(),
        package_size: None,
        price: 2.99,
        margin: None,
        units_28d: 10,
        in_stock: true,
        private_label: false,
        tags: Default::default(),
        image_url: None,
    }
}

/// Scores by product id; 0.5 for any other, and nothing about segments.
#[derive(Debug, Default, Clone)]
pub struct Scores {
    pub purchases: BTreeMap<ProductId, f32>,
    pub recent: BTreeMap<ProductId, f32>,
    pub first: BTreeMap<ProductId, f32>,
    /// Aisles whose products are bought together, and how much oftener than the average; 1 for any other.
    pub together: BTreeMap<(&'static str, &'static str), f32>,
}

impl Scores {
    pub fn of(purchases: BTreeMap<ProductId, f32>) -> Self {
        Self { purchases, ..Self::default() }
    }
}

impl Ranker for Scores {
    fn purchases(&self, _: &SegmentId, product: &Product) -> f32 {
        self.purchases.get(&product.product_id).copied().unwrap_or(0.5)
    }

    fn recent_purchases(&self, segment: &SegmentId, product: &Product) -> f32 {
        self.recent.get(&product.product_id).copied().unwrap_or_else(|| self.purchases(segment, product))
    }

    fn first_purchases(&self, _: &SegmentId, product: &Product) -> f32 {
        self.first.get(&product.product_id).copied().unwrap_or(0.0)
    }

    fn affinity(&self, with: &Product, product: &Product) -> f32 {
        self.together.get(&(with.aisle.as_str(), product.aisle.as_str())).copied().unwrap_or(1.0)
    }
}

/// Nothing but what was retrieved, and aisles: what else fusion offers has tests of its own.
pub fn plain() -> Settings {
    Settings {
        relevance_weight: 0.6,
        ranker_weight: 0.4,
        model_order_weight: 0.1,
        max_per_type: 2,
        repeat_discount: 1.0,
        alternatives: 0.0,
        aisle_alternatives: 0.0,
        max_companions: 0,
        cascade_share: 1.0,
        favorites: Vec::new(),
        ..Settings::default()
    }
}

/// Everything a test may turn.
#[derive(Debug, Clone)]
pub struct World {
    pub products: Vec<Product>,
    pub scores: Scores,
    pub merchandising: Merchandising,
    pub settings: Settings,
    pub context: SegmentContext,
}

impl World {
    /// 72 products, `<aisle>-01` to `<aisle>-12` by lower-case first word, falling in score; six placements
    /// of four.
    pub fn new() -> Self {
        let mut products = Vec::new();
        let mut scores = Scores::default();
        for (a, aisle) in AISLES.iter().enumerate() {
            let stem = aisle.split(' ').next().expect("word").to_lowercase();
            for n in 0..12 {
                let kind = format!("{aisle} {}", ["one", "two", "three"][n % 3]);
                let name = format!("{stem}-{:02}", n + 1);
                scores.purchases.insert(id(&name), 0.9 - 0.1 * a as f32 - 0.03 * n as f32);
                products.push(product(&name, aisle, &kind));
            }
        }
        Self {
            products,
            scores,
            merchandising: Merchandising {
                page: PageShape { placements: 4, products_per_placement: 4, min_products: 2 },
                ..Merchandising::default()
            },
            settings: plain(),
            context: context("seg-1"),
        }
    }

    pub fn with(kind: RuleKind) -> Self {
        let mut world = Self::new();
        world.rule("the-rule", kind);
        world
    }

    pub fn rule(&mut self, id: &str, kind: RuleKind) -> &mut Rule {
        let reach = Reach::default();
        self.merchandising.rules.push(Rule { id: id.to_owned(), kind, reach, sentence: None });
        self.merchandising.rules.last_mut().expect("a rule")
    }

    pub fn campaign(&mut self, name: &str, feature: Vec<Target>, position: Option<usize>) {
        let window = Window { from: Some(day("2017-11-01")), to: Some(day("2017-11-30")) };
        self.merchandising.campaigns.push(Campaign {
            name: name.to_owned(),
            reach: Reach { window, ..Reach::default() },
            feature,
            position,
        });
    }

    pub fn change(&mut self, name: &str, change: impl Fn(&mut Product)) {
        let found = self.products.iter_mut().find(|product| product.product_id.as_str() == name);
        change(found.expect("a product of the shop"));
    }

    pub fn tag(&mut self, name: &str, tag: &str) {
        self.change(name, |product| {
            product.tags.insert(tag.to_owned());
        });
    }

    pub fn catalog(&self) -> Catalog {
        Catalog::new(self.products.clone())
    }

    pub fn fuse(&self, page: &JudgedPage) -> Result<FusedPage, FuseError> {
        self.on_the_night(|fuser, audience| fuser.fuse(page, audience))
    }

    pub fn ranker_page(&self) -> Result<FusedPage, FuseError> {
        self.on_the_night(|fuser, audience| fuser.ranker_page(audience))
    }

    pub fn on_the_night<T>(&self, make: impl Fn(&Fuser<'_>, &Audience<'_>) -> T) -> T {
        let catalog = self.catalog();
        let shop = Shop { catalog: &catalog, merchandising: &self.merchandising, ranker: &self.scores };
        let fuser = Fuser::new(shop, &self.settings, self.context.as_of);
        make(&fuser, &Audience { context: &self.context, accepts_title: &|_| true })
    }

    pub fn check(&self, page: &FusedPage) -> Vec<Violation> {
        self.check_page(&CheckablePage::from(page))
    }

    pub fn check_page(&self, page: &CheckablePage) -> Vec<Violation> {
        let catalog = self.catalog();
        let (segment, as_of) = (&self.context.segment_id, self.context.as_of);
        check(page, &Checklist { catalog: &catalog, merchandising: &self.merchandising, segment, as_of })
    }

    pub fn check_manifest(&self, manifest: &StorefrontManifest) -> Vec<Violation> {
        let catalog = self.catalog();
        let (segment, as_of) = (&self.context.segment_id, self.context.as_of);
        let list = Checklist { catalog: &catalog, merchandising: &self.merchandising, segment, as_of };
        check_manifest(manifest, &list)
    }
}

pub fn context(name: &str) -> SegmentContext {
    SegmentContext {
        segment_id: segment(name),
        as_of: day("2017-11-13"),
        households: 20,
        demographics: BTreeMap::new(),
        shopping: Shopping::default(),
        distinctive: Vec::new(),
        staples: Vec::new(),
        rising: Vec::new(),
        session: BTreeMap::new(),
        merchandising: ActiveMerchandising::default(),
    }
}

/// A cascade placement of products with falling relevance: 1, 0.9, 0.8 …
pub fn placement(title: &str, products: &[&str]) -> StockedPlacement {
    let keyword =
        Candidate { keyword_id: KeywordId::parse("k").expect("id"), text: "fresh".into(), score: 1.0 };
    let hit = |(at, name): (usize, &&str)| ProductHit {
        product_id: id(name),
        relevance: 1.0 - 0.1 * at as f32,
        keyword: "fresh".into(),
    };
    StockedPlacement {
        chosen: ChosenPlacement {
            design: PlacementDesign { title: title.to_owned(), intent: String::new(), concepts: Vec::new() },
            candidates: vec![keyword.clone()],
            keywords: vec![keyword],
        },
        products: products.iter().enumerate().map(hit).collect(),
    }
}

pub fn page(placements: Vec<StockedPlacement>) -> JudgedPage {
    JudgedPage {
        segment_id: segment("seg-1"),
        placements,
        spare: Vec::new(),
        refilled: 0,
        verdicts: Vec::new(),
    }
}

/// Four placements of five products: fruit, bakery, cheese, snacks.
pub fn full_page() -> JudgedPage {
    let five = |stem: &str| (1..=5).map(|n| format!("{stem}-{n:02}")).collect::<Vec<_>>();
    let of = |title: &str, stem: &str| {
        let names = five(stem);
        placement(title, &names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    page(vec![
        of("Orchard picks", "fruit"),
        of("Toast time", "bakery"),
        of("Cheese board", "cheese"),
        of("Crunchy bites", "snacks"),
    ])
}

pub fn titles(page: &FusedPage) -> Vec<&str> {
    page.placements.iter().map(|placement| placement.title.as_str()).collect()
}

pub fn products(page: &FusedPage, placement: usize) -> Vec<&str> {
    page.placements[placement].products.iter().map(|product| product.product_id.as_str()).collect()
}

pub fn products_of<'a>(page: &'a FusedPage, title: &str) -> Vec<&'a str> {
    let at = titles(page).iter().position(|other| *other == title);
    products(page, at.unwrap_or_else(|| panic!("no placement {title:?} in {:?}", titles(page))))
}

pub fn all_products(page: &FusedPage) -> Vec<&str> {
    (0..page.placements.len()).flat_map(|at| products(page, at)).collect()
}
