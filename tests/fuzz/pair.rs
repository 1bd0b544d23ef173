//! Two nodes with a link between them, and a host for each that breaks no rule of its own.
use super::forms::{NOW, someone, trust};
use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::cert::Role;
use peergraph_core::id::{Fingerprint, GroupId};
use peergraph_core::io::{
    Command, Dial, Event, GroupCommand, Input, Invite, LinkId, LookupFault, Output, Reply,
    RequestId, StoreFault, StoreId, StoreReply, StoreTask, Transport,
};
use peergraph_core::limits::FRAME_BYTES_MAX;
use peergraph_core::node::{Config, Node};
use peergraph_core::node_url::LookUp;
use peergraph_core::policy::Policy;
use peergraph_core::provider::{Checks, Provider};
use peergraph_core::source::Source;
use peergraph_core::time::{Now, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// Which of the two.
pub(crate) type Side = usize;

/// Inputs that two nodes may cause each other at one moment. Guess: far more than a join takes.
const STEPS_MAX: usize = 20_000;

/// Takes every signature for good.
#[derive(Debug)]
struct Trusting;

impl Provider for Trusting {
    fn checks(&self) -> Checks {
        Checks { verify: trust, verify_all: |_| Ok(()), ..Checks::default() }
    }
}

/// The state that a host keeps of its node.
pub(crate) struct Host {
    pub(crate) node: Node,
    number: u8,
    /// Links that are open.
    pub(crate) up: BTreeSet<LinkId>,
    /// The disk, and what waits for it.
    disk: BTreeMap<Bytes, Bytes>,
    waiting: VecDeque<(StoreId, StoreTask)>,
    /// Whether the disk waits to be told.
    pub(crate) slow: bool,
    wake: Option<Time>,
    asked: BTreeSet<RequestId>,
    last_request: u64,
    pub(crate) replies: Vec<Reply>,
    pub(crate) neighbours: usize,
    pub(crate) faults: usize,
}

/// Two hosts, and what is under way between them.
pub(crate) struct Pair {
    pub(crate) hosts: [Host; 2],
    trusting: bool,
    now: Now,
    /// Both ends of every connection.
    wires: BTreeMap<(Side, LinkId), LinkId>,
    /// Inputs that are due.
    pub(crate) due: VecDeque<(Side, Input)>,
    /// Whether what is dialled is reached.
    pub(crate) reachable: bool,
}

impl Pair {
    /// Two nodes that have read their empty stores. `trusting` ones take every signature for good.
    pub(crate) fn new(trusting: bool) -> Self {
        let now = Now { mono: Time::ZERO, wall: NOW };
        let hosts = [
            Host::new(1, trusting, now, BTreeMap::new()),
            Host::new(2, trusting, now, BTreeMap::new()),
        ];
        let (wires, due) = (BTreeMap::new(), VecDeque::new());
        let mut pair = Self { hosts, trusting, now, wires, due, reachable: true };
        pair.drain(0);
        pair.drain(1);
        pair.settle();
        pair
    }

    /// Two nodes that are neighbours in a group.
    pub(crate) fn neighbours(trusting: bool) -> (Self, GroupId) {
        let mut pair = Self::new(trusting);
        pair.command(
            0,
            Command::CreateGroup { name: "talk".to_owned(), policy: Policy::default() },
        );
        pair.settle();
        let group = pair.hosts[0].replies.iter().find_map(|reply| match reply {
            Reply::Group(group) => Some(group.id),
            _ => None,
        });
        let group = group.expect("the group was made");
        let identity = someone(2).certificate().clone();
        let invite = Invite::Bound { identity, grant: Role::Administrator.into() };
        pair.command(0, Command::Group(group, GroupCommand::Invite { invite }));
        pair.settle();
        let invitation = pair.hosts[0].replies.iter().find_map(|reply| match reply {
            Reply::Invitation(invitation) => Some(invitation.clone()),
            _ => None,
        });
        let mut invitation = invitation.expect("the creator may invite");
        invitation.addresses = vec![address(0)];
        pair.command(1, Command::Join { invitation, password: None });
        for _ in 0..100 {
            pair.advance(Duration::from_millis(100));
        }
        assert!(pair.hosts.iter().all(|host| host.neighbours == 1 && host.faults == 0));
        (pair, group)
    }

    /// The application of a host asks for something.
    pub(crate) fn command(&mut self, side: Side, command: Command) {
        let host = &mut self.hosts[side];
        host.last_request += 1;
        let request = RequestId(host.last_request);
        host.asked.insert(request);
        self.handle(side, Input::Command { request, command });
    }

    /// Gives a node an input, and does what it asks.
    pub(crate) fn handle(&mut self, side: Side, input: Input) {
        self.hosts[side].node.handle(self.now, input);
        self.drain(side);
    }

    fn drain(&mut self, side: Side) {
        loop {
            match self.hosts[side].node.poll() {
                Output::Idle { wake } => {
                    self.hosts[side].wake = wake.map(|wake| wake.at);
                    break;
                }
                output => self.obey(side, output),
            }
        }
        if !self.hosts[side].slow {
            self.write(side, None);
        }
    }

    fn obey(&mut self, side: Side, output: Output) {
        let host = &mut self.hosts[side];
        match output {
            Output::Open { link, dial: Dial::Address(..) } if self.reachable => {
                self.connect(side, link, true);
            }
            Output::Open { link, .. } => self.due.push_back((side, Input::LinkDown { link })),
            Output::LookUp(LookUp { url, .. }) => {
                let found = Err(LookupFault::Unreachable);
                self.due.push_back((side, Input::LookedUp { url, found }));
            }
            Output::Send { link, bytes } => {
                assert!(host.up.contains(&link), "it sends on links that are open");
                assert!(bytes.len() <= FRAME_BYTES_MAX);
                if let Some(&theirs) = self.wires.get(&(side, link)) {
                    self.due.push_back((1 - side, Input::Frame { link: theirs, bytes }));
                }
                self.due.push_back((side, Input::Buffered { link, bytes: 0 }));
            }
            Output::Close { link, .. } => {
                host.up.remove(&link);
                self.cut(side, link);
            }
            Output::Store { op, task } => host.waiting.push_back((op, task)),
            Output::Done { request, result } => {
                assert!(host.asked.remove(&request), "each request is answered once");
                host.replies.extend(result);
            }
            Output::Event(Event::Neighbour { up, .. }) => {
                host.neighbours = if up { host.neighbours + 1 } else { host.neighbours - 1 };
            }
            Output::Event(Event::PeerMisbehaved { .. }) => host.faults += 1,
            Output::Event(_) | Output::Signal { .. } | Output::StunServers(_) => {}
            Output::Idle { .. } => unreachable!("the caller takes it"),
        }
    }

    /// Joins a link that one node opens to the other node.
    fn connect(&mut self, side: Side, link: LinkId, direct: bool) {
        let theirs = self.hosts[1 - side].node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
        self.wires.insert((side, link), theirs);
        self.wires.insert((1 - side, theirs), link);
        for (side, link) in [(1 - side, theirs), (side, link)] {
            let transport = transport(side, direct);
            self.due.push_back((side, Input::LinkUp { link, transport }));
        }
    }

    /// A stranger connects to a node, and says nothing yet.
    pub(crate) fn knock(&mut self, side: Side, direct: bool) {
        let link = self.hosts[side].node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
        self.hosts[side].up.insert(link);
        self.handle(side, Input::LinkUp { link, transport: transport(side, direct) });
    }

    /// The other end of a link hears that it is gone.
    pub(crate) fn cut(&mut self, side: Side, link: LinkId) {
        if let Some(theirs) = self.wires.remove(&(side, link)) {
            self.wires.remove(&(1 - side, theirs));
            self.due.push_back((1 - side, Input::LinkDown { link: theirs }));
        }
    }

    /// Gives the next input that is due to its node. Returns whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let Some((side, input)) = self.due.pop_front() else { return false };
        let up = &mut self.hosts[side].up;
        match &input {
            Input::LinkUp { link, .. } => _ = up.insert(*link),
            Input::LinkDown { link } => _ = up.remove(link),
            _ => {}
        }
        self.handle(side, input);
        true
    }

    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("two nodes never come to rest");
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now.mono.after(span);
        for _ in 0..STEPS_MAX {
            self.settle();
            if !self.wake(end.since(self.now.mono)) {
                return;
            }
        }
        panic!("a node wakes for nothing");
    }

    /// Lets time pass to the next deadline, or for `span` if there is none before. Returns whether
    /// there was one.
    pub(crate) fn wake(&mut self, span: Duration) -> bool {
        let end = self.now.mono.after(span);
        let wakes = self.hosts.iter().enumerate().filter_map(|(side, h)| Some((h.wake?, side)));
        let Some((at, side)) = wakes.min().filter(|(at, _)| *at <= end) else {
            self.set_time(end);
            return false;
        };
        self.set_time(at.max(self.now.mono));
        self.handle(side, Input::Timeout);
        true
    }

    fn set_time(&mut self, mono: Time) {
        let since = mono.as_micros() / 1_000;
        self.now = Now { mono, wall: NOW.after(Duration::from_millis(since)) };
    }

    /// The disk does its oldest task, or fails; all of them without `result`.
    pub(crate) fn write(&mut self, side: Side, fault: Option<StoreFault>) {
        while let Some((op, task)) = self.hosts[side].waiting.pop_front() {
            let result = match fault {
                Some(fault) => Err(fault),
                None => Ok(self.hosts[side].run(task)),
            };
            self.due.push_back((side, Input::Stored { op, result }));
            if fault.is_some() {
                return;
            }
        }
    }

    /// The program of a host ends without a word, and begins again on its disk.
    pub(crate) fn restart(&mut self, side: Side) {
        let links: Vec<LinkId> = self.hosts[side].up.iter().copied().collect();
        for link in links {
            self.cut(side, link);
        }
        self.due.retain(|(to, _)| *to != side);
        self.wires.retain(|(from, _), _| *from != side);
        let disk = std::mem::take(&mut self.hosts[side].disk);
        let number = self.hosts[side].number.wrapping_add(2);
        self.hosts[side] = Host::new(number, self.trusting, self.now, disk);
        self.drain(side);
    }
}

