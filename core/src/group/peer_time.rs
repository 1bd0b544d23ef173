//! Peer time: what the members of a graph call now, whatever their clocks say.
//!
//! Records are dated and expire by it. It is kept as the shift between it and our clock, in milliseconds:
//!
//! 1. The first link of a newcomer decides: it adopts its neighbour's peer time.
//! 2. A later link moves ours a fifth of the way to theirs, if they are at most [`WINDOW_MS`] apart.
//! 3. What later links add up to leads nobody further than [`WINDOW_MS`] from where it began: from its own clock, where
//!    that was right within the window when it joined.
//! 4. Who is further away is not believed. Only where [`WITNESSES`] other peers in a row (or all there are) agree with one
//!    another, ours is wrong: the clock was set, or the first neighbour lied. Then theirs is adopted.
//!
//! Only the end that asks to become a neighbour adjusts. Two rules pull against each other here: that no neighbour may
//! lead us far from our own clock, and that members whose clocks are hours apart agree on what has expired. Rule 3 keeps
//! the first for everybody whose clock is about right; rules 1 and 4 give the second to the others, on nobody's word alone
//! once they are members. Certificates do not follow: they are judged by our own clock, and whoever's is wrong by more than
//! [`CERTIFICATE_CLOCK_SKEW`](crate::limits::CERTIFICATE_CLOCK_SKEW) may have to wait until one is valid for it.
//! (After the reference, 3.10, with erratum 14 repaired by rule 3.)
use super::{Group, Timer};
use crate::id::PeerId;
use crate::io::LinkId;
use crate::node::Ctx;
use crate::time::WallTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Peer times further apart are not blended. Source: reference 2.1.
const WINDOW_MS: i64 = 20 * 60 * 1000;
/// Share of the way to a neighbour's peer time. Source: reference 2.1 (0.8 own + 0.2 theirs).
const BLEND: i64 = 5;
/// Peers that must contradict ours in a row, and how close they must be to one another. Guesses.
const WITNESSES: usize = 3;
const AGREE_MS: i64 = 60 * 1000;
/// A change by more than this is written to the store. Guess.
const SAVED_MS: i64 = 1_000;

/// The shift between our clock and the graph's time.
#[derive(Debug, Default)]
pub(super) struct PeerTime {
    shift: i64,
    /// Where later links may not lead far away from.
    base: i64,
    /// Who contradicted us since the last one who did not, and which shift each would have.
    witnesses: VecDeque<(PeerId, i64)>,
}

impl PeerTime {
    pub(super) fn restore(shift: i64, base: Option<i64>) -> Self {
        Self { shift, base: base.unwrap_or_default(), witnesses: VecDeque::new() }
    }

    pub(super) fn shift_ms(&self) -> i64 {
        self.shift
    }

    pub(super) fn base_ms(&self) -> i64 {
        self.base
    }

    /// What the graph calls a moment of our clock.
    pub(super) fn at(&self, wall: WallTime) -> WallTime {
        WallTime(wall.0.saturating_add_signed(self.shift))
    }

    /// Takes the shift that a neighbour would have at our place.
    fn hear(&mut self, peer: PeerId, theirs: i64, first: bool, others: usize) {
        if first {
            self.adopt(theirs);
            return;
        }
        let apart = theirs.saturating_sub(self.shift);
        if apart.saturating_abs() <= WINDOW_MS {
            self.witnesses.clear();
            let (least, most) =
                (self.base.saturating_sub(WINDOW_MS), self.base.saturating_add(WINDOW_MS));
            self.shift = self.shift.saturating_add(apart / BLEND).clamp(least, most);
            return;
        }
        self.witnesses
            .retain(|(other, of)| *other != peer && of.abs_diff(theirs) <= AGREE_MS as u64);
        self.witnesses.push_back((peer, theirs));
        if self.witnesses.len() >= WITNESSES.min(others.max(1)) {
            let mut shifts: Vec<i64> = self.witnesses.drain(..).map(|(_, shift)| shift).collect();
            shifts.sort_unstable();
            self.adopt(shifts[shifts.len() / 2]);
        }
    }

