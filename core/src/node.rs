//! The one state machine a host drives: it routes each input to the module that it concerns.
//!
//! Reading order: [`Node::handle`], then `link.rs` (what a frame is), `group.rs` (what a message of a graph does),
//! `rendezvous.rs`, `dial.rs`. Beside this file: `commands` (the application), `links` (how they
//! begin and end), `messages` (whose they are), `dialling`, `store` (the disk), `signals` (links that are opened through
//! others), `relay` (links that others carry), `direct` (direct links).
use crate::address::Address;
use crate::conduct::Conduct;
use crate::direct::Direct;
use crate::error::Error;
use crate::group::Group;
use crate::id::{GroupId, NodeId, NodeNonce};
use crate::identity::Identity;
use crate::io::{
    CloseReason, Command, Input, LinkFault, LinkId, Outbox, Output, Reply, RequestId, Wake,
};
use crate::link::{Begun, Checked, Links};
use crate::noise::StaticKey;
use crate::provider::{Channel, Checks};
use crate::random::Random;
use crate::reach::asks::Asks;
use crate::reach::circuits::Circuits;
use crate::reach::dial::Dialer;
use crate::reach::early::Early;
use crate::reach::purpose::Purpose;
use crate::reach::relay::Relays;
use crate::reach::relayed::Places;
use crate::reach::rendezvous::Tables;
use crate::reach::signals::Ways;
use crate::reach::sitting::Sitting;
use crate::sorted::SortedMap;
use crate::source::Source;
use crate::storage::Storage;
use crate::time::{Deadlines, Now, Time};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::net::SocketAddr;
use std::time::Duration;

pub use crate::config::{BadConfig, Config, Neighbours, Share, UnfitNeighbours};

/// Commands that wait until the store is read. Guess. A further one is refused as busy.
const WAITING_MAX: usize = 256;

/// Outputs for which room is kept from one input to the next. Guess: nearly all inputs have fewer.
const OUTBOX_KEPT: usize = 32;

/// A clock that has moved away from the monotonic one by more between two inputs was set. Guess: more than a time server
/// corrects at once, less than records may differ.
const CLOCK_SET_MS: u64 = 5_000;

/// A node that is not called for so long after the moment at which it asked to be has slept, or was kept from running. Guess:
/// longer than a busy machine takes. A hidden page whose timers run once a minute asks as often, and is answered.
const SLEPT_AFTER: Duration = Duration::from_secs(20);

/// One running instance of an identity.
pub struct Node {
    pub(crate) config: Config,
    checks: Checks,
    channel: Channel,
    identity: Identity,
    id: NodeId,
    nonce: NodeNonce,
    noise: StaticKey,
    rng: Random,
    table_secret: u64,
    /// Findings of the time in which the store is read.
    loading: store::Loading,
    now: Now,
    outbox: Outbox,
    addresses: Vec<Address>,
    pub(crate) links: Links,
    conduct: Conduct,
    storage: Storage,
    purposes: SortedMap<LinkId, Purpose>,
    ways: Ways,
    early: Early,
    asks: Asks,
    direct: Direct,
    /// Each in a box: a map makes room for eleven at once, and nearly all nodes have one.
    groups: SortedMap<GroupId, Box<Group>>,
    dialer: Dialer,
    /// The servers that are asked for our addresses, as the host was told, and whether they may have changed.
    stun_servers: (Vec<SocketAddr>, bool),
    tables: Tables,
    /// When we asked to be called at the latest.
    promised: Option<Time>,
    /// The circuits that we carry for others, and our ends of those that others carry.
    relays: Relays,
    circuits: Circuits,
    /// The parts of our ends that are each party's.
    relayed: Places,
    /// Offered links that are to be relayed unless they open, and when.
    plans: SortedMap<LinkId, relay::Plan>,
    plans_due: Deadlines<LinkId>,
    /// Relayed links that are to give way to direct ones.
    retries: relay::Retries,
    sitting: Sitting,
    /// Commands that came before the store was read.
    waiting: Option<Vec<(RequestId, Command)>>,
    closing: Option<Closing>,
    /// The group that has taken a message only in part.
    unfinished: Option<GroupId>,
}

/// A close that was asked for.
struct Closing {
    request: RequestId,
    /// Whether everything is durable and told.
    done: bool,
}

/// The ambient of a node.
macro_rules! ambient {
    ($node:ident) => {
        $crate::context::Ambient {
            now: $node.now,
            rng: &mut $node.rng,
            identity: &$node.identity,
            config: &$node.config,
            checks: $node.checks,
            channel: &$node.channel,
            node: $node.id,
            nonce: $node.nonce,
            table_secret: $node.table_secret,
            version_salt: $node.table_secret as u16,
            noise: &$node.noise,
            addresses: &$node.addresses,
            out: &mut $node.outbox,
        }
    };
}

