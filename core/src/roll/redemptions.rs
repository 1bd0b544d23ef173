//! Who came by which invitation, and who came after its last use: rule 7.
use super::{Redemption, VerifiedChain};
use crate::id::{CertificateId, PeerId, RecordId};
use crate::identity::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// What an invitation's record says of its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// By which newcomers prove that they hold its link.
    pub(crate) key: PublicKey,
    pub(crate) inviter: PeerId,
    pub(crate) uses: u32,
}

/// The uses of a group's invitations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redemptions {
    offers: BTreeMap<RecordId, Offer>,
    all: BTreeMap<RecordId, Redemption>,
    of_invitations: BTreeMap<RecordId, BTreeSet<RecordId>>,
    /// Certificates for which an invitation had no use left, with the redemption. Derived.
    surplus: BTreeSet<(CertificateId, RecordId)>,
}

impl Redemptions {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The uses of one invitation that count, by record.
    fn of(&self, invitation: RecordId) -> impl Iterator<Item = (RecordId, &Redemption)> {
        let offer = self.offers.get(&invitation);
        let ids = self.of_invitations.get(&invitation).into_iter().flatten();
        let all = ids.filter_map(|id| Some((*id, self.all.get(id)?)));
        all.filter(move |(_, used)| offer.is_some_and(|offer| used.is_of(offer)))
    }

    /// The peers that came by an invitation.
    pub(crate) fn came(&self, invitation: RecordId) -> BTreeSet<PeerId> {
        self.of(invitation).map(|(_, used)| used.newcomer.peer()).collect()
    }

    /// The membership that a peer was first issued by an invitation.
    pub(crate) fn first(&self, invitation: RecordId, peer: PeerId) -> Option<&VerifiedChain> {
        let its = self.of(invitation).filter(|(_, used)| used.newcomer.peer() == peer);
        its.min_by_key(|(id, used)| used.order(*id)).map(|(_, used)| &used.newcomer)
    }

    /// The records by which a membership is one too many.
    pub(super) fn proof(&self, chain: &VerifiedChain) -> Vec<RecordId> {
        let too_many = chain.certificates().iter().find_map(|it| self.surplus_of(it.id()));
        let used = too_many.and_then(|id| self.all.get(&id));
        let Some(invitation) = used.map(|used| used.invitation) else { return Vec::new() };
        std::iter::once(invitation).chain(self.of(invitation).map(|(id, _)| id)).collect()
    }

    /// Whether no certificate is one too many.
    pub(super) fn are_few(&self) -> bool {
        self.surplus.is_empty()
    }

    pub(super) fn is_surplus(&self, certificate: CertificateId) -> bool {
        !self.are_few() && self.surplus_of(certificate).is_some()
    }

    fn surplus_of(&self, certificate: CertificateId) -> Option<RecordId> {
        let [least, most] = [[0; 16], [u8::MAX; 16]].map(RecordId::from_bytes);
        let mut found = self.surplus.range((certificate, least)..=(certificate, most));
        found.next().map(|&(_, id)| id)
    }

    pub(super) fn open(&mut self, id: RecordId, offer: Offer) -> bool {
        self.offers.insert(id, offer);
        self.count(id)
    }

    pub(super) fn redeem(&mut self, id: RecordId, redemption: Redemption) -> bool {
        let changed = self.drop_use(id);
        let invitation = redemption.invitation;
        self.of_invitations.entry(invitation).or_default().insert(id);
        self.all.insert(id, redemption);
        self.count(invitation) || changed
    }

    pub(super) fn forget(&mut self, id: RecordId) -> bool {
        let closed = self.offers.remove(&id).is_some() && self.count(id);
        self.drop_use(id) || closed
    }

    fn drop_use(&mut self, id: RecordId) -> bool {
        let Some(used) = self.all.remove(&id) else { return false };
        self.surplus.remove(&(used.newcomer.id(), id));
        if let Some(others) = self.of_invitations.get_mut(&used.invitation) {
            others.remove(&id);
            if others.is_empty() {
                self.of_invitations.remove(&used.invitation);
            }
        }
        self.count(used.invitation);
        true
    }

    /// Finds anew who came after the last use of an invitation. Whether that has changed.
    fn count(&mut self, invitation: RecordId) -> bool {
        let uses = self.offers.get(&invitation).map_or(usize::MAX, |offer| offer.uses as usize);
        let mut used: Vec<_> = self.of(invitation).collect();
        let mut surplus = BTreeSet::new();
        if used.len() > uses {
            used.sort_by_cached_key(|(id, used)| used.order(*id));
            for (nth, (id, late)) in used.iter().enumerate() {
                let before = used[..nth].iter().filter(|(_, first)| first.displaces(late));
                let others = before.map(|(_, first)| first.newcomer.peer());
                let others: BTreeSet<_> = others.filter(|it| *it != late.newcomer.peer()).collect();
                if others.len() >= uses {
                    surplus.insert((late.newcomer.id(), *id));
                }
            }
        }
        let ids = self.of_invitations.get(&invitation).into_iter().flatten();
        let before: BTreeSet<_> = ids
            .filter_map(|id| Some((self.all.get(id)?.newcomer.id(), *id)))
            .filter(|entry| self.surplus.contains(entry))
            .collect();
        let changed = before != surplus;
        before.iter().for_each(|entry| _ = self.surplus.remove(entry));
        self.surplus.extend(surplus);
        changed
    }
}
