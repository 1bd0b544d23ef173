//! The loop: the earliest thing that is due happens, then its node's outputs are performed, until none is left.
use crate::adversary::Adversary;
use crate::chance::Chance;
use crate::check::bounds;
use crate::check::delivery::Delivery;
use crate::check::durability::Acknowledged;
use crate::check::model::Model;
use crate::check::refusal::Refusal;
use crate::clock::Clock;
use crate::digest::RunDigest;
use crate::host::{Host, HostId, Kind, Slot, rtc_address};
use crate::kinds::Kinds;
use crate::network::{NetworkOptions, Wire};
use crate::queue::Queue;
use crate::replay::Recording;
use crate::scenario::Crypto;
use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, NodeId};
use peergraph_core::identity::Identity;
use peergraph_core::io::{
    CloseReason, Command, Event, Input, LinkId, NodeChange, Output, Reply, RequestId, SyncPhase,
};
use peergraph_core::node::Node;
use peergraph_core::source::Source;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Thousands of nodes, one virtual clock, one seed.
pub struct World {
    pub(crate) seed: u64,
    /// The command that repeats this run, printed when something fails.
    pub repeat: String,
    pub(crate) now: u64,
    queue: Queue<Pending>,
    /// Everything that is left to chance.
    pub chance: Chance,
    pub(crate) hosts: Vec<Host>,
    pub(crate) wires: Vec<Wire>,
    /// Which side of a split each host is on.
    pub(crate) sides: Vec<u8>,
    /// Pairs between which nothing passes, the lower number first.
    pub(crate) blocked: BTreeSet<(HostId, HostId)>,
    /// Hosts without a network.
    pub(crate) off: BTreeSet<HostId>,
    /// The properties of the network. Existing wires keep those with which they were made.
    pub network: NetworkOptions,
    /// The changer of frames on their way.
    pub adversary: Adversary,
    /// Ends whose buffered bytes must be told when the running input is drained.
    pub(crate) reports: Vec<(u32, usize)>,
    digest: RunDigest,
    /// Follows tracked records, if wanted.
    pub delivery: Option<Delivery>,
    /// By host: what its application was told to be durable, if wanted.
    pub acknowledged: Option<Vec<Acknowledged>>,
    /// When nodes knew that a member was revoked, if wanted.
    pub refusal: Option<Refusal>,
    /// The expected contents of every store, if wanted.
    model: Option<Model>,
    /// Whether hosts keep what their nodes tell.
    pub keep_events: bool,
    /// The cryptography of nodes from their next start on.
    pub crypto: Crypto,
    /// The inputs of one host, kept for replaying.
    pub(crate) recording: Option<Recording>,
    /// The totals so far.
    pub counts: Counts,
    /// The traffic so far, by kind.
    pub kinds: Kinds,
    requests: u64,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs handled by all nodes.
    pub events: u64,
    /// Frames sent.
    pub frames: u64,
    /// Their bytes.
    pub frame_bytes: u64,
    /// Copies of tracked records in them.
    pub payload_messages: u64,
    /// Bytes of frames that carry at least one.
    pub payload_bytes: u64,
    /// Bytes of all others.
    pub control_bytes: u64,
    /// Transports that nodes asked for.
    pub links_opened: u64,
    /// Those that failed at once.
    pub links_failed: u64,
    /// Links lost because a node saw a fault of its peer.
    pub misbehaved: u64,
    /// Links closed because nothing was heard, or the handshake took too long.
    pub silenced: u64,
    /// How often nodes told that another is no longer present.
    pub departures: u64,
    /// The same, if the peer lies or frames are changed on their way.
    pub caught: u64,
    /// Links that a node closed because its peer reads too slowly.
    pub closed_slow: u64,
    /// Most bytes that a node had handed to one wire and that had not left.
    pub backlog_bytes_max: u64,
}

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Pending {
    Wake { host: u32 },
    Frame { wire: u32, side: usize, bytes: Bytes },
    Up { wire: u32, side: usize },
    Down { wire: u32, side: usize },
    Low { wire: u32, side: usize },
    Quiet { wire: u32, side: usize },
    Failed { host: u32, incarnation: u32, link: LinkId },
    Signal { host: u32, incarnation: u32, link: LinkId, signal: Bytes },
    Described { host: u32, incarnation: u32, link: LinkId, signal: Bytes },
    LookedUp { host: u32, incarnation: u32, url: String, found: Option<HostId> },
    Disk { host: u32, incarnation: u32 },
    Command { host: u32, incarnation: u32, request: RequestId, command: Box<Command> },
}

