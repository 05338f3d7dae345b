//! The published contract: its golden file and its JSON Schema.
//!
//! `ENDCAP_BLESS=1 cargo test --release --test it fuse::golden` writes both anew.

use std::path::PathBuf;

use endcap::domain::manifest::{Provenance, STOREFRONT_SCHEMA, StorefrontManifest, to_bytes};
use endcap::domain::merchandising::RuleKind;
use endcap::domain::stage::FusedPage;
use endcap::domain::{ArmId, Digest, RunId};
use endcap::fuse::{CheckablePage, FuseError, Stamp, manifest};

use super::shop::*;

fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A change of these files is a change of the contract: v1 grows by optional fields only.
fn assert_committed(path: &str, bytes: &[u8]) {
    if std::env::var_os("ENDCAP_BLESS").is_some() {
        std::fs::write(at(path), bytes).expect("writing the committed file");
    }
    let committed = std::fs::read(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (committed, made) = (String::from_utf8_lossy(&committed), String::from_utf8_lossy(bytes));
    assert!(
        committed == made,
        "{path} differs from what the code makes; if meant, ENDCAP_BLESS=1 writes it:\n{made}"
    );
}

pub fn stamp() -> Stamp {
    let as_of = day("2017-11-13");
    Stamp {
        run_id: RunId::new(as_of, &Digest::of(b"everything")),
        as_of,
        generated_at: "2017-11-13T02:00:00Z".parse().expect("time"),
        valid_until: "2017-11-15T02:00:00Z".parse().expect("time"),
        provenance: Provenance {
            models: [("SmolLM2-135M-Instruct".to_owned(), Digest::of(b"weights"))].into(),
            inputs: Digest::of(b"inputs"),
            config: Digest::of(b"config"),
            engine_version: "0.1.0".into(),
        },
    }
}

/// A mixed page with a campaign, a pin, and products with and without the optional fields.
fn fused() -> (World, FusedPage) {
    let mut world = World::new();
    world.merchandising.page.placements = 3;
    world.campaign("Cheese week", vec![aisle("Cheese")], Some(0));
    world.rule("wine-with-cheese", RuleKind::Pin { product: id("wine-01"), position: 0 });
    world.change("cheese-01", |product| {
        product.brand = Some("Dairy & Sons <Ltd>".into());
        product.package_size = Some("8 OZ".into());
        product.image_url = Some("https://img.example/cheese-01.webp".into());
        product.price = 1234.567;
    });
    let mut judged = full_page();
    judged.placements.remove(0);
    judged.placements.pop();
    let page = world.fuse(&judged).expect("page");
    (world, page)
}

#[test]
fn the_manifest_is_the_golden_file_byte_for_byte() {
    let (world, page) = fused();
    let made = manifest(&page, &world.catalog(), &stamp()).expect("manifest");
    assert_committed("tests/golden/storefront-v1.json", &to_bytes(&made).expect("bytes"));
}

/// The fused page with the ranker's as what the arm `holdout` sees.
fn with_holdout() -> StorefrontManifest {
    let (world, page) = fused();
    let made = |page: &FusedPage| manifest(page, &world.catalog(), &stamp()).expect("manifest");
    let ranker_page = world.ranker_page().expect("the ranker's page");
    let both = made(&page).with_variant(ArmId::parse("holdout").expect("arm"), made(&ranker_page));
    both.expect("one segment, one run")
}

#[test]
fn the_manifest_of_two_arms_is_the_golden_file_byte_for_byte() {
    let made = with_holdout();
    assert_committed("tests/golden/storefront-v1-variants.json", &to_bytes(&made).expect("bytes"));
}

#[test]
fn mer_1_the_rules_are_held_against_every_arm() {
    let (mut world, page) = fused();
    let own = manifest(&page, &world.catalog(), &stamp()).expect("manifest");
    let mut other = own.clone();
    other.placements[0].title = "Sourdough corner".into();
    let made = own.with_variant(ArmId::parse("bread").expect("arm"), other).expect("variant");
    assert_eq!(world.check_manifest(&made), []);
    world.rule("tonight", RuleKind::BannedPhrases { phrases: vec!["sourdough".into()] });
    assert_eq!(world.check_page(&CheckablePage::from(&made)), [], "the own page keeps the rule");
    let violations = world.check_manifest(&made);
    assert_eq!(
        violations.iter().map(|violation| violation.rule_id.as_str()).collect::<Vec<_>>(),
        ["tonight"]
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let schema = schemars::schema_for!(StorefrontManifest);
    assert_committed("infra/schema/storefront-v1.schema.json", &to_bytes(&schema).expect("bytes"));
}

/// Files are added when the contract grows and never changed: what was published stays readable.
#[test]
fn every_golden_file_stays_readable() {
    let folder = std::fs::read_dir(at("tests/golden")).expect("tests/golden");
    let paths = folder.map(|entry| entry.expect("entry").path());
    let mut read = 0;
    for path in paths.filter(|path| path.to_string_lossy().contains("storefront-v1")) {
        let bytes = std::fs::read(&path).expect("golden file");
        let manifest: StorefrontManifest =
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(manifest.schema, STOREFRONT_SCHEMA);
        read += 1;
    }
    assert!(read > 0, "no golden manifest found");
}

#[test]
fn positions_count_from_one_and_prices_have_two_decimals() {
    let (world, page) = fused();
    let made = manifest(&page, &world.catalog(), &stamp()).expect("manifest");
    assert_eq!(made.placements.iter().map(|placement| placement.position).collect::<Vec<_>>(), [1, 2, 3]);
    let price = |name: &str| {
        let all = made.placements.iter().flat_map(|placement| &placement.products);
        all.into_iter().find(|product| product.product_id.as_str() == name).expect("product").price
    };
    // 1234.567f32 is 1234.5670166…; 2.99f32 is 2.9900000095…
    assert_eq!((price("cheese-01"), price("wine-01")), (1234.57, 2.99));
}

#[test]
fn mer_1_a_manifest_is_checked_like_the_page_it_came_from() {
    let (mut world, page) = fused();
    let made = manifest(&page, &world.catalog(), &stamp()).expect("manifest");
    assert_eq!(world.check_page(&CheckablePage::from(&made)), []);
    world.rule("tonight", RuleKind::BannedPhrases { phrases: vec!["dairy".into()] });
    world.change("cheese-01", |product| product.brand = None);
    let violations = world.check_page(&CheckablePage::from(&made));
    assert_eq!(violations.len(), 1, "the published brand is on the page, whatever the catalogue says now");
    assert_eq!(violations[0].rule_id, "tonight");
}

#[test]
fn a_product_that_left_the_catalogue_is_an_error() {
    let (mut world, page) = fused();
    world.products.retain(|product| product.product_id.as_str() != "wine-01");
    let error = manifest(&page, &world.catalog(), &stamp()).expect_err("unknown product");
    assert_eq!(error, FuseError::UnknownProduct { segment: segment("seg-1"), product: id("wine-01") });
}
