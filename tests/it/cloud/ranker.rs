//! The ranker's folder in a bucket, where the refresh job writes it and everybody else reads it, and nights with it.

use endcap::night::{RankerFolderError, load_ranker, save_ranker};
use endcap::publish::Settings;

use super::shop::moved;
use crate::rank::learned::trained;
use crate::s3_server;

/// The SDK reads its variables, so a process of its own reads the bucket.
#[test]
fn a_ranker_in_a_bucket_is_the_one_that_was_saved() {
    let folder = tempfile::tempdir().expect("folder");
    let model = trained();
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let local = folder.path().display().to_string();
    runtime.block_on(save_ranker(&model, &local, &Settings::default())).expect("save");
    let again = runtime.block_on(load_ranker(&local, &Settings::default())).expect("load");
    assert_eq!(again.digest(), model.digest());

    let bucket = runtime.block_on(s3_server::create_bucket("cloud-ranker"));
    for entry in std::fs::read_dir(folder.path()).expect("folder").flatten() {
        let key = format!("ranker/{}", entry.file_name().to_string_lossy());
        let bytes = std::fs::read(entry.path()).expect("file");
        let put = bucket.put_object().bucket("cloud-ranker").key(key).body(bytes.into());
        runtime.block_on(put.send()).expect("put");
    }
    let cloud =
        super::shop::Cloud::new("cloud-ranker-shop", "[rank]\nmodel = \"s3://cloud-ranker/ranker\"\n");
    let function = cloud.function();
    let surveyed = function.answer(serde_json::json!({ "action": "survey" }));
    assert_eq!(surveyed["refresh_ranker"], true, "it was trained two weeks before");
    let planned = function.answer(serde_json::json!({ "action": "plan" }));
    let runs = cloud.keys("work/runs/");
    let plan = runs.iter().find(|key| key.ends_with("plan.json")).expect("a plan");
    assert_eq!(cloud.json(plan)["provenance"]["models"]["ranker"], model.digest().to_hex());

    assert!(model.description.text, "it reads the texts' vectors");
    cloud.expect(0, &["index"]);
    let run = planned["run_id"].as_str().expect("a run");
    super::shop::expect(0, cloud.worker(run, None));
    function.answer(serde_json::json!({ "action": "publish", "run_id": run }));
    cloud.put_segments(&moved(&cloud.segments(), 1));
    let report = cloud.expect(0, &["run", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(report["segments"]["reused"], 3, "nothing changed, so nobody is scored: {report}");
}

#[test]
fn a_folder_without_a_ranker_says_how_to_write_one() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let missing = tempfile::tempdir().expect("folder").path().join("none").display().to_string();
    let error = runtime.block_on(load_ranker(&missing, &Settings::default())).expect_err("nothing there");
    assert!(
        matches!(error, RankerFolderError::Rank { .. }) && error.to_string().contains(&missing),
        "{error}"
    );
}
