//! Pairs of addresses, and the links that use them.
//!
//! STUN names its link: a request by username fragment, an answer by what it answers. DTLS names
//! none, so at each pair of a socket of ours and a remote address it is for one link, which has
//! the pair. Another link gets it so:
//!
//! ```text
//!   enters ──its check is answered from there──► has it ──opens──► the one before is gone
//!     by a request that fits it, or by            │
//!     asking there itself while no link           └─fails──► the one before has it again
//!     that is open has the pair
//! ```
//!
//! A program that has ended, in whatever way, and begins again at its port so loses no time by what
//! its earlier links have left at the other end. A stranger who forges a source address sees no
//! check that goes there, so it can end nothing.
//!
//! Of two links of one origin that are not open, the newer one has the pair: nobody dials an address
//! twice at once, so the other end of the older one has ended. Of two that came about in different
//! ways, as when both ends dial or signal at once, both ends prefer the same one.
//!
//! Where a link is open, those that were begun before are kept out, and later ones may enter. An end
//! that has an open link asks nothing there for another one, so a request for another one shows that
//! the other end no longer has the open one, or doubts it: since its network has changed, or since
//! it hears nothing.

use std::net::SocketAddr;

use super::link::Origin;
use super::{ADDRESSES_MAX, Engine, Happened, RtcId, stun};

/// Links that use one pair. Guess: those of both ends that dial and signal at once, twice. The
/// oldest that has not got it leaves beyond.
const SEATS_MAX: usize = 8;

/// One of our sockets, and a remote address.
pub(super) type Pair = (usize, SocketAddr);

/// The links that use one pair. The first has it.
pub(super) struct Place(Vec<Seat>);

struct Seat {
    link: RtcId,
    /// A check of this link was answered from there.
    proven: bool,
}

impl Place {
    fn owner(&self) -> Option<RtcId> {
        self.0.first().map(|seat| seat.link)
    }

    fn has(&self, link: RtcId) -> bool {
        self.0.iter().any(|seat| seat.link == link)
    }

    fn is_proven(&self, link: RtcId) -> bool {
        self.0.iter().any(|seat| seat.link == link && seat.proven)
    }

    /// Takes a link in. Answers the one that leaves for it.
    fn add(&mut self, link: RtcId) -> Option<RtcId> {
        let gone = (self.0.len() >= SEATS_MAX).then(|| self.0.remove(1).link);
        self.0.push(Seat { link, proven: false });
        gone
    }

    /// A check was answered. Whether it is the first one.
    fn prove(&mut self, link: RtcId) -> bool {
        let seat = self.0.iter_mut().find(|seat| seat.link == link);
        seat.is_some_and(|seat| !std::mem::replace(&mut seat.proven, true))
    }

    fn give_to(&mut self, link: RtcId) {
        if let Some(at) = self.0.iter().position(|seat| seat.link == link) {
            self.0[..=at].rotate_right(1);
        }
    }

    /// A link leaves. If it had the pair, the next one that was answered there has it.
    fn leave(&mut self, link: RtcId) {
        let had = self.owner() == Some(link);
        self.0.retain(|seat| seat.link != link);
        if had && let Some(next) = self.0.iter().find(|seat| seat.proven).map(|seat| seat.link) {
            self.give_to(next);
        }
    }
}

impl Engine {
    /// The link that has a pair.
    pub(super) fn owner(&self, pair: Pair) -> Option<RtcId> {
        self.places.get(&pair)?.owner()
    }

    /// Whether a link uses a pair.
    pub(super) fn uses(&self, id: RtcId, pair: Pair) -> bool {
        self.places.get(&pair).is_some_and(|place| place.has(id))
    }

