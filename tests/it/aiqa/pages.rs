//! Whole pages before AIQA.

use super::*;

/// Vectors by counting words of a few topics: texts of one topic are alike, of two topics are not.
struct TopicEmbedder;

impl Embedder for TopicEmbedder {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        const TOPICS: [&[&str]; 5] = [
            &["pasta", "sauce", "spaghetti", "parmesan"],
            &["cereal", "milk", "oat", "breakfast"],
            &["soap", "sponge", "cleaner", "laundry"],
            &["apple", "pear", "grape", "fruit"],
            &["tea", "coffee", "creamer", "cocoa"],
        ];
        let count =
            |text: &str, words: &[&str]| words.iter().map(|word| text.matches(word).count()).sum::<usize>();
        let vector = |text: &&str| {
            let text = text.to_lowercase();
            let counts: Vec<f32> = TOPICS.iter().map(|words| count(&text, words) as f32).collect();
            let norm = counts.iter().map(|value| value * value).sum::<f32>().sqrt().max(1.0);
            counts.into_iter().map(|value| value / norm).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }
}

struct BrokenEmbedder;

impl Embedder for BrokenEmbedder {
    fn embed(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, BoxError> {
        Err("no model".into())
    }
}

/// A page under construction, with a catalogue that grows as products are placed.
struct Scene {
    products: Vec<Product>,
    page: StockedPage,
    context: SegmentContext,
    rules: Vec<Rule>,
    shape: PageShape,
}

impl Scene {
    fn new() -> Self {
        let segment = SegmentId::parse("seg-1").expect("id");
        let context = r#"{"segment_id":"seg-1","as_of":"2017-07-17","households":9,
            "demographics":{"age":"45-54","household":"2 Adults No Kids"},
            "shopping":{"visits_per_week":1,"basket_value":20,"private_label_share":0,"on_promotion_share":0,
            "evening_share":0,"weekend_share":0}}"#;
        Self {
            products: Vec::new(),
            page: StockedPage {
                segment_id: segment,
                persona: String::new(),
                placements: vec![],
                reserve: vec![],
            },
            context: serde_json::from_str(context).expect("context"),
            rules: Vec::new(),
            shape: PageShape { placements: 2, products_per_placement: 4, min_products: 2 },
        }
    }

    /// Adds a product of `product_type` to the catalogue and answers a hit on it.
    fn product(&mut self, product_type: &str, tags: &[&str]) -> ProductHit {
        let number = self.products.len();
        let product_id = ProductId::parse(format!("p{number:03}")).expect("id");
        self.products.push(Product {
            product_id: product_id.clone(),
            title: format!("{product_type}, kind {number}"),
            brand: None,
            department: "GROCERY".into(),
            aisle: "Pantry".into(),
            product_type: product_type.into(),
            package_size: None,
            price: 2.0,
            margin: None,
            units_28d: 1,
            in_stock: true,
            private_label: false,
            tags: tags.iter().map(ToString::to_string).collect(),
            image_url: None,
        });
        ProductHit { product_id, relevance: 1.0 - number as f32 * 0.01, keyword: product_type.to_lowercase() }
    }

    fn placement(&mut self, title: &str, keywords: &[&str], products: Vec<ProductHit>) -> StockedPlacement {
        let candidate = |text: &&str| Candidate {
            keyword_id: KeywordId::parse(*text).expect("id"),
            text: text.to_string(),
            score: 1.0,
        };
        let candidates: Vec<Candidate> = keywords.iter().map(candidate).collect();
        let concepts = keywords.iter().map(ToString::to_string).collect();
        let design = PlacementDesign { title: title.into(), intent: "because".into(), concepts };
        StockedPlacement {
            chosen: ChosenPlacement { design, keywords: candidates.clone(), candidates },
            products,
        }
    }

    /// A sound placement about `topic` with four products of two types.
    fn sound(&mut self, title: &str, one: &str, other: &str) -> StockedPlacement {
        let products = [one, other, one, other].map(|name| self.product(name, &[])).into();
        self.placement(title, &[&one.to_lowercase(), &other.to_lowercase()], products)
    }

    fn pasta(&mut self) -> StockedPlacement {
        self.sound("Spaghetti and tomato sauce", "Spaghetti", "Pasta sauce")
    }

    fn breakfast(&mut self) -> StockedPlacement {
        self.sound("Oat cereal and cold milk", "Oat cereal", "White milk")
    }

