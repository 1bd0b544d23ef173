//! The deliveries of records: to whom, over how many hops, and at which cost on the wires.
//!
//! A tracked record's payload begins with a mark of the run and its number. Frames that contain the mark are
//! payload messages, whatever else is in them; all others are control. The hops of a record at a node are
//! one more than those at the node whose frame brought it first.
use crate::host::HostId;
use bytes::Bytes;
use memchr::memmem::Finder;

/// Bytes of a mark.
const MARK_BYTES: usize = 8;
/// Shortest tracked payload: mark and number.
pub const PAYLOAD_BYTES_MIN: usize = MARK_BYTES + 4;

#[derive(Debug)]
struct Tracked {
    publisher: HostId,
    published_at: u64,
    /// How many hosts have seen it, its publisher among them.
    seen_count: usize,
    /// By host: arrival of the first frame with it (world time · 256 + hops), and when the application saw it.
    first: Vec<u64>,
    seen: Vec<Option<u64>>,
}

/// Follows tracked records.
#[derive(Debug)]
pub struct Delivery {
    mark: [u8; MARK_BYTES],
    finder: Finder<'static>,
    records: Vec<Tracked>,
    /// Records below this number are no longer followed.
    forgotten: usize,
    delivered: u64,
    /// Records on their way, if wanted, for a picture that takes them out again.
    pub passages: Option<Vec<Passage>>,
}

/// One copy of a tracked record on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Its number.
    pub record: u32,
    /// The host that sent it.
    pub from: HostId,
    /// The host to which it goes.
    pub to: HostId,
    /// When it left. Microseconds of world time.
    pub sent: u64,
    /// When it arrives, if the wire lives so long.
    pub arrival: u64,
}

/// Passages that wait to be taken. Guess: some frames of a picture. Further passages are not told.
const PASSAGES_MAX: usize = 1 << 14;

/// The deliveries of a range of tracked records.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reach {
    /// Records at members that did not publish them.
    pub delivered: u64,
    /// Records that a member does not have.
    pub missed: u64,
    /// Most hops of a delivery.
    pub last_hop: u8,
    /// Mean hops. Zero if nothing was delivered.
    pub mean_hop: f64,
    /// From publication to the last delivery, the longest. Microseconds.
    pub slowest: u64,
}

impl Delivery {
    /// Tracks records that bear `mark`.
    pub fn new(mark: u64) -> Self {
        let mark = mark.to_be_bytes();
        Self {
            mark,
            finder: Finder::new(&mark).into_owned(),
            records: Vec::new(),
            forgotten: 0,
            delivered: 0,
            passages: None,
        }
    }

    /// The payload of a further tracked record, which `publisher` is about to publish: at least
    /// [`PAYLOAD_BYTES_MIN`] bytes long, filled up with `length` bytes.
    pub fn publish(&mut self, publisher: HostId, now: u64, hosts: usize, length: usize) -> Bytes {
        let number = u32::try_from(self.records.len()).expect("fewer than 2^32 records");
        let (mut first, mut seen) = (vec![u64::MAX; hosts], vec![None; hosts]);
        first[publisher] = now << 8;
        seen[publisher] = Some(now);
        self.records.push(Tracked { publisher, published_at: now, seen_count: 1, first, seen });
        let mut payload = self.mark.to_vec();
        payload.extend_from_slice(&number.to_be_bytes());
        payload.resize(length.max(PAYLOAD_BYTES_MIN), b'.');
        Bytes::from(payload)
    }

    fn number(&self, payload: &[u8]) -> Option<usize> {
        let number = payload.strip_prefix(&self.mark)?.get(..4)?;
        let number = u32::from_be_bytes(number.try_into().expect("four bytes")) as usize;
        (self.forgotten..self.records.len()).contains(&number).then_some(number)
    }

    /// Stops following the records below `number`, for worlds without end.
    pub fn forget(&mut self, number: usize) {
        for record in self.records[..number].iter_mut().skip(self.forgotten) {
            record.first = Vec::new();
            record.seen = Vec::new();
        }
        self.forgotten = self.forgotten.max(number);
    }

