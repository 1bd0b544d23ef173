//! Records that were announced and are not here.
//!
//! An announcement is a promise: whoever announces an id delivers the record, or has it from somebody who will. Nothing of it
//! can be verified before the record comes. So a promise is on the account of the peer that was first to give it:
//!
//! 1. A peer has at most its share of all that are open ([`PROMISED`]). More are neither asked for nor passed on.
//! 2. Of those a smaller share is passed on at once, before they came ([`PASSED_ON`]); the others once they came. So a relay
//!    says little that it cannot keep, and what one of its neighbours promises leaves room for the promises of all others, here
//!    and at the next hop.
//! 3. A record that does not come is charged to the peer that promised it, [`PASSED_ON_COSTS`] times if it was passed on. A
//!    peer that has used up [`UNDELIVERED_PASSED_ON`] is passed on only after delivery; one that has used up [`UNDELIVERED`] is
//!    not asked for what it announces. Both are given back in time ([`UNDELIVERED_PER_SECOND`]). Nobody is blamed, and records
//!    that it sends or that a sync finds are as welcome as before.
//!
//! The numbers fit each other. A hostile peer has [`UNDELIVERED_PER_SECOND`] / [`PASSED_ON_COSTS`] ids a second passed on in the
//! long run. Its honest neighbour is charged for these at the next hop, at most as many units as are given back to it.
use super::announce::LARGE_BYTES;
use super::waste::units;
use crate::budget::Accounts;
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use crate::limits::{
    PASSED_ON, PASSED_ON_COSTS, PROMISED, UNDELIVERED, UNDELIVERED_PASSED_ON,
    UNDELIVERED_PER_SECOND, WASTE_PER_SECOND, WASTE_SPARE,
};
use crate::record::Edition;
use crate::share::{Rank, Shares};
use crate::sorted::SortedMap;
use crate::time::{Deadlines, Time};
use crate::wire::Announced;
use std::time::Duration;

/// How long an announcer has to deliver before the next one is asked too: a few round trips. Guess.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// The same for a large record. Guess.
const ASK_LARGE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Units that we ask for again at once. Source: a neighbour gives us [`WASTE_SPARE`] of them.
const SOUGHT_SPARE: u64 = WASTE_SPARE / 2;
/// Announcers and askers remembered for one record. Guess: twice the maximum of neighbours.
pub(super) const ANNOUNCERS_MAX: usize = 16;

/// Records that were announced and are not here.
pub(super) struct Awaited {
    pub(super) records: SortedMap<RecordId, Wanted>,
    pub(super) due: Deadlines<RecordId>,
    /// Each version counted.
    promised: Shares<PeerId>,
    passed_on: Shares<PeerId>,
    /// Units of promised records that did not come.
    undelivered: Accounts,
    /// Units of records that were asked for again.
    sought: Accounts<()>,
}

#[derive(Clone)]
pub(super) struct Wanted {
    /// The newest that was announced, and when.
    pub(super) edition: Edition,
    pub(super) since: Time,
    pub(super) large: bool,
    /// The neighbours that announced it, in the order in which they are asked, and how many of them were.
    pub(super) announcers: Vec<LinkId>,
    pub(super) asked: usize,
    /// The peers that were first to announce a version of it, and whether that was passed on before it came; the newest version
    /// last.
    promises: Vec<(PeerId, bool)>,
    /// Whether it came and was of no use yet.
    pub(super) came: bool,
    /// The neighbours that asked us for it.
    pub(super) askers: Vec<LinkId>,
}

impl Default for Awaited {
    fn default() -> Self {
        Self {
            records: SortedMap::new(),
            due: Deadlines::default(),
            promised: Shares::new(PROMISED),
            passed_on: Shares::new(PASSED_ON),
            undelivered: Accounts::new(UNDELIVERED_PER_SECOND),
            sought: Accounts::new(WASTE_PER_SECOND / 2),
        }
    }
}

impl Awaited {
    pub(super) fn take(&mut self, id: RecordId) -> Option<Wanted> {
        let wanted = self.records.remove(&id)?;
        self.due.clear(id);
        for (peer, passed_on) in &wanted.promises {
            self.promised.give_back(peer, 1);
            self.passed_on.give_back(peer, u64::from(*passed_on));
        }
        Some(wanted)
    }

    /// A version of a record came: it is awaited no more, unless a newer one was announced.
    pub(super) fn came(&mut self, id: RecordId, edition: Edition) -> Option<Wanted> {
        match self.records.get(&id) {
            Some(wanted) if wanted.edition > edition => Some(wanted.clone()),
            Some(_) | None => self.take(id),
        }
    }

    /// Everybody was asked, and a record did not come: who promised it is charged. One that came, and was of no use yet,
    /// costs nobody anything.
    pub(super) fn did_not_come(&mut self, now: Time, id: RecordId) {
        let Some(wanted) = self.take(id).filter(|wanted| !wanted.came) else { return };
        for (peer, passed_on) in wanted.promises {
            let units = if passed_on { PASSED_ON_COSTS } else { 1 };
            self.undelivered.add(now, peer, units);
        }
    }