    fn judge(&self) -> JudgedPage {
        let page = self.judge_with(&TopicEmbedder).expect("judged");
        assert_sound(&page, self);
        page
    }

    fn judge_with(&self, embedder: &dyn Embedder) -> Result<JudgedPage, endcap::aiqa::AiqaError> {
        let catalog = Catalog::new(self.products.clone());
        let rules: Vec<&Rule> = self.rules.iter().collect();
        let input = PageInput {
            page: &self.page,
            context: &self.context,
            catalog: &catalog,
            rules: &rules,
            shape: self.shape,
        };
        judge_page(&POLICY, &input, embedder)
    }

    fn rule(&mut self, kind: RuleKind) {
        self.rules.push(Rule { id: "r".into(), kind, reach: Reach::default(), sentence: None });
    }
}

/// QA-1: whatever a verdict rejects is not on the page.
fn assert_sound(page: &JudgedPage, scene: &Scene) {
    assert!(page.placements.len() <= scene.shape.placements);
    let mut shown = BTreeSet::new();
    for placement in &page.placements {
        let title = &placement.chosen.design.title;
        let rejected = |verdict: &&endcap::domain::stage::Verdict| {
            verdict.placement == *title && matches!(verdict.subject, Subject::Title | Subject::Placement)
        };
        let of_others = |rule: &str| rule == "duplicate-title" || rule == "duplicate-placement";
        assert!(
            page.verdicts.iter().filter(rejected).all(|verdict| of_others(&verdict.rule)),
            "{title} was rejected"
        );
        assert!(placement.products.len() >= scene.shape.min_products);
        assert!(placement.products.iter().all(|hit| shown.insert(hit.product_id.clone())), "a product twice");
    }
    assert!(page.verdicts.iter().all(|verdict| rule_ids().contains(&verdict.rule.as_str())));
}

fn titles(page: &JudgedPage) -> Vec<&str> {
    page.placements.iter().map(|placement| placement.chosen.design.title.as_str()).collect()
}

fn verdicts<'a>(page: &'a JudgedPage, rule: &str) -> Vec<&'a str> {
    page.verdicts.iter().filter(|verdict| verdict.rule == rule).map(|verdict| verdict.text.as_str()).collect()
}

#[test]
fn a_sound_page_passes_unchanged() {
    let mut scene = Scene::new();
    scene.page.placements = vec![scene.pasta(), scene.breakfast()];
    let judged = scene.judge();
    assert_eq!(judged.placements, scene.page.placements);
    assert_eq!((judged.refilled, judged.verdicts.len()), (0, 0));
}

#[test]
fn a_rejected_placement_is_refilled_from_the_reserve_in_order() {
    let mut scene = Scene::new();
    let bad = scene.sound("Half-price spaghetti and sauce", "Spaghetti", "Pasta sauce");
    let worse = scene.sound("Cure-all tea and coffee", "Green tea", "Ground coffee");
    let fruit = scene.sound("Apples and pears", "Gala apples", "Bosc pears");
    let last = scene.pasta();
    scene.page.placements = vec![bad, scene.breakfast()];
    scene.page.reserve = vec![worse, fruit, last];
    let judged = scene.judge();
    assert_eq!(titles(&judged), ["Oat cereal and cold milk", "Apples and pears"]);
    assert_eq!(judged.refilled, 1);
    assert_eq!(verdicts(&judged, "price-claim"), ["half-price"]);
    assert_eq!(verdicts(&judged, "health-claim").len(), 1, "the reserve is judged too");
}

#[test]
fn keywords_with_findings_are_dropped_and_too_few_reject() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    let products = pasta.products.clone();
    pasta = scene.placement(
        "Spaghetti and tomato sauce",
        &["spaghetti", "cheap pasta", "pasta sauce", "Spaghetti "],
        products,
    );
    let mut milk = scene.breakfast();
    let products = std::mem::take(&mut milk.products);
    let milk = scene.placement("Oat cereal and cold milk", &["oat cereal", "cheap milk"], products);
    scene.page.placements = vec![pasta, milk];
    let judged = scene.judge();
    let kept: Vec<_> =
        judged.placements[0].chosen.keywords.iter().map(|keyword| keyword.text.as_str()).collect();
    assert_eq!(kept, ["spaghetti", "pasta sauce"]);
    assert_eq!(verdicts(&judged, "price-claim"), ["cheap pasta", "cheap milk"]);
    assert_eq!(verdicts(&judged, "duplicate-keyword"), ["Spaghetti "]);
    assert_eq!(verdicts(&judged, "too-few-keywords"), ["Oat cereal and cold milk"]);
    assert_eq!(titles(&judged), ["Spaghetti and tomato sauce"]);
}

