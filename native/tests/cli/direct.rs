//! Direct links of two real programs: calls, pipes and forwarded ports.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{bob_joins, command, fails, folder, free_later, ok, run, run_with_input, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(data: &Path, arguments: &[&str]) -> Running {
    let mut command = command(data);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    Running(command.spawn().expect("starts"))
}

/// Ada with a node, a group and a program that goes on, and Bob in that group, who knows the node.
fn two() -> ([tempfile::TempDir; 2], [String; 2], Running) {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Trip"]));
    let (bob, peer) = bob_joins(ada.path(), "Trip");
    let place = free_later().to_string();
    let node = start(ada.path(), &["node", "--http", &place]);
    let url = format!("http://{place}");
    let begun = Instant::now();
    while TcpStream::connect(&place).is_err() {
        assert!(begun.elapsed() < PATIENCE, "no node");
        std::thread::sleep(Duration::from_millis(50));
    }
    ([ada, bob], [url, peer], node)
}

#[test]
fn programs_call_each_other() {
    let ([ada, bob], [url, _], _node) = two();
    let _serving = start(ada.path(), &["serve", "Trip", "upper", "--", "tr", "a-z", "A-Z"]);
    let _failing = start(ada.path(), &["serve", "Trip", "broken", "--", "false"]);
    let call = |name: &str| {
        let arguments = ["--node", &url, "call", "Trip", "ada", name];
        run_with_input(bob.path(), &arguments, b"hello")
    };
    let begun = Instant::now();
    // Until the others serve.
    let answered = loop {
        let answered = call("upper");
        if answered.status.success() || begun.elapsed() > PATIENCE {
            break answered;
        }
    };
    assert_eq!(ok(&answered), "HELLO");
    fails(&call("broken"), 1, &["calling broken", "the command failed"]);
}

#[test]
fn programs_are_joined_by_a_pipe() {
    let ([ada, bob], [url, _], _node) = two();
    let mut listening = start(ada.path(), &["pipe", "Trip", "--listen"]);
    let content: Vec<u8> =
        (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut input = listening.0.stdin.take().expect("piped");
    let there = {
        let content = content.clone();
        std::thread::spawn(move || input.write_all(&content).expect("written"))
    };
    std::thread::sleep(Duration::from_secs(2));
    let arguments = ["--node", &url, "pipe", "Trip", "ada"];
    let joined = run_with_input(bob.path(), &arguments, b"from Bob");
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    assert!(joined.stdout == content, "{} bytes", joined.stdout.len());
    there.join().expect("written");
    let mut came = String::new();
    listening.0.stdout.take().expect("piped").read_to_string(&mut came).expect("read");
    assert_eq!(came, "from Bob");
    assert!(listening.0.wait().expect("ends").success());
}

#[test]
fn ports_are_forwarded_to_members_of_a_role_only() {
    let ([ada, bob], [url, peer], _node) = two();
    let echo = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = echo.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for socket in echo.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &socket, &mut &socket));
        }
    });
    let offer = ["forward", "Trip", "web", "--to", &target, "--role", "guest"];
    let _offering = start(ada.path(), &offer);
    std::thread::sleep(Duration::from_secs(1));
    let place = free_later().to_string();
    let reach = ["--node", &url, "forward", "Trip", "web", "--from", "ada", "--listen", &place];
    fails(&run(bob.path(), &reach), 1, &["you have not the role"]);
    ok(&run(ada.path(), &["group", "promote", "Trip", &peer, "--as", "guest"]));
    let _reaching = start(bob.path(), &reach);
    let begun = Instant::now();
    let socket = loop {
        match TcpStream::connect(&place) {
            Ok(socket) => break socket,
            Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => panic!("{error}"),
        }
    };
    let content = vec![7; 300_000];
    (&socket).write_all(&content).expect("written");
    socket.shutdown(std::net::Shutdown::Write).expect("ended");
    let mut back = Vec::new();
    (&socket).read_to_end(&mut back).expect("read");
    assert!(back == content, "{} bytes", back.len());
}
