//! Time as an input.
//!
//! Three clocks, never mixed: [`Time`] drives deadlines, [`WallTime`] judges certificates, and peer time (a
//! [`WallTime`] too, shifted by what the graph agreed on) dates records.
use crate::sorted::{SortedMap, SortedSet};
use der::DateTime;
use std::fmt;
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WallTime(pub u64);

/// As RFC 3339 writes it, to the second.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_millis(self.0)) {
            Ok(time) => time.fmt(f),
            Err(_) => f.write_str("a time after the year 9999"),
        }
    }
}

impl WallTime {
    /// This time plus `delay`, saturating at the far future.
    pub const fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay.as_millis() as u64))
    }

    /// This time less `span`, not before 1970.
    pub const fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_millis() as u64))
    }

    /// By how many milliseconds this is later than another moment; below 0 if it is earlier.
    pub(crate) fn ahead_of(self, other: Self) -> i64 {
        millis(self.0).saturating_sub(millis(other.0))
    }
}

fn millis(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How far a clock is ahead of what it should show, in milliseconds; below 0 if it is behind. In words: `3 hours ahead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAhead(pub i64);

impl fmt::Display for ClockAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 3] = [("day", 1_440), ("hour", 60), ("minute", 1)];
        let minutes = self.0.unsigned_abs().saturating_add(30_000) / 60_000;
        let unit = UNITS.into_iter().find(|(_, length)| minutes >= *length);
        let Some((unit, length)) = unit else { return f.write_str("right") };
        let count = (minutes + length / 2) / length;
        let (plural, way) =
            (if count == 1 { "" } else { "s" }, if self.0 < 0 { "behind" } else { "ahead" });
        write!(f, "{count} {unit}{plural} {way}")
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

impl Now {
    /// By how much the wall clock was set forward since `earlier`, as the monotonic clock tells; below 0 if it was set back.
    /// Milliseconds.
    pub(crate) fn clock_set_since(self, earlier: Self) -> i64 {
        let passed =
            millis(self.mono.as_micros() / 1_000) - millis(earlier.mono.as_micros() / 1_000);
        self.wall.ahead_of(earlier.wall).saturating_sub(passed)
    }
}

/// Deadlines of one owner, earliest first. `K` breaks ties, so order is total.
#[derive(Debug)]
pub struct Deadlines<K> {
    order: SortedSet<(Time, K)>,
    armed: SortedMap<K, Time>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { order: SortedSet::new(), armed: SortedMap::new() }
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

/// A kind of deadline that has a fixed place among `N`.
pub(crate) trait Place: Copy + 'static {
    /// All, in the order of their places.
    const ALL: &[Self];
    fn place(self) -> usize;
}

/// Deadlines of a fixed set of things, in their order if two are due at once. They lie side by side: every input
/// looks at the earliest.
#[derive(Debug)]
pub(crate) struct Timers<K, const N: usize> {
    /// [`UNARMED`] if there is none.
    at: [Time; N],
    kind: std::marker::PhantomData<K>,
}

const UNARMED: Time = Time(u64::MAX);

impl<K, const N: usize> Default for Timers<K, N> {
    fn default() -> Self {
        Self { at: [UNARMED; N], kind: std::marker::PhantomData }
    }
}

impl<K: Place, const N: usize> Timers<K, N> {
    pub(crate) fn set(&mut self, key: K, at: Time) {
        self.at[key.place()] = at;
    }

    pub(crate) fn set_if_unarmed(&mut self, key: K, at: Time) {
        if self.at(key).is_none() {
            self.set(key, at);
        }
    }

    pub(crate) fn set_earlier(&mut self, key: K, at: Time) {
        let armed = &mut self.at[key.place()];
        *armed = at.min(*armed);
    }

    pub(crate) fn clear(&mut self, key: K) {
        self.set(key, UNARMED);
    }

    pub(crate) fn at(&self, key: K) -> Option<Time> {
        Some(self.at[key.place()]).filter(|&at| at != UNARMED)
    }

    pub(crate) fn next(&self) -> Option<(Time, K)> {
        let first = *self.at.iter().min()?;
        let place = self.at.iter().position(|&at| at == first && at != UNARMED)?;
        Some((first, K::ALL[place]))
    }

    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        let (_, key) = self.next().filter(|&(at, _)| at <= now)?;
        self.clear(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Two {
        A,
        B,
    }

    impl Place for Two {
        const ALL: &[Self] = &[Self::A, Self::B];
        fn place(self) -> usize {
            self as usize
        }
    }

    proptest::proptest! {
        #[test]
        fn timers_are_deadlines(steps in proptest::collection::vec((0..5, proptest::bool::ANY, 0..20_u64), 0..50)) {
            let (mut timers, mut deadlines) = (Timers::<Two, 2>::default(), Deadlines::default());
            for (step, first, at) in steps {
                let key = if first { Two::A } else { Two::B };
                let at = Time::from_micros(at);
                match step {
                    0 => (timers.set(key, at), deadlines.set(key, at)),
                    1 => (timers.set_if_unarmed(key, at), deadlines.set_if_unarmed(key, at)),
                    2 => (timers.set_earlier(key, at), deadlines.set_earlier(key, at)),
                    3 => (timers.clear(key), deadlines.clear(key)),
                    _ => {
                        proptest::prop_assert_eq!(timers.pop_due(at), deadlines.pop_due(at));
                        ((), ())
                    }
                };
                proptest::prop_assert_eq!(timers.next(), deadlines.next());
                proptest::prop_assert_eq!(timers.at(key), deadlines.at(key));
            }
        }
    }

    #[test]
    fn how_wrong_a_clock_is_reads_as_words() {
        let words = |ms| ClockAhead(ms).to_string();
        assert_eq!(words(0), "right");
        assert_eq!(words(15 * 60_000), "15 minutes ahead");
        assert_eq!(words(-3_600_000), "1 hour behind");
        assert_eq!(words(3 * 3_600_000 + 60_000), "3 hours ahead");
        assert_eq!(words(-400 * 86_400_000), "400 days behind");
        assert_eq!(words(i64::MIN), "106751991167 days behind");
    }

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
