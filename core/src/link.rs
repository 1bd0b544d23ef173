//! One link's life: transport, handshake, frames, queue, silence.
//!
//! ```text
//!  Opening ──LinkUp──► Shaking ──three Noise messages──► Ready
//!     │                   │                                │
//!     └─ LINK_SETUP_TIMEOUT, HANDSHAKE_TIMEOUT, UNANSWERED_AFTER: closed ─┘
//! ```
//!
//! The end that dialled, or offered, is the initiator of the handshake. A peer may cost us, before it has proved
//! an identity, one handshake and [`HANDSHAKE_BYTES_MAX`](limits::HANDSHAKE_BYTES_MAX) bytes.
//! Messages of which only a part has come wait on one account, see `link/partial.rs`.
//!
//! **Silence** is counted from our own question, never from what was last heard: a hidden tab's timers run once a minute,
//! so it may find that nothing was heard for a minute because it asked nothing. A question wakes the other end, whose
//! answer does not wait for its timers. A neighbour that has not answered after [`DOUBTED_AFTER`](limits::DOUBTED_AFTER) is not
//! counted on until it does, and others are looked for; a link is closed much later. Where one neighbour is lost, all
//! others that were quiet are asked at once.
//!
//! **Where the network has changed**, all links are asked, and an answer is waited for less long. A link without an answer
//! after [`PATH_DOUBTED_AFTER`](limits::PATH_DOUBTED_AFTER) is replaced: another one to the same node is begun beside it, whose
//! initiator names the handshake of the one in doubt, so that both ends close that one. After
//! [`PATH_SILENT_AFTER`](limits::PATH_SILENT_AFTER) it is closed in any case.
//!
//! **When the neighbour is slow.** At most [`IN_TRANSPORT_BYTES_MAX`](limits::IN_TRANSPORT_BYTES_MAX) are with the
//! transport, the rest waits in the link's own queue; a queue over
//! [`LINK_QUEUE_BYTES_MAX`](limits::LINK_QUEUE_BYTES_MAX) closes the link. No link ever waits for another.
use crate::cert::{self, Certificate};
use crate::context::Ambient;
use crate::fault::Misbehaved;
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::{CloseReason, LinkId, Outbox, Output, Transport};
use crate::key::{Domain, PublicKey};
use crate::limits;
use crate::noise::{self, Handshake, SEAL_BYTES, Seal};
use crate::sorted::SortedMap;
use crate::source::Source;
use crate::time::{Deadlines, Now, Time};
use crate::wire::{self, Hello, Introduction, Message};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;

/// A node that was heard within this time need not be asked. Guess: many round trips.
const ASKED_AFTER: Duration = Duration::from_secs(1);

mod asked;
mod half_open;
mod partial;
#[cfg(test)]
mod tests;

use asked::{Asked, Ended};
use half_open::HalfOpen;
pub(crate) use half_open::{Begun, Offerer};
use partial::{Holder, Partials};

/// All links of a node.
#[derive(Default)]
pub(crate) struct Links {
    links: SortedMap<LinkId, Link>,
    made: u64,
    checks: Deadlines<LinkId>,
    half_open: HalfOpen,
    partials: Partials,
    /// Links that have given way to others, and are to be closed.
    crowded_out: Vec<LinkId>,
    /// Links that were lost without a word.
    ended: Ended,
    /// The salt with which frames are sealed besides their keys, until the host wakes again.
    salt: u64,
}

/// One link.
pub(crate) struct Link {
    pub(crate) initiator: bool,
    /// Where the stranger comes from that opened it to us.
    pub(crate) source: Option<Source>,
    state: State,
    incoming: BytesMut,
    /// How long that might be while it led to a neighbour: what is under way does not end with the neighbourhood.
    bytes_as_neighbour: usize,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    in_transport_bytes: usize,
    /// Bytes that may be with its transport, and those that each frame counts for besides its own.
    window: (usize, usize),
    heard: Time,
    said: Time,
    /// Our question for a sign of life, of which none came since.
    asked: Option<Asked>,
    /// Since when nothing needs this link.
    unused_since: Option<Time>,
    /// Whether the queue overflowed.
    slow: bool,
    /// Graphs by slot. Few: most links carry one.
    slots: Vec<(u16, GroupId)>,
    slots_taken: u16,
}

