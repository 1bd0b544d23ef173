//! Records that the disk refused: for a while nobody is asked for them again.
//!
//! A node passes a record on before it is durable, so that a full disk breaks no tree. Where several disks refuse, it would
//! come back from those that had it from us, again and again, as news each time. So the second time it is neither
//! taken nor passed on. Once the while is over the next sync, or whoever announces it, brings it.
use super::Group;
use crate::id::RecordId;
use crate::limits;
use crate::time::{Deadlines, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a refused record is not taken. Guess: half of the time between two syncs with a neighbour.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The refused records of one group, by version.
#[derive(Default)]
pub(super) struct Refused {
    versions: BTreeMap<RecordId, u64>,
    until: Deadlines<RecordId>,
}

impl Refused {
    /// The disk refused this record.
    pub(super) fn note(&mut self, now: Time, id: RecordId, version: u64) {
        self.forget(now);
        if self.versions.len() < limits::REFUSED_MAX || self.versions.contains_key(&id) {
            let version = version.max(self.versions.get(&id).copied().unwrap_or(0));
            self.versions.insert(id, version);
            self.until.set(id, now.after(REFUSED_FOR));
        }
    }

    /// Whether a record is not to be taken at this moment. Where too many were refused, none is.
    pub(super) fn holds_back(&mut self, now: Time, id: RecordId, version: u64) -> bool {
        self.forget(now);
        self.versions.len() >= limits::REFUSED_MAX
            || self.versions.get(&id).is_some_and(|refused| *refused >= version)
    }

    /// The highest version of a record that was refused lately; 0 if there is none.
    pub(super) fn version(&self, id: RecordId) -> u64 {
        self.versions.get(&id).copied().unwrap_or(0)
    }

    fn forget(&mut self, now: Time) {
        while let Some(id) = self.until.pop_due(now) {
            self.versions.remove(&id);
        }
    }
}

impl Group {
    /// Whether the disk refused a record lately.
    pub(super) fn disk_refuses(&mut self, now: Time) -> bool {
        self.refused.forget(now);
        !self.refused.versions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    #[test]
    fn refused_record_waits_and_a_later_version_of_it_does_not() {
        let (mut refused, second) = (Refused::default(), |n: u64| Time::from_micros(n * 1_000_000));
        let id = |n| RecordId::new(PeerId::default(), "note", n);
        refused.note(second(0), id(1), 5);
        assert!(refused.holds_back(second(59), id(1), 5));
        assert!(!refused.holds_back(second(59), id(1), 6));
        assert!(!refused.holds_back(second(59), id(2), 5));
        assert!(!refused.holds_back(second(60), id(1), 5));
        for n in 0..2 * limits::REFUSED_MAX as u64 {
            refused.note(second(100), id(n), 5);
        }
        assert_eq!(refused.versions.len(), limits::REFUSED_MAX);
        assert!(refused.holds_back(second(100), id(u64::MAX), 1), "none where too many were");
        assert!(!refused.holds_back(second(160), id(u64::MAX), 1));
    }
}
