//! A store on a bad day, between the real binaries and the real server: error answers, stalls, resets, half bodies, lost answers, a
//! clock that is off; and a disk that is full. Each test counts what was injected and what was lost.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::lambda::Function;
use super::proxy::{Harm, Proxy, Request, Rule};
use super::shop::{Cloud, TWO_SHARDS, expect};
use crate::s3_server;

/// Long enough for an answer on a machine that compiles at the same time; each stall costs it.
const PATIENCE: &str = "4s";
const PATIENT: &str = "[publish]\nrequest_timeout_seconds = 4\n";

/// Every page may be last night's, so that nights after the first need no worker.
const NO_WORKER: &str = "max_fallback_share = 1.0\n";

/// What a night that nobody disturbed leaves behind.
struct Undisturbed {
    run: String,
    tree: BTreeMap<String, Vec<u8>>,
    /// Group → its outcomes.
    groups: BTreeMap<String, Value>,
    /// Plan and finished groups as they lie in the work root.
    checkpoints: BTreeMap<String, Vec<u8>>,
}

fn undisturbed() -> &'static Undisturbed {
    static NIGHT: OnceLock<Undisturbed> = OnceLock::new();
    NIGHT.get_or_init(|| {
        let cloud = Cloud::new("cloud-undisturbed", TWO_SHARDS);
        cloud.expect(0, &["index"]);
        let function = cloud.function();
        let run = plan(&function);
        expect(0, cloud.worker(&run, None));
        let checkpoints = cloud.objects("work/runs/");
        function.answer(json!({ "action": "publish", "run_id": run }));
        Undisturbed { groups: groups(&cloud, &run), tree: cloud.tree(), checkpoints, run }
    })
}

/// A shop whose workers did the undisturbed night, and nothing of it is published.
fn computed(bucket: &str, extra: &str) -> Cloud {
    let cloud = Cloud::new(bucket, &format!("{TWO_SHARDS}{extra}"));
    for (key, bytes) in &undisturbed().checkpoints {
        cloud.put(&format!("work/runs/{key}"), bytes.clone());
    }
    cloud
}

fn plan(function: &Function) -> String {
    function.answer(json!({ "action": "plan" }))["run_id"].as_str().expect("run id").to_owned()
}

/// What the checkpoints say of the segments; they also say how long it took.
fn groups(cloud: &Cloud, run: &str) -> BTreeMap<String, Value> {
    let prefix = format!("work/runs/{run}/groups/");
    let outcomes = |bytes: Vec<u8>| {
        let record: Value = serde_json::from_slice(&bytes).expect("a checkpoint is JSON");
        record["outcomes"].clone()
    };
    cloud.objects(&prefix).into_iter().map(|(group, bytes)| (group, outcomes(bytes))).collect()
}

/// The variables of a process whose store is behind `proxy`, and whose patience is short.
fn behind(proxy: &Proxy, cloud: &Cloud) -> Vec<(String, String)> {
    let mut variables = cloud.variables_behind(proxy);
    // How long the inputs are waited for; PATIENT is about the rest.
    variables.push(("AWS_TIMEOUT".into(), PATIENCE.into()));
    variables
}

/// How a worker behind `proxy` ends, on a machine that keeps nothing from before.
fn work(proxy: &Proxy, cloud: &Cloud, run: &str) -> Output {
    let mut worker = cloud.worker(run, None);
    let fresh = tempfile::tempdir().expect("temporary folder");
    worker.envs(behind(proxy, cloud)).env("ENDCAP_CACHE", fresh.path());
    worker.output().expect("the worker starts")
}

#[track_caller]
fn ends(output: &Output, code: i32, says: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(says), "{told}");
}

#[track_caller]
fn metrics(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one line of metrics")
}

/// Harms every request once, where it comes first: by the next card of the pack of its kind of request. A pack is shuffled by the
/// seed, and holds each harm once; stalls, which cost time, are dealt out of the first pack alone.
struct Deck {
    random: Xoshiro256PlusPlus,
    packs: BTreeMap<&'static [Harm], Vec<Harm>>,
}

