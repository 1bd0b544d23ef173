//! Nothing acknowledged is lost: a record that a node called durable is there after any crash. A
//! record that it only showed may be lost.
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::record::{Edition, Record};
use peergraph_core::time::WallTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// A record may go so much before its time: a host's clock is not the group's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// A version of a record, when it ends, and whether it is a deletion.
type Version = (Edition, WallTime, bool);

/// The records that one host's application was told to be durable.
#[derive(Debug, Default)]
pub struct Acknowledged {
    records: BTreeMap<(GroupId, RecordId), Version>,
    /// The versions that were shown since the start and not yet said to be durable, in that order.
    shown: BTreeMap<(GroupId, RecordId), Vec<Version>>,
}

impl Acknowledged {
    /// The node said that this record is durable here.
    pub fn add(&mut self, group: GroupId, record: &Record) {
        self.raise(group, record.id, (record.edition(), record.expires, record.deleted));
    }

    fn raise(&mut self, group: GroupId, id: RecordId, entry: Version) {
        let held = self.records.entry((group, id)).or_insert(entry);
        if held.0 < entry.0 {
            *held = entry;
        }
    }

    /// The node showed this record.
    pub fn shown(&mut self, group: GroupId, record: &Record) {
        let entry = (record.edition(), record.expires, record.deleted);
        self.shown.entry((group, record.id)).or_default().push(entry);
    }

    /// The node said that this version of a record is durable here.
    ///
    /// # Panics
    /// If it has not shown that.
    pub fn stored(&mut self, group: GroupId, id: RecordId, version: u64) {
        let shown =
            self.shown.get_mut(&(group, id)).expect("a record is shown before it is stored");
        let at = shown.iter().position(|entry| entry.0.version() == version);
        let entry = shown.swap_remove(at.expect("a version is shown before it is stored"));
        if shown.is_empty() {
            self.shown.remove(&(group, id));
        }
        self.raise(group, id, entry);
    }

    /// The node said that this record's time has come.
    pub fn expired(&mut self, group: GroupId, id: RecordId) {
        self.records.remove(&(group, id));
        self.shown.remove(&(group, id));
    }

    /// The node is gone, and what it only showed may be.
    pub fn crashed(&mut self) {
        self.shown.clear();
    }

    /// The group was left, with its records.
    pub fn left(&mut self, group: GroupId) {
        self.records.retain(|(of, _), _| *of != group);
        self.shown.retain(|(of, _), _| *of != group);
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
        let held: BTreeMap<RecordId, Edition> = held.iter().map(|r| (r.id, r.edition())).collect();
        let of_group = self.records.iter().filter(|((of, _), _)| *of == group);
        of_group
            .filter(|((_, id), (edition, expires, deleted))| match (deleted, held.get(id)) {
                (false, None) => *expires > wall.after(CLOCKS_DIFFER),
                (true, None) => false,
                // A higher edition means that another change arrived.
                (_, Some(there)) => there < edition || (*deleted && there == edition),
            })
            .map(|((_, id), _)| *id)
            .collect()
    }
}
