//! The Lambda package: small, and without the models' and the index's engines.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What Lambda takes by direct upload is more; this is what a cold start can bear.
const MAX_ZIPPED: u64 = 15 * 1024 * 1024;

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn contains(bytes: &[u8], text: &str) -> bool {
    regex::bytes::Regex::new(&regex::escape(text)).expect("a pattern").is_match(bytes)
}

/// By the names of their functions as rustc writes them, the length first. Names alone would not do: the linker leaves the paths
/// of sources behind whose code it threw away.
#[test]
fn the_function_carries_neither_models_nor_index() {
    let read = |binary: &str| std::fs::read(binary).expect("it is built");
    let function = read(env!("CARGO_BIN_EXE_endcap-lambda"));
    let worker = read(env!("CARGO_BIN_EXE_endcap"));
    for engine in ["candle_core", "candle_nn", "llguidance", "lancedb", "lance_index", "datafusion_expr"] {
        let mangled = format!("{}{engine}", engine.len());
        assert!(!contains(&function, &mangled), "the Lambda binary holds functions of {engine}");
        assert!(contains(&worker, &mangled), "the check finds {engine} where it is");
    }
}

/// The package that is deployed, made in `folder`.
pub fn zipped(folder: &Path) -> PathBuf {
    let (bootstrap, zip) = (folder.join("bootstrap"), folder.join("function.zip"));
    run(Command::new("strip").arg("-o").arg(&bootstrap).arg(env!("CARGO_BIN_EXE_endcap-lambda")));
    let deflate = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED).write(sys.argv[2], 'bootstrap')";
    run(Command::new("python3").args(["-c", deflate]).arg(&zip).arg(&bootstrap));
    zip
}

#[test]
fn the_package_is_small() {
    let folder = tempfile::tempdir().expect("folder");
    let zip = zipped(folder.path());
    let size = |path: &Path| std::fs::metadata(path).expect("file").len();
    println!("bootstrap {} bytes, zipped {}", size(&folder.path().join("bootstrap")), size(&zip));
    assert!(size(&zip) < MAX_ZIPPED, "{} bytes zipped", size(&zip));
}

/// Files outside of `src` that are compiled in are in the image's build context, which nobody builds here.
#[test]
fn what_is_compiled_in_is_in_the_images_context() {
    let project = crate::support::project().canonicalize().expect("the clone");
    let ignore = std::fs::read_to_string(project.join(".dockerignore")).expect("a file");
    let let_in: Vec<PathBuf> =
        ignore.lines().filter_map(|line| line.strip_prefix('!')).map(|path| project.join(path)).collect();
    let included = regex::Regex::new(r#"include_(?:str|bytes)!\("([^"]+)"\)"#).expect("pattern");
    let mut found = 0;
    for file in sources(&project.join("src")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        for path in included.captures_iter(&text).filter_map(|one| one.get(1)) {
            let path =
                file.parent().expect("folder").join(path.as_str()).canonicalize().expect("it is there");
            assert!(let_in.iter().any(|one| path.starts_with(one)), "{} is not let in", path.display());
            found += 1;
        }
    }
    assert!(found > 3, "the sources include files in another way now");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder").flatten().map(|entry| entry.path());
    let below = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}

/// Printed for docs/benchmarks.md; a test asserts no duration.
#[test]
fn a_cold_start_asks_for_work() {
    let function = super::lambda::Function::start(&[]);
    println!("cold start: {:?}", function.cold_start);
    let (kind, message) = function.invoke(serde_json::json!({})).expect_err("no action");
    assert!(kind == "Endcap.Config" && message.contains("action"), "{kind}: {message}");
}