impl Deck {
    fn new(seed: u64) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), packs: BTreeMap::new() }
    }

    fn deal(&mut self, request: &Request) -> Option<Harm> {
        if request.nth > 0 {
            return None;
        }
        let harms = Self::harms(request);
        let first = !self.packs.contains_key(harms);
        let pack = self.packs.entry(harms).or_default();
        if pack.is_empty() {
            pack.extend(harms.iter().filter(|harm| first || **harm != Harm::Stall));
            pack.shuffle(&mut self.random);
        }
        pack.pop()
    }

    /// What may happen to a request. Only the SDK signs again with the server's time.
    fn harms(request: &Request) -> &'static [Harm] {
        use Harm::*;
        match (request.method.as_str(), request.sdk) {
            ("GET", false) => &[InternalError, SlowDown, Reset, CutAnswer, Stall],
            ("GET", true) => &[InternalError, SlowDown, Reset, CutAnswer, Stall, Skew],
            ("PUT", _) if request.conditional => {
                &[InternalError, SlowDown, Reset, CutUpload, LostAnswer, Skew, Conflict]
            }
            ("PUT", _) => &[InternalError, SlowDown, Reset, CutUpload, LostAnswer, Skew, Stall],
            ("HEAD", _) => &[InternalError, SlowDown, Reset],
            _ => &[],
        }
    }
}

/// How often a night of the test below meets each harm at the least.
const AT_LEAST: [(Harm, usize); 9] = [
    (Harm::InternalError, 15),
    (Harm::SlowDown, 15),
    (Harm::Conflict, 1),
    (Harm::Skew, 8),
    (Harm::Stall, 3),
    (Harm::Reset, 15),
    (Harm::CutAnswer, 12),
    (Harm::CutUpload, 2),
    (Harm::LostAnswer, 2),
];

/// RUN-1, PUB-1: every request of a night is harmed once, whoever sends it. A worker whose checkpoint the store never takes ends with
/// 2, the next goes on where it was, and the night publishes the bytes of one that nobody disturbed.
#[test]
fn a_night_whose_every_request_is_harmed_once_loses_nothing() {
    let calm = undisturbed();
    let cloud = Cloud::new("cloud-harmed", &format!("{TWO_SHARDS}{PATIENT}"));
    cloud.expect(0, &["index"]);
    let broken = Arc::new(AtomicBool::new(true));
    let (mut deck, refuses) = (Deck::new(5), Arc::clone(&broken));
    let rule: Rule = Box::new(move |request| {
        let refused = refuses.load(Ordering::SeqCst) && request.writes("/groups/00001.json");
        if refused { Some(Harm::SlowDown) } else { deck.deal(request) }
    });
    let proxy = Proxy::before(s3_server::endpoint(), rule);
    let function = Function::start(&behind(&proxy, &cloud));
    assert_eq!(plan(&function), calm.run);

    proxy.forget();
    ends(&work(&proxy, &cloud, &calm.run), 2, "SlowDown");
    assert_eq!(
        proxy.count(|request| request.writes("/groups/00001.json")),
        3,
        "three attempts, then it ends"
    );
    assert_eq!(groups(&cloud, &calm.run).len(), 1, "the first group is kept");
    broken.store(false, Ordering::SeqCst);
    proxy.forget();
    let next = work(&proxy, &cloud, &calm.run);
    ends(&next, 0, "");
    assert_eq!(metrics(&next)["WorkerSegments"], 1.0, "only what was not kept");
    assert_eq!(metrics(&next)["WorkerTokens"], 0.0, "and nothing is paid twice");
    assert_eq!(groups(&cloud, &calm.run), calm.groups);

    for _ in 0..2 {
        cloud.keys("public/").iter().for_each(|key| cloud.delete(key));
        proxy.forget();
        let published = function.answer(json!({ "action": "publish", "run_id": calm.run }));
        assert_eq!(published["ending"], "published", "{published}");
        assert_eq!(cloud.tree(), calm.tree);
    }
    assert!(cloud.expect(0, &["status", "--verify"]).contains("hold their sha256"));

    let harmed = proxy.harmed();
    println!("{} requests harmed, 0 objects lost: {harmed:?}", harmed.values().sum::<usize>());
    for (harm, least) in AT_LEAST {
        assert!(harmed.get(&harm) >= Some(&least), "{harm:?} at least {least} times: {harmed:?}");
    }
    assert_eq!(
        Some(&proxy.corrected()),
        harmed.get(&Harm::Skew),
        "each is signed again by the server's time"
    );
    assert!(proxy.answered(412) > 0, "a write whose answer was lost is refused by its own first attempt");
}

