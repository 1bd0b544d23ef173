//! One host's disk: what is durable, and what only waits to be.
//!
//! Tasks are done one after another, each after the disk's delay. A write is visible and durable at the same
//! moment, when it is answered. A crash may come between the two: then a prefix of the waiting writes,
//! drawn by chance, has reached the disk although nobody was told, and the rest is gone.
use crate::chance::Chance;
use bytes::Bytes;
use peergraph_core::id::GroupId;
use peergraph_core::io::{StoreFault, StoreId, StoreReply, StoreTask};
use peergraph_core::record::{Record, Signed};
use peergraph_core::stored;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Bytes of a key at most. Those of a node have 52.
const KEY_BYTES_MAX: usize = 63;

/// A key, in place: looking one up compares many, and each that lay elsewhere would have to be fetched.
#[derive(Clone, Copy, Debug)]
struct Key {
    length: u8,
    bytes: [u8; KEY_BYTES_MAX],
}

impl Key {
    fn new(key: &[u8]) -> Self {
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[..key.len()].copy_from_slice(key);
        Self { length: key.len() as u8, bytes }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        ours.cmp(theirs)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

/// A simulated disk.
#[derive(Debug)]
pub struct Disk {
    durable: BTreeMap<Key, Bytes>,
    bytes: usize,
    waiting: VecDeque<(StoreId, StoreTask)>,
    /// When the last waiting task will be done. World time.
    busy_until: u64,
    /// Time for a write to become durable. Microseconds, from–to.
    pub write_delay: (u64, u64),
    /// Time for a read. Microseconds, from–to.
    pub read_delay: (u64, u64),
    /// Bytes of keys and values at most; a write beyond fails with `QuotaExceeded`.
    pub quota: Option<usize>,
    /// Every write fails with this.
    pub fault: Option<StoreFault>,
    /// Writes that were refused.
    pub refused: u64,
    /// The entries that became durable and were not looked at yet, if anybody looks.
    pub(crate) log: Option<Vec<(Bytes, Bytes)>>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            durable: BTreeMap::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            busy_until: 0,
            // Guess: an fsync of an SSD, or an IndexedDB transaction; reads come from the page cache.
            write_delay: (500, 3_000),
            read_delay: (50, 200),
            quota: None,
            fault: None,
            refused: 0,
            log: None,
        }
    }
}

impl Disk {
    /// Takes a task at world time `now`; answers when [`Disk::finish`] must be called for it.
    pub fn submit(&mut self, now: u64, op: StoreId, task: StoreTask, chance: &mut Chance) -> u64 {
        let (from, to) = match task {
            StoreTask::Write { .. } => self.write_delay,
            StoreTask::Scan { .. } | StoreTask::Read { .. } => self.read_delay,
        };
        let delay = chance.within(from..to.max(from) + 1);
        self.waiting.push_back((op, task));
        self.busy_until = self.busy_until.max(now + delay);
        self.busy_until
    }

    /// Does the task that waits longest, and answers it. `None` after a crash, when it is gone.
    pub fn finish(&mut self) -> Option<(StoreId, Result<StoreReply, StoreFault>)> {
        let (op, task) = self.waiting.pop_front()?;
        Some((op, self.run(task)))
    }

    fn run(&mut self, task: StoreTask) -> Result<StoreReply, StoreFault> {
        match task {
            StoreTask::Scan { from, to, limit } => {
                assert!(limit >= 1, "a scan asks for at least one entry");
                let entries = if from < to {
                    let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
                    owned(self.entries_in(range).take(limit))
                } else {
                    Vec::new()
                };
                Ok(StoreReply::Entries(entries))
            }
            StoreTask::Read { keys } => {
                Ok(StoreReply::Values(keys.iter().map(|key| self.get(key).cloned()).collect()))
            }
            StoreTask::Write { batch } => {
                if let Some(fault) = self.fault {
                    self.refused += 1;
                    return Err(fault);
                }
                self.write(batch)?;
                Ok(StoreReply::Written)
            }
        }
    }

    fn write(&mut self, batch: Vec<(Bytes, Option<Bytes>)>) -> Result<(), StoreFault> {
        if let Some(quota) = self.quota {
            let growth: usize = batch
                .iter()
                .map(|(key, value)| value.as_ref().map_or(0, |v| key.len() + v.len()))
                .sum();
            if self.bytes + growth > quota && growth > 0 {
                return Err(StoreFault::QuotaExceeded);
            }
        }
        for (key, value) in batch {
            // Values are kept as they came: the node's cache keeps those alive as well, and a world of a thousand
            // stores has no room for a second copy.
            let length = key.len();
            if let (Some(log), Some(value)) = (&mut self.log, &value) {
                log.push((key.clone(), value.clone()));
            }
            let old = match value {
                Some(value) => {
                    self.bytes += length + value.len();
                    self.durable.insert(Key::new(&key), value)
                }
                None => self.durable.remove(&key[..]),
            };
            self.bytes -= old.map_or(0, |old| length + old.len());
        }
        Ok(())
    }