/// Inputs at most that one call of [`World::run_until`] handles before it is called a loop.
const STEPS_MAX: u64 = 2_000_000_000;
/// Between two looks at the stores. Virtual.
const MODEL_EVERY: Duration = Duration::from_secs(5);
/// How long [`World::ask`] waits for an answer. Virtual.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

impl World {
    /// An empty world. `repeat` is the command that makes it again.
    pub fn new(seed: u64, repeat: impl Into<String>) -> Self {
        Self {
            seed,
            repeat: repeat.into(),
            now: 0,
            queue: Queue::default(),
            chance: Chance::new(seed),
            hosts: Vec::new(),
            wires: Vec::new(),
            sides: Vec::new(),
            blocked: BTreeSet::new(),
            off: BTreeSet::new(),
            network: NetworkOptions::default(),
            adversary: Adversary::default(),
            reports: Vec::new(),
            digest: RunDigest::default(),
            delivery: None,
            acknowledged: None,
            refusal: None,
            model: None,
            keep_events: true,
            crypto: Crypto::default(),
            recording: None,
            counts: Counts::default(),
            kinds: Kinds::default(),
            requests: 0,
        }
    }

    /// Adds a host and starts its node.
    pub fn add(&mut self, kind: Kind, name: &str) -> HostId {
        let host = self.add_stopped(kind, name);
        self.start(host);
        host
    }

    /// Adds a host whose node does not run yet.
    pub fn add_stopped(&mut self, kind: Kind, name: &str) -> HostId {
        let secret = self.chance.bytes32();
        self.add_with_key(kind, name, secret)
    }

    /// Adds a device of the person at `host`: the same key under another name, and an empty disk.
    pub fn add_device(&mut self, kind: Kind, name: &str, host: HostId) -> HostId {
        let device = self.add_with_key(kind, name, self.hosts[host].secret);
        self.start(device);
        device
    }

