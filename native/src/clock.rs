//! The clocks of the host: [`Now`] for the node.
//!
//! The monotonic clock goes on while the machine sleeps, if the platform has such a clock (Linux
//! `CLOCK_BOOTTIME`, macOS `CLOCK_MONOTONIC`), so that links which died in the meantime are noticed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peergraph_core::time::{Now, Time, WallTime};

/// Both clocks. `Now::mono` starts at zero.
pub(crate) struct Clock {
    start: Duration,
    /// The latest time told: the node relies on time that never goes back.
    last: Time,
    ahead: Ahead,
}

/// How far the wall clock of a host is ahead of that of the operating system, at each moment: a seam for tests, in which
/// clocks are wrong. Milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Ahead(Arc<AtomicI64>);

impl Ahead {
    /// Sets the clock.
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }

    fn wall(&self) -> WallTime {
        WallTime(wall().0.saturating_add_signed(self.0.load(Ordering::Relaxed)))
    }
}

impl Clock {
    pub(crate) fn start(ahead: Ahead) -> Self {
        Self { start: monotonic(), last: Time::ZERO, ahead }
    }

    pub(crate) fn now(&mut self) -> Now {
        let elapsed = monotonic().saturating_sub(self.start);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.last = self.last.max(Time::from_micros(micros));
        Now { mono: self.last, wall: self.ahead.wall() }
    }
}

/// Wall-clock time, as the operating system believes it.
pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(unix)]
fn monotonic() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

#[cfg(not(unix))]
fn monotonic() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_starts_at_zero_and_never_goes_back() {
        let mut clock = Clock::start(Ahead::default());
        let first = clock.now().mono;
        assert!(first < Time::ZERO.after(Duration::from_secs(5)));
        std::thread::sleep(Duration::from_millis(5));
        let second = clock.now().mono;
        assert!(second.since(first) >= Duration::from_millis(4));
        clock.last = second.after(Duration::from_secs(100));
        assert_eq!(clock.now().mono, second.after(Duration::from_secs(100)));
    }
}
