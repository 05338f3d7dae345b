//! `endcap serve` over HTTP: what a CDN would answer, what stays private, and addresses that try to climb out.

pub mod fixture;
mod process;

use std::net::SocketAddr;

use endcap::cli::serve::Stories;
use endcap::publish::S3Store;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::s3_server;
use fixture::{CARRIED, FIRST, LAST_WEEK, SECOND, Shop, TONIGHT};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

async fn ask(method: Method, server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    // What the client offers and unpacks by itself depends on its features; these tests look at the bytes sent.
    let client = Client::builder().no_gzip().no_brotli().no_deflate().no_zstd().build().expect("client");
    let mut request = client.request(method, format!("http://{server}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

async fn get(server: SocketAddr, path: &str) -> Response {
    ask(Method::GET, server, path, &[]).await
}

#[track_caller]
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).unwrap_or_else(|| panic!("no {name} in {headers:?}"));
    value.to_str().expect("text")
}

async fn error_of(answer: Response) -> String {
    assert_eq!(header(answer.headers(), "content-type"), "application/json");
    assert_eq!(header(answer.headers(), "cache-control"), "no-store");
    let body: serde_json::Value = serde_json::from_slice(&answer.bytes().await.expect("body")).expect("JSON");
    body["error"].as_str().expect("an error").to_owned()
}

/// A request as it stands, since a client library would tidy its path first.
async fn raw_status(server: SocketAddr, path: &str) -> u16 {
    let mut stream = tokio::net::TcpStream::connect(server).await.expect("connect");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("receive");
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("root:"), "{path} answers with a file of the machine");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
}

#[tokio::test]
async fn the_tree_is_served_byte_for_byte_with_its_headers() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    // The pointer's age is `publish.pointer_max_age_seconds`, 5 by default; everything below runs/ never changes.
    for (key, cache) in [
        ("current.json".to_owned(), "public, max-age=5, must-revalidate"),
        (format!("runs/{TONIGHT}/index.json"), IMMUTABLE),
        (format!("runs/{TONIGHT}/segments/{FIRST}.json"), IMMUTABLE),
        (format!("runs/{LAST_WEEK}/segments/{CARRIED}.json"), IMMUTABLE),
    ] {
        let answer = get(server, &format!("/{key}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{key}");
        let headers = answer.headers().clone();
        assert_eq!(header(&headers, "content-type"), "application/json");
        assert_eq!(header(&headers, "cache-control"), cache, "{key}");
        assert_eq!(header(&headers, "x-content-type-options"), "nosniff");
        assert!(headers.get("content-encoding").is_none(), "nothing was offered to compress with");
        assert_eq!(answer.bytes().await.expect("body"), fixture::read(&shop.root(), &key), "{key}");
    }
}

#[tokio::test]
async fn a_bucket_is_served_like_a_directory() {
    let client = s3_server::create_bucket("serve-tree").await;
    let store = S3Store::new(client, "serve-tree", "shop").expect("store");
    fixture::publish_to(&store).await;
    let server = fixture::serve_store(std::sync::Arc::new(store), Stories::Unknown).await;
    let path = format!("/runs/{TONIGHT}/segments/{CARRIED}.json");
    let bucket = get(server, &path).await;
    let directory = get(Shop::open().await.serve().await, &path).await;
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(header(bucket.headers(), name), header(directory.headers(), name));
    }
    assert_eq!(bucket.bytes().await.expect("body"), directory.bytes().await.expect("body"));
}

#[tokio::test]
async fn a_client_that_has_the_bytes_gets_304() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    for path in ["/", "/current.json", &format!("/runs/{TONIGHT}/segments/{FIRST}.json")] {
        let first = get(server, path).await;
        let tag = header(first.headers(), "etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is strong");
        for kept in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
            let again = ask(Method::GET, server, path, &[("if-none-match", &kept)]).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} with {kept}");
            let cache = header(again.headers(), "cache-control");
            assert_eq!(cache, header(first.headers(), "cache-control"));
            assert!(header(again.headers(), "etag").ends_with(&tag));
            assert!(again.bytes().await.expect("body").is_empty());
        }
        let other = ask(Method::GET, server, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_moved_pointer_is_a_new_version() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    let before = header(get(server, "/current.json").await.headers(), "etag").to_owned();
    let at = "2017-11-20T09:00:00Z".parse().expect("time");
    let settings = endcap::publish::Settings::default();
    endcap::publish::rollback(&*shop.store().await, None, at, &settings).await.expect("rollback");
    let after = ask(Method::GET, server, "/current.json", &[("if-none-match", &before)]).await;
    assert_eq!(after.status(), StatusCode::OK);
    let pointer: serde_json::Value =
        serde_json::from_slice(&after.bytes().await.expect("body")).expect("JSON");
    assert_eq!(pointer["run_id"], LAST_WEEK);
}

