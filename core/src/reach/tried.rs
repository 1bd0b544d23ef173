//! The notes of a group on its attempts to find members, of which it makes a [`Tried`].
use crate::address::Address;
use crate::id::{NodeId, PeerId};
use crate::io::{LinkId, NodeState, Outcome, Place, PlaceSource, Tried};
use crate::limits::PLACES_TRIED_MAX;
use crate::node_url::NodeUrl;
use crate::sorted::SortedSet;
use std::collections::VecDeque;

/// The notes of a group.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    entries: VecDeque<Entry>,
    addresses: u32,
    unreached: u32,
    /// Nodes that are not in the group, or do not tell; at most [`COUNTED_MAX`].
    strangers: SortedSet<NodeId>,
    seats: u32,
    offers: u32,
    /// Members that could not let us in; at most [`COUNTED_MAX`].
    members: SortedSet<PeerId>,
}

/// Ends that are counted once each, however often they answer. Guess: nobody reaches more in one join.
const COUNTED_MAX: usize = 256;

#[derive(Debug)]
struct Entry {
    place: Place,
    /// The link that leads there, or led there last.
    link: LinkId,
    /// Whether that may still change what came of it. A place that is tried again keeps how it ended before until then.
    is_open: bool,
}

impl Trace {
    /// An address is dialled.
    pub(crate) fn dialled(&mut self, link: LinkId, address: Option<&Address>, from: PlaceSource) {
        if from != PlaceSource::Node {
            self.addresses = self.addresses.saturating_add(1);
        }
        self.add(link, address, from);
    }

    /// A link is offered through others.
    pub(crate) fn offered(&mut self, link: LinkId) {
        self.offers = self.offers.saturating_add(1);
        self.add(link, None, PlaceSource::Offer);
    }

    /// A node names so many others of the group.
    pub(crate) fn named(&mut self, seats: usize) {
        self.seats = self.seats.max(u32::try_from(seats).unwrap_or(u32::MAX));
    }

    /// The dial of an address failed.
    pub(crate) fn missed(&mut self) {
        self.unreached = self.unreached.saturating_add(1);
    }

    fn add(&mut self, link: LinkId, address: Option<&Address>, from: PlaceSource) {
        let same = |entry: &Entry| {
            entry.link == link || (address.is_some() && entry.place.address.as_ref() == address)
        };
        let before = self.entries.iter().position(same).and_then(|at| self.entries.remove(at));
        let outcome = before.map_or(Outcome::Trying, |before| before.place.outcome);
        if self.entries.len() >= PLACES_TRIED_MAX {
            self.entries.pop_front();
        }
        let place = Place { address: address.cloned(), from, outcome };
        self.entries.push_back(Entry { place, link, is_open: true });
    }

    /// A program has answered on a link that one of the places led to.
    pub(crate) fn reached(&mut self, link: LinkId) {
        if let Some(entry) = self.open_entry(link) {
            entry.place.outcome = Outcome::Reached;
        }
    }

    /// Notes what the program at the other end of a link says of the group. Each end counts once,
    /// however often it says so.
    pub(crate) fn told(&mut self, link: LinkId, (peer, node): (PeerId, NodeId), outcome: Outcome) {
        if outcome == Outcome::NotInGroup {
            if self.strangers.len() < COUNTED_MAX {
                self.strangers.insert(node);
            }
        } else if self.members.len() < COUNTED_MAX {
            self.members.insert(peer);
        }
        if !self.entries.iter().any(|entry| entry.link == link) {
            self.add(link, None, PlaceSource::Link);
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.link == link) {
            (entry.place.outcome, entry.is_open) = (outcome, false);
        }
    }

    /// A link is gone, or was never established. The answer that its end gave about the group
    /// stays.
    pub(crate) fn lost(&mut self, link: LinkId, outcome: Outcome) {
        if let Some(entry) = self.open_entry(link) {
            (entry.place.outcome, entry.is_open) = (outcome, false);
        }
    }

