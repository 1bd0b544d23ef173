//! Measures the WebRTC engine alone, on loopback, and prints one JSON object.
//!
//! `cargo run --release -p peergraph --example rtc_bench [-- LINKS [SECONDS]]`
//!
//! * `open_ms`: from the dial to the open channel at the dialler, 20 times, by direct dial and by
//!   offer and answer;
//! * `mb_per_s`: 16 KiB messages over one link, each end on a thread of its own;
//! * `kb_per_link`: resident memory of a node with LINKS idle links, measured in a process that
//!   holds the node alone. Each dialler has a port of its own, in the parent process.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use peergraph::rtc::{Allowance, Certificate, Config, Engine, Happened, RtcId};
use serde_json::json;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.first().is_some_and(|first| first == "node") {
        return runtime.block_on(node());
    }
    let links = arguments.first().map_or(Ok(1000), |text| text.parse())?;
    let seconds = arguments.get(1).map_or(Ok(3), |text| text.parse())?;
    let result = runtime.block_on(async {
        anyhow::Ok(json!({
            "open_ms": { "direct": open(true).await?, "signalled": open(false).await? },
            "throughput": throughput(Duration::from_secs(seconds)).await?,
            "idle": idle(links).await?,
        }))
    })?;
    println!("{result:#}");
    Ok(())
}

async fn engine() -> Result<Engine> {
    let mut config = Config::new(vec!["127.0.0.1:0".parse()?], Certificate::generate()?);
    config.allowance = Allowance { burst: 100_000, per_second: 100_000 };
    Ok(Engine::bind(config).await?)
}

/// Turns two engines until `a` has an open link; carries their signals.
async fn until_open(
    a: &mut Engine,
    b: &mut Engine,
    link: RtcId,
    other: Option<RtcId>,
) -> Result<()> {
    loop {
        while let Some(happened) = b.poll() {
            if let Happened::Signal { json, .. } = happened {
                a.signal(link, &json)?;
            }
        }
        while let Some(happened) = a.poll() {
            match happened {
                Happened::Signal { json, .. } => b.signal(other.context("no answerer")?, &json)?,
                Happened::Open { .. } => return Ok(()),
                Happened::Gone { .. } => anyhow::bail!("the link did not open"),
                Happened::Incoming { .. }
                | Happened::Message { .. }
                | Happened::Buffered { .. }
                | Happened::Quiet { .. } => {}
            }
        }
        tokio::select! {
            () = a.turn() => {}
            () = b.turn() => {}
        }
    }
}

async fn open(direct: bool) -> Result<serde_json::Value> {
    let mut b = engine().await?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut a = engine().await?;
        let start = Instant::now();
        let (link, other) = if direct {
            (a.dial(b.bound_addrs()[0], b.fingerprint())?, None)
        } else {
            (a.offer()?, Some(b.answer()?))
        };
        until_open(&mut a, &mut b, link, other).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({ "median": round(times[10]), "max": round(times[19]) }))
}

async fn throughput(time: Duration) -> Result<serde_json::Value> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let receiver = std::thread::spawn(move || -> Result<(u64, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut b = engine().await?;
            let _ = tell.send((b.bound_addrs()[0], b.fingerprint()));
            let (mut bytes_all, mut start) = (0, Instant::now());
            loop {
                b.turn().await;
                while let Some(happened) = b.poll() {
                    match happened {
                        Happened::Open { .. } => start = Instant::now(),
                        Happened::Message { bytes, .. } => bytes_all += bytes.len() as u64,
                        Happened::Gone { .. } => {
                            return Ok((bytes_all, start.elapsed().as_secs_f64()));
                        }
                        Happened::Incoming { .. }
                        | Happened::Buffered { .. }
                        | Happened::Quiet { .. }
                        | Happened::Signal { .. } => {}
                    }
                }
            }
        })
    });
    let (to, fingerprint) = told.await?;
    let mut a = engine().await?;
    let link = a.dial(to, fingerprint)?;
    while !matches!(a.poll(), Some(Happened::Open { .. })) {
        a.turn().await;
    }
    let cpu = cpu_seconds()?;
    let (start, message) = (Instant::now(), vec![7; 16 * 1024]);
    while start.elapsed() < time {
        while a.send(link, &message) {}
        a.turn().await;
        while a.poll().is_some() {}
    }
    a.close(link);
    let stats = a.stats();
    drop(a);
    let (bytes, seconds) = receiver.join().map_err(|_| anyhow::anyhow!("receiver panicked"))??;
    ensure!(bytes > 0, "nothing arrived");
    let (mb, cpu) = (bytes as f64 / 1e6, cpu_seconds()? - cpu);
    Ok(json!({
        "mb_per_s": round(mb / seconds),
        "cpu_s_per_gb_both_ends": round(cpu / mb * 1e3),
        "datagrams_per_send": round(stats.sent as f64 / stats.sends as f64),
        "dropped": stats.dropped,
    }))
}