#[tokio::test]
async fn bodies_are_compressed_for_those_who_take_it() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    let page = format!("/runs/{TONIGHT}/segments/{FIRST}.json");
    let plain = get(server, &page).await;
    let tag = header(plain.headers(), "etag").to_owned();
    let size = plain.bytes().await.expect("body").len();
    for (offer, used) in [("gzip", "gzip"), ("br", "br"), ("gzip, br", "br"), ("gzip;q=0, br;q=0.5", "br")] {
        let answer = ask(Method::GET, server, &page, &[("accept-encoding", offer)]).await;
        let headers = answer.headers().clone();
        assert_eq!(header(&headers, "content-encoding"), used, "{offer}");
        assert_eq!(header(&headers, "vary"), "accept-encoding");
        assert_eq!(header(&headers, "etag"), format!("W/{tag}"), "other bytes, so a weak validator");
        let body = answer.bytes().await.expect("body");
        assert!(body.len() * 3 < size, "{offer}: {} of {size} bytes", body.len());
        if used == "gzip" {
            assert_eq!(body[..2], [0x1f, 0x8b], "RFC 1952, section 2.3.1");
        }
    }
    let small = ask(Method::GET, server, "/current.json", &[("accept-encoding", "gzip, br")]).await;
    assert!(small.headers().get("content-encoding").is_none(), "not worth it below 1,000 bytes");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    for path in
        ["/".to_owned(), format!("/runs/{TONIGHT}/index.json"), format!("/runs/{TONIGHT}/segments/none.json")]
    {
        let got = get(server, &path).await;
        let head = ask(Method::HEAD, server, &path, &[]).await;
        assert_eq!(head.status(), got.status(), "{path}");
        for name in ["content-length", "content-type", "cache-control"] {
            assert_eq!(header(head.headers(), name), header(got.headers(), name), "{path}");
        }
        assert_eq!(head.headers().get("etag"), got.headers().get("etag"), "{path}");
        assert!(head.bytes().await.expect("body").is_empty());
    }
}

#[tokio::test]
async fn errors_are_small_json() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    for (path, status, says) in [
        ("/nothing", 404, "nothing is at this address"),
        (
            "/runs/2017-11-20-ffffffffffff/index.json",
            404,
            "runs/2017-11-20-ffffffffffff/index.json is not published",
        ),
        (&format!("/runs/{TONIGHT}/segments/seg-999.json"), 404, "seg-999.json is not published"),
        ("/runs/last-night/index.json", 400, "run id \"last-night\" is not of the form"),
        (&format!("/runs/{TONIGHT}/segments/a%20b.json"), 400, "holds ' '"),
        (&format!("/runs/{TONIGHT}/segments/{FIRST}"), 400, "segment_id is empty"),
    ] {
        let answer = get(server, path).await;
        assert_eq!(answer.status(), status, "{path}");
        let error = error_of(answer).await;
        assert!(error.contains(says), "{path}: {error}");
    }
    let posted = ask(Method::POST, server, "/current.json", &[]).await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(posted.headers(), "allow"), "GET,HEAD");
    assert!(error_of(posted).await.contains("GET and HEAD"));
}

