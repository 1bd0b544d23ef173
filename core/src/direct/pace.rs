//! How much of streams is under way: as much as the path carries without a queue.
//!
//! The time from a frame to its acknowledgement is measured, one frame after the other. While it is near the shortest that was
//! seen, the window grows; if it is longer by [`QUEUE_MAX`], frames wait somewhere, and it shrinks. So what is small finds no
//! long queue before it, not even in a router. Source: the idea of LEDBAT (RFC 6817), with our own acknowledgements.
use crate::limits;
use crate::time::Time;
use std::time::Duration;

/// The window at first, and at least. Bytes. Guess: two frames of a link.
const WINDOW_MIN: u64 = 32 * 1024;
/// At most. Bytes. Source: the other half is for what is small.
const WINDOW_MAX: u64 = limits::DIRECT_UNACKNOWLEDGED_MAX / 2;
/// How long frames may wait on their way. Guess: less than people notice; LEDBAT allows 100 ms.
const QUEUE_MAX: Duration = Duration::from_millis(50);

/// The pace of the streams of one direct link.
pub(super) struct Pace {
    window: u64,
    /// Bytes of streams that are sent and not acknowledged.
    under_way: u64,
    /// The shortest time to an acknowledgement on this link.
    shortest: Option<Duration>,
    /// The frame that is timed: its number, and when it was sent.
    timed: Option<(u64, Time)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { window: WINDOW_MIN, under_way: 0, shortest: None, timed: None }
    }
}

impl Pace {
    /// Whether more of a stream may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.window
    }

    /// A frame of a stream is sent.
    pub(super) fn sent(&mut self, now: Time, at: u64, cost: u64) {
        self.under_way += cost;
        self.timed.get_or_insert((at, now));
    }

    /// A frame of a stream is acknowledged.
    pub(super) fn acknowledged(&mut self, cost: u64) {
        self.under_way = self.under_way.saturating_sub(cost);
    }

    /// So many frames are acknowledged in all.
    pub(super) fn measure(&mut self, now: Time, acked: u64) {
        let Some((_, sent)) = self.timed.filter(|(at, _)| *at < acked) else { return };
        self.timed = None;
        let took = now.since(sent);
        let shortest = self.shortest.map_or(took, |it| it.min(took));
        self.shortest = Some(shortest);
        self.window = if took <= shortest.saturating_add(QUEUE_MAX) {
            (self.window + self.window / 2).min(WINDOW_MAX)
        } else {
            (self.window / 2).max(WINDOW_MIN)
        };
    }

    /// Another link is used: nothing is known of it.
    pub(super) fn moved(&mut self) {
        let under_way = self.under_way;
        *self = Self { under_way, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the window finds what a path carries, and no more. Method: a path of some delay and rate, whose queue is what was
    /// sent and is not through; time goes on by one acknowledgement after the other.
    #[test]
    fn window_is_what_the_path_carries() {
        for (rate, delay_ms) in [(200_000_u64, 60_u64), (1_000_000, 100), (50_000_000, 2)] {
            let (mut pace, mut now, mut at) = (Pace::default(), Time::ZERO, 0);
            let mut way: std::collections::VecDeque<(u64, Time)> = [].into();
            let (mut free_at, mut sent, mut longest) = (Time::ZERO, 0, Duration::ZERO);
            let second = |seconds| Time::ZERO.after(Duration::from_secs(seconds));
            while now < second(30) {
                while pace.has_room() {
                    pace.sent(now, at, 15_000);
                    free_at = free_at
                        .max(now)
                        .after(Duration::from_micros(15_000_000_000 / rate / 1_000));
                    way.push_back((at, free_at.after(Duration::from_millis(delay_ms))));
                    at += 1;
                    if now > second(10) {
                        sent += 15_000;
                        longest = longest.max(free_at.since(now));
                    }
                }
                let Some((_, came)) = way.pop_front() else { break };
                now = now.max(came);
                pace.acknowledged(15_000);
                pace.measure(now, at - way.len() as u64);
            }
            let most = (rate * 20).min(WINDOW_MAX * 1_000 / delay_ms * 20);
            assert!(sent * 10 >= most * 6, "{rate} B/s: {sent} of {most}");
            let bound = Duration::from_millis(250);
            assert!(longest <= bound, "{rate} B/s: {longest:?} in the queue");
        }
    }
}
