//! MER-1 on the bytes that are about to be published: what was tampered with never reaches the pointer.

use endcap::domain::manifest::{PageStatus, StorefrontManifest, keys, to_bytes};
use endcap::domain::merchandising::RuleKind;
use endcap::domain::stage::Source;
use endcap::domain::{Digest, RunId, SegmentId};
use endcap::fuse::{Checklist, InspectError, inspect, manifest};
use endcap::publish::{self, FsStore, PagePlan, PublishError, PublishPlan, Settings, Store};
use serde_json::{Value, json};

use super::golden::stamp;
use super::shop::*;
use crate::support::spooled;

/// A shop without wine, and a page of it as it would be published.
fn page() -> (World, StorefrontManifest) {
    let world = World::with(RuleKind::Block { target: aisle("Wine") });
    let page = world.fuse(&full_page()).expect("page");
    let made = manifest(&page, &world.catalog(), &stamp()).expect("manifest");
    (world, made)
}

fn inspected(world: &World, bytes: &[u8]) -> Result<(), InspectError> {
    let catalog = world.catalog();
    let (segment, as_of) = (&world.context.segment_id, world.context.as_of);
    inspect(
        bytes,
        true,
        &Checklist { catalog: &catalog, merchandising: &world.merchandising, segment, as_of },
    )
}

fn tampered(made: &StorefrontManifest, tamper: impl Fn(&mut Value)) -> Vec<u8> {
    let mut page = serde_json::to_value(made).expect("JSON");
    tamper(&mut page);
    to_bytes(&page).expect("bytes")
}

#[test]
fn mer_1_tampered_bytes_are_seen() {
    let (world, made) = page();
    inspected(&world, &to_bytes(&made).expect("bytes")).expect("as it was made");
    type Tamper = fn(&mut Value);
    let cases: [(Tamper, &str); 6] = [
        (|page| page["placements"][0]["products"][0]["product_id"] = json!("wine-01"), "says"),
        (
            |page| {
                let card = &mut page["placements"][0]["products"][0];
                card["product_id"] = json!("wine-01");
                card["title"] = json!("Product wine-01");
            },
            "Wine is blocked",
        ),
        (|page| page["placements"][1]["products"] = page["placements"][0]["products"].clone(), "already"),
        (|page| page["placements"][1]["position"] = json!(1), "position"),
        (|page| page["segment_id"] = json!("seg-2"), "another segment"),
        (|page| page["schema"] = json!("endcap.storefront/v0"), "schema"),
    ];
    for (tamper, said) in cases {
        let error = inspected(&world, &tampered(&made, tamper)).expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(matches!(inspected(&world, b"{}"), Err(InspectError::Malformed(_))));
}

fn plan(run: &RunId, page: PagePlan) -> PublishPlan {
    let time = "2017-11-13T02:00:00Z".parse().expect("time");
    let pages = [(segment("seg-1"), page)].into();
    PublishPlan {
        run_id: run.clone(),
        as_of: run.as_of(),
        generated_at: time,
        published_at: time,
        pages,
        passing: None,
        lookups: std::collections::BTreeMap::new(),
    }
}

async fn published(world: &World, store: &dyn Store, plan: &PublishPlan) -> Result<(), PublishError> {
    let check = |segment: &SegmentId, _: PageStatus, bytes: &[u8]| {
        assert_eq!(segment.as_str(), "seg-1");
        inspected(world, bytes).map_err(|error| error.to_string())
    };
    publish::publish_inspected(store, plan, &Settings::default(), &|_| (), &check).await.map(drop)
}

#[tokio::test]
async fn mer_1_a_tampered_page_is_stopped_before_anything_is_written() {
    let (world, made) = page();
    let folder = tempfile::tempdir().expect("folder");
    let store = FsStore::new(folder.path().join("shop"));
    // The page was changed between the making and the publishing.
    let changed = tampered(&made, |page| page["placements"][0]["title"] = json!("Toast time"));
    let mut banned = world.clone();
    banned.rule("no-toast", RuleKind::BannedPhrases { phrases: vec!["toast".into()] });
    let new = |page| PagePlan::New { page, source: Source::Cascade };
    let run = RunId::new(made.as_of, &Digest::of(b"one"));
    let error = published(&banned, &store, &plan(&run, new(spooled(changed)))).await.expect_err("unfit");
    assert!(error.to_string().contains("no-toast"), "{error}");
    assert_eq!(store.list("").await.expect("list"), Vec::<String>::new());

    let bytes = to_bytes(&made).expect("bytes");
    published(&world, &store, &plan(&run, new(spooled(bytes)))).await.expect("published");
    assert_eq!(publish::read_pointer(&store).await.expect("pointer").expect("current").pointer.run_id, run);
}

#[tokio::test]
async fn mer_1_a_copied_page_is_inspected_too() {
    let (world, made) = page();
    let folder = tempfile::tempdir().expect("folder");
    let store = FsStore::new(folder.path());
    let (one, two) =
        (RunId::new(made.as_of, &Digest::of(b"one")), RunId::new(made.as_of, &Digest::of(b"two")));
    let bytes = spooled(to_bytes(&made).expect("bytes"));
    published(&world, &store, &plan(&one, PagePlan::New { page: bytes, source: Source::Cascade }))
        .await
        .expect("one");
    let reused = plan(&two, PagePlan::Reused { from_run: one.clone() });

    let mut stricter = world.clone();
    stricter.rule("no-fruit", RuleKind::Block { target: aisle("Fruit") });
    let error = published(&stricter, &store, &reused).await.expect_err("unfit").to_string();
    assert!(error.contains("no-fruit"), "{error}");

    let object = folder.path().join(keys::segment(&one, &segment("seg-1")));
    std::fs::write(&object, tampered(&made, |page| page["valid_until"] = json!("2030-01-01T00:00:00Z")))
        .expect("write");
    let error = published(&world, &store, &reused).await.expect_err("unfit").to_string();
    assert!(error.contains("other bytes"), "{error}");
    assert_eq!(publish::read_pointer(&store).await.expect("pointer").expect("current").pointer.run_id, one);
}
