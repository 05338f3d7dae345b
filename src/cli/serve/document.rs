//! The one HTML document, put together from its source files at start-up, and the policy it is served under.

use sha2::{Digest, Sha256};

use super::Stories;

const PAGE: &str = include_str!("page/page.html");
const SPRITE: &str = include_str!("page/sprite.svg");
const STYLE: &str = concat!(
    include_str!("page/base.css"),
    include_str!("page/shopper.css"),
    include_str!("page/merchandiser.css"),
);
const SCRIPT: &str = concat!(
    include_str!("page/dom.js"),
    include_str!("page/tiles.js"),
    include_str!("page/picker.js"),
    include_str!("page/shopper.js"),
    include_str!("page/merchandiser.js"),
    include_str!("page/app.js"),
);

/// The storefront page.
#[derive(Debug, Clone)]
pub struct Document {
    pub html: String,
    /// Value of `content-security-policy`.
    pub policy: String,
}

impl Document {
    pub fn new(stories: &Stories) -> Self {
        let html = PAGE
            .replace("{{merchandiser}}", stories.word())
            .replace("{{sprite}}", SPRITE)
            .replace("{{style}}", STYLE)
            .replace("{{script}}", SCRIPT);
        Self { html, policy: policy() }
    }
}

/// Only our own script and style may run, and only this server may be asked. `trusted-types 'none'` makes the browser
/// itself refuse any text that would become markup: data can reach the page as text only.
fn policy() -> String {
    [
        "default-src 'none'".to_owned(),
        format!("script-src '{}'", source_hash(SCRIPT)),
        format!("style-src '{}'", source_hash(STYLE)),
        "img-src 'self' data:".to_owned(),
        "connect-src 'self'".to_owned(),
        "base-uri 'none'".to_owned(),
        "form-action 'none'".to_owned(),
        "frame-ancestors 'none'".to_owned(),
        "require-trusted-types-for 'script'".to_owned(),
        "trusted-types 'none'".to_owned(),
    ]
    .join("; ")
}

/// A hash source of CSP 3: the digest of exactly what stands between the tags.
fn source_hash(inline: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(inline)))
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = (number >> (18 - 6 * at)) & 63;
            text.push(if at <= group.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn base64_of_the_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_document_is_whole_and_asks_nobody_else() {
        let html = Document::new(&Stories::Hidden).html;
        assert!(html.contains("data-merchandiser=\"hidden\""));
        assert!(!html.contains("{{"), "a placeholder is left");
        assert_eq!(html.matches("</script>").count(), 1);
        assert_eq!(html.matches("</style>").count(), 1);
        let address = regex::Regex::new(r#"https?://[^\s'"<>]+"#).expect("pattern");
        let elsewhere: Vec<_> = address
            .find_iter(&html)
            .map(|found| found.as_str())
            .filter(|found| *found != "http://www.w3.org/2000/svg")
            .collect();
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
    }
}
