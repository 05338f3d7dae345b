//! The rooms' doors, read off the source: who imports whom, which crate is known where, and what no room may do.
//!
//! `ARCHITECTURE.md` draws the same picture. The checks read code only: comments and string literals are blanked first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Each room and the rooms it may import. Imports point down; no stage imports another.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("trace", &["domain"]),
    ("lm", &["domain"]),
    ("embed", &["domain"]),
    ("index", &["domain", "embed"]),
    ("ingest", &["domain"]),
    ("datasets", &["domain", "ingest"]),
    ("themes", &["domain", "lm", "embed"]),
    ("keywords", &["domain", "lm", "embed", "relevance"]),
    ("aiqa", &["domain", "embed"]),
    ("eval", &["domain", "embed", "aiqa"]),
    ("experiment", &["domain"]),
    ("trees", &[]),
    ("relevance", &["domain", "embed", "aiqa", "trees"]),
    ("rank", &["domain", "trees"]),
    ("replay", &["domain", "ingest", "fuse", "eval"]),
    ("fuse", &["domain"]),
    ("publish", &["domain", "trace"]),
    ("distill", &["domain", "themes", "keywords", "aiqa"]),
    ("train", &["domain", "lm", "themes", "keywords"]),
    (
        "night",
        &[
            "domain",
            "lm",
            "embed",
            "index",
            "ingest",
            "themes",
            "keywords",
            "aiqa",
            "relevance",
            "rank",
            "fuse",
            "publish",
            "trace",
            "config",
        ],
    ),
    (
        "config",
        &[
            "domain", "lm", "embed", "index", "ingest", "themes", "keywords", "aiqa", "trees", "rank",
            "fuse", "publish", "night", "distill", "train", "replay", "trace",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "lm",
            "embed",
            "index",
            "ingest",
            "datasets",
            "themes",
            "keywords",
            "aiqa",
            "eval",
            "experiment",
            "relevance",
            "rank",
            "fuse",
            "publish",
            "night",
            "config",
            "distill",
            "train",
            "replay",
            "trace",
        ],
    ),
    ("lambda", &["domain", "ingest", "aiqa", "rank", "publish", "night", "config", "trace"]),
    ("main", &["cli"]),
    ("bin", &["config", "lambda", "trace"]),
];

/// A pattern of code, the places that may hold it (`room` or `room/file.rs`), and why only those.
const SEAMS: &[(&str, &[&str], &str)] = &[
    (r"\bcandle_(core|nn|transformers)\b", &["lm", "embed", "train"], "tensors stay with the models"),
    (r"\blancedb\b", &["index"], "retrieval has one door"),
    (r"\b(bosk|forust_ml)\s*::", &["trees"], "trees have one door"),
    (r"\baws_(sdk_s3|config|smithy_\w+)\b", &["publish"], "publishing has one door"),
    (r"\b(object_store|parquet)\b\s*::", &["ingest", "datasets", "distill"], "inputs are parsed at the door"),
    (
        r"\breqwest\s*::",
        &["distill", "publish/edge.rs", "trace/sender.rs"],
        "one client speaks to the teacher, one to the edge's store, one to the collector of traces",
    ),
    (r"\blambda_runtime\s*::", &["bin"], "the handlers know nothing of who calls them"),
    (r"\baws_lc_rs\s*::", &["publish/sigv4a.rs"], "one place signs by hand"),
    (r"\bdatafusion\s*::", &["datasets"], "SQL prepares data and serves nothing at night"),
    (r"\bstatrs\s*::", &["experiment"], "distribution functions belong to the statistics"),
    (r"\baxum\s*::", &["cli"], "the demonstration server is a verb"),
    (r"\banyhow\s*(::|!)", &["cli", "main"], "rooms have typed errors"),
    (
        r"\bstd::env\b|\benv::(vars?|args|temp_dir|current_dir)(_os)?\b",
        &["config", "main"],
        "every variable is documented in one file",
    ),
    (
        r"\b(SystemTime|Utc|Local|Instant)::now\b",
        &["config/clock.rs"],
        "bytes must not depend on the hour (DET-1)",
    ),
    (r"\b(thread_rng|from_entropy|OsRng)\b", &[], "seeds are passed in (DET-1)"),
    (r"\b(e?println|e?print|dbg)!", &["cli", "main", "bin"], "rooms report through callbacks and tracing"),
];