    /// The host dies: of the waiting writes, the first few may have become durable, unanswered.
    pub fn crash(&mut self, chance: &mut Chance) {
        let survive = chance.within(0..self.waiting.len() as u64 + 1);
        for (index, (_, task)) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if (index as u64) < survive && matches!(task, StoreTask::Write { .. }) {
                let _unanswered = self.run(task);
            }
        }
        self.busy_until = 0;
    }

    /// One entry.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.durable.get(key)
    }

    /// Flips one bit of an entry, or cuts it off there. Returns whether there is such an entry.
    pub fn damage(&mut self, key: &[u8], bit: u64, cut: bool) -> bool {
        let Some(value) = self.durable.get_mut(key) else { return false };
        let mut bytes = value.to_vec();
        let at = (bit / 8) as usize % bytes.len();
        if cut {
            self.bytes -= bytes.len() - at;
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (bit % 8);
        }
        *value = bytes.into();
        true
    }

    /// All that is durable, to be [restored](Self::restore) later.
    pub fn copy(&self) -> Vec<(Bytes, Bytes)> {
        owned(self.iter())
    }

    /// Puts a copy in the place of all that is there.
    pub fn restore(&mut self, copy: Vec<(Bytes, Bytes)>) {
        self.bytes = copy.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.durable = copy.into_iter().map(|(key, value)| (Key::new(&key), value)).collect();
    }

    /// All records of a group, of all classes.
    pub fn records(&self, group: GroupId) -> Vec<Record> {
        self.signed(group).into_iter().map(Signed::into_record).collect()
    }

    /// The same, with their bytes.
    pub fn signed(&self, group: GroupId) -> Vec<Signed> {
        let from = [&b"g"[..], group.as_bytes(), b"r"].concat();
        let entries = self.entries_in((Bound::Included(&from[..]), Bound::Unbounded));
        let entries = entries.take_while(|(key, _)| key.starts_with(&from));
        let whole = entries.filter_map(|(key, value)| stored::whole(key, value));
        whole.filter_map(|bytes| Signed::decode(bytes).ok()).collect()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries.
    pub fn entries(&self) -> usize {
        self.durable.len()
    }

    /// Whether some value contains `bytes`.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        self.durable.values().any(|value| memchr::memmem::find(value, bytes).is_some())
    }

    /// Everything, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.entries_in((Bound::Unbounded, Bound::Unbounded))
    }

    fn entries_in(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.durable.range::<[u8], _>(range).map(|(key, value)| (key.borrow(), value))
    }
}

fn owned<'a>(entries: impl Iterator<Item = (&'a [u8], &'a Bytes)>) -> Vec<(Bytes, Bytes)> {
    entries.map(|(key, value)| (Bytes::copy_from_slice(key), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &'static str, value: Option<&'static str>) -> StoreTask {
        let value = value.map(|v| Bytes::from_static(v.as_bytes()));
        StoreTask::Write { batch: vec![(Bytes::from_static(key.as_bytes()), value)] }
    }

    fn keys(disk: &Disk) -> Vec<&str> {
        disk.iter().map(|(key, _)| std::str::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn tasks_are_done_in_order_and_never_before_the_one_ahead() {
        let mut chance = Chance::new(1);
        let mut disk = Disk::default();
        let first = disk.submit(0, StoreId(1), write("a", Some("1")), &mut chance);
        let read = StoreTask::Read { keys: vec![Bytes::from_static(b"a")] };
        let second = disk.submit(0, StoreId(2), read, &mut chance);
        assert!(second >= first);
        assert!(matches!(disk.finish(), Some((StoreId(1), Ok(StoreReply::Written)))));
        let Some((StoreId(2), Ok(StoreReply::Values(values)))) = disk.finish() else {
            panic!("the read is answered second");
        };
        assert_eq!(values, [Some(Bytes::from_static(b"1"))]);
        assert!(disk.finish().is_none());
    }

    #[test]
    fn crash_keeps_what_was_answered_and_a_prefix_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut chance = Chance::new(seed);
            let mut disk = Disk::default();
            for (op, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
                disk.submit(0, StoreId(op as u64), write(key, Some("x")), &mut chance);
            }
            assert!(disk.finish().is_some());
            disk.crash(&mut chance);
            assert!(disk.finish().is_none());
            let left = keys(&disk);
            assert_eq!(left, ["a", "b", "c", "d"][..left.len()]);
            assert!(!left.is_empty());
            lengths.insert(left.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn quota_refuses_the_whole_batch_and_deletions_make_room() {
        let mut disk = Disk { quota: Some(4), ..Disk::default() };
        assert!(disk.run(write("a", Some("1"))).is_ok());
        assert!(disk.run(write("b", Some("2"))).is_ok());
        assert_eq!(disk.run(write("c", Some("3"))).unwrap_err(), StoreFault::QuotaExceeded);
        assert_eq!(keys(&disk), ["a", "b"]);
        assert!(disk.run(write("a", None)).is_ok());
        assert!(disk.run(write("c", Some("3"))).is_ok());
        assert_eq!((disk.bytes(), keys(&disk)), (4, vec!["b", "c"]));
    }

    #[test]
    fn scan_is_half_open_ordered_and_limited() {
        let mut disk = Disk::default();
        for key in ["d", "a", "c", "b"] {
            assert!(disk.run(write(key, Some("x"))).is_ok());
        }
        let scan = |from: &'static str, to: &'static str, limit| StoreTask::Scan {
            from: Bytes::from_static(from.as_bytes()),
            to: Bytes::from_static(to.as_bytes()),
            limit,
        };
        for (task, expected) in [
            (scan("a", "d", 9), vec!["a", "b", "c"]),
            (scan("b", "z", 2), vec!["b", "c"]),
            (scan("d", "a", 9), vec![]),
        ] {
            let Ok(StoreReply::Entries(entries)) = disk.run(task) else { panic!("a scan answers") };
            let found: Vec<_> =
                entries.iter().map(|(k, _)| std::str::from_utf8(k).unwrap()).collect();
            assert_eq!(found, expected);
        }
    }
}
