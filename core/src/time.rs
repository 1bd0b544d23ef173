//! Time as an input.
//!
//! Three clocks, never mixed: [`Time`] drives deadlines, [`WallTime`] judges certificates, and peer time (a
//! [`WallTime`] too, shifted by what the graph agreed on) dates records.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Monotonic time since the host created the node. Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment the node was created.
    pub const ZERO: Self = Self(0);

    /// Builds a time from microseconds since creation.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since creation.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This time plus `delay`, saturating at the far future.
    pub const fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay.as_micros() as u64))
    }

    /// The time from `earlier` to this one, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time. Milliseconds since 1970-01-01 UTC, as its source believes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl WallTime {
    /// This time plus `delay`, saturating at the far future.
    pub const fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay.as_millis() as u64))
    }

    /// This time less `span`, not before 1970.
    pub const fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_millis() as u64))
    }
}

/// Both clocks, sampled together by the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Drives deadlines. Never goes backwards.
    pub mono: Time,
    /// Judges certificate validity. May jump.
    pub wall: WallTime,
}

/// Deadlines of one owner, earliest first. `K` breaks ties, so order is total.
#[derive(Debug)]
pub struct Deadlines<K> {
    order: BTreeSet<(Time, K)>,
    armed: BTreeMap<K, Time>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), armed: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Arms `key`, replacing its earlier deadline.
    pub fn set(&mut self, key: K, at: Time) {
        if let Some(old) = self.armed.insert(key, at) {
            self.order.remove(&(old, key));
        }
        self.order.insert((at, key));
    }

    /// Arms `key` unless it is armed already.
    pub fn set_if_unarmed(&mut self, key: K, at: Time) {
        if !self.armed.contains_key(&key) {
            self.set(key, at);
        }
    }

    /// Arms `key` unless it is armed for an earlier time.
    pub fn set_earlier(&mut self, key: K, at: Time) {
        if self.armed.get(&key).is_none_or(|&armed| armed > at) {
            self.set(key, at);
        }
    }

    /// Disarms `key`.
    pub fn clear(&mut self, key: K) {
        if let Some(old) = self.armed.remove(&key) {
            self.order.remove(&(old, key));
        }
    }

    /// When `key` is due, if it is armed.
    pub fn at(&self, key: K) -> Option<Time> {
        self.armed.get(&key).copied()
    }

    /// The earliest armed deadline.
    pub fn next(&self) -> Option<(Time, K)> {
        self.order.first().copied()
    }

    /// Removes and returns the earliest key due at or before `now`.
    pub fn pop_due(&mut self, now: Time) -> Option<K> {
        let &(at, key) = self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        self.armed.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rearming_replaces_the_earlier_deadline() {
        let mut deadlines = Deadlines::default();
        deadlines.set('a', Time::from_micros(5));
        deadlines.set('a', Time::from_micros(9));
        deadlines.set('b', Time::from_micros(7));
        assert_eq!(deadlines.pop_due(Time::from_micros(6)), None);
        assert_eq!(deadlines.pop_due(Time::from_micros(9)), Some('b'));
        assert_eq!(deadlines.pop_due(Time::from_micros(9)), Some('a'));
        assert_eq!(deadlines.next(), None);
    }
}
