//! Tombstones that end before what they hide.
//!
//! No record outlives the membership of its signer, or one who has gone could delete with an old date what others have
//! published since. So the deletion by a member whose membership ends soon would be forgotten before the record that
//! it hides, and whoever was away meanwhile would bring that back. Therefore those who may delete the record as well
//! **confirm** it: the creator's nodes after a moment, others after a while, if nobody has done so by then. A
//! confirmation is a deletion like any other, under the membership of who confirms, and ends with what it hides or
//! as late as that membership allows: the creator's can always hide to the end. A member that was never brought the
//! record does not know when that would have been, and confirms nothing.
use super::{Group, Timer};
use crate::group::Ctx;
use crate::id::{PeerId, RecordId};
use crate::io::Draft;
use crate::limits;
use crate::policy::Act;
use crate::record::{Meta, RecordType};
use crate::storage::{Change, Class, Pending};
use crate::time::WallTime;
use bytes::Bytes;
use std::time::Duration;

/// How long a creator and others who may delete a record wait, at least and at most, before they confirm its deletion.
/// Guess: far apart, and longer than a flood takes, so that one of them does it.
const CREATOR_WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
const OTHERS_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// A member that cannot confirm to the end looks again so often, as its membership may be renewed. Guess.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

impl Group {
    /// A tombstone hides a record that would have lived until `until`.
    pub(super) fn hides(&mut self, ctx: &mut Ctx<'_>, tombstone: &Meta, until: WallTime) {
        let (id, creator) = (tombstone.id, tombstone.creator());
        let outlived = tombstone.deleted && tombstone.expires < until;
        if !outlived || !self.may_delete(ctx, creator, &tombstone.kind) {
            return;
        }
        if self.outlived.len() >= limits::TOMBSTONES_OUTLIVED_MAX
            && !self.outlived.contains_key(&id)
        {
            return;
        }
        let last = self.outlived.entry(id).or_default();
        *last = until.max(*last);
        let own = creator == ctx.identity.peer_id();
        let (least, most) = if own { CREATOR_WAIT } else { OTHERS_WAIT };
        let wait = Self::between(ctx, least, most);
        self.timers.set_earlier(Timer::Confirm, ctx.now.mono.after(wait));
    }

    /// Whether a tombstone is to be confirmed for a record that lives until `until`, and nobody here knows that yet.
    pub(super) fn would_outlive(&self, ctx: &Ctx<'_>, tombstone: &Meta, until: WallTime) -> bool {
        let known = self.outlived.get(&tombstone.id);
        tombstone.deleted
            && tombstone.expires < until
            && known.is_none_or(|known| *known < until)
            && self.may_delete(ctx, tombstone.creator(), &tombstone.kind)
    }

    fn may_delete(&self, ctx: &Ctx<'_>, creator: PeerId, kind: &RecordType) -> bool {
        let Some(chain) = self.chain.as_ref().filter(|_| !kind.is_reserved()) else { return false };
        let may = || chain.policy().allows(chain.grant(), kind, Act::Delete);
        creator == ctx.identity.peer_id() || may()
    }

    /// Confirms the deletions that still end too soon.
    pub(super) fn confirm_deletions(&mut self, ctx: &mut Ctx<'_>) {
        let index = &self.indexes[Class::Application as usize];
        let ends = |id: &RecordId| index.get(id).filter(|meta| meta.deleted).map(|m| m.expires);
        self.outlived.retain(|id, until| ends(id).is_some_and(|ends| ends < *until));
        let due = self.outlived.keys().filter(|id| self.deletion_due(**id).is_some());
        let ids: Vec<RecordId> = due.copied().collect();
        let on_disk = |id: &RecordId| self.only_on_disk(ctx, Class::Application, *id);
        let keys: Vec<Bytes> = ids.iter().filter_map(on_disk).collect();
        for id in ids {
            self.confirm_deletion(ctx, id);
        }
        if !keys.is_empty() {
            let pending = Pending::Change { group: self.id, change: Change::Confirm };
            ctx.read(keys, pending);
        }
        if !self.outlived.is_empty() {
            self.timers.set(Timer::Confirm, ctx.now.mono.after(AGAIN_AFTER));
        }
    }

    /// A deletion that ends too soon, if we can hide the record for longer, and until when that would have lived.
    fn deletion_due(&self, id: RecordId) -> Option<(&Meta, WallTime)> {
        let until = *self.outlived.get(&id)?;
        let not_after = self.chain.as_ref().map_or(WallTime(0), |chain| chain.not_after());
        let held = self.index(Class::Application).get(&id).filter(|meta| meta.deleted)?;
        (held.expires < until.min(not_after)).then_some((held, until))
    }

    /// Confirms a deletion that is due, if what it takes is at hand.
    pub(super) fn confirm_deletion(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        let Some((meta, until)) = self.deletion_due(id) else { return };
        let (meta, now) = (meta.clone(), self.peer_time(ctx.now.wall));
        let draft = Draft {
            id: Some(id),
            kind: meta.kind.clone(),
            attributes: Vec::new(),
            payload: Bytes::new(),
            expires_in: Some(Duration::from_millis(until.0.saturating_sub(now.0))),
            delete: true,
            refresh: false,
            if_version: None,
            nonce: None,
        };
        // A deletion that may not be published at this moment is tried again.
        let _ = self.publish_over(ctx, draft, Some(meta), None);
    }
}