/// A store that never gets well.
struct Illness {
    said: &'static str,
    rule: fn(&Request) -> Option<Harm>,
    /// What is asked for until it is given up, and how often.
    asked: (&'static str, usize),
}

const ILLNESSES: [Illness; 7] = [
    Illness {
        said: "SlowDown (503)",
        rule: |request| request.sdk.then_some(Harm::SlowDown),
        asked: ("/plan.json", 3),
    },
    Illness {
        said: "InternalError (500)",
        rule: |request| request.sdk.then_some(Harm::InternalError),
        asked: ("/plan.json", 3),
    },
    Illness {
        said: "plan.json",
        rule: |request| request.sdk.then_some(Harm::Stall),
        asked: ("/plan.json", 3),
    },
    Illness {
        said: "plan.json",
        rule: |request| request.sdk.then_some(Harm::Reset),
        asked: ("/plan.json", 3),
    },
    Illness {
        said: "try again",
        rule: |request| request.sdk.then_some(Harm::CutAnswer),
        asked: ("/plan.json", 4),
    },
    Illness { said: "SlowDown", rule: |_| Some(Harm::SlowDown), asked: ("/endcap.toml", 11) },
    Illness { said: "RequestTimeTooSkewed", rule: |_| Some(Harm::Skew), asked: ("/endcap.toml", 1) },
];

/// Every retry has an end, which has the name that the state machine tries again, and the exit code that Batch does.
#[test]
fn a_store_that_never_gets_well_is_given_up_and_nothing_is_changed() {
    let cloud = computed("cloud-ill", "[publish]\nrequest_timeout_seconds = 2\n");
    let run = &undisturbed().run;
    let before = cloud.objects("");
    let proxy = Proxy::before(s3_server::endpoint(), Box::new(|_| None));
    let function = Function::start(&behind(&proxy, &cloud));
    let mut injected = 0;
    for Illness { said, rule, asked: (key, times) } in ILLNESSES {
        proxy.obey(Box::new(rule));
        for action in ["plan", "publish"] {
            proxy.forget();
            let mut event = json!({ "action": action });
            if action == "publish" {
                event["run_id"] = json!(run);
            }
            let (kind, message) = function.invoke(event).expect_err(said);
            assert!(kind == "Endcap.Store" && message.contains(said), "{said}: {kind}: {message}");
            assert_eq!(proxy.count(|request| request.reads(key)), times, "{said}: {action}");
            injected += times;
        }
        ends(&work(&proxy, &cloud, run), 2, said);
    }
    assert_eq!(cloud.objects(""), before);
    println!(
        "{} stores that never got well, {injected} requests of functions harmed, 0 objects changed",
        ILLNESSES.len()
    );
}

/// PUB-1, PUB-2: where only the pointer's write fails, the run is there, whole, nobody sees it, and the next call points at it.
#[test]
fn a_pointer_that_cannot_be_written_stays() {
    let cloud = computed("cloud-pointer", "");
    let run = &undisturbed().run;
    let proxy = Proxy::before(s3_server::endpoint(), Box::new(|_| None));
    let unlucky = Function::start(&behind(&proxy, &cloud));
    let mut injected = 0;
    for (harm, times) in [(Harm::SlowDown, 3), (Harm::Reset, 3), (Harm::CutUpload, 3), (Harm::Conflict, 8)] {
        proxy.obey(Box::new(move |request| request.writes("/current.json").then_some(harm)));
        let (kind, message) =
            unlucky.invoke(json!({ "action": "publish", "run_id": run })).expect_err("no pointer");
        assert!(kind == "Endcap.Store" && message.contains("current.json"), "{harm:?}: {kind}: {message}");
        assert_eq!(proxy.count(|request| request.writes("/current.json")), times, "{harm:?}");
        assert!(cloud.get("public/current.json").is_none(), "{harm:?}");
        assert!(cloud.get(&format!("public/runs/{run}/index.json")).is_some(), "{harm:?}: the run is whole");
        injected += times;
    }
    // Every answer is lost, and the write is done: what the pointer says decides.
    proxy.obey(Box::new(|request| request.writes("/current.json").then_some(Harm::LostAnswer)));
    let published = unlucky.answer(json!({ "action": "publish", "run_id": run }));
    injected += proxy.count(|request| request.writes("/current.json"));
    assert_eq!(
        (published["run_id"].as_str(), cloud.tree()),
        (Some(run.as_str()), undisturbed().tree.clone())
    );
    println!("{injected} writes of the pointer harmed, 0 objects lost");
}

/// PUB-3: while a publisher is about to write the pointer, somebody rolls back. Its write is refused with 412, it says so by name, and
/// what the other one did stands.
#[test]
fn a_publisher_whose_pointer_moved_is_told_and_changes_nothing() {
    let cloud = computed("cloud-412", NO_WORKER);
    let function = cloud.function();
    let next = |by: u32| {
        let mut segments = cloud.segments();
        segments.iter_mut().for_each(|segment| segment.households += by);
        cloud.put_segments(&segments);
        plan(&function)
    };
    let runs = [0, 1].map(|by| {
        let run = next(by);
        function.answer(json!({ "action": "publish", "run_id": run }));
        run
    });
    let late = next(2);
    let ((reached, arrives), (go, goes)) = (channel(), channel());
    let mut held = false;
    let rule: Rule = Box::new(move |request| {
        if request.writes("/current.json") && !std::mem::replace(&mut held, true) {
            let _ = reached.send(());
            let _ = goes.recv();
        }
        None
    });
    let proxy = Proxy::before(s3_server::endpoint(), rule);
    let publisher = Function::start(&behind(&proxy, &cloud));
    publisher.begin(json!({ "action": "publish", "run_id": late }));
    arrives.recv_timeout(Duration::from_secs(300)).expect("the pointer's write comes");
    let back = function.answer(json!({ "action": "rollback" }));
    go.send(()).expect("the write is held");
    assert_eq!(back["run_id"], runs[0].as_str());
    let (kind, message) = publisher.end().expect_err("it lost");
    assert!(kind == "Endcap.LostRace" && message.contains(&runs[0]), "{kind}: {message}");
    assert_eq!((proxy.answered(412), &cloud.pointer()["run_id"]), (1, &json!(runs[0])));
    assert!(cloud.expect(0, &["status", "--verify"]).contains("hold their sha256"));
    let published = function.answer(json!({ "action": "publish", "run_id": late }));
    assert_eq!(published["previous_run_id"], runs[0].as_str());
}

/// A pointer of a schema that a later version of endcap brought is neither read as today's nor written over, by no verb; one that
/// only has more fields is today's.
#[test]
fn a_newer_versions_pointer_is_left_alone() {
    let cloud = computed("cloud-newer", "");
    let function = cloud.function();
    let run = &undisturbed().run;
    function.answer(json!({ "action": "publish", "run_id": run }));
    let mut grown = cloud.pointer();
    grown["shown_in"] = json!(["a field of version 1.9"]);
    cloud.put("public/current.json", grown.to_string().into_bytes());
    let again = function.answer(json!({ "action": "publish", "run_id": run }));
    assert_eq!(again["run_id"], run.as_str());

    let mut alike = grown.clone();
    alike["schema"] = json!("endcap.pointer/v2");
    let strange = json!({ "schema": "endcap.pointer/v3", "shards": { "a": run } });
    let mut injected = 0;
    for pointer in [alike, strange] {
        let schema = pointer["schema"].as_str().expect("schema").to_owned();
        cloud.put("public/current.json", pointer.to_string().into_bytes());
        let before = cloud.objects("public/");
        for event in [
            json!({ "action": "plan" }),
            json!({ "action": "publish", "run_id": run }),
            json!({ "action": "promote", "run_id": run }),
            json!({ "action": "rollback" }),
            json!({ "action": "rollback", "run_id": run }),
        ] {
            injected += 1;
            let (kind, message) = function.invoke(event.clone()).expect_err("it knows no such pointer");
            assert!(kind == "Endcap.Config" && message.contains(&schema), "{event}: {kind}: {message}");
        }
        for args in [&["status"][..], &["rollback"], &["rollback", "--to", run.as_str()]] {
            injected += 1;
            ends(&cloud.command(args).output().expect("the binary starts"), 2, &schema);
        }
        assert_eq!(cloud.objects("public/"), before);
    }
    println!("{injected} calls over a newer pointer, all refused by name, 0 objects changed");
}

/// RUN-1: on a full disk a worker computes its shard; what it would have kept is in the bucket.
///
/// The disk is full by a limit of 0 bytes on every file that the process writes (`ulimit -f`, with the signal that goes with it
/// ignored, so that writes fail with EFBIG). That needs no privilege, as a small tmpfs would, and like a full disk it lets folders
/// and empty files be made.
#[test]
fn a_worker_whose_disk_is_full_loses_nothing() {
    let calm = undisturbed();
    let cloud = Cloud::new("cloud-full", TWO_SHARDS);
    cloud.expect(0, &["index"]);
    let function = cloud.function();
    assert_eq!(plan(&function), calm.run);
    // One answer is asked of the model, and kept where there is room.
    let forgotten = keywords_answer(&cloud);
    let said = cloud.json(&forgotten)["text"].clone();
    cloud.delete(&forgotten);
    let worker = cloud.worker(&calm.run, None);
    let mut full = Command::new("sh");
    full.args(["-c", r#"trap "" XFSZ; ulimit -f 0 || exit 99; exec "$0" "$@""#])
        .arg(worker.get_program())
        .args(worker.get_args())
        .envs(cloud.variables())
        .current_dir(cloud.local.path())
        .stdin(Stdio::null());
    let output = full.output().expect("sh starts");
    ends(&output, 0, "kept in the bucket alone");
    let told = String::from_utf8_lossy(&output.stderr);
    let injected = told.matches("kept in the bucket alone").count();
    assert!(injected >= 10, "{injected} answers were to be kept: {told}");
    assert!(files(&cloud.local.path().join("cache")).is_empty(), "nothing half-written is left behind");
    assert!(metrics(&output)["WorkerTokens"].as_f64() > Some(0.0), "the model was asked");
    assert_eq!(cloud.json(&forgotten)["text"], said);
    assert_eq!(groups(&cloud, &calm.run).keys().collect::<Vec<_>>(), calm.groups.keys().collect::<Vec<_>>());
    function.answer(json!({ "action": "publish", "run_id": calm.run }));
    assert_eq!(cloud.tree(), calm.tree);
    println!("{injected} writes to a full disk failed, 0 answers and 0 objects lost");
}

/// The key of an answer of stage 2, which takes the model less time than one of stage 1.
fn keywords_answer(cloud: &Cloud) -> String {
    let keys = cloud.keys("work/answers/");
    let keywords = keys
        .into_iter()
        .filter(|key| cloud.json(key)["text"].as_str().is_some_and(|text| !text.contains("persona")));
    keywords.min().expect("an answer of stage 2")
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
