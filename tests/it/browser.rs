//! The storefront in a real browser: headless Chromium, clicked through as a shopper and as a merchandiser.

mod driver;

use endcap::cli::serve::Stories;
use serde_json::json;

use crate::serve::fixture::{CARRIED, FIRST, HOSTILE, PERSONA, REJECTED, SECOND, SHORT_ARM, Shop};
use driver::{Browser, Keys};

/// The title a page has once it is on show.
fn title_of(segment: &str) -> String {
    format!("{segment} · endcap storefront")
}

async fn open(shop: &Shop, tail: &str) -> (Browser, String) {
    let server = shop.serve().await;
    let origin = format!("http://{server}");
    let browser = Browser::start().await;
    browser.goto(&format!("{origin}/{tail}")).await;
    (browser, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_sees_shelves_of_products() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;

    assert_eq!(browser.count(".shelf").await, 3);
    assert_eq!(browser.count(".card").await, 3 * 7);
    assert_eq!(browser.count(".shelf--campaign").await, 1);
    assert_eq!(browser.texts("#shelf-0 + .chips .chip").await, ["asparagus", "pork chops"]);
    assert_eq!(browser.texts(".shelf--campaign .pill").await, ["Spring suppers"]);
    assert_eq!(browser.count(".card__own").await, 3, "one own-brand product a shelf");
    let price =
        browser.eval("return document.querySelector('.card__price .visually-hidden').textContent").await;
    assert_eq!(price, "$3.49");
    assert!(
        browser.eval("return document.querySelector('.tile').getBoundingClientRect().width").await.as_f64()
            > Some(80.0)
    );

    browser.click(".card__add").await;
    browser.wait_for("document.querySelector('#basket-total').textContent", "1 · $3.49").await;

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_picked_by_keyboard_and_by_mouse() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;

    browser.focus("#segment").await;
    browser.press(&[Keys::Down, Keys::Down]).await;
    assert_eq!(browser.attribute("#segment", "aria-expanded").await, "true");
    assert_eq!(browser.attribute("#segment", "aria-activedescendant").await, "segment-option-1");
    browser.press(&[Keys::Enter]).await;
    browser.wait_for("document.title", &title_of(SECOND)).await;
    browser.wait_for("location.hash", "#seg-002").await;
    let said = browser.eval("return document.querySelector('#announce').textContent").await;
    assert_eq!(said, "Showing seg-002: 3 shelves, new tonight.");

    browser.click("#segment").await;
    browser.click(&format!("[data-id={CARRIED}]")).await;
    browser.wait_for("document.title", &title_of(CARRIED)).await;
    assert_eq!(browser.attribute("#segment", "aria-expanded").await, "false");

    browser.eval("history.back()").await;
    browser.wait_for("document.title", &title_of(SECOND)).await;
    browser.wait_for("document.querySelector('#segment').value", SECOND).await;

    browser.type_into("#segment", "zzz").await;
    browser.wait_for("document.querySelector('.picker__none')?.textContent", "No segment of that name").await;
    browser.press(&[Keys::Escape]).await;
    browser.wait_for("document.querySelector('#segment').value", SECOND).await;

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_title_is_text() {
    let shop = Shop::open().await;
    for view in ["", "/merchandiser"] {
        let (browser, origin) = open(&shop, &format!("#{SECOND}{view}")).await;
        browser.wait_for("document.title", &title_of(SECOND)).await;
        let titles =
            browser.eval("return [...document.querySelectorAll('h2')].map((node) => node.textContent)").await;
        let shown = titles.as_array().expect("titles").iter().filter(|title| *title == HOSTILE).count();
        assert_eq!(shown, 2, "in both views: {titles}");
        assert_eq!(browser.count("main script, main img").await, 0);
        assert_eq!(browser.count("script").await, 1, "the page's own");
        browser.assert_quiet(&origin).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchandiser_sees_why() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;

    browser.focus("#tab-shopper").await;
    browser.press(&[Keys::Right]).await;
    browser.wait_for("document.activeElement.id", "tab-merchandiser").await;
    assert_eq!(browser.attribute("#tab-merchandiser", "aria-selected").await, "true");
    browser.wait_for("location.hash", "#seg-001/merchandiser").await;
    assert!(!browser.is_shown("#shopper").await && browser.is_shown("#merchandiser").await);

    assert_eq!(browser.texts(".persona").await, [PERSONA]);
    assert_eq!(browser.count(".why").await, 3);
    assert_eq!(browser.count(".chip--chosen").await, 2 * 2, "two keywords of two cascade placements");
    assert_eq!(browser.count(".chips--dense .chip").await, 2 * 4, "of four candidates each");
    assert_eq!(browser.texts(".away s").await, [REJECTED]);
    assert_eq!(browser.texts(".away code").await, ["price-claim"]);
    // The ranker's best of seven stands last on the page: six places down; the first is its worst.
    let ranks = browser.texts(".scores tbody tr:first-child td:last-child").await;
    assert!(ranks[0].starts_with("7 ↑6"), "{ranks:?}");
    let ranker_only = browser.texts(".versus__page:last-child .mini").await;
    assert!(ranker_only.iter().any(|text| text.contains("Red Delicious apples")), "{ranker_only:?}");
    assert!(browser.count(".mini--both").await > 0);

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_stories_the_view_says_so_or_is_gone() {
    let shop = Shop::open().await;
    for (stories, tabs) in [(Stories::Unknown, true), (Stories::Hidden, false)] {
        let origin = format!("http://{}", shop.serve_with(stories).await);
        let browser = Browser::start().await;
        browser.goto(&format!("{origin}/#{FIRST}/merchandiser")).await;
        browser.wait_for("document.title", &title_of(FIRST)).await;
        assert_eq!(browser.is_shown("#tabs").await, tabs);
        assert_eq!(browser.is_shown("#merchandiser").await, tabs);
        assert_eq!(browser.count(".remark").await, usize::from(tabs));
        assert_eq!(browser.count(".persona").await, 0);
        browser.assert_quiet(&origin).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_and_light_by_toggle_and_by_system() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;
    let background = "return getComputedStyle(document.body).backgroundColor";

    let light = browser.eval(background).await;
    assert_eq!(browser.attribute("#theme", "aria-pressed").await, "false");
    browser.click("#theme").await;
    let dark = browser.eval(background).await;
    assert_ne!(light, dark);
    assert_eq!(browser.attribute("#theme", "aria-pressed").await, "true");

    browser.eval("location.reload()").await;
    browser.wait_for("document.documentElement.dataset.theme", "dark").await;
    browser.eval("localStorage.clear(); delete document.documentElement.dataset.theme").await;
    let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.devtools("Emulation.setEmulatedMedia", scheme).await;
    assert_eq!(browser.eval(background).await, dark);

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_scrolls_shelves_but_never_the_page_sideways() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, &format!("#{SECOND}")).await;
    browser.wait_for("document.title", &title_of(SECOND)).await;
    for (width, height) in [(320, 640), (390, 844), (768, 1024), (1280, 900), (1920, 1080)] {
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700 });
        browser.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        for tab in ["#tab-merchandiser", "#tab-shopper"] {
            browser.click(tab).await;
            let page = browser.eval("const { scrollWidth, clientWidth } = document.documentElement; return [scrollWidth, clientWidth]").await;
            assert!(page[0].as_u64() <= page[1].as_u64(), "{tab} at {width} px: {page}");
        }
        let row = browser.eval("const { scrollWidth, clientWidth } = document.querySelector('.row'); return scrollWidth > clientWidth").await;
        assert_eq!(row, true, "seven cards at {width} px");
    }
    let picture = tempfile::tempdir().expect("temporary folder").keep().join("storefront.png");
    browser.screenshot(&picture).await;
    assert!(std::fs::metadata(&picture).expect("a picture").len() > 20_000, "{}", picture.display());
    std::fs::remove_dir_all(picture.parent().expect("parent")).expect("remove");

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_walk_the_page() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;
    let focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id";

    browser.press(&[Keys::Tab]).await;
    browser.wait_for(focused, "skip").await;
    browser.press(&[Keys::Enter]).await;
    browser.wait_for(focused, "content").await;

    assert_eq!(browser.count(".row button[tabindex='0']").await, 3, "one tab stop a shelf");
    browser.focus(".row button").await;
    browser.press(&[Keys::Right, Keys::Right]).await;
    browser.wait_for(focused, "Add Lemons to the basket").await;
    browser.press(&[Keys::Home]).await;
    browser.wait_for(focused, "Add Asparagus to the basket").await;
    browser.press(&[Keys::Down]).await;
    let shelf = "document.activeElement.closest('.shelf').querySelector('h2').textContent";
    browser.wait_for(shelf, "Crunch time").await;
    browser.press(&[Keys::End]).await;
    browser.wait_for(focused, "Add Cheese crackers to the basket").await;
    let outline = browser.eval("return getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid", "the focus is seen");

    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_reader_finds_its_way() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;
    assert_eq!(browser.attribute("html", "lang").await, "en");
    for landmark in [
        "body > header",
        "main",
        "footer",
        "nav[aria-label]",
        "[role=tablist][aria-label]",
        "[role=status][aria-live=polite]",
    ] {
        assert_eq!(browser.count(landmark).await, 1, "{landmark}");
    }
    let unnamed = "return [...document.querySelectorAll('button')].filter((node) => !(node.getAttribute('aria-label') ?? node.textContent).trim()).length";
    assert_eq!(browser.eval(unnamed).await, 0);
    let dangling = "return [...document.querySelectorAll('[aria-labelledby], [aria-controls], [aria-describedby]')].flatMap((node) => ['aria-labelledby', 'aria-controls', 'aria-describedby'].map((name) => node.getAttribute(name)).filter(Boolean)).filter((id) => !document.getElementById(id))";
    assert_eq!(browser.eval(dangling).await, json!([]));
    assert_eq!(browser.count("#shopper h1").await, 1);
    assert_eq!(browser.attribute("#content", "aria-busy").await, "false");
    browser.assert_quiet(&origin).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arm_of_the_address_sees_its_variant() {
    let shop = Shop::open().await;
    for (arm, shelves) in [(SHORT_ARM, 1), ("stranger", 3)] {
        let (browser, origin) = open(&shop, &format!("?arm={arm}")).await;
        browser.wait_for("document.title", &title_of(FIRST)).await;
        assert_eq!(browser.count(".shelf").await, shelves, "{arm}");
        browser.assert_quiet(&origin).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_said_in_words() {
    let shop = Shop::open().await;
    let (browser, origin) = open(&shop, "#seg-404").await;
    browser.wait_for("document.querySelector('#shopper .notice h1')?.textContent", "No such segment").await;
    browser.assert_quiet(&origin).await;

    // The server answers, but a page of the index is gone.
    let page = shop.root().join(format!("runs/{}/segments/{FIRST}.json", crate::serve::fixture::TONIGHT));
    std::fs::rename(&page, page.with_extension("away")).expect("rename");
    browser.goto(&format!("{origin}/?segment={FIRST}")).await;
    browser
        .wait_for("document.querySelector('#shopper .notice h1')?.textContent", "This page is missing")
        .await;
    std::fs::rename(page.with_extension("away"), &page).expect("rename");
    browser.click("#shopper .button").await;
    browser.wait_for("document.title", &title_of(FIRST)).await;
    browser.close().await;
}
