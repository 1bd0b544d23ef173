//! The parts of our relayed links that are each party's, until they lead to neighbours.
//!
//! ```text
//!   asked for by us ── of each group a part ───────────────────┐
//!                                                              ├──► neighbour: counts no longer
//!   offered to us ── of each rendezvous node a part ──         │
//!                      of each seat there a part of that ──────┘
//! ```
//!
//! 1. Links that others offer take no place of those that we ask for, and the other way round.
//! 2. An offer is brought by a rendezvous node, and comes from a seat there. The node may invent seats, so its part is its own;
//!    a seat may be somebody who offers again and again, so each seat has a part of the node's. The oldest link of the seat
//!    that has most gives way, then the oldest of the node that has most.
//! 3. A link that leads to a neighbour has shown a membership. How many of those there are is the matter of its group, so it
//!    counts here no longer; it does again when the neighbour is none.
use crate::id::{GroupId, PeerId};
use crate::io::LinkId;
use crate::limits::{RELAYED_ASKED, RELAYED_OF_SEAT, RELAYED_OFFERED};
use crate::share::Crowd;
use crate::sorted::SortedMap;

/// The party that makes us hold a relayed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// We ask for it, for a group.
    Asked(GroupId),
    /// Somebody offers it: at a seat of the rendezvous node that brings the offer, or over a graph.
    Offered {
        /// The rendezvous node; over a graph, the member that offers, or the neighbour that brings the offer of a stranger.
        bringer: PeerId,
        /// As the rendezvous node says; over a graph, 0.
        seat: u64,
    },
}

/// The places of relayed links.
pub(crate) struct Places {
    asked: Crowd<GroupId, LinkId>,
    bringers: Crowd<PeerId, LinkId>,
    /// By rendezvous node. Those that have brought nothing are not here.
    seats: SortedMap<PeerId, Crowd<u64, LinkId>>,
    origins: SortedMap<LinkId, Origin>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            asked: Crowd::new(RELAYED_ASKED),
            bringers: Crowd::new(RELAYED_OFFERED),
            seats: SortedMap::new(),
            origins: SortedMap::new(),
        }
    }
}

impl Places {
    /// Whether one more link for a group takes no other's place.
    pub(crate) fn may_ask(&self, group: GroupId) -> bool {
        self.asked.fits(&group).is_ok()
    }

    /// A link is begun. Answers those that give way to it.
    pub(crate) fn begin(&mut self, link: LinkId, origin: Origin) -> Vec<LinkId> {
        self.origins.insert(link, origin);
        self.count(link, origin)
    }

    /// A link has come to lead to a neighbour, or does so no longer. Answers those that give way.
    pub(crate) fn turned(&mut self, link: LinkId, neighbour: bool) -> Vec<LinkId> {
        let Some(&origin) = self.origins.get(&link) else { return Vec::new() };
        self.uncount(link, origin);
        if neighbour { Vec::new() } else { self.count(link, origin) }
    }

    /// A link is gone.
    pub(crate) fn end(&mut self, link: LinkId) {
        if let Some(origin) = self.origins.remove(&link) {
            self.uncount(link, origin);
        }
    }

    fn count(&mut self, link: LinkId, origin: Origin) -> Vec<LinkId> {
        let gone: Vec<LinkId> = match origin {
            Origin::Asked(group) => self.asked.enter(&group, link).into_iter().collect(),
            Origin::Offered { bringer, seat } => {
                let seats = self.seats.entry(bringer);
                let seats = seats.or_insert_with(|| Crowd::new(RELAYED_OF_SEAT));
                let of_seats = seats.enter(&seat, link);
                if let Some(gone) = &of_seats {
                    self.bringers.leave(gone);
                }
                let of_bringers = self.bringers.enter(&bringer, link);
                of_seats.into_iter().chain(of_bringers).collect()
            }
        };
        for &gone in &gone {
            self.end(gone);
        }
        gone
    }

