//! The newcomers of each invitation, and those who came after its last use: rule 7.
use super::authority::Rank;
use super::{Redemption, Steps, VerifiedChain};
use crate::id::{CertificateId, PeerId, RecordId};
use crate::key::PublicKey;
use crate::limits;
use crate::sorted::{SortedMap, SortedSet};

/// The uses of an invitation, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// By which newcomers prove that they hold its link.
    pub(crate) key: PublicKey,
    pub(crate) inviter: PeerId,
    pub(crate) uses: u32,
}

/// The place of a use, with its record.
type Place = (bool, Rank, u64, RecordId);

/// The uses of a group's invitations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redemptions {
    offers: SortedMap<RecordId, Offer>,
    all: SortedMap<RecordId, Redemption>,
    /// In the order of rule 7.
    of_invitations: SortedMap<RecordId, SortedSet<Place>>,
    /// Invitations whose uses have changed since they were counted.
    uncounted: SortedSet<RecordId>,
    /// Certificates for which an invitation had no use left, with the redemption. Derived.
    surplus: SortedSet<(CertificateId, RecordId)>,
    steps: Steps,
}

#[cfg(test)]
impl Redemptions {
    pub(super) fn steps(&self) -> u64 {
        self.steps.count.get()
    }
}

impl Redemptions {
    /// Whether a further use of an invitation is kept: there are as many as it has uses and a few more, and in the order of
    /// rule 7 it comes before one of them.
    pub(crate) fn has_place(&self, id: RecordId, used: &Redemption) -> bool {
        let Some(offer) = self.offers.get(&used.invitation) else { return true };
        let others = self.of_invitations.get(&used.invitation);
        let most = (offer.uses as usize).saturating_add(limits::REDEMPTIONS_SPARE);
        let known = self.all.contains_key(&id);
        if known || others.map_or(0, SortedSet::len) < most {
            return used.is_of(offer);
        }
        let last = others.and_then(SortedSet::last);
        used.is_of(offer) && last.is_some_and(|last| used.order(id) < *last)
    }

    /// The use of an invitation that is one too many to be kept.
    pub(crate) fn beyond(&self, invitation: RecordId) -> Option<RecordId> {
        let offer = self.offers.get(&invitation)?;
        let most = (offer.uses as usize).saturating_add(limits::REDEMPTIONS_SPARE);
        let uses = self.of_invitations.get(&invitation).filter(|uses| uses.len() > most)?;
        uses.last().map(|(.., id)| *id)
    }

    /// The uses of one invitation that count, by record.
    fn of(&self, invitation: RecordId) -> impl Iterator<Item = (RecordId, &Redemption)> {
        let offer = self.offers.get(&invitation);
        let ids = self.of_invitations.get(&invitation).into_iter().flatten();
        let all = ids.filter_map(|(.., id)| Some((*id, self.all.get(id)?)));
        all.filter(move |(_, used)| offer.is_some_and(|offer| used.is_of(offer)))
    }

    /// The invitations by which certificates of a chain were issued, as far as that is known.
    pub(crate) fn that_let_in<'a>(
        &'a self,
        chain: &'a VerifiedChain,
    ) -> impl Iterator<Item = RecordId> + 'a {
        let lets_in = |used: &&Redemption| chain.certificates().contains(used.newcomer.leaf());
        self.all.values().filter(lets_in).map(|used| used.invitation)
    }

    /// The peers that came by an invitation.
    pub(crate) fn came(&self, invitation: RecordId) -> SortedSet<PeerId> {
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
        let news = self.offers.insert(id, offer) != Some(offer);
        self.changed(id, news)
    }

    pub(super) fn redeem(&mut self, id: RecordId, redemption: Redemption) -> bool {
        let before = self.drop_use(id);
        let invitation = redemption.invitation;
        let place = redemption.order(id);
        self.of_invitations.entry(invitation).or_default().insert(place);
        self.all.insert(id, redemption);
        self.changed(invitation, true) || before
    }

    pub(super) fn forget(&mut self, id: RecordId) -> bool {
        let closed = self.offers.remove(&id).is_some();
        let closed = self.changed(id, closed);
        self.drop_use(id) || closed
    }

    fn drop_use(&mut self, id: RecordId) -> bool {
        let Some(used) = self.all.remove(&id) else { return false };
        let stood = !self.surplus.remove(&(used.newcomer.id(), id));
        if let Some(others) = self.of_invitations.get_mut(&used.invitation) {
            others.remove(&used.order(id));
            if others.is_empty() {
                self.of_invitations.remove(&used.invitation);
            }
        }
        self.changed(used.invitation, true) || !stood
    }

    /// The uses of an invitation are to be counted anew. Whether somebody's standing may depend on it.
    fn changed(&mut self, invitation: RecordId, news: bool) -> bool {
        let uses = self.offers.get(&invitation).map_or(usize::MAX, |offer| offer.uses as usize);
        let many = self.of_invitations.get(&invitation).is_some_and(|used| used.len() > uses);
        let counts = news && (many || !self.surplus.is_empty());
        if counts {
            self.uncounted.insert(invitation);
        }
        counts
    }

    /// Whether all uses have been counted.
    pub(super) fn is_settled(&self) -> bool {
        self.uncounted.is_empty()
    }

    /// Counts what has changed. Returns how many uses it looked at.
    pub(super) fn settle(&mut self) -> usize {
        let invitations = std::mem::take(&mut self.uncounted);
        invitations.into_iter().map(|invitation| self.count(invitation)).sum()
    }

    /// Finds anew who came after the last use of an invitation. Returns how many uses it has.
    fn count(&mut self, invitation: RecordId) -> usize {
        let uses = self.offers.get(&invitation).map_or(usize::MAX, |offer| offer.uses as usize);
        let few = self.of_invitations.get(&invitation).map_or(0, SortedSet::len) <= uses;
        let used: Vec<_> = if few { Vec::new() } else { self.of(invitation).collect() };
        let mut surplus = SortedSet::new();
        if used.len() > uses {
            // How many peers have come by then, and where each came first.
            let mut came: SortedMap<PeerId, usize> = SortedMap::new();
            let mut peers = vec![0];
            for (nth, (id, late)) in used.iter().enumerate() {
                self.steps.add();
                let displace = used[..nth].partition_point(|(_, first)| first.displaces(late));
                let itself = came.get(&late.newcomer.peer()).is_some_and(|first| *first < displace);
                if peers[displace] - usize::from(itself) >= uses {
                    surplus.insert((late.newcomer.id(), *id));
                }
                came.entry(late.newcomer.peer()).or_insert(nth);
                peers.push(came.len());
            }
        }
        let ids = self.of_invitations.get(&invitation).into_iter().flatten();
        let all = ids.filter_map(|(.., id)| Some((self.all.get(id)?.newcomer.id(), *id)));
        let all: Vec<_> = all.collect();
        for entry in &all {
            self.surplus.remove(entry);
        }
        self.surplus.extend(surplus);
        all.len()
    }
}