enum State {
    Opening,
    Shaking(Box<Shaking>),
    Ready(Box<Ready>),
}

/// A handshake under way, and what it has brought.
struct Shaking {
    handshake: Handshake,
    direct: bool,
    relayed: bool,
    /// Which version both ends speak, once the other end has told what it speaks. Else why not.
    version: Option<Result<u32, CloseReason>>,
    /// The handshake of the link of which this one takes the place, as its initiator says.
    instead: Option<[u8; 32]>,
    their_introduction: Option<Box<Ready>>,
}

/// The findings of the handshake.
pub(crate) struct Ready {
    pub(crate) peer: PeerId,
    pub(crate) node: NodeId,
    /// Whether the other end serves as rendezvous.
    pub(crate) rendezvous: bool,
    /// Names the handshake; the same at both ends.
    pub(crate) hash: [u8; 32],
    /// The same of an earlier link to the same node, of which this one takes the place.
    pub(crate) instead: Option<[u8; 32]>,
    /// Whether the other end relays for us.
    pub(crate) relay: bool,
    /// Whether a data channel joins us, rather than a WebSocket or a relay.
    pub(crate) direct: bool,
    /// Whether a relay joins us.
    pub(crate) relayed: bool,
    /// Identity certificate of the other end.
    pub(crate) certificate: Certificate,
    version: u32,
    seal: Option<Seal>,
}

/// How long the messages of a link may be, and on whose account what has come of one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It leads to a neighbour, whose messages may be so long.
    Neighbour(usize),
    /// The other end has shown a membership, or we have asked it something.
    Asked,
    /// Neither.
    Stranger,
}

impl Room {
    fn bytes_max(self) -> usize {
        match self {
            Self::Neighbour(bytes_max) => bytes_max,
            Self::Asked => limits::MESSAGE_OVERHEAD_BYTES_MAX,
            Self::Stranger => limits::STRANGER_BYTES_MAX,
        }
    }
}

/// The outcome of a check.
pub(crate) enum Checked {
    /// Nothing to do.
    Fine,
    /// It does not answer, and may be dead.
    Doubted,
    /// It is to be closed.
    Over(CloseReason),
}

/// The outcome of one frame.
pub(crate) enum Received {
    /// A part of something.
    Nothing,
    /// The end of the handshake.
    Ready,
    /// The other end speaks no version that we speak. Everything that is to tell it so is sent.
    NoCommonVersion(CloseReason),
    /// A whole message.
    Message(Bytes),
}

impl Links {
    /// Takes a new salt for the frames that are sealed from here on.
    pub(crate) fn salt(&mut self, salt: u64) {
        self.salt = salt;
    }

    /// Names a new link. Another may have to [give way](Self::crowded_out) to it.
    pub(crate) fn create(&mut self, now: Now, begun: Begun) -> LinkId {
        self.made += 1;
        let id = LinkId(self.made);
        let link = Link {
            initiator: matches!(begun, Begun::Ours(_)),
            source: match begun {
                Begun::Stranger(source) => Some(source),
                Begun::Ours(_) | Begun::Offered(_) => None,
            },
            state: State::Opening,
            incoming: BytesMut::new(),
            bytes_as_neighbour: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_transport_bytes: 0,
            window: (limits::IN_TRANSPORT_BYTES_MAX, 0),
            heard: now.mono,
            said: now.mono,
            asked: None,
            unused_since: None,
            slow: false,
            slots: Vec::new(),
            slots_taken: 0,
        };
        self.links.insert(id, link);
        self.crowded_out.extend(self.half_open.begin(id, begun));
        self.checks.set(id, now.mono.after(limits::LINK_SETUP_TIMEOUT));
        id
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(&id, link)| (id, link))
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether we may begin one more link for a group, or for a node that was named.
    pub(crate) fn may_begin(&self, group: Option<GroupId>) -> bool {
        self.links.len() < limits::LINKS_MAX && self.half_open.has_room(group)
    }

