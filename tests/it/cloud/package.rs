//! The Lambda package: small, and without the models' and the index's engines.

use std::path::Path;
use std::process::Command;

/// What Lambda takes by direct upload is more; this is what a cold start can bear.
const MAX_ZIPPED: u64 = 15 * 1024 * 1024;

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_function_carries_neither_models_nor_index() {
    let built = std::fs::read(env!("CARGO_BIN_EXE_endcap-lambda")).expect("the function is built");
    for engine in ["candle_core", "candle_nn", "llguidance", "lancedb::", "lance_index", "datafusion"] {
        assert!(!contains(&built, engine), "the Lambda binary holds {engine}");
    }
    let worker = std::fs::read(env!("CARGO_BIN_EXE_endcap")).expect("the worker is built");
    assert!(contains(&worker, "candle_core"), "the check finds an engine where there is one");
}

#[test]
fn the_package_is_small() {
    let folder = tempfile::tempdir().expect("folder");
    let (bootstrap, zip) = (folder.path().join("bootstrap"), folder.path().join("function.zip"));
    run(Command::new("strip").args(["-o"]).arg(&bootstrap).arg(env!("CARGO_BIN_EXE_endcap-lambda")));
    let deflate = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED).write(sys.argv[2], 'bootstrap')";
    run(Command::new("python3").args(["-c", deflate]).arg(&zip).arg(&bootstrap));
    let size = |path: &Path| std::fs::metadata(path).expect("file").len();
    println!("bootstrap {} bytes, zipped {}", size(&bootstrap), size(&zip));
    assert!(size(&zip) < MAX_ZIPPED, "{} bytes zipped", size(&zip));
}

/// Printed for docs/benchmarks.md; a test asserts no duration.
#[test]
fn a_cold_start_asks_for_work() {
    let function = super::lambda::Function::start(&[]);
    println!("cold start: {:?}", function.cold_start);
    let (kind, message) = function.invoke(serde_json::json!({})).expect_err("no action");
    assert!(kind == "Endcap.Config" && message.contains("action"), "{kind}: {message}");
}
