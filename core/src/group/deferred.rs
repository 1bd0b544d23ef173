//! Records that wait for the membership of their signer: they may run ahead of it, on other ways through the graph.
use crate::id::CertificateId;
use crate::io::LinkId;
use crate::limits;
use crate::share::{Full, Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use bytes::Bytes;

/// The records of one group that wait, the oldest first.
///
/// Their signers are not known, so the places belong to those who bring them. The oldest of the link that brought most
/// gives way, in number or in bytes.
pub(super) struct Deferred {
    /// By age: higher numbers came later.
    records: SortedMap<u64, (CertificateId, Waiting)>,
    by_certificate: SortedMap<CertificateId, SortedSet<u64>>,
    by_link: SortedMap<Bringer, SortedSet<u64>>,
    /// The bringer of each.
    brought: SortedMap<u64, Bringer>,
    /// The same records by what they are.
    ages: SortedMap<(CertificateId, Bytes), u64>,
    count: u64,
    number: Shares<Bringer>,
    bytes: Shares<Bringer>,
}

/// Over which link records came; none where they came otherwise.
type Bringer = Option<LinkId>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) record: Bytes,
    /// The link over which it came: its maker's, if that sent it, since its maker waits for an acknowledgement.
    pub(super) from: Option<LinkId>,
}

impl Default for Deferred {
    fn default() -> Self {
        Self {
            records: SortedMap::new(),
            by_certificate: SortedMap::new(),
            by_link: SortedMap::new(),
            brought: SortedMap::new(),
            ages: SortedMap::new(),
            count: 0,
            number: Shares::new(limits::DEFERRED),
            bytes: Shares::new(limits::DEFERRED_BYTES),
        }
    }
}

impl Deferred {
    /// Adds a record that relies on this certificate.
    pub(super) fn add(&mut self, certificate: CertificateId, waiting: Waiting, by_maker: bool) {
        let bytes = waiting.record.len();
        if bytes > limits::DEFERRED_RECORD_BYTES_MAX {
            return;
        }
        if let Some(&age) = self.ages.get(&(certificate, waiting.record.clone())) {
            if by_maker && let Some((_, known)) = self.records.get_mut(&age) {
                // The account stays with who brought it first.
                known.from = waiting.from;
            }
            return;
        }
        let of_certificate = self.by_certificate.get(&certificate);
        if of_certificate.map_or(0, SortedSet::len) >= limits::DEFERRED_PER_CERTIFICATE_MAX
            && let Some(&oldest) = of_certificate.and_then(SortedSet::first)
        {
            self.remove(oldest);
        }
        let bringer = waiting.from;
        while !self.has_room(bringer, bytes as u64) {
            let Some(oldest) = self.gives_way(bringer) else { return };
            self.remove(oldest);
        }
        self.count += 1;
        let age = self.count;
        self.by_certificate.entry(certificate).or_default().insert(age);
        self.by_link.entry(bringer).or_default().insert(age);
        self.ages.insert((certificate, waiting.record.clone()), age);
        self.number.book(&bringer, 1);
        self.bytes.book(&bringer, bytes as u64);
        self.brought.insert(age, bringer);
        self.records.insert(age, (certificate, waiting));
    }

    fn has_room(&self, bringer: Bringer, bytes: u64) -> bool {
        self.number.fits(&bringer, 1, Rank::Junior).is_ok()
            && self.bytes.fits(&bringer, bytes, Rank::Junior).is_ok()
    }

    /// The record that makes way for one of this bringer: its own oldest if it has its share, else that of who has most.
    fn gives_way(&self, bringer: Bringer) -> Option<u64> {
        let full = |shares: &Shares<Bringer>| {
            let own = shares.fits(&bringer, 1, Rank::Junior) == Err(Full::Share);
            if own { Some(bringer) } else { shares.greatest().copied() }
        };
        let number = self.number.fits(&bringer, 1, Rank::Junior).is_err();
        let whose = if number { full(&self.number) } else { full(&self.bytes) };
        self.by_link.get(&whose?)?.first().copied()
    }

