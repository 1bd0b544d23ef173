//! Measures whole hosts on loopback (data channels, core, store), and prints one JSON object.
//!
//! `cargo run --release -p peergraph --example host_bench -- [setup|idle|records] [N]`
//!
//! * `setup` (20): a host starts with the address of a member, joins with a bound invitation, and
//!   waits for a record of the group. `fresh` is its first start, where `started_to_record_ms`
//!   begins with the join; `again` is its second, on the same data folder, where it waits for a
//!   record that was published in between.
//! * `idle` (1000): memory and CPU time of a node at whose rendezvous tables N hosts sit, each for
//!   a group of its own. The node is a process of its own; the hosts, of one other process, have
//!   loopback addresses of their own, since a node bounds how often one source may dial. They need
//!   2 threads and under 2 MB each.
//! * `records` (2000): records that a fresh member gets from another one, per second of CPU time
//!   of the process that holds the fresh member alone. Payloads of 100 bytes.
//!
//! `load` is the load of the machine over one minute before and after, ours included. Nothing is
//! asserted about times. Linux.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use peergraph::{
    Address, Certificate, Folder, Group, Host, HostBuilder, InviteOptions, NodeUrl, Role, Watch,
};
use serde_json::{Value, json};

/// For anything that another host has to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Hosts that start at once in `idle`.
const STARTING_MAX: usize = 8;
/// From the last open link to the first reading in `idle`.
const SETTLE: Duration = Duration::from_secs(10);
/// Over how long CPU time is taken in `idle`: two keep-alives of each link.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mode = arguments.first().map_or("setup", String::as_str);
    let second = arguments.get(1).map(String::as_str);
    let number = |default| second.map_or(Ok(default), str::parse::<usize>);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = load();
    let mut result = match mode {
        "setup" => runtime.block_on(setup(number(20)?))?,
        "idle" => runtime.block_on(idle(number(1000)?))?,
        "records" => runtime.block_on(records(number(2000)?))?,
        // The child processes of the two modes above.
        "node" => return runtime.block_on(node()),
        "member" => return runtime.block_on(member(second.context("memory or disk")?)),
        _ => bail!("expected setup, idle or records, not {mode}"),
    };
    result["mode"] = json!(mode);
    result["optimised"] = json!(!cfg!(debug_assertions));
    result["load"] = json!([load, self::load()]);
    println!("{result:#}");
    Ok(())
}

/// A host at a free port of 127.0.0.1 (for 0) or another address of the loopback network.
fn builder(n: usize) -> Result<HostBuilder> {
    let base = u32::from(Ipv4Addr::LOCALHOST);
    let ip = Ipv4Addr::from(base + u32::try_from(n)?);
    ensure!(ip.is_loopback(), "no more loopback addresses");
    Ok(Host::builder().name(format!("host {n}")).udp(SocketAddr::from((ip, 0))))
}

