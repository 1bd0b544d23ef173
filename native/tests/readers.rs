//! Pages for everybody, however many read slowly: 512 connections of one address take memory for one file.
// Another address of this machine is bound, and memory is read from /proc.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const READERS: usize = 512;
const WASM_BYTES: usize = 2 * 1024 * 1024;
const MEMORY_MB_MAX: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that is a process of its own, so that its memory can be told from the test's.
struct Node {
    process: Child,
    address: SocketAddr,
}

impl Node {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peergraph"));
        command.args(["node", "--json", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"]);
        for (option, name) in [("--data", "data"), ("--pages", "pages"), ("--package", "package")] {
            command.arg(option).arg(folder.join(name));
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("started");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let url = lines.map_while(Result::ok).find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            Some(line.get("url")?.as_str()?.trim_end_matches('/').to_owned())
        });
        let url = url.expect("it tells its address");
        let address = url.strip_prefix("http://").and_then(|it| it.parse().ok());
        Self { process, address: address.expect("an address") }
    }

    /// Memory that it has at this moment, in megabytes.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells");
        let kilobytes = line.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
        kilobytes.expect("a number") / 1024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks for the file from an address of this machine. `window`: how much is taken before anybody reads.
async fn ask(node: SocketAddr, from: &str, coding: &str, window: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(window) = window {
        socket.set_recv_buffer_size(window).expect("set");
    }
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0)).expect("bound");
    let mut stream =
        timeout(PATIENCE, socket.connect(node)).await.expect("in time").expect("there");
    let head = format!(
        "GET /peergraph/core.wasm HTTP/1.1\r\nhost: {node}\r\naccept-encoding: {coding}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("asked");
    stream
}

/// Bytes of the whole answer, which must be a good one.
async fn read_all(mut stream: TcpStream) -> usize {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer[..40]));
    answer.len()
}

/// Goal: whoever reads the largest file slowly costs little, and keeps nobody from reading it. Method: as many connections of
/// one address as it may have ask for 2 MB, as they are and compressed, and read 1 KB each; others come from another address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_one_address_take_little_memory_and_keep_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["pages", "package"] {
        fs::create_dir(folder.path().join(name)).expect("made");
    }
    // It becomes shorter by compression, as code does: half of each byte is chance from a small generator.
    let mut state = 1_u32;
    let bytes: Vec<u8> = (0..WASM_BYTES)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        })
        .collect();
    fs::write(folder.path().join("package/core.wasm"), bytes).expect("written");
    let node = Node::start(folder.path());
    // The file is on the shelf, in every form.
    for coding in ["identity", "gzip", "br"] {
        let is_there = |bytes: usize| (bytes < WASM_BYTES) == (coding != "identity");
        while !is_there(read_all(ask(node.address, "127.0.0.2", coding, None).await).await) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let before = node.memory();
    let mut readers = Vec::new();
    for n in 0..READERS {
        let coding = ["identity", "gzip", "br"][n % 3];
        let mut stream = ask(node.address, "127.0.0.1", coding, Some(4_096)).await;
        let mut some = [0; 1_024];
        timeout(PATIENCE, stream.read_exact(&mut some)).await.expect("in time").expect("served");
        assert!(some.starts_with(b"HTTP/1.1 200"), "reader {n}");
        readers.push(stream);
    }
    let during = node.memory();
    println!("{before} MB before, {during} MB with {READERS} slow readers");
    for coding in ["identity", "gzip", "br"] {
        let length = read_all(ask(node.address, "127.0.0.2", coding, None).await).await;
        assert!(length > WASM_BYTES / 4, "{coding}: {length} bytes");
    }
    assert!(during <= before + MEMORY_MB_MAX, "{before} MB before, {during} MB with them");
    drop(readers);
}