#[tokio::test]
async fn no_address_leads_out_of_the_roots() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    std::fs::write(shop.root().join("secret.json"), "root: not part of the published tree").expect("write");
    std::fs::create_dir_all(shop.work().join("explain/x")).expect("folder");
    std::fs::write(shop.work().join("secret.json"), "root: private").expect("write");
    for path in [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/secret.json",
        "/runs/../secret.json",
        "/runs/..%2f/index.json",
        &format!("/runs/{TONIGHT}/segments/..%2f..%2f..%2fsecret.json"),
        &format!("/runs/{TONIGHT}/segments/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.json"),
        &format!("/runs/{TONIGHT}/segments/..%5c..%5csecret.json"),
        &format!("/runs/{TONIGHT}/segments/seg-001.json%00.json"),
        &format!("/runs/{TONIGHT}/segments/%ff.json"),
        &format!("/runs/{TONIGHT}/segments//{FIRST}.json"),
        &format!("/api/story/{TONIGHT}/..%2f..%2fsecret"),
        "/api/story/..%2f..%2f/secret",
    ] {
        let status = raw_status(server, path).await;
        assert!(matches!(status, 400 | 404), "{path} answers {status}");
    }
}

#[tokio::test]
async fn nothing_published_yet_is_a_404() {
    let empty = tempfile::tempdir().expect("temporary folder");
    let root = empty.path().join("storefronts").display().to_string();
    let store = endcap::publish::open(&root, &endcap::publish::Settings::default()).await.expect("store");
    let server = fixture::serve_store(store, Stories::Unknown).await;
    let answer = get(server, "/current.json").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(error_of(answer).await, "current.json is not published");
    assert_eq!(get(server, "/").await.status(), StatusCode::OK, "the page itself says so too");
    assert_eq!(get(server, "/healthz").await.text().await.expect("text"), "ok\n");
}

#[tokio::test]
async fn stories_are_private_and_never_kept() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    let answer = get(server, &format!("/api/story/{TONIGHT}/{FIRST}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(answer.headers(), "cache-control"), "no-store");
    assert_eq!(header(answer.headers(), "cross-origin-resource-policy"), "same-origin");
    assert!(answer.headers().get("access-control-allow-origin").is_none());
    let story: serde_json::Value =
        serde_json::from_slice(&answer.bytes().await.expect("body")).expect("JSON");
    assert_eq!(story["design"]["persona"], fixture::PERSONA);

    let public = get(server, &format!("/runs/{TONIGHT}/segments/{FIRST}.json")).await;
    assert!(!public.text().await.expect("text").contains("persona"));
}

#[tokio::test]
async fn a_page_taken_over_has_the_story_of_the_night_that_made_it() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    let answer = get(server, &format!("/api/story/{TONIGHT}/{CARRIED}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let story: serde_json::Value =
        serde_json::from_slice(&answer.bytes().await.expect("body")).expect("JSON");
    assert_eq!(story["manifest"]["run_id"], LAST_WEEK);

    std::fs::remove_file(shop.story_path(LAST_WEEK, CARRIED)).expect("remove");
    let gone = get(server, &format!("/api/story/{TONIGHT}/{CARRIED}")).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert!(error_of(gone).await.contains("no story of seg-003"));
}

#[tokio::test]
async fn a_broken_story_is_an_error_that_shows_no_path() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    std::fs::write(shop.story_path(TONIGHT, SECOND), "{\"design\":").expect("write");
    let answer = get(server, &format!("/api/story/{TONIGHT}/{SECOND}")).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = error_of(answer).await;
    assert!(error.contains("log says why") && !error.contains("explain"), "{error}");
}

#[tokio::test]
async fn without_a_work_root_there_is_no_story() {
    let shop = Shop::open().await;
    for (stories, word) in [(Stories::Unknown, "public"), (Stories::Hidden, "hidden")] {
        let server = shop.serve_with(stories).await;
        assert_eq!(
            get(server, &format!("/api/story/{TONIGHT}/{FIRST}")).await.status(),
            StatusCode::NOT_FOUND
        );
        let page = get(server, "/").await.text().await.expect("text");
        assert!(page.contains(&format!("data-merchandiser=\"{word}\"")));
    }
}

#[tokio::test]
async fn the_page_runs_under_a_strict_policy() {
    let shop = Shop::open().await;
    let server = shop.serve().await;
    let answer = get(server, "/").await;
    let headers = answer.headers();
    assert_eq!(header(headers, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(headers, "cache-control"), "no-cache");
    assert_eq!(header(headers, "referrer-policy"), "no-referrer");
    let policy = header(headers, "content-security-policy");
    for part in ["default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
}
