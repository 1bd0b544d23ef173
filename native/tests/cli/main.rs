//! The program `peergraph`, from outside: exit codes, messages, and what wrong input does.

mod between;
mod dead;
mod direct;
#[cfg(unix)]
mod documents;
mod groups;
mod identities;
mod input;
mod meeting;
mod qr;
#[cfg(unix)]
mod running;
mod search;
#[cfg(unix)]
mod stores;
mod tls;
mod together;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Runs with a data folder, without anything from the surroundings.
fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peergraph"));
    command.env_clear().env("PEERGRAPH_DATA", data).env("USER", "ada").stdin(Stdio::null());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    command(data).args(arguments).output().expect("runs")
}

fn run_with_input(data: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command(data);
    let command = command.args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    // A program that fails early does not read its input.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("ends")
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Fails with `code`, nothing on standard output, and a message that has all `parts`.
#[track_caller]
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert_eq!(text(&output.stdout), "");
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The one line of JSON that a command prints.
#[track_caller]
fn one(output: &Output) -> serde_json::Value {
    json(ok(output).trim_end())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A place of this machine for a program that starts later. It is below the ports that the system
/// gives away, so no other test's program gets it meanwhile.
fn free_later() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 10_000).expect("a remainder");
    let ports = (0..10_000).map(|_| 20_000 + (own + GIVEN.fetch_add(1, Relaxed)) % 10_000);
    let mut places = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    places.find(|place| TcpListener::bind(place).is_ok()).expect("a free port")
}

/// Bob, in a data folder of his own, in Ada's group by a bound invitation, which needs nobody online.
fn bob_joins(ada: &Path, group: &str) -> (tempfile::TempDir, String) {
    let bob = folder();
    let peer = one(&run(bob.path(), &["--json", "identity", "new", "Bob"]));
    ok(&join(bob.path(), &invite_bob(ada, group, bob.path())));
    (bob, peer["peer"].as_str().expect("text").to_owned())
}

fn join(data: &Path, link: &str) -> Output {
    run_with_input(data, &["--timeout", "1s", "group", "join"], link.as_bytes())
}

/// Ada's invitation for the identity of Bob's data folder.
fn invite_bob(ada: &Path, group: &str, bob: &Path) -> String {
    let document = bob.join("bob.pem");
    std::fs::write(&document, ok(&run(bob, &["identity", "show", "--document"]))).expect("written");
    let document = document.to_str().expect("text");
    ok(&run(ada, &["group", "invite", group, "--bound", document]))
}
