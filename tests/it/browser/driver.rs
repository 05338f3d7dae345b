//! Headless Chromium through chromedriver. Both end with the test, however it ends: a shell waits for the end of its
//! standard input, which the test holds open, and then ends their process group.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};

/// Tries, 50 ms apart, before a test gives up waiting; far more than a loaded machine takes.
const TRIES: usize = 600;

const PROGRAMS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromedriver"];

/// The keys the page answers to.
#[derive(Debug, Clone, Copy)]
pub enum Keys {
    Down,
    End,
    Enter,
    Escape,
    Home,
    Right,
    Tab,
}

impl Keys {
    fn code(self) -> char {
        match self {
            Self::Down => Key::Down,
            Self::End => Key::End,
            Self::Enter => Key::Enter,
            Self::Escape => Key::Escape,
            Self::Home => Key::Home,
            Self::Right => Key::Right,
            Self::Tab => Key::Tab,
        }
        .into()
    }
}

/// One browser window with a profile of its own.
pub struct Browser {
    client: Client,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        for program in PROGRAMS {
            assert!(Path::new(program).exists(), "{program} is missing: run `make setup`");
        }
        let profile = tempfile::tempdir().expect("temporary folder");
        let port = free_port();
        let driver = start_driver(port);
        let client = connect(port, capabilities(profile.path())).await;
        Self { client, _driver: driver, _profile: profile }
    }

    pub async fn close(self) {
        self.client.close().await.expect("close the browser");
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect(url);
    }

    /// Runs a script and gives what it returns.
    pub async fn eval(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until `expression` has this value.
    #[track_caller]
    pub fn wait_for<'a>(&'a self, expression: &'a str, value: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut last = Value::Null;
            for _ in 0..TRIES {
                last = self.eval(&format!("return {expression}")).await;
                if last == value {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{caller}: {expression} is {last}, expected {value:?}");
        }
    }

    pub async fn count(&self, selector: &str) -> usize {
        self.client.find_all(Locator::Css(selector)).await.expect(selector).len()
    }

    /// The whole text of each match, seen or not.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map((node) => node.textContent)",
            json!(selector)
        );
        serde_json::from_value(self.eval(&script).await).expect("texts")
    }

    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        let element = self.client.find(Locator::Css(selector)).await.expect(selector);
        element.attr(name).await.expect(name).unwrap_or_default()
    }

    pub async fn is_shown(&self, selector: &str) -> bool {
        let element = self.client.find(Locator::Css(selector)).await.expect(selector);
        element.is_displayed().await.expect(selector)
    }

    pub async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.expect(selector);
        element.click().await.unwrap_or_else(|error| panic!("click {selector}: {error}"));
    }

    pub async fn type_into(&self, selector: &str, text: &str) {
        let element = self.client.find(Locator::Css(selector)).await.expect(selector);
        element.send_keys(text).await.expect(selector);
    }

    pub async fn focus(&self, selector: &str) {
        self.eval(&format!("document.querySelector({}).focus()", json!(selector))).await;
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn press(&self, keys: &[Keys]) {
        let actions = keys.iter().fold(KeyActions::new("keyboard".into()), |actions, key| {
            let value = key.code();
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(actions).await.expect("keys");
    }

    pub async fn screenshot(&self, path: &Path) {
        std::fs::write(path, self.client.screenshot().await.expect("screenshot"))
            .expect("write the screenshot");
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, cmd: &str, params: Value) -> Value {
        self.vendor("goog/cdp/execute", json!({ "cmd": cmd, "params": params })).await
    }

    /// The console has no error or warning, and nothing was asked of any other host.
    #[track_caller]
    pub fn assert_quiet<'a>(&'a self, origin: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let log = self.vendor("se/log", json!({ "type": "browser" })).await;
            assert_eq!(log, json!([]), "{caller}: the browser's console");
            let script = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
            let asked: Vec<String> = serde_json::from_value(self.eval(script).await).expect("addresses");
            assert!(!asked.is_empty(), "{caller}: the page reads the published tree");
            let elsewhere: Vec<_> = asked.iter().filter(|name| !name.starts_with(origin)).collect();
            assert!(elsewhere.is_empty(), "{caller}: {elsewhere:?}");
        }
    }

    async fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Vendor { path, body }).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A command of chromedriver beyond the WebDriver standard.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(profile: &Path) -> serde_json::Map<String, Value> {
    let args = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--force-prefers-no-reduced-motion",
        "--window-size=1280,1000",
        &format!("--user-data-dir={}", profile.display()),
    ];
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": PROGRAMS[0], "args": args },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    match capabilities {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}

fn start_driver(port: u16) -> Child {
    let script = r#"setsid "$0" --port="$1" >/dev/null 2>&1 & driver=$!; read -r _; kill -- "-$driver""#;
    Command::new("sh")
        .args(["-c", script, PROGRAMS[1]])
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .spawn()
        .expect("start sh")
}

async fn connect(port: u16, capabilities: serde_json::Map<String, Value>) -> Client {
    let url = format!("http://127.0.0.1:{port}");
    let listening = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    for _ in 0..TRIES {
        if listening() {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            return builder.capabilities(capabilities).connect(&url).await.expect("a browser session");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} does not answer on 127.0.0.1:{port}; run it by hand to see why", PROGRAMS[1]);
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}
