//! The committed registry against what `make setup` installs.

use std::path::Path;

use endcap::config::registry::{Kind, Registry, Roots};

use crate::support;

fn committed() -> Registry {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/registry.toml");
    Registry::load(&path).expect("the committed registry")
}

fn roots() -> Roots {
    Roots { site_packages: vec![support::site_packages()], hugging_face: None }
}

#[test]
fn installed_models_and_data_have_their_pinned_digests() {
    let registry = committed();
    let student = registry.resolve("smollm2-135m-instruct", Kind::CausalLm, &roots()).expect("student");
    assert_eq!(student.architecture, "llama");
    assert!(student.files.with_extension("gguf").is_some());
    let encoder = registry.resolve("all-minilm-l6-v2", Kind::Encoder, &roots()).expect("encoder");
    assert!(encoder.files.files.contains_key("model.safetensors"));
    assert_ne!(student.files.digest, encoder.files.digest);
    let data = registry.resolve_dataset("complete-journey", &roots()).expect("data");
    assert!(data.files.contains_key("transactions.parquet"));
}

/// A package named in the registry with another version than the one installed would send people astray.
#[test]
fn the_registry_names_the_versions_that_are_pinned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let registry = std::fs::read_to_string(root.join("models/registry.toml")).expect("registry");
    let pins = std::fs::read_to_string(root.join("requirements.txt")).expect("requirements");
    let source = regex::Regex::new(r#"package = "([^"]+)", version = "([^"]+)""#).expect("pattern");
    let named: Vec<String> =
        source.captures_iter(&registry).map(|found| format!("{}=={} ", &found[1], &found[2])).collect();
    assert_eq!(named.len(), 3);
    for pin in named {
        assert!(pins.lines().any(|line| line.starts_with(&pin)), "{pin} is not in requirements.txt");
    }
}
