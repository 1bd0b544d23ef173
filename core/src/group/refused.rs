//! Records that the disk refused: for a while nobody is asked for them again.
//!
//! A node passes a record on before it is durable, so that a full disk breaks no tree. Where several disks refuse, it would
//! come back from those that had it from us, again and again, as news each time. So the second time it is neither
//! taken nor passed on. Once the while is over the next sync, or whoever announces it, brings it.
//!
//! Of a publisher of whom the disk refused its share nothing is taken for that while; of everybody, once all places are
//! used. So one who fills disks stops no revocation of itself.
use super::Group;
use super::tree::Publisher;
use crate::id::RecordId;
use crate::limits;
use crate::record::Edition;
use crate::share::{Rank, Shares};
use crate::sorted::SortedMap;
use crate::time::{Deadlines, Time};
use std::time::Duration;

/// How long a refused record is not taken. Guess: half of the time between two syncs with a neighbour.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The refused records of one group, by version.
pub(super) struct Refused {
    editions: SortedMap<RecordId, Edition>,
    until: Deadlines<RecordId>,
    shares: Shares<Publisher>,
}

impl Default for Refused {
    fn default() -> Self {
        let shares = Shares::new(limits::REFUSED);
        Self { editions: SortedMap::new(), until: Deadlines::default(), shares }
    }
}

impl Refused {
    /// The disk refused this record.
    pub(super) fn note(&mut self, now: Time, id: RecordId, edition: Edition) {
        self.forget(now);
        let known = self.editions.contains_key(&id);
        if known || self.shares.take(&Publisher::of(id), 1, Rank::Junior).is_ok() {
            let edition = edition.max(self.editions.get(&id).copied().unwrap_or_default());
            self.editions.insert(id, edition);
            self.until.set(id, now.after(REFUSED_FOR));
        }
    }

    /// Whether a record is not to be taken at this moment.
    pub(super) fn holds_back(&mut self, now: Time, id: RecordId, edition: Edition) -> bool {
        self.forget(now);
        self.shares.fits(&Publisher::of(id), 1, Rank::Junior).is_err()
            || self.editions.get(&id).is_some_and(|refused| *refused >= edition)
    }

    /// The version of a record that was refused lately; 0 if there is none.
    pub(super) fn version(&self, id: RecordId) -> u64 {
        self.editions.get(&id).map_or(0, |edition| edition.version())
    }

    fn forget(&mut self, now: Time) {
        while let Some(id) = self.until.pop_due(now) {
            self.editions.remove(&id);
            self.shares.give_back(&Publisher::of(id), 1);
        }
    }
}

impl Group {
    /// Whether the disk refused a record lately.
    pub(super) fn disk_refuses(&mut self, now: Time) -> bool {
        self.refused.forget(now);
        !self.refused.editions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use crate::record::RecordType;

    fn edition(version: u64) -> Edition {
        Edition::of(&RecordType::new("note").unwrap(), (version, version), false)
    }

    #[test]
    fn refused_record_waits_and_a_later_version_of_it_does_not() {
        let (mut refused, second) = (Refused::default(), |n: u64| Time::from_micros(n * 1_000_000));
        let id = |n| RecordId::new(PeerId::default(), "note", n);
        refused.note(second(0), id(1), edition(5));
        assert!(refused.holds_back(second(59), id(1), edition(5)));
        assert!(!refused.holds_back(second(59), id(1), edition(6)));
        assert!(!refused.holds_back(second(59), id(2), edition(5)));
        assert!(!refused.holds_back(second(60), id(1), edition(5)));
    }

    /// Goal: the law of shares. Method: the disk refuses as many records of one publisher as it brings; those of another are
    /// taken. Then it refuses those of many.
    #[test]
    fn one_whose_records_are_refused_stops_nobody_elses() {
        let (mut refused, second) = (Refused::default(), |n: u64| Time::from_micros(n * 1_000_000));
        let of = |who: u8, n| RecordId::new(PeerId::from_bytes([who; 32]), "note", n);
        for n in 0..2 * limits::REFUSED.all() {
            refused.note(second(100), of(1, n), edition(5));
        }
        assert_eq!(refused.editions.len() as u64, limits::REFUSED.each());
        assert!(refused.holds_back(second(100), of(1, u64::MAX), edition(1)), "none of that one");
        assert!(!refused.holds_back(second(100), of(2, 1), edition(1)));
        for who in 2..10 {
            (0..limits::REFUSED.each())
                .for_each(|n| refused.note(second(100), of(who, n), edition(5)));
        }
        assert_eq!(refused.editions.len() as u64, limits::REFUSED.all());
        assert!(refused.holds_back(second(100), of(99, 1), edition(1)), "none where too many were");
        assert!(!refused.holds_back(second(160), of(99, 1), edition(1)));
        assert_eq!((refused.shares.total(), refused.shares.parties()), (0, 0));
    }
}
