//! Where traces go, by the standard variables of OpenTelemetry.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::fmt;

use percent_encoding::percent_decode_str;

/// What the ids and times of spans are made of.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Nanoseconds since 1970.
    pub now: fn() -> u64,
    /// Another in each process.
    pub nonce: u64,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where spans are posted to.
    pub url: String,
    pub headers: Headers,
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub deployment: Option<String>,
    pub source: Source,
}

/// The address of traces below that of a collector.
pub fn traces_of(collector: &str) -> String {
    format!("{}/v1/traces", collector.trim_end_matches('/'))
}

/// Sent with each request; values may be secrets and are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Out of `name=value,name=value`, values percent-encoded. What has no `=` is left out.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let decoded = |value: &str| percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        Self(pairs.map(|(name, value)| (name.trim().into(), decoded(value))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_and_their_values_are_not_shown() {
        let headers = Headers::parse("Authorization=Basic%20dTpw==, x-scope = night,nonsense");
        let found: Vec<_> = headers.iter().collect();
        assert_eq!(found, [("Authorization", "Basic dTpw=="), ("x-scope", "night")]);
        assert_eq!(format!("{headers:?}"), r#"["Authorization", "x-scope"]"#);
    }

    #[test]
    fn traces_have_their_place_below_a_collector() {
        assert_eq!(traces_of("http://localhost:4318/"), "http://localhost:4318/v1/traces");
    }
}
