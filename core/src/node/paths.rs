//! Paths that change: what is done when the network of this machine is another one, or one link hears nothing.
//!
//! ```text
//!   PathsChanged ──► a question on every link ──300 ms──► another link beside it ──2 s──► closed
//!                        └── what is under way is begun anew, what rests has its turn
//! ```
//!
//! The other link is begun the way the first one came about: dialled, offered over the graph, or to a seat. Its handshake names
//! the one that it replaces, so both ends close that one, whichever of the two they would keep else.
use super::Node;
use super::relay::Plan;
use crate::group::Attempt;
use crate::io::{CloseReason, LinkId};
use crate::reach::signals::Over;

impl Node {
    /// The network has changed, or we have slept.
    pub(super) fn paths_changed(&mut self, gone: bool) {
        if self.closing.is_some() {
            return;
        }
        self.links.ask_all(self.now, gone, &mut self.outbox);
        let dialled = self.dialer.paths_changed(self.now.mono, &self.addresses);
        // Links that were offered over the old paths, by either end, are offered anew as well: until they are gone, another
        // offer to the same seat waits for them.
        for link in self.links.under_way() {
            if dialled.contains(&link) || self.ways.over(link).is_some() {
                self.close(link, CloseReason::Unused);
            }
        }
        self.try_all_direct();
        for group in self.groups.values_mut() {
            group.paths_changed(&mut ctx!(self));
        }
    }

    /// The transport of a link hears nothing. The cause may have cut off the others that we began, too; those who
    /// dialled us see to it themselves.
    pub(super) fn link_quiet(&mut self, link: LinkId) {
        self.links.ask_quiet(self.now, link, false, &mut self.outbox);
        self.links.ask_unheard(self.now, &mut self.outbox);
    }

    /// A node that may carry signals is there: links that wait for that are replaced.
    pub(super) fn replace_all(&mut self) {
        let links = self.links.iter().map(|(link, _)| link);
        let waiting = links.filter(|&link| self.links.is_to_be_replaced(self.now, link));
        for link in waiting.collect::<Vec<_>>() {
            self.replace(link);
        }
    }

    /// A link does not answer. If something has changed, another one to the same node is begun beside it.
    pub(super) fn replace(&mut self, link: LinkId) {
        if !self.links.is_to_be_replaced(self.now, link) || self.closing.is_some() {
            return;
        }
        let address = self.dialer.address_of(link).cloned();
        let over = self.ways.over(link);
        let relayed = self.circuits.way(link).zip(self.circuits.seat(link));
        let groups = self.groups.iter().filter(|(_, group)| group.is_neighbour(link));
        let Some(id) = groups.map(|(&id, _)| id).next() else { return };
        self.asks.sit.insert(id);
        // A seat at a node to which no link is left is named anew when there is one.
        let carries =
            |via: LinkId| self.links.ready(via).is_some() && !self.links.is_doubted(self.now, via);
        if let Some(Over::Table { via, seat, .. }) = over
            && carries(via)
        {
            self.offer_to_seat(id, via, seat, Attempt::Seat);
        } else if let Some(((via, _), seat)) = relayed
            && carries(via)
        {
            self.ask_relay(Plan { group: id, via, seat });
        } else if let Some(group) = self.groups.get_mut(&id) {
            let signalled = matches!(over, Some(Over::Graph { .. }));
            group.replace(&mut ctx!(self), &mut self.links, link, (address, signalled));
        }
    }
}
