//! Proof: the records by which a membership does not stand, shown to the member that does not know.
//!
//! A member that was revoked while it was away learns so from the nodes that refuse it. The proof
//! that they show is an argument about that member, and no way in for records:
//!
//! 1. It is heard in answer to the member's own `CONNECT`, or from a neighbour that puts the member
//!    out, and once a link.
//! 2. At most [`PROOF_RECORDS_MAX`](limits::PROOF_RECORDS_MAX) records are looked at.
//! 3. Of those, revocations count that hit the member's own chain, handovers by a key on which that
//!    hangs, and the uses of an invitation by which a certificate of that chain was issued, with
//!    that invitation. All others are dropped.
//! 4. The records that are left are judged and billed like any record of that link.
use super::Group;
use super::internal::Meaning;
use crate::cert::{self, VerifiedChain};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::RecordId;
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::record::Signed;
use crate::sorted::SortedSet;
use crate::wire::Refuse;
use bytes::Bytes;
use minicbor::bytes::ByteVec;

impl Group {
    /// The records by which a membership does not stand, those that are at hand and fit into a
    /// message.
    pub(super) fn proof(&self, ctx: &Ctx<'_>, chain: &VerifiedChain) -> Vec<ByteVec> {
        let mut room = limits::MESSAGE_OVERHEAD_BYTES_MAX / 2;
        let records = self.roll.proof(chain).into_iter();
        let records = records.filter_map(|id| self.bytes_at_hand(ctx, id));
        let fitting = records.take(limits::PROOF_RECORDS_MAX).take_while(|bytes| {
            let fits = bytes.len() <= room;
            room = room.saturating_sub(bytes.len());
            fits
        });
        fitting.map(|bytes| bytes.to_vec().into()).collect()
    }

    /// A member that we asked says that our membership does not stand.
    pub(super) fn on_not_standing(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        refuse: Refuse,
    ) -> Result<(), Misbehaved> {
        if self.argued.insert(link) {
            // The group may have been handed over to us since.
            if let Some(line) = &refuse.line {
                self.hear_own_keys(ctx, line).map_err(|_| Misbehaved::Membership)?;
            }
            let argument = self.argument(ctx, refuse.proof);
            if let Some(slot) = self.slots.get_mut(&link) {
                // No neighbour has brought anything over this slot, so its account begins here.
                slot.in_vain = self.waste.link();
            }
            self.take_all(ctx, link, argument, None).1?;
        }
        if let Some(renewed) = refuse.renewed {
            let certificates = cert::decode_chain(&renewed).map_err(|_| Misbehaved::Membership)?;
            let chain =
                self.verify_chain(&certificates, ctx).map_err(|_| Misbehaved::Membership)?;
            if chain.peer() != ctx.identity.peer_id() {
                return Err(Misbehaved::Membership);
            }
            self.roll.add(chain);
        }
        self.choose_own_chain(ctx, links);
        Ok(())
    }

    /// The records of a proof that can be a reason why our membership does not stand.
    pub(super) fn argument(&self, ctx: &Ctx<'_>, proof: Vec<ByteVec>) -> Vec<Bytes> {
        let Some(ours) = &self.chain else { return Vec::new() };
        let read = |bytes: ByteVec| {
            let bytes = Bytes::from(Vec::from(bytes));
            let signed = Signed::decode(bytes.clone()).ok()?;
            // A record by somebody whom we do not know proves nothing to us.
            let (_, meaning) = self.read_record(ctx, &signed).ok()??;
            Some((bytes, signed.record().id, meaning))
        };
        let shown = proof.into_iter().take(limits::PROOF_RECORDS_MAX);
        let shown: Vec<(Bytes, RecordId, Meaning)> = shown.filter_map(read).collect();
        let is_ours = |chain: &VerifiedChain| ours.certificates().contains(chain.leaf());
        let mut came_by: SortedSet<RecordId> = self.roll.redemptions().that_let_in(ours).collect();
        for (_, _, meaning) in &shown {
            if let Meaning::Redemption(used) = meaning
                && is_ours(&used.newcomer)
            {
                came_by.insert(used.invitation);
            }
        }
        let counts = |id: &RecordId, meaning: &Meaning| match meaning {
            Meaning::Revocation(act) => act.fells(ours),
            Meaning::Redemption(used) => came_by.contains(&used.invitation),
            Meaning::Invitation(_) => came_by.contains(id),
            // It counts if our membership hangs on the key that handed over.
            Meaning::Handover(act) => ours.certificates().contains(act.signer.leaf()),
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Membership(_)
            | Meaning::HeirOffer(_) => false,
        };
        let counting = shown.into_iter().filter(|(_, id, meaning)| counts(id, meaning));
        counting.map(|(bytes, ..)| bytes).collect()
    }
}
