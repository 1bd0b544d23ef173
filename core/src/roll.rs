//! The roll of a group: whose membership stands, and which records hold.
//!
//! It is a function of the *set* of certificates, revocations and redemptions that a node knows, and of nothing else:
//! whatever the order in which they arrived, and whatever happened in between, two nodes with the same set say the
//! same. `Roll::standing` judges a membership, `Roll::admits` a record that relies on one.
//!
//! # Seniority
//!
//! A certificate that is nearer to the root is senior; of two at the same distance the one that begins earlier, then
//! the one of the lower peer id, then the one of the lower serial. The group's own key is above all.
//!
//! # Revocation
//!
//! 1. The group's own key revokes anybody. An administrator revokes administrators junior to itself and everybody who
//!    is not an administrator. Everybody revokes itself: that is leaving.
//! 2. By serial, one certificate is revoked. By peer, all that a peer has or will be issued, until the revocation is
//!    deleted by who made it.
//! 3. Revocations take effect in the order of seniority of their signers' certificates; of one signer, that of itself
//!    first, then the lower version, then the lower digest. One that relies on a certificate which is revoked by those
//!    before it has effect only if they kept it.
//! 4. Of several that hit one certificate the first in that order decides.
//! 5. A membership *stands* if none of the certificates of its chain is revoked; but a certificate issued under a
//!    revoked one is not touched if the revocation lets it stand.
//! 6. A record that relies on a membership which does not stand *holds* only if each revocation that hits its chain
//!    kept it. What a revoked member signs later, however it dates it, was not kept.
//!
//! Two administrators who revoke each other: the senior's act is effective, the junior's is not even valid (rule 1).
//! There are no circles: who is revoked by an effective act is junior to its signer, or is that signer.
//!
//! # Redemptions
//!
//! 7. Of one invitation by link the first n redemptions count, by version and id of their records, different peers
//!    each; the certificates that the others were issued do not stand, and nothing that relies on them holds. So a
//!    group that was cut in parts can for a while have more members by one link than it allows, and has not once the
//!    parts have met.
use crate::cert::{Certificate, Role, VerifiedChain};
use crate::id::{Digest, PeerId, RecordId, Serial};
use crate::identity::PublicKey;
use crate::time::WallTime;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;
mod words;

pub use words::ParseReasonError;

/// Bytes of a digest in the list of what a revocation keeps. To find two records with one such name takes 2^80 tries.
pub(crate) const KEPT_BYTES: usize = 20;

/// Whether somebody is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Yes.
    Member,
    /// The membership has ended.
    Expired,
    /// It was revoked.
    Revoked {
        /// By whom; the group's own key has the group's id.
        by: PeerId,
        /// Why.
        reason: Reason,
    },
}

/// Why a membership was revoked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Reason {
    /// Not said.
    #[n(0)]
    Unspecified,
    /// Its key is in other hands.
    #[n(1)]
    KeyLost,
    /// The member broke the rules of the group.
    #[n(2)]
    Misconduct,
    /// The member left.
    #[n(3)]
    Left,
    /// Another membership takes its place, with another role.
    #[n(4)]
    Superseded,
    /// The invitation by which it came had no uses left.
    #[n(5)]
    UsedUp,
}

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One certificate.
    Serial(Serial),
    /// All certificates of a peer.
    Peer(PeerId),
}

impl Target {
    fn names(&self, certificate: &Certificate) -> bool {
        match *self {
            Self::Serial(serial) => certificate.serial() == serial,
            Self::Peer(peer) => certificate.peer_id() == peer,
        }
    }
}

/// Whether who holds `signer` may revoke `target`: rule 1.
pub(crate) fn may_revoke(signer: &VerifiedChain, target: &VerifiedChain) -> bool {
    may_hit(signer, target.leaf(), target.depth())
}

