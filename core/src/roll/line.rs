//! The line of a group's own keys, and what an earlier one's acts are worth: rules 9 and 10.
//!
//! A group begins with the key of its root. The key that is the group's own hands over by an act which names another one,
//! the **heir**, in a certificate, and which says what of its own stays. The certificate commits to those lists, so that
//! whoever knows it knows them: there are no two handovers to one heir that let different things stand.
//!
//! Of two handovers by one key only a thief's can be the second, or the first. Nothing that is signed tells them apart, so
//! the first one that a node has seen counts there for good. That is the one part of the roll which depends on the order of
//! arrival. A newcomer gets it from its invitation, whose pin names the line as it was then.
//!
//! A thief of an earlier key can do this: it can show its own handover to nodes that have not seen the true one, and
//! to newcomers by invitations from before that. Until they meet a member of the group they are in a group of the thief's.
//! It can do nothing to a node that has seen the handover. A node that was pinned to the heir believes memberships that
//! hang on the earlier key until the handover comes, since it gets that from such members. Acts of those members that let somebody in
//! or put somebody out wait for it, as does all that the earlier key signs itself.
use super::{CertificateId, Kept, Revocation, Roll, Said};
use crate::cert::{Certificate, VerifiedChain};
use crate::id::{Digest, PeerId, RecordId};
use crate::sorted::{SortedMap, SortedSet};

/// The act by which a key of the group's own hands over.
#[derive(Clone, Debug)]
pub(crate) struct Handover {
    /// Of its record.
    pub(crate) digest: Digest,
    /// The line of the key that hands over.
    pub(crate) signer: VerifiedChain,
    /// The same with the heir.
    pub(crate) heir: VerifiedChain,
    /// Certificates issued directly under the signer's that stay.
    pub(crate) standing: SortedSet<CertificateId>,
    /// Records of the signer's, and of those whose certificates fall, that stay.
    pub(crate) kept: Kept,
}

/// The digest that an heir's certificate has of the lists of the handover to it.
pub(crate) fn digest_of_lists(standing: &SortedSet<CertificateId>, kept: &Kept) -> Digest {
    let count = (standing.len() as u64).to_be_bytes();
    let standing = standing.iter().flat_map(CertificateId::as_bytes).copied();
    let bytes: Vec<u8> = count.into_iter().chain(standing).chain(kept.to_bytes()).collect();
    Digest::of(&bytes)
}

/// The line of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// The group's own key; nothing while a newcomer has not seen the root.
    owner: Option<VerifiedChain>,
    /// That and the earlier ones.
    chains: SortedMap<CertificateId, VerifiedChain>,
    /// By the certificate of who handed over. As long as the line at most.
    handovers: SortedMap<CertificateId, (RecordId, Handover)>,
}

/// The reason why a chain is off the line.
pub(super) enum Off<'a> {
    /// It hangs on an earlier key, and the handover does not let it stand.
    HandedOver(RecordId, &'a Handover),
    /// It hangs on an heir that is not the group's.
    Elsewhere,
}

impl Line {
    pub(super) fn owner(&self) -> Option<&VerifiedChain> {
        self.owner.as_ref()
    }

    pub(super) fn chain(&self, certificate: CertificateId) -> Option<&VerifiedChain> {
        self.chains.get(&certificate)
    }

    /// From here on the line goes at least as far as this. Whether that is news. A line that does not go on where ours
    /// ends is none.
    pub(super) fn extend(&mut self, line: VerifiedChain) -> bool {
        let ours = self.owner.as_ref().map_or(&[][..], VerifiedChain::certificates);
        let news = line.certificates().len() > ours.len() && line.certificates().starts_with(ours);
        if news {
            self.chains.extend(line.keys().map(|chain| (chain.id(), chain)));
            self.owner = Some(line);
        }
        news
    }

    /// The certificate of the heir of the key with this one, as far as that is known.
    fn heir_of(&self, certificate: CertificateId) -> Option<&Certificate> {
        let at = self.chains.get(&certificate)?.certificates().len();
        self.owner.as_ref()?.certificates().get(at)
    }

