//! Our records, and who holds them.
use super::Group;
use crate::id::{NodeId, PeerId, RecordId};
use crate::record::Meta;
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::Class;
use std::collections::VecDeque;

/// Records of ours whose status is followed. Guess. The oldest are forgotten.
const TRACKED_MAX: usize = 1_024;
/// Records of ours that are followed again after a restart. Guess: what people look back at. Each first sync with a
/// neighbour tells of all of them at once, and an application may be some 1,000 events late.
const STORED_TRACKED_MAX: usize = 256;
/// Records of ours, published in this run or found in the store: the newest [`TRACKED_MAX`].
#[derive(Default)]
pub(super) struct Tracked {
    records: SortedMap<RecordId, Holders>,
    order: VecDeque<RecordId>,
}

/// Nodes that hold a version.
struct Holders {
    version: u64,
    nodes: SortedSet<NodeId>,
}

impl Tracked {
    /// Follows how far a version gets.
    pub(super) fn follow(&mut self, id: RecordId, version: u64) {
        let holders = Holders { version, nodes: SortedSet::new() };
        if self.records.insert(id, holders).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > TRACKED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
    }

    /// Follows a version no longer.
    pub(super) fn stop(&mut self, id: RecordId, version: u64) {
        if self.records.get(&id).is_some_and(|holders| holders.version == version) {
            self.records.remove(&id);
            self.order.retain(|other| *other != id);
        }
    }

    /// A node holds a version. Returns whether that is news.
    pub(super) fn held(&mut self, id: RecordId, version: u64, node: NodeId) -> bool {
        let holders = self.records.get_mut(&id).filter(|holders| holders.version == version);
        holders.is_some_and(|holders| holders.nodes.insert(node))
    }

    /// How many hold the version that is followed.
    pub(super) fn holders(&self, id: RecordId) -> usize {
        self.records.get(&id).map_or(0, |holders| holders.nodes.len())
    }

    /// The versions that are followed.
    pub(super) fn versions(&self) -> impl Iterator<Item = (RecordId, u64)> {
        self.records.iter().map(|(&id, holders)| (id, holders.version))
    }
}

impl Group {
    /// Follows the newest records of ours that the store has: the first sync with a neighbour tells that it holds them.
    pub(super) fn track_stored(&mut self, me: PeerId) {
        let ours = |meta: &&Meta| meta.modifier().unwrap_or(meta.creator()) == me;
        let newest = self.index(Class::Application).newest().filter(ours).take(STORED_TRACKED_MAX);
        let stored: Vec<_> = newest.map(|meta| (meta.id, meta.version)).collect();
        for (id, version) in stored.into_iter().rev() {
            self.tracked.follow(id, version);
        }
    }
}
