//! The roll of a group: whose membership stands, and which records hold.
//!
//! It is a function of the *set* of certificates, revocations and redemptions that a node knows, and of nothing else:
//! whatever the order in which they arrived, and whatever happened in between, two nodes with the same set say the
//! same. `Roll::standing` judges a membership, `Roll::admits` a record that relies on one.
//!
//! # Seniority
//!
//! A certificate that is nearer to the group's own key is senior; of two at the same distance the one whose line of
//! renewals began earlier, then the one of the lower peer id, then the one of the lower digest. The group's own key is
//! above all.
//!
//! # Revocation
//!
//! 1. The group's own key revokes anybody. An administrator revokes administrators junior to itself and everybody who
//!    is not an administrator. Everybody revokes its own memberships: that is leaving. An act changes nothing for a
//!    membership over which its signer has no such power, wherever that stands (`authority.rs`).
//! 2. By its digest, one certificate is revoked. By peer, all that a peer has or will be issued, until the revocation is
//!    deleted by who made it. A member that leaves does so by certificate, and touches nothing that hangs on it.
//! 3. Revocations take effect in the order of seniority of their signers' certificates; of one signer, that of itself
//!    first, then the lower version, then the lower digest. One that relies on a certificate which is revoked by those
//!    before it has effect only if they kept it. In this order each signer has a share of acts, and all together have;
//!    what is beyond has no effect. The group's own key has as many as it needs.
//! 4. Of several that hit one certificate the first in that order decides.
//! 5. A membership *stands* if none of the certificates of its chain is revoked; but a certificate issued under a
//!    revoked one is not touched if the revocation lets it stand.
//! 6. A record that relies on a membership which does not stand *holds* only if each revocation that hits its chain
//!    kept it. A record that a revoked member signs later, however it dates it, was not kept. A member that leaves keeps what
//!    it said before, by version, and all by which others would lose.
//!
//! Two administrators who revoke each other: the senior's act is effective, the junior's is not even valid (rule 1).
//! There are no circles: who is revoked by an effective act is junior to its signer, or is that signer. A revocation is a
//! record like others, and ends with the membership of its signer: who has expired cannot date one back.
//!
//! # Redemptions
//!
//! 7. Of one invitation the first n redemptions count, of different peers each: the seniors' before the juniors', then by
//!    version and id of their records. One beyond them does not stand where who let in enough before it could have
//!    revoked it. So a group that was cut in parts can for a while have more members by one link than it allows, and has
//!    not once the parts have met and an administrator was among those who let in. Redemptions of others than
//!    administrators take nobody's membership.
//!
//! # The group's own key
//!
//! 9. It can hand over to another key, its heir; the first handover by it that this node has seen counts, and no other
//!    (`line.rs`). The heir is the group's own key from then on, and what stands above does so for it.
//! 10. A membership that hangs on the certificate of an earlier key stands only if it hangs on the heir, or if the handover
//!     lets it stand. Records of an earlier key, and of those who do not stand by this, hold only if the handover kept them.
//!     Records that the earlier key signs later, however it dates them, were not kept.
//!
//! # Choice
//!
//! 8. A membership is an offer until its subject has signed with it. Of several that stand, the one that its subject signed
//!    for last counts.
use crate::cert::{Role, VerifiedChain};
use crate::id::{CertificateId, PeerId, RecordId};
use crate::limits;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::WallTime;

#[cfg(test)]
mod attacks;
mod authority;
mod kept;
mod line;
#[cfg(test)]
mod line_tests;
mod redemptions;
#[cfg(test)]
mod tests;
mod words;

pub use authority::Target;
use authority::{Order, Power, place, power};
pub(crate) use authority::{Redemption, Revocation, Said, may_revoke};
pub(crate) use kept::Kept;
pub(crate) use line::{Handover, digest_of_lists};
use line::{Line, Off};
pub(crate) use redemptions::Offer;
use redemptions::Redemptions;
pub use words::ParseReasonError;

/// Whether somebody is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl Standing {
    pub(crate) fn is_member(self) -> bool {
        self == Self::Member
    }
}

/// Why a membership was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode)]
#[cbor(index_only)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reason {
    /// Not said, or said by a later version in a way that this one does not know.
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
    /// The group's own key that issued it was handed over, and did not let it stand.
    #[n(6)]
    HandedOver,
}

