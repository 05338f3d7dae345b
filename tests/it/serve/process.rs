//! The verb itself: where it says it listens, how it ends, what it says when it cannot start.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The binary, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(root: &std::path::Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
    command.arg("serve").arg("--root").arg(root).args(["--listen", listen]).current_dir(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_in_peace_on_sigterm() {
    let root = tempfile::tempdir().expect("temporary folder");
    let mut running = Running(serve(root.path(), "127.0.0.1:0").spawn().expect("the binary starts"));
    let stdout = running.0.stdout.take().expect("stdout");
    let line = BufReader::new(stdout).lines().next().expect("a line").expect("text");
    let address = line.split(' ').find(|word| word.starts_with("http://127.0.0.1:")).expect("an address");
    let answer = reqwest::get(format!("{address}healthz")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "ok\n");

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert_eq!(running.0.wait().expect("exit").code(), Some(0));
}

#[test]
fn a_taken_address_is_an_error_that_says_what_to_do() {
    let root = tempfile::tempdir().expect("temporary folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let output = serve(root.path(), &address).output().expect("the binary starts");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains(&format!("cannot listen on {address}; choose another with --listen")),
        "{errors}"
    );
}
