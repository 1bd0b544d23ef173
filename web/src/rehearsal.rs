//! A rehearsal: two nodes meet in memory, so that the code of a join and of a message is compiled before anybody waits for
//! it.
//!
//! A browser compiles each function of a module when it is called first, on the thread that calls. Measured in Chromium: of
//! 104 ms from joining to the first message on a busy machine, 38 were that. The rehearsal takes the same way through the
//! core, one input at a time, each in a task of its own: while the page waits for its store and for the network, which it
//! does most of that time. Its nodes have keys, records and disks of their own, and are dropped.
use crate::browser;
use crate::convert;
use crate::host::wall;
use crate::news::News;
use bytes::Bytes;
use gloo_timers::future::TimeoutFuture;
use peergraph_core::address::Address;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::Fingerprint;
use peergraph_core::identity::Identity;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{
    Command, Dial, Draft, Event, GroupCommand, Input, Invite, LinkId, Output, Reply, RequestId,
    StoreReply, StoreTask, Transport,
};
use peergraph_core::node::{Config, Node};
use peergraph_core::policy::Policy;
use peergraph_core::record::RecordType;
use peergraph_core::sorted::SortedMap;
use peergraph_core::source::Source;
use peergraph_core::time::{Now, Time};
use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use wasm_bindgen_futures::spawn_local;

/// Inputs of one rehearsal. Guess: five times what it takes. It ends there, whatever is left.
const INPUTS_MAX: usize = 400;
/// How long one task may go on. Milliseconds. Guess: well under a frame.
const SLICE_MS: f64 = 1.0;