    /// A frame leaves: answers how many tracked records are in it.
    pub fn sent(
        &mut self,
        (from, to): (HostId, HostId),
        frame: &[u8],
        now: u64,
        arrival: u64,
    ) -> u64 {
        let mut count = 0;
        for at in self.finder.find_iter(frame) {
            let Some(number) = self.number(&frame[at..]) else { continue };
            count += 1;
            let record = &mut self.records[number];
            let hops = (record.first.get(from).map_or(0, |first| first & 0xff) + 1).min(255);
            if let Some(first) = record.first.get_mut(to) {
                *first = (*first).min(arrival << 8 | hops);
            }
            if let Some(passages) = self.passages.as_mut().filter(|all| all.len() < PASSAGES_MAX) {
                passages.push(Passage { record: number as u32, from, to, sent: now, arrival });
            }
        }
        count
    }

    /// An application saw a record.
    pub fn seen(&mut self, host: HostId, now: u64, payload: &[u8]) {
        let Some(number) = self.number(payload) else { return };
        let record = &mut self.records[number];
        if host >= record.seen.len() {
            // A host that came after the record.
            record.seen.resize(host + 1, None);
        }
        if record.seen[host].is_none() {
            record.seen[host] = Some(now);
            record.seen_count += 1;
            self.delivered += 1;
        }
    }

    /// How many hosts have seen a record, its publisher among them, and when it was published.
    pub fn seen_by(&self, number: usize) -> (usize, u64) {
        (self.records[number].seen_count, self.records[number].published_at)
    }

    /// Records that applications saw of others, in total.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// How many records are tracked.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record is tracked.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether all `members` have all records from number `from` on.
    pub fn complete(&self, from: usize, members: &[HostId]) -> bool {
        let records = &self.records[from..];
        // Asked again and again while records spread: the counts alone say no, nearly always.
        if records.iter().any(|record| record.seen_count < members.len()) {
            return false;
        }
        let has =
            |record: &Tracked, host: HostId| record.seen.get(host).is_some_and(Option::is_some);
        records.iter().all(|record| members.iter().all(|&host| has(record, host)))
    }

    /// How often a member lacks one of the records from number `from` up to `to`.
    pub fn lacking(&self, from: usize, to: usize, members: &[HostId]) -> u64 {
        let lacks =
            |record: &Tracked, host: HostId| record.seen.get(host).is_none_or(Option::is_none);
        let of = |record: &Tracked| members.iter().filter(|&&host| lacks(record, host)).count();
        self.records[from..to].iter().map(|record| of(record) as u64).sum()
    }

    /// Whether one of `members` has the record of this number.
    pub fn is_seen_by_any(&self, number: usize, members: &[HostId]) -> bool {
        let seen = &self.records[number].seen;
        members.iter().any(|&host| seen.get(host).is_some_and(Option::is_some))
    }

    /// The deliveries of the records from number `from` up to `to`, at `members`.
    pub fn reach(&self, from: usize, to: usize, members: &[HostId]) -> Reach {
        let mut reach = Reach::default();
        let mut hops_sum = 0_u64;
        for record in &self.records[from..to] {
            for &host in members.iter().filter(|&&host| host != record.publisher) {
                let Some(seen) = record.seen.get(host).copied().flatten() else {
                    reach.missed += 1;
                    continue;
                };
                reach.delivered += 1;
                reach.slowest = reach.slowest.max(seen.saturating_sub(record.published_at));
                // Over a sealed link the mark cannot be seen, and a latecomer has no hops to count.
                let first = record.first.get(host).copied().unwrap_or(u64::MAX);
                if first != u64::MAX {
                    let hops = (first & 0xff) as u8;
                    reach.last_hop = reach.last_hop.max(hops);
                    hops_sum += u64::from(hops);
                }
            }
        }
        if reach.delivered > 0 {
            reach.mean_hop = hops_sum as f64 / reach.delivered as f64;
        }
        reach
    }