/// Every invariant of this version.
const INVARIANTS: &[&str] =
    &["PUB-1", "PUB-2", "PUB-3", "RUN-1", "RUN-2", "KW-1", "QA-1", "QA-2", "MER-1", "DET-1"];

const MAX_LINES: usize = 500;

/// A source file of the crate.
struct SourceFile {
    /// Relative to `src/`, with `/`.
    path: String,
    /// As written.
    text: String,
    /// Comments and literals blanked.
    code: String,
}

impl SourceFile {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blank_comments_and_literals(text) }
    }

    /// `lm` for `lm/mod.rs`, `main` for `main.rs`.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep the file is: 1 for `lm/mod.rs`, 2 for `lm/cache.rs`.
    fn depth(&self) -> usize {
        self.path.split('/').filter(|part| *part != "mod.rs").count()
    }

    /// The rooms its code names, itself excluded.
    fn imports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for start in Regex::new(r"\b(?:crate|endcap)::").expect("pattern").find_iter(&self.code) {
            found.extend(heads(&self.code[start.end()..]));
        }
        for chain in Regex::new(r"\b((?:super::)+)").expect("pattern").find_iter(&self.code) {
            if chain.as_str().matches("super").count() >= self.depth() {
                found.extend(heads(&self.code[chain.end()..]));
            }
        }
        found.retain(|name| name != self.room() && ROOMS.iter().any(|(room, _)| room == name));
        found
    }
}

/// The first names of `a::b`, or of `{a::b, c, d::{e, f}}`.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ => {
                if let Some(last) = heads.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    heads.iter().map(|head| name(head.trim_start())).collect()
}

/// `source` with comments and the insides of string and character literals replaced by blanks; lines stay.
fn blank_comments_and_literals(source: &str) -> String {
    // Raw strings first, then strings, characters (not lifetimes), line comments and block comments.
    let token = Regex::new(
        r##"(?xs) r\#"(.*?)"\# | r"[^"]*" | "(\\.|[^"\\])*" | '(\\.[^']*|[^'\\\n])' | //[^\n]* | /\*.*?\*/ "##,
    )
    .expect("pattern");
    let blank = |found: &regex::Captures| -> String {
        found[0].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
    };
    token.replace_all(source, blank).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("folder entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<SourceFile> {
    let src = root().join("src");
    let files = rust_files(&src).into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("source file");
        let relative = path.strip_prefix(&src).expect("under src").to_string_lossy().replace('\\', "/");
        SourceFile::new(&relative, &text)
    });
    files.collect()
}

/// What `file` imports against [`ROOMS`].
fn forbidden_imports(file: &SourceFile) -> Vec<String> {
    if file.path == "lib.rs" {
        return Vec::new();
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == file.room()) else {
        return vec![format!("src/{}: the room {:?} is not in the table of rooms", file.path, file.room())];
    };
    let imports = file.imports();
    let wrong = imports.iter().filter(|name| !allowed.contains(&name.as_str()));
    wrong.map(|name| format!("src/{}: {} must not import {name}", file.path, file.room())).collect()
}