    /// The first place at which a chain leaves the line.
    pub(super) fn off<'a>(&'a self, chain: &VerifiedChain) -> Option<Off<'a>> {
        if self.handovers.is_empty() && self.chains.len() <= 1 {
            return None;
        }
        let certificates = chain.certificates();
        chain.line().iter().enumerate().find_map(|(at, own)| {
            let heir = self.heir_of(own.id())?.id();
            let below = certificates.get(at + 1).map(Certificate::id);
            match self.handovers.get(&own.id()) {
                _ if below == Some(heir) => None,
                Some((_, act)) if below.is_some_and(|it| act.standing.contains(&it)) => None,
                Some((id, act)) => Some(Off::HandedOver(*id, act)),
                // The act has not come yet: what hangs on another heir falls in any case.
                None if at + 1 < chain.line().len() => Some(Off::Elsewhere),
                None => None,
            }
        })
    }
}

impl Roll {
    /// The heir of the key on which a chain hangs, if the handover to it has not come yet: whether what that chain signs
    /// holds is said by the handover alone. A newcomer knows heirs before, by its invitation.
    pub(crate) fn awaited_heir(&self, chain: &VerifiedChain) -> Option<CertificateId> {
        let own = chain.line().last()?.id();
        let heir = self.line.heir_of(own)?.id();
        (!self.line.handovers.contains_key(&own)).then_some(heir)
    }

    /// The group's own key.
    ///
    /// # Panics
    /// Before [`know_line`](Self::know_line): only newcomers are without it.
    #[expect(clippy::expect_used, reason = "a group has a roll of its own once it knows the root")]
    pub(crate) fn owner(&self) -> &VerifiedChain {
        self.line.owner().expect("members know the root")
    }

    /// The line of the group's own keys goes at least as far as this. Whether that is news.
    pub(crate) fn know_line(&mut self, line: VerifiedChain) -> bool {
        let news = self.line.extend(line);
        // Without revocations there is nothing to judge.
        self.unjudged |= news && !self.ordered.is_empty();
        news
    }

    /// Whether a peer is the group's own key, or was.
    pub(crate) fn is_own_key(&self, peer: PeerId) -> bool {
        self.line.chains.values().any(|chain| chain.peer() == peer)
    }

    /// How many keys were the group's own before the one with this id; nothing for others.
    pub(crate) fn nth_own_key(&self, peer: PeerId) -> Option<usize> {
        let line = self.line.owner()?.certificates();
        line.iter().position(|own| own.peer_id() == peer)
    }

    /// The handover by the key with this certificate, if its record has come.
    pub(crate) fn handover_by(&self, certificate: CertificateId) -> Option<&Handover> {
        self.line.handovers.get(&certificate).map(|(_, act)| act)
    }

    /// Whether a record carries a handover that counts here.
    pub(crate) fn is_handover(&self, id: RecordId, digest: Digest) -> bool {
        let mut acts = self.line.handovers.values();
        acts.any(|(record, act)| *record == id && act.digest == digest)
    }

    /// Whether a handover can count here: no other by the same key does.
    pub(crate) fn may_hand_over(&self, act: &Handover) -> bool {
        let known = self.line.chain(act.signer.id()).is_some();
        let heir = self.line.heir_of(act.signer.id());
        known && heir.is_none_or(|heir| heir.id() == act.heir.id())
    }

    /// Notes a handover that [can count](Self::may_hand_over). Whether the group has another key of its own since.
    pub(crate) fn hand_over(&mut self, id: RecordId, act: Handover) -> bool {
        if !self.may_hand_over(&act) {
            return false;
        }
        let news = self.line.extend(act.heir.clone());
        self.line.handovers.insert(act.signer.id(), (id, act));
        self.unjudged = true;
        news
    }

    /// The certificates that the group's own key has issued itself.
    pub(crate) fn issued_by_owner(&self) -> SortedSet<CertificateId> {
        let owner = self.owner();
        let its = self.chains.values().filter(|chain| chain.line() == owner.certificates());
        its.filter_map(|chain| chain.memberships().next().map(|(first, _)| first.id())).collect()
    }

    /// A handover forgets with its record only what it lets stand: who the group's own key is stays.
    pub(super) fn forget_handover(&mut self, id: RecordId) -> bool {
        let before = self.line.handovers.len();
        self.line.handovers.retain(|_, (record, _)| *record != id);
        let gone = self.line.handovers.len() != before;
        self.unjudged |= gone;
        gone
    }
}

impl Handover {
    /// Whether a record that relies on a chain which does not stand by this holds all the same: rule 10.
    pub(super) fn keeps(&self, said: &Said) -> bool {
        self.kept.contains(&said.digest) || said.digest == self.digest
    }
}

impl Revocation {
    /// Whether the group's own key signed it, or one that was.
    pub(crate) fn is_by_owner(&self) -> bool {
        self.signer.depth() == 0
    }
}
