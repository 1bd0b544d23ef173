//! Budgets: what is used of an amount that time gives back.
//!
//! A budget is an amount that may be used at once, and a rate at which what was used is given back. Keeping account costs
//! an addition and a comparison; time is looked at only if the amount is exceeded, so that a budget that nobody looked
//! at for long may once be used twice over.
use crate::id::PeerId;
use crate::limits::PEERS_REMEMBERED_MAX;
use crate::sorted::SortedMap;
use crate::time::Time;
use std::time::Duration;

/// The usage of one kind of budget, an account for each peer or other named user. At most
/// [`PEERS_REMEMBERED_MAX`] of them are remembered.
pub(crate) struct Accounts<K = PeerId> {
    used: SortedMap<K, Used>,
    per_second: u64,
}

impl<K: Ord + Clone> Accounts<K> {
    /// No usage yet. Each account gets `per_second` back.
    pub(crate) fn new(per_second: u64) -> Self {
        Self { used: SortedMap::new(), per_second }
    }

    /// Adds to the usage of `user`.
    pub(crate) fn add(&mut self, now: Time, user: K, units: u64) {
        if self.used.len() >= PEERS_REMEMBERED_MAX && !self.used.contains_key(&user) {
            self.make_room(now);
        }
        self.used.entry(user).or_insert(Used::nothing(now)).add(units);
    }

    /// Gives back units that `user` did not use.
    pub(crate) fn give(&mut self, user: &K, units: u64) {
        if let Some(used) = self.used.get_mut(user) {
            used.units = used.units.saturating_sub(units);
        }
    }

    /// By how much the usage of `user` exceeds `most`.
    pub(crate) fn over(&mut self, now: Time, user: &K, most: u64) -> u64 {
        self.used.get_mut(user).map_or(0, |used| used.over(now, most, self.per_second))
    }

    /// Forgets users that owe nothing.
    pub(crate) fn sweep(&mut self, now: Time) {
        self.used.retain(|_, used| used.over(now, 0, self.per_second) > 0);
    }

    /// Forgets users that owe nothing. If there are none, forgets the one that owes least, so that
    /// coming under many names does not help.
    fn make_room(&mut self, now: Time) {
        self.sweep(now);
        let least = self.used.iter().min_by_key(|(_, used)| used.units);
        let least = least.map(|(user, _)| user.clone());
        if let Some(least) = least
            && self.used.len() >= PEERS_REMEMBERED_MAX
        {
            self.used.remove(&least);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }
}

/// The used part of a budget, in units that its owner names.
#[derive(Clone, Copy, Debug)]
struct Used {
    units: u64,
    /// The time up to which usage has been given back.
    at: Time,
}

impl Used {
    /// Nothing is used.
    fn nothing(now: Time) -> Self {
        Self { units: 0, at: now }
    }

    /// Uses some more.
    fn add(&mut self, units: u64) {
        self.units = self.units.saturating_add(units);
    }

    /// By how much more is used than `most`, of which so much is given back in a second.
    fn over(&mut self, now: Time, most: u64, per_second: u64) -> u64 {
        if self.units > most {
            self.give_back(now, per_second);
        }
        self.units.saturating_sub(most)
    }

    fn give_back(&mut self, now: Time, per_second: u64) {
        let rate = u128::from(per_second.max(1));
        let back = now.since(self.at).as_micros() * rate / 1_000_000;
        self.units = self.units.saturating_sub(u64::try_from(back).unwrap_or(u64::MAX));
        // The rest that makes no whole unit yet counts the next time.
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

    fn peer(number: u64) -> PeerId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        PeerId::from_bytes(bytes)
    }

    #[test]
    fn many_names_make_nobody_forget_who_owes_most() {
        let (mut accounts, now) = (Accounts::new(10), at(0));
        for number in 0..2 * PEERS_REMEMBERED_MAX as u64 {
            // A user that is known needs no room.
            accounts.add(now, peer(0), 6);
            accounts.add(now, peer(number), 5);
            assert!(accounts.len() <= PEERS_REMEMBERED_MAX);
        }
        assert_eq!(accounts.over(now, &peer(0), 0), 12 * PEERS_REMEMBERED_MAX as u64 + 5);
        accounts.add(now.after(Duration::from_secs(1)), peer(u64::MAX), 1);
        assert_eq!(accounts.len(), 2, "those who owe nothing went first");
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
            assert_eq!(used.over(at(3_010_000), 0, 1_000), 0);
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