/// What `file` holds against [`SEAMS`], with line numbers.
fn crossed_seams(file: &SourceFile) -> Vec<String> {
    let mut crossed = Vec::new();
    for (pattern, places, reason) in SEAMS {
        if places.iter().any(|place| *place == file.room() || *place == file.path) {
            continue;
        }
        for found in Regex::new(pattern).expect("pattern").find_iter(&file.code) {
            let line = file.code[..found.start()].matches('\n').count() + 1;
            crossed.push(format!(
                "src/{}:{line}: {:?} belongs to {places:?}: {reason}",
                file.path,
                found.as_str()
            ));
        }
    }
    crossed
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn imports_point_down_and_no_stage_knows_another() {
    assert_none(sources().iter().flat_map(forbidden_imports).collect());
}

#[test]
fn every_outside_crate_clock_and_variable_stays_behind_its_door() {
    assert_none(sources().iter().flat_map(crossed_seams).collect());
}

#[test]
fn no_file_is_too_long_to_read() {
    let tests = rust_files(&root().join("tests")).into_iter();
    let files = rust_files(&root().join("src")).into_iter().chain(tests);
    let long = files.filter_map(|path| {
        let lines = std::fs::read_to_string(&path).expect("source file").lines().count();
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines, at most {MAX_LINES}", path.display()))
    });
    assert_none(long.collect());
}

#[test]
fn every_invariant_stands_in_code_in_a_test_and_in_the_picture() {
    let sources = sources();
    let own = root().join("tests/it/architecture.rs");
    let integration: Vec<String> = rust_files(&root().join("tests/it"))
        .into_iter()
        .filter(|path| *path != own)
        .map(|path| std::fs::read_to_string(path).expect("test file"))
        .collect();
    let picture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut problems = Vec::new();
    for id in INVARIANTS {
        let halves =
            sources.iter().map(|file| file.text.split_once("#[cfg(test)]").unwrap_or((&file.text, "")));
        let (code, unit): (Vec<&str>, Vec<&str>) = halves.unzip();
        let named = |texts: &[&str]| texts.iter().any(|text| text.contains(id));
        if !named(&code) {
            problems.push(format!("{id} is named nowhere in src/"));
        }
        if !named(&unit) && !integration.iter().any(|text| text.contains(id)) {
            problems.push(format!("{id} is named by no test"));
        }
        if !picture.contains(id) {
            problems.push(format!("{id} is missing from ARCHITECTURE.md"));
        }
    }
    assert_none(problems);
}

/// The checker itself: each planted violation is found, and look-alikes are not.
#[test]
fn the_checks_find_what_they_look_for() {
    for (path, code) in [
        ("themes/mod.rs", "use crate::keywords::Settings;"),
        ("themes/mod.rs", "use super::keywords::Settings;"),
        ("aiqa/rules.rs", "use super::super::fuse;"),
        ("rank/mod.rs", "use crate::{domain::{Product, Catalog}, publish::Store};"),
        ("domain/ids.rs", "fn f() { crate::config::load() }"),
        ("lm/mod.rs", "fn f<'a>(x: &'a str) { crate::night::run('\"'); }"),
        ("main.rs", "fn main() { endcap::night::run(); }"),
        ("utils/mod.rs", ""),
    ] {
        assert_eq!(forbidden_imports(&SourceFile::new(path, code)).len(), 1, "{path}: {code}");
    }
    for (path, code) in [
        ("fuse/mod.rs", "use candle_core::Tensor;"),
        ("night/mod.rs", "let store = lancedb::connect(uri);"),
        ("night/plan.rs", "let t = chrono::Utc::now();"),
        ("config/mod.rs", "let t = Instant::now();"),
        ("publish/s3.rs", "use anyhow::Context;"),
        ("index/mod.rs", "let home = std::env::var(\"HOME\");"),
        ("rank/mod.rs", "println!(\"done\");"),
        ("themes/mod.rs", "let rng = rand::thread_rng();"),
        ("rank/mod.rs", "let quote = '\\''; let home = env::var_os(\"HOME\");"),
    ] {
        assert_eq!(crossed_seams(&SourceFile::new(path, code)).len(), 1, "{path}: {code}");
    }
    for (path, code) in [
        ("themes/mod.rs", "//! See [`crate::keywords`].\nuse crate::lm::Decoder; /* crate::fuse */"),
        ("themes/mod.rs", "let text = \"crate::keywords::x std::env candle_core\";"),
        ("themes/prompt.rs", "use super::keywords; // an own module of that name"),
        ("themes/mod.rs", "let text = r#\"say \"lancedb::x\" and crate::fuse::y\"#;"),
        ("config/clock.rs", "let t = Instant::now();"),
        ("cli/run.rs", "println!(\"{}\", crate::night::x());"),
    ] {
        let file = SourceFile::new(path, code);
        assert_eq!((forbidden_imports(&file), crossed_seams(&file)), (vec![], vec![]), "{path}: {code}");
    }
}