impl<'b, C> minicbor::Decode<'b, C> for Reason {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(match d.u64()? {
            1 => Self::KeyLost,
            2 => Self::Misconduct,
            3 => Self::Left,
            4 => Self::Superseded,
            5 => Self::UsedUp,
            6 => Self::HandedOver,
            _ => Self::Unspecified,
        })
    }
}

/// The certificates of a group, and what has become of them.
#[derive(Clone, Debug)]
pub(crate) struct Roll {
    line: Line,
    chains: SortedMap<CertificateId, VerifiedChain>,
    /// Of each peer, the one that counts before others last. Derived.
    of_peers: SortedMap<PeerId, SortedSet<Preference>>,
    /// Memberships with which their subjects have signed, and when they chose them: the version of that record.
    chosen: SortedMap<CertificateId, u64>,
    /// Certificates that are offered by a record of their issuer, by that record.
    offered: SortedMap<RecordId, CertificateId>,
    revocations: SortedMap<RecordId, Held>,
    /// All revocations in the order of rule 3. Derived.
    ordered: SortedMap<Order, RecordId>,
    /// How many revocations rely on each peer. Derived.
    relied_on: SortedMap<PeerId, usize>,
    /// Revocations of each signer but the group's own key, in that order, with how many records each keeps. Derived.
    by_signer: SortedMap<PeerId, SortedMap<Order, usize>>,
    /// Records that all revocations of a signer keep together. Derived.
    kept_by: SortedMap<PeerId, usize>,
    /// How many revocations there are, those by the group's own key left out. Derived.
    counted: usize,
    /// The first revocation beyond the bound of all, if there is one, and beyond the share of each signer. Derived.
    beyond: Option<Order>,
    beyond_share: SortedMap<PeerId, Order>,
    /// The revocations that have effect, by what they hit, in the order of rule 3. Derived.
    by_certificate: SortedMap<CertificateId, SortedMap<Order, RecordId>>,
    by_peer: SortedMap<PeerId, SortedMap<Order, RecordId>>,
    /// Whether what is derived has to be found anew.
    unjudged: bool,
    redemptions: Redemptions,
    steps: Steps,
}

#[cfg(test)]
impl Roll {
    /// Steps of what takes long, so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.count.get() + self.redemptions.steps()
    }
}

/// The place of a membership among those of its peer, but for whether it stands: the one that the peer chose last comes before
/// others, and of offers the one that grants most, then the latest. Somebody may be offered as many memberships as another's
/// quota holds, so they are not looked through for each record.
type Preference = (Option<u64>, Role, usize, WallTime, WallTime, CertificateId);

fn preference(chosen: &SortedMap<CertificateId, u64>, chain: &VerifiedChain) -> Preference {
    let (id, grant) = (chain.id(), chain.grant());
    let (begin, end) = (chain.not_before(), chain.not_after());
    (chosen.get(&id).copied(), grant.role, grant.app_roles.len(), begin, end, id)
}

/// Takes a membership out of those of its peer.
fn displace(
    of_peers: &mut SortedMap<PeerId, SortedSet<Preference>>,
    chosen: &SortedMap<CertificateId, u64>,
    chain: &VerifiedChain,
) {
    if let Some(others) = of_peers.get_mut(&chain.peer()) {
        others.remove(&preference(chosen, chain));
        if others.is_empty() {
            of_peers.remove(&chain.peer());
        }
    }
}

/// A revocation, and its place in the order of rule 3.
#[derive(Clone, Debug)]
struct Held {
    order: Order,
    act: Revocation,
}

/// Whether so many acts that keep so many records are within the share of one signer.
fn is_share(acts: usize, kept: usize) -> bool {
    acts <= limits::REVOCATIONS_PER_SIGNER_MAX && kept <= limits::REVOCATIONS_KEPT_PER_SIGNER_MAX
}

/// Counts the steps of what takes long, so that tests can bound them. Costs nothing elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    count: std::cell::Cell<u64>,
}

impl Steps {
    #[cfg(test)]
    fn add(&self) {
        self.count.set(self.count.get() + 1);
    }

    #[cfg(not(test))]
    fn add(&self) {}
}

impl Roll {
    /// The roll of a group of which nothing but the root is known.
    #[cfg(test)]
    pub(crate) fn new(owner: VerifiedChain) -> Self {
        let mut roll = Self::unknown();
        roll.know_line(owner);
        roll
    }

