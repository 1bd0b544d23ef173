//! One host's clocks: when it started, how fast it runs, how wrong its wall clock is, how late its timers.
use peergraph_core::time::{Now, Time, WallTime};

/// Wall time at which every world begins: 2026-11-20 00:00 UTC.
pub const WORLD_BEGINS: WallTime = WallTime(1_795_132_800_000);

/// Clocks of one host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// World time at which the running node was created. Microseconds.
    pub started: u64,
    /// How much faster than the world the monotonic clock runs. Parts per million.
    pub drift_ppm: i32,
    /// How far the wall clock is ahead of the world's. Milliseconds.
    pub offset_ms: i64,
    /// How late a timer may be called, at most. Microseconds.
    pub late_max: u64,
    /// Timers run at multiples of this only, the host's own. Microseconds; 0 for none. A hidden tab's: a minute.
    pub timer_step: u64,
}

impl Clock {
    /// Both clocks at world time `at`.
    pub fn now(&self, at: u64) -> Now {
        let elapsed = at - self.started;
        let drift = elapsed as i128 * i128::from(self.drift_ppm) / 1_000_000;
        let mono = u64::try_from(elapsed as i128 + drift).expect("drift is small");
        Now { mono: Time::from_micros(mono), wall: self.wall(at) }
    }

    /// When a timer that is due at world time `at` is called, of a host whose timers have a step.
    pub fn stepped(&self, at: u64) -> u64 {
        // Hosts start at different moments, and so do their minutes.
        let since = at.saturating_sub(self.started);
        self.started + since.next_multiple_of(self.timer_step.max(1))
    }

    /// The wall clock at world time `at`.
    pub fn wall(&self, at: u64) -> WallTime {
        WallTime((WORLD_BEGINS.0 + at / 1_000).saturating_add_signed(self.offset_ms))
    }

    /// The earliest world time at which the monotonic clock shows `time`.
    pub fn world(&self, time: Time) -> u64 {
        let scaled = u128::from(time.as_micros()) * 1_000_000;
        let rate = u128::from(1_000_000_u32.saturating_add_signed(self.drift_ppm));
        let elapsed = u64::try_from(scaled.div_ceil(rate)).unwrap_or(u64::MAX);
        // The far future stays representable.
        self.started.saturating_add(elapsed).min(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_timer_waits_for_the_next_step() {
        let clock = Clock { started: 100, timer_step: 60, ..Clock::default() };
        assert_eq!([100, 101, 160, 161].map(|at| clock.stepped(at)), [100, 160, 160, 220]);
        assert_eq!(Clock::default().stepped(77), 77);
    }

    #[test]
    fn a_timer_set_from_the_clock_is_due_when_it_fires() {
        for drift_ppm in [-500, -1, 0, 3, 500] {
            let clock = Clock { started: 77, drift_ppm, ..Clock::default() };
            for micros in [0, 1, 999, 1_000_001, 86_400_000_000] {
                let due = clock.world(Time::from_micros(micros));
                assert!(clock.now(due).mono >= Time::from_micros(micros), "{drift_ppm} {micros}");
                assert!(clock.now(due).mono <= Time::from_micros(micros + 2));
            }
        }
    }
}