    /// From the publication of a record to its arrival at the last of `members` that it reached. Microseconds.
    pub fn last_arrival(&self, number: usize, members: &[HostId]) -> u64 {
        let record = &self.records[number];
        let arrived = |&host: &HostId| record.first.get(host).filter(|&&first| first != u64::MAX);
        let last = members.iter().filter_map(arrived).map(|first| first >> 8).max();
        last.unwrap_or(0).saturating_sub(record.published_at)
    }

    /// When the application at a host saw the last of the records, of those that it saw. World time.
    pub fn last_seen(&self, host: HostId) -> u64 {
        let seen = self.records.iter().filter_map(|record| *record.seen.get(host)?);
        seen.max().unwrap_or(0)
    }

    /// The first few gaps, for a report: (record, its publisher, a member that lacks it).
    pub fn gaps(&self, from: usize, members: &[HostId]) -> Vec<(usize, HostId, HostId)> {
        let mut gaps = Vec::new();
        for (number, record) in self.records.iter().enumerate().skip(from) {
            for &host in members {
                if record.seen.get(host).is_none_or(Option::is_none) {
                    gaps.push((number, record.publisher, host));
                    if gaps.len() == 10 {
                        return gaps;
                    }
                }
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_follow_the_first_frame_and_missing_members_are_counted() {
        let mut delivery = Delivery::new(0x0102_0304_0506_0708);
        let payload = delivery.publish(0, 1_000, 4, 40);
        assert_eq!(payload.len(), 40);
        let frame = [b"head".as_slice(), &payload, b"tail"].concat();
        assert_eq!(delivery.sent((0, 1), &frame, 1_500, 2_000), 1);
        assert_eq!(delivery.sent((1, 2), &frame, 2_500, 3_000), 1);
        assert_eq!(delivery.sent((0, 2), &frame, 1_500, 5_000), 1, "later, by a shorter way");
        assert_eq!(delivery.sent((0, 2), b"nothing of the kind", 1_500, 5_000), 0);
        for (host, now) in [(1, 2_500), (2, 3_500)] {
            delivery.seen(host, now, &payload);
        }
        assert!(!delivery.complete(0, &[0, 1, 2, 3]));
        assert!(delivery.complete(0, &[0, 1, 2]));
        let reach = delivery.reach(0, 1, &[0, 1, 2, 3]);
        assert_eq!((reach.delivered, reach.missed, reach.last_hop), (2, 1, 2));
        assert_eq!(reach.slowest, 2_500);
        assert_eq!(delivery.gaps(0, &[0, 1, 2, 3]), [(0, 0, 3)]);
    }

    #[test]
    fn several_records_in_one_frame_count_each() {
        let mut delivery = Delivery::new(77);
        let both = [delivery.publish(0, 0, 2, 0), delivery.publish(0, 0, 2, 20)].concat();
        assert_eq!(delivery.sent((0, 1), &both, 1, 9), 2);
    }

    #[test]
    fn passages_are_told_until_a_record_is_forgotten() {
        let mut delivery = Delivery::new(5);
        delivery.passages = Some(Vec::new());
        let payload = delivery.publish(0, 10, 2, 0);
        delivery.sent((0, 1), &payload, 20, 30);
        delivery.seen(1, 31, &payload);
        assert_eq!((delivery.seen_by(0), delivery.delivered()), ((2, 10), 1));
        let passage = Passage { record: 0, from: 0, to: 1, sent: 20, arrival: 30 };
        assert_eq!(delivery.passages, Some(vec![passage]));
        delivery.forget(1);
        assert_eq!(delivery.sent((1, 0), &payload, 40, 50), 0);
        delivery.seen(0, 51, &payload);
        assert_eq!((delivery.passages.as_ref().map(Vec::len), delivery.delivered()), (Some(1), 1));
    }
}
