//! The one state machine a host drives: it routes each input to the module that it concerns.
//!
//! Reading order: [`Node::handle`], then `link.rs` (what a frame is), `group.rs` (what a message of a graph does),
//! `rendezvous.rs`, `dial.rs`. Beside this file: `commands` (the application), `store` (the disk), `signals` (links that
//! are opened through others).
use crate::address::Address;
use crate::cert::VerifiedChain;
use crate::conduct::Conduct;
use crate::error::{Error, Misbehaved};
use crate::group::{Group, Verdict};
use crate::id::{Digest, GroupId, NodeId, NodeNonce, PeerId};
use crate::identity::{Domain, Identity};
use crate::io::{
    CloseReason, Command, Dial, Event, Input, LinkFault, LinkId, NodeState, Outbox, Outcome,
    Output, PlaceSource, Reply, RequestId, Transport, Wake,
};
use crate::limits;
use crate::link::{Begun, Checked, Links, Received, Room};
use crate::node_url::NodeUrl;
use crate::noise::StaticKey;
use crate::place::Places;
use crate::provider::{Channel, Checks, Membership, Provider};
use crate::random::Random;
use crate::reach::dial::{Dialer, Step, Want, Wish};
use crate::reach::early::Early;
use crate::reach::purpose::Purpose;
use crate::reach::rendezvous::Tables;
use crate::reach::signals::{Over, Ways};
use crate::reach::sitting::Sitting;
use crate::record::{Record, RecordType, Signed};
use crate::source::Source;
use crate::storage::Storage;
use crate::time::{Now, Time};
use crate::wire::kind::{self, Kind};
use crate::wire::{self, Message, Versions};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::config::{BadConfig, Neighbours, UnfitNeighbours};

/// Commands that wait until the store is read. Guess. A further one is refused as busy.
const WAITING_MAX: usize = 256;

/// Outputs for which room is kept from one input to the next. Guess: nearly all inputs have fewer.
const OUTBOX_KEPT: usize = 32;

/// A clock that has moved away from the monotonic one by more between two inputs was set. Guess: more than a time server
/// corrects at once, less than records may differ.
const CLOCK_SET_MS: u64 = 5_000;

/// Tunables of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many neighbours it wants in each graph.
    pub neighbours: Neighbours,
    /// Types of records that a sync brings first, in this order; at most
    /// [`PRIORITIES_MAX`](crate::limits::PRIORITIES_MAX) of them.
    pub priorities: Vec<RecordType>,
    /// Whether it serves as rendezvous for groups that it need not be a member of.
    pub rendezvous: bool,
    /// Whether only members that this node knows are told that it is in their group. Everybody else that asks, newcomers with
    /// an invitation too, gets the answer of a node that is not: others let them in. While this node joins it asks whom it
    /// meets, as always.
    pub members_only: bool,
    /// Which versions of the protocol it speaks: a seam for tests, in which nodes are of other releases.
    pub versions: Versions,
    /// What decides who and what is to be trusted.
    pub provider: Arc<dyn Provider>,
    /// Whether the host hands over all that comes, however much waits for its disk, as a browser must: the node then puts
    /// off what it is brought meanwhile. Another stops reading, see [`Node::writes_waiting`].
    pub reads_on: bool,
    /// How what many nodes hold is kept: a seam for simulations, which keep one copy of each.
    pub share: Share,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            neighbours: Neighbours::default(),
            priorities: Vec::new(),
            rendezvous: false,
            members_only: false,
            versions: Versions::OURS,
            provider: Arc::new(Membership),
            reads_on: false,
            share: Share::default(),
        }
    }
}

/// How a node keeps what others hold as well. By default each for itself; a simulation of a thousand nodes has no room for a
/// thousand copies. What is answered equals what was given.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Of a record to be kept: its bytes, and their digest.
    pub record: fn(&Bytes, &Digest) -> Bytes,
    /// Of a membership that was verified.
    pub membership: fn(VerifiedChain) -> VerifiedChain,
}