    /// The roll of a group of which not even the root is known.
    pub(crate) fn unknown() -> Self {
        Self {
            line: Line::default(),
            chains: SortedMap::new(),
            of_peers: SortedMap::new(),
            chosen: SortedMap::new(),
            offered: SortedMap::new(),
            revocations: SortedMap::new(),
            ordered: SortedMap::new(),
            relied_on: SortedMap::new(),
            by_signer: SortedMap::new(),
            kept_by: SortedMap::new(),
            counted: 0,
            beyond: None,
            beyond_share: SortedMap::new(),
            unjudged: false,
            steps: Steps::default(),
            by_certificate: SortedMap::new(),
            by_peer: SortedMap::new(),
            redemptions: Redemptions::default(),
        }
    }

    /// The membership with this certificate; one of the group's own keys for that of the root or an heir.
    pub(crate) fn chain(&self, certificate: CertificateId) -> Option<&VerifiedChain> {
        self.line.chain(certificate).or_else(|| self.chains.get(&certificate))
    }

    /// Notes a membership. Whether it was not known.
    pub(crate) fn add(&mut self, chain: VerifiedChain) -> bool {
        let known = chain.depth() == 0 || self.chains.contains_key(&chain.id());
        if !known {
            self.place(&chain);
            self.chains.insert(chain.id(), chain);
        }
        !known
    }

    fn place(&mut self, chain: &VerifiedChain) {
        let preference = preference(&self.chosen, chain);
        self.of_peers.entry(chain.peer()).or_default().insert(preference);
    }

    /// Notes that the subject of a membership signed with it, in a record of this version. Whether that is news.
    pub(crate) fn choose(&mut self, chain: VerifiedChain, version: u64) -> bool {
        self.add(chain.clone());
        if self.chosen.get(&chain.id()).is_some_and(|before| *before >= version) {
            return false;
        }
        displace(&mut self.of_peers, &self.chosen, &chain);
        self.chosen.insert(chain.id(), version);
        self.place(&chain);
        true
    }

    /// Notes a membership that its issuer offers by a record. Whether it was not known.
    pub(crate) fn offered(&mut self, by: RecordId, chain: VerifiedChain) -> bool {
        self.offered.insert(by, chain.id());
        self.add(chain)
    }

    /// A record by which somebody offered a membership is gone. So is the membership, if its subject has not signed with it.
    fn withdraw(&mut self, by: RecordId) {
        let Some(id) = self.offered.remove(&by).filter(|id| !self.chosen.contains_key(id)) else {
            return;
        };
        if let Some(chain) = self.chains.remove(&id) {
            displace(&mut self.of_peers, &self.chosen, &chain);
        }
    }

    /// Forgets memberships that have ended before `now`: no record relies on them any more. Ours stays: whether we are still a
    /// member is a question to our own clock.
    pub(crate) fn forget_ended(&mut self, now: WallTime, ours: Option<CertificateId>) {
        let (of_peers, chosen) = (&mut self.of_peers, &mut self.chosen);
        self.chains.retain(|id, chain| {
            let stays = chain.not_after() >= now || Some(*id) == ours;
            if !stays {
                displace(of_peers, chosen, chain);
                chosen.remove(id);
            }
            stays
        });
    }

