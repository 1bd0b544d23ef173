//! The records that a newcomer sees first: the newest ones, before any comparison of stores.
//!
//! A comparison of three classes takes some round trips, and a person who has just joined waits for
//! them. So a member sends a newcomer that becomes its neighbour the newest records of applications
//! at once, each behind the membership of its signer. The newcomer checks them as it checks any
//! record, and the comparison that follows finds them there.
//!
//! A newcomer is who has proved an invitation on this very link: it has no records. Nobody else is
//! sent any unasked.
use super::Group;
use super::membership::membership_id;
use crate::group::Ctx;
use crate::id::{CertificateId, RecordId};
use crate::io::LinkId;
use crate::sorted::SortedSet;
use crate::storage::Class;

/// Records that a newcomer is sent unasked. Guess: what a screen shows of a chat.
const NEWEST_MAX: usize = 24;
/// Bytes of them, with their memberships. Guess: two frames, some ms of a slow link.
const NEWEST_BYTES_MAX: usize = 32 * 1024;

impl Group {
    /// Sends the newest records that are in memory.
    pub(super) fn give_newest(&mut self, ctx: &Ctx<'_>, link: LinkId) {
        let now = self.peer_time(ctx.now.wall);
        let index = self.index(Class::Application);
        let live = index.newest().filter(|meta| !meta.deleted && meta.expires > now);
        let newest: Vec<(RecordId, CertificateId)> =
            live.take(NEWEST_MAX).map(|meta| (meta.id, meta.certificate())).collect();
        let mut left = NEWEST_BYTES_MAX;
        let mut known = SortedSet::new();
        let mut records = Vec::new();
        for (id, certificate) in newest {
            let Some(bytes) = self.bytes_at_hand(ctx, id) else { continue };
            let signer = self.roll.chain(certificate).filter(|_| !known.contains(&certificate));
            let membership = signer.and_then(|chain| self.bytes_at_hand(ctx, membership_id(chain)));
            let membership_bytes = membership.as_ref().map_or(0, |bytes| bytes.len());
            if bytes.len() + membership_bytes > left {
                break;
            }
            left -= bytes.len() + membership_bytes;
            known.insert(certificate);
            records.push((membership, bytes));
        }
        // The oldest of them first, as they were published.
        let (memberships, records): (Vec<_>, Vec<_>) = records.into_iter().rev().unzip();
        for bytes in memberships.into_iter().flatten().chain(records) {
            self.flood_to(link, bytes);
        }
    }
}