/// Splits a node into what a group is given, and the rest.
macro_rules! ctx {
    ($node:ident) => {
        $crate::group::Ctx {
            ambient: ambient!($node),
            storage: &mut $node.storage,
            purposes: &mut $node.purposes,
            ways: &mut $node.ways,
            dialer: &$node.dialer,
            asks: &mut $node.asks,
        }
    };
}

mod commands;
mod dialling;
mod direct;
mod links;
mod messages;
mod paths;
mod relay;
mod signals;
mod store;

impl Node {
    /// Creates a node and begins to read its store: [`Event::Opened`](crate::io::Event::Opened) follows. Poll it first.
    ///
    /// `seed` is where its randomness begins: 32 bytes from the operating system, or a constant in tests. More comes by
    /// [`stir`](Self::stir).
    pub fn new(config: Config, identity: Identity, seed: &[u8; 32], now: Now) -> Self {
        let mut rng = Random::new(seed);
        let mut nonce = [0; NodeNonce::BYTES];
        rng.fill_bytes(&mut nonce);
        let nonce = NodeNonce::from_bytes(nonce);
        let id = NodeId::of(identity.peer_id(), nonce);
        let (checks, channel) = (config.provider.checks(), config.provider.channel());
        let noise = StaticKey::new(rng.secret(), channel.curve);
        let table_secret = rng.next_u64();
        let mut node = Self {
            config,
            checks,
            channel,
            identity,
            id,
            nonce,
            noise,
            rng,
            now,
            outbox: Outbox::new(),
            addresses: Vec::new(),
            links: Links::default(),
            conduct: Conduct::default(),
            storage: Storage::new(table_secret),
            table_secret,
            loading: store::Loading::default(),
            purposes: SortedMap::new(),
            ways: Ways::default(),
            early: Early::default(),
            asks: Asks::default(),
            direct: Direct::default(),
            groups: SortedMap::new(),
            dialer: Dialer::new(table_secret),
            stun_servers: (Vec::new(), false),
            tables: Tables::default(),
            promised: None,
            relays: Relays::default(),
            circuits: Circuits::default(),
            relayed: Places::default(),
            plans: SortedMap::new(),
            plans_due: Deadlines::default(),
            retries: relay::Retries::default(),
            sitting: Sitting::new(table_secret),
            waiting: Some(Vec::new()),
            closing: None,
            unfinished: None,
        };
        node.scan(Bytes::from_static(b"g"));
        node
    }

    /// This instance.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The identity of which this is an instance.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Mixes 32 fresh bytes from the operating system into the node's randomness. A host does so whenever it wakes: with
    /// an input in hand, before [`handle`](Self::handle). Then two copies of one state, such as a virtual machine and its
    /// restored snapshot, draw no secret and use no nonce twice.
    pub fn stir(&mut self, fresh: &[u8; 32]) {
        self.rng.stir(fresh);
        self.links.salt(self.rng.next_u64());
    }

    /// Bytes of writes that the host has not answered yet. A host that can stops reading links while these are more than
    /// [`WRITES_WAITING`](crate::limits::WRITES_WAITING) has in all, or the memory of the node grows with what others send.
    pub fn writes_waiting(&self) -> u64 {
        self.storage.waiting_bytes()
    }

