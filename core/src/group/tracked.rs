//! Our records, and who holds them.
use super::{Group, STORED_TRACKED_MAX, TRACKED_MAX, Tracked};
use crate::id::{PeerId, RecordId};
use crate::record::Meta;
use crate::storage::Class;

impl Group {
    /// Follows how far a record of ours gets.
    pub(super) fn track(&mut self, id: RecordId, version: u64) {
        let tracked = Tracked { version, held_by: Default::default() };
        if self.tracked.insert(id, tracked).is_none() {
            self.tracked_order.push_back(id);
        }
        if self.tracked_order.len() > TRACKED_MAX
            && let Some(oldest) = self.tracked_order.pop_front()
        {
            self.tracked.remove(&oldest);
        }
    }

    /// Follows the newest records of ours that the store has: the first sync with a neighbour tells that it holds them.
    pub(super) fn track_stored(&mut self, me: PeerId) {
        let ours = |meta: &&Meta| meta.modifier().unwrap_or(meta.creator()) == me;
        let newest = self.index(Class::Application).newest().filter(ours).take(STORED_TRACKED_MAX);
        let stored: Vec<_> = newest.map(|meta| (meta.id, meta.version)).collect();
        for (id, version) in stored.into_iter().rev() {
            self.track(id, version);
        }
    }

    /// This version is not there, so nobody follows it.
    pub(super) fn untrack(&mut self, id: RecordId, version: u64) {
        if self.tracked.get(&id).is_some_and(|tracked| tracked.version == version) {
            self.tracked.remove(&id);
            self.tracked_order.retain(|other| *other != id);
        }
    }
}
