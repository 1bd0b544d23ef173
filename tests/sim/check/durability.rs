//! Nothing acknowledged is lost: what a node called durable is there after any crash.
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::record::Record;
use peergraph_core::time::WallTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// A record may go so much before its time: a host's clock is not the group's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// What one host's application was told to be durable.
#[derive(Debug, Default)]
pub struct Acknowledged {
    records: BTreeMap<(GroupId, RecordId), (u64, WallTime, bool)>,
}

impl Acknowledged {
    /// The node said that this record is durable here.
    pub fn add(&mut self, group: GroupId, record: &Record) {
        let entry = (record.version, record.expires, record.deleted);
        let held = self.records.entry((group, record.id)).or_insert(entry);
        if held.0 < record.version {
            *held = entry;
        }
    }

    /// The node said that this record's time has come.
    pub fn expired(&mut self, group: GroupId, id: RecordId) {
        self.records.remove(&(group, id));
    }

    /// The group was left, with its records.
    pub fn left(&mut self, group: GroupId) {
        self.records.retain(|(of, _), _| *of != group);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Acknowledged records that are not in `held` (the live records of the group, after a restart), at `wall` as the
    /// host sees it: lost ones, deleted ones that are back, and ones held in an older version.
    pub fn lost(&self, group: GroupId, held: &[Record], wall: WallTime) -> Vec<RecordId> {
        let held: BTreeMap<RecordId, u64> = held.iter().map(|r| (r.id, r.version)).collect();
        let of_group = self.records.iter().filter(|((of, _), _)| *of == group);
        of_group
            .filter(|((_, id), (version, expires, deleted))| match (deleted, held.get(id)) {
                (false, None) => *expires > wall.after(CLOCKS_DIFFER),
                (true, None) => false,
                // A higher version means that another change arrived.
                (_, Some(there)) => there < version || (*deleted && there == version),
            })
            .map(|((_, id), _)| *id)
            .collect()
    }
}
