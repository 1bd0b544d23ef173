//! The loop: one thread that owns the node, its data channels and the sending ends of everything else.
//!
//! ```text
//!   data channels ─┐                                ┌─► data channels (same thread: no frame crosses threads)
//!   WebSockets ────┤   one input    all outputs     ├─► WebSockets, storage
//!   storage ───────┼──► handle ──► poll … Idle ─────┼─► replies to requests
//!   requests ──────┤                     │          └─► events, watchers
//!   one timer ─────┘◄────────────────────┘ wake
//! ```
//!
//! **Back-pressure**: while [`JOBS_WAITING_MAX`] storage jobs wait, or as many bytes of writes as
//! [`WRITES_WAITING`] has, only storage and the timer are listened to. All channels into the loop
//! are bounded, so senders wait, and in the end so does the network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::error::Error;
use peergraph_core::id::{Fingerprint, RecordId};
use peergraph_core::io::{
    CloseReason, Command, Dial, Event, Input, LinkFault, LinkId, NodeState, Output, Reply,
    RequestId, StoreFault, StoreId, StoreReply, StoreTask, Transport, Wake,
};
use peergraph_core::limits::WRITES_WAITING;
use peergraph_core::node::Node;
use peergraph_core::node_url::{LookUp, NodeUrl};
use peergraph_core::source::Source;
use peergraph_core::time::ClockAhead;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::clock::Clock;
use crate::connect::Trust;
use crate::delivery::Delivery;
use crate::folder::Folder;
use crate::lookup::{self, Failure};
use crate::network::Watch;
use crate::requests::{REQUESTS_MAX, Request};
use crate::rtc::{self, DialError, Engine, Happened, RtcId};
use crate::secret;
use crate::storage::{Outcome, Storage};
use crate::stun_url::{self, StunUrl};
use crate::warned::Warned;
use crate::watch::Registry;
use crate::websocket::{self, Report, Socket};

/// Storage jobs without reply at which nothing new is taken. Guess: a few groups of [`crate::storage`].
const JOBS_WAITING_MAX: usize = 4_096;
/// Reports of WebSockets handled at once. Guess.
const REPORTS_PER_TURN: usize = 64;
/// Time for leaving every graph properly. Guess: a few round trips and one commit.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Nodes that are not reached of which we know why, so that it is told once. Guess: as many as the core has names of.
const CAUSES_MAX: usize = 64;
/// Pages of links that are not yet known to be nodes, or not. Guess. The first one goes.
const PAGES_MAX: usize = 16;
/// How often the interfaces are looked at where the system does not tell of changes. Guess: a moved laptop is back soon, and
/// looking takes microseconds.
const INTERFACES_EVERY: Duration = Duration::from_secs(2);
/// After word of the system the interfaces are looked at so much later. Guess: an address, its route and the loss of the one
/// before are told within.
const SETTLED_AFTER: Duration = Duration::from_millis(20);
/// Word of a change that shows in no address and no route of ours is heeded so often at most. Guess: containers come and go.
const UNSEEN_EVERY: Duration = Duration::from_secs(5);
/// Names of our own scans of the store begin here. The node counts its operations from 1.
const SCANS_FROM: StoreId = StoreId(1 << 63);
/// Longest sleep. A machine that was suspended wakes with a timer that slept along; the clock did not. Guess.
const SLEEP_MAX: Duration = Duration::from_secs(30);

struct Waiting {
    reply: oneshot::Sender<Result<Reply, Error>>,
    delivery: Option<Delivery>,
}

/// Everything the loop owns.
pub(super) struct Driver {
    node: Node,
    clock: Clock,
    engine: Engine,
    storage: Storage,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    requests: mpsc::Receiver<Request>,
    reports: mpsc::Receiver<Report>,
    /// For the sockets that we dial.
    report: mpsc::Sender<Report>,
    registry: Arc<Registry>,
    addresses: Arc<Addresses>,
    folder: Option<Folder>,
    trust: Trust,
    /// Nodes and pages of links that are kept in the folder if they turn out to be nodes.
    pages: BTreeSet<NodeUrl>,
    /// Why nodes could not be looked up when they were asked last, by the URL of their description.
    causes: BTreeMap<String, String>,
    /// When the interfaces are looked at next.
    look: Instant,
    network: Watch,
    /// The addresses that packets to the world leave from, when they were looked at last.
    routed: Vec<IpAddr>,
    /// Whether the system has told of a change since.
    told: bool,
    /// When the node was told of a change last.
    paths_told: Option<Instant>,

