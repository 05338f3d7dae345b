//! The whole stack on one machine: the emulator, the template put on it by the script that deploys to AWS, the real
//! `endcap-lambda` as both functions, the real `endcap` as every Batch job, and nginx as the CDN.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use endcap::ingest::contract;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::bucket::Bucket;
use super::shop::{open_shop, put_segments, segments};
use crate::night::answers;
use crate::s3_server::client_of;
use crate::support::{inputs, project, site_packages};

/// Longer than any execution takes on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(500);

/// The emulator with the stack `endcap` on it. Dropping it ends everything that it started.
pub struct Stack {
    pub outputs: BTreeMap<String, String>,
    pub public: Bucket,
    pub private: Bucket,
    pub inputs: Bucket,
    pub endpoint: String,
    control: String,
    runtime: Arc<Runtime>,
    http: reqwest::Client,
    pub folder: tempfile::TempDir,
    emulator: Child,
}

/// An execution that ended: its status, error, cause and output, and the states it entered.
#[derive(Debug)]
pub struct Execution {
    pub status: String,
    pub error: String,
    pub cause: String,
    pub output: Value,
    pub entered: Vec<String>,
}

/// An answer without its body.
struct Head {
    status: reqwest::StatusCode,
    headers: reqwest::header::HeaderMap,
}

impl Stack {
    /// A deployed stack with the shop's tables, index and config (`extra` appended) in it, and the reference night's answers, so
    /// that no model is asked.
    pub fn new(parameters: &[(&str, &str)], extra: &str) -> Self {
        let stack = Self::deployed(parameters);
        // The SDKs find the emulator by their variables; LanceDB's store asks that plain HTTP be allowed.
        open_shop(&stack.inputs, &format!("{extra}\n[index.storage]\nallow_http = \"true\"\n"));
        stack.private.upload(&inputs().join("index"), "index");
        stack.private.upload(answers(), "work/answers");
        stack
    }

    fn deployed(parameters: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (emulator, addresses) = start(folder.path());
        let text = |key: &str| addresses[key].as_str().expect("an address").to_owned();
        let (endpoint, control) = (text("endpoint"), text("control"));
        let outputs = deploy(&endpoint, "endcap", parameters);
        let runtime = Runtime::new().map(Arc::new).expect("runtime");
        let [public, private, inputs] = buckets(&outputs, &endpoint, &runtime);
        Self {
            public,
            private,
            inputs,
            outputs,
            endpoint,
            control,
            http: reqwest::Client::new(),
            runtime,
            folder,
            emulator,
        }
    }

    /// Deletes the stack and deploys another, `name`: the public, private and inputs buckets that the first left behind.
    pub fn deploy_anew(&mut self, name: &str) -> [Bucket; 3] {
        self.formation("DeleteStack");
        let started = Instant::now();
        loop {
            let told = self.formation("DescribeStacks");
            if told.contains("DELETE_COMPLETE") || told.contains("does not exist") {
                break;
            }
            assert!(started.elapsed() < PATIENCE && !told.contains("DELETE_FAILED"), "{told}");
            std::thread::sleep(Duration::from_millis(200));
        }
        self.outputs = deploy(&self.endpoint, name, &[]);
        let [public, private, inputs] = buckets(&self.outputs, &self.endpoint, &self.runtime);
        [
            std::mem::replace(&mut self.public, public),
            std::mem::replace(&mut self.private, private),
            std::mem::replace(&mut self.inputs, inputs),
        ]
    }

