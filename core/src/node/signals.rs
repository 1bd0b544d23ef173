//! Rendezvous and signals: how links come to be between nodes that have none.
use super::Node;
use super::relay::Plan;
use crate::fault::Misbehaved;
use crate::group::Attempt;
use crate::id::{Digest, GroupId, NodeId};
use crate::identity::Domain;
use crate::io::{Dial, LinkId, Output};
use crate::limits;
use crate::link::{Begun, Offerer};
use crate::reach::offer::is_offer;
use crate::reach::purpose::Purpose;
use crate::reach::signals::Over;
use crate::reach::sitting::{Answered, At, Sitter};
use crate::time::WallTime;
use crate::wire::{self, Carry, Origin, Rise, Seats, Signal, Token, kind};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;

impl Node {
    /// Takes a seat for a group at a rendezvous node, or keeps it.
    pub(super) fn sit_at(&mut self, group: GroupId, link: LinkId) {
        let (Some(it), true) = (self.groups.get(&group), self.may_sit(group, link)) else { return };
        let Some(peer) = self.links.ready(link).map(|ready| ready.peer) else { return };
        let (lonely, signature) = (it.is_lonely(self.now, &self.links), it.seen_as_contact());
        let sitter = Sitter { group, lonely, signature };
        let Some(asked) = self.sitting.sit(self.now, At { link, peer }, sitter) else { return };
        if let Some(table) = asked.rise {
            self.rise(link, table);
        }
        let message = wire::message(kind::SIT, &asked.sit);
        self.links.send(self.now, link, &message, &mut self.outbox);
    }

