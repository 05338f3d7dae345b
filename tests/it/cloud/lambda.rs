//! The Lambda service's end of the runtime API, for one function: four calls over HTTP.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

/// How an invocation ended: the answer, or `errorType` and `errorMessage`.
pub type Ended = Result<Value, (String, String)>;

/// A running function. Dropping it ends the process.
pub struct Function {
    process: Child,
    service: Service,
    ended: Receiver<Ended>,
    _runtime: tokio::runtime::Runtime,
    /// From the start of the process to its first call for work.
    pub cold_start: Duration,
    printed: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Service {
    events: Arc<tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<Value>>>,
    send: tokio::sync::mpsc::UnboundedSender<Value>,
    ended: Sender<Ended>,
    asked: Sender<Instant>,
}

impl Function {
    /// Starts `endcap-lambda` with these variables.
    pub fn start(variables: &[(String, String)]) -> Self {
        let (send, events) = tokio::sync::mpsc::unbounded_channel();
        let (ended, answers) = channel();
        let (asked, first) = channel();
        let service = Service { events: Arc::new(tokio::sync::Mutex::new(events)), send, ended, asked };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("bind");
        let address = listener.local_addr().expect("address");
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .with_state(service.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        let started = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_endcap-lambda"))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "endcap")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the function starts");
        let printed = collect(process.stdout.take().expect("stdout"));
        let first = first.recv_timeout(Duration::from_secs(60)).expect("the function asks for work");
        let cold_start = first - started;
        Self { process, service, ended: answers, _runtime: runtime, cold_start, printed }
    }

    pub fn invoke(&self, event: Value) -> Ended {
        self.begin(event);
        self.end()
    }

    /// How the event that was handed over ended.
    pub fn end(&self) -> Ended {
        self.ended.recv_timeout(Duration::from_secs(300)).expect("the function answers")
    }

    /// Hands an event over and does not wait.
    pub fn begin(&self, event: Value) {
        self.service.send.send(event).expect("the service is up");
    }

    /// Hands an event over and takes its answer.
    #[track_caller]
    pub fn answer(&self, event: Value) -> Value {
        let shown = event.to_string();
        self.invoke(event).unwrap_or_else(|(kind, message)| panic!("{shown}: {kind}: {message}"))
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("wait");
    }

    /// The lines of metrics printed so far.
    pub fn metrics(&self) -> Vec<Value> {
        let printed = self.printed.lock().expect("lines");
        let lines = printed.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.get("_aws").is_some()).collect()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn collect(stdout: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            kept.lock().expect("lines").push(line);
        }
    });
    lines
}

async fn next(State(service): State<Service>) -> Response {
    let _ = service.asked.send(Instant::now());
    let event = service.events.lock().await.recv().await;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:endcap"),
        ("content-type", "application/json"),
    ];
    (headers, event.map(|event| event.to_string()).unwrap_or_default()).into_response()
}

async fn response(State(service): State<Service>, Path(_): Path<String>, body: String) -> StatusCode {
    let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    let _ = service.ended.send(Ok(value));
    StatusCode::ACCEPTED
}

async fn error(State(service): State<Service>, headers: HeaderMap, body: String) -> StatusCode {
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let named = headers.get("lambda-runtime-function-error-type").is_some() || value["errorType"].is_string();
    assert!(named, "an error without a type: {body}");
    let _ = service.ended.send(Err((text("errorType"), text("errorMessage"))));
    StatusCode::ACCEPTED
}
