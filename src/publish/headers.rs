//! The `cache-control` header of each published object, which is also what `endcap serve` answers with.

use crate::domain::manifest::keys;

use super::Settings;

/// The header of the object at `key`. The pointer is the one object that changes; everything under a run is immutable.
/// `must-revalidate` keeps a cache that lost its origin from showing an old pointer for longer than its age.
pub fn cache_control(key: &str, settings: &Settings) -> String {
    if key == keys::CURRENT {
        format!("public, max-age={}, must-revalidate", settings.pointer_max_age_seconds)
    } else {
        "public, max-age=31536000, immutable".into()
    }
}