fn may_hit(signer: &VerifiedChain, certificate: &Certificate, depth: usize) -> bool {
    let own = signer.peer() == certificate.peer_id();
    let above = certificate.role() < Some(Role::Administrator)
        || Rank::of(signer.leaf(), signer.depth()) < Rank::of(certificate, depth);
    depth > 0 && (own || signer.role() == Role::Administrator && above)
}

/// A place in the order of seniority; lower is senior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    depth: usize,
    begins: WallTime,
    peer: PeerId,
    serial: Serial,
}

impl Rank {
    fn of(certificate: &Certificate, depth: usize) -> Self {
        Self {
            depth,
            begins: certificate.not_before(),
            peer: certificate.peer_id(),
            serial: certificate.serial(),
        }
    }
}

/// The order in which revocations take effect: rule 3.
type Order = (bool, Rank, bool, u64, Digest);

/// A revocation that a record of the group carries.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) version: u64,
    pub(crate) digest: Digest,
    /// On what it relies.
    pub(crate) signer: VerifiedChain,
    /// What shows that the signer is above the target.
    pub(crate) target_chain: VerifiedChain,
    pub(crate) target: Target,
    pub(crate) reason: Reason,
    /// Certificates issued directly under the target's that stay.
    pub(crate) standing: BTreeSet<Serial>,
    /// Beginnings of the digests of the records that stay, sorted.
    pub(crate) kept: Kept,
}

impl Revocation {
    /// Rule 1, on the certificate that the revocation shows. Others of the same peer are judged one by one.
    pub(crate) fn is_allowed(&self) -> bool {
        self.target.names(self.target_chain.leaf()) && may_revoke(&self.signer, &self.target_chain)
    }

    fn is_own(&self) -> bool {
        self.signer.peer() == self.target_chain.peer()
    }

    /// Rule 3. Those of administrators come before those by which others leave.
    fn order(&self) -> Order {
        let plain = self.signer.role() < Role::Administrator;
        let rank = Rank::of(self.signer.leaf(), self.signer.depth());
        (plain, rank, !self.is_own(), self.version, self.digest)
    }
}

/// The records that a revocation keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(Vec<[u8; KEPT_BYTES]>);

impl Kept {
    pub(crate) fn new(digests: impl IntoIterator<Item = Digest>) -> Self {
        let mut names: Vec<_> = digests.into_iter().map(Self::name).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote: sorted, each once.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (names, []) = bytes.as_chunks() else { return None };
        names.windows(2).all(|pair| pair[0] < pair[1]).then(|| Self(names.to_vec()))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn contains(&self, digest: &Digest) -> bool {
        self.0.binary_search(&Self::name(*digest)).is_ok()
    }

    fn name(digest: Digest) -> [u8; KEPT_BYTES] {
        *digest.as_bytes().first_chunk().expect("20 of 32 bytes")
    }
}

/// Use of an invitation by link, as the record of who let the newcomer in says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redemption {
    pub(crate) invitation: PublicKey,
    /// How many the invitation is good for.
    pub(crate) uses: u32,
    /// Who came.
    pub(crate) peer: PeerId,
    /// The certificate that it was issued.
    pub(crate) serial: Serial,
    pub(crate) version: u64,
}

/// The certificates of a group, and what has become of them.
#[derive(Clone, Debug)]
pub(crate) struct Roll {
    /// Nothing while a newcomer has not seen the root.
    owner: Option<VerifiedChain>,
    chains: BTreeMap<Serial, VerifiedChain>,
    serials: BTreeMap<PeerId, BTreeSet<Serial>>,
    revocations: BTreeMap<RecordId, Revocation>,
    redemptions: BTreeMap<RecordId, Redemption>,
    /// What of them has effect, by what it hits, in the order of rule 3. Derived.
    by_serial: BTreeMap<Serial, Vec<RecordId>>,
    by_peer: BTreeMap<PeerId, Vec<RecordId>>,
    /// Certificates that an invitation had no use left for. Derived.
    surplus: BTreeSet<Serial>,
}