    /// An attempt was ended since another one was quicker.
    pub(crate) fn ended(&mut self, link: LinkId) {
        let idle = |entry: &Entry| entry.link == link && entry.place.outcome == Outcome::Trying;
        self.entries.retain(|entry| !idle(entry));
    }

    fn open_entry(&mut self, link: LinkId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.link == link && entry.is_open)
    }

    /// The report of these notes.
    pub(crate) fn tell(&self, nodes: Vec<(NodeUrl, NodeState)>, neighbours: u32) -> Tried {
        let &Self { addresses, unreached, seats, offers, .. } = self;
        let count = |ends: usize| u32::try_from(ends).unwrap_or(u32::MAX);
        let (strangers, members) = (count(self.strangers.len()), count(self.members.len()));
        let places = self.entries.iter().map(|entry| entry.place.clone()).collect();
        Tried { nodes, neighbours, places, addresses, unreached, strangers, seats, offers, members }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::LinkFault;

    fn address(n: usize) -> Address {
        format!("ws://192.0.2.{n}/link").parse().expect("an address")
    }

    #[test]
    fn places_are_bounded_and_each_address_stands_once() {
        let mut trace = Trace::default();
        for n in 0..100 {
            let link = LinkId(n as u64);
            trace.dialled(link, Some(&address(n % 20)), PlaceSource::Invitation);
            trace.lost(link, Outcome::Failed(LinkFault::Refused));
        }
        trace.dialled(LinkId(100), Some(&address(19)), PlaceSource::Members);
        let tried = trace.tell(Vec::new(), 0);
        assert_eq!((tried.places.len(), tried.addresses), (PLACES_TRIED_MAX, 101));
        let last = tried.places.last().expect("some");
        let again = (PlaceSource::Members, Outcome::Failed(LinkFault::Refused));
        assert_eq!((last.from, last.outcome), again, "how it ended before");
        let same = tried.places.iter().filter(|place| place.address == Some(address(19)));
        assert_eq!(same.count(), 1);
        let first = tried.places[0].to_string();
        assert_eq!(
            first,
            "ws://192.0.2.4/link, from the invitation: refused: no program listens there"
        );
    }

    #[test]
    fn what_a_member_says_outlives_its_link() {
        let mut trace = Trace::default();
        trace.dialled(LinkId(1), Some(&address(1)), PlaceSource::Node);
        trace.reached(LinkId(1));
        let end = |n: u8| (PeerId::from_bytes([n; 32]), NodeId(n.into()));
        trace.told(LinkId(1), end(1), Outcome::CannotLetIn);
        trace.lost(LinkId(1), Outcome::Lost);
        trace.told(LinkId(2), end(2), Outcome::NotInGroup);
        trace.offered(LinkId(3));
        trace.reached(LinkId(3));
        trace.lost(LinkId(3), Outcome::Lost);
        trace.offered(LinkId(4));
        trace.ended(LinkId(4));
        let tried = trace.tell(Vec::new(), 0);
        let outcomes: Vec<Outcome> = tried.places.iter().map(|place| place.outcome).collect();
        assert_eq!(outcomes, [Outcome::CannotLetIn, Outcome::NotInGroup, Outcome::Lost]);
        assert_eq!((tried.members, tried.strangers, tried.offers, tried.addresses), (1, 1, 2, 0));
    }

    #[test]
    fn each_member_and_each_stranger_counts_once() {
        let mut trace = Trace::default();
        let end = |n: u8| (PeerId::from_bytes([n; 32]), NodeId(n.into()));
        for round in 0..13 {
            for n in 0..2 {
                let link = LinkId(100 * round + u64::from(n));
                trace.told(link, end(n), Outcome::CannotLetIn);
                trace.told(link, end(n + 10), Outcome::NotInGroup);
            }
        }
        let tried = trace.tell(Vec::new(), 0);
        assert_eq!((tried.members, tried.strangers), (2, 2));
        assert!(tried.to_string().contains("members that could not let you in: 2; "), "{tried}");
    }
}