    /// Takes a seat for every group for which a link is, and that has none there.
    pub(super) fn sit_on(&mut self, link: LinkId) {
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            if self.sitting.table(link, group).is_none() {
                self.sit_at(group, link);
            }
        }
    }

    /// Takes the seats anew whose tables have changed with time.
    pub(super) fn change_tables(&mut self) {
        for (link, group) in self.sitting.changed(self.now) {
            self.sit_at(group, link);
        }
    }

    /// Gives up all seats of a group.
    pub(super) fn rise_for(&mut self, group: GroupId) {
        for (link, table) in self.sitting.leave(group) {
            self.rise(link, table);
        }
    }

    fn rise(&mut self, link: LinkId, table: Digest) {
        let message = wire::message(kind::RISE, &Rise { table });
        self.links.send(self.now, link, &message, &mut self.outbox);
    }

    /// The rendezvous nodes that we have links to.
    pub(super) fn rendezvous_links(&self) -> Vec<LinkId> {
        let links = self.links.iter().map(|(id, _)| id);
        links.filter(|&id| self.has_rendezvous(id)).collect()
    }

    /// Whether we have dialled a rendezvous node over a link.
    pub(super) fn has_rendezvous(&self, via: LinkId) -> bool {
        self.is_client(via) && self.links.ready(via).is_some_and(|ready| ready.rendezvous)
    }

    /// Whether a group takes a seat at the other end of a link: a rendezvous node that was named, or that we dialled for
    /// this group. Members of one group do not learn in which others we are by telling an address where a table is.
    fn may_sit(&self, group: GroupId, via: LinkId) -> bool {
        let ours =
            |link: &LinkId| self.purposes.get(link).is_some_and(|it| it.groups.contains(&group));
        self.has_rendezvous(via) && (self.dialer.is_named(via) || ours(&via))
    }

    /// The rendezvous node names others of our group: we offer to some.
    pub(super) fn seats(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Seats { table, seats, apart, clock } = wire::decode(body)?;
        let apart = apart.unwrap_or_default();
        if seats.len() > limits::PAGE_MAX || apart.len() > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let answered = self.sitting.answered(self.now, via, table, WallTime(clock));
        let Some(Answered { group: id, differs }) = answered else { return Ok(()) };
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        group.trace.named(seats.len());
        if differs && group.is_lonely(self.now, &self.links) {
            self.sit_at(id, via);
        }
        // One link joins two parts; the others follow from it.
        if let Some(&seat) = apart.first()
            && self
                .groups
                .get(&id)
                .is_some_and(|group| group.may_join_parts(&ctx!(self), &self.links, via))
        {
            self.offer_to_seat(id, via, seat, Attempt::Apart(via));
        }
        for seat in seats {
            let wants = self
                .groups
                .get(&id)
                .is_some_and(|group| group.wants_more(&ctx!(self), &self.links));
            if !wants {
                break;
            }
            self.offer_to_seat(id, via, seat, Attempt::Seat);
        }
        Ok(())
    }

    /// The rendezvous node gives a seat of ours to somebody else. A group that has nobody looks elsewhere at once.
    pub(super) fn lost_seat(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Rise { table } = wire::decode(body)?;
        let Some(id) = self.sitting.refused(self.now.mono, via, table) else { return Ok(()) };
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        if group.is_lonely(self.now, &self.links) {
            group.soon(&mut ctx!(self));
            for link in self.rendezvous_links() {
                self.sit_at(id, link);
            }
        }
        Ok(())
    }

    /// Offers a link to who sits there, unless one joins us already.
    pub(super) fn offer_to_seat(&mut self, id: GroupId, via: LinkId, seat: u64, attempt: Attempt) {
        let seated = self.ways.seated(seat);
        let linked = seated.is_some_and(|n| self.links.to_node_alive(self.now, n).is_some());
        let alive = |link: LinkId| !self.links.is_doubted(self.now, link);
        let offered = self.ways.leading_to(seat).any(alive);
        let full = self.ways.is_full(seat);
        if linked || offered || full || !self.links.may_begin(Some(id)) {
            return;
        }
        let link = self.links.create(self.now, Begun::Ours(Some(id)));
        let number = self.rng.next_u64();
        self.ways.add(link, Over::Table { via, group: id, seat }, number);
        self.purposes.insert(link, Purpose::of([id]));
        if let Some(group) = self.groups.get_mut(&id) {
            group.offered(link, attempt);
        }
        self.outbox.push_back(Output::Open { link, dial: Dial::Offer });
        self.plan_relay(link, Plan { group: id, via, seat });
    }

    /// The rendezvous node carried a signal to us. It is for who sits there; anybody else does not answer, so that nobody
    /// learns from an answer in which groups we are.
    pub(super) fn carried(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Carry { table, seat, attempt, signal } = wire::decode(body)?;
        if signal.len() > limits::SIGNAL_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        if let Some(group) = self.sitting.group_at(via, table)
            && let Some(bringer) = self.links.ready(via).map(|ready| ready.peer)
        {
            let over = Over::Table { via, group, seat };
            self.signal_from(over, Offerer::Bringer(bringer), (seat, attempt), signal.into());
        }
        Ok(())
    }

    /// A member's signal came to us over the graph.
    pub(super) fn signal_for_us(&mut self, group: GroupId, via: LinkId, signal: Signal) {
        let Some(bringer) = self.links.ready(via).map(|ready| ready.peer) else { return };
        let member = signal.origin.peer().filter(|&peer| {
            self.groups.get(&group).is_some_and(|group| group.knows_member(peer, self.now.wall))
        });
        let offerer = member.map_or(Offerer::Bringer(bringer), Offerer::Member);
        let Signal { from, attempt, signal, .. } = signal;
        // A node that is linked with us and offers another link, over others, has lost that one, or is about to.
        if let Some(linked) = self.links.to_node_alive(self.now, from)
            && linked != via
            && is_offer(&signal)
        {
            self.links.ask_quiet(self.now, linked, true, &mut self.outbox);
        }
        self.signal_from(Over::Graph { group, to: from }, offerer, (from.0, attempt), signal);
    }

    fn signal_from(&mut self, over: Over, offerer: Offerer, attempt: (u64, u64), signal: Bytes) {
        if Token::is_signal(&signal) {
            match over {
                Over::Table { via, seat, .. } => {
                    if let Some(token) = Token::of_signal(&signal) {
                        self.relay_offered((via, Some(seat)), offerer, token);
                    }
                }
                Over::Graph { .. } => {
                    if let Some((token, relay)) = Token::of_signal_by(&signal)
                        && let Some(via) = self.links.to_node(relay)
                    {
                        self.relay_offered((via, None), offerer, token);
                    }
                }
            }
            return;
        }
        if let Some(link) = self.ways.link(attempt.0, attempt.1) {
            self.outbox.push_back(Output::Signal { link, signal });
            return;
        }
        if self.closing.is_some() || self.ways.is_full(attempt.0) {
            return;
        }
        if !is_offer(&signal) {
            self.early.keep(offerer, attempt, signal);
            return;
        }
        if self.links.len() >= limits::LINKS_MAX {
            return;
        }
        let link = self.links.create(self.now, Begun::Offered(offerer));
        self.purposes.insert(link, Purpose::accepted());
        self.ways.add(link, over, attempt.1);
        self.outbox.push_back(Output::Open { link, dial: Dial::Answer });
        for signal in [signal].into_iter().chain(self.early.take(attempt)) {
            self.outbox.push_back(Output::Signal { link, signal });
        }
    }

    /// Somebody looks for us in the graph: it learns the way.
    pub(super) fn sought(&mut self, group: GroupId, search: &Signal) {
        let (to, attempt) = (search.from, search.attempt);
        let number = Signal::FOUND | (search.number & !Signal::SEARCH);
        let found = self.signal(group, to, attempt, number, Bytes::new());
        if let Some(group) = self.groups.get_mut(&group) {
            group.send_found(&mut ctx!(self), &mut self.links, &found);
        }
    }

    /// Our transport produced a signal.
    pub(super) fn local_signal(&mut self, link: LinkId, signal: Bytes) {
        if signal.is_empty() || signal.len() > limits::SIGNAL_BYTES_MAX {
            return;
        }
        let Some(way) = self.ways.next(link) else { return };
        let attempt = way.attempt;
        match way.over {
            Over::Table { via, group, seat } => {
                let Some(table) = self.sitting.table(via, group) else { return };
                let carry = Carry { table, seat, attempt, signal: signal.to_vec() };
                let message = wire::message(kind::CARRY, &carry);
                self.links.send(self.now, via, &message, &mut self.outbox);
            }
            Over::Graph { group, to } => {
                self.send_over_graph(group, to, (attempt, way.sent), signal);
            }
        }
    }

    /// Sends the only signal of an attempt over a graph.
    pub(super) fn signal_over_graph(
        &mut self,
        group: GroupId,
        to: NodeId,
        attempt: u64,
        signal: Bytes,
    ) {
        self.send_over_graph(group, to, (attempt, 1), signal);
    }

    fn send_over_graph(
        &mut self,
        id: GroupId,
        to: NodeId,
        (attempt, number): (u64, u32),
        signal: Bytes,
    ) {
        let signal = self.signal(id, to, attempt, number, signal);
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !group.send_signal(&mut ctx!(self), &mut self.links, signal) {
            return;
        }
        let search = self.signal(id, to, attempt, Signal::SEARCH | number, Bytes::new());
        if let Some(group) = self.groups.get_mut(&id) {
            group.search(&mut ctx!(self), &mut self.links, &search);
        }
    }

    /// A signal of ours to a node of a graph.
    fn signal(
        &self,
        group: GroupId,
        to: NodeId,
        attempt: u64,
        number: u32,
        signal: Bytes,
    ) -> Signal {
        let key = *self.identity.public_key().as_bytes();
        let origin = Origin { key, nonce: self.nonce, signature: [0; 64] };
        let signal = Signal { from: self.id, to, attempt, number, hops: 0, origin, signal };
        let provider = &self.config.provider;
        signal.signed(group, |message| provider.sign(&self.identity, Domain::Signal, message))
    }
}