    /// Links whose unfinished messages have given way: they are to be closed.
    fn give_way(&mut self, gone: Vec<LinkId>) {
        for id in gone {
            if let Some(link) = self.links.get_mut(&id) {
                link.incoming = BytesMut::new();
            }
            self.crowded_out.push(id);
        }
    }

    /// The links that have given way to others since this was asked last.
    pub(crate) fn crowded_out(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.crowded_out)
    }

    /// The proven result of the handshake of `link`, if it is complete.
    pub(crate) fn ready(&self, link: LinkId) -> Option<&Ready> {
        match &self.links.get(&link)?.state {
            State::Ready(ready) => Some(ready),
            State::Opening | State::Shaking(_) => None,
        }
    }

    /// The version of the protocol that both ends of a ready link speak.
    pub(crate) fn version(&self, link: LinkId) -> Option<u32> {
        self.ready(link).map(|ready| ready.version)
    }

    /// Another ready link to the same node.
    pub(crate) fn twin(&self, of: LinkId) -> Option<LinkId> {
        let ready = self.ready(of)?;
        self.links.keys().copied().find(|&id| {
            id != of && self.ready(id).is_some_and(|r| r.node == ready.node && r.peer == ready.peer)
        })
    }

    /// The handshake of an earlier link to the node that is at the other end of one that we began: of one that does not answer,
    /// or was lost.
    fn in_place_of(&self, now: Now, id: LinkId) -> Option<[u8; 32]> {
        let State::Shaking(shaking) = &self.links.get(&id).filter(|it| it.initiator)?.state else {
            return None;
        };
        let theirs = shaking.their_introduction.as_deref()?;
        let doubted = self.links.values().filter(|link| link.is_doubted(now));
        let mut doubted = doubted.filter_map(|link| match &link.state {
            State::Ready(ready) => Some(ready),
            State::Opening | State::Shaking(_) => None,
        });
        let found = doubted.find(|it| it.node == theirs.node && it.peer == theirs.peer);
        found.map(|it| it.hash).or_else(|| self.ended.of(theirs.node))
    }

    /// A link was lost without a word: its other end may not know yet.
    pub(crate) fn note_lost(&mut self, link: LinkId) {
        if let Some((node, hash)) = self.ready(link).map(|ready| (ready.node, ready.hash)) {
            self.ended.note(node, hash);
        }
    }

    /// A ready link to a node that answers, as far as we know.
    pub(crate) fn to_node_alive(&self, now: Now, node: NodeId) -> Option<LinkId> {
        let leads = |id: &LinkId| self.ready(*id).is_some_and(|ready| ready.node == node);
        let mut links = self.links.keys().copied().filter(leads);
        links.find(|&id| !self.is_doubted(now, id))
    }

    /// The ready link to a node.
    pub(crate) fn to_node(&self, node: NodeId) -> Option<LinkId> {
        self.links.keys().copied().find(|&id| self.ready(id).is_some_and(|r| r.node == node))
    }

    /// The ready link to a node of a peer.
    pub(crate) fn to(&self, node: NodeId, peer: PeerId) -> Option<LinkId> {
        let leads = |ready: &Ready| ready.node == node && ready.peer == peer;
        self.links.keys().copied().find(|&id| self.ready(id).is_some_and(leads))
    }

    /// Forgets a link.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Link> {
        let removed = self.links.remove(&link)?;
        self.checks.clear(link);
        self.half_open.end(link);
        self.partials.end(link);
        Some(removed)
    }

    /// The transport is there: the handshake begins.
    pub(crate) fn up(&mut self, ctx: &mut Ambient<'_>, id: LinkId, transport: Transport) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !matches!(link.state, State::Opening) {
            return;
        }
        let ephemeral = ctx.rng.secret();
        let handshake =
            Handshake::new(link.initiator, transport, ctx.noise, ephemeral, ctx.channel);
        let direct = matches!(transport, Transport::Rtc { .. });
        let relayed = transport == Transport::Relay;
        if relayed {
            link.window = (limits::RELAY_WINDOW_BYTES, wire::RELAYED_BYTES);
        }
        link.heard = ctx.now.mono;
        let (version, instead, their_introduction) = (None, None, None);
        let shaking = Shaking { handshake, direct, relayed, version, instead, their_introduction };
        link.state = State::Shaking(Box::new(shaking));
        self.checks.set(id, ctx.now.mono.after(limits::HANDSHAKE_TIMEOUT));
        if link.initiator {
            link.shake(ctx, id);
        }
    }

    /// Takes one frame.
    pub(crate) fn frame(
        &mut self,
        ctx: &mut Ambient<'_>,
        id: LinkId,
        bytes: Bytes,
        room: Room,
    ) -> Result<Received, Misbehaved> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(Received::Nothing) };
        link.heard = ctx.now.mono;
        link.asked = None;
        if let Room::Neighbour(bytes_max) = room {
            link.bytes_as_neighbour = bytes_max.max(link.bytes_as_neighbour);
        }
        let message = link.assemble(bytes, room.bytes_max().max(link.bytes_as_neighbour))?;
        let (holder, waiting) = (link.holder(id), link.incoming.len());
        match room {
            Room::Neighbour(_) => self.partials.end(id),
            Room::Asked | Room::Stranger => {
                let gone = self.partials.hold(id, holder, waiting);
                self.give_way(gone);
            }
        }
        let (Some(message), Some(link)) = (message, self.links.get_mut(&id)) else {
            return Ok(Received::Nothing);
        };
        if matches!(link.state, State::Ready(_)) {
            return Ok(Received::Message(message));
        }
        let goes_on = link.handshake_message(ctx, &message)?;
        if goes_on {
            let instead = self.in_place_of(ctx.now, id);
            if let Some(link) = self.links.get_mut(&id) {
                link.shake_instead(ctx, id, instead);
            }
        }
        let Some(link) = self.links.get(&id) else { return Ok(Received::Nothing) };
        match &link.state {
            State::Opening => return Ok(Received::Nothing),
            State::Shaking(shaking) => {
                let apart = shaking.version.and_then(Result::err);
                return Ok(apart.map_or(Received::Nothing, Received::NoCommonVersion));
            }
            State::Ready(_) => {}
        }
        self.half_open.end(id);
        self.checks.set(id, ctx.now.mono.after(limits::KEEPALIVE_EVERY));
        Ok(Received::Ready)
    }

    /// Sends a message, or queues it.
    pub(crate) fn send(&mut self, now: Now, id: LinkId, message: &Message, out: &mut Outbox) {
        if let Some(link) = self.links.get_mut(&id) {
            link.said = now.mono;
            link.send(id, message, self.salt, out);
        }
    }

    /// The transport reports how much it holds.
    pub(crate) fn buffered(&mut self, id: LinkId, bytes: usize, out: &mut Outbox) {
        if let Some(link) = self.links.get_mut(&id) {
            link.in_transport_bytes = bytes;
            link.pump(id, out);
        }
    }

    /// Bytes that wait for this link, in our queue and in its transport.
    pub(crate) fn backlog(&self, id: LinkId) -> usize {
        self.links.get(&id).map_or(0, |link| link.queued_bytes + link.in_transport_bytes)
    }

    /// When to call [`Links::due`].
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.checks.next().map(|(at, _)| at)
    }

    /// The next link whose check is due; [`Links::check`] it.
    pub(crate) fn due(&mut self, now: Now) -> Option<LinkId> {
        self.checks.pop_due(now.mono)
    }

    /// Asks whether somebody is still there who was not heard for a moment.
    pub(crate) fn ask(&mut self, now: Now, id: LinkId, out: &mut Outbox) {
        if let Some(link) = self.links.get_mut(&id)
            && matches!(link.state, State::Ready(_))
            && link.asked.is_none()
            && now.mono.since(link.heard) >= ASKED_AFTER
        {
            link.ask(now, id, self.salt, out);
            self.checks.set_earlier(id, now.mono.after(limits::DOUBTED_AFTER));
        }
    }

    /// Asks on a link of which the transport hears nothing, or whose other end looks for another way to us (`doubted`).
    pub(crate) fn ask_quiet(&mut self, now: Now, id: LinkId, doubted: bool, out: &mut Outbox) {
        if let Some(link) = self.links.get_mut(&id)
            && matches!(link.state, State::Ready(_))
            && !link.asked.is_some_and(|asked| asked.is_hurried())
        {
            let asked = if doubted { Asked::sought(now.mono) } else { Asked::quiet(now.mono) };
            link.asked = Some(asked);
            link.ask(now, id, self.salt, out);
            self.checks.set_earlier(id, asked.first());
        }
    }

    /// Asks on the links that we began and on which nothing was heard for a moment.
    pub(crate) fn ask_unheard(&mut self, now: Now, out: &mut Outbox) {
        let unheard = |link: &Link| link.initiator && now.mono.since(link.heard) >= ASKED_AFTER;
        let links = self.links.iter().filter(|(_, link)| unheard(link)).map(|(&id, _)| id);
        for id in links.collect::<Vec<_>>() {
            self.ask_quiet(now, id, false, out);
        }
    }

    /// Asks on all links whether the other end is still there: the network has changed. With `gone` an address of ours is no
    /// longer there, so that others are begun at once.
    pub(crate) fn ask_all(&mut self, now: Now, gone: bool, out: &mut Outbox) {
        for (&id, link) in &mut self.links {
            if matches!(link.state, State::Ready(_)) {
                let asked = Asked::changed(now.mono, gone);
                link.asked = Some(asked);
                link.ask(now, id, self.salt, out);
                self.checks.set_earlier(id, asked.first());
            }
        }
    }

    /// Links whose handshake is not complete.
    pub(crate) fn under_way(&self) -> Vec<LinkId> {
        let links = self.links.iter().filter(|(_, link)| !matches!(link.state, State::Ready(_)));
        links.map(|(&id, _)| id).collect()
    }

    /// Whether a link is to be replaced: it does not answer since the network has changed, or its transport hears nothing.
    pub(crate) fn is_to_be_replaced(&self, now: Now, id: LinkId) -> bool {
        let link = self.links.get(&id);
        link.and_then(|link| link.asked).is_some_and(|asked| asked.replaces(now.mono))
    }

    /// Whether nobody answers for too long: to a question, or to our attempt to open the link.
    pub(crate) fn is_doubted(&self, now: Now, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.is_doubted(now))
    }

    /// Pings a quiet link, keeps one alive, or says why it must be closed. `used` is whether anything needs it.
    pub(crate) fn check(&mut self, now: Now, id: LinkId, used: bool, out: &mut Outbox) -> Checked {
        let Some(link) = self.links.get_mut(&id) else { return Checked::Fine };
        let unanswered = |asked: Asked| asked.is_over(now.mono);
        if !matches!(link.state, State::Ready(_)) || link.asked.is_some_and(unanswered) {
            return Checked::Over(CloseReason::Silent);
        }
        if link.slow {
            return Checked::Over(CloseReason::Slow);
        }
        if used {
            link.unused_since = None;
        } else {
            let since = *link.unused_since.get_or_insert(now.mono);
            if now.mono.since(since) >= limits::UNUSED_LINK_AFTER {
                return Checked::Over(CloseReason::Unused);
            }
        }
        let quiet = |since: Time| now.mono.since(since) >= limits::KEEPALIVE_EVERY;
        if quiet(link.heard) {
            link.ask(now, id, self.salt, out);
        } else if quiet(link.said) {
            // They are heard: a word is enough, it asks for no answer.
            link.said = now.mono;
            link.send(id, &Message::PONG, self.salt, out);
        }
        let doubted = link.is_doubted(now);
        let next = match link.asked {
            Some(_) if !doubted => limits::DOUBTED_AFTER,
            _ if used => limits::KEEPALIVE_EVERY,
            _ => limits::UNUSED_LINK_AFTER / 4,
        };
        self.checks.set(id, now.mono.after(next));
        if let Some(at) = link.asked.and_then(|asked| asked.next(now.mono)) {
            self.checks.set_earlier(id, at);
        }
        if doubted { Checked::Doubted } else { Checked::Fine }
    }

    /// A slot number for a graph that we open on `link`: even ones for the initiator, odd ones for the other end.
    pub(crate) fn take_slot(&mut self, link: LinkId, group: GroupId) -> Option<u16> {
        let link = self.links.get_mut(&link)?;
        if link.slots.len() >= limits::GRAPHS_PER_LINK_MAX {
            return None;
        }
        link.slots_taken = link.slots_taken.checked_add(1)?;
        let slot = link.slots_taken.checked_mul(2)?.checked_add(u16::from(!link.initiator))?;
        link.slots.push((slot, group));
        Some(slot)
    }

    /// The graph behind a slot.
    pub(crate) fn group_at(&self, link: LinkId, slot: u16) -> Option<GroupId> {
        let slots = &self.links.get(&link)?.slots;
        slots.iter().find(|(number, _)| *number == slot).map(|(_, group)| *group)
    }

    /// Binds a slot that the other end chose.
    pub(crate) fn bind_slot(
        &mut self,
        id: LinkId,
        slot: u16,
        group: GroupId,
    ) -> Result<(), Misbehaved> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.slots.len() >= limits::GRAPHS_PER_LINK_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let theirs = slot.is_multiple_of(2) != link.initiator;
        if !theirs || link.slots.iter().any(|(number, _)| *number == slot) {
            return Err(Misbehaved::Unexpected);
        }
        link.slots.push((slot, group));
        Ok(())
    }

    /// Frees a slot.
    pub(crate) fn free_slot(&mut self, id: LinkId, slot: u16) {
        if let Some(link) = self.links.get_mut(&id) {
            link.slots.retain(|(number, _)| *number != slot);
        }
    }
}

