//! What only a directory can do: links, leftovers of killed writers, hidden names.

use super::*;

fn options(bytes: &[u8], condition: Condition) -> PutOptions {
    PutOptions { cache_control: String::new(), condition, sha256: Digest::of(bytes) }
}

async fn put(store: &FsStore, key: &str) -> Result<Written, StoreError> {
    store.put(key, Bytes::from_static(b"x"), &options(b"x", Condition::Any)).await
}

#[tokio::test]
async fn nothing_is_created_by_reading() {
    let folder = tempfile::tempdir().expect("tempdir");
    let root = folder.path().join("a/b");
    let store = FsStore::new(&root);
    assert_eq!(store.get("current.json").await.expect("get"), None);
    assert!(store.list("").await.expect("list").is_empty());
    store.delete(&["current.json".into()]).await.expect("delete");
    assert!(!root.exists());
    put(&store, "current.json").await.expect("put");
    assert_eq!(fs::read(root.join("current.json")).expect("file"), b"x");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_below_the_root_is_refused_and_a_linked_root_is_not() {
    let folder = tempfile::tempdir().expect("tempdir");
    let (outside, root) = (folder.path().join("outside"), folder.path().join("root"));
    fs::create_dir_all(&outside).expect("outside");
    fs::create_dir_all(&root).expect("root");
    fs::write(outside.join("secret.json"), "secret").expect("secret");
    std::os::unix::fs::symlink(&outside, root.join("runs")).expect("link");
    let store = FsStore::new(&root);
    for error in [
        store.get("runs/secret.json").await.expect_err("read through a link"),
        put(&store, "runs/new.json").await.expect_err("written through a link"),
        store.list("").await.expect_err("listed a link"),
        store.list("runs/").await.expect_err("listed through a link"),
        store.delete(&["runs/secret.json".into()]).await.expect_err("deleted through a link"),
    ] {
        assert!(matches!(error, StoreError::Symlink { .. }), "{error}");
    }
    assert!(outside.join("secret.json").exists() && !outside.join("new.json").exists());

    std::os::unix::fs::symlink(&outside, folder.path().join("linked")).expect("link");
    let linked = FsStore::new(folder.path().join("linked"));
    assert!(linked.get("secret.json").await.expect("get").is_some());
}

#[tokio::test]
async fn leftovers_of_killed_writers_go_unless_somebody_is_writing() {
    let folder = tempfile::tempdir().expect("tempdir");
    let leftover = folder.path().join(".endcap/tmp/put-killed");
    let first = FsStore::new(folder.path());
    put(&first, "a.json").await.expect("put");
    fs::write(&leftover, "half a pa").expect("leftover");

    let beside = FsStore::new(folder.path());
    put(&beside, "b.json").await.expect("put");
    assert!(leftover.exists(), "another writer may still own it");
    drop((first, beside));

    let alone = FsStore::new(folder.path());
    put(&alone, "c.json").await.expect("put");
    assert!(!leftover.exists());
    assert_eq!(alone.list("").await.expect("list"), ["a.json", "b.json", "c.json"]);
}

#[tokio::test]
async fn the_last_object_takes_its_folders_along() {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = FsStore::new(folder.path());
    put(&store, "runs/a/segments/x.json").await.expect("put");
    put(&store, "runs/b/segments/x.json").await.expect("put");
    store.delete(&["runs/a/segments/x.json".into()]).await.expect("delete");
    assert_eq!(store.children("runs/").await.expect("children"), ["b"]);
    store.delete(&["runs/b/segments/x.json".into()]).await.expect("delete");
    assert!(!folder.path().join("runs").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_published_file_is_readable_by_a_web_server() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("tempdir");
    let store = FsStore::new(folder.path());
    put(&store, "a.json").await.expect("put");
    let mode = fs::metadata(folder.path().join("a.json")).expect("file").permissions().mode();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("plain");
    // Whatever this machine's umask leaves of 0644.
    let allowed = fs::metadata(plain).expect("plain").permissions().mode() & 0o644;
    assert_eq!(mode & 0o777, allowed & 0o777);
}
