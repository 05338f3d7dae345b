//! Retrieval over a small hand-made shop, with the real encoder.

mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use endcap::domain::merchandising::Target;
use endcap::domain::{Catalog, Keyword, Product, ProductId};
use endcap::embed::{Encoder, Memory};
use endcap::index::{Index, IndexError, ProductFilter, Settings, TableReport};

use crate::embed::{encoder, memory, model_dir};
use crate::s3_server;
use shop::{SHOP, Shop, everything, keyword, keywords, open, product, products, texts};

#[tokio::test]
async fn products_are_found_by_word_and_by_meaning() {
    let shop = Shop::stocked().await;
    let by_word = shop.products(&["protein bars"], &everything()).await;
    assert_eq!(by_word[..2], ["protein-bars-2", "protein-bars-1"]);
    assert!(!by_word.iter().any(|id| id.starts_with("bar-soap")), "{by_word:?}");
    for (meaning, product) in [
        ("fizzy drinks", "sparkling-water-2"),
        ("washing clothes", "liquid-laundry-detergent-2"),
        ("puppy kibble", "dry-dog-food-2"),
        ("noodles", "spaghetti-2"),
    ] {
        let found = shop.products(&[meaning], &everything()).await;
        assert_eq!(found.first().map(String::as_str), Some(product), "{meaning}: {found:?}");
    }
}

#[tokio::test]
async fn words_are_stemmed_and_folded() {
    let shop = Shop::stocked().await;
    for query in ["BANANA", "bananás", "banana"] {
        assert_eq!(shop.products(&[query], &everything()).await[0], "bananas-2", "{query}");
    }
}

