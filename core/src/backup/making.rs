//! A backup in the making: which entries of the store a host reads next, and what becomes of them.
use super::{Backup, BackupError};
use crate::identity::Identity;
use crate::stored::{self, StoredGroup};
use bytes::Bytes;

/// Entries that are read at once. Guess: each may hold the longest record.
const SCAN_MAX: usize = 64;

/// A backup in the making.
#[derive(Debug)]
pub struct Making {
    backup: Backup,
    /// Whether the records go in as well.
    records: bool,
    range: Option<(Bytes, Bytes)>,
}

impl Making {
    /// Of this identity: its key, and all that is kept of its groups; with `records` also the records, which other members
    /// hold too.
    pub fn new(identity: Identity, records: bool) -> Self {
        Self { backup: Backup::new(identity), records, range: Some(stored::first_range()) }
    }

    /// Where to read next, and how many entries: keys from the first inclusive to the second exclusive. `None` when the
    /// backup is complete.
    pub fn next(&self) -> Option<((Bytes, Bytes), usize)> {
        Some((self.range.clone()?, if self.records { SCAN_MAX } else { 1 }))
    }

    /// Takes up what was found there, in the order of the keys. Damaged records are left out.
    ///
    /// # Errors
    /// [`BackupError::TooLong`]; [`BackupError::Damaged`] for what is known of a group.
    pub fn take(&mut self, entries: Vec<(Bytes, Bytes)>) -> Result<(), BackupError> {
        self.range = match entries.last() {
            None => None,
            Some((last, _)) if self.records => Some(stored::range_after(last)),
            Some((last, _)) => {
                let group = StoredGroup::read(last, &[]).ok_or(BackupError::Damaged)?;
                Some(group.next_range())
            }
        };
        for (key, value) in entries {
            let of_group = stored::is_group(&key);
            // Without records, what comes first of a group that was left may be one of them.
            let whole = (of_group || self.records) && self.backup.add(key, &value)?;
            if of_group && !whole {
                return Err(BackupError::Damaged);
            }
        }
        Ok(())
    }

    /// The backup, of what was taken up.
    pub fn done(self) -> Backup {
        self.backup
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::tests::{Entries, ada, store_with_every_secret};

    fn make(entries: &Entries, records: bool) -> Result<Backup, BackupError> {
        let mut making = Making::new(ada(), records);
        while let Some(((from, to), limit)) = making.next() {
            let found = entries.range(from..to).take(limit);
            making.take(found.map(|(key, value)| (key.clone(), value.clone())).collect())?;
        }
        Ok(making.done())
    }

    #[test]
    fn backup_takes_groups_always_and_records_on_demand() {
        let (entries, _) = store_with_every_secret();
        let groups = entries.keys().filter(|key| stored::is_group(key)).count();
        let backup = make(&entries, false).unwrap();
        assert_eq!((backup.groups().len(), backup.records()), (groups, 0));
        let backup = make(&entries, true).unwrap();
        assert_eq!((backup.groups().len(), backup.records()), (groups, entries.len() - groups));
    }

    #[test]
    fn damaged_group_makes_no_backup_and_damaged_record_is_left_out() {
        let (whole, _) = store_with_every_secret();
        for (key, of_group) in whole.keys().map(|key| (key, stored::is_group(key))) {
            let mut entries = whole.clone();
            let value = entries.get_mut(key).unwrap();
            *value = value.slice(1..);
            for records in [false, true] {
                let backup = make(&entries, records);
                if of_group {
                    assert_eq!(backup.err(), Some(BackupError::Damaged));
                } else {
                    let left = if records { whole.len() - 2 } else { 0 };
                    assert_eq!(backup.unwrap().records(), left);
                }
            }
        }
    }
}