#[test]
fn every_product_rule_drops_its_product() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    let add = |scene: &mut Scene, tags: &[&str]| scene.product("Parmesan", tags);
    let [gone, blocked, wine, pills, santa, evil] =
        [&[][..], &[], &["alcohol"], &["pharmacy"], &["seasonal-christmas"], &[]]
            .map(|tags| add(&mut scene, tags));
    scene.products[4].in_stock = false;
    scene.products[9].title = "Parmesan <script>alert(1)</script>".into();
    let unknown = ProductHit {
        product_id: ProductId::parse("nowhere").expect("id"),
        relevance: 0.5,
        keyword: "x".into(),
    };
    scene.rule(RuleKind::Block { target: Target::Product(blocked.product_id.clone()) });
    scene.rule(RuleKind::ForbidTags { tags: vec!["alcohol".into()] });
    pasta.products.extend([gone, blocked, wine, pills, santa, evil, unknown]);
    scene.page.placements = vec![pasta];
    let judged = scene.judge();
    for (rule, product) in [
        ("out-of-stock", "p004"),
        ("blocked-product", "p005"),
        ("forbidden-tag", "p006"),
        ("never-featured-tag", "p007"),
        ("out-of-season-product", "p008"),
        ("unsafe-product-text", "p009"),
        ("unknown-product", "nowhere"),
    ] {
        let found = verdicts(&judged, rule);
        assert!(found.len() == 1 && found[0].starts_with(product), "{rule}: {found:?}");
    }
    assert_eq!(judged.placements[0].products.len(), 4);
}

#[test]
fn rule_sentences_and_typed_rules_forbid_texts_and_products() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    pasta.products.push(scene.product("Red wine", &["alcohol"]));
    let banned = scene.sound("Gourmet cereal and milk", "Oat cereal", "White milk");
    scene.context.merchandising.rules = vec!["no alcohol".into()];
    scene.rule(RuleKind::BannedPhrases { phrases: vec!["gourmet".into()] });
    scene.page.placements = vec![pasta, banned];
    let judged = scene.judge();
    assert_eq!(verdicts(&judged, "forbidden-tag").len(), 1);
    assert_eq!(verdicts(&judged, "forbidden-by-rule"), ["gourmet"]);
    assert_eq!(titles(&judged), ["Spaghetti and tomato sauce"]);
}

/// QA-2 on a page: titles, keywords and product titles.
#[test]
fn no_text_of_a_page_gives_away_demographics() {
    let mut scene = Scene::new();
    let title = scene.sound("Spaghetti suppers for two adults", "Spaghetti", "Pasta sauce");
    let mut milk = scene.breakfast();
    milk.chosen.keywords.push(Candidate {
        keyword_id: KeywordId::parse("k").expect("id"),
        text: "cereal for ages 45-54".into(),
        score: 1.0,
    });
    milk.products.push(scene.product("Milk for the 45-54 crowd", &[]));
    scene.page.placements = vec![title, milk];
    let judged = scene.judge();
    assert_eq!(titles(&judged), ["Oat cereal and cold milk"]);
    let text = serde_json::to_string(&judged.placements[0].chosen.keywords).expect("json");
    assert!(!text.contains("45-54"), "{text}");
    assert_eq!(judged.placements[0].products.len(), 4);
    assert_eq!(verdicts(&judged, "unsafe-product-text").len(), 1);
}

#[test]
fn too_few_products_reject() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    pasta.products.truncate(1);
    scene.page.placements = vec![pasta, scene.breakfast()];
    let judged = scene.judge();
    assert_eq!(verdicts(&judged, "too-few-products"), ["Spaghetti and tomato sauce"]);
    assert_eq!(titles(&judged), ["Oat cereal and cold milk"]);
}

#[test]
fn a_title_unlike_its_products_is_rejected() {
    let mut scene = Scene::new();
    let wrong = scene.sound("Spaghetti and tomato sauce", "Laundry soap", "Sponges");
    scene.page.placements = vec![wrong, scene.breakfast()];
    let judged = scene.judge();
    assert_eq!(verdicts(&judged, "title-products-mismatch"), ["Spaghetti and tomato sauce"]);
}