/// The process that holds only the node: prints its address, then for each line that it reads how
/// many links are open, its memory and its CPU time.
async fn node() -> Result<()> {
    let mut engine = engine().await?;
    println!(
        "{} {}",
        engine.bound_addrs()[0],
        data_encoding::HEXLOWER.encode(&engine.fingerprint())
    );
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().try_for_each(|_| ask.send(())));
    let mut open = 0_i64;
    loop {
        while let Some(happened) = engine.poll() {
            match happened {
                Happened::Open { .. } => open += 1,
                Happened::Gone { .. } => open -= 1,
                Happened::Incoming { .. }
                | Happened::Message { .. }
                | Happened::Buffered { .. }
                | Happened::Quiet { .. }
                | Happened::Signal { .. } => {}
            }
        }
        tokio::select! {
            () = engine.turn() => {}
            line = asked.recv() => match line {
                Some(()) => println!("{open} {} {}", resident_kb()?, cpu_seconds()?),
                None => return Ok(()),
            },
        }
    }
}

async fn idle(count: usize) -> Result<serde_json::Value> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("node")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("piped")?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let mut line = move || lines.next().context("the node ended")?.context("reading the node");
    let first = line()?;
    let (address, fingerprint) = first.split_once(' ').context("address and fingerprint")?;
    let address: SocketAddr = address.parse()?;
    let fingerprint = data_encoding::HEXLOWER.decode(fingerprint.as_bytes())?;
    let fingerprint = fingerprint.try_into().map_err(|_| anyhow::anyhow!("32 bytes"))?;
    let mut ask = || -> Result<Vec<f64>> {
        writeln!(stdin, "?")?;
        Ok(line()?.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    };
    let mut ends = Vec::new();
    // The first link pays for what all share.
    ends.push(spawn_end(address, fingerprint).await?);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (before, start) = (ask()?, Instant::now());
    for _ in 0..count {
        ends.push(spawn_end(address, fingerprint).await?);
    }
    let opened = start.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = ask()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let later = ask()?;
    drop(stdin);
    child.wait()?;
    ensure!(later[0] as usize == count + 1, "only {} of {count} links stayed open", later[0]);
    Ok(json!({
        "links": count,
        "kb_per_link": round((after[1] - before[1]) / count as f64),
        "opened_in_s": round(opened.as_secs_f64()),
        "node_cpu_ms_per_link_opened": round((after[2] - before[2]) * 1e3 / count as f64),
        "node_cpu_percent_idle": round((later[2] - after[2]) * 10.0),
    }))
}

/// A dialler that turns on a task of its own; waits until its link is open.
async fn spawn_end(to: SocketAddr, fingerprint: [u8; 32]) -> Result<tokio::task::AbortHandle> {
    let mut a = engine().await?;
    a.dial(to, fingerprint)?;
    loop {
        a.turn().await;
        match a.poll() {
            Some(Happened::Open { .. }) => break,
            Some(Happened::Gone { .. }) => anyhow::bail!("a link did not open"),
            Some(
                Happened::Incoming { .. }
                | Happened::Message { .. }
                | Happened::Buffered { .. }
                | Happened::Quiet { .. }
                | Happened::Signal { .. },
            )
            | None => {}
        }
    }
    Ok(tokio::spawn(async move {
        loop {
            a.turn().await;
            while a.poll().is_some() {}
        }
    })
    .abort_handle())
}

/// Resident memory of this process. KB. Linux only.
fn resident_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

/// CPU time of this process, in steps of 10 ms. Linux only.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: Result<Vec<u64>, _> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<u64>() as f64 / 100.0)
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
