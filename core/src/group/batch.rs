//! Records that came together: their signatures are checked together, see `verify.rs`.
//!
//! Each record has the outcome that it would have alone, after those before it. So a batch ends where a record may
//! depend on those that wait in it: at one of the same id, and behind whatever changes who may do what.
use super::Group;
use super::records::{Accepted, Candidate, Examined};
use crate::error::BadRecord;
use crate::group::Ctx;
use crate::id::RecordId;
use crate::io::LinkId;
use crate::record::Signed;
use crate::sorted::SortedSet;
use crate::storage::Class;
use crate::verify::Claim;
use bytes::Bytes;

/// The outcome of one record that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) outcome: Accepted,
    pub(super) id: RecordId,
    /// Of the record as it came.
    pub(super) bytes: usize,
}

/// Records that wait for the check of their signatures.
#[derive(Default)]
struct Batch {
    ids: SortedSet<RecordId>,
    #[expect(
        clippy::vec_box,
        reason = "they are large, and stay where they are until the store has them"
    )]
    candidates: Vec<Box<Candidate>>,
}

impl Group {
    /// Takes records that somebody sent, in order, up to the first that is bad. Says what became of those before it.
    pub(super) fn accept_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        records: Vec<Bytes>,
        from: Option<LinkId>,
    ) -> (Vec<Taken>, Result<(), BadRecord>) {
        let mut accepted = Vec::with_capacity(records.len());
        let mut batch = Batch::default();
        let mut result = Ok(());
        for bytes in records {
            result = self.add_to_batch(ctx, bytes, &mut batch, from, &mut accepted);
            if result.is_err() {
                break;
            }
        }
        let last = self.admit_batch(ctx, &mut batch, from, &mut accepted);
        self.settle_in_turn(ctx);
        // The records that wait in the batch stood before the record that ended it.
        (accepted, last.and(result))
    }

    fn add_to_batch(
        &mut self,
        ctx: &mut Ctx<'_>,
        bytes: Bytes,
        batch: &mut Batch,
        from: Option<LinkId>,
        accepted: &mut Vec<Taken>,
    ) -> Result<(), BadRecord> {
        if Signed::peek(&bytes).is_some_and(|(id, _)| batch.ids.contains(&id)) {
            self.admit_batch(ctx, batch, from, accepted)?;
        }
        let size = bytes.len();
        match self.examine(ctx, bytes, from)? {
            Examined::Settled(outcome, id) => accepted.push(Taken { outcome, id, bytes: size }),
            Examined::Candidate(candidate) => {
                let decides = candidate.class == Class::Membership;
                batch.ids.insert(candidate.signed.record().id);
                batch.candidates.push(candidate);
                if decides {
                    self.admit_batch(ctx, batch, from, accepted)?;
                }
            }
        }
        Ok(())
    }

    /// Checks the signatures of a batch, and takes in its records up to the first whose signature is wrong.
    fn admit_batch(
        &mut self,
        ctx: &mut Ctx<'_>,
        batch: &mut Batch,
        from: Option<LinkId>,
        accepted: &mut Vec<Taken>,
    ) -> Result<(), BadRecord> {
        let Batch { candidates, .. } = std::mem::take(batch);
        let mut claims: Vec<Claim> = Vec::with_capacity(candidates.len());
        let mut of: Vec<(usize, BadRecord)> = Vec::with_capacity(candidates.len());
        for (nth, candidate) in candidates.iter().enumerate() {
            for (claim, bad) in claims_of(nth, candidate) {
                claims.push(claim);
                of.push(bad);
            }
        }
        let wrong = (ctx.checks.verify_all)(&claims).err();
        let wrong = wrong.map(|claim| of.get(claim).copied().unwrap_or((0, BadRecord::Signature)));
        let good = wrong.map_or(candidates.len(), |(nth, _)| nth);
        for candidate in candidates.into_iter().take(good) {
            let (id, bytes) = (candidate.signed.record().id, candidate.signed.bytes().len());
            let outcome = self.admit(ctx, *candidate, from);
            accepted.push(Taken { outcome, id, bytes });
        }
        wrong.map_or(Ok(()), |(_, bad)| Err(bad))
    }
}

/// The claims that have to be true of the `nth` record of a batch, each with the fault if it is not: that its signer signed it,
/// and, if that changed it, that its creator began it.
fn claims_of(
    nth: usize,
    candidate: &Candidate,
) -> impl Iterator<Item = (Claim, (usize, BadRecord))> {
    let Candidate { signed, chain, .. } = candidate;
    let began = signed.beginning_claim(chain.group());
    let began = began.map(|claim| (claim, (nth, BadRecord::Beginning)));
    std::iter::once((signed.claim(chain), (nth, BadRecord::Signature))).chain(began)
}