fn url(address: &Address) -> Result<NodeUrl> {
    Ok(address.to_string().parse()?)
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> Result<T> {
    let timeout = tokio::time::timeout(PATIENCE, wait).await;
    timeout.with_context(|| format!("not within {} s: {what}", PATIENCE.as_secs()))
}

// --- setup ---------------------------------------------------------------------------------------

async fn setup(count: usize) -> Result<Value> {
    ensure!(count > 0, "at least one");
    let a = builder(0)?.start().await?;
    let at = url(a.addresses().first().context("no address")?)?;
    let group = a.create_group("bench").await?;
    group.publish("note", "first").await?;
    let mut fresh = Phases::default();
    let mut again = Phases::default();
    for n in 1..=count {
        let folder = tempfile::tempdir()?;
        let identity = Folder::open(folder.path())?.new_identity("B", "")?;
        let document = Certificate::from_pem(&identity.public_document())?;
        let invitation = group.invite(InviteOptions::bound(document, Role::Member)).await?;
        let open = || anyhow::Ok(builder(n)?.data(folder.path()).node(at.clone()));

        let start = Instant::now();
        let b = open()?.start().await?;
        let started = Instant::now();
        let joined = b.join(invitation.to_text()).await?;
        soon("the first record", see(&mut joined.watch("note"), "first")).await??;
        fresh.add(start, started);
        soon("the end", b.shutdown()).await??;

        let payload = format!("record {n}");
        group.publish("note", payload.as_str()).await?;
        let start = Instant::now();
        let b = open()?.start().await?;
        let started = Instant::now();
        let joined = b.groups().await?.pop().context("not a member any more")?;
        soon("a new record", see(&mut joined.watch("note"), &payload)).await??;
        again.add(start, started);
        soon("the end", b.shutdown()).await??;
    }
    Ok(json!({ "hosts": count, "fresh": fresh.report(), "again": again.report() }))
}

async fn see(watch: &mut Watch, payload: &str) -> Result<()> {
    while let Some(record) = watch.next().await {
        if record.payload == payload.as_bytes() {
            return Ok(());
        }
    }
    bail!("the watch ended")
}

/// How long each host took, in two parts.
#[derive(Default)]
struct Phases {
    to_record: Vec<f64>,
    to_started: Vec<f64>,
    started_to_record: Vec<f64>,
}

impl Phases {
    /// The record is there now.
    fn add(&mut self, start: Instant, started: Instant) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        self.to_record.push(milliseconds(start.elapsed()));
        self.to_started.push(milliseconds(started - start));
        self.started_to_record.push(milliseconds(started.elapsed()));
    }

    fn report(self) -> Value {
        json!({
            "start_to_record_ms": spread(self.to_record),
            "start_to_started_ms": spread(self.to_started),
            "started_to_record_ms": spread(self.started_to_record),
        })
    }
}

fn spread(mut numbers: Vec<f64>) -> Value {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len() - 1;
    let median = f64::midpoint(numbers[last / 2], numbers[last.div_ceil(2)]);
    json!({ "median": round(median), "min": round(numbers[0]), "max": round(numbers[last]) })
}

// --- idle ----------------------------------------------------------------------------------------

/// The process of the node: prints its address, then for each line that it reads its memory, its
/// CPU time and its links.
async fn node() -> Result<()> {
    let host = builder(0)?.rendezvous(true).start().await?;
    println!("{}", host.addresses().first().context("no address")?);
    let mut asked = lines_of_stdin();
    while asked.recv().await.is_some() {
        let (resident, cpu) = (resident_kb()?, cpu_seconds()?);
        let links = host.links().await?;
        let complete = links.iter().filter(|link| link.peer.is_some()).count();
        println!("{resident} {cpu} {complete}");
    }
    Ok(())
}

struct Reading {
    resident_kb: u64,
    cpu_s: f64,
    links: u64,
}

async fn idle(count: usize) -> Result<Value> {
    ensure!(count > 0, "at least one");
    let mut node = Process::start(&["node"])?;
    let at: NodeUrl = node.line()?.parse()?;
    let mut ask = move || -> Result<Reading> {
        node.tell("?")?;
        let answer = node.line()?;
        let parts: Vec<_> = answer.split(' ').collect();
        let [resident_kb, cpu_s, links] = parts[..] else { bail!("not a reading: {answer}") };
        Ok(Reading {
            resident_kb: resident_kb.parse()?,
            cpu_s: cpu_s.parse()?,
            links: links.parse()?,
        })
    };
    // The first link pays for what all share.
    let mut clients = vec![client(1, &at).await?];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, start) = (ask()?, Instant::now());
    let rest: Vec<_> = futures::stream::iter(2..=count + 1)
        .map(|n| client(n, &at))
        .buffer_unordered(STARTING_MAX)
        .try_collect()
        .await?;
    clients.extend(rest);
    let opened = start.elapsed();
    tokio::time::sleep(SETTLE).await;
    let (settled, start) = (ask()?, Instant::now());
    tokio::time::sleep(IDLE).await;
    let (later, idle) = (ask()?, start.elapsed().as_secs_f64());
    for Reading { links, .. } in [&settled, &later] {
        ensure!(*links == count as u64 + 1, "{links} links instead of {count} and one");
    }
    let kb_per_link = |reading: &Reading| {
        round((reading.resident_kb as f64 - before.resident_kb as f64) / count as f64)
    };
    let idle_ms = (later.cpu_s - settled.cpu_s) * 1e3 / idle * 10.0;
    Ok(json!({
        "links": count,
        "kb_before": before.resident_kb,
        "kb_after": settled.resident_kb,
        "kb_per_link": kb_per_link(&settled),
        "kb_per_link_later": kb_per_link(&later),
        "opened_in_s": round(opened.as_secs_f64()),
        "node_cpu_ms_per_link_opened": round((settled.cpu_s - before.cpu_s) * 1e3 / count as f64),
        "node_cpu_ms_per_10_s_idle": round(idle_ms),
    }))
}