#[test]
fn alike_placements_and_equal_titles_are_rejected_but_the_first() {
    let mut scene = Scene::new();
    scene.shape.placements = 4;
    let same = scene.sound("SPAGHETTI and tomato sauce".to_lowercase().as_str(), "Spaghetti", "Pasta sauce");
    let like = scene.sound("Pasta night with parmesan", "Spaghetti", "Pasta sauce");
    scene.page.placements = vec![scene.pasta(), same, like, scene.breakfast()];
    let judged = scene.judge();
    assert_eq!(titles(&judged), ["Spaghetti and tomato sauce", "Oat cereal and cold milk"]);
    assert_eq!(verdicts(&judged, "duplicate-title").len(), 1);
    assert_eq!(verdicts(&judged, "duplicate-placement"), ["Pasta night with parmesan"]);
}

#[test]
fn a_product_goes_to_the_placement_it_is_most_relevant_to() {
    let mut scene = Scene::new();
    let (mut pasta, mut milk) = (scene.pasta(), scene.breakfast());
    let mut shared = scene.product("White milk", &[]);
    shared.relevance = 0.3;
    pasta.products.push(shared.clone());
    shared.relevance = 0.9;
    milk.products.push(shared.clone());
    scene.page.placements = vec![pasta, milk];
    let judged = scene.judge();
    let holds =
        |at: usize| judged.placements[at].products.iter().any(|hit| hit.product_id == shared.product_id);
    assert_eq!((holds(0), holds(1)), (false, true));
    assert_eq!(verdicts(&judged, "duplicate-product").len(), 1);
}

#[test]
fn products_that_look_the_same_are_shown_once() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    let twin = scene.product("Spaghetti", &[]);
    scene.products[4].title = scene.products[0].title.clone();
    pasta.products.push(twin);
    scene.page.placements = vec![pasta];
    let judged = scene.judge();
    assert_eq!(judged.placements[0].products.len(), 4);
    assert_eq!(verdicts(&judged, "duplicate-product").len(), 1);
}

#[test]
fn a_page_offers_few_products_of_one_type() {
    let mut scene = Scene::new();
    let mut pasta = scene.pasta();
    for _ in 0..5 {
        pasta.products.push(scene.product("Spaghetti", &[]));
    }
    scene.page.placements = vec![pasta];
    let judged = scene.judge();
    let most = POLICY.settings().max_same_type;
    let spaghetti = judged.placements[0].products.iter().filter(|hit| hit.keyword == "spaghetti").count();
    assert_eq!(spaghetti, most);
    assert_eq!(verdicts(&judged, "same-type").len(), 7 - most);
}

#[test]
fn a_placement_left_without_products_of_its_own_is_refilled() {
    let mut scene = Scene::new();
    let pasta = scene.pasta();
    let mut milk = scene.breakfast();
    milk.products = pasta.products.clone();
    milk.chosen.design.title = "Oat cereal with spaghetti and milk".into();
    let fruit = scene.sound("Apples and pears", "Gala apples", "Bosc pears");
    scene.page.placements = vec![pasta, milk];
    scene.page.reserve = vec![fruit];
    let judged = scene.judge();
    assert_eq!(titles(&judged), ["Spaghetti and tomato sauce", "Apples and pears"]);
    assert_eq!(verdicts(&judged, "too-few-products"), ["Oat cereal with spaghetti and milk"]);
}

#[test]
fn a_page_with_nothing_sound_is_empty_not_an_error() {
    let mut scene = Scene::new();
    let bad = scene.sound("Inspired choices", "Spaghetti", "Pasta sauce");
    scene.page.placements = vec![bad];
    let judged = scene.judge();
    assert!(judged.placements.is_empty());
    assert_eq!(verdicts(&judged, "generic-title").len(), 1);
}

#[test]
fn the_same_page_is_judged_the_same() {
    let mut scene = Scene::new();
    let bad = scene.sound("Half-price spaghetti", "Spaghetti", "Pasta sauce");
    scene.page.placements = vec![bad, scene.pasta(), scene.breakfast()];
    assert_eq!(scene.judge(), scene.judge());
}

#[test]
fn a_failing_encoder_is_an_error_naming_the_segment() {
    let mut scene = Scene::new();
    scene.page.placements = vec![scene.pasta()];
    let error = scene.judge_with(&BrokenEmbedder).expect_err("no model");
    assert!(error.to_string().contains("seg-1"), "{error}");
}