    /// Everybody who has, or had, a membership and has signed with it, and everybody who was revoked: the record in which
    /// somebody signed may be gone by then.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        let came = |(.., id): &Preference| {
            self.chosen.contains_key(id) || self.by_certificate.contains_key(id)
        };
        let counts = move |(peer, its): &(&PeerId, &SortedSet<Preference>)| {
            self.by_peer.contains_key(peer) || its.iter().rev().any(came)
        };
        self.of_peers.iter().filter(counts).map(|(&peer, _)| peer)
    }

    /// The memberships of one peer, offers among them: the one that counts before others last.
    pub(crate) fn of_peer(&self, peer: PeerId) -> impl DoubleEndedIterator<Item = &VerifiedChain> {
        let its = self.of_peers.get(&peer).into_iter().flatten();
        its.filter_map(|(.., id)| self.chains.get(id))
    }

    /// The membership of a peer that counts: one that stands and is valid at `now` before others, then the one that the
    /// peer chose last; of offers only, the one that grants most, then the latest.
    pub(crate) fn best_of(&self, peer: PeerId, now: WallTime) -> Option<&VerifiedChain> {
        let stands = |chain: &&VerifiedChain| {
            self.steps.add();
            self.standing(chain, now) == Standing::Member
        };
        self.of_peer(peer).rev().find(stands).or_else(|| self.of_peer(peer).next_back())
    }

    /// The name by which a peer goes: that in the membership which it chose last.
    pub(crate) fn name_of(&self, peer: PeerId) -> Option<&str> {
        let last = self.of_peer(peer).next_back()?;
        self.chosen.contains_key(&last.id()).then(|| last.name())
    }

    /// The membership that the holder of `ours` should use: rule 8. An offer in another name than the two that it goes by
    /// is none. One of those that stand is left only for one that the holder itself chose, on another device; or for one
    /// that lasts longer and grants no less, by the same issuer or by who could have taken the old one away.
    pub(crate) fn offer<'a>(
        &'a self,
        ours: &'a VerifiedChain,
        name: &str,
        now: WallTime,
    ) -> &'a VerifiedChain {
        let stands = |chain: &VerifiedChain| self.standing(chain, now) == Standing::Member;
        let in_our_name = |chain: &&VerifiedChain| [ours.name(), name].contains(&chain.name());
        let chosen = |chain: &VerifiedChain| self.chosen.get(&chain.id());
        let improves = |chain: &VerifiedChain| {
            let more = chain.grant() != ours.grant() || chain.not_after() > ours.not_after();
            more && chain.grant().includes(ours.grant()) && follows(chain, ours)
        };
        let lost = !stands(ours);
        let takes = |chain: &&VerifiedChain| {
            lost || chosen(chain) > chosen(ours) || chosen(chain).is_none() && improves(chain)
        };
        let candidates = self.of_peer(ours.peer()).filter(in_our_name);
        let candidates = candidates.filter(|chain| stands(chain)).filter(takes);
        let key = |chain: &&VerifiedChain| {
            let grants = (chain.grant().role, chain.grant().app_roles.len());
            (follows(chain, ours), grants, chain.not_after(), chain.id())
        };
        candidates.max_by_key(key).unwrap_or(ours)
    }

    /// Whether an offer by the issuer of `chain`, which lasts longer, waits for its subject.
    pub(crate) fn is_renewed(&self, chain: &VerifiedChain) -> bool {
        self.of_peer(chain.peer()).any(|other| {
            other.issuer() == chain.issuer()
                && other.not_after() > chain.not_after()
                && other.grant().includes(chain.grant())
        })
    }

    /// Whether a membership stands at `now`.
    pub(crate) fn standing(&self, chain: &VerifiedChain, now: WallTime) -> Standing {
        match self.hits(chain, None).next() {
            Some(Hit::Revoked(_, by)) if by.is_by_owner() => {
                Standing::Revoked { by: chain.group().into(), reason: by.reason }
            }
            Some(Hit::Revoked(_, by)) => {
                Standing::Revoked { by: by.signer.peer(), reason: by.reason }
            }
            Some(Hit::Surplus) => {
                Standing::Revoked { by: chain.group().into(), reason: Reason::UsedUp }
            }
            Some(Hit::Off(_)) => {
                Standing::Revoked { by: chain.group().into(), reason: Reason::HandedOver }
            }
            None if chain.covers(now) => Standing::Member,
            None => Standing::Expired,
        }
    }

    /// The records by which a membership does not stand, to show them to who does not know.
    pub(crate) fn proof(&self, chain: &VerifiedChain) -> Vec<RecordId> {
        match self.hits(chain, None).next() {
            None => Vec::new(),
            Some(Hit::Revoked(id, _)) => vec![id],
            Some(Hit::Surplus) => self.redemptions.proof(chain),
            Some(Hit::Off(Off::HandedOver(id, _))) => vec![id],
            Some(Hit::Off(Off::Elsewhere)) => Vec::new(),
        }
    }

    /// Whether a record that relies on a membership holds: rule 6. The clock is the caller's.
    pub(crate) fn admits(&self, chain: &VerifiedChain, said: &Said) -> bool {
        self.hits(chain, None).all(|hit| match hit {
            Hit::Revoked(_, by) => by.keeps(said),
            Hit::Off(Off::HandedOver(_, by)) => by.keeps(said),
            Hit::Off(Off::Elsewhere) | Hit::Surplus => false,
        })
    }

    /// The memberships that do not stand if a revocation of `target` that lets `standing` stand has effect.
    pub(crate) fn under(
        &self,
        target: Target,
        standing: &SortedSet<CertificateId>,
    ) -> SortedSet<CertificateId> {
        let falls = |chain: &VerifiedChain| {
            let certificates = chain.certificates();
            (chain.line().len()..certificates.len()).any(|at| {
                let below = certificates.get(at + 1);
                target.names(&certificates[at])
                    && !below.is_some_and(|below| standing.contains(&below.id()))
            })
        };
        self.chains.values().filter(|chain| falls(chain)).map(VerifiedChain::id).collect()
    }

    /// The certificates that `target` issued itself.
    pub(crate) fn issued_under(&self, target: Target) -> SortedSet<CertificateId> {
        let chains = self.chains.values();
        let pairs =
            chains.flat_map(|chain| chain.certificates().windows(2).skip(chain.line().len()));
        pairs.filter(|pair| target.names(&pair[0])).map(|pair| pair[1].id()).collect()
    }

    /// Whether all memberships of a peer are revoked, whatever it is issued.
    pub(crate) fn is_banned(&self, peer: PeerId) -> bool {
        self.by_peer.contains_key(&peer)
    }

    /// The revocation that a record carries.
    pub(crate) fn act(&self, id: RecordId) -> Option<&Revocation> {
        self.revocations.get(&id).map(|held| &held.act)
    }

    /// All revocations that are known.
    pub(crate) fn acts(&self) -> impl Iterator<Item = (RecordId, &Revocation)> {
        self.revocations.iter().map(|(&id, held)| (id, &held.act))
    }

    /// Notes a revocation, in the place of an earlier one of this record. The consequences for others are found by
    /// [`settle`](Self::settle), once for all that an input brings.
    pub(crate) fn revoke(&mut self, id: RecordId, revocation: Revocation) {
        for chain in [&revocation.signer, &revocation.target_chain] {
            self.add(chain.clone());
        }
        // Others are touched only if one of their signers is hit, if it takes the place of an earlier one, or if some have
        // no share any more.
        let mut alone = !self.relied_on.contains_key(&revocation.target_chain.peer());
        let before = self.revocations.remove(&id);
        if let Some(before) = &before {
            self.count(before, false);
        }
        let held = Held { order: revocation.order(), act: revocation };
        self.count(&held, true);
        self.ordered.insert(held.order, id);
        alone &= self.everything_fits(held.act.signer.peer());
        self.revocations.insert(id, held);
        // One behind another of the same signer about the same target decides nothing.
        let decides_nothing = before.is_none() && (alone || self.is_behind_another(id));
        match decides_nothing && !self.unjudged {
            true => self.take_effect(id),
            false => self.unjudged = true,
        }
    }

    /// Whether another revocation of this target by the very same certificate comes before this one, and has effect: rule 4.
    fn is_behind_another(&self, id: RecordId) -> bool {
        let Some(Held { order, act }) = self.revocations.get(&id) else { return false };
        let effective = match act.target {
            Target::Certificate(named) => self.by_certificate.get(&named),
            Target::Peer(peer) => self.by_peer.get(&peer),
        };
        let before = effective.and_then(|acts| acts.range(..order).next_back());
        let same = |(_, other): (&Order, &RecordId)| {
            self.act(*other).is_some_and(|other| other.signer.id() == act.signer.id())
        };
        self.everything_fits(act.signer.peer()) && before.is_some_and(same)
    }

    /// Whether nothing has come or gone from which more may follow.
    pub(crate) fn is_settled(&self) -> bool {
        !self.unjudged && self.redemptions.is_settled()
    }

    /// Finds what follows from all that has come and gone since the last time. Returns how many revocations and uses of
    /// invitations it looked at.
    pub(crate) fn settle(&mut self) -> usize {
        let uses = self.redemptions.settle();
        if !std::mem::take(&mut self.unjudged) {
            return uses;
        }
        self.judge();
        uses + self.ordered.len()
    }

    /// Keeps the derived sums.
    fn count(&mut self, held: &Held, comes: bool) {
        let act = &held.act;
        for (certificate, _) in act.signer.memberships() {
            let relied_on = self.relied_on.entry(certificate.peer_id()).or_default();
            *relied_on = if comes { *relied_on + 1 } else { *relied_on - 1 };
            if *relied_on == 0 {
                self.relied_on.remove(&certificate.peer_id());
            }
        }
        if !comes {
            self.ordered.remove(&held.order);
        }
        if act.signer.depth() == 0 {
            return;
        }
        let (signer, kept) = (act.signer.peer(), act.kept.len());
        let all = self.kept_by.entry(signer).or_default();
        *all = if comes { *all + kept } else { *all - kept };
        self.counted = if comes { self.counted + 1 } else { self.counted - 1 };
        let acts = self.by_signer.entry(signer).or_default();
        if comes {
            acts.insert(held.order, kept);
            return;
        }
        acts.remove(&held.order);
        if acts.is_empty() {
            self.by_signer.remove(&signer);
            self.kept_by.remove(&signer);
        }
    }

    fn everything_fits(&self, signer: PeerId) -> bool {
        let acts = self.by_signer.get(&signer).map_or(0, SortedMap::len);
        let kept = self.kept_by.get(&signer).copied().unwrap_or(0);
        is_share(acts, kept) && self.counted <= limits::REVOCATIONS_MAX
    }

    /// Forgets what a record said: it was deleted, or has ended. Whether somebody's standing may depend on it.
    pub(crate) fn forget(&mut self, id: RecordId) -> bool {
        self.withdraw(id);
        if let Some(held) = self.revocations.remove(&id) {
            self.count(&held, false);
            self.unjudged = true;
            return true;
        }
        self.redemptions.forget(id) || self.forget_handover(id)
    }

    /// The uses of invitations.
    pub(crate) fn redemptions(&self) -> &Redemptions {
        &self.redemptions
    }

    /// Notes that an invitation is open. Whether somebody's standing may depend on it.
    pub(crate) fn open(&mut self, id: RecordId, offer: Offer) -> bool {
        self.redemptions.open(id, offer)
    }

    /// Notes that an invitation was used. Whether somebody's membership does not stand because of it.
    pub(crate) fn redeem(&mut self, id: RecordId, redemption: Redemption) -> bool {
        self.offered(id, redemption.newcomer.clone());
        self.redemptions.redeem(id, redemption)
    }

    /// Whether a revocation has effect: rule 3.
    pub(crate) fn has_effect(&self, act: &Revocation) -> bool {
        let order = act.order();
        self.has_share(act, &order) && self.is_kept(act, &order)
    }

    /// Whether a revocation is within the shares of rule 3.
    fn has_share(&self, act: &Revocation, order: &Order) -> bool {
        if act.signer.depth() == 0 {
            return true;
        }
        // In the order of all, those by the group's own key come first.
        let last = self.ordered.last_key_value().map(|(last, _)| last);
        let full = self.counted >= limits::REVOCATIONS_MAX && last.is_some_and(|it| it < order);
        if full || self.beyond.is_some_and(|beyond| *order >= beyond) {
            return false;
        }
        let signer = act.signer.peer();
        let Some(acts) = self.by_signer.get(&signer) else {
            return is_share(1, act.kept.len());
        };
        let last = acts.last_key_value().map(|(last, _)| last);
        let full = acts.len() >= limits::REVOCATIONS_PER_SIGNER_MAX && last < Some(order);
        if full || self.beyond_share.get(&signer).is_some_and(|beyond| order >= beyond) {
            return false;
        }
        let kept = self.kept_by.get(&signer).copied().unwrap_or(0);
        if is_share(0, kept + act.kept.len()) {
            return true;
        }
        let mut kept = act.kept.len();
        for (_, others) in acts.range(..order) {
            self.steps.add();
            kept += others;
            if !is_share(0, kept) {
                return false;
            }
        }
        true
    }

    /// Finds anew which revocations have effect.
    fn judge(&mut self) {
        self.by_certificate.clear();
        self.by_peer.clear();
        self.beyond = None;
        self.beyond_share.clear();
        let ordered: Vec<RecordId> = self.ordered.values().copied().collect();
        // The acts that each signer has used of its share, and all together.
        let mut used: SortedMap<PeerId, (usize, usize)> = SortedMap::new();
        let mut all = 0;
        for id in ordered {
            self.steps.add();
            let Some(Held { order, act }) = self.revocations.get(&id) else { continue };
            if act.signer.depth() > 0 {
                let (acts, kept) = used.entry(act.signer.peer()).or_default();
                (*acts, *kept, all) = (*acts + 1, *kept + act.kept.len(), all + 1);
                if all > limits::REVOCATIONS_MAX {
                    self.beyond = self.beyond.or(Some(*order));
                }
                let fits = is_share(*acts, *kept);
                if !fits {
                    self.beyond_share.entry(act.signer.peer()).or_insert(*order);
                }
                if self.beyond.is_some() || !fits {
                    continue;
                }
            }
            if self.is_kept(act, order) {
                self.note_effect(id);
            }
        }
    }

    /// Notes the effect of a revocation, if it has one. Those before it have been judged.
    fn take_effect(&mut self, id: RecordId) {
        if self.revocations.get(&id).is_some_and(|held| self.is_kept(&held.act, &held.order)) {
            self.note_effect(id);
        }
    }

    /// Whether those before a revocation leave it its effect.
    fn is_kept(&self, act: &Revocation, order: &Order) -> bool {
        let said = Said { digest: act.digest, version: act.version, for_others: false };
        self.hits(&act.signer, Some(order)).all(|hit| match hit {
            Hit::Revoked(_, by) => by.keeps(&said),
            Hit::Off(Off::HandedOver(_, by)) => by.keeps(&said),
            Hit::Off(Off::Elsewhere) | Hit::Surplus => false,
        })
    }

    fn note_effect(&mut self, id: RecordId) {
        let Some(Held { order, act }) = self.revocations.get(&id) else { return };
        match act.target {
            Target::Certificate(named) => {
                self.by_certificate.entry(named).or_default().insert(*order, id);
            }
            Target::Peer(peer) => {
                self.by_peer.entry(peer).or_default().insert(*order, id);
            }
        }
    }

    /// The hits on a chain, from the root down, by the acts `before` one: rules 4, 5 and 10.
    fn hits<'a>(
        &'a self,
        chain: &'a VerifiedChain,
        before: Option<&'a Order>,
    ) -> impl Iterator<Item = Hit<'a>> {
        let certificates = chain.certificates();
        let quiet =
            self.by_certificate.is_empty() && self.by_peer.is_empty() && self.redemptions.are_few();
        let first = chain.line().len();
        let places = if quiet { first..first } else { first..certificates.len() };
        let hits = places.filter_map(move |at| {
            if self.redemptions.is_surplus(certificates[at].id()) {
                return Some(Hit::Surplus);
            }
            let (id, by) = self.decides(chain, at, before)?;
            (!by.lets_stand(certificates, at)).then_some(Hit::Revoked(id, by))
        });
        self.line.off(chain).map(Hit::Off).into_iter().chain(hits)
    }

    /// Rule 4: of those that hit, the first in order.
    fn decides(
        &self,
        chain: &VerifiedChain,
        at: usize,
        before: Option<&Order>,
    ) -> Option<(RecordId, &Revocation)> {
        let (over, depth) = (&chain.certificates()[at], chain.depth_at(at));
        let by_certificate = self.by_certificate.get(&over.id());
        let by_peer = self.by_peer.get(&over.peer_id());
        let first = |acts: &SortedMap<Order, RecordId>| {
            let hits = acts.iter().map_while(|(order, id)| {
                self.steps.add();
                let held = self.revocations.get(id)?;
                let earlier = before.is_none_or(|before| order < before);
                (earlier && held.act.may_hit_after(over, depth)).then_some((*order, *id))
            });
            let mut hits = hits.filter_map(|(order, id)| Some((order, id, self.act(id)?)));
            hits.find(|(_, _, act)| act.hits(chain, at))
        };
        let found = [by_certificate.and_then(first), by_peer.and_then(first)];
        let (_, id, act) = found.into_iter().flatten().min_by_key(|(order, _, _)| *order)?;
        Some((id, act))
    }
}

/// Whether an offer is by the issuer of `ours`, or by who could have taken that away.
fn follows(offer: &VerifiedChain, ours: &VerifiedChain) -> bool {
    let certificates = offer.certificates();
    let above = certificates.len() - 2;
    let issuer = (&certificates[above], offer.depth_at(above));
    offer.issuer() == ours.issuer() || power(issuer, place(ours)) == Some(Power::Senior)
}

enum Hit<'a> {
    Revoked(RecordId, &'a Revocation),
    Surplus,
    Off(Off<'a>),
}