impl Host {
    /// Odd numbers are runs of one identity, even ones of another.
    fn new(number: u8, trusting: bool, now: Now, disk: BTreeMap<Bytes, Bytes>) -> Self {
        let mut config = Config::default();
        if trusting {
            config.provider = Arc::new(Trusting);
        }
        let identity = someone(if number % 2 == 1 { 1 } else { 2 });
        Self {
            node: Node::new(config, identity, &[number; 32], now),
            number,
            up: BTreeSet::new(),
            disk,
            waiting: VecDeque::new(),
            slow: false,
            wake: None,
            asked: BTreeSet::new(),
            last_request: 0,
            replies: Vec::new(),
            neighbours: 0,
            faults: 0,
        }
    }

    fn run(&mut self, task: StoreTask) -> StoreReply {
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
                        Some(value) => _ = self.disk.insert(key, value),
                        None => _ = self.disk.remove(&key),
                    }
                }
                StoreReply::Written
            }
        }
    }
}

/// Where a host can be dialled.
pub(crate) fn address(side: Side) -> Address {
    let socket = ([127, 0, 0, 1], 4_000 + side as u16).into();
    Address::Rtc { socket, fingerprint: fingerprint(side) }
}

fn fingerprint(side: Side) -> Fingerprint {
    Fingerprint::from_bytes([side as u8; 32])
}

fn transport(side: Side, direct: bool) -> Transport {
    if direct {
        Transport::Rtc { ours: fingerprint(side), theirs: fingerprint(1 - side) }
    } else {
        Transport::WebSocket
    }
}