    fn remove(&mut self, age: u64) -> Option<Waiting> {
        let (certificate, waiting) = self.records.remove(&age)?;
        let bringer = self.brought.remove(&age)?;
        take_from(&mut self.by_certificate, &certificate, age);
        take_from(&mut self.by_link, &bringer, age);
        self.ages.remove(&(certificate, waiting.record.clone()));
        self.number.give_back(&bringer, 1);
        self.bytes.give_back(&bringer, waiting.record.len() as u64);
        Some(waiting)
    }

    /// Takes out what relies on this certificate, in the order in which it came.
    pub(super) fn take(&mut self, certificate: CertificateId) -> Vec<Waiting> {
        let ages = self.by_certificate.get(&certificate).cloned().unwrap_or_default();
        ages.into_iter().filter_map(|age| self.remove(age)).collect()
    }
}

/// Takes an age out of the set of one key.
fn take_from<K: Ord>(sets: &mut SortedMap<K, SortedSet<u64>>, key: &K, age: u64) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&age);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(nth: u8) -> CertificateId {
        CertificateId::from_bytes([nth; 32])
    }

    fn waiting(text: &str, link: u64) -> Waiting {
        Waiting { record: Bytes::copy_from_slice(text.as_bytes()), from: Some(LinkId(link)) }
    }

    #[test]
    fn maker_is_remembered_before_others_who_sent_a_record() {
        let mut deferred = Deferred::default();
        deferred.add(certificate(1), waiting("a", 1), false);
        deferred.add(certificate(1), waiting("b", 1), true);
        deferred.add(certificate(2), waiting("c", 1), false);
        deferred.add(certificate(1), waiting("a", 2), true);
        deferred.add(certificate(1), waiting("b", 3), false);
        assert_eq!(deferred.take(certificate(1)), [waiting("a", 2), waiting("b", 1)]);
        assert_eq!(deferred.take(certificate(1)), []);
        assert_eq!((deferred.bytes.total(), deferred.number.total()), (1, 1));
    }

    /// Goal: the law of shares. Method: one link brings records of as many certificates as it likes, as many and as large as
    /// may be; another, before or after it, brings its part.
    #[test]
    fn one_neighbour_at_its_maximum_leaves_every_other_its_part() {
        let part = limits::DEFERRED.all() - limits::DEFERRED.each();
        for (late, large) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut deferred = Deferred::default();
            let honest = |deferred: &mut Deferred| {
                for nth in 0..part {
                    let of = certificate((nth / 64) as u8);
                    deferred.add(of, waiting(&format!("honest {nth}"), 7), false);
                }
            };
            let hostile = |deferred: &mut Deferred| {
                let many = if large { 50 } else { 3_000_u32 };
                for nth in 0..many {
                    let mut of = [255; 32];
                    of[..4].copy_from_slice(&nth.to_be_bytes());
                    let size = if large { limits::DEFERRED_RECORD_BYTES_MAX } else { 9 };
                    let text = format!("{nth:>9}") + &"x".repeat(size - 9);
                    deferred.add(CertificateId::from_bytes(of), waiting(&text, 1), false);
                    assert!(deferred.number.total() <= limits::DEFERRED.all());
                    assert!(deferred.bytes.total() <= limits::DEFERRED_BYTES.all());
                }
            };
            if late {
                hostile(&mut deferred);
                honest(&mut deferred);
            } else {
                honest(&mut deferred);
                hostile(&mut deferred);
            }
            assert_eq!(deferred.number.held(&Some(LinkId(7))), part, "{late} {large}");
            let held = deferred.number.held(&Some(LinkId(1)));
            assert!(held > 0 && held <= limits::DEFERRED.each(), "{late} {large}: {held}");
        }
    }

    #[test]
    fn what_waits_for_one_certificate_is_bounded_and_the_oldest_gives_way() {
        let mut deferred = Deferred::default();
        let most = limits::DEFERRED_PER_CERTIFICATE_MAX;
        for nth in 0..most + 5 {
            deferred.add(certificate(1), waiting(&format!("{nth}"), nth as u64), false);
        }
        let taken = deferred.take(certificate(1));
        assert_eq!((taken.len(), &taken[0].record[..]), (most, &b"5"[..]));
        let too_large = "x".repeat(limits::DEFERRED_RECORD_BYTES_MAX + 1);
        deferred.add(certificate(1), waiting(&too_large, 1), false);
        assert_eq!((deferred.bytes.total(), deferred.records.len()), (0, 0));
    }
}