    fn add_with_key(&mut self, kind: Kind, name: &str, secret: [u8; 32]) -> HostId {
        let serial = self.chance.bytes32();
        let clock = Clock {
            drift_ppm: self.chance.within(0..101) as i32 - 50,
            offset_ms: self.chance.within(0..2_001) as i64 - 1_000,
            ..Clock::default()
        };
        let serial = std::array::from_fn(|i| serial[i]);
        let identity = Identity::generate(secret, serial, name, clock.wall(self.now))
            .expect("hosts have good names");
        let mut host = Host::new(kind, name.to_owned(), &identity, secret, clock);
        host.disk.log = self.model.is_some().then(Vec::new);
        self.hosts.push(host);
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.resize_with(self.hosts.len(), Acknowledged::default);
        }
        self.hosts.len() - 1
    }

    /// Starts a node on a host that has none: the same identity and disk, another seed.
    ///
    /// # Panics
    /// If one runs there.
    pub fn start(&mut self, host: HostId) {
        let seed = self.chance.bytes32();
        self.start_from(host, seed);
    }

    /// Starts a node that shows the nonce of the node which runs on another host, with its own identity. A nonce is the first
    /// that a node makes of its seed.
    ///
    /// # Panics
    /// If one runs there.
    pub fn start_as(&mut self, host: HostId, other: HostId) {
        let seed = self.hosts[other].seed;
        self.start_from(host, seed);
    }

    fn start_from(&mut self, host: HostId, seed: [u8; 32]) {
        assert!(!self.hosts[host].is_up(), "host {host} has a node already");
        let this = &mut self.hosts[host];
        this.seed = seed;
        this.clock.started = self.now;
        this.incarnation += 1;
        this.wanted = u64::MAX;
        this.opened = false;
        let now = this.clock.now(self.now);
        let config = crate::adapt::config(this, self.crypto);
        this.synced = false;
        let identity = crate::adapt::identity(this);
        let node = Box::new(Node::new(config, identity, &seed, now));
        if let Some(recording) = &mut self.recording {
            recording.started(host, seed, now);
        }
        self.drain(host, node);
        if self.hosts[host].kind == Kind::Native {
            self.handle(host, Input::Addresses(vec![rtc_address(host)]));
        }
    }

    /// A node learns where it can be dialled.
    pub fn tell_addresses(&mut self, host: HostId, addresses: Vec<Address>) {
        self.handle(host, Input::Addresses(addresses));
    }

    /// Kills a node: what was not durable is gone, and its peers notice late or never.
    pub fn crash(&mut self, host: HostId) {
        self.hosts[host].disk.crash(&mut self.chance);
        self.note_durable(host);
        self.forget_node(host);
        self.unplug(host);
    }

    /// Drops a node that has closed. Its wires close in order.
    pub fn drop_node(&mut self, host: HostId) {
        let links: Vec<LinkId> = self.hosts[host].links.keys().copied().collect();
        for link in links {
            self.close(host, link);
        }
        self.hosts[host].disk.crash(&mut self.chance);
        self.note_durable(host);
        self.forget_node(host);
    }

    fn forget_node(&mut self, host: HostId) {
        let this = &mut self.hosts[host];
        this.node = None;
        // Inputs that are queued for the node that was, are not for the next one.
        this.incarnation += 1;
        this.wanted = u64::MAX;
        this.done.clear();
        this.neighbours = 0;
        this.neighbour_links.clear();
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged[host].crashed();
        }
    }

    /// Leaves every group properly, then drops the node.
    pub fn stop(&mut self, host: HostId) {
        let answer = self.ask(host, Command::Close);
        assert!(answer.is_ok(), "close answered {answer:?}");
        self.drop_node(host);
    }

    /// Gives a command to a node. The answer is found with [`World::answer`].
    ///
    /// # Panics
    /// If no node runs there.
    pub fn command(&mut self, host: HostId, command: Command) -> RequestId {
        assert!(self.hosts[host].is_up(), "host {host} has no node");
        self.requests += 1;
        let request = RequestId(self.requests);
        let incarnation = self.hosts[host].incarnation;
        let command = Box::new(command);
        let pending = Pending::Command { host: host as u32, incarnation, request, command };
        self.at(self.now, pending);
        request
    }

    /// Takes the answer to a command, if it is there.
    pub fn answer(&mut self, host: HostId, request: RequestId) -> Option<Result<Reply, Error>> {
        self.hosts[host].done.remove(&request)
    }

    /// Whether a command is answered.
    pub fn is_answered(&self, host: HostId, request: RequestId) -> bool {
        self.hosts[host].done.contains_key(&request)
    }

    /// Gives a command and runs the world until it is answered.
    ///
    /// # Panics
    /// If no answer comes within a minute of virtual time.
    pub fn ask(&mut self, host: HostId, command: Command) -> Result<Reply, Error> {
        self.ask_within(host, command, ANSWER_WITHIN)
    }

    /// The same with another patience.
    ///
    /// # Panics
    /// If no answer comes in time.
    pub fn ask_within(
        &mut self,
        host: HostId,
        command: Command,
        within: Duration,
    ) -> Result<Reply, Error> {
        let text = format!("{command:?}");
        let request = self.command(host, command);
        let answered = self.run_until(within, |world| world.is_answered(host, request));
        assert!(answered, "no answer within {within:?} at host {host} to {text:.120}");
        self.answer(host, request).expect("it is answered")
    }

    /// Runs for a span of virtual time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span.as_micros() as u64;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until `condition` holds, asked after every step. False if it does not within `span`.
    pub fn run_until(&mut self, span: Duration, condition: impl FnMut(&Self) -> bool) -> bool {
        self.run_until_every(1, span, condition)
    }

    /// The same, asked after every `steps` steps only: for conditions that look at the whole world.
    pub fn run_until_every(
        &mut self,
        steps: u64,
        span: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now + span.as_micros() as u64;
        for step in 0..STEPS_MAX {
            if step % steps == 0 && condition(self) {
                return true;
            }
            if self.queue.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return condition(self);
            }
            self.step();
        }
        panic!("still busy after {STEPS_MAX} steps");
    }

    /// Compares stores with the reference model from here on.
    ///
    /// # Panics
    /// If there are hosts already.
    pub fn model(&mut self) {
        assert!(self.hosts.is_empty(), "a model must see everything that becomes durable");
        self.model = Some(Model::default());
    }

    /// Shows the model what became durable at a host.
    fn note_durable(&mut self, host: HostId) {
        let Some(model) = &mut self.model else { return };
        let log = self.hosts[host].disk.log.as_mut().map(std::mem::take);
        for (key, value) in log.unwrap_or_default() {
            model.durable(host, &key, &value);
        }
    }

    /// How the stores of the running members of a group differ from the model: `looked_into` of them are also asked, as
    /// applications ask, the others' disks are compared.
    ///
    /// # Panics
    /// If there is no model.
    pub fn violations(&mut self, group: GroupId, looked_into: usize) -> Vec<String> {
        let key = [&b"g"[..], group.as_bytes(), b"i"].concat();
        let of_group = |host: &Host| host.is_up() && host.disk.get(&key).is_some();
        let members: Vec<bool> = self.hosts.iter().map(of_group).collect();
        let live: Vec<HostId> = (0..members.len()).filter(|&host| members[host]).collect();
        let wall = Clock::default().wall(self.now);
        let model = self.model.as_ref().expect("the world compares with a model");
        let disks: Vec<_> = live.iter().map(|&host| (host, &self.hosts[host].disk)).collect();
        let mut violations = model.violations(group, &disks, wall);
        if !violations.is_empty() {
            return violations;
        }
        let (must, may) = model.shown(group, &members, wall);
        let mut asked = live;
        self.chance.shuffle(&mut asked);
        for host in asked.into_iter().take(looked_into) {
            let mut shown = self.records(host, group);
            shown.retain(|record| !may.contains(&record.id));
            if shown != must {
                let (shown, must) = (shown.len(), must.len());
                violations
                    .push(format!("host {host} shows {shown} records, not the {must} that stand"));
            }
        }
        violations
    }

    /// Everything that somebody made up about the making of records of members that do not lie, and that a running one held.
    ///
    /// # Panics
    /// If there is no model.
    pub fn made_up(&self, group: GroupId) -> Vec<String> {
        let model = self.model.as_ref().expect("a model was asked for");
        let honest = self.live().into_iter().filter(|&host| !self.hosts[host].liar);
        let honest: Vec<HostId> = honest.collect();
        let peers: Vec<_> = honest.iter().map(|&host| self.hosts[host].peer_id()).collect();
        model.made_up(group, &honest, &peers)
    }

    /// Runs until all stores are as the model says, and answers whether they are.
    pub fn await_model(
        &mut self,
        group: GroupId,
        looked_into: usize,
        within: Duration,
    ) -> Vec<String> {
        let end = self.time() + within;
        loop {
            let violations = self.violations(group, looked_into);
            if violations.is_empty() || self.time() >= end {
                return violations;
            }
            self.run_for(MODEL_EVERY);
        }
    }

    /// Records the node of `host` from its next start on.
    pub fn record(&mut self, host: HostId) {
        self.recording = Some(Recording::of(host));
    }

    /// The recording.
    ///
    /// # Panics
    /// If nothing is.
    pub fn recording(&self) -> &Recording {
        self.recording.as_ref().expect("a host is recorded")
    }

    /// The seed from which everything here is drawn.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the number of the run is even: for stories of two orders.
    pub fn seed_is_even(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    /// Virtual time since the world began.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    /// Fingerprint of the run so far.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// The id of the node that runs on a host.
    ///
    /// # Panics
    /// If none runs there.
    pub fn node_id(&self, host: HostId) -> NodeId {
        self.hosts[host].node.as_ref().expect("a node runs there").id()
    }

    /// Hosts, by number.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One host, to bend its clocks or its disk.
    pub fn host(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host]
    }

    /// Hosts with a running node, in order.
    pub fn live(&self) -> Vec<HostId> {
        (0..self.hosts.len()).filter(|&host| self.hosts[host].is_up()).collect()
    }

    pub(crate) fn at(&mut self, at: u64, pending: Pending) {
        self.queue.push(at.max(self.now), pending);
    }

    pub(crate) fn after(&mut self, micros: u64, pending: Pending) {
        self.at(self.now + micros, pending);
    }

    /// A link to a host that a stranger opened: each host is a source of its own, unless it is behind another.
    pub(crate) fn new_link(&mut self, host: HostId, from: HostId) -> LinkId {
        let from = self.hosts[from].behind.unwrap_or(from);
        let from = Source::of(Ipv6Addr::from_bits((from as u128 + 1) << 64).into());
        let node = self.hosts[host].node.as_mut().expect("only a live host accepts a link");
        let link = node.new_link(from);
        if let Some(recording) = &mut self.recording {
            recording.new_link(host, from, link);
        }
        link
    }

    /// Does the earliest thing that is due.
    fn step(&mut self) {
        let Some((at, pending)) = self.queue.pop() else { return };
        debug_assert!(at >= self.now, "time went back");
        self.now = at;
        match pending {
            Pending::Wake { host } => self.wake(host as HostId),
            Pending::Frame { wire, side, bytes } => self.frame(wire, side, bytes),
            Pending::Up { wire, side } => self.up(wire, side),
            Pending::Down { wire, side } => self.down(wire, side),
            Pending::Low { wire, side } => self.low(wire, side),
            Pending::Quiet { wire, side } => self.quiet(wire, side),
            Pending::Failed { host, incarnation, link } => {
                if self.is_current(host, incarnation)
                    && self.hosts[host as HostId].links.remove(&link).is_some()
                {
                    self.handle(host as HostId, Input::LinkDown { link });
                }
            }
            Pending::Signal { host, incarnation, link, signal } => {
                let known = self.hosts[host as HostId].links.contains_key(&link);
                if self.is_current(host, incarnation) && known {
                    self.handle(host as HostId, Input::Signal { link, signal });
                }
            }
            Pending::Described { host, incarnation, link, signal } => {
                if self.is_current(host, incarnation) {
                    self.described(host as HostId, link, &signal);
                }
            }
            Pending::LookedUp { host, incarnation, url, found } => {
                if self.is_current(host, incarnation) {
                    let found = self.described_by(found);
                    self.handle(host as HostId, Input::LookedUp { url, found });
                }
            }
            Pending::Disk { host, incarnation } => {
                if self.is_current(host, incarnation)
                    && let Some((op, result)) = self.hosts[host as HostId].disk.finish()
                {
                    self.note_durable(host as HostId);
                    self.handle(host as HostId, Input::Stored { op, result });
                }
            }
            Pending::Command { host, incarnation, request, command } => {
                if self.is_current(host, incarnation) {
                    self.handle(host as HostId, Input::Command { request, command: *command });
                }
            }
        }
    }

    fn is_current(&self, host: u32, incarnation: u32) -> bool {
        self.hosts[host as HostId].incarnation == incarnation
    }

    /// A wake is due, unless the node changed its mind since.
    fn wake(&mut self, host: HostId) {
        let this = &mut self.hosts[host];
        if this.scheduled != self.now {
            return;
        }
        this.scheduled = u64::MAX;
        if this.node.is_none() {
            return;
        }
        if this.wanted > self.now {
            self.schedule(host);
            return;
        }
        this.wakes_at_once = if this.last_wake == self.now { this.wakes_at_once + 1 } else { 0 };
        this.last_wake = self.now;
        assert!(
            this.wakes_at_once < bounds::WAKES_AT_ONCE_MAX,
            "host {host} wants to be woken again and again at {} µs",
            self.now
        );
        self.handle(host, Input::Timeout);
    }

    /// Puts the wanted wake into the queue, unless an earlier one is there already: that one will look again.
    fn schedule(&mut self, host: HostId) {
        let late_max = self.hosts[host].clock.late_max;
        let wanted = self.hosts[host].wanted;
        if wanted >= self.hosts[host].scheduled {
            return;
        }
        let late = if late_max > 0 { self.chance.within(0..late_max + 1) } else { 0 };
        let at = self.hosts[host].clock.stepped(wanted.max(self.now) + late);
        if at < self.hosts[host].scheduled {
            self.hosts[host].scheduled = at;
            self.at(at, Pending::Wake { host: host as u32 });
        }
    }

    /// Gives one input to a node and performs everything that follows from it.
    pub(crate) fn handle(&mut self, host: HostId, input: Input) {
        let Some(mut node) = self.hosts[host].node.take() else { return };
        self.counts.events += 1;
        let now = self.hosts[host].clock.now(self.now);
        self.note(host, &input);
        if let Some(recording) = &mut self.recording {
            recording.input(host, now, &input);
        }
        node.handle(now, input);
        self.drain(host, node);
        while let Some((wire, side)) = self.reports.pop() {
            self.buffered(wire, side);
        }
    }

    /// Folds an input into the fingerprint of the run.
    fn note(&mut self, host: HostId, input: &Input) {
        let (kind, detail) = match input {
            Input::Timeout => (0, 0),
            Input::LinkUp { link, .. } => (1, link.0),
            Input::LinkDown { link } | Input::LinkFailed { link, .. } => (2, link.0),
            Input::Frame { link, bytes } => (3, link.0 << 16 ^ bytes.len() as u64),
            Input::Buffered { link, bytes } => (4, link.0 << 32 ^ *bytes as u64),
            Input::Signal { link, signal } => (5, link.0 << 16 ^ signal.len() as u64),
            Input::Stored { op, result } => (6, op.0 << 1 ^ u64::from(result.is_ok())),
            Input::Command { request, .. } => (7, request.0),
            Input::Addresses(addresses) => (8, addresses.len() as u64),
            Input::LookedUp { found, .. } => (9, u64::from(found.is_ok())),
            Input::LinkQuiet { link } => (10, link.0),
            Input::PathsChanged { gone } => (11, u64::from(*gone)),
        };
        self.digest.add(self.now);
        self.digest.add((host as u64) << 8 | kind);
        self.digest.add(detail);
    }

    /// Performs the outputs of a node until it is idle, and puts it back into its host.
    fn drain(&mut self, host: HostId, mut node: Box<Node>) {
        for nth in 0.. {
            let output = node.poll();
            if let Some(violation) = bounds::violation(&output, nth) {
                panic!("host {host} at {} µs: {violation}", self.now);
            }
            if let Some(recording) = &mut self.recording {
                recording.output(host, &output);
            }
            match output {
                Output::Send { link, bytes } => self.send(host, link, bytes),
                Output::Store { op, task } => {
                    let done = self.hosts[host].disk.submit(self.now, op, task, &mut self.chance);
                    let incarnation = self.hosts[host].incarnation;
                    self.at(done, Pending::Disk { host: host as u32, incarnation });
                }
                Output::Open { link, dial } => self.open(host, link, dial),
                Output::LookUp(look_up) => self.look_up(host, look_up.url),
                Output::StunServers(servers) => self.hosts[host].stun_servers = servers,
                Output::Signal { link, signal } => {
                    let incarnation = self.hosts[host].incarnation;
                    self.at(
                        self.now,
                        Pending::Described { host: host as u32, incarnation, link, signal },
                    );
                }
                Output::Close { link, reason } => {
                    self.counts.silenced += u64::from(reason == CloseReason::Silent);
                    self.counts.closed_slow += u64::from(reason == CloseReason::Slow);
                    self.close(host, link);
                }
                Output::Done { request, result } => self.done(host, request, result),
                Output::Event(event) => self.event(host, event),
                Output::Idle { wake } => {
                    let this = &mut self.hosts[host];
                    this.parts += u64::from(node.has_more());
                    this.node = Some(node);
                    this.wanted = wake.map_or(u64::MAX, |wake| this.clock.world(wake.at));
                    self.schedule(host);
                    return;
                }
            }
        }
    }

    fn done(&mut self, host: HostId, request: RequestId, result: Result<Reply, Error>) {
        self.digest.add(request.0 << 1 ^ u64::from(result.is_ok()));
        let old = self.hosts[host].done.insert(request, result);
        assert!(old.is_none(), "host {host} answered {request:?} twice");
    }

    /// Whether nobody lies at the other end of a link, nor on the way.
    fn is_honest_link(&self, host: HostId, link: LinkId) -> bool {
        let other = match self.hosts[host].links.get(&link) {
            Some(&Slot::Wire(wire, side)) => Some(self.wires[wire as usize].other(side)),
            Some(Slot::Signalling) | None => None,
        };
        self.adversary.changed == 0
            && !self.hosts[host].liar
            && other.is_none_or(|other| !self.hosts[other].liar)
    }

    fn event(&mut self, host: HostId, event: Event) {
        match &event {
            Event::Opened => self.hosts[host].opened = true,
            Event::Record { group, record } => {
                if let Some(delivery) = &mut self.delivery {
                    delivery.seen(host, self.now, &record.payload);
                }
                if let Some(acknowledged) = &mut self.acknowledged {
                    acknowledged[host].shown(*group, record);
                }
            }
            Event::Stored { group, records } => {
                if let Some(acknowledged) = &mut self.acknowledged {
                    for &(id, version) in records {
                        acknowledged[host].stored(*group, id, version);
                    }
                }
            }
            Event::Expired { group, id } => {
                if let Some(acknowledged) = &mut self.acknowledged {
                    acknowledged[host].expired(*group, *id);
                }
            }
            Event::Neighbour { group, link, up: true, .. } => {
                self.hosts[host].neighbours += 1;
                self.hosts[host].neighbour_links.insert((*group, *link));
            }
            Event::Neighbour { group, link, up: false, .. } => {
                self.hosts[host].neighbour_links.remove(&(*group, *link));
                let neighbours = &mut self.hosts[host].neighbours;
                *neighbours =
                    neighbours.checked_sub(1).expect("a neighbour is won before it is lost");
            }
            Event::Sync { phase, .. } => {
                self.hosts[host].synced |= *phase == SyncPhase::Complete;
            }
            Event::PeerMisbehaved { link, .. } => {
                if self.is_honest_link(host, *link) {
                    self.counts.misbehaved += 1;
                } else {
                    self.counts.caught += 1;
                }
            }
            Event::Member { member, .. } => {
                if let Some(refusal) = &mut self.refusal {
                    refusal.told(host, self.now, member);
                }
            }
            Event::Node { change: NodeChange::Disconnected, .. } => self.counts.departures += 1,
            // The border may grow: what is not counted is kept below all the same.
            Event::Status { .. }
            | Event::Group(_)
            | Event::ConnectionRequired { .. }
            | Event::Conflict { .. }
            | Event::HandoverContested { .. }
            | Event::StoreFailed { .. }
            | _ => {}
        }
        if self.keep_events {
            self.hosts[host].events.push((self.now, event));
        }
    }
}

impl Drop for World {
    /// A failure anywhere, in a node too, says how to see it again.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed after {:?} of virtual time", self.seed, self.time());
            eprintln!("repeat with: {}", self.repeat);
        }
    }
}
