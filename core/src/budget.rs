//! Budgets: what is used of an amount that time gives back.
//!
//! A budget is an amount that may be used at once, and a rate at which what was used is given back. Keeping account costs
//! an addition and a comparison; time is looked at only where the amount is exceeded, so that a budget that nobody looked
//! at for long may once be used twice over.
use crate::time::Time;
use std::time::Duration;

/// What is used of a budget. In units that its owner names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    units: u64,
    /// Until when what was used is given back.
    at: Time,
}

impl Used {
    /// Nothing is used.
    pub(crate) fn nothing(now: Time) -> Self {
        Self { units: 0, at: now }
    }

    /// Uses some more.
    pub(crate) fn add(&mut self, units: u64) {
        self.units = self.units.saturating_add(units);
    }

    /// By how much more is used than `most`, of which so much is given back in a second.
    pub(crate) fn over(&mut self, now: Time, most: u64, per_second: u64) -> u64 {
        if self.units > most {
            self.give_back(now, per_second);
        }
        self.units.saturating_sub(most)
    }

    /// Whether nothing is used any more.
    pub(crate) fn is_nothing(&mut self, now: Time, per_second: u64) -> bool {
        self.over(now, 0, per_second) == 0
    }

    fn give_back(&mut self, now: Time, per_second: u64) {
        let rate = u128::from(per_second.max(1));
        let back = now.since(self.at).as_micros() * rate / 1_000_000;
        self.units = self.units.saturating_sub(u64::try_from(back).unwrap_or(u64::MAX));
        // What makes no whole unit yet counts the next time.
        let paid = u64::try_from(back * 1_000_000 / rate).unwrap_or(u64::MAX);
        self.at = self.at.after(Duration::from_micros(paid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn what_is_used_is_given_back_at_its_rate_however_often_one_looks() {
        for step in [1, 7, 999, 1_000, 1_001, 33_333, 1_000_000] {
            let mut used = Used::nothing(at(5));
            used.add(3_000);
            let mut now = 5;
            while now + step <= 2_000_005 {
                now += step;
                used.over(at(now), 0, 1_000);
            }
            let left = used.over(at(2_000_005), 0, 1_000);
            assert!((999..=1_001).contains(&left), "{left} after steps of {step} µs");
            assert!(used.is_nothing(at(3_010_000), 1_000));
        }
    }

    #[test]
    fn more_than_all_is_never_used_and_never_given_back() {
        let mut used = Used::nothing(at(0));
        used.add(u64::MAX);
        used.add(u64::MAX);
        assert_eq!(used.over(at(1), 5, 0), u64::MAX - 5);
        assert_eq!(used.over(at(u64::MAX), 5, u64::MAX), 0);
        used.add(7);
        assert_eq!(used.over(at(u64::MAX), 5, 1), 2);
    }
}