    fn uncount(&mut self, link: LinkId, origin: Origin) {
        match origin {
            Origin::Asked(_) => {
                self.asked.leave(&link);
            }
            Origin::Offered { bringer, .. } => {
                self.bringers.leave(&link);
                let Some(seats) = self.seats.get_mut(&bringer) else { return };
                seats.leave(&link);
                if seats.is_empty() {
                    self.seats.remove(&bringer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::Pool;
    use proptest::prelude::*;

    const EACH: u64 = RELAYED_OFFERED.each();

    fn node(n: u8) -> PeerId {
        PeerId::from_bytes([n; 32])
    }

    fn offered(n: u8, seat: u64) -> Origin {
        Origin::Offered { bringer: node(n), seat }
    }

    #[test]
    fn seat_that_offers_again_and_again_takes_its_own_places_only() {
        let mut places = Places::default();
        assert_eq!(places.begin(LinkId(1), offered(1, 1)), []);
        for n in 2..1_000 {
            for gone in places.begin(LinkId(n), offered(1, 2)) {
                assert_ne!(gone, LinkId(1), "another seat's");
            }
        }
        assert_eq!(places.origins.len() as u64, 1 + RELAYED_OF_SEAT.each());
    }

    #[test]
    fn node_that_invents_seats_takes_its_own_places_only() {
        let mut places = Places::default();
        places.begin(LinkId(1), offered(2, 1));
        places.begin(LinkId(2), Origin::Asked(GroupId::from_bytes([3; 32])));
        for n in 3..1_000 {
            for gone in places.begin(LinkId(n), offered(1, n)) {
                assert!(gone > LinkId(2), "another node's, or ours");
            }
        }
        assert_eq!(places.origins.len() as u64, 2 + EACH);
        assert!(places.seats.len() == 2 && places.may_ask(GroupId::from_bytes([4; 32])));
    }

    #[test]
    fn link_to_a_neighbour_stays_whoever_comes() {
        let mut places = Places::default();
        for n in 0..EACH {
            places.begin(LinkId(n), offered(1, n));
        }
        for n in 0..EACH {
            assert_eq!(places.turned(LinkId(n), true), []);
        }
        for n in EACH..3 * EACH {
            assert!(places.begin(LinkId(n), offered(1, n)).iter().all(|gone| gone.0 >= EACH));
        }
        let back = places.turned(LinkId(0), false);
        assert_eq!(back.len(), 1, "it needs a place again");
        places.end(LinkId(1));
        assert_eq!(places.turned(LinkId(1), false), []);
    }

    #[test]
    fn group_asks_for_its_part() {
        let (mut places, group) = (Places::default(), GroupId::from_bytes([1; 32]));
        for n in 0..RELAYED_ASKED.each() {
            assert!(places.may_ask(group));
            assert_eq!(places.begin(LinkId(n), Origin::Asked(group)), []);
        }
        assert!(!places.may_ask(group) && places.may_ask(GroupId::from_bytes([2; 32])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Goal: the bounds hold and the books are right whatever is done in whatever order. Method: a few nodes and seats offer,
        /// links turn and end.
        #[test]
        fn bounds_hold(acts in prop::collection::vec((0..4u8, 0..3u8, 0..200u64, 0..400u64), 0..600)) {
            let mut places = Places::default();
            let mut counted = std::collections::BTreeMap::new();
            let mut turned = std::collections::BTreeSet::new();
            let mut next = 0;
            for (act, bringer, seat, which) in acts {
                let gone = match act {
                    0 | 1 => {
                        next += 1;
                        counted.insert(LinkId(next), bringer);
                        places.begin(LinkId(next), offered(bringer, seat % 90))
                    }
                    2 => {
                        let link = LinkId(which % (next + 1));
                        let neighbour = counted.contains_key(&link) && turned.insert(link);
                        if !neighbour { turned.remove(&link); }
                        places.turned(link, neighbour)
                    }
                    _ => {
                        let link = LinkId(which % (next + 1));
                        counted.remove(&link);
                        turned.remove(&link);
                        places.end(link);
                        Vec::new()
                    }
                };
                for gone in gone {
                    prop_assert!(!turned.contains(&gone));
                    prop_assert!(counted.remove(&gone).is_some());
                }
                prop_assert_eq!(places.origins.len(), counted.len());
                let of_nodes = counted.len() - turned.len();
                prop_assert_eq!(places.bringers.len(), of_nodes);
                prop_assert_eq!(places.seats.values().map(Crowd::len).sum::<usize>(), of_nodes);
                prop_assert!(of_nodes as u64 <= RELAYED_OFFERED.all());
            }
        }
    }

    /// The seats of a node share no more than the node has.
    const _: () = assert!(Pool::all(&RELAYED_OF_SEAT) == EACH);
}
