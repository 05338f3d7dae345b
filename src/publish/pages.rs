//! A run's pages between their inspection and the index: what is known of each, and `index.json` written from it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, Serializer};

use crate::domain::manifest::{IndexEntry, LookupEntry, keys};
use crate::domain::stage::Source;
use crate::domain::{Digest, RunId, SegmentId};

use super::{PagePlan, PublishPlan};

/// A page whose bytes were seen: from here on it is these bytes or an error.
pub(super) struct Page<'a> {
    pub segment: &'a SegmentId,
    pub plan: &'a PagePlan,
    /// Bytes.
    pub size: u64,
    pub sha256: Digest,
    pub source: Source,
}

impl Page<'_> {
    pub fn key(&self, run: &RunId) -> String {
        keys::segment(run, self.segment)
    }

    fn entry(&self, run: &RunId) -> IndexEntry {
        IndexEntry {
            key: self.key(run),
            size: self.size,
            sha256: self.sha256,
            status: self.plan.status(),
            source: self.source,
        }
    }
}

/// The place in `pages`, which are in order of id, of the page that lies at `key`.
pub(super) fn place_of(pages: &[Page<'_>], run: &RunId, key: &str) -> Option<usize> {
    let segment = key.strip_prefix(&keys::segments(run))?.strip_suffix(".json")?;
    pages.binary_search_by(|page| page.segment.as_str().cmp(segment)).ok()
}

/// [`RunIndex`](crate::domain::manifest::RunIndex) to be written: the same bytes, each entry made as its turn comes.
#[derive(Serialize)]
pub(super) struct IndexDocument<'a> {
    run_id: &'a RunId,
    as_of: NaiveDate,
    generated_at: DateTime<Utc>,
    segments: Entries<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lookups: BTreeMap<String, LookupEntry>,
}

struct Entries<'a> {
    run: &'a RunId,
    pages: &'a [Page<'a>],
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pages.iter().map(|page| (page.segment, page.entry(self.run))))
    }
}

impl<'a> IndexDocument<'a> {
    pub fn new(plan: &'a PublishPlan, pages: &'a [Page<'a>]) -> Self {
        let lookup = |(share, bytes): (&u32, &bytes::Bytes)| {
            let entry = LookupEntry { size: bytes.len() as u64, sha256: Digest::of(bytes) };
            (keys::lookup(&plan.run_id, *share), entry)
        };
        Self {
            run_id: &plan.run_id,
            as_of: plan.as_of,
            generated_at: plan.generated_at,
            segments: Entries { run: &plan.run_id, pages },
            lookups: plan.lookups.iter().map(lookup).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Spool;
    use super::*;
    use crate::domain::manifest::{RunIndex, to_bytes};

    fn segment(name: &str) -> SegmentId {
        SegmentId::parse(name).expect("segment")
    }

    /// Ids of which one begins another sort otherwise than their keys do.
    fn plan(lookups: BTreeMap<u32, Bytes>) -> PublishPlan {
        let run_id = RunId::parse("2017-11-20-0123456789ab").expect("run");
        let page = Spool::new(tempfile::tempfile().expect("file")).add(b"page").expect("spooled");
        let new = PagePlan::New { page, source: Source::Mixed };
        let pages = [("a", new.clone()), ("a-b", PagePlan::Reused { from_run: run_id.clone() }), ("b", new)];
        PublishPlan {
            as_of: run_id.as_of(),
            run_id,
            generated_at: DateTime::UNIX_EPOCH,
            published_at: DateTime::UNIX_EPOCH,
            pages: pages.map(|(name, page)| (segment(name), page)).into(),
            passing: None,
            lookups,
        }
    }

    fn pages(plan: &PublishPlan) -> Vec<Page<'_>> {
        let page = |(segment, plan)| {
            let sha256 = Digest::of(b"page");
            Page { segment, plan, size: 4, sha256, source: Source::Mixed }
        };
        plan.pages.iter().map(page).collect()
    }

    #[test]
    fn it_is_written_as_the_index_is() {
        for lookups in [BTreeMap::new(), BTreeMap::from([(3, Bytes::from_static(b"{}"))])] {
            let plan = plan(lookups);
            let pages = pages(&plan);
            let written = to_bytes(&IndexDocument::new(&plan, &pages)).expect("written");
            let index: RunIndex = serde_json::from_slice(&written).expect("index");
            assert_eq!((index.segments.len(), index.lookups.len()), (3, plan.lookups.len()));
            assert_eq!(written, to_bytes(&index).expect("written"));
        }
    }

    #[test]
    fn pages_are_found_by_their_keys() {
        let plan = plan(BTreeMap::new());
        let pages = pages(&plan);
        for (at, page) in pages.iter().enumerate() {
            assert_eq!(place_of(&pages, &plan.run_id, &page.key(&plan.run_id)), Some(at));
        }
        let other = RunId::parse("2017-11-21-0123456789ab").expect("run");
        for key in [keys::segment(&other, &segment("a")), keys::segment(&plan.run_id, &segment("c"))] {
            assert_eq!(place_of(&pages, &plan.run_id, &key), None, "{key}");
        }
    }
}
