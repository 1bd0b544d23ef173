//! Links: how they begin, what they carry, and how they end.
use super::Node;
use crate::fault::Misbehaved;
use crate::group::Group;
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::{CloseReason, Event, LinkFault, LinkId, Outcome, Output, Transport};
use crate::limits;
use crate::link::{Received, Room};
use crate::reach::dial::Want;
use crate::reach::purpose::Purpose;
use crate::reach::signals::Over;
use crate::sorted::SortedSet;
use bytes::Bytes;

impl Node {
    pub(super) fn link_up(&mut self, link: LinkId, transport: Transport) {
        let full = self.links.len() > limits::LINKS_MAX;
        let stranger = self.purposes.get(&link).is_some_and(|purpose| purpose.accepted);
        if (full && stranger) || self.closing.is_some() {
            self.close(link, CloseReason::Full);
            return;
        }
        self.links.up(&mut ambient!(self), link, transport);
    }

    pub(super) fn frame(&mut self, link: LinkId, bytes: Bytes) {
        let room = self.room_of(link);
        let done = self.links.frame(&mut ambient!(self), link, bytes, room);
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
            self.misbehaved(link, fault);
        }
    }

    /// Takes the next part of a message.
    pub(super) fn go_on(&mut self) {
        let Some(id) = self.unfinished.take() else { return };
        let Some(group) = self.groups.get_mut(&id) else { return };
        let fault = group.take_rest(&mut ctx!(self));
        self.unfinished = Some(id).filter(|_| group.has_rest());
        if let Some((link, fault)) = fault {
            self.misbehaved(link, fault);
        }
    }

    fn misbehaved(&mut self, link: LinkId, fault: Misbehaved) {
        if let Some(ready) = self.links.ready(link) {
            self.conduct.blame(self.now.mono, ready.peer, fault);
        }
        self.outbox.push_back(Output::Event(Event::PeerMisbehaved { link, fault }));
        self.close(link, CloseReason::Misbehaved(fault));
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
        if let Some(seat) = self.circuits.seat(link) {
            self.ways.sits(seat, node);
        }
        self.settle_plan(link, false);
        self.stun_servers.1 = true;
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
        self.try_direct(kept);
        self.direct_reached(kept, node, peer);
        self.serve(kept, won.wants.iter().any(|want| matches!(want, Want::Named(_))));
        if self.waiting.is_none() {
            self.sit_on(kept);
        }
        if self.has_rendezvous(kept) {
            self.replace_all();
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
    pub(super) fn leads_to(&mut self, link: LinkId, node: NodeId) {
        let Some(address) = self.dialer.address_of(link).cloned() else { return };
        for group in self.groups.values_mut() {
            group.leads_to(self.id, &address, node);
        }
    }

    /// Uses a link for what it is for, and for every group that has nobody.
    pub(super) fn serve(&mut self, link: LinkId, named: bool) {
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

    pub(super) fn open(&mut self, group: GroupId, link: LinkId) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.open_on(&mut ctx!(self), &mut self.links, link);
        }
    }

    /// Of two links to one node both ends close the same one: the one of which the other takes the place, else the relayed one
    /// first, then the
    /// WebSocket rather than the data channel, then the one
    /// whose initiator has the higher node id. Of two with one initiator, that one closes the newer; the other end
    /// lets it decide.
    fn loser(&self, a: LinkId, b: LinkId) -> Option<LinkId> {
        let (ready_a, ready_b) = (self.links.ready(a)?, self.links.ready(b)?);
        if ready_a.instead == Some(ready_b.hash) {
            return Some(b);
        }
        if ready_b.instead == Some(ready_a.hash) {
            return Some(a);
        }
        let rank = |id: LinkId| {
            let (link, ready) = (self.links.get(id)?, self.links.ready(id)?);
            let initiator = if link.initiator { self.id } else { ready.node };
            Some(((!ready.direct, ready.relayed), initiator, link.initiator))
        };
        let (rank_a, rank_b) = (rank(a)?, rank(b)?);
        match (rank_a.0, rank_a.1).cmp(&(rank_b.0, rank_b.1)) {
            std::cmp::Ordering::Less => Some(b),
            std::cmp::Ordering::Greater => Some(a),
            std::cmp::Ordering::Equal => rank_a.2.then_some(a.max(b)),
        }
    }

    pub(super) fn buffered(&mut self, link: LinkId, bytes: usize) {
        self.links.buffered(link, bytes, &mut self.outbox);
        self.direct.drained(link);
        if bytes <= limits::BUFFERED_LOW_BYTES {
            for group in self.groups.values_mut().filter(|group| group.is_neighbour(link)) {
                group.give(&mut ctx!(self), &mut self.links, link);
            }
        }
    }

    /// The transport of a link is gone, or did not come to be.
    pub(super) fn link_down(&mut self, link: LinkId, fault: LinkFault) {
        let end = self.links.ready(link).map(|ready| (ready.node, ready.peer, ready.hash));
        let outcome = match self.links.get(link) {
            Some(it) if it.is_opening() && fault != LinkFault::Rejected => Outcome::Failed(fault),
            Some(_) if end.is_none() => Outcome::NoHandshake,
            Some(_) | None => Outcome::Lost,
        };
        self.links.note_lost(link);
        if self.links.remove(link).is_some() {
            self.note_end(link, Some(outcome));
            self.forget_link(link, end);
        }
    }

    pub(super) fn close(&mut self, link: LinkId, reason: CloseReason) {
        let end = self.links.ready(link).map(|ready| (ready.node, ready.peer, ready.hash));
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
        if reason == CloseReason::Silent {
            self.links.note_lost(link);
        }
        if self.links.remove(link).is_some() {
            self.note_end(link, outcome);
            self.close_transport(link, reason);
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
    fn forget_link(&mut self, link: LinkId, end: Option<(NodeId, PeerId, [u8; 32])>) {
        let heir = end.and_then(|(node, peer, _)| self.links.to(node, peer));
        self.stun_servers.1 |= end.is_some();
        self.settle_plan(link, end.is_none());
        let purpose = self.purposes.remove(&link).unwrap_or_default();
        let mut moving = SortedSet::new();
        if let Some(heir) = heir {
            // Frames that were under way on a link that did not answer are lost: circuits over it end.
            if self.links.ready(heir).and_then(|ready| ready.instead) == end.map(|end| end.2) {
                self.relay_down(link);
            }
            moving = self.hand_over(link, heir, &purpose);
        }
        let missed = self.dialer.lost(self.now.mono, link).is_some();
        if let Some(Over::Graph { group, to }) = self.ways.remove(link)
            && let Some(group) = self.groups.get_mut(&group)
        {
            group.signalled(to, end.is_some());
        }
        self.direct_lost(link, heir);
        self.tables.link_down(link);
        self.relay_down(link);
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
    fn hand_over(&mut self, from: LinkId, to: LinkId, purpose: &Purpose) -> SortedSet<GroupId> {
        let heir = self.purposes.entry(to).or_default();
        heir.groups.extend(purpose.groups.iter().copied());
        self.dialer.moved(from, to);
        // Seats are taken by who dialled, on either side.
        if self.has_rendezvous(to) {
            self.sitting.moved(from, to);
        } else if !self.is_client(to) {
            self.tables.moved(from, to);
        }
        self.ways.moved(from, to);
        self.circuits.moved(from, to);
        self.relays.moved(from, to);
        for plan in self.plans.values_mut().filter(|plan| plan.via == from) {
            plan.via = to;
        }
        let opened = self.groups.values().filter(|group| group.opened(from)).map(|group| group.id);
        let mut moving: SortedSet<GroupId> = opened.collect();
        let named = purpose.groups.iter().filter(|group| self.groups.contains_key(group));
        moving.extend(named.copied());
        moving
    }

    /// Whether anything needs a link to stay.
    pub(super) fn needs(&self, link: LinkId) -> bool {
        let rendezvous = self.links.ready(link).is_some_and(|ready| ready.rendezvous);
        self.tables.needs(link)
            || self.relays.needs(link)
            || !self.circuits.over(link).is_empty()
            || self.direct.needs(link)
            || (rendezvous && self.dialer.is_named(link))
            || self.groups.values().any(|group| group.needs(link))
    }
}
