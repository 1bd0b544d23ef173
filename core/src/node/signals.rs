//! Rendezvous and signals: how links come to be between nodes that have none.
use super::{Ctx, Node};
use crate::error::Misbehaved;
use crate::id::{Digest, GroupId};
use crate::identity::Domain;
use crate::io::{Dial, LinkId, Output};
use crate::limits;
use crate::link::{Begun, Offerer};
use crate::reach::offer::is_offer;
use crate::reach::purpose::Purpose;
use crate::reach::signals::Over;
use crate::wire::{self, Carry, Origin, Seats, Signal, Sit, kind};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;

impl Node {
    /// Takes a seat for a group at a rendezvous node.
    pub(super) fn sit_at(&mut self, group: GroupId, link: LinkId) {
        let part = self.groups.get(&group).and_then(|group| group.part());
        let message = wire::message(kind::SIT, &Sit { table: wire::table_of(group), part });
        self.links.send(self.now, link, &message, &mut self.outbox);
    }

    /// The rendezvous nodes that we have links to.
    pub(super) fn rendezvous_links(&self) -> Vec<LinkId> {
        let links = self.links.iter().filter(|(_, link)| link.initiator).map(|(id, _)| id);
        links.filter(|&id| self.links.ready(id).is_some_and(|ready| ready.rendezvous)).collect()
    }

    /// Whether we take seats at the other end of a link. Whoever else names a table would learn from the answer that we are
    /// in its group.
    pub(super) fn has_rendezvous(&self, via: LinkId) -> bool {
        let ours = self.links.get(via).is_some_and(|link| link.initiator);
        ours && self.links.ready(via).is_some_and(|ready| ready.rendezvous)
    }

    pub(super) fn group_of_table(&self, table: Digest) -> Option<GroupId> {
        self.groups.keys().copied().find(|&group| wire::table_of(group) == table)
    }

    /// The rendezvous node names others of our group: we offer to some.
    pub(super) fn seats(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Seats { table, seats, apart } = wire::decode(body)?;
        let apart = apart.unwrap_or_default();
        if seats.len() > limits::PAGE_MAX || apart.len() > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let Some(id) = self.group_of_table(table) else { return Ok(()) };
        if let Some(group) = self.groups.get_mut(&id) {
            group.trace.named(seats.len());
        }
        // One link joins two parts; the others follow from it.
        if let Some(&seat) = apart.first() {
            self.offer_to_seat(id, via, table, seat);
        }
        for seat in seats {
            let wants = self
                .groups
                .get(&id)
                .is_some_and(|group| group.wants_more(&ctx!(self), &self.links));
            if !wants {
                break;
            }
            self.offer_to_seat(id, via, table, seat);
        }
        Ok(())
    }

    /// Offers a link to who sits there, unless one joins us already.
    fn offer_to_seat(&mut self, id: GroupId, via: LinkId, table: Digest, seat: u64) {
        let linked = self.ways.seated(seat).is_some_and(|n| self.links.to_node(n).is_some());
        if linked || self.ways.leads_to(seat) || !self.links.may_begin(Some(id)) {
            return;
        }
        let link = self.links.create(self.now, Begun::Ours(Some(id)));
        let attempt = self.rng.next_u64();
        self.ways.add(link, Over::Table { via, table, seat }, attempt);
        self.purposes.insert(link, Purpose::of([id]));
        if let Some(group) = self.groups.get_mut(&id) {
            group.offered(link, None);
        }
        self.outbox.push_back(Output::Open { link, dial: Dial::Offer });
    }

    /// The rendezvous node carried a signal to us.
    pub(super) fn carried(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Carry { table, seat, attempt, signal } = wire::decode(body)?;
        if signal.len() > limits::SIGNAL_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        if self.group_of_table(table).is_some()
            && let Some(bringer) = self.links.ready(via).map(|ready| ready.peer)
        {
            let over = Over::Table { via, table, seat };
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
        self.signal_from(Over::Graph { group, to: from }, offerer, (from.0, attempt), signal);
    }

    fn signal_from(&mut self, over: Over, offerer: Offerer, attempt: (u64, u64), signal: Bytes) {
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

    /// Our transport produced a signal.
    pub(super) fn local_signal(&mut self, link: LinkId, signal: Bytes) {
        if signal.len() > limits::SIGNAL_BYTES_MAX {
            return;
        }
        let Some(way) = self.ways.next(link) else { return };
        let attempt = way.attempt;
        match way.over {
            Over::Table { via, table, seat } => {
                let carry = Carry { table, seat, attempt, signal: signal.to_vec() };
                let message = wire::message(kind::CARRY, &carry);
                self.links.send(self.now, via, &message, &mut self.outbox);
            }
            Over::Graph { group, to } => {
                let Some(group) = self.groups.get_mut(&group) else { return };
                let key = *self.identity.public_key().as_bytes();
                let origin = Origin { key, nonce: self.nonce, signature: [0; 64] };
                let number = way.sent;
                let mut signal =
                    Signal { from: self.id, to, attempt, number, hops: 0, origin, signal };
                let message = signal.message(group.id);
                signal.origin.signature =
                    self.config.provider.sign(&self.identity, Domain::Signal, &message);
                group.send_signal(&mut ctx!(self), &mut self.links, &signal);
            }
        }
    }
}
