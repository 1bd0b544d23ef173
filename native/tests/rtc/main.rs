//! Two or more engines with real sockets on loopback.

mod garbage;
mod links;
mod network;
mod nomination;
mod reflexive;
mod restart;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peergraph::peergraph_core::share::Pool;
use peergraph::rtc::{Allowance, Certificate, Config, Engine, Happened, RtcId};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// An engine and what happened to its links.
struct End {
    engine: Engine,
    open: BTreeMap<RtcId, [u8; 32]>,
    incoming: Vec<(RtcId, SocketAddr)>,
    gone: Vec<RtcId>,
    quiet: Vec<RtcId>,
    messages: Vec<(RtcId, Bytes)>,
    signals: Vec<(RtcId, String)>,
    buffered: BTreeMap<RtcId, usize>,
    echo: bool,
}

impl End {
    async fn new(bind: &str) -> Self {
        Self::with(config(bind)).await
    }

    async fn with(config: Config) -> Self {
        Self {
            engine: Engine::bind(config).await.expect("bind"),
            open: BTreeMap::new(),
            incoming: Vec::new(),
            gone: Vec::new(),
            quiet: Vec::new(),
            messages: Vec::new(),
            signals: Vec::new(),
            buffered: BTreeMap::new(),
            echo: false,
        }
    }

    fn address(&self) -> SocketAddr {
        self.engine.bound_addrs()[0]
    }

    fn take(&mut self) {
        while let Some(happened) = self.engine.poll() {
            match happened {
                Happened::Incoming { link, from } => self.incoming.push((link, from)),
                Happened::Open { link, ours, theirs } => {
                    assert_eq!(ours, self.engine.fingerprint());
                    assert!(self.open.insert(link, theirs).is_none(), "opened twice");
                }
                Happened::Message { link, bytes } => {
                    assert!(self.open.contains_key(&link), "a message before Open");
                    if self.echo {
                        assert!(self.engine.send(link, &bytes));
                    }
                    self.messages.push((link, bytes));
                }
                Happened::Buffered { link, bytes } => {
                    self.buffered.insert(link, bytes);
                }
                Happened::Signal { link, json } => self.signals.push((link, json)),
                Happened::Quiet { link } => self.quiet.push(link),
                Happened::Gone { link, .. } => self.gone.push(link),
            }
        }
    }

    async fn turn(&mut self) {
        self.engine.turn().await;
        self.take();
    }
}

fn config(bind: &str) -> Config {
    let address = bind.parse().expect("test address");
    let mut config = Config::new(vec![address], Certificate::generate().expect("certificate"));
    // All links of a test come from one source.
    config.half_open = Pool::of(1024, 512);
    config.allowance = Allowance { burst: 1000, per_second: 1000 };
    config
}

/// Turns both ends until `done` says so; panics when that takes longer than `limit`.
async fn until(
    a: &mut End,
    b: &mut End,
    limit: Duration,
    mut done: impl FnMut(&mut End, &mut End) -> bool,
) -> Duration {
    let start = Instant::now();
    let run = async {
        while !done(a, b) {
            // `done` may look at the clock or at sockets of its own.
            tokio::select! {
                () = a.turn() => {}
                () = b.turn() => {}
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    };
    timeout(limit, run).await.expect("in time");
    start.elapsed()
}

/// Turns both ends for a while.
async fn idle(a: &mut End, b: &mut End, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::select! {
            () = a.turn() => {}
            () = b.turn() => {}
            () = tokio::time::sleep_until(end.into()) => {}
        }
    }
}

async fn dialled(bind: &str) -> (End, End, RtcId, RtcId) {
    let (mut a, mut b) = (End::new(bind).await, End::new(bind).await);
    let link = a.engine.dial(b.address(), b.engine.fingerprint()).expect("dial");
    let took = until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
    println!("direct dial on {bind}: open at both ends after {took:?}");
    let other = b.incoming[0].0;
    (a, b, link, other)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(test);
}

/// A pattern that shows missing, doubled or swapped messages.
fn numbered(number: u32, bytes: usize) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.resize(bytes, number as u8);
    message
}