    /// Notes the first announcement of a version that is newer than any other, unless there are too many. Answers whether
    /// it is passed on at once.
    pub(super) fn begin(
        &mut self,
        now: Time,
        (link, peer): (LinkId, PeerId),
        announced: Announced,
        large: bool,
    ) -> Option<bool> {
        let Announced { id, edition } = announced;
        let versions = self.records.get(&id).map_or(0, |wanted| wanted.promises.len());
        if versions >= ANNOUNCERS_MAX || self.undelivered.over(now, &peer, UNDELIVERED) > 0 {
            return None;
        }
        self.promised.take(&peer, 1, Rank::Junior).ok()?;
        let passed_on = self.undelivered.over(now, &peer, UNDELIVERED_PASSED_ON) == 0
            && self.passed_on.take(&peer, 1, Rank::Junior).is_ok();
        if let Some(wanted) = self.records.get_mut(&id) {
            wanted.announcers.insert(0, link);
            wanted.announcers.truncate(ANNOUNCERS_MAX);
            wanted.promises.push((peer, passed_on));
            (wanted.edition, wanted.since, wanted.large) = (edition, now, large);
            (wanted.asked, wanted.came) = (0, false);
        } else {
            let (announcers, askers) = (vec![link], Vec::new());
            let (since, asked, promises, came) = (now, 0, vec![(peer, passed_on)], false);
            let wanted =
                Wanted { edition, since, large, announcers, asked, promises, came, askers };
            self.records.insert(id, wanted);
        }
        Some(passed_on)
    }

    /// Looks for a version of a record that was here, of so many bytes, which costs those who are asked its units. Nobody has promised it,
    /// so nobody is charged if it does not come. A record that would be too much comes with a sync.
    pub(super) fn seek(&mut self, now: Time, it: Announced, announcers: Vec<LinkId>, bytes: usize) {
        let full = self.records.len() as u64 >= PROMISED.all();
        let units = units(bytes);
        let room = SOUGHT_SPARE.checked_sub(units);
        if full || announcers.is_empty() || room.is_none_or(|it| self.sought.over(now, &(), it) > 0)
        {
            return;
        }
        self.sought.add(now, (), units);
        let (edition, since, large, asked) = (it.edition, now, bytes > LARGE_BYTES, 0);
        let (promises, came, askers) = (Vec::new(), false, Vec::new());
        let wanted = Wanted { edition, since, large, announcers, asked, promises, came, askers };
        self.records.entry(it.id).or_insert(wanted);
        self.due.set(it.id, now);
    }

    /// A neighbour that was asked is gone: the next one's turn is now.
    pub(super) fn lost(&mut self, link: LinkId, now: Time) {
        for (&id, wanted) in &self.records {
            let asked_last = wanted.asked.checked_sub(1).and_then(|at| wanted.announcers.get(at));
            if asked_last == Some(&link) {
                self.due.set(id, now);
            }
        }
    }
}

impl Wanted {
    pub(super) fn was_asked(&self, link: LinkId) -> bool {
        self.announcers.iter().take(self.asked).any(|asked| *asked == link)
    }

    /// Whether the newest version was passed on to who has been a neighbour since then.
    pub(super) fn was_told(&self, since: Time) -> bool {
        since < self.since && self.promises.last().is_some_and(|(_, passed_on)| *passed_on)
    }