impl Default for Share {
    fn default() -> Self {
        Self { record: |bytes, _| bytes.clone(), membership: |chain| chain }
    }
}

/// What modules share while one input is handled.
pub(crate) struct Ctx<'a> {
    pub(crate) now: Now,
    pub(crate) rng: &'a mut Random,
    pub(crate) identity: &'a Identity,
    pub(crate) config: &'a Config,
    pub(crate) checks: Checks,
    pub(crate) channel: &'a Channel,
    pub(crate) node: NodeId,
    /// What makes that id ours.
    pub(crate) nonce: NodeNonce,
    /// With which tables are hashed, see `table.rs`.
    pub(crate) table_secret: u64,
    /// See [`next_version`](crate::record::next_version).
    pub(crate) version_salt: u16,
    pub(crate) noise: &'a StaticKey,
    /// Where we can be dialled.
    pub(crate) addresses: &'a [Address],
    pub(crate) out: &'a mut Outbox,
    pub(crate) storage: &'a mut Storage,
    pub(crate) purposes: &'a mut BTreeMap<LinkId, Purpose>,
    pub(crate) ways: &'a mut Ways,
    /// Groups that look for members at the rendezvous nodes.
    pub(crate) sit: &'a mut BTreeSet<GroupId>,
    /// Links to close at the end of this input, unless another graph needs them.
    pub(crate) unwanted: &'a mut BTreeMap<LinkId, CloseReason>,
    /// What is being dialled.
    pub(crate) dialer: &'a Dialer,
    /// Links that groups want from now on.
    pub(crate) wishes: &'a mut Vec<Wish>,
    /// Groups that have got a neighbour: they look for any member no longer.
    pub(crate) settled: &'a mut BTreeSet<GroupId>,
    /// Whether a join goes on, for which named nodes that are not reached are tried again.
    pub(crate) again: &'a mut bool,
}

impl Ctx<'_> {
    /// Random bytes that others may see. Secrets come from [`Random::secret`].
    pub(crate) fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Whether what a link brings is to come later, since too much waits for the disk.
    pub(crate) fn puts_off(&self, from: Option<LinkId>) -> bool {
        self.config.reads_on && !self.storage.has_room(from)
    }

    /// Signs a record as this node's identity.
    pub(crate) fn sign(&self, group: GroupId, record: Record) -> Signed {
        let sign =
            |message: &[u8]| self.config.provider.sign(self.identity, Domain::Record, message);
        record.sign_with(group, sign)
    }
}

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
    /// What is found while the store is read.
    loading: store::Loading,
    now: Now,
    outbox: Outbox,
    addresses: Vec<Address>,
    pub(crate) links: Links,
    conduct: Conduct,
    storage: Storage,
    purposes: BTreeMap<LinkId, Purpose>,
    ways: Ways,
    early: Early,
    sit: BTreeSet<GroupId>,
    unwanted: BTreeMap<LinkId, CloseReason>,
    /// Each in a box: a map makes room for eleven at once, and nearly all nodes have one.
    groups: BTreeMap<GroupId, Box<Group>>,
    dialer: Dialer,
    wishes: Vec<Wish>,
    settled: BTreeSet<GroupId>,
    again: bool,
    tables: Tables,
    sitting: Sitting,
    /// Commands that came before the store was read.
    waiting: Option<Vec<(RequestId, Command)>>,
    closing: Option<Closing>,
}

/// A close that was asked for.
struct Closing {
    request: RequestId,
    /// Whether everything is durable and told.
    done: bool,
}

/// Splits a node into the part that modules share and the parts that they are.
macro_rules! ctx {
    ($node:ident) => {
        Ctx {
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
            storage: &mut $node.storage,
            purposes: &mut $node.purposes,
            ways: &mut $node.ways,
            sit: &mut $node.sit,
            unwanted: &mut $node.unwanted,
            dialer: &$node.dialer,
            wishes: &mut $node.wishes,
            settled: &mut $node.settled,
            again: &mut $node.again,
        }
    };
}

