//! Messages: to whom each goes.
use super::Node;
use crate::error::Misbehaved;
use crate::group::{Group, Verdict};
use crate::io::LinkId;
use crate::limits;
use crate::wire::kind::{self, Kind};
use crate::wire::{self, Message};
use bytes::Bytes;

impl Node {
    pub(super) fn message(&mut self, link: LinkId, message: &Bytes) -> Result<(), Misbehaved> {
        let &number = message.first().ok_or(Misbehaved::BadMessage)?;
        // A later version's: nothing is done for it, so that it costs nobody anything.
        let Some(kind) = Kind::of(number) else { return Ok(()) };
        // A decoder may make many times as much of one that is as long as a record.
        if kind != kind::FLOOD && message.len() > limits::MESSAGE_OVERHEAD_BYTES_MAX {
            return Err(Misbehaved::MessageTooLong);
        }
        if self.relay_message(link, kind, message)? || self.direct_paid(link, kind, message)? {
            return Ok(());
        }
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
                let (ctx, links) = (&mut ambient!(self), &mut self.links);
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
            kind::RELAY_ASK => self.relay_asked(link, body)?,
            kind::RELAYED => self.relayed(link, body)?,
            kind::RELAY_END => self.relay_left(link, body)?,
            kind::RELAY_ENDED => self.relay_ended(link, body)?,
            // Of circuits that have ended meanwhile.
            kind::RELAY_DATA | kind::RELAYED_DATA => {}
            kind::RELAY_TAKEN | kind::RELAY_CREDIT => {}
            _ if wire::is_direct(kind) => self.direct_message(link, kind, body)?,
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
    pub(super) fn is_client(&self, link: LinkId) -> bool {
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
        self.unfinished = Some(id).filter(|_| group.has_rest());
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
            let tells = group.tells(&self.config, ready.peer, self.now.wall);
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
}