thread_local! {
    static BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Begins the rehearsal, once in a page.
pub(crate) fn begin() {
    if !BEGUN.replace(true) {
        spawn_local(async {
            idle().await;
            // The result is for its test.
            let _ = rehearse().await;
        });
    }
}

/// Has two nodes make a group, join it and publish in it. Answers whether each got the other's record.
pub async fn rehearse() -> bool {
    match Stage::new() {
        Some(mut stage) => stage.play().await.is_some(),
        None => false,
    }
}

/// One of the two nodes.
struct Actor {
    node: Node,
    disk: SortedMap<Bytes, Bytes>,
    inbox: VecDeque<Input>,
    /// Its end of the link.
    link: Option<LinkId>,
    reply: Option<Result<Reply, Error>>,
    /// Records that it was shown.
    seen: usize,
}

struct Stage {
    actors: [Actor; 2],
    begun_ms: f64,
    slice_ms: f64,
    inputs: usize,
}

fn fingerprint(of: usize) -> Fingerprint {
    Fingerprint::from_bytes([of as u8; Fingerprint::BYTES])
}

impl Stage {
    fn new() -> Option<Self> {
        let now = Now { mono: Time::ZERO, wall: wall() };
        let actor = |number: usize| {
            let seed = [number as u8 + 1; 32];
            let identity = Identity::generate(seed, [0; 16], "rehearsal", now.wall).ok()?;
            let config = Config { rendezvous: number == 0, ..Config::default() };
            let socket = SocketAddr::from(([127, 0, 0, 1], 9));
            let address = Address::Rtc { socket, fingerprint: fingerprint(0) };
            let addresses = if number == 0 { vec![address] } else { Vec::new() };
            Some(Actor {
                node: Node::new(config, identity, &seed, now),
                disk: SortedMap::new(),
                inbox: VecDeque::from([Input::Addresses(addresses)]),
                link: None,
                reply: None,
                seen: 0,
            })
        };
        let begun_ms = browser::monotonic_ms();
        let actors = [actor(0)?, actor(1)?];
        let mut stage = Self { actors, begun_ms, slice_ms: begun_ms, inputs: 0 };
        stage.drain(0);
        stage.drain(1);
        Some(stage)
    }

    async fn play(&mut self) -> Option<()> {
        let create = Command::CreateGroup { name: "rehearsal".into(), policy: Policy::default() };
        let Reply::Group(info) = self.ask(0, create).await? else { return None };
        let group = info.id;
        self.ask(0, Command::Group(group, GroupCommand::Publish { draft: draft()? })).await?;
        let invite = Command::Group(group, GroupCommand::Invite { invite: invite() });
        let Reply::Invitation(made) = self.ask(0, invite).await? else { return None };
        let invitation = Invitation::from_text(&made.to_text()).ok()?;
        self.ask(1, Command::Join { invitation, password: None }).await?;
        let reply =
            self.ask(1, Command::Group(group, GroupCommand::Publish { draft: draft()? })).await?;
        drop(crate::reply(reply));
        self.actors.iter().all(|actor| actor.seen == 2).then_some(())
    }

    /// Asks a node, and goes on until neither has anything to do.
    async fn ask(&mut self, who: usize, command: Command) -> Option<Reply> {
        self.actors[who].inbox.push_back(Input::Command { request: RequestId(0), command });
        while let Some(at) = self.actors.iter().position(|actor| !actor.inbox.is_empty()) {
            self.inputs += 1;
            if self.inputs > INPUTS_MAX {
                return None;
            }
            self.pause().await;
            self.step(at);
        }
        self.actors[who].reply.take()?.ok()
    }

    /// Lets everything else go first, now and then.
    async fn pause(&mut self) {
        if browser::monotonic_ms() - self.slice_ms >= SLICE_MS {
            idle().await;
            self.slice_ms = browser::monotonic_ms();
        }
    }

    fn step(&mut self, at: usize) {
        let Some(input) = self.actors[at].inbox.pop_front() else { return };
        let elapsed_ms = (browser::monotonic_ms() - self.begun_ms).max(0.0);
        let mono = Time::from_micros((elapsed_ms * 1_000.0) as u64);
        self.actors[at].node.handle(Now { mono, wall: wall() }, input);
        self.drain(at);
    }

    fn drain(&mut self, at: usize) {
        loop {
            let [first, second] = &mut self.actors;
            let (here, there) = if at == 0 { (first, second) } else { (second, first) };
            match here.node.poll() {
                Output::Idle { .. } => return,
                Output::Open { link, dial: Dial::Address(..) } if here.link.is_none() => {
                    let other = there.node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
                    (here.link, there.link) = (Some(link), Some(other));
                    let up = |link, ours, theirs| Input::LinkUp {
                        link,
                        transport: Transport::Rtc {
                            ours: fingerprint(ours),
                            theirs: fingerprint(theirs),
                        },
                    };
                    there.inbox.push_front(up(other, 1 - at, at));
                    here.inbox.push_back(up(link, at, 1 - at));
                }
                Output::Open { link, .. } => here.inbox.push_back(Input::LinkDown { link }),
                Output::Send { bytes, .. } => {
                    if let Some(link) = there.link {
                        there.inbox.push_back(Input::Frame { link, bytes });
                    }
                }
                Output::Store { op, task } => {
                    let result = Ok(here.store(task));
                    here.inbox.push_back(Input::Stored { op, result });
                }
                Output::Done { result, .. } => here.reply = Some(result),
                Output::Event(event) => {
                    here.seen += usize::from(matches!(event, Event::Record { .. }));
                    drop(convert::news(News::Core(Box::new(event)), true));
                }
                Output::LookUp(_) | Output::StunServers(_) => {}
                Output::Signal { .. } | Output::Close { .. } => {}
            }
        }
    }
}

impl Actor {
    fn store(&mut self, task: StoreTask) -> StoreReply {
        match task {
            StoreTask::Scan { from, to, limit } => {
                let entries = self.disk.range(from..to).take(limit);
                StoreReply::Entries(entries.map(|(k, v)| (k.clone(), v.clone())).collect())
            }
            StoreTask::Read { keys } => {
                StoreReply::Values(keys.iter().map(|key| self.disk.get(key).cloned()).collect())
            }
            StoreTask::Write { batch } => {
                for (key, value) in batch {
                    match value {
                        Some(value) => drop(self.disk.insert(key, value)),
                        None => drop(self.disk.remove(&key)),
                    }
                }
                StoreReply::Written
            }
        }
    }
}

fn draft() -> Option<Draft> {
    Some(Draft {
        id: None,
        kind: RecordType::new("rehearsal").ok()?,
        attributes: Vec::new(),
        payload: Bytes::from_static(b"rehearsal"),
        expires_in: None,
        delete: false,
        refresh: false,
        if_version: None,
        nonce: None,
    })
}

fn invite() -> Invite {
    Invite::Bearer { grant: Role::Member.into(), uses: 1, expires_in: Duration::from_secs(3_600) }
}

/// Waits for a task of its own: what the browser has to do meanwhile comes first. Tasks of the lowest priority came too late
/// for a join right after the opening: 83 ms to its first message rather than 64, measured on a busy machine.
async fn idle() {
    if !browser::next_task().await {
        TimeoutFuture::new(0).await;
    }
}