    /// Whether a message was taken only in part. [`Input::Timeout`] takes the next part; any other input first takes all
    /// that is left.
    pub fn has_more(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Names a link that a stranger opened to us, from there. Report [`Input::LinkUp`] next, before anything else.
    pub fn new_link(&mut self, from: Source) -> LinkId {
        let link = self.links.create(self.now, Begun::Stranger(from));
        self.purposes.insert(link, Purpose::accepted());
        link
    }

    /// Reports one thing that happened. Never fails: a peer's bad input costs that peer its link, the
    /// application's bad input comes back as [`Output::Done`].
    ///
    /// # Panics
    /// If the outputs of the last input were not drained, or `mono` went back.
    pub fn handle(&mut self, now: Now, input: Input) {
        assert!(self.outbox.is_empty(), "drain poll() to Output::Idle between inputs");
        assert!(self.now.mono <= now.mono, "mono never goes back");
        let set = now.clock_set_since(self.now);
        let late = self.promised.is_some_and(|at| now.mono.since(at) > SLEPT_AFTER);
        self.now = now;
        if late || set > CLOCK_SET_MS as i64 {
            self.paths_changed(false);
        }
        if set.unsigned_abs() > CLOCK_SET_MS {
            for group in self.groups.values_mut() {
                group.clock_set(&mut ctx!(self), &mut self.links, set);
            }
            self.sitting.clock_set(now.mono);
        }
        self.go_on();
        while self.has_more() && !matches!(input, Input::Timeout) {
            self.go_on();
        }
        match input {
            Input::Timeout => {}
            Input::LinkUp { link, transport } => self.link_up(link, transport),
            Input::LinkDown { link } => self.link_down(link, LinkFault::Unknown),
            Input::LinkFailed { link, fault } => self.link_down(link, fault),
            Input::LinkQuiet { link } => self.link_quiet(link),
            Input::PathsChanged { gone } => self.paths_changed(gone),
            Input::Frame { link, bytes } => self.frame(link, bytes),
            Input::Buffered { link, bytes } => self.buffered(link, bytes),
            Input::Signal { link, signal } => self.local_signal(link, signal),
            Input::Stored { op, result } => self.stored(op, result),
            Input::Command { request, command } => self.command(request, command),
            Input::Addresses(addresses) => self.set_addresses(addresses),
            Input::LookedUp { url, found } => {
                self.dialer.looked_up(now.mono, &url, found);
                self.stun_servers.1 = true;
            }
        }
        self.timeouts();
        self.finish();
        self.carry_over();
    }

    /// Takes the next thing to do. Call until [`Output::Idle`].
    pub fn poll(&mut self) -> Output {
        let Some(output) = self.outbox.pop_front() else {
            // The next inputs will not fill as much as this one.
            if self.outbox.capacity() > OUTBOX_KEPT {
                self.outbox = Outbox::new();
            }
            let wake = self.wake();
            self.promised = wake.map(|wake| wake.at);
            return Output::Idle { wake };
        };
        output
    }

    fn wake(&self) -> Option<Wake> {
        if self.has_more() {
            return Some(Wake { at: self.now.mono, why: "take the rest" });
        }
        let link = self.links.deadline().map(|at| (at, "check link"));
        if self.closing.is_some() {
            return link.map(|(at, why)| Wake { at, why });
        }
        let dial = self.dialer.deadline().map(|at| (at, "dial node"));
        let groups = self.groups.values().filter_map(|group| group.deadline());
        let tables = self.sitting.deadline().map(|at| (at, "change tables"));
        let plans = self.plans_due.next().map(|(at, _)| at);
        let retries = self.retries.deadline();
        let relays = self.relays.deadline().into_iter().chain(plans).chain(retries).min();
        let relays = relays.map(|at| (at, "relay"));
        let direct = self.direct.deadline();
        let first = groups.chain(link).chain(dial).chain(tables).chain(relays).chain(direct);
        let first = first.min_by_key(|(at, _)| *at);
        first.map(|(at, why)| Wake { at, why })
    }

    fn timeouts(&mut self) {
        while let Some(link) = self.links.due(self.now) {
            let used = self.needs(link);
            match self.links.check(self.now, link, used, &mut self.outbox) {
                Checked::Fine => {}
                Checked::Doubted => {
                    self.replace(link);
                    self.dialer.doubted(self.now.mono, link);
                    for group in self.groups.values_mut() {
                        group.doubt(&mut ctx!(self), &mut self.links, link);
                    }
                }
                Checked::Over(reason) => self.close(link, reason),
            }
        }
        if self.closing.is_some() {
            return;
        }
        self.change_tables();
        self.relays_due();
        self.direct_due();
        let due = |group: &Group, now: Time| group.deadline().is_some_and(|(at, _)| at <= now);
        let groups: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, group)| due(group, self.now.mono))
            .map(|(&id, _)| id)
            .collect();
        for id in groups {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if group.gave_up_joining(self.now.mono) {
                let nobody = || Error::NobodyFound(Box::new(group.tell_tried(&self.dialer)));
                let error = group.why_in_vain().cloned().unwrap_or_else(nobody);
                group.abandon(&mut ctx!(self), &error);
            } else {
                group.timeout(&mut ctx!(self), &mut self.links);
            }
            if self.groups.get(&id).is_some_and(|group| group.is_abandoned())
                && let Some(mut group) = self.forget_group(id)
            {
                group.close_slots(&mut self.links);
            }
        }
    }

    /// Sends what this input left to be sent.
    fn finish(&mut self) {
        self.dial();
        self.choose_stun_servers();
        self.note_turned();
        for link in self.links.crowded_out() {
            self.close(link, CloseReason::Full);
        }
        for group in std::mem::take(&mut self.asks.sit) {
            for link in self.rendezvous_links() {
                self.sit_at(group, link);
            }
        }
        for group in self.groups.values_mut() {
            group.flush_floods(&mut ctx!(self), &mut self.links);
            // Records that were sent count: they may be too much already.
            group.publish_waiting(&mut ctx!(self), &self.links);
        }
        self.finish_direct();
        for (link, reason) in std::mem::take(&mut self.asks.unwanted) {
            if !self.needs(link) {
                self.close(link, reason);
            }
        }
        self.storage.flush(&mut self.outbox);
        let nothing_to_close = self.closing.as_ref().is_none_or(|closing| closing.done);
        if nothing_to_close || !self.storage.is_quiet() {
            return;
        }
        let open: Vec<LinkId> = self.links.iter().map(|(link, _)| link).collect();
        for link in open {
            self.close(link, CloseReason::Leaving);
        }
        if let Some(closing) = &mut self.closing {
            closing.done = true;
            let request = closing.request;
            self.done(request, Ok(Reply::Ok));
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("peer", &self.identity.peer_id())
            .field("groups", &self.groups.len())
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}
