//! A real S3-speaking server for the tests: ministack, out of the project's `.venv`, on a free port of 127.0.0.1.
//!
//! It is started once a test binary and ends with it, however the binary ends: a shell waits for the end of its standard
//! input, which this process holds open, and then kills the server.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};

struct Server {
    endpoint: String,
    /// Its standard input is what keeps the server alive.
    _shell: Child,
}

/// `http://127.0.0.1:<port>`; starts the server on the first call.
pub fn endpoint() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    &SERVER.get_or_init(start).endpoint
}

/// What the SDK needs in its environment to reach the server, for tests of the command line.
pub fn environment() -> [(&'static str, &'static str); 4] {
    [
        ("AWS_ENDPOINT_URL_S3", endpoint()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// A client of the server, with static credentials.
pub fn client() -> Client {
    client_of(endpoint())
}

pub fn client_of(endpoint: &str) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// An empty bucket of the test's own.
pub async fn create_bucket(name: &str) -> Client {
    let client = client();
    client.create_bucket().bucket(name).send().await.expect("create bucket");
    client
}

fn start() -> Server {
    let program = program();
    // The port may be taken between being found free and being bound.
    for _ in 0..3 {
        let port = free_port();
        let mut shell = Command::new("sh")
            .args(["-c", r#""$0" >/dev/null 2>&1 & server=$!; read -r _; kill -9 "$server""#])
            .arg(&program)
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .expect("start sh");
        if answers(port) {
            return Server { endpoint: format!("http://127.0.0.1:{port}"), _shell: shell };
        }
        drop(shell.stdin.take());
        shell.wait().expect("wait for sh");
    }
    panic!("{} does not answer on 127.0.0.1; run it by hand to see why", program.display());
}

fn program() -> PathBuf {
    let program = match std::env::var_os("ENDCAP_MINISTACK") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/ministack"),
    };
    assert!(program.exists(), "{} is missing: run `make setup`", program.display());
    program
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}

pub fn answers(port: u16) -> bool {
    (0..600).any(|_| {
        let up = TcpStream::connect(("127.0.0.1", port)).is_ok();
        if !up {
            std::thread::sleep(Duration::from_millis(50));
        }
        up
    })
}
