//! Whether the clock may have us remove anything for good.
//!
//! A clock that was set wrongly for one start would end every record. So what has ended is not shown from that moment on,
//! and is removed only while the time is plausible:
//!
//! 1. It is at most [`AHEAD_MAX`] later than the latest plausible time, which the store keeps; or
//! 2. a neighbour of this run calls the same time now, and our own clock is not further than that from it; or
//! 3. it has been like that for [`AHEAD_MAX`] of running.
//!
//! An earlier time ends nothing that was not ended before, so it needs no rule.
use crate::time::{Time, WallTime};
use std::time::Duration;

/// Source: a device that is started daily goes on at once; one that was away for longer waits for a neighbour, or a day.
const AHEAD_MAX: Duration = Duration::from_secs(86_400);
/// The latest plausible time is saved when it is so much later than the saved one. Guess.
const SAVED_EVERY: Duration = Duration::from_secs(3_600);

/// All that is known of the time. All times are peer time.
#[derive(Debug, Default)]
pub(super) struct Plausible {
    latest: WallTime,
    saved: WallTime,
    /// Since when the time has been too far ahead.
    ahead_since: Option<Time>,
}

impl Plausible {
    pub(super) fn restore(latest: WallTime) -> Self {
        Self { latest, saved: latest, ahead_since: None }
    }

    /// The latest plausible time.
    pub(super) fn latest(&self) -> WallTime {
        self.latest
    }

    /// Since when the time may be: the latest one may have been too late by as much as is plausible.
    pub(super) fn since(&self) -> WallTime {
        self.latest.before(AHEAD_MAX)
    }

    /// Up to when a later one would be plausible.
    pub(super) fn until(&self) -> WallTime {
        self.latest.after(AHEAD_MAX)
    }

    /// Whether what has ended by this time may be removed.
    pub(super) fn holds(&self, peer_time: WallTime, now: Time) -> bool {
        let waited = self.ahead_since.is_some_and(|since| now.since(since) >= AHEAD_MAX);
        peer_time <= self.until() || waited
    }

    /// Looks at the time. Returns whether the latest plausible one is to be saved.
    pub(super) fn look(&mut self, peer_time: WallTime, now: Time) -> bool {
        if !self.holds(peer_time, now) {
            self.ahead_since.get_or_insert(now);
            return false;
        }
        self.ahead_since = None;
        self.latest = self.latest.max(peer_time);
        self.latest > self.saved.after(SAVED_EVERY)
    }

    /// A neighbour calls the same time now as we do, which is `shift_ms` from our own clock.
    pub(super) fn agreed(&mut self, peer_time: WallTime, shift_ms: i64) {
        if u128::from(shift_ms.unsigned_abs()) <= AHEAD_MAX.as_millis() {
            self.ahead_since = None;
            self.latest = self.latest.max(peer_time);
        }
    }

    /// The latest plausible time, which is being saved.
    pub(super) fn save_latest(&mut self) -> WallTime {
        self.saved = self.latest;
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1_800_000_000_000);
    const DAY: Duration = AHEAD_MAX;
    const YEARS: Duration = Duration::from_secs(11 * 365 * 86_400);

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn day_after_day_is_plausible_and_years_ahead_are_not() {
        let mut it = Plausible::restore(NOW);
        for day in 0..400 {
            let time = NOW.after(DAY * day);
            assert!(it.holds(time, at(0)), "day {day}");
            it.look(time, at(0));
        }
        let ahead = NOW.after(DAY * 400).after(YEARS);
        assert!(!it.look(ahead, at(0)) && !it.holds(ahead, at(10)));
        assert!(it.holds(NOW, at(11)), "what is earlier ends nothing more");
        assert!(!it.look(ahead, at(86_399)) && !it.holds(ahead, at(86_399)));
        assert!(it.look(ahead, at(86_400)) && it.holds(ahead.after(DAY), at(86_401)));
    }

    #[test]
    fn clock_that_is_set_right_again_has_not_waited() {
        let mut it = Plausible::restore(NOW);
        it.look(NOW.after(YEARS), at(0));
        it.look(NOW, at(80_000));
        it.look(NOW.after(YEARS), at(80_001));
        assert!(!it.holds(NOW.after(YEARS), at(90_000)));
    }

    #[test]
    fn neighbour_is_believed_only_beside_our_own_clock() {
        let year = NOW.after(DAY * 365);
        let mut away = Plausible::restore(NOW);
        away.agreed(year, 5_000);
        assert!(away.holds(year, at(0)), "away for a year, and somebody says so too");
        let mut led = Plausible::restore(NOW);
        led.agreed(year, i64::try_from((DAY * 365).as_millis()).expect("it fits"));
        assert!(!led.holds(year, at(0)), "one neighbour's word against our clock");
    }

    #[test]
    fn latest_time_is_saved_each_hour() {
        let mut it = Plausible::restore(NOW);
        assert!(!it.look(NOW.after(Duration::from_secs(3_600)), at(0)));
        let later = NOW.after(Duration::from_secs(3_601));
        assert!(it.look(later, at(1)));
        assert_eq!(it.save_latest(), later);
        assert!(!it.look(later, at(2)));
    }
}