    /// Lets a link use a pair. Whether it may.
    pub(super) fn enter(&mut self, id: RtcId, pair: Pair) -> bool {
        if self.uses(id, pair) {
            return true;
        }
        let owner = self.owner(pair).and_then(|owner| self.links.get(&owner));
        if owner.and_then(|owner| owner.opened_before).is_some_and(|opened| id < opened) {
            return false;
        }
        let Some(link) = self.links.get_mut(&id) else { return false };
        if link.addresses.len() >= ADDRESSES_MAX {
            return false;
        }
        link.addresses.push(pair);
        let place = self.places.entry(pair).or_insert(Place(Vec::new()));
        let gone = place.add(id);
        if place.0.len() > 1 {
            for seat in &place.0 {
                self.links.get_mut(&seat.link).into_iter().for_each(|link| link.shares_pair());
            }
        }
        if let Some(gone) = gone.and_then(|gone| self.links.get_mut(&gone)) {
            gone.addresses.retain(|its| *its != pair);
        }
        true
    }

    /// The link that an answer from there is for.
    pub(super) fn answered(&mut self, pair: Pair, answer: &[u8]) -> Option<RtcId> {
        let place = self.places.get(&pair)?;
        let seats = place.0.iter().map(|seat| seat.link);
        let asked = |id: &RtcId| {
            self.links.get_mut(id).is_some_and(|link| link.has_asked(pair, stun::id(answer)))
        };
        let Some(id) = seats.into_iter().find(asked) else { return place.owner() };
        if stun::is_success(answer) {
            self.prove(id, pair);
        } else if let Some(link) = self.links.get_mut(&id) {
            link.answered_badly(answer);
        }
        Some(id)
    }

    /// A request that a link sent to there was answered from there.
    fn prove(&mut self, id: RtcId, pair: Pair) {
        let Some(place) = self.places.get_mut(&pair) else { return };
        let (Some(owner), true) = (place.owner(), place.prove(id)) else { return };
        let contested = place.is_proven(owner);
        let (Some(old), Some(new)) = (self.links.get(&owner), self.links.get(&id)) else { return };
        let preferred = if new.origin == old.origin { id > owner } else { new.rank() < old.rank() };
        if owner != id && (old.open || !contested || preferred) {
            place.give_to(id);
        }
    }

    /// A link is open: the others of its end are gone where it has the pair.
    pub(super) fn opened(&mut self, id: RtcId) {
        let before = RtcId(self.next);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.opened_before = Some(before);
        for pair in link.addresses.clone() {
            let Some(place) = self.places.get_mut(&pair) else { continue };
            if place.owner() != Some(id) {
                continue;
            }
            for seat in place.0.drain(1..).collect::<Vec<_>>() {
                let Some(other) = self.links.get_mut(&seat.link) else { continue };
                other.addresses.retain(|its| *its != pair);
                // One that has opened over another pair meanwhile stays.
                if seat.proven && other.opened_before.is_none_or(|opened| opened <= id) {
                    self.replaced(seat.link);
                }
            }
        }
    }

    /// Ends a link without a word to the other end, which holds another one in its place.
    fn replaced(&mut self, id: RtcId) {
        let Some(link) = self.links.get(&id) else { return };
        // Nobody was told of a stranger's that is not open.
        let known = link.open || link.origin != Origin::Stranger;
        self.remove(id);
        if known {
            self.happened.push_back(Happened::Gone { link: id, answered: true });
        }
    }

    /// Whether a link may send this to there. Notes what it asks.
    pub(super) fn may_send(&mut self, id: RtcId, pair: Pair, packet: &[u8]) -> bool {
        if !stun::is_stun(packet) {
            return self.owner(pair).is_none_or(|owner| owner == id);
        }
        if !stun::is_request(packet) {
            return true;
        }
        let owner = self.owner(pair).and_then(|owner| self.links.get(&owner));
        // A node that we dial never asks, and any other end may answer before it asks: so who
        // asks there enters.
        let enters = self.uses(id, pair)
            || (owner.is_none_or(|owner| owner.gives_way()) && self.enter(id, pair));
        if enters && let Some(link) = self.links.get_mut(&id) {
            link.asks(pair, stun::id(packet));
        }
        enters
    }

    /// A link is no more: its pairs are for others.
    pub(super) fn leave(&mut self, id: RtcId, pairs: &[Pair]) {
        for pair in pairs {
            let Some(place) = self.places.get_mut(pair) else { continue };
            place.leave(id);
            if place.0.is_empty() {
                self.places.remove(pair);
            }
        }
    }
}
