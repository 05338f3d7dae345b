//! What takes the tests a minute to make and never differs for one build: kept below the target folder for its next runs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use endcap::domain::Digest;

use crate::support::project;

/// Builds of longer ago are forgotten.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A folder of this build of `endcap`, which `make` filled in this run of the tests or in an earlier one. It is nobody's to change.
pub fn folder(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept").join(name);
    let folder = root.join(build());
    if !folder.exists() {
        std::fs::create_dir_all(&root).expect("folder");
        forget(&root);
        let making = tempfile::tempdir_in(&root).expect("folder");
        make(making.path());
        // Where other tests were faster, theirs is the same.
        if std::fs::rename(making.path(), &folder).is_ok() {
            let _ = making.keep();
        }
    }
    folder
}

/// The binary and the pinned packages: models and data are among these.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let read = |path: &Path| std::fs::read(path).expect("a file of the build");
        let binary = read(Path::new(env!("CARGO_BIN_EXE_endcap")));
        let parts = [&binary[..], &read(&project().join("requirements.txt"))];
        Digest::of_parts(parts).to_hex()[..32].into()
    })
}

fn forget(root: &Path) {
    for entry in std::fs::read_dir(root).expect("folder").flatten() {
        let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
