//! Publishing as fast as possible over real links: nothing is lost, memory stays bounded, and a
//! slow reader delays nobody else.
// A process is made to stand still by a signal.
#![cfg_attr(not(unix), allow(dead_code, unused_imports))]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, future, stream};
use peergraph::{Group, Host, InviteOptions, Role};

const PATIENCE: Duration = Duration::from_secs(600);
const COUNT: usize = 50_000;
const PAYLOAD_BYTES: usize = 1_000;
/// The pause of the reader after each thousand records, so that it falls behind.
const SLOWNESS: Duration = Duration::from_millis(200);

async fn host(name: &str, folder: &Path) -> Host {
    let builder = Host::builder().name(name).udp("127.0.0.1:0".parse().expect("an address"));
    builder.data(folder.join(name)).start().await.expect("starts")
}

/// Two members over one data channel.
async fn pair(folder: &Path) -> (Host, Group, Host, Group) {
    let (ada, bob) = (host("ada", folder).await, host("bob", folder).await);
    let group = ada.create_group("flow").await.expect("made");
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let joined = bob.join(&invitation.to_text()).await.expect("joined");
    (ada, group, bob, joined)
}

/// The most memory that this process has had. Megabytes; none if the system does not tell.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn payload(number: usize) -> String {
    format!("{number:08}{}", ".".repeat(PAYLOAD_BYTES - 8))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_records_reach_a_slow_reader_and_memory_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ada, group, bob, joined) = pair(folder.path()).await;
    let before = most_memory();
    let mut watch = joined.watch("note");
    let reading = tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        for place in 0..COUNT {
            let record = watch.next().await.expect("the watch goes on");
            let number = std::str::from_utf8(&record.payload[..8]).expect("digits");
            assert!(seen.insert(number.to_owned()), "{number} came before");
            if place % 1_000 == 0 {
                tokio::time::sleep(SLOWNESS).await;
            }
        }
        assert!(seen.last().is_some_and(|last| last.parse() == Ok(COUNT - 1)), "{:?}", seen.last());
    });
    let all = stream::iter((0..COUNT).map(|number| Ok(payload(number))));
    let publishing = all.forward(group.sink("note"));
    tokio::time::timeout(PATIENCE, publishing).await.expect("in time").expect("published");
    tokio::time::timeout(PATIENCE, reading).await.expect("in time").expect("all arrived");
    println!("{COUNT} records: most memory {:?} MB, before {before:?} MB", most_memory());
    if let Some((most, before)) = most_memory().zip(before) {
        // Two nodes with two indexes of 50,000; the records themselves are 50 MB at each.
        assert!(most - before < 200, "{most} MB, before {before} MB");
    }
    ada.shutdown().await.expect("closed");
    bob.shutdown().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_publications_at_once_wait_for_their_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let ada = host("ada", folder.path()).await;
    let group = ada.create_group("flow").await.expect("made");
    // More at once than may wait in the core, and reading goes on meanwhile.
    let all = (0..6_000).map(|number| group.publish("note", payload(number)).into_future());
    let (published, info) = future::join(future::join_all(all), group.info()).await;
    assert!(info.is_ok());
    let failed = published.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 0, "of 6,000: {:?}", published.iter().find(|result| result.is_err()));
    assert_eq!(group.info().await.expect("a group").records, 6_000);
    // A sink is flushed only when everything is durable.
    let mut sink = group.sink("note");
    sink.feed("one".to_owned()).await.expect("fed");
    sink.feed("two".to_owned()).await.expect("fed");
    sink.flush().await.expect("durable");
    assert_eq!(group.info().await.expect("a group").records, 6_002);
    ada.shutdown().await.expect("closed");
}

/// A member that is a process of its own, so that it can be stopped as a busy machine stops it.
struct Process(Child);

impl Process {
    /// Joins, and prints every record. Returns when it is a member.
    fn watch(folder: &Path, link: &str) -> Self {
        let peergraph = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_peergraph"));
            command.arg("--data").arg(folder.join("slow"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        let mut join = peergraph().args(["group", "join", "-"]).spawn().expect("started");
        let mut input = join.stdin.take().expect("piped");
        input.write_all(link.as_bytes()).expect("written");
        drop(input);
        assert!(join.wait().expect("ended").success());
        let watch = peergraph().args(["watch", "flow", "--type", "note", "--json"]).spawn();
        Self(watch.expect("started"))
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(status.expect("there is a `kill`").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbour_that_stands_still_delays_nobody_and_gets_everything_later() {
    const COUNT: usize = 5_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (ada, group, bob, joined) = pair(folder.path()).await;
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let mut slow = Process::watch(folder.path(), &invitation.to_text());
    let mut lines = BufReader::new(slow.0.stdout.take().expect("piped")).lines();
    let neighbours = async {
        while group.neighbours().await.expect("asked").len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, neighbours).await.expect("both are neighbours");

    slow.signal("-STOP");
    let mut watch = joined.watch("note");
    let reading = async {
        for _ in 0..COUNT {
            watch.next().await.expect("the watch goes on");
        }
    };
    let all = stream::iter((0..COUNT).map(|number| Ok(payload(number))));
    let both = future::join(all.forward(group.sink("note")), reading);
    let (published, ()) = tokio::time::timeout(PATIENCE, both).await.expect("Bob has everything");
    published.expect("published");
    slow.signal("-CONT");
    let reading = tokio::task::spawn_blocking(move || {
        (0..COUNT).all(|_| lines.next().is_some_and(|line| line.is_ok()))
    });
    assert!(tokio::time::timeout(PATIENCE, reading).await.expect("in time").expect("it reads"));
    ada.shutdown().await.expect("closed");
    bob.shutdown().await.expect("closed");
}