#[tokio::test]
async fn keywords_come_best_first_and_each_text_once() {
    let shop = Shop::empty().await;
    let mut corpus = keywords();
    corpus.push(keyword("k999", "Protein Bars"));
    shop.update(&corpus, &[]).await;
    let found = shop.keywords(&["protein bars", "quick breakfast"]).await;
    let first: BTreeSet<&str> = found[..4].iter().map(String::as_str).collect();
    assert!(first.contains("protein bars") && first.contains("quick breakfast"), "{found:?}");
    let folded: BTreeSet<String> = found.iter().map(|text| text.to_lowercase()).collect();
    assert_eq!(folded.len(), found.len());
    let candidates = shop.index.search_keywords(&texts(&["milk"]), 3).await.expect("search");
    assert_eq!(candidates.len(), 3);
    assert!(candidates.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[tokio::test]
async fn every_concept_of_a_placement_is_represented() {
    let shop = Shop::stocked().await;
    // Four concepts agree on cheese and milk; the fifth must not be crowded out.
    let queries = ["white milk", "organic milk", "shredded cheese", "greek yogurt", "diapers"];
    let found = shop.index.search_keywords(&texts(&queries), 5).await.expect("search");
    let found: BTreeSet<&str> = found.iter().map(|candidate| candidate.text.as_str()).collect();
    assert_eq!(found, BTreeSet::from(queries));
}

#[tokio::test]
async fn every_keyword_of_a_placement_is_represented() {
    let shop = Shop::stocked().await;
    let hits = shop.index.search_products(&texts(&["milk", "red wine", "diapers"]), &everything(), 6).await;
    let hits = hits.expect("search");
    let named: BTreeSet<&str> = hits.iter().map(|hit| hit.keyword.as_str()).collect();
    assert_eq!(named, BTreeSet::from(["milk", "red wine", "diapers"]));
    assert_eq!(hits[0].relevance, 1.0);
    assert!(hits.windows(2).all(|pair| pair[0].relevance >= pair[1].relevance && pair[1].relevance > 0.0));
}

#[tokio::test]
async fn equal_texts_are_ordered_by_units_and_capped_by_type() {
    let shop = Shop::empty().await;
    let milk =
        |id: &str, units_28d| Product { units_28d, ..product(id, "White milk", "Milk and cream", &[]) };
    shop.update(&[], &[milk("a", 5), milk("b", 50), milk("c", 50), milk("d", 7)]).await;
    assert_eq!(shop.products(&["milk"], &everything()).await, ["b", "c"]);
}

#[tokio::test]
async fn filters_hold_before_the_search() {
    let shop = Shop::empty().await;
    let mut stock = products();
    stock.iter_mut().filter(|product| product.title == "Cola").for_each(|product| product.in_stock = false);
    stock[1].in_stock = false;
    shop.update(&[], &stock).await;

    let in_stock = ProductFilter { in_stock_only: true, ..everything() };
    assert_eq!(shop.products(&["white milk"], &in_stock).await[0], "white-milk-1");
    let drinks = shop.products(&["cola"], &in_stock).await;
    assert!(!drinks.is_empty() && !drinks.iter().any(|id| id.starts_with("cola")), "{drinks:?}");

    let dry = ProductFilter { forbidden_tags: ["alcohol".to_owned()].into(), ..everything() };
    let found = shop.products(&["red wine", "beer"], &dry).await;
    assert!(!found.iter().any(|id| id.starts_with("red-wine") || id.starts_with("craft-beer")), "{found:?}");
    // A tag is matched whole.
    let part = ProductFilter { forbidden_tags: ["alco".to_owned()].into(), ..everything() };
    assert_eq!(shop.products(&["red wine"], &part).await[0], "red-wine-2");

    let id = ProductId::parse("butter-2").expect("id");
    for (target, query, gone) in [
        (Target::Product(id), "butter", "butter-2"),
        (Target::Type("Bananas".into()), "bananas", "bananas"),
        (Target::Aisle("Baby".into()), "diapers", "diapers"),
        (Target::Tag("organic".into()), "organic milk", "organic-milk"),
    ] {
        let filter = ProductFilter { blocked: [target.clone()].into(), ..everything() };
        assert!(shop.products(&[query], &everything()).await.iter().any(|id| id.starts_with(gone)));
        assert!(!shop.products(&[query], &filter).await.iter().any(|id| id.starts_with(gone)), "{target:?}");
    }
    let brands = ProductFilter { blocked: [Target::PrivateLabel].into(), ..everything() };
    assert_eq!(shop.products(&["butter"], &brands).await[0], "butter-2", "none of them is a private label");
}

#[tokio::test]
async fn an_update_writes_and_embeds_only_what_changed() {
    let shop = Shop::empty().await;
    let (mut corpus, mut stock) = (keywords(), products());
    let (words, items) = (corpus.len() as u64, stock.len() as u64);
    let first = shop.update(&corpus, &stock).await;
    assert_eq!(first.keywords, TableReport { added: words, embedded: words, ..Default::default() });
    // Two products share a title, and so a vector.
    assert_eq!(first.products, TableReport { added: items, embedded: items / 2, ..Default::default() });

    let kinds = shop.product_types().await.len() as u64;
    assert_eq!(first.types, TableReport { added: kinds, embedded: kinds, ..Default::default() });

    let same = shop.update(&corpus, &stock).await;
    assert_eq!(same.types, TableReport { unchanged: kinds, ..Default::default() });
    assert_eq!(same.keywords, TableReport { unchanged: words, ..Default::default() });
    assert_eq!(same.products, TableReport { unchanged: items, ..Default::default() });

    stock[0].price = 99.0;
    stock[1].units_28d = 7;
    stock[2].in_stock = false;
    let changed = shop.update(&corpus, &stock).await;
    // Search reads no price.
    let expected = TableReport { changed: 2, unchanged: items - 2, ..Default::default() };
    assert_eq!(changed.products, expected);

    stock[4].title = "Whipped butter".into();
    stock.pop();
    corpus[0].text = "goat milk".into();
    let removed = corpus.pop().expect("keyword");
    let changed = shop.update(&corpus, &stock).await;
    let expected = TableReport { changed: 1, removed: 1, unchanged: items - 2, embedded: 1, added: 0 };
    assert_eq!(changed.products, expected);
    let expected = TableReport { changed: 1, removed: 1, unchanged: words - 2, embedded: 1, added: 0 };
    assert_eq!(changed.keywords, expected);
    assert!(!shop.keywords(&[&removed.text]).await.contains(&removed.text));
    assert!(shop.keywords(&["goat milk"]).await.contains(&"goat milk".to_owned()));
    assert_eq!(shop.products(&["whipped butter"], &everything()).await[0], "butter-1");
}

#[tokio::test]
async fn product_types_come_with_the_encoders_own_vectors() {
    let shop = Shop::stocked().await;
    let types: BTreeSet<String> = products().into_iter().map(|product| product.product_type).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let encoded = encoder().encode(&types, &|_| ()).expect("types");
    let expected: BTreeMap<String, Vec<f32>> =
        types.iter().map(|text| (*text).to_owned()).zip(encoded).collect();
    assert_eq!(shop.product_types().await, expected);

    // A type that nothing has any more goes with its last product.
    let mut stock = products();
    let gone = stock[0].product_type.clone();
    stock.retain(|product| product.product_type != gone);
    let report = shop.update(&keywords(), &stock).await;
    assert_eq!((report.types.removed, report.types.embedded), (1, 0));
    assert!(!shop.product_types().await.contains_key(&gone));
}

#[tokio::test]
async fn keywords_of_the_corpus_come_with_the_encoders_own_vectors() {
    let shop = Shop::stocked().await;
    let asked = ["dairy", "laundry soap", "no keyword of this shop"].into();
    let found = shop.index.keyword_vectors(&asked).await.expect("vectors");
    let encoded = encoder().encode(&["dairy", "laundry soap"], &|_| ()).expect("texts");
    let expected = ["dairy", "laundry soap"].map(str::to_owned).into_iter().zip(encoded).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_text_that_is_stored_is_not_embedded_again() {
    let shop = Shop::stocked().await;
    let mut stock = products();
    stock.iter_mut().for_each(|product| product.tags = ["new".to_owned()].into());
    let corpus: Vec<Keyword> =
        keywords().into_iter().map(|word| keyword(&format!("new-{}", word.keyword_id), &word.text)).collect();
    let report = shop.update(&corpus, &stock).await;
    assert_eq!(report.products.changed, stock.len() as u64, "each has another listing");
    assert_eq!(report.keywords.added, corpus.len() as u64);
    assert_eq!(report.keywords.removed, corpus.len() as u64);
    assert_eq!((report.products.embedded, report.keywords.embedded), (0, 0));
    assert_eq!(shop.products(&["protein bars"], &everything()).await[0], "protein-bars-2");
}

#[tokio::test]
async fn answers_depend_on_the_content_and_not_on_its_history() {
    let fresh = Shop::stocked().await;
    let (answers, digest) = (fresh.answers().await, fresh.index.content_digest().expect("digest"));
    assert_eq!(fresh.answers().await, answers, "asked again");

    let reopened = Shop { index: open(&fresh.dir).await, dir: fresh.dir };
    assert_eq!(reopened.answers().await, answers, "opened again");
    assert_eq!(reopened.index.content_digest().expect("digest"), digest);

    let grown = Shop::empty().await;
    let (corpus, stock) = (keywords(), products());
    grown.update(&corpus[30..], &stock[20..]).await;
    assert_ne!(grown.index.content_digest().expect("digest"), digest);
    grown.update(&corpus[..40], &stock[..50]).await;
    grown.update(&corpus, &stock).await;
    assert_eq!(grown.index.content_digest().expect("digest"), digest);
    assert_eq!(grown.answers().await, answers, "grown in three steps");
}

#[tokio::test]
async fn an_index_on_s3_answers_like_one_on_disk() {
    s3_server::create_bucket("retrieval").await;
    let storage = [
        ("aws_endpoint", s3_server::endpoint()),
        ("allow_http", "true"),
        ("aws_access_key_id", "test"),
        ("aws_secret_access_key", "test"),
        ("aws_region", "us-east-1"),
    ];
    let storage = storage.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let settings = Settings { storage, ..Settings::default() };
    let open = || Index::open("s3://retrieval/index", memory(), settings.clone());
    let dir = tempfile::tempdir().expect("temporary folder");
    let remote = Shop { index: open().await.expect("open"), dir };
    remote.update(&keywords(), &products()[..30]).await;
    remote.update(&keywords(), &products()).await;
    let reopened = Shop { index: open().await.expect("open again"), dir: remote.dir };
    assert_eq!(reopened.answers().await, Shop::stocked().await.answers().await);
}

#[tokio::test]
async fn hostile_texts_are_only_texts() {
    let shop = Shop::empty().await;
    let hostile = [
        "' OR 1=1 --",
        "'; DROP TABLE products; --",
        "\" + - && || ! ( ) { } [ ] ^ ~ * ? : \\ /",
        "title:milk AND (price:[0 TO 9])",
        "{{ 7*7 }}",
        "<script>alert(1)</script>",
        "🎉🎉🎉",
        "the of and",
        "\u{1f}alcohol\u{1f}",
        "",
        "   ",
    ];
    let mut stock = products();
    stock
        .extend(hostile.iter().enumerate().map(|(at, text)| product(&format!("h{at}"), text, text, &[text])));
    let mut corpus = keywords();
    corpus.extend(hostile.iter().enumerate().map(|(at, text)| keyword(&format!("h{at}"), text)));
    shop.update(&corpus, &stock).await;
    for text in hostile {
        shop.keywords(&[text]).await;
        let everything_goes = shop.products(&["white milk"], &everything()).await;
        let filter = ProductFilter {
            in_stock_only: true,
            forbidden_tags: [text.to_owned()].into(),
            blocked: [Target::Type(text.into()), Target::Aisle(text.into()), Target::Tag(text.into())].into(),
        };
        assert_eq!(shop.products(&["white milk"], &filter).await, everything_goes, "{text:?} as a filter");
        let found = shop.products(&[text], &filter).await;
        assert!(!found.iter().any(|id| hostile_id(id, text, &hostile)), "{text:?} finds what it forbids");
    }
    assert_eq!(shop.update(&corpus, &stock).await.products.unchanged, stock.len() as u64);
}

fn hostile_id(id: &str, text: &str, hostile: &[&str]) -> bool {
    id.strip_prefix('h').and_then(|at| at.parse::<usize>().ok()).and_then(|at| hostile.get(at)) == Some(&text)
}

#[tokio::test]
async fn an_update_cut_short_is_not_searched_and_ends_right_when_run_again() {
    let whole = Shop::stocked().await;
    let (answers, digest) = (whole.answers().await, whole.index.content_digest().expect("digest"));

    let shop = Shop::empty().await;
    shop.update(&keywords()[20..], &products()[10..40]).await;
    let catalog = Catalog::new(products());
    let mut cut = 0;
    for millis in [1, 3, 8, 20, 40, 80] {
        let corpus = keywords();
        let update = shop.index.update(&corpus, &catalog, &|_| ());
        cut += usize::from(tokio::time::timeout(Duration::from_millis(millis), update).await.is_err());
        // What a process that was killed there would find.
        let reopened = open(&shop.dir).await;
        if let Ok(found) = reopened.content_digest() {
            let untouched = shop.index.content_digest().expect("digest");
            assert!(found == digest || found == untouched, "a finished state or none");
        } else {
            let refused = reopened.search_keywords(&texts(&["milk"]), 5).await;
            assert!(matches!(refused, Err(IndexError::Unfinished { .. })));
        }
    }
    assert!(cut > 0, "no update was cut short");
    let reopened = Shop { index: open(&shop.dir).await, dir: shop.dir };
    reopened.update(&keywords(), &products()).await;
    assert_eq!(reopened.index.content_digest().expect("digest"), digest);
    assert_eq!(reopened.answers().await, answers);
}

#[tokio::test]
async fn an_index_never_updated_says_what_to_do() {
    let shop = Shop::empty().await;
    let error = shop.index.search_products(&texts(&["milk"]), &everything(), 5).await.expect_err("empty");
    assert!(error.to_string().contains("endcap index"), "{error}");
    assert!(shop.index.content_digest().is_err());
}

#[tokio::test]
async fn an_empty_shop_finds_nothing() {
    let shop = Shop::empty().await;
    shop.update(&[], &[]).await;
    assert!(shop.keywords(&["milk"]).await.is_empty());
    assert!(shop.products(&["milk"], &everything()).await.is_empty());
    shop.update(&keywords(), &products()).await;
    assert!(shop.keywords(&["milk"]).await.len() > 1);
    shop.update(&[], &[]).await;
    assert!(shop.products(&["milk"], &everything()).await.is_empty());
    assert!(shop.products(&[], &everything()).await.is_empty());
}

#[tokio::test]
async fn another_encoder_rebuilds_the_index() {
    let shop = Shop::stocked().await;
    let changed = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(changed.path().join("1_Pooling")).expect("folder");
    for file in ["config.json", "tokenizer.json", "1_Pooling/config.json"] {
        std::fs::copy(model_dir().join(file), changed.path().join(file)).expect("copy");
    }
    let mut weights = std::fs::read(model_dir().join("model.safetensors")).expect("weights");
    *weights.last_mut().expect("a byte") ^= 1;
    std::fs::write(changed.path().join("model.safetensors"), weights).expect("weights");
    let device = candle_core::Device::Cpu;
    let other = Encoder::load(changed.path(), &device, Default::default()).expect("encoder").into();

    let uri = shop.dir.path().join("index").display().to_string();
    let index = Index::open(&uri, Arc::new(Memory::new(other)), Settings::default()).await.expect("open");
    let refused = index.search_keywords(&texts(&["milk"]), 5).await;
    assert!(matches!(refused, Err(IndexError::Unfinished { .. })));
    let report = index.update(&keywords(), &Catalog::new(products()), &|_| ()).await.expect("update");
    assert_eq!(report.keywords.embedded, keywords().len() as u64);
    assert_ne!(index.content_digest().expect("digest"), shop.index.content_digest().expect("digest"));
}

/// Vectors are indexed where rows warrant it; what is indexed is found like what is scanned.
#[tokio::test]
async fn a_large_table_gets_a_vector_index() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let uri = dir.path().join("index").display().to_string();
    let settings = Settings { vector_index_min_rows: 1_000, ..Settings::default() };
    let index = Index::open(&uri, memory(), settings).await.expect("open");
    let corpus: Vec<Keyword> = (0..1_000)
        .map(|at| keyword(&format!("k{at:04}"), &format!("{} {at}", SHOP[at % SHOP.len()].0)))
        .chain(keywords())
        .collect();
    index.update(&corpus, &Catalog::default(), &|_| ()).await.expect("update");
    let files = walk(&dir.path().join("index/keywords.lance/_indices"));
    assert!(files.iter().any(|file| file.ends_with("auxiliary.idx")), "no vector index in {files:?}");
    for word in ["fizzy drinks", "laundry soap", "asparagus"] {
        let found = index.search_keywords(&texts(&[word]), 5).await.expect("search");
        assert_eq!(found[0].text, word);
    }
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] })
        .collect()
}

#[test]
fn settings_outside_their_ranges_are_named() {
    let good = Settings::default;
    assert_eq!(good().validate(), Ok(()));
    for (bad, key) in [
        (Settings { vector_index_min_rows: 10, ..good() }, "vector_index_min_rows"),
        (Settings { pool: 0, ..good() }, "pool"),
        (Settings { min_cosine: 2.0, ..good() }, "min_cosine"),
        (Settings { candidate_min_cosine: f32::NAN, ..good() }, "candidate_min_cosine"),
        (Settings { min_cosine_share: -0.1, ..good() }, "min_cosine_share"),
        (Settings { max_per_type: 0, ..good() }, "max_per_type"),
    ] {
        assert!(bad.validate().expect_err(key).contains(key));
    }
}