    fn adopt(&mut self, shift: i64) {
        self.shift = shift;
        self.base = if shift.saturating_abs() <= WINDOW_MS { 0 } else { shift };
    }
}

impl Group {
    /// A neighbour welcomed us and said what it calls now.
    pub(super) fn adjust_peer_time(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        theirs: u64,
        round_trip: Duration,
    ) {
        let Some(peer) = self.slots.get(&link).map(|slot| slot.peer) else { return };
        let half = i64::try_from(round_trip.as_millis() / 2).unwrap_or(i64::MAX);
        let theirs = i64::try_from(theirs).unwrap_or(i64::MAX).saturating_add(half);
        let ours = i64::try_from(ctx.now.wall.0).unwrap_or(i64::MAX);
        let before = self.peer_time.shift_ms();
        let others = self.roll.peers().count().saturating_sub(1);
        self.peer_time.hear(peer, theirs.saturating_sub(ours), !self.ready, others);
        let shift = self.peer_time.shift_ms();
        if theirs.saturating_sub(ours).abs_diff(shift) <= WINDOW_MS as u64 {
            let before = self.is_plausible(ctx.now);
            self.plausible.agreed(self.peer_time(ctx.now.wall), shift);
            if !before {
                self.arm_expiry(ctx);
            }
        }
        if before.abs_diff(self.peer_time.shift_ms()) > SAVED_MS as u64 {
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
            self.arm_expiry(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes([n; 32])
    }

    #[test]
    fn first_link_decides_and_later_ones_move_a_fifth() {
        let mut time = PeerTime::default();
        time.hear(peer(1), 3 * HOUR_MS, true, 9);
        assert_eq!(time.shift, 3 * HOUR_MS);
        time.hear(peer(2), 3 * HOUR_MS + 10_000, false, 9);
        assert_eq!(time.shift, 3 * HOUR_MS + 2_000);
        let wall = WallTime(1_000_000_000);
        assert_eq!(time.at(wall), WallTime(1_000_000_000 + 3 * HOUR_MS as u64 + 2_000));
    }

    #[test]
    fn nobody_is_led_further_than_the_window_from_its_own_clock() {
        let mut time = PeerTime::default();
        time.hear(peer(1), 500, true, 9);
        for _ in 0..1_000 {
            let further = time.shift + WINDOW_MS;
            time.hear(peer(2), further, false, 9);
        }
        assert_eq!(time.shift, WINDOW_MS);
    }

    #[test]
    fn one_peer_that_is_hours_away_is_not_believed_however_often_it_says_so() {
        let mut time = PeerTime::default();
        time.hear(peer(1), 0, true, 9);
        for _ in 0..100 {
            time.hear(peer(2), HOUR_MS, false, 9);
            time.hear(peer(3), -HOUR_MS, false, 9);
        }
        assert_eq!(time.shift, 0);
    }

    #[test]
    fn three_peers_that_agree_show_that_our_clock_was_set() {
        let mut time = PeerTime::default();
        time.hear(peer(1), 0, true, 9);
        time.hear(peer(2), HOUR_MS, false, 9);
        time.hear(peer(3), HOUR_MS + 50, false, 9);
        time.hear(peer(4), 100, false, 9);
        time.hear(peer(5), HOUR_MS, false, 9);
        assert!(time.shift < 100, "one who agrees with us breaks the row");
        time.hear(peer(2), HOUR_MS, false, 9);
        time.hear(peer(3), HOUR_MS + 50, false, 9);
        assert_eq!((time.shift, time.base), (HOUR_MS, HOUR_MS));
    }

    #[test]
    fn in_a_group_of_two_the_other_one_is_everybody() {
        let mut time = PeerTime::default();
        time.hear(peer(1), 0, true, 1);
        time.hear(peer(1), -HOUR_MS, false, 1);
        assert_eq!(time.shift, -HOUR_MS);
    }
}
