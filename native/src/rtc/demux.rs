//! Which link is a datagram for, and may it be?
//!
//! Requests name the link by username fragment, answers by the request that they answer; DTLS is
//! told apart by remote address, see `place.rs`. A link that has not got an address enters there by
//! a request with integrity. Questions for addresses, and answers to ours, are of no link: see `reflexive.rs`.

use std::net::SocketAddr;
use std::time::Instant;

use peergraph_core::source::Source;

use super::link::{Credentials, Origin};
use super::place::Pair;
use super::signal::{self, Description};
use super::window::Holder;
use super::{Engine, RtcId, stun};

impl Engine {
    /// Gives a datagram to its link, if it has one.
    pub(super) fn datagram(
        &mut self,
        port: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) {
        self.stats.received += 1;
        // STUN and DTLS are all that a data channel has (RFC 7983).
        let is_dtls = datagram.first().is_some_and(|byte| (20..64).contains(byte));
        if !is_dtls && !stun::is_stun(datagram) {
            self.stats.unknown += 1;
            return;
        }
        let pair = (port, from);
        if !is_dtls && (self.learn(pair, datagram, now) || self.reflect(pair, local, datagram, now))
        {
            return;
        }
        let request = if is_dtls { None } else { stun::username(datagram) };
        let found = match request {
            None if is_dtls => self.owner(pair),
            None => self.answered(pair, datagram),
            Some((ours, theirs)) => match self.by_ufrag.get(ours).copied() {
                Some(link) if self.owner(pair) == Some(link) => Some(link),
                Some(link) => self.admit(link, pair, datagram),
                None => self.stranger(pair, local, (ours, theirs), datagram, now),
            },
        };
        let Some(found) = found else {
            self.stats.unknown += 1;
            return;
        };
        if let Some(link) = self.links.get_mut(&found) {
            link.packet(local, from, datagram, now);
            self.touch(found);
        }
    }

    /// A request for a link of ours from an address that it does not have.
    fn admit(&mut self, id: RtcId, pair: Pair, datagram: &[u8]) -> Option<RtcId> {
        let password = &self.links.get(&id)?.credentials.password;
        if !stun::has_integrity(datagram, password, self.crypto.crypto()) {
            self.stats.forged += 1;
            return None;
        }
        if !self.enter(id, pair) {
            self.stats.refused += 1;
            return None;
        }
        Some(id)
    }

    /// A request for a link that does not exist: perhaps somebody dials us directly.
    fn stranger(
        &mut self,
        pair: Pair,
        local: SocketAddr,
        (ours, theirs): (&str, &str),
        datagram: &[u8],
        now: Instant,
    ) -> Option<RtcId> {
        let (_, from) = pair;
        let password = signal::direct_password(ours).filter(|_| self.config.accept_direct)?;
        let source = Source::of(from.ip());
        let oldest = self.half_open.own_in_the_way(&source).and_then(|it| self.links.get(it));
        // A dialler that is refused asks again within moments; one that is thrown out begins anew.
        let comes_about = oldest.is_some_and(|oldest| oldest.comes_about(now));
        if comes_about
            || self.links.len() >= self.config.links_max
            || !self.budget.allows(from, now)
            || !signal::is_ufrag(theirs)
        {
            self.stats.refused += 1;
            return None;
        }
        if !stun::has_integrity(datagram, ours, self.crypto.crypto()) {
            self.stats.forged += 1;
            return None;
        }
        self.budget.take(from, now);
        let credentials = Credentials { ufrag: ours.into(), password: ours.into() };
        let holder = Some(Holder::From(source));
        let id = self.begin(Origin::Stranger, holder, credentials, &[local], now).ok()?;
        if let Some(gone) = self.half_open.enter(&source, id) {
            // Nobody was told of it yet.
            self.remove(gone);
        }
        let offer = Description::of_stranger(theirs, password);
        if self.links.get_mut(&id)?.take_offer(&offer, now).is_err() {
            self.remove(id);
            return None;
        }
        self.enter(id, pair);
        Some(id)
    }
}