impl Roll {
    /// The roll of a group of which nothing but the root is known.
    #[cfg(test)]
    pub(crate) fn new(owner: VerifiedChain) -> Self {
        let mut roll = Self::unknown();
        roll.know_owner(owner);
        roll
    }

    /// The roll of a group of which not even the root is known.
    pub(crate) fn unknown() -> Self {
        Self {
            owner: None,
            chains: BTreeMap::new(),
            serials: BTreeMap::new(),
            revocations: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            by_serial: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            surplus: BTreeSet::new(),
        }
    }

    /// The group's own key.
    ///
    /// # Panics
    /// Before [`know_owner`](Self::know_owner): only newcomers are without it.
    pub(crate) fn owner(&self) -> &VerifiedChain {
        self.owner.as_ref().expect("members know the root")
    }

    /// The root of the group is known from here on.
    pub(crate) fn know_owner(&mut self, owner: VerifiedChain) {
        self.owner = Some(owner);
    }

    /// The membership with this serial; the group's own key for that of the root.
    pub(crate) fn chain(&self, serial: Serial) -> Option<&VerifiedChain> {
        let owner = self.owner.as_ref().filter(|owner| owner.serial() == serial);
        if owner.is_some() {
            return owner;
        }
        self.chains.get(&serial)
    }

    /// Notes a membership. Whether it was not known.
    pub(crate) fn add(&mut self, chain: VerifiedChain) -> bool {
        let known = self.chains.contains_key(&chain.serial());
        if !known {
            self.serials.entry(chain.peer()).or_default().insert(chain.serial());
            self.chains.insert(chain.serial(), chain);
        }
        !known
    }

    /// Forgets memberships that have ended before `now`: no record relies on them any more.
    pub(crate) fn forget_ended(&mut self, now: WallTime) {
        let serials = &mut self.serials;
        self.chains.retain(|serial, chain| {
            let stays = chain.not_after() >= now;
            if !stays && let Some(others) = serials.get_mut(&chain.peer()) {
                others.remove(serial);
                if others.is_empty() {
                    serials.remove(&chain.peer());
                }
            }
            stays
        });
    }