    /// Asks CloudFormation about the stack `endcap`.
    fn formation(&self, action: &str) -> String {
        let request = self
            .http
            .post(&self.endpoint)
            .header("authorization", credential("cloudformation"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("Action={action}&StackName=endcap&Version=2010-05-15"));
        self.send(request).1
    }

    /// Deletes the key `current`.
    pub fn empty_edge_store(&self) {
        let store = format!("{}/key-value-stores/{}", self.endpoint, self.outputs["EdgeStoreArn"]);
        let (described, _) = self.send(self.http.get(&store));
        let delete = self.http.delete(format!("{store}/keys/current"));
        let (deleted, told) = self.send(delete.header("if-match", &described.headers["etag"]));
        assert!(deleted.status.is_success(), "{told}");
    }

    /// Writes down that the index is tonight's, which it is: a night need not find that out.
    pub fn mark_index(&self) {
        super::shop::expect(0, self.command(&["index"]));
    }

    /// Changes the rows of the first `count` segments, so that as many pages must be made again.
    pub fn change_segments(&self, count: usize, by: u32) {
        let mut rows = segments(&self.inputs);
        rows.iter_mut().take(count).for_each(|row| row.households += by);
        put_segments(&self.inputs, &rows);
    }

    /// One night, to its end.
    pub fn night(&self, input: Value) -> Execution {
        self.await_end(&self.begin_night(input))
    }

    /// Starts a night: the execution's ARN.
    pub fn begin_night(&self, input: Value) -> String {
        let machine = &self.outputs["StateMachineArn"];
        let request = json!({ "stateMachineArn": machine, "input": input.to_string() });
        self.states("StartExecution", request)["executionArn"].as_str().expect("ARN").to_owned()
    }

    pub fn await_end(&self, arn: &str) -> Execution {
        let started = Instant::now();
        loop {
            let told = self.states("DescribeExecution", json!({ "executionArn": arn }));
            let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
            if text("status") != "RUNNING" {
                return Execution {
                    status: text("status"),
                    error: text("error"),
                    cause: text("cause"),
                    output: serde_json::from_str(&text("output")).unwrap_or_default(),
                    entered: self.entered(arn),
                };
            }
            assert!(started.elapsed() < PATIENCE, "the night hangs: {:?}", self.entered(arn));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn entered(&self, arn: &str) -> Vec<String> {
        let history = json!({ "executionArn": arn, "maxResults": 1000 });
        let told = self.states("GetExecutionHistory", history);
        let events = told["events"].as_array().into_iter().flatten();
        events.filter_map(|event| Some(event["stateEnteredEventDetails"]["name"].as_str()?.into())).collect()
    }

    fn states(&self, action: &str, request: Value) -> Value {
        let request = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", format!("AWSStepFunctions.{action}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", credential("states"))
            .body(request.to_string());
        self.json(request)
    }

    /// Invokes a function as the state machine would; the answer.
    pub fn invoke(&self, function: &str, event: Value) -> Value {
        let url = format!("{}/2015-03-31/functions/{}/invocations", self.endpoint, self.outputs[function]);
        let request = self.http.post(url).header("authorization", credential("lambda"));
        self.json(request.body(event.to_string()))
    }

    /// A fault hook of the emulator (faults.py): `GET` without a body.
    pub fn hook(&self, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.control);
        self.json(match body {
            Some(body) => self.http.post(url).body(body.to_string()),
            None => self.http.get(url),
        })
    }

    fn json(&self, request: reqwest::RequestBuilder) -> Value {
        let (_, text) = self.send(request);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Head and text of the answer.
    fn send(&self, request: reqwest::RequestBuilder) -> (Head, String) {
        self.runtime.block_on(async {
            let answer = request.send().await.expect("the emulator answers");
            let head = Head { status: answer.status(), headers: answer.headers().clone() };
            (head, answer.text().await.expect("text"))
        })
    }

    /// Exit codes of each attempt of each job whose name begins with `name`, an array's own entry aside.
    pub fn exit_codes(&self, name: &str) -> Vec<Vec<i64>> {
        let jobs = self.hook("/jobs", None);
        let jobs = jobs.as_array().into_iter().flatten();
        let named = jobs.filter(|job| job["jobName"].as_str().is_some_and(|found| found.starts_with(name)));
        let codes = |job: &Value| -> Vec<i64> {
            job["exitCodes"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
        };
        named.map(codes).filter(|codes| !codes.is_empty()).collect()
    }

    /// What each attempt of a job has logged.
    pub fn job_logs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("logs")).expect("logs").flatten();
        let jobs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("batch-"));
        jobs.map(|entry| String::from_utf8_lossy(&std::fs::read(entry.path()).expect("a log")).into())
            .collect()
    }

    /// The binary with the locations that the stack's jobs have.
    pub fn command(&self, args: &[&str]) -> Command {
        let place = |bucket: &Bucket, folder: &str| format!("s3://{}/{folder}", bucket.name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
        command
            .args(args)
            .envs(common(self.folder.path()))
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("ENDCAP_CONFIG", place(&self.inputs, "config/endcap.toml"))
            .env("ENDCAP_INPUTS", place(&self.inputs, "inputs"))
            .env("ENDCAP_INDEX", place(&self.private, "index"))
            .env("ENDCAP_WORK", place(&self.private, "work"))
            .env("ENDCAP_PUBLISH", format!("s3://{}", self.public.name))
            .env("ENDCAP_EDGE_STORE", &self.outputs["EdgeStoreArn"])
            .env("ENDCAP_DEVICE", "cpu")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// What shoppers see now; `None` before the first night.
    pub fn pointer(&self) -> Option<Value> {
        serde_json::from_slice(&self.public.get("current.json")?).ok()
    }

    /// The run that shoppers see, every object of which holds its recorded sha256 (PUB-1).
    #[track_caller]
    pub fn whole_run(&self) -> String {
        let told = super::shop::expect(0, self.command(&["status", "--verify"]));
        assert!(told.contains("hold their sha256"), "{told}");
        self.pointer().expect("a pointer")["run_id"].as_str().expect("run id").to_owned()
    }

    /// The report of a run.
    pub fn report(&self, run: &str) -> Value {
        self.private.json(&format!("work/runs/{run}/report.json"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        drop(self.emulator.stdin.take());
        let _ = self.emulator.wait();
    }
}

/// What the test gives every process.
fn common(folder: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("ENDCAP_CACHE", folder.join("cache").display().to_string()),
        ("ENDCAP_NOW", "2017-11-20T02:00:00Z".into()),
        ("ENDCAP_SITE_PACKAGES", site_packages().display().to_string()),
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
    ]
}

/// A request is told apart by the service in its credential's scope; the emulator checks no signature.
fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn python() -> PathBuf {
    let python = project().join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make setup`", python.display());
    python
}

/// The emulator, and the line of JSON that it says once it answers. Its log is `logs/ministack.log` below `folder`.
fn start(folder: &Path) -> (Child, Value) {
    let logs = folder.join("logs");
    let mut emulator = Command::new(python())
        .arg(project().join("tests/it/cloud/emulator/ms_batch.py"))
        .args(["--worker", env!("CARGO_BIN_EXE_endcap"), "--wait-scale", "0", "--slots", "2", "--logs"])
        .arg(&logs)
        .envs(common(folder))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the emulator starts");
    let mut line = String::new();
    BufReader::new(emulator.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    let log = || std::fs::read_to_string(logs.join("ministack.log")).unwrap_or_default();
    let addresses = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}\n{}", log()));
    (emulator, addresses)
}

/// The public, the private and the inputs bucket of a stack.
fn buckets(outputs: &BTreeMap<String, String>, endpoint: &str, runtime: &Arc<Runtime>) -> [Bucket; 3] {
    ["PublicBucketName", "PrivateBucketName", "InputsBucketName"]
        .map(|output| Bucket::new(&outputs[output], client_of(endpoint), Arc::clone(runtime)))
}

/// Deploys the template as the stack `name`: its outputs.
fn deploy(endpoint: &str, name: &str, parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut command = Command::new(python());
    command
        .arg(project().join("infra/deploy.py"))
        .args(["--stack", name, "--image", "worker@sha256:0", "--endpoint-url", endpoint, "--bootstrap"])
        .arg(package())
        // No GPU here, and no night that starts by itself at one in the morning.
        .args(["--parameter", "WorkerGpus=0", "--parameter", "ScheduleState=DISABLED"])
        .envs(common(Path::new("")));
    for (parameter, value) in parameters {
        command.args(["--parameter", &format!("{parameter}={value}")]);
    }
    serde_json::from_str(&super::shop::expect(0, command)).expect("outputs")
}

/// The Lambda package, made once a test run: stripped, since a deploy of the rest would compress symbols for seconds.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let made = || {
        let folder = tempfile::tempdir().expect("temporary folder");
        let zip = super::package::zipped(folder.path());
        (folder, zip)
    };
    &PACKAGE.get_or_init(made).1
}

/// nginx with the tests' configuration before the emulated CloudFront.
pub struct Cdn<'a> {
    stack: &'a Stack,
    address: String,
    nginx: Child,
}

impl<'a> Cdn<'a> {
    pub fn new(stack: &'a Stack) -> Self {
        let folder = stack.folder.path().join("nginx");
        std::fs::create_dir_all(&folder).expect("folder");
        let port = crate::s3_server::free_port();
        let mut filled =
            std::fs::read_to_string(project().join("tests/it/cloud/nginx.conf.in")).expect("configuration");
        let origin = stack.endpoint.trim_start_matches("http://");
        let user = String::from_utf8(Command::new("id").arg("-un").output().expect("id").stdout);
        for (name, value) in [
            ("PORT", port.to_string()),
            ("ORIGIN", origin.to_owned()),
            ("DISTRIBUTION", stack.outputs["DistributionDomainName"].clone()),
            ("FOLDER", folder.display().to_string()),
            ("USER", user.expect("a name").trim().to_owned()),
        ] {
            filled = filled.replace(&format!("@{name}@"), &value);
        }
        let file = folder.join("nginx.conf");
        std::fs::File::create(&file).and_then(|mut file| file.write_all(filled.as_bytes())).expect("written");
        let mut command = Command::new(nginx());
        command.arg("-p").arg(&folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
        let nginx = command.spawn().expect("nginx starts");
        let cdn = Self { stack, address: format!("http://127.0.0.1:{port}"), nginx };
        assert!(crate::s3_server::answers(port), "nginx does not answer; its log is in {}", folder.display());
        cdn
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let request = self.stack.http.get(format!("{}{path}", self.address)).send();
        self.stack.runtime.block_on(async {
            let answer = request.await.expect("nginx answers");
            (answer.status().as_u16(), answer.bytes().await.expect("body").to_vec())
        })
    }

    /// Asks until the pointer names `run`: seconds, while an older answer may be kept.
    #[track_caller]
    pub fn await_run(&self, run: &str) {
        let started = Instant::now();
        loop {
            let (status, body) = self.get("/current.json");
            let named = serde_json::from_slice::<Value>(&body).is_ok_and(|pointer| pointer["run_id"] == run);
            if status == 200 && named {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{status} {}",
                String::from_utf8_lossy(&body)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Cdn<'_> {
    fn drop(&mut self) {
        // SIGTERM, not SIGKILL: its worker process would outlive it.
        let _ = Command::new("kill").arg(self.nginx.id().to_string()).status();
        let _ = self.nginx.wait();
    }
}

fn nginx() -> PathBuf {
    let found = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].map(PathBuf::from);
    let missing = "nginx is missing: apt-get install -y --no-install-recommends nginx-light";
    found.into_iter().find(|path| path.exists()).expect(missing)
}

/// The names of tonight's segments.
pub fn segment_ids(stack: &Stack) -> Vec<String> {
    segments(&stack.inputs).into_iter().map(|row| row.segment_id.to_string()).collect()
}

/// The shop's tables and index in folders: the local twin of what was uploaded.
pub fn local_twin(stack: &Stack, extra: &str) -> crate::support::ShopFolder {
    let folder = stack.folder.path().join("twin");
    std::fs::create_dir_all(&folder).expect("folder");
    for (key, bytes) in stack.inputs.objects("inputs/") {
        std::fs::write(folder.join(key), bytes).expect("table");
    }
    assert!(folder.join(contract::SEGMENTS).exists());
    let twin = crate::support::ShopFolder::with_index(&folder, &inputs().join("index"), extra);
    crate::support::copy(answers(), &twin.path("work/answers"));
    twin
}