    inputs: VecDeque<Input>,
    wake: Option<Wake>,
    waiting: BTreeMap<RequestId, Waiting>,
    next_request: u64,
    /// Scans of ours, which the node knows nothing of.
    scans: BTreeMap<StoreId, oneshot::Sender<Result<StoreReply, StoreFault>>>,
    next_scan: StoreId,
    channels: BTreeMap<LinkId, RtcId>,
    links: BTreeMap<RtcId, LinkId>,
    sockets: BTreeMap<LinkId, Socket>,
    /// Sockets that got frames since the last report of how much waits in them.
    fed: BTreeSet<LinkId>,
    /// Sockets that we closed and that still empty themselves.
    closing: BTreeSet<LinkId>,
    opened: Option<oneshot::Sender<Result<(), StoreFault>>>,
    /// The STUN servers of the application, until their names are resolved.
    stun_urls: Vec<StunUrl>,
    stun: Vec<SocketAddr>,
    /// Those that the node names.
    known_stun: Vec<SocketAddr>,
    /// Where the links of strangers come from.
    sources: BTreeMap<LinkId, IpAddr>,
    warned: Warned,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    received: u64,
    sent: u64,
}

/// The parts of the loop.
pub(super) struct Parts {
    pub(super) node: Node,
    pub(super) clock: Clock,
    pub(super) engine: Engine,
    pub(super) storage: Storage,
    pub(super) outcomes: mpsc::UnboundedReceiver<Outcome>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) report: mpsc::Sender<Report>,
    pub(super) registry: Arc<Registry>,
    /// Where we are reached.
    pub(super) addresses: Arc<Addresses>,
    /// The STUN servers of the application.
    pub(super) stun: Vec<StunUrl>,
    /// Where nodes are kept.
    pub(super) folder: Option<Folder>,
    /// The authorities whose certificates are believed.
    pub(super) trust: Trust,
    /// Told once: the store is read, or cannot be.
    pub(super) opened: oneshot::Sender<Result<(), StoreFault>>,
}