    /// Everybody who has, or had, a membership.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.serials.keys().copied()
    }

    /// The memberships of one peer.
    pub(crate) fn of_peer(&self, peer: PeerId) -> impl Iterator<Item = &VerifiedChain> {
        let serials = self.serials.get(&peer).into_iter().flatten();
        serials.filter_map(|serial| self.chains.get(serial))
    }

    /// The membership of a peer that counts: one that stands and is valid at `now` before others, then the one that
    /// grants most, then the latest. (Whoever takes a grant back revokes it; validity begins with whole seconds.)
    pub(crate) fn best_of(&self, peer: PeerId, now: WallTime) -> Option<&VerifiedChain> {
        let key = |chain: &&VerifiedChain| {
            let good = self.standing(chain, now) == Standing::Member;
            let grant = chain.grant();
            let grants = (grant.role, grant.app_roles.len());
            (good, grants, chain.not_before(), chain.not_after(), chain.serial())
        };
        self.of_peer(peer).max_by_key(key)
    }

    /// Whether a membership stands at `now`.
    pub(crate) fn standing(&self, chain: &VerifiedChain, now: WallTime) -> Standing {
        match self.hits(chain, None).next() {
            Some(Hit::Revoked(by)) => Standing::Revoked { by: by.signer.peer(), reason: by.reason },
            Some(Hit::Surplus) => {
                Standing::Revoked { by: self.owner().peer(), reason: Reason::UsedUp }
            }
            None if chain.covers(now) => Standing::Member,
            None => Standing::Expired,
        }
    }

    /// The records by which a membership does not stand, to show them to who does not know.
    pub(crate) fn proof(&self, chain: &VerifiedChain) -> Vec<RecordId> {
        let Some(hit) = self.hits(chain, None).next() else { return Vec::new() };
        if let Hit::Revoked(by) = hit {
            let acts = self.revocations.iter().filter(|(_, act)| act.digest == by.digest);
            return acts.map(|(&id, _)| id).collect();
        }
        let serials: Vec<Serial> = chain.certificates().iter().map(Certificate::serial).collect();
        let mut own = self.redemptions.values().filter(|used| serials.contains(&used.serial));
        let Some(invitation) = own.next().map(|used| used.invitation) else { return Vec::new() };
        let of = self.redemptions.iter().filter(|(_, used)| used.invitation == invitation);
        of.map(|(&id, _)| id).collect()
    }

    /// Whether a record that relies on a membership holds: rule 6. The clock is the caller's.
    pub(crate) fn admits(&self, chain: &VerifiedChain, digest: &Digest) -> bool {
        self.hits(chain, None).all(|hit| match hit {
            Hit::Revoked(by) => by.kept.contains(digest),
            Hit::Surplus => false,
        })
    }

    /// The memberships that do not stand if a revocation of `target` that lets `standing` stand has effect.
    pub(crate) fn under(&self, target: Target, standing: &BTreeSet<Serial>) -> BTreeSet<Serial> {
        let falls = |chain: &VerifiedChain| {
            let certificates = chain.certificates();
            (1..certificates.len()).any(|depth| {
                let below = certificates.get(depth + 1);
                target.names(&certificates[depth])
                    && !below.is_some_and(|below| standing.contains(&below.serial()))
            })
        };
        self.chains.values().filter(|chain| falls(chain)).map(VerifiedChain::serial).collect()
    }

    /// The certificates that `target` issued itself.
    pub(crate) fn issued_under(&self, target: Target) -> BTreeSet<Serial> {
        let pairs = self.chains.values().flat_map(|chain| chain.certificates().windows(2).skip(1));
        pairs.filter(|pair| target.names(&pair[0])).map(|pair| pair[1].serial()).collect()
    }

    /// The revocation that a record carries.
    pub(crate) fn act(&self, id: RecordId) -> Option<&Revocation> {
        self.revocations.get(&id)
    }

    /// The revocations of one peer that `signer` made, by serial or by peer.
    pub(crate) fn revocations_of(&self, peer: PeerId, signer: PeerId) -> Vec<RecordId> {
        let wanted =
            |act: &Revocation| act.target_chain.peer() == peer && act.signer.peer() == signer;
        self.revocations.iter().filter(|(_, act)| wanted(act)).map(|(&id, _)| id).collect()
    }

    /// How many revocations are known.
    pub(crate) fn revocations(&self) -> usize {
        self.revocations.len()
    }

    /// Notes a revocation, in the place of an earlier one of this record.
    pub(crate) fn revoke(&mut self, id: RecordId, revocation: Revocation) {
        for chain in [&revocation.signer, &revocation.target_chain] {
            if chain.depth() > 0 {
                self.add(chain.clone());
            }
        }
        // Others are touched only if one of their signers is hit, or if it takes the place of an earlier one.
        let mut signers = self.revocations.values().flat_map(|act| act.signer.certificates());
        let alone = !signers.any(|certificate| revocation.target.names(certificate))
            && !self.revocations.contains_key(&id);
        self.revocations.insert(id, revocation);
        if alone { self.take_effect(id) } else { self.judge() }
    }

    /// Forgets a revocation or redemption: its record was deleted, or has ended. Whether there was one.
    pub(crate) fn forget(&mut self, id: RecordId) -> bool {
        if self.revocations.remove(&id).is_some() {
            self.judge();
            return true;
        }
        if let Some(redemption) = self.redemptions.remove(&id) {
            self.surplus.remove(&redemption.serial);
            self.count(redemption.invitation);
            return true;
        }
        false
    }

    /// Notes that an invitation was used.
    /// Whether somebody's membership does not stand because of it.
    pub(crate) fn redeem(&mut self, id: RecordId, redemption: Redemption) -> bool {
        let before = self.surplus.clone();
        self.redemptions.insert(id, redemption);
        self.count(redemption.invitation);
        before != self.surplus
    }

    /// How many redemptions are known.
    pub(crate) fn redemptions(&self) -> usize {
        self.redemptions.len()
    }

    /// The peers that came by an invitation.
    pub(crate) fn redeemed(&self, invitation: PublicKey) -> BTreeSet<PeerId> {
        let of = self.redemptions.values().filter(|used| used.invitation == invitation);
        of.map(|used| used.peer).collect()
    }

    /// Rule 7.
    fn count(&mut self, invitation: PublicKey) {
        let mut used: Vec<(&RecordId, &Redemption)> =
            self.redemptions.iter().filter(|(_, used)| used.invitation == invitation).collect();
        used.sort_by_key(|(id, used)| (used.version, **id));
        let mut came = BTreeSet::new();
        for (_, used) in used {
            came.insert(used.peer);
            if came.len() > used.uses as usize {
                self.surplus.insert(used.serial);
            } else {
                self.surplus.remove(&used.serial);
            }
        }
    }

    /// Whether a revocation has effect: rule 3.
    pub(crate) fn has_effect(&self, act: &Revocation) -> bool {
        let order = act.order();
        self.hits(&act.signer, Some(&order)).all(|hit| match hit {
            Hit::Revoked(by) => by.kept.contains(&act.digest),
            Hit::Surplus => false,
        })
    }

    /// Finds anew which revocations have effect.
    fn judge(&mut self) {
        self.by_serial.clear();
        self.by_peer.clear();
        let mut ordered: Vec<_> =
            self.revocations.iter().map(|(&id, act)| (act.order(), id)).collect();
        ordered.sort();
        for (_, id) in ordered {
            self.take_effect(id);
        }
    }

    /// Notes the effect of a revocation, if it has one. Those before it have been judged.
    fn take_effect(&mut self, id: RecordId) {
        let Some(act) = self.revocations.get(&id).filter(|act| self.has_effect(act)) else {
            return;
        };
        match act.target {
            Target::Serial(serial) => self.by_serial.entry(serial).or_default().push(id),
            Target::Peer(peer) => self.by_peer.entry(peer).or_default().push(id),
        }
    }

    /// What hits a chain, from the root down, of the acts `before` one: rules 4 and 5.
    fn hits<'a>(
        &'a self,
        chain: &'a VerifiedChain,
        before: Option<&'a Order>,
    ) -> impl Iterator<Item = Hit<'a>> {
        let certificates = chain.certificates();
        let quiet = self.by_serial.is_empty() && self.by_peer.is_empty() && self.surplus.is_empty();
        let depths = if quiet { 1..1 } else { 1..certificates.len() };
        depths.filter_map(move |depth| {
            let certificate = &certificates[depth];
            if self.surplus.contains(&certificate.serial()) {
                return Some(Hit::Surplus);
            }
            let by = self.decides(certificate, depth, before)?;
            let below = certificates.get(depth + 1);
            let stands = below.is_some_and(|below| by.standing.contains(&below.serial()));
            (!stands).then_some(Hit::Revoked(by))
        })
    }

    /// Rule 4.
    fn decides(
        &self,
        certificate: &Certificate,
        depth: usize,
        before: Option<&Order>,
    ) -> Option<&Revocation> {
        let by_serial = self.by_serial.get(&certificate.serial());
        let by_peer = self.by_peer.get(&certificate.peer_id());
        let acts = by_serial.into_iter().chain(by_peer).flatten();
        acts.filter_map(|id| self.revocations.get(id))
            .filter(|act| may_hit(&act.signer, certificate, depth))
            .map(|act| (act.order(), act))
            .filter(|(order, _)| before.is_none_or(|before| order < before))
            .min_by_key(|(order, _)| *order)
            .map(|(_, act)| act)
    }
}

enum Hit<'a> {
    Revoked(&'a Revocation),
    Surplus,
}
