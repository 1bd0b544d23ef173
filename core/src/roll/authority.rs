//! The authority law: an act changes nothing for a membership that its signer could not have revoked.
//!
//! [`power`] says over which memberships somebody has power, and of which kind. Everything that one member's act does to
//! another goes through it: what a revocation hits, what its lists let stand or keep, and whose place a redemption takes.
use super::{Kept, Offer, Reason};
use crate::cert::{Certificate, Role, VerifiedChain};
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::key::PublicKey;
use crate::sorted::SortedSet;
use crate::time::WallTime;

/// The target of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Target {
    /// One certificate.
    Certificate(CertificateId),
    /// All certificates of a peer.
    Peer(PeerId),
}

impl Target {
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        match *self {
            Self::Certificate(id) => certificate.id() == id,
            Self::Peer(peer) => certificate.peer_id() == peer,
        }
    }

    /// The number that stands for it in the ids of records: a signer has few acts about one target.
    pub(crate) fn number(&self) -> u64 {
        let bytes = match self {
            Self::Certificate(id) => id.as_bytes(),
            Self::Peer(peer) => peer.as_bytes(),
        };
        Digest::of(bytes).short()
    }
}

/// Over whom a signer has power: rule 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Over a membership of its own, and nothing that hangs on it.
    Own,
    /// Over a junior's.
    Senior,
}

/// A certificate in its place: how far below the group's own key.
pub(crate) type Place<'a> = (&'a Certificate, usize);

/// The power that who holds `signer` has over a certificate: rule 1.
pub(crate) fn power(signer: Place<'_>, over: Place<'_>) -> Option<Power> {
    let (certificate, depth) = over;
    if depth == 0 {
        return None;
    }
    if signer.0.peer_id() == certificate.peer_id() {
        return Some(Power::Own);
    }
    let administers = signer.1 == 0 || signer.0.role() == Some(Role::Administrator);
    let above = certificate.role() < Some(Role::Administrator) || Rank::of(signer) < Rank::of(over);
    (administers && above).then_some(Power::Senior)
}

/// The leaf of a chain in its place.
pub(crate) fn place(chain: &VerifiedChain) -> Place<'_> {
    (chain.leaf(), chain.depth())
}

/// Whether who holds `signer` may revoke `target`: rule 1.
pub(crate) fn may_revoke(signer: &VerifiedChain, target: &VerifiedChain) -> bool {
    power(place(signer), place(target)).is_some()
}

/// A place in the order of seniority; lower is senior.
///
/// The issuer of an administrator says since when its line of renewals goes back. That gives nobody away: whoever issues
/// at one depth is senior to all at that depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    depth: usize,
    since: WallTime,
    peer: PeerId,
    id: CertificateId,
}

impl Rank {
    pub(super) fn of((certificate, depth): Place<'_>) -> Self {
        let (since, peer, id) = (certificate.since(), certificate.peer_id(), certificate.id());
        Self { depth, since, peer, id }
    }
}

/// The order in which revocations take effect: rule 3.
pub(super) type Order = (bool, Rank, bool, u64, Digest);

/// A revocation that a record of the group carries.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) version: u64,
    pub(crate) digest: Digest,
    /// On what it relies.
    pub(crate) signer: VerifiedChain,
    /// The chain that shows that the signer is above the target.
    pub(crate) target_chain: VerifiedChain,
    pub(crate) target: Target,
    pub(crate) reason: Reason,
    /// Certificates issued directly under the target's that stay.
    pub(crate) standing: SortedSet<CertificateId>,
    /// Beginnings of the digests of the records that stay, sorted.
    pub(crate) kept: Kept,
}

impl Revocation {
    /// Rules 1 and 2, on the certificate that the revocation shows. Others of the same peer are judged one by one.
    pub(crate) fn is_allowed(&self) -> bool {
        let names = self.target.names(self.target_chain.leaf());
        names
            && match power(place(&self.signer), place(&self.target_chain)) {
                Some(Power::Senior) => true,
                // A member that leaves needs no list, and has none to fill stores with.
                Some(Power::Own) => {
                    let one = matches!(self.target, Target::Certificate(_));
                    one && self.standing.is_empty() && self.kept.len() == 0
                }
                None => false,
            }
    }

