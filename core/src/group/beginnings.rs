//! Changes of others' records by us: each carries the proof that the record is its creator's, see
//! [`Beginning`].
//!
//! The proof stands in the bytes of the version that we hold. A node that wants to change a record whose bytes only the disk
//! has asks for those first, and goes on with the answer:
//!
//! ```text
//! publish, withdraw, confirm ──► bytes at hand? ── yes ──────────────────────► sign
//!                                     └─ no: disk ──► beginning noted here ──► the same again
//! ```
use super::Group;
use crate::error::Error;
use crate::group::Ctx;
use crate::id::{PeerId, RecordId};
use crate::io::{Output, StoreFault};
use crate::record::{Beginning, Meta, Signed};
use crate::storage::{self, Change, Class};
use bytes::Bytes;

/// Beginnings that were read and not used yet. Guess: one application changes records one after another. The change
/// whose beginning is forgotten asks the disk again.
const READ_MAX: usize = 64;

impl Group {
    /// The key of a record of another that only the disk holds whole.
    pub(super) fn only_on_disk(&self, ctx: &Ctx<'_>, class: Class, id: RecordId) -> Option<Bytes> {
        let meta = self.index(class).get(&id)?;
        let at_hand = meta.creator() == ctx.identity.peer_id()
            || self.beginnings.contains_key(&id)
            || self.bytes_at_hand(ctx, id).is_some();
        (!at_hand).then(|| storage::record_key(self.id, class, id))
    }

    /// The beginning that a change of a record by `signer` carries: none if it is the creator.
    pub(super) fn take_beginning(
        &mut self,
        ctx: &Ctx<'_>,
        meta: &Meta,
        signer: PeerId,
    ) -> Result<Option<Beginning>, Error> {
        if meta.creator() == signer {
            return Ok(None);
        }
        let read = self.beginnings.remove(&meta.id);
        let beginning = match self.bytes_at_hand(ctx, meta.id) {
            Some(bytes) => self.beginning_in(bytes)?,
            None => read.ok_or(Error::UnknownRecord)?,
        };
        Ok(Some(beginning))
    }

    fn beginning_in(&self, bytes: Bytes) -> Result<Beginning, Error> {
        let signed = Signed::decode(bytes)?;
        let record = signed.record();
        let key = match &record.beginning {
            Some(beginning) => beginning.key,
            // Its creator signed it.
            None => self.roll.chain(record.certificate).ok_or(Error::UnknownMember)?.key(),
        };
        Ok(record.beginning_by(key))
    }

    /// Notes the beginning in what the disk holds of a record. Returns which record that is.
    pub(super) fn note_beginning(&mut self, bytes: Bytes) -> Result<RecordId, Error> {
        let (id, _) = Signed::peek(&bytes).ok_or(Error::Store(StoreFault::Damaged))?;
        let beginning = self.beginning_in(bytes)?;
        if self.beginnings.len() >= READ_MAX {
            self.beginnings.pop_first();
        }
        self.beginnings.insert(id, beginning);
        Ok(id)
    }

    /// The disk was asked for records that are to be changed.
    pub(crate) fn change_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        change: Change,
        result: Result<Vec<Option<Bytes>>, StoreFault>,
    ) {
        let values = result.map_err(Error::Store).map(|values| values.into_iter().flatten());
        match change {
            Change::Publish(id) => {
                let noted = values.and_then(|mut values| {
                    values.try_for_each(|bytes| self.note_beginning(bytes).map(drop))
                });
                self.first_was_read(ctx, id, noted);
            }
            Change::Withdraw(id, request) => {
                let noted = values.and_then(|mut values| {
                    self.note_beginning(values.next().ok_or(Error::UnknownInvitation)?)
                });
                let done = noted.and_then(|_| self.withdraw_invitation(ctx, id, request));
                if let Err(error) = done {
                    ctx.out.push_back(Output::Done { request, result: Err(error) });
                }
            }
            // A record that cannot be read is tried again later.
            Change::Confirm => {
                for bytes in values.into_iter().flatten() {
                    if let Ok(id) = self.note_beginning(bytes) {
                        self.confirm_deletion(ctx, id);
                    }
                }
            }
        }
    }
}
