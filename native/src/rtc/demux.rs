//! Which link is a datagram for, and may it be?
//!
//! Requests name the link by username fragment; everything else is told apart by remote address.
//! An address becomes a link's own by a request with integrity from it. Nobody can take an address
//! over from a link that was heard there lately: a forged source would kill links otherwise.

use std::net::SocketAddr;
use std::time::Instant;

use peergraph_core::source::Source;

use super::link::{Credentials, Origin};
use super::signal::{self, Description};
use super::{Engine, Happened, RtcId, stun};

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
        let owner = self.by_address.get(&(port, from)).copied();
        let request = if is_dtls { None } else { stun::username(datagram) };
        let found = match request {
            None => owner,
            Some((ours, theirs)) => match self.by_ufrag.get(ours).copied() {
                Some(link) if owner == Some(link) => owner,
                Some(link) => self.admit(link, port, from, owner, datagram, now),
                None => self.stranger(port, local, from, owner, (ours, theirs), datagram, now),
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

    /// A request for a link of ours from an address that was not known as its own.
    fn admit(
        &mut self,
        id: RtcId,
        port: usize,
        from: SocketAddr,
        owner: Option<RtcId>,
        datagram: &[u8],
        now: Instant,
    ) -> Option<RtcId> {
        if self.is_taken(owner, now) {
            self.stats.refused += 1;
            return None;
        }
        let password = &self.links.get(&id)?.credentials.password;
        if !stun::has_integrity(datagram, password, self.crypto.crypto()) {
            self.stats.forged += 1;
            return None;
        }
        self.claim(id, port, from);
        Some(id)
    }

    /// A request for a link that does not exist: perhaps somebody dials us directly.
    #[expect(clippy::too_many_arguments, reason = "all are parts of one datagram")]
    fn stranger(
        &mut self,
        port: usize,
        local: SocketAddr,
        from: SocketAddr,
        owner: Option<RtcId>,
        (ours, theirs): (&str, &str),
        datagram: &[u8],
        now: Instant,
    ) -> Option<RtcId> {
        let password = signal::direct_password(ours).filter(|_| self.config.accept_direct)?;
        if self.is_taken(owner, now)
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
        if let Some(dial) = owner.filter(|id| self.is_dialling(*id)) {
            // We dial each other. Both ends know both fingerprints if both dials are honest.
            if self.pinned.get(&dial).is_some_and(|theirs| self.fingerprint < *theirs) {
                self.stats.refused += 1;
                return None;
            }
            self.remove(dial);
            self.happened.push_back(Happened::Gone { link: dial, answered: true });
        }
        self.budget.take(from, now);
        let credentials = Credentials { ufrag: ours.into(), password: ours.into() };
        let id = self.begin(Origin::Stranger, credentials, &[local], now).ok()?;
        if let Some(gone) = self.half_open.enter(&Source::of(from.ip()), id) {
            // Nobody was told of it yet.
            self.remove(gone);
        }
        let offer = Description::of_stranger(theirs, password);
        if self.links.get_mut(&id)?.take_offer(&offer, now).is_err() {
            self.remove(id);
            return None;
        }
        self.claim(id, port, from);
        Some(id)
    }

    fn is_taken(&self, owner: Option<RtcId>, now: Instant) -> bool {
        let owner = owner.and_then(|id| self.links.get(&id));
        owner.is_some_and(|link| link.is_heard(now) && !link.is_dead())
    }

    fn is_dialling(&self, id: RtcId) -> bool {
        self.links.get(&id).is_some_and(|link| link.origin == Origin::Dialled && !link.open)
    }
}
