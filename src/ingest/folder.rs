//! All objects below a prefix, fetched into a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

use super::location::open;
use super::{IngestError, Location};

/// Objects fetched at a time.
const IN_FLIGHT: usize = 16;

/// Fetches every object below `prefix` of `bucket` into `folder`, under the rest of its key; their number. `options` are the
/// store's own (`aws_region` …), beside the AWS environment chain's.
pub async fn fetch_folder(
    (bucket, prefix): (&str, &str),
    options: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<usize, IngestError> {
    let unread = |key: &str, source: object_store::Error| IngestError::Read {
        file: Location::S3 { bucket: bucket.into(), key: key.into() }.to_string(),
        source: source.into(),
    };
    let store = open(bucket, options).map_err(|source| unread(prefix, source))?;
    let below = Key::parse(prefix).map_err(|source| unread(prefix, source.into()))?;
    let listed = store.list(Some(&below)).map_err(|source| unread(prefix, source));
    let fetched = listed.map_ok(|object| {
        let (store, below) = (&store, &below);
        async move {
            let key = &object.location;
            let bytes = whole(store, key).await.map_err(|source| unread(key.as_ref(), source))?;
            write(folder.join(relative(key, below)), &bytes).await
        }
    });
    fetched.try_buffer_unordered(IN_FLIGHT).try_fold(0, |count, ()| async move { Ok(count + 1) }).await
}

async fn whole(store: &AmazonS3, key: &Key) -> object_store::Result<bytes::Bytes> {
    store.get(key).await?.bytes().await
}

/// What follows the prefix. A part of a key is never `..` nor empty: `object_store` refuses such keys as it lists them.
fn relative(key: &Key, below: &Key) -> PathBuf {
    key.prefix_match(below).into_iter().flatten().map(|part| part.as_ref().to_owned()).collect()
}

async fn write(path: PathBuf, bytes: &[u8]) -> Result<(), IngestError> {
    let written = async {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::write(&path, bytes).await
    };
    written.await.map_err(|source| IngestError::Write { path: path.clone(), source: source.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_where_its_key_says() {
        let key = |text: &str| Key::parse(text).expect("a key");
        let path = relative(&key("shop/index/state.lance/data/a.lance"), &key("shop/index"));
        assert_eq!(path, Path::new("state.lance/data/a.lance"));
        assert_eq!(relative(&key("a/b"), &key("")), Path::new("a/b"));
        assert!(Key::parse("shop/index/../../etc/passwd").is_err());
    }
}