    pub(super) fn patience(&self) -> Duration {
        if self.large { ASK_LARGE_TIMEOUT } else { ASK_TIMEOUT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::{edition, second, version};

    fn record(n: u64) -> Announced {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        Announced { id: RecordId::from_bytes(id), edition: edition(1) }
    }

    fn end(n: u8) -> (LinkId, PeerId) {
        (LinkId(u64::from(n)), PeerId::from_bytes([n; 32]))
    }

    #[test]
    fn older_version_that_comes_ends_no_wait() {
        let (mut awaited, [a, b]) = (Awaited::default(), [1, 2].map(end));
        let id = version(1).id;
        assert_eq!(awaited.begin(second(1), a, version(1), false), Some(true));
        assert_eq!(awaited.begin(second(2), b, version(2), false), Some(true));
        assert_eq!(awaited.came(id, edition(1)).unwrap().announcers, [b.0, a.0]);
        let wanted = awaited.came(id, edition(2)).unwrap();
        assert_eq!((wanted.edition, wanted.since, wanted.asked), (edition(2), second(2), 0));
        assert!(awaited.records.is_empty());
        assert_eq!((awaited.promised.total(), awaited.passed_on.total()), (0, 0));
    }

    #[test]
    fn every_version_that_a_neighbour_promises_counts() {
        let (mut awaited, a) = (Awaited::default(), end(1));
        let begun = |awaited: &mut Awaited, n| awaited.begin(second(1), a, version(n), false);
        for n in 0..ANNOUNCERS_MAX as u64 {
            assert!(begun(&mut awaited, n).is_some());
        }
        assert_eq!(begun(&mut awaited, u64::MAX), None);
        assert_eq!(awaited.promised.held(&a.1), ANNOUNCERS_MAX as u64);
        assert!(awaited.came(version(1).id, edition(ANNOUNCERS_MAX as u64)).is_some());
        assert_eq!(awaited.promised.total(), 0);
    }

    /// Goal: one peer's promises at their maximum leave every other its part. Method: eve promises all that she may; then
    /// three others what is left, each its share.
    #[test]
    fn promises_of_one_peer_leave_every_other_its_part() {
        let mut awaited = Awaited::default();
        let mut promise = |who: u8, count: u64| {
            let begun = |n: u64| {
                awaited.begin(second(1), end(who), record(u64::from(who) << 32 | n), false)
            };
            let begun: Vec<bool> = (0..count).filter_map(begun).collect();
            (begun.len() as u64, begun.iter().filter(|passed_on| **passed_on).count() as u64)
        };
        assert_eq!(promise(1, 2 * PROMISED.all()), (PROMISED.each(), PASSED_ON.each()));
        for who in 2..5 {
            assert_eq!(promise(who, PROMISED.each()), (PROMISED.each(), PASSED_ON.each()));
        }
    }

    /// Goal: what one peer promises and does not keep leaves its honest neighbour room at the next hop, for as long as it goes
    /// on. Method: for two hours three hostile peers announce to a relay, without end, what never comes; the relay passes on
    /// what it may, and beside that it announces what it has: all of that is asked for, always. Nobody delivers before
    /// all were asked, which takes fifteen seconds.
    #[test]
    fn relay_of_hostile_peers_is_heard_at_the_next_hop() {
        let (mut relay, mut next, mut named) = (Awaited::default(), Awaited::default(), 0);
        let mut open: std::collections::VecDeque<(u64, Vec<Announced>, Vec<Announced>)> =
            Default::default();
        let (mut passed, mut passed_at_last) = (0, 0);
        for at in 0..7_200 {
            let now = second(at);
            while open.front().is_some_and(|(began, ..)| began + 15 <= at) {
                let (_, here, there) = open.pop_front().unwrap();
                here.iter().for_each(|it| relay.did_not_come(now, it.id));
                there.iter().for_each(|it| next.did_not_come(now, it.id));
            }
            let (mut here, mut there) = (Vec::new(), Vec::new());
            for eve in 1..4 {
                for _ in 0..600 {
                    named += 1;
                    let Some(passed_on) = relay.begin(now, end(eve), record(named), false) else {
                        break;
                    };
                    here.push(record(named));
                    if passed_on {
                        passed += 1;
                        passed_at_last += u64::from(at >= 3_600);
                        let begun = next.begin(now, end(9), record(named), false);
                        there.extend(begun.map(|_| record(named)));
                    }
                }
            }
            open.push_back((at, here, there));
            // The records that the relay has itself come at once.
            for n in 0..100 {
                let own = record(1 << 40 | at << 10 | n);
                assert!(next.begin(now, end(9), own, false).is_some(), "at {at}");
                assert!(next.came(own.id, own.edition).is_some());
            }
        }
        let per_second = UNDELIVERED_PER_SECOND / PASSED_ON_COSTS;
        assert!(passed_at_last <= 3 * (per_second + 1) * 3_600, "{passed_at_last} of {passed}");
        assert!(passed > 0);
    }

    /// Goal: rule 3. Method: eve promises one record after another, of which none comes, until she is not asked any more; another
    /// is believed meanwhile, and eve once what she owes was given back.
    #[test]
    fn peer_that_keeps_no_promise_is_not_asked_for_what_it_announces() {
        let (mut awaited, [eve, bob]) = (Awaited::default(), [1, 2].map(end));
        let (mut begun, mut passed_on) = (0, 0);
        while let Some(passed) = awaited.begin(second(1), eve, record(begun), false) {
            awaited.did_not_come(second(1), record(begun).id);
            begun += 1;
            passed_on += u64::from(passed);
            assert!(begun <= UNDELIVERED, "she is asked for everything");
        }
        assert_eq!(passed_on, UNDELIVERED_PASSED_ON / PASSED_ON_COSTS + 1);
        assert_eq!(begun, UNDELIVERED + 1 - passed_on * (PASSED_ON_COSTS - 1));
        assert_eq!(awaited.begin(second(1), bob, record(1 << 40), false), Some(true));
        let later = second(2 + UNDELIVERED / UNDELIVERED_PER_SECOND);
        assert_eq!(awaited.begin(later, eve, record(2 << 40), false), Some(true));
    }

    #[test]
    fn what_came_and_was_of_no_use_yet_is_charged_to_nobody() {
        let (mut awaited, a) = (Awaited::default(), end(1));
        for n in 0..2 * UNDELIVERED {
            assert!(awaited.begin(second(1), a, record(n), false).is_some());
            awaited.records.get_mut(&record(n).id).unwrap().came = n % 2 == 0;
            awaited.did_not_come(second(1), record(n).id);
            if awaited.undelivered.over(second(1), &a.1, 0) > 0 {
                assert_eq!(n % 2, 1);
                return;
            }
        }
        panic!("what did not come is charged");
    }
}
