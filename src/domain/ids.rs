//! Identifiers as newtypes. An id that becomes part of an object key is checked when it is parsed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Digest;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{kind} is empty")]
    Empty { kind: &'static str },
    #[error("{kind} has {chars} characters, at most {max} are allowed")]
    TooLong { kind: &'static str, chars: usize, max: usize },
    #[error(
        "{kind} {value:?} holds {found:?}; allowed are ASCII letters, digits, '-', '_' and '.', the first a letter or digit"
    )]
    Character { kind: &'static str, value: String, found: char },
    #[error("{kind} {value:?} holds a control character")]
    Control { kind: &'static str, value: String },
    #[error("run id {value:?} is not of the form YYYY-MM-DD-<12 hex digits>")]
    RunId { value: String },
}

/// Longest id, in characters: an object key of S3 ends at 1,024 bytes, and an id is one part of it.
pub const MAX_ID_CHARS: usize = 128;

fn check_key(kind: &'static str, value: &str) -> Result<(), IdError> {
    check_opaque(kind, value)?;
    let bad = value.chars().enumerate().find(|(at, c)| {
        let inner = *at > 0 && matches!(c, '-' | '_' | '.');
        !(c.is_ascii_alphanumeric() || inner)
    });
    match bad {
        Some((_, found)) => Err(IdError::Character { kind, value: value.into(), found }),
        None => Ok(()),
    }
}

fn check_opaque(kind: &'static str, value: &str) -> Result<(), IdError> {
    if value.is_empty() {
        return Err(IdError::Empty { kind });
    }
    let chars = value.chars().count();
    if chars > MAX_ID_CHARS {
        return Err(IdError::TooLong { kind, chars, max: MAX_ID_CHARS });
    }
    if value.chars().any(char::is_control) {
        return Err(IdError::Control { kind, value: value.escape_debug().to_string() });
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `value` and wraps it.
            pub fn parse(value: impl Into<String>) -> Result<Self, IdError> {
                let value = value.into();
                $check($kind, &value)?;
                Ok(Self(value))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }
    };
}

id!(
    /// A customer segment. Part of the published object key, so its characters are restricted.
    SegmentId, "segment_id", check_key
);
id!(
    /// A product of the shop's catalogue; opaque.
    ProductId, "product_id", check_opaque
);
id!(
    /// A row of the keyword corpus; opaque.
    KeywordId, "keyword_id", check_opaque
);
id!(
    /// A household of the interaction log; opaque, never published.
    HouseholdId, "household_id", check_opaque
);
id!(
    /// An arm of an experiment ("control"). Part of published pages and of addresses, so its characters are restricted.
    ArmId, "arm", check_key
);
id!(
    /// What tells one experiment's assignment of arms from another's.
    Salt, "salt", check_key
);
id!(
    /// A unit of randomisation, such as a household; opaque, never published.
    UnitId, "unit", check_opaque
);
id!(
    /// A placement of one page: stable for the same position and title.
    PlacementId, "placement_id", check_key
);
id!(
    /// One night's run: `<as_of>-<12 hex of the digest of inputs, models and config>`.
    RunId, "run_id", check_run_id
);

fn check_run_id(_: &'static str, value: &str) -> Result<(), IdError> {
    let well_formed = value.len() == 23
        && value.is_ascii()
        && value[..10].parse::<chrono::NaiveDate>().is_ok()
        && value.as_bytes()[10] == b'-'
        && value[11..].bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if well_formed { Ok(()) } else { Err(IdError::RunId { value: value.escape_debug().to_string() }) }
}

impl RunId {
    /// The run of `as_of` over exactly these inputs, models and config.
    pub fn new(as_of: chrono::NaiveDate, everything: &Digest) -> Self {
        Self(format!("{as_of}-{}", &everything.to_hex()[..12]))
    }

    /// The date the run's features stand for.
    pub fn as_of(&self) -> chrono::NaiveDate {
        self.0[..10].parse().unwrap_or_default()
    }
}

impl PlacementId {
    /// Id of the placement titled `title` at `position` (0-based) of a segment's page.
    pub fn new(position: usize, title: &str) -> Self {
        let digest = Digest::of(title.as_bytes());
        Self(format!("p{}-{}", position + 1, &digest.to_hex()[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_id_is_never_a_path() {
        for bad in ["", "../x", "a/b", ".hidden", "a\0b", "a b", "ä", "<script>", &"x".repeat(129)] {
            assert!(SegmentId::parse(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["seg-001", "A.b_c-9", "7"] {
            assert_eq!(SegmentId::parse(good).expect("good id").as_str(), good);
        }
    }

    #[test]
    fn run_ids_round_trip_and_reject_other_shapes() {
        let date = chrono::NaiveDate::from_ymd_opt(2017, 11, 20).expect("date");
        let id = RunId::new(date, &Digest::of(b"x"));
        assert_eq!(RunId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(id.as_of(), date);
        for bad in [
            "2017-13-01-0123456789ab",
            "2017-11-20-0123456789AB",
            "2017-11-20",
            "../../../etc/passwd....",
            "",
        ] {
            assert!(RunId::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn deserialising_checks_too() {
        assert!(serde_json::from_str::<SegmentId>("\"../x\"").is_err());
        assert!(serde_json::from_str::<ProductId>("\"a\\u0000\"").is_err());
    }
}