impl Link {
    /// On whose account its unfinished message waits.
    fn holder(&self, id: LinkId) -> Holder {
        self.source.map_or(Holder::Of(id), Holder::From)
    }

    /// Whether its transport is not there yet.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening)
    }

    fn ask(&mut self, now: Now, id: LinkId, salt: u64, out: &mut Outbox) {
        self.asked.get_or_insert(Asked::usual(now.mono));
        self.said = now.mono;
        self.send(id, &Message::PING, salt, out);
    }

    fn is_doubted(&self, now: Now) -> bool {
        match self.state {
            State::Opening | State::Shaking(_) => {
                now.mono.since(self.heard) >= limits::ATTEMPT_DOUBTED_AFTER
            }
            State::Ready(_) => self.asked.is_some_and(|asked| asked.is_doubted(now.mono)),
        }
    }

    /// Puts the frames of a message together. `None` until the last one is there.
    fn assemble(&mut self, bytes: Bytes, bytes_max: usize) -> Result<Option<Bytes>, Misbehaved> {
        if bytes.len() > limits::FRAME_BYTES_MAX {
            return Err(Misbehaved::BadFrame);
        }
        let (ready, frame) = match &mut self.state {
            State::Opening => return Err(Misbehaved::Unexpected),
            State::Shaking(_) => (false, bytes),
            State::Ready(ready) => match &mut ready.seal {
                Some(seal) => (true, seal.open(&bytes).map_err(|_| Misbehaved::Handshake)?.into()),
                None => (true, bytes),
            },
        };
        let bytes_max = if ready { bytes_max } else { limits::HANDSHAKE_BYTES_MAX };
        let (&first, part) = frame.split_first().ok_or(Misbehaved::BadFrame)?;
        if self.incoming.len() + part.len() > bytes_max {
            return Err(Misbehaved::MessageTooLong);
        }
        match first {
            wire::WHOLE if self.incoming.is_empty() => Ok(Some(frame.slice(1..))),
            wire::PART if !part.is_empty() => {
                self.incoming.put_slice(part);
                Ok(None)
            }
            wire::LAST if !self.incoming.is_empty() => {
                self.incoming.put_slice(part);
                Ok(Some(std::mem::take(&mut self.incoming).freeze()))
            }
            _ => Err(Misbehaved::BadFrame),
        }
    }

    /// Splits a message into frames, seals them, and sends or queues them.
    fn send(&mut self, id: LinkId, message: &Message, salt: u64, out: &mut Outbox) {
        let mut seal = match &mut self.state {
            State::Ready(ready) => ready.seal.as_mut(),
            State::Opening | State::Shaking(_) => None,
        };
        let seal_bytes = if seal.is_some() { SEAL_BYTES } else { 0 };
        let room = limits::FRAME_BYTES_MAX - 1 - seal_bytes - self.window.1;
        let bytes = message.bytes();
        let parts = bytes.len().div_ceil(room).max(1);
        if parts == 1 && seal.is_none() {
            self.queued_bytes += message.frame().len();
            self.queue.push_back(message.frame().clone());
        } else {
            for (n, part) in bytes.chunks(room).enumerate() {
                let first = match (parts, n + 1 == parts) {
                    (1, _) => wire::WHOLE,
                    (_, true) => wire::LAST,
                    (_, false) => wire::PART,
                };
                let frame = [&[first], part].concat();
                let frame = match &mut seal {
                    Some(seal) => seal.seal(&frame, salt).into(),
                    None => Bytes::from(frame),
                };
                self.queued_bytes += frame.len();
                self.queue.push_back(frame);
            }
        }
        self.pump(id, out);
        if self.queued_bytes > limits::LINK_QUEUE_BYTES_MAX {
            // Its neighbour gets what it misses by sync, over another link or a later one.
            self.queue.clear();
            self.queued_bytes = 0;
            self.slow = true;
        }
    }

    fn pump(&mut self, id: LinkId, out: &mut Outbox) {
        let (most, each) = self.window;
        while self.in_transport_bytes < most {
            let Some(bytes) = self.queue.pop_front() else { return };
            self.queued_bytes -= bytes.len();
            self.in_transport_bytes += bytes.len() + each;
            out.push_back(Output::Send { link: id, bytes });
        }
    }

    /// Reads one handshake message. Whether the next one is to be written.
    fn handshake_message(
        &mut self,
        ctx: &mut Ambient<'_>,
        message: &Bytes,
    ) -> Result<bool, Misbehaved> {
        let State::Shaking(shaking) = &mut self.state else {
            return Err(Misbehaved::Unexpected);
        };
        let handshake = &mut shaking.handshake;
        if handshake.is_my_turn() {
            return Err(Misbehaved::Unexpected);
        }
        let hash = handshake.hash();
        let payload = handshake.read(message).map_err(|_| Misbehaved::Handshake)?;
        let ours = ctx.config.versions;
        match handshake.their_public() {
            None => {
                let Hello { versions } = wire::decode(&payload)?;
                shaking.version = Some(ours.common(versions));
            }
            Some(public) => {
                let claim = noise::claim(!self.initiator, &hash, public);
                let introduction: Introduction = wire::decode(&payload)?;
                if !self.initiator {
                    shaking.instead = introduction.instead;
                }
                if self.initiator {
                    let theirs = introduction.versions.ok_or(Misbehaved::BadMessage)?;
                    shaking.version = Some(ours.common(theirs));
                }
                let introduced =
                    introduced(ctx, &claim, introduction, (shaking.direct, shaking.relayed))?;
                shaking.their_introduction = Some(Box::new(introduced));
            }
        }
        // Only an answer tells the initiator what we speak.
        Ok(!self.initiator || matches!(shaking.version, Some(Ok(_))))
    }

    /// Goes on with the handshake. If we began it, the link takes the place of the one of that handshake.
    fn shake_instead(&mut self, ctx: &mut Ambient<'_>, id: LinkId, instead: Option<[u8; 32]>) {
        if self.initiator
            && let State::Shaking(shaking) = &mut self.state
        {
            shaking.instead = instead;
        }
        self.shake(ctx, id);
    }

    /// Writes the next handshake message where it is our turn, and ends the handshake where it is complete.
    fn shake(&mut self, ctx: &mut Ambient<'_>, id: LinkId) {
        let State::Shaking(shaking) = &mut self.state else { return };
        let instead = shaking.instead.filter(|_| self.initiator);
        let handshake = &mut shaking.handshake;
        if handshake.is_my_turn() {
            let first = self.initiator && handshake.their_public().is_none();
            let payload = if first {
                wire::encode(&Hello { versions: ctx.config.versions })
            } else {
                let claim = noise::claim(self.initiator, &handshake.hash(), ctx.noise.public());
                let provider = &ctx.config.provider;
                let signature = provider.sign(ctx.identity, Domain::Handshake, &claim);
                wire::encode(&Introduction {
                    versions: (!self.initiator).then_some(ctx.config.versions),
                    certificate: ctx.identity.certificate().der().to_vec(),
                    signature: signature.to_vec(),
                    nonce: ctx.nonce,
                    rendezvous: ctx.config.rendezvous.then_some(true),
                    relay: ctx.config.relay.then_some(true),
                    instead,
                })
            };
            let message = Bytes::from(handshake.write(&payload));
            // Not sealed yet: the handshake protects its own messages.
            self.send(id, &Message::of(&message), 0, ctx.out);
        }
        let State::Shaking(shaking) = &self.state else { return };
        if !shaking.handshake.is_finished() {
            return;
        }
        let State::Shaking(shaking) = std::mem::replace(&mut self.state, State::Opening) else {
            unreachable!("matched above")
        };
        let (hash, seal) = shaking.handshake.finish();
        let version = shaking.version.and_then(Result::ok);
        let mut ready =
            shaking.their_introduction.expect("both introductions passed before the end");
        ready.version = version.expect("without a version the handshake does not go on");
        ready.hash = hash;
        ready.instead = shaking.instead;
        ready.seal = (!shaking.direct).then_some(seal);
        self.state = State::Ready(ready);
    }
}

/// Checks who the other end says it is: its identity has signed `claim`.
fn introduced(
    ctx: &Ambient<'_>,
    claim: &[u8],
    introduction: Introduction,
    (direct, relayed): (bool, bool),
) -> Result<Ready, Misbehaved> {
    let certificate = (ctx.checks.certificate)(&introduction.certificate)
        .map_err(|_| Misbehaved::IdentityCertificate)?;
    let peer = cert::verify_identity(&certificate, ctx.checks.verify)
        .map_err(|_| Misbehaved::IdentityCertificate)?;
    let signature: [u8; 64] =
        introduction.signature.as_slice().try_into().map_err(|_| Misbehaved::IdentityProof)?;
    let key: PublicKey = certificate.subject_key();
    let signed = Domain::Handshake.message(claim);
    if !(ctx.checks.verify)(&key, &signed, &signature) {
        return Err(Misbehaved::IdentityProof);
    }
    Ok(Ready {
        peer,
        node: NodeId::of(peer, introduction.nonce),
        rendezvous: introduction.rendezvous.unwrap_or(false),
        relay: introduction.relay.unwrap_or(false),
        hash: [0; 32],
        instead: None,
        direct,
        relayed,
        certificate,
        version: 0,
        seal: None,
    })
}