/// A host with a group, and a link to the node that is complete.
async fn client(n: usize, at: &NodeUrl) -> Result<(Host, Group)> {
    let host = builder(n)?.node(at.clone()).start().await?;
    let group = host.create_group(format!("group {n}")).await?;
    let linked = async {
        while !host.links().await?.iter().any(|link| link.peer.is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    soon("a link to the node", linked).await??;
    Ok((host, group))
}

// --- records -------------------------------------------------------------------------------------

async fn records(count: usize) -> Result<Value> {
    ensure!(count > 0, "at least one");
    let a = builder(0)?.start().await?;
    let group = a.create_group("bench").await?;
    let payload = |n: usize| format!("{n:0>100}");
    let publish = (0..count).map(|n| group.publish("note", payload(n)).into_future());
    futures::future::try_join_all(publish).await?;
    let mut result = json!({ "records": count });
    for store in ["memory", "disk"] {
        let mut member = Process::start(&["member", store])?;
        let document: String = serde_json::from_str(&member.line()?)?;
        let options = InviteOptions::bound(Certificate::from_pem(&document)?, Role::Member);
        let invitation = group.invite(options).await?;
        member.tell(&format!("{count} {}", invitation.to_text()))?;
        // Our own host goes on meanwhile: it has a thread of its own.
        result[store] = serde_json::from_str(&member.line()?)?;
        member.end()?;
    }
    Ok(result)
}

/// The process of a fresh member: prints who it is, reads how many records to wait for and an
/// invitation, and prints what they took.
async fn member(store: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let builder = match store {
        "memory" => builder(1)?,
        _ => builder(1)?.data(folder.path()),
    };
    let host = builder.start().await?;
    println!("{}", json!(host.public_document()));
    let mut asked = lines_of_stdin();
    let line = asked.recv().await.context("no invitation")?;
    let (count, invitation) = line.split_once(' ').context("count and invitation")?;
    let count: usize = count.parse()?;
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let group = host.join(invitation).await?;
    let got = soon("all records", group.watch("note").take(count).count()).await?;
    let (cpu, seconds) = (cpu_seconds()? - cpu, start.elapsed().as_secs_f64());
    ensure!(got == count, "the watch ended after {got} records");
    let report = json!({
        "cpu_s": round3(cpu),
        "seconds": round3(seconds),
        "records_per_cpu_s": (count as f64 / cpu) as u64,
        "records_per_s": (count as f64 / seconds) as u64,
    });
    println!("{report}");
    host.shutdown().await?;
    Ok(())
}

// --- processes -----------------------------------------------------------------------------------

/// This program once more, in another part. It ends with its standard input.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("piped")?).lines();
        Ok(Self { child, stdin, stdout })
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.stdin.as_mut().context("piped")?, "{line}")?)
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.stdout.next().context("the other process ended")??)
    }

    fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        ensure!(self.child.wait()?.success(), "the other process failed");
        Ok(())
    }
}

fn lines_of_stdin() -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if ask.send(line).is_err() {
                return;
            }
        }
    });
    asked
}

/// Resident memory of this process. KB.
fn resident_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

/// CPU time of this process, all threads, ended ones too.
#[cfg(unix)]
fn cpu_seconds() -> Result<f64> {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Ok(Duration::try_from(time).map_err(|_| anyhow::anyhow!("no CPU time"))?.as_secs_f64())
}

#[cfg(not(unix))]
fn cpu_seconds() -> Result<f64> {
    bail!("CPU time is known on Unix only")
}

/// Load of the machine over one minute, where it is known.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn round3(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