    pub(super) fn is_own(&self) -> bool {
        self.signer.peer() == self.target_chain.peer()
    }

    /// Rule 3. Those of administrators come before those by which others leave.
    pub(super) fn order(&self) -> Order {
        let plain = self.signer.role() < Role::Administrator;
        (plain, Rank::of(place(&self.signer)), !self.is_own(), self.version, self.digest)
    }

    /// Whether it hits a chain at this place: rules 1, 2 and 5.
    pub(super) fn hits(&self, chain: &VerifiedChain, at: usize) -> bool {
        let certificates = chain.certificates();
        let last = certificates.len() - 1;
        let over = |at: usize| power(place(&self.signer), (&certificates[at], chain.depth_at(at)));
        self.target.names(&certificates[at])
            && match over(at) {
                Some(Power::Own) => at == last,
                Some(Power::Senior) => over(last) == Some(Power::Senior),
                None => false,
            }
    }

    /// Whether a chain does not stand if this revocation decides.
    pub(crate) fn fells(&self, chain: &VerifiedChain) -> bool {
        let certificates = chain.certificates();
        let hits = |at| self.hits(chain, at) && !self.lets_stand(certificates, at);
        (1..certificates.len()).any(hits)
    }

    /// Whether it, or one after it in the order of rule 3, may hit this certificate. Those before it in that order are by
    /// seniors: behind the first of a signer that is junior to an administrator, only acts of that administrator itself
    /// can hit it, and those name the certificate.
    pub(super) fn may_hit_after(&self, over: &Certificate, depth: usize) -> bool {
        let by_peer = matches!(self.target, Target::Peer(_));
        let administers = over.role() == Some(Role::Administrator);
        !(by_peer && administers) || Rank::of(place(&self.signer)) < Rank::of((over, depth))
    }

    /// Whether it lets stand the chain that it hits at this place: rule 5.
    pub(super) fn lets_stand(&self, certificates: &[Certificate], at: usize) -> bool {
        certificates.get(at + 1).is_some_and(|below| self.standing.contains(&below.id()))
    }

    /// Whether a record that relies on a chain which it hits holds all the same: rule 6.
    pub(super) fn keeps(&self, said: &Said) -> bool {
        match self.is_own() {
            true => said.for_others || said.version <= self.version,
            false => self.kept.contains(&said.digest),
        }
    }
}

/// The facts that the roll has to know of a record to say whether it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) digest: Digest,
    pub(crate) version: u64,
    /// Whether others lose by it if it does not hold: it changes somebody else's record, or says whom its signer let in.
    pub(crate) for_others: bool,
}

/// Use of an invitation by link or password, as the record of who let the newcomer in says.
#[derive(Clone, Debug)]
pub(crate) struct Redemption {
    /// The record of the invitation.
    pub(crate) invitation: RecordId,
    /// The signer that let the newcomer in.
    pub(crate) signer: VerifiedChain,
    /// The membership that the newcomer was issued.
    pub(crate) newcomer: VerifiedChain,
    /// The key with which the newcomer proved that it holds the link.
    pub(crate) proved: Option<PublicKey>,
    pub(crate) version: u64,
}

impl Redemption {
    /// Whether it is a use of an invitation that says this: by proof, or by the word of who made the invitation.
    pub(super) fn is_of(&self, offer: &Offer) -> bool {
        self.proved == Some(offer.key) || self.signer.peer() == offer.inviter
    }

    /// Rule 7: the senior's first.
    pub(super) fn order(&self, id: RecordId) -> (bool, Rank, u64, RecordId) {
        let plain = self.signer.role() < Role::Administrator;
        (plain, Rank::of(place(&self.signer)), self.version, id)
    }

    /// Whether a use by this one can take the place of another's: its signer may revoke the other newcomer. In the order of
    /// rule 7 those that can come before those that cannot.
    pub(super) fn displaces(&self, other: &Self) -> bool {
        let (signer, newcomer) = (place(&self.signer), place(&other.newcomer));
        let administers = signer.1 == 0 || self.signer.role() == Role::Administrator;
        let below = other.newcomer.role() < Role::Administrator;
        administers && (below || Rank::of(signer) < Rank::of(newcomer))
    }
}