mod commands;
mod signals;
mod store;

impl Node {
    /// Creates a node and begins to read its store: [`Event::Opened`] follows. Poll it first.
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
            purposes: BTreeMap::new(),
            ways: Ways::default(),
            early: Early::default(),
            sit: BTreeSet::new(),
            unwanted: BTreeMap::new(),
            groups: BTreeMap::new(),
            dialer: Dialer::new(table_secret),
            wishes: Vec::new(),
            settled: BTreeSet::new(),
            again: false,
            tables: Tables::default(),
            sitting: Sitting::new(table_secret),
            waiting: Some(Vec::new()),
            closing: None,
        };
        node.scan(Bytes::from_static(b"g"));
        node
    }

    /// This instance.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Whose instance it is.
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
    /// [`WRITES_WAITING`](limits::WRITES_WAITING) has in all, or the memory of the node grows with what others send.
    pub fn writes_waiting(&self) -> u64 {
        self.storage.waiting_bytes()
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
        self.now = now;
        if set > CLOCK_SET_MS as i64 {
            self.links.ask_all(now, &mut self.outbox);
        }
        if set.unsigned_abs() > CLOCK_SET_MS {
            for group in self.groups.values_mut() {
                group.clock_set(&mut ctx!(self), &mut self.links, set);
            }
            self.sitting.clock_set(now.mono);
        }
        match input {
            Input::Timeout => {}
            Input::LinkUp { link, transport } => self.link_up(link, transport),
            Input::LinkDown { link } => self.link_down(link, LinkFault::Unknown),
            Input::LinkFailed { link, fault } => self.link_down(link, fault),
            Input::LinkQuiet { link } => self.links.ask(self.now, link, &mut self.outbox),
            Input::Frame { link, bytes } => self.frame(link, bytes),
            Input::Buffered { link, bytes } => self.buffered(link, bytes),
            Input::Signal { link, signal } => self.local_signal(link, signal),
            Input::Stored { op, result } => self.stored(op, result),
            Input::Command { request, command } => self.command(request, command),
            Input::Addresses(addresses) => self.set_addresses(addresses),
            Input::LookedUp { url, found } => self.dialer.looked_up(now.mono, &url, found),
        }
        self.timeouts();
        self.finish();
    }

    /// Takes the next thing to do. Call until [`Output::Idle`].
    pub fn poll(&mut self) -> Output {
        let Some(output) = self.outbox.pop_front() else {
            // What one input filled, the next ones will not.
            if self.outbox.capacity() > OUTBOX_KEPT {
                self.outbox = Outbox::new();
            }
            return Output::Idle { wake: self.wake() };
        };
        output
    }

    fn wake(&self) -> Option<Wake> {
        let link = self.links.deadline().map(|at| (at, "check link"));
        if self.closing.is_some() {
            return link.map(|(at, why)| Wake { at, why });
        }
        let dial = self.dialer.deadline().map(|at| (at, "dial node"));
        let groups = self.groups.values().filter_map(|group| group.deadline());
        let tables = self.sitting.deadline().map(|at| (at, "change tables"));
        let first = groups.chain(link).chain(dial).chain(tables).min_by_key(|(at, _)| *at);
        first.map(|(at, why)| Wake { at, why })
    }

    // --- links ---------------------------------------------------------------------------------------

    fn link_up(&mut self, link: LinkId, transport: Transport) {
        let full = self.links.len() > limits::LINKS_MAX;
        let stranger = self.purposes.get(&link).is_some_and(|purpose| purpose.accepted);
        if (full && stranger) || self.closing.is_some() {
            self.close(link, CloseReason::Full);
            return;
        }
        self.links.up(&mut ctx!(self), link, transport);
    }

    fn frame(&mut self, link: LinkId, bytes: Bytes) {
        let room = self.room_of(link);
        let done = self.links.frame(&mut ctx!(self), link, bytes, room);
        let done = match done {
            Ok(Received::Nothing) => Ok(()),
            Ok(Received::Ready) => {
                self.link_ready(link);
                Ok(())
            }
            Ok(Received::NoCommonVersion(reason)) => {
                self.close(link, reason);
                Ok(())
            }
            Ok(Received::Message(message)) => self.message(link, &message),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = done {
            if let Some(ready) = self.links.ready(link) {
                self.conduct.blame(self.now.mono, ready.peer, fault);
            }
            self.outbox.push_back(Output::Event(Event::PeerMisbehaved { link, fault }));
            self.close(link, CloseReason::Misbehaved(fault));
        }
    }

    /// Only neighbours send records; whoever is not one has little to say.
    fn room_of(&self, link: LinkId) -> Room {
        let neighbour_in = self.groups.values().filter(|group| group.is_neighbour(link));
        let bytes_max = neighbour_in.map(|group| group.message_bytes_max()).max();
        match bytes_max {
            Some(bytes_max) => Room::Neighbour(bytes_max),
            None if self.groups.values().any(|group| group.expects_of(link)) => Room::Asked,
            None => Room::Stranger,
        }
    }

    /// The handshake is complete: keep the link, and use it for what it was opened for.
    fn link_ready(&mut self, link: LinkId) {
        let Some(ready) = self.links.ready(link) else { return };
        let (node, peer) = (ready.node, ready.peer);
        if self.conduct.is_banned(self.now.mono, peer) {
            self.close(link, CloseReason::Banned);
            return;
        }
        self.ways.arrived(link, node);
        for group in self.groups.values_mut() {
            group.trace.reached(link);
        }
        if node == self.id {
            self.leads_to(link, node);
            self.close(link, CloseReason::Myself);
            return;
        }
        let won = self.dialer.ready(self.now.mono, link, node, peer);
        for loser in won.losers {
            self.close(loser, CloseReason::Unused);
        }
        let kept = self.keep_one(link);
        self.serve(kept, won.wants.iter().any(|want| matches!(want, Want::Named(_))));
        if self.waiting.is_none() {
            self.sit_on(kept);
        }
    }

    /// Where there are two links to one node, closes one. Answers the one that is kept.
    fn keep_one(&mut self, link: LinkId) -> LinkId {
        let Some(twin) = self.links.twin(link) else { return link };
        let Some(loser) = self.loser(link, twin) else { return link };
        if let Some(node) = self.links.ready(link).map(|ready| ready.node) {
            self.leads_to(loser, node);
        }
        self.close(loser, CloseReason::Duplicate);
        if loser == link { twin } else { link }
    }

    /// The address of a link led to `node`, which is ourselves or linked already: groups may forget it.
    fn leads_to(&mut self, link: LinkId, node: NodeId) {
        let Some(address) = self.dialer.address_of(link).cloned() else { return };
        for group in self.groups.values_mut() {
            group.leads_to(self.id, &address, node);
        }
    }

    /// Uses a link for what it is for, and for every group that has nobody.
    fn serve(&mut self, link: LinkId, named: bool) {
        if self.waiting.is_some() {
            // Groups are half read.
            return;
        }
        let ours = self.links.get(link).is_some_and(|link| link.initiator);
        let purpose = self.purposes.get(&link).cloned().unwrap_or_default();
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            let lonely = |group: &Group| ours && group.is_lonely(self.now, &self.links);
            let wanted = named
                || purpose.groups.contains(&id)
                || self.groups.get(&id).is_some_and(|group| lonely(group));
            if wanted {
                self.open(id, link);
            }
        }
    }

    fn open(&mut self, group: GroupId, link: LinkId) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.open_on(&mut ctx!(self), &mut self.links, link);
        }
    }

    /// Of two links to one node both ends close the same one: the WebSocket rather than the data channel, then the one
    /// whose initiator has the higher node id. Of two with one initiator, that one closes the newer; the other end
    /// lets it decide.
    fn loser(&self, a: LinkId, b: LinkId) -> Option<LinkId> {
        let rank = |id: LinkId| {
            let (link, ready) = (self.links.get(id)?, self.links.ready(id)?);
            let initiator = if link.initiator { self.id } else { ready.node };
            Some((!ready.direct, initiator, link.initiator))
        };
        let (rank_a, rank_b) = (rank(a)?, rank(b)?);
        match (rank_a.0, rank_a.1).cmp(&(rank_b.0, rank_b.1)) {
            std::cmp::Ordering::Less => Some(b),
            std::cmp::Ordering::Greater => Some(a),
            std::cmp::Ordering::Equal => rank_a.2.then_some(a.max(b)),
        }
    }

    fn buffered(&mut self, link: LinkId, bytes: usize) {
        self.links.buffered(link, bytes, &mut self.outbox);
        if bytes <= limits::BUFFERED_LOW_BYTES {
            for group in self.groups.values_mut().filter(|group| group.is_neighbour(link)) {
                group.give(&mut ctx!(self), &mut self.links, link);
            }
        }
    }

    /// The transport of a link is gone, or did not come to be.
    fn link_down(&mut self, link: LinkId, fault: LinkFault) {
        let end = self.links.ready(link).map(|ready| (ready.node, ready.peer));
        let outcome = match self.links.get(link) {
            Some(it) if it.is_opening() && fault != LinkFault::Rejected => Outcome::Failed(fault),
            Some(_) if end.is_none() => Outcome::NoHandshake,
            Some(_) | None => Outcome::Lost,
        };
        if self.links.remove(link).is_some() {
            self.note_end(link, Some(outcome));
            self.forget_link(link, end);
        }
    }

    fn close(&mut self, link: LinkId, reason: CloseReason) {
        let end = self.links.ready(link).map(|ready| (ready.node, ready.peer));
        let outcome = match reason {
            CloseReason::Unused if end.is_none() => None,
            CloseReason::Silent if end.is_none() => Some(Outcome::Failed(LinkFault::Silent)),
            CloseReason::Misbehaved(_) if end.is_none() => Some(Outcome::NoHandshake),
            CloseReason::Duplicate => Some(Outcome::Same),
            CloseReason::Myself => Some(Outcome::Ourselves),
            CloseReason::Misbehaved(_) | CloseReason::Silent | CloseReason::Slow => {
                Some(Outcome::Lost)
            }
            CloseReason::Full | CloseReason::Banned | CloseReason::Revoked => Some(Outcome::Lost),
            CloseReason::Unused | CloseReason::Leaving => Some(Outcome::Lost),
            CloseReason::WeAreOlder => Some(Outcome::WeAreOlder),
            CloseReason::TheyAreOlder => Some(Outcome::TheyAreOlder),
        };
        if self.links.remove(link).is_some() {
            self.note_end(link, outcome);
            self.outbox.push_back(Output::Close { link, reason });
            self.forget_link(link, end);
        }
    }

    /// Notes how a link ended, for people who wait; nothing if another one was quicker.
    fn note_end(&mut self, link: LinkId, outcome: Option<Outcome>) {
        for group in self.groups.values_mut() {
            match outcome {
                Some(outcome) => group.trace.lost(link, outcome),
                None => group.trace.ended(link),
            }
        }
    }

    /// A link is no more. If another one leads to the same node, that one takes over everything.
    fn forget_link(&mut self, link: LinkId, end: Option<(NodeId, PeerId)>) {
        let heir = end.and_then(|(node, peer)| self.links.to(node, peer));
        let purpose = self.purposes.remove(&link).unwrap_or_default();
        let mut moving = BTreeSet::new();
        if let Some(heir) = heir {
            moving = self.hand_over(link, heir, &purpose);
        }
        let missed = self.dialer.lost(self.now.mono, link).is_some();
        if let Some(Over::Graph { group, to }) = self.ways.remove(link)
            && let Some(group) = self.groups.get_mut(&group)
        {
            group.signalled(to, end.is_some());
        }
        self.tables.link_down(link);
        self.sitting.link_down(link);
        for group in self.groups.values_mut() {
            group.link_down(&mut ctx!(self), &mut self.links, link, heir.is_some());
            if missed && purpose.groups.contains(&group.id) {
                group.trace.missed();
            }
        }
        for group in moving {
            self.open(group, heir.unwrap_or(link));
        }
    }

    /// Gives what a link was for, what it carried for others, and the seats over it, to another link to the same node.
    /// Answers the groups that are to be opened there.
    fn hand_over(&mut self, from: LinkId, to: LinkId, purpose: &Purpose) -> BTreeSet<GroupId> {
        let heir = self.purposes.entry(to).or_default();
        heir.groups.extend(&purpose.groups);
        self.dialer.moved(from, to);
        // Seats are taken by who dialled, on either side.
        if self.has_rendezvous(to) {
            self.sitting.moved(from, to);
        } else if !self.is_client(to) {
            self.tables.moved(from, to);
        }
        self.ways.moved(from, to);
        let opened = self.groups.values().filter(|group| group.opened(from)).map(|group| group.id);
        let mut moving: BTreeSet<GroupId> = opened.collect();
        moving.extend(purpose.groups.iter().filter(|group| self.groups.contains_key(group)));
        moving
    }

    /// Whether anything needs a link to stay.
    fn needs(&self, link: LinkId) -> bool {
        let rendezvous = self.links.ready(link).is_some_and(|ready| ready.rendezvous);
        self.tables.needs(link)
            || (rendezvous && self.dialer.is_named(link))
            || self.groups.values().any(|group| group.needs(link))
    }

    // --- dialling --------------------------------------------------------------------------------------

    /// Does what the dialling plan says, until it says nothing more.
    fn dial(&mut self) {
        if self.closing.is_some() {
            return;
        }
        for wish in std::mem::take(&mut self.wishes) {
            self.dialer.wish(self.now.mono, wish, &self.addresses);
        }
        for group in std::mem::take(&mut self.settled) {
            self.dialer.stop(self.now.mono, Want::Any(group));
        }
        if std::mem::take(&mut self.again) {
            self.dialer.again(self.now.mono);
        }
        while let Some(step) = self.dialer.next(self.now.mono, &self.addresses) {
            match step {
                Step::LookUp(look_up) => self.outbox.push_back(Output::LookUp(look_up)),
                Step::Dial(address, places) => self.dial_address(address, places),
                Step::End(link) => self.close(link, CloseReason::Silent),
                Step::Share(want, link) => self.note_attempt(want, link),
                Step::Serve(want, link) => self.serve_want(want, link),
                Step::Vain(want) => self.in_vain(want),
            }
        }
        for (url, state) in self.dialer.news() {
            self.outbox.push_back(Output::Event(Event::NamedNode { url, state }));
        }
    }

    fn dial_address(&mut self, address: Address, places: Places) {
        let group = self.dialer.wanted_for(&address);
        if !self.links.may_begin(group) {
            // Its race goes on with it after a while.
            return;
        }
        let link = self.links.create(self.now, Begun::Ours(group));
        let wants = self.dialer.dialled(self.now.mono, &address, link);
        self.purposes.insert(link, Purpose::default());
        if wants.iter().any(|want| matches!(want, Want::Named(_))) {
            for group in self.groups.values_mut() {
                group.dialled(link, &address, PlaceSource::Node);
            }
        }
        for want in wants {
            self.note_attempt(want, link);
        }
        self.outbox.push_back(Output::Open { link, dial: Dial::Address(address, places) });
    }

    /// A link is being dialled for this want.
    fn note_attempt(&mut self, want: Want, link: LinkId) {
        let Some(id) = want.group() else { return };
        self.purposes.entry(link).or_default().groups.insert(id);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.attempt(link, want);
        if let (Some(address), Some(source)) =
            (self.dialer.address_of(link), self.dialer.source_of(link))
        {
            group.dialled(link, address, source.into());
        }
    }

    /// A link that is there is what somebody waits for.
    fn serve_want(&mut self, want: Want, link: LinkId) {
        match want.group() {
            Some(group) => {
                self.purposes.entry(link).or_default().groups.insert(group);
                self.open(group, link);
                self.sit_on(link);
            }
            None => self.serve(link, true),
        }
    }

    /// No address of a want answers. A member is offered a link over the graph then.
    fn in_vain(&mut self, want: Want) {
        if let Want::Member(group, node) = want
            && let Some(group) = self.groups.get_mut(&group)
        {
            group.unreached(&mut ctx!(self), &mut self.links, node);
        }
    }

    /// A group is no longer one of ours: nothing is dialled for it.
    fn forget_group(&mut self, id: GroupId) -> Option<Box<Group>> {
        let group = self.groups.remove(&id);
        for link in self.dialer.leave(id) {
            self.close(link, CloseReason::Unused);
        }
        self.forget_nodes();
        group
    }

    /// Forgets the nodes that only an invitation named, once no group needs them: its preview is done, its join has
    /// failed, or the group was left.
    fn forget_nodes(&mut self) {
        let groups = &self.groups;
        let needed = |url: &NodeUrl| groups.values().any(|group| group.nodes().contains(url));
        for url in self.dialer.forget(needed) {
            let state = NodeState::Forgotten;
            self.outbox.push_back(Output::Event(Event::NamedNode { url, state }));
        }
    }

    // --- messages --------------------------------------------------------------------------------------

    fn message(&mut self, link: LinkId, message: &Bytes) -> Result<(), Misbehaved> {
        let &number = message.first().ok_or(Misbehaved::BadMessage)?;
        // A later version's: nothing is done for it, so that it costs nobody anything.
        let Some(kind) = Kind::of(number) else { return Ok(()) };
        if !self.takes_bulk(link, kind, message)
            && let Some(ready) = self.links.ready(link)
            && !self.conduct.hear(self.now.mono, ready.peer, kind)?
        {
            return Ok(());
        }
        if kind.is_of_graph() {
            return self.graph_message(link, kind, message);
        }
        let body = &message[1..];
        match kind {
            kind::PING => {
                self.links.send(self.now, link, &Message::PONG, &mut self.outbox);
            }
            kind::SIT | kind::CARRY | kind::RISE
                if self.config.rendezvous && !self.is_client(link) =>
            {
                // The other end may have moved here from another link, and we did not hear of it yet.
                if !self.tables.needs(link)
                    && let Some(twin) = self.links.twin(link)
                {
                    self.tables.moved(twin, link);
                }
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                match kind {
                    kind::SIT => self.tables.sit(ctx, links, link, body)?,
                    kind::CARRY => self.tables.carry(ctx, links, link, body)?,
                    _ => self.tables.rise(link, body)?,
                }
            }
            // From others than the rendezvous nodes at whose tables we sit they are for nobody.
            kind::SEATS if self.has_rendezvous(link) => self.seats(link, body)?,
            kind::CARRY if self.has_rendezvous(link) => self.carried(link, body)?,
            kind::RISE if self.has_rendezvous(link) => self.lost_seat(link, body)?,
            // Seats move to another link to the same node, which may be one that the node with the table dialled.
            kind::SIT | kind::CARRY | kind::RISE if self.config.rendezvous => {}
            kind::SEATS | kind::CARRY | kind::RISE
                if self.links.ready(link).is_some_and(|ready| ready.rendezvous) => {}
            // It has done its work by arriving.
            kind::PONG => {}
            _ => return Err(Misbehaved::Unexpected),
        }
        Ok(())
    }

    /// Whether a message is bulk, and of a neighbour, which pays for it by what it brings. From anybody else it is a word.
    fn takes_bulk(&self, link: LinkId, kind: Kind, message: &[u8]) -> bool {
        let takes = |group: &Group| group.takes_bulk(self.now.mono, link);
        let slot = wire::slot_in(message).filter(|_| kind::is_bulk(kind, message));
        match slot.map(|slot| self.links.group_at(link, slot)) {
            Some(Some(id)) => self.groups.get(&id).is_some_and(|group| takes(group)),
            // The slot was freed meanwhile: it may have been a neighbour's.
            Some(None) => self.groups.values().any(|group| takes(group)),
            None => false,
        }
    }

    /// Whether we are the one who dialled: then the other end may be our rendezvous, not the reverse.
    fn is_client(&self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|link| link.initiator)
    }

    fn graph_message(
        &mut self,
        link: LinkId,
        kind: Kind,
        message: &Bytes,
    ) -> Result<(), Misbehaved> {
        let (slot, body) = wire::slot_of(message)?;
        if kind == kind::OPEN {
            return self.asked_to_open(link, slot, &body);
        }
        // A graph that ended meanwhile is normal.
        let Some(id) = self.links.group_at(link, slot) else { return Ok(()) };
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let verdict = group.message(&mut ctx!(self), &mut self.links, link, kind, &body)?;
        if group.is_abandoned() {
            self.forget_group(id);
        }
        match verdict {
            Some(Verdict::Ours(signal)) => self.signal_for_us(id, link, signal),
            Some(Verdict::Sought(search)) => self.sought(id, &search),
            Some(Verdict::Carried) | None => {}
        }
        Ok(())
    }

    /// Every group is compared, and asked whether it knows the other end, so that the time tells nothing.
    fn asked_to_open(&mut self, link: LinkId, slot: u16, body: &Bytes) -> Result<(), Misbehaved> {
        let wire::Open { tag } = wire::decode(body)?;
        let Some(ready) = self.links.ready(link) else { return Ok(()) };
        let mut meant = None;
        for (id, group) in &self.groups {
            let tells = !self.config.members_only | group.knows_member(ready.peer, self.now.wall);
            if group.is_meant(&tag, &ready.hash) & tells {
                meant = Some(*id);
            }
        }
        if let Some(group) = meant.and_then(|id| self.groups.get_mut(&id))
            && group.on_open(&mut ctx!(self), &mut self.links, link, slot)?
        {
            return Ok(());
        }
        let message = wire::graph_message(kind::NOT_OPENED, slot, &());
        self.links.send(self.now, link, &message, &mut self.outbox);
        // A newcomer has nothing to show when a member asks it. It asks back, and redeems its invitation then.
        let Some(ready) = self.links.ready(link) else { return Ok(()) };
        let mut joining = None;
        for (id, group) in &self.groups {
            if group.is_wanted(&tag, &ready.hash) {
                joining = Some(*id);
            }
        }
        if let Some(group) = joining.and_then(|id| self.groups.get_mut(&id)) {
            group.ask_back(&mut ctx!(self), &mut self.links, link);
        }
        Ok(())
    }

    // --- time --------------------------------------------------------------------------------------------

    fn timeouts(&mut self) {
        while let Some(link) = self.links.due(self.now) {
            let used = self.needs(link);
            match self.links.check(self.now, link, used, &mut self.outbox) {
                Checked::Fine => {}
                Checked::Doubted => {
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
        for link in self.links.crowded_out() {
            self.close(link, CloseReason::Full);
        }
        for group in std::mem::take(&mut self.sit) {
            for link in self.rendezvous_links() {
                self.sit_at(group, link);
            }
        }
        for group in self.groups.values_mut() {
            group.flush_floods(&mut ctx!(self), &mut self.links);
            // What was sent counts: it may be too much already.
            group.publish_waiting(&mut ctx!(self), &self.links);
        }
        for (link, reason) in std::mem::take(&mut self.unwanted) {
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
