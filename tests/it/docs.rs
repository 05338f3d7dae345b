//! The operators' documentation against the code.

use endcap::config::Config;

use crate::support;

fn read(path: &str) -> String {
    std::fs::read_to_string(support::project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of `docs/configuration.md` that stands under the heading of `[section]`.
fn section<'a>(text: &'a str, name: &str) -> &'a str {
    let heading = format!("\n## `[{name}]`");
    let (_, rest) =
        text.split_once(&heading).unwrap_or_else(|| panic!("docs/configuration.md has no [{name}]"));
    rest.split("\n## ").next().unwrap_or(rest)
}

#[test]
fn every_setting_is_documented() {
    let text = read("docs/configuration.md");
    let defaults = toml::Table::try_from(Config::default()).expect("a config is a table");
    let mut missing = Vec::new();
    for (name, value) in &defaults {
        let Some(table) = value.as_table() else { continue };
        let part = section(&text, name);
        missing.extend(
            table.keys().filter(|key| !part.contains(&format!("`{key}`"))).map(|key| format!("{name}.{key}")),
        );
    }
    assert!(missing.is_empty(), "not in docs/configuration.md: {missing:?}");
}

#[test]
fn every_environment_variable_is_documented() {
    let text = read("docs/configuration.md");
    let source = read("src/config/env.rs");
    let name = regex::Regex::new(r#"text\("([A-Z_]+)"\)"#).expect("pattern");
    let names: Vec<&str> =
        name.captures_iter(&source).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    assert!(names.len() >= 5, "env.rs reads its variables in another way now: {names:?}");
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
    }
}
