//! The stable ids of the rules, as verdicts, reports and `docs/aiqa.md` name them.

macro_rules! rules {
    ($($name:ident = $id:literal,)*) => {
        $(pub(super) const $name: &str = $id;)*

        /// Every rule id, in the order of `docs/aiqa.md`.
        pub fn rule_ids() -> &'static [&'static str] {
            &[$($id),*]
        }
    };
}

rules! {
    TITLE_LENGTH = "title-length",
    HIDDEN_CHARACTERS = "hidden-characters",
    EMOJI = "emoji",
    SHOUTING = "shouting",
    GARBLED = "garbled",
    MARKUP = "markup",
    PROMPT_DEBRIS = "prompt-debris",
    INJECTED_INSTRUCTION = "injected-instruction",
    GENERIC_TITLE = "generic-title",
    HEALTH_CLAIM = "health-claim",
    PRICE_CLAIM = "price-claim",
    OFF_SEASON = "off-season",
    OFFENSIVE = "offensive",
    CLINICAL = "clinical",
    BRAND_MENTION = "brand-mention",
    SENSITIVE_INFERENCE = "sensitive-inference",
    DEMOGRAPHIC_VALUE = "demographic-value",
    RESTRICTED_ALCOHOL = "restricted-alcohol",
    RESTRICTED_TOBACCO = "restricted-tobacco",
    RESTRICTED_MINORS = "restricted-minors",
    FORBIDDEN_BY_RULE = "forbidden-by-rule",
    DUPLICATE_TITLE = "duplicate-title",
    DUPLICATE_KEYWORD = "duplicate-keyword",
    TOO_FEW_KEYWORDS = "too-few-keywords",
    UNKNOWN_PRODUCT = "unknown-product",
    OUT_OF_STOCK = "out-of-stock",
    BLOCKED_PRODUCT = "blocked-product",
    FORBIDDEN_TAG = "forbidden-tag",
    NEVER_FEATURED_TAG = "never-featured-tag",
    OUT_OF_SEASON_PRODUCT = "out-of-season-product",
    UNSAFE_PRODUCT_TEXT = "unsafe-product-text",
    DUPLICATE_PRODUCT = "duplicate-product",
    SAME_TYPE = "same-type",
    TOO_FEW_PRODUCTS = "too-few-products",
    TITLE_PRODUCTS_MISMATCH = "title-products-mismatch",
    DUPLICATE_PLACEMENT = "duplicate-placement",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::rule_ids;

    #[test]
    fn ids_are_unique_and_documented() {
        let ids: BTreeSet<_> = rule_ids().iter().collect();
        assert_eq!(ids.len(), rule_ids().len());
        let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/aiqa.md"))
            .expect("docs/aiqa.md");
        for id in ids {
            assert!(docs.contains(&format!("| `{id}` |")), "docs/aiqa.md does not list {id}");
        }
    }
}