enum Turn {
    Storage(Option<Outcome>),
    Engine,
    Report(Option<Report>),
    Request(Option<Request>),
    Timer,
    Network,
    Interfaces,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            node: parts.node,
            clock: parts.clock,
            engine: parts.engine,
            storage: parts.storage,
            outcomes: parts.outcomes,
            requests: parts.requests,
            reports: parts.reports,
            report: parts.report,
            registry: parts.registry,
            addresses: parts.addresses,
            folder: parts.folder,
            trust: parts.trust,
            pages: BTreeSet::new(),
            causes: BTreeMap::new(),
            look: Instant::now() + INTERFACES_EVERY,
            network: Watch::new(),
            routed: rtc::routed(),
            told: false,
            paths_told: None,
            inputs: VecDeque::new(),
            wake: None,
            waiting: BTreeMap::new(),
            next_request: 0,
            scans: BTreeMap::new(),
            next_scan: SCANS_FROM,
            channels: BTreeMap::new(),
            links: BTreeMap::new(),
            sockets: BTreeMap::new(),
            fed: BTreeSet::new(),
            closing: BTreeSet::new(),
            opened: Some(parts.opened),
            stun_urls: parts.stun,
            stun: Vec::new(),
            known_stun: Vec::new(),
            sources: BTreeMap::new(),
            warned: Warned::default(),
            counts: Counts::default(),
        }
    }

    /// Runs until all handles are gone or one asks for the end. `nodes` are those that the application named.
    pub(super) async fn run(mut self, nodes: Vec<NodeUrl>) {
        self.drain();
        self.feed(Input::Addresses(self.addresses.own()));
        self.resolve_stun();
        for node in nodes {
            // Nobody waits for it: how it goes is told as an event.
            let (reply, _) = oneshot::channel();
            self.command(Command::Connect { node }, reply, None);
        }
        loop {
            match self.turn().await {
                Turn::Storage(Some(outcome)) => self.stored(outcome),
                Turn::Engine => self.channels(),
                Turn::Report(Some(report)) => self.reported(report),
                Turn::Timer => self.feed(Input::Timeout),
                Turn::Network => {
                    self.told = true;
                    self.look = self.look.min(Instant::now() + SETTLED_AFTER);
                }
                Turn::Interfaces => self.look_at_interfaces(),
                Turn::Request(Some(Request::Command { command, reply, delivery })) => {
                    self.command(*command, reply, delivery);
                }
                Turn::Request(Some(Request::Scan { task, reply })) => self.scan(task, reply),
                Turn::Request(Some(Request::Watch { reply, .. })) => drop(reply.send(())),
                Turn::Request(Some(Request::Keep(node))) => self.keep(node),
                Turn::Request(Some(Request::Shutdown) | None) => break,
                Turn::Storage(None) | Turn::Report(None) => {
                    unreachable!("the loop holds a sender of each channel, or the thread behind it")
                }
            }
        }
        self.close().await;
    }

    /// Waits for the next thing.
    async fn turn(&mut self) -> Turn {
        let free = self.storage.waiting() < JOBS_WAITING_MAX
            && self.node.writes_waiting() < WRITES_WAITING.all();
        let asks = free && self.waiting.len() < REQUESTS_MAX;
        let sleep = tokio::time::sleep_until(self.alarm());
        let look = tokio::time::sleep_until(self.look);
        tokio::select! {
            outcome = self.outcomes.recv() => Turn::Storage(outcome),
            () = self.engine.turn(), if free => Turn::Engine,
            report = self.reports.recv(), if free => Turn::Report(report),
            request = self.requests.recv(), if asks => Turn::Request(request),
            () = sleep => Turn::Timer,
            () = self.network.changed(), if !self.told => Turn::Network,
            () = look => Turn::Interfaces,
        }
    }

    /// Tells the node where we are reached, if that has changed, and that its links may lead nowhere.
    fn look_at_interfaces(&mut self) {
        let now = Instant::now();
        self.look = now + INTERFACES_EVERY;
        let told = std::mem::take(&mut self.told);
        let routed = rtc::routed();
        let rerouted = std::mem::replace(&mut self.routed, routed) != self.routed;
        let before = self.addresses.moved(self.engine.local_addrs());
        let lost = |before: &Vec<SocketAddr>| {
            let after = self.addresses.local();
            let ours = before.iter().filter(|it| !it.ip().is_loopback());
            ours.into_iter().any(|it| !after.contains(it))
        };
        let gone = before.as_ref().is_some_and(lost);
        let lately = self.paths_told.is_some_and(|at| now < at + UNSEEN_EVERY);
        let changed = before.is_some() || rerouted;
        if before.is_some() {
            let addresses = self.addresses.own();
            tracing::info!(?addresses, "the interfaces have changed");
            self.feed(Input::Addresses(addresses));
        }
        if changed || (told && !lately) {
            tracing::debug!(gone, "the network may be another one");
            self.paths_told = Some(now);
            self.engine.paths_changed();
            self.feed(Input::PathsChanged { gone });
        }
    }

    fn alarm(&mut self) -> Instant {
        let now = self.clock.now().mono;
        let delay = self.wake.map_or(SLEEP_MAX, |wake| wake.at.since(now).min(SLEEP_MAX));
        Instant::now() + delay
    }

    fn stored(&mut self, first: Outcome) {
        let mut next = Some(first);
        while let Some((op, result)) = next {
            self.storage.replied();
            match self.scans.remove(&op) {
                Some(reply) => drop(reply.send(result)),
                None => self.feed(Input::Stored { op, result }),
            }
            next = self.outcomes.try_recv().ok();
        }
    }

    fn scan(&mut self, task: StoreTask, reply: oneshot::Sender<Result<StoreReply, StoreFault>>) {
        let op = self.next_scan;
        self.next_scan = StoreId(op.0 + 1);
        self.scans.insert(op, reply);
        self.storage.submit(op, task);
    }

    fn channels(&mut self) {
        while let Some(happened) = self.engine.poll() {
            match happened {
                Happened::Incoming { link, from } => {
                    let name = self.node.new_link(Source::of(from.ip()));
                    tracing::debug!(link = name.0, source = %from.ip(), "data channel accepted");
                    self.sources.insert(name, from.ip());
                    self.bind(name, link);
                }
                Happened::Open { link, ours, theirs } => {
                    tracing::debug!(
                        link = self.links.get(&link).map(|link| link.0),
                        "data channel open"
                    );
                    let (ours, theirs) =
                        (Fingerprint::from_bytes(ours), Fingerprint::from_bytes(theirs));
                    self.channel(link, |link| Input::LinkUp {
                        link,
                        transport: Transport::Rtc { ours, theirs },
                    });
                }
                Happened::Message { link, bytes } => {
                    self.counts.received += 1;
                    self.channel(link, |link| Input::Frame { link, bytes });
                }
                Happened::Buffered { link, bytes } => {
                    self.channel(link, |link| Input::Buffered { link, bytes });
                }
                Happened::Signal { link, json } => {
                    let signal = Bytes::from(json);
                    self.channel(link, |link| Input::Signal { link, signal });
                }
                Happened::Quiet { link } => self.channel(link, |link| Input::LinkQuiet { link }),
                Happened::Gone { link, answered } => {
                    if let Some(link) = self.links.remove(&link) {
                        tracing::debug!(link = link.0, answered, "data channel gone");
                        self.channels.remove(&link);
                        let fault = if answered { LinkFault::Rejected } else { LinkFault::Silent };
                        self.feed(Input::LinkFailed { link, fault });
                        self.sources.remove(&link);
                    }
                }
            }
        }
    }

    fn channel(&mut self, channel: RtcId, input: impl FnOnce(LinkId) -> Input) {
        if let Some(link) = self.links.get(&channel).copied() {
            self.feed(input(link));
        }
    }

    fn bind(&mut self, link: LinkId, channel: RtcId) {
        self.channels.insert(link, channel);
        self.links.insert(channel, link);
    }

    fn reported(&mut self, first: Report) {
        let mut next = Some(first);
        let mut left = REPORTS_PER_TURN;
        while let Some(report) = next {
            self.report_one(report);
            left -= 1;
            next = if left > 0 { self.reports.try_recv().ok() } else { None };
        }
    }

    fn report_one(&mut self, report: Report) {
        match report {
            Report::Accepted { socket, from, name } => {
                let link = self.node.new_link(Source::of(from));
                if name.send(link).is_ok() {
                    self.sources.insert(link, from);
                    self.sockets.insert(link, socket);
                    self.feed(Input::LinkUp { link, transport: Transport::WebSocket });
                }
            }
            Report::Up { link } if self.sockets.contains_key(&link) => {
                self.feed(Input::LinkUp { link, transport: Transport::WebSocket });
            }
            Report::Frame { link, bytes } if self.sockets.contains_key(&link) => {
                self.counts.received += 1;
                self.feed(Input::Frame { link, bytes });
            }
            Report::Buffered { link, bytes } if self.sockets.contains_key(&link) => {
                self.feed(Input::Buffered { link, bytes });
            }
            Report::Down { link } => {
                self.closing.remove(&link);
                if self.sockets.remove(&link).is_some() {
                    self.feed(Input::LinkDown { link });
                    self.sources.remove(&link);
                }
            }
            Report::Failed { link, fault } => {
                self.closing.remove(&link);
                if self.sockets.remove(&link).is_some() {
                    self.feed(Input::LinkFailed { link, fault });
                }
            }
            Report::LookedUp { url, found } => self.looked_up(url, found),
            Report::StunServers(servers) => {
                self.stun = servers;
                self.ask_for_addresses();
            }
            // Of a socket that the node has closed.
            Report::Up { .. } | Report::Frame { .. } | Report::Buffered { .. } => {}
        }
    }

    fn command(
        &mut self,
        command: Command,
        reply: oneshot::Sender<Result<Reply, Error>>,
        delivery: Option<Delivery>,
    ) -> RequestId {
        if let Command::Connect { node } = &command {
            self.registry.trying(node);
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(request, Waiting { reply, delivery });
        self.feed(Input::Command { request, command });
        request
    }

    /// Handles one input and everything that follows from it at once.
    fn feed(&mut self, input: Input) {
        let mut fresh = Zeroizing::new([0; 32]);
        secret::fill(fresh.as_mut());
        self.node.stir(&fresh);
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let now = self.clock.now();
            self.node.handle(now, input);
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.node.poll() {
                Output::Open { link, dial } => self.open(link, dial),
                Output::LookUp(look_up) => self.look_up(look_up),
                Output::StunServers(servers) => {
                    self.known_stun = servers;
                    self.ask_for_addresses();
                }
                Output::Signal { link, signal } => self.signal(link, &signal),
                Output::Send { link, bytes } => self.send(link, bytes),
                Output::Close { link, reason } => self.close_link(link, reason),
                Output::Store { op, task } => self.storage.submit(op, task),
                Output::Done { request, result } => self.done(request, result),
                Output::Event(event) => self.event(event),
                Output::Idle { wake } => {
                    self.wake = wake;
                    break;
                }
            }
        }
        for link in std::mem::take(&mut self.fed) {
            if let Some(socket) = self.sockets.get(&link) {
                let bytes = socket.queued();
                self.inputs.push_back(Input::Buffered { link, bytes });
            }
        }
    }

    fn look_up(&self, look_up: LookUp) {
        let (report, trust) = (self.report.clone(), self.trust.clone());
        tokio::spawn(async move {
            let found = lookup::fetch(&look_up, &trust).await;
            // The host may have ended meanwhile.
            let _ = report.send(Report::LookedUp { url: look_up.url, found }).await;
        });
    }

    fn keep(&mut self, page: NodeUrl) {
        if self.pages.len() >= PAGES_MAX {
            self.pages.pop_first();
        }
        let state = self.registry.node(&page);
        self.pages.insert(page.clone());
        if let Some(state) = state {
            self.keep_known(&page, &state);
        }
    }

    /// Keeps a page that is a node. The state of an address says only that it is dialled, until there is a link.
    fn keep_known(&mut self, page: &NodeUrl, state: &NodeState) {
        let known = match state {
            NodeState::Known { .. } => page.is_web(),
            NodeState::Linked { .. } => true,
            NodeState::Trying | NodeState::Failed { .. } | NodeState::Forgotten => false,
        };
        if !known || !self.pages.remove(page) {
            return;
        }
        let Some(folder) = self.folder.clone() else { return };
        let page = page.clone();
        // On a thread of its own: the disk may be slow. The runtime waits for it when the host ends.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = folder.remember_node(&page) {
                tracing::warn!(%page, %error, "the node of the link is not kept");
            }
        });
    }

    /// Tells the node; and people, once for each cause in a row.
    fn looked_up(&mut self, url: String, found: Result<Vec<String>, Failure>) {
        let found = found.map_err(|Failure { fault, cause }| {
            if self.causes.get(&url) != Some(&cause) {
                tracing::warn!(
                    "the node described at {url} is not reached: {cause}; it is tried again"
                );
                if self.causes.len() >= CAUSES_MAX {
                    self.causes.pop_first();
                }
                self.causes.insert(url.clone(), cause);
            }
            fault
        });
        if found.is_ok() {
            self.causes.remove(&url);
        }
        self.feed(Input::LookedUp { url, found });
    }

    /// Has the names of the application's STUN servers resolved.
    fn resolve_stun(&mut self) {
        let urls = std::mem::take(&mut self.stun_urls);
        if !urls.is_empty() {
            let report = self.report.clone();
            tokio::spawn(async move {
                let servers = stun_url::resolve(urls).await;
                let _ = report.send(Report::StunServers(servers)).await;
            });
        }
    }

    /// Has the engine ask for our addresses: the servers of the application, then those of the node.
    fn ask_for_addresses(&mut self) {
        let mut servers = self.stun.clone();
        servers.extend(self.known_stun.iter().filter(|it| !self.stun.contains(it)));
        tracing::debug!(?servers, "STUN servers");
        self.engine.stun_servers(servers);
    }

    fn open(&mut self, link: LinkId, dial: Dial) {
        tracing::debug!(link = link.0, ?dial, "link begun");
        let channel = match dial {
            Dial::Address(Address::WebSocket { url }, places) => {
                let socket =
                    websocket::dial(link, url, places, self.trust.clone(), self.report.clone());
                self.sockets.insert(link, socket);
                return;
            }
            Dial::Address(Address::Rtc { socket, fingerprint }, _) => {
                self.engine.dial(socket, *fingerprint.as_bytes())
            }
            Dial::Offer => self.engine.offer(),
            Dial::Answer => self.engine.answer(),
        };
        match channel {
            Ok(channel) => self.bind(link, channel),
            Err(error) => {
                tracing::debug!(link = link.0, %error, "data channel not begun");
                let no_route = error == DialError::NoRoute;
                let fault = if no_route { LinkFault::Unreachable } else { LinkFault::Unknown };
                self.inputs.push_back(Input::LinkFailed { link, fault });
            }
        }
    }

    fn signal(&mut self, link: LinkId, signal: &[u8]) {
        let (Some(channel), Ok(json)) = (self.channels.get(&link), std::str::from_utf8(signal))
        else {
            return;
        };
        if let Err(error) = self.engine.signal(*channel, json) {
            tracing::debug!(link = link.0, %error, "signal not taken");
            // Without the offer that it was made for it waits for nothing.
            if self.engine.awaits_offer(*channel) {
                let channel = *channel;
                self.engine.close(channel);
                self.channels.remove(&link);
                self.links.remove(&channel);
                let fault = LinkFault::Rejected;
                self.inputs.push_back(Input::LinkFailed { link, fault });
            }
        }
    }

    fn send(&mut self, link: LinkId, bytes: Bytes) {
        self.counts.sent += 1;
        if let Some(channel) = self.channels.get(&link).copied() {
            if self.engine.send(channel, &bytes) {
                return;
            }
            self.engine.close(channel);
            self.channels.remove(&link);
            self.links.remove(&channel);
        } else if let Some(socket) = self.sockets.get(&link) {
            if socket.send(bytes) {
                self.fed.insert(link);
                return;
            }
            self.sockets.remove(&link);
        } else {
            // It went down, and the node will learn so with an input that waits already.
            return;
        }
        // A frame that cannot be sent would be missing in an ordered stream.
        tracing::debug!(link = link.0, "transport takes no more; given up");
        self.inputs.push_back(Input::LinkDown { link });
    }

    fn close_link(&mut self, link: LinkId, reason: CloseReason) {
        tracing::debug!(link = link.0, ?reason, "link closed");
        self.sources.remove(&link);
        if let Some(channel) = self.channels.remove(&link) {
            self.links.remove(&channel);
            self.engine.close(channel);
        }
        if self.sockets.remove(&link).is_some() {
            self.closing.insert(link);
        }
    }

    fn done(&mut self, request: RequestId, result: Result<Reply, Error>) {
        let Some(waiting) = self.waiting.remove(&request) else { return };
        if let (Some(delivery), Ok(Reply::Record(record))) = (waiting.delivery, &result) {
            self.registry.track(&delivery, record.id);
        }
        // The caller may have gone in the meantime.
        let _ = waiting.reply.send(result);
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::Opened => {
                if let Some(opened) = self.opened.take() {
                    let _ = opened.send(Ok(()));
                }
            }
            Event::StoreFailed { fault } => {
                if let Some(untold) = self.warned.tell(&format!("store: {fault}"), Instant::now()) {
                    tracing::error!(untold, "what came is not stored: {fault}");
                }
                if let Some(opened) = self.opened.take() {
                    let _ = opened.send(Err(*fault));
                }
            }
            Event::Damaged { group, records, membership } => {
                let folder = self.folder.as_ref().map(|it| it.path().display().to_string());
                let folder = folder.unwrap_or_default();
                if *membership {
                    tracing::error!(
                        ?group,
                        folder,
                        "what is kept of a group is damaged, and the group is not opened; restore it from a backup"
                    );
                } else {
                    tracing::warn!(
                        ?group,
                        records,
                        folder,
                        "stored records were damaged; they are fetched again from other members"
                    );
                }
            }
            Event::PeerMisbehaved { link, fault } => {
                let source =
                    self.sources.get(link).map_or_else(|| "a peer".to_owned(), ToString::to_string);
                if let Some(untold) = self.warned.tell(&source, Instant::now()) {
                    tracing::warn!(
                        source,
                        link = link.0,
                        ?fault,
                        untold,
                        "a peer broke the protocol"
                    );
                }
            }
            Event::Clock { group, ahead_ms: 0 } => {
                tracing::info!(%group, "the clock of this device is right");
            }
            Event::Clock { group, ahead_ms } => {
                let ahead = ClockAhead(*ahead_ms);
                tracing::warn!(
                    %group,
                    "the clock of this device is {ahead}, as a group shows; set it. The group's time is kept \
                     without it"
                );
            }
            Event::HandoverContested { group } => {
                tracing::warn!(
                    %group,
                    "an earlier key of the group has handed it over to two: that key is in other hands. \
                     The handover that came first counts here"
                );
            }
            Event::NamedNode { url, state } => {
                tracing::debug!(%url, ?state, "named node");
                self.keep_known(url, state);
            }
            Event::Status { id, held_by, .. } => self.status(*id, *held_by),
            Event::Record { .. }
            | Event::Expired { .. }
            | Event::Member { .. }
            | Event::Neighbour { .. }
            | Event::Sync { .. }
            | Event::Group(_)
            | Event::ConnectionRequired { .. }
            | Event::Conflict { .. }
            | _ => tracing::trace!(event = event.name(), "event"),
        }
        self.registry.tell(event);
    }

    fn status(&self, id: RecordId, held_by: u32) {
        if held_by > 0 {
            self.registry.sent(id);
        }
    }

    /// Leaves every graph, empties every transport and finishes what the store has to do.
    async fn close(mut self) {
        let (reply, mut done) = oneshot::channel();
        self.command(Command::Close, reply, None);
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while Instant::now() < deadline {
            let left = !matches!(done.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            if left && self.closing.is_empty() && self.storage.waiting() == 0 {
                break;
            }
            // Requests are no longer taken: the node would refuse them.
            let sleep = tokio::time::sleep_until(self.alarm().min(deadline));
            let turn = tokio::select! {
                outcome = self.outcomes.recv() => Turn::Storage(outcome),
                () = self.engine.turn() => Turn::Engine,
                report = self.reports.recv() => Turn::Report(report),
                () = sleep => Turn::Timer,
            };
            match turn {
                Turn::Storage(Some(outcome)) => self.stored(outcome),
                Turn::Engine => self.channels(),
                Turn::Report(Some(report)) => self.reported(report),
                Turn::Timer => self.feed(Input::Timeout),
                Turn::Storage(None) | Turn::Report(None) | Turn::Request(_) => break,
                Turn::Network | Turn::Interfaces => break,
            }
        }
        tracing::debug!(
            received = self.counts.received,
            sent = self.counts.sent,
            "the host ends; frames counted"
        );
    }
}

impl Drop for Driver {
    /// However the loop ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.registry.close();
    }
}
