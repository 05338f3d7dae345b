//! One manifest, several arms: what it may hold, and that the rules hold for every arm.

use endcap::domain::manifest::{StorefrontManifest, VariantError, to_bytes};
use serde_json::{Value, json};

use super::arm;
use crate::support;

/// The golden page of a contract without variants.
fn page() -> StorefrontManifest {
    let value = support::json(&support::project().join("tests/golden/storefront-v1.json"));
    serde_json::from_value(value).expect("manifest")
}

/// The same page, one placement short.
fn shorter() -> StorefrontManifest {
    let mut page = page();
    page.placements.remove(0);
    page
}

#[test]
fn each_arm_sees_its_page_and_a_stranger_the_default() {
    let page = page().with_variant(arm("short"), shorter()).expect("variant");
    assert_eq!(page.for_arm(Some(&arm("short"))), shorter().placements);
    assert_eq!(page.for_arm(Some(&arm("other"))), page.placements);
    assert_eq!(page.for_arm(None), page.placements);
    assert_eq!(page.pages().count(), 2);
    assert_eq!(page.every_placement().count(), 2 * page.placements.len() - 1);
}

#[test]
fn a_page_without_variants_has_the_bytes_it_always_had() {
    let path = support::project().join("tests/golden/storefront-v1.json");
    assert_eq!(to_bytes(&page()).expect("bytes"), std::fs::read(path).expect("golden file"));
}

#[test]
fn arms_are_ordered_and_none_comes_twice() {
    let both = |first: &str, second: &str| {
        page().with_variant(arm(first), shorter())?.with_variant(arm(second), shorter())
    };
    assert_eq!(both("a", "b"), both("b", "a"));
    assert_eq!(both("a", "a"), Err(VariantError::Twice { arm: arm("a") }));
    let mut written = serde_json::to_value(both("a", "b").expect("variants")).expect("JSON");
    written["variants"][1]["arm"] = json!("a");
    let error = serde_json::from_value::<StorefrontManifest>(written.clone()).expect_err("twice");
    assert!(error.to_string().contains("two variants for the arm a"), "{error}");
    written["variants"][1]["arm"] = json!("../a");
    assert!(serde_json::from_value::<StorefrontManifest>(written).is_err());
}

#[test]
fn pages_of_other_segments_runs_or_with_variants_of_their_own_are_refused() {
    let changed = |field: &str, value: &str| -> StorefrontManifest {
        let mut page = serde_json::to_value(page()).expect("JSON");
        page[field] = Value::from(value);
        serde_json::from_value(page).expect("manifest")
    };
    for other in [changed("segment_id", "seg-other"), changed("run_id", "2017-11-20-0123456789ab")] {
        let error = page().with_variant(arm("a"), other).expect_err("another page");
        assert!(matches!(error, VariantError::OtherPage { .. }), "{error}");
    }
    let nested = page().with_variant(arm("b"), shorter()).expect("variant");
    assert_eq!(page().with_variant(arm("a"), nested), Err(VariantError::Nested { arm: arm("a") }));
}
