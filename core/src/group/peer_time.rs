//! Peer time: what the members of a graph call now, whatever their clocks say.
//!
//! Records are dated and expire by it. It is kept as the shift between it and our clock, in milliseconds:
//!
//! 1. The first link of a newcomer decides: it adopts its neighbour's peer time. So does the next link of one that had to
//!    guess the time (`clock.rs`).
//! 2. A later link moves ours a fifth of the way to theirs, if they are at most [`WINDOW_MS`] apart. Only the end that asks
//!    to become a neighbour moves.
//! 3. All later links together lead nobody further than [`WINDOW_MS`] from where it began: from its own clock, if that was
//!    right when it joined.
//! 4. A time that is further away is not believed on one neighbour's word. Each peer that we meet has a vote for what its own
//!    clock shows, and so have we. Only if more clocks agree elsewhere than where we are, theirs is adopted.
//! 5. If we have met one peer and both clocks have one vote, the end that asks adopts the time of the other, if that can be:
//!    it is within a day of what our store has seen last.
//! 6. Our own vote counts half if our clock is behind what our store has seen, or more than a day ahead of that; we have none
//!    if our clock is evidently wrong (`clock.rs`).
//!
//! 7. A leap of our clock is a sleep, unless more of those that are asked say that it was set. One that has leapt itself and
//!    does not know better says nothing: it may have slept beside us.
//!
//! Two aims pull against each other here: no neighbour may lead us far from our own clock, and members whose clocks are hours
//! apart must agree on what has expired. Rule 3 keeps the first for everybody whose clock is about right; rules 1, 4 and 5
//! give the second to the others. One who lies to a member that has met nobody else leads it until it meets another whose
//! clock agrees with its own. (After the reference, 3.10, with erratum 14 repaired by rule 3.)
use crate::id::PeerId;
use crate::limits;
use crate::sorted::SortedMap;
use crate::time::WallTime;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Peer times further apart are not blended. Source: reference 2.1.
pub(super) const WINDOW_MS: i64 = 20 * 60 * 1000;
/// A clock that is wrong by more is set right for judging memberships.
pub(super) const SKEW_MS: i64 = limits::CERTIFICATE_CLOCK_SKEW.as_millis() as i64;
/// Share of the way to a neighbour's peer time. Source: reference 2.1 (0.8 own + 0.2 theirs).
const BLEND: i64 = 5;
/// Peers whose clocks are remembered, the last ones that were met. Guess: twice the neighbours that a node has.
const CLOCKS_MAX: usize = 16;
/// How much the clock of a peer counts.
const VOTE: u32 = 2;

/// The shift between our clock and the graph's time.
#[derive(Debug, Default)]
pub(super) struct PeerTime {
    shift: i64,
    /// Where later links may not lead far away from: how wrong our own clock is known to be.
    base: i64,
    /// Whether nobody has told us the time since our clock was found to be wrong.
    guessed: bool,
    /// How far the clocks of peers are ahead of ours.
    clocks: VecDeque<(PeerId, i64)>,
    leap: Option<Leap>,
}

/// A leap of our clock, until it is known whether it was set or we have slept.
#[derive(Debug)]
struct Leap {
    /// Shift and base if we have slept.
    slept: (i64, i64),
    /// How many peers are asked for the time.
    asked: usize,
    /// Whether each that has answered says that we have slept.
    answers: SortedMap<PeerId, bool>,
}

/// How peer time goes on when our clock has moved away from the monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Peer time moves with our clock.
    With,
    /// Peer time stays: our clock was set.
    Alone,
    /// Peer time stays for now: our clock was set, or we have slept. So many peers are asked which.
    Perhaps { asked: usize },
}

/// The time that a peer tells, as shifts from our clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) peer: PeerId,
    pub(super) time: i64,
    /// Its own clock, unless that is evidently wrong.
    pub(super) clock: Option<i64>,
}

/// How a word about the time is taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Whether it is the first of a newcomer.
    pub(super) first: bool,
    /// Whether we asked to become a neighbour.
    pub(super) asked: bool,
    pub(super) own: Own,
    /// The shifts at which our own membership is valid.
    pub(super) valid: RangeInclusive<i64>,
    /// Those that our store finds possible.
    pub(super) possible: RangeInclusive<i64>,
}

/// How much our own clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Own {
    /// It is evidently wrong.
    Wrong,
    /// It is not what follows from the time that the store has seen.
    Doubtful,
    /// Nothing speaks against it.
    Fine,
}

impl Leap {
    /// How many say that we have slept, and that our clock was set.
    fn votes(&self) -> (usize, usize) {
        let slept = self.answers.values().filter(|slept| **slept).count();
        (slept, self.answers.len() - slept)
    }
}

impl PeerTime {
    pub(super) fn restore(shift: i64, base: Option<i64>) -> Self {
        Self { shift, base: base.unwrap_or_default(), ..Self::default() }
    }

    pub(super) fn shift_ms(&self) -> i64 {
        self.shift
    }

    pub(super) fn base_ms(&self) -> i64 {
        self.base
    }

    /// The peer time at a moment of our clock.
    pub(super) fn at(&self, wall: WallTime) -> WallTime {
        WallTime(wall.0.saturating_add_signed(self.shift))
    }

    /// A moment of our clock, set right as far as that is known to be wrong.
    pub(super) fn corrected(&self, wall: WallTime) -> WallTime {
        WallTime(wall.0.saturating_add_signed(self.base))
    }

    /// Takes what a peer says.
    pub(super) fn hear(&mut self, told: Told, how: &Taken) {
        let Told { peer, time, clock } = told;
        if self.leap.is_some() {
            self.hear_of_leap(peer, time);
            return;
        }
        if let Some(clock) = clock {
            self.clocks.retain(|(other, _)| *other != peer);
            self.clocks.push_back((peer, clock));
            if self.clocks.len() > CLOCKS_MAX {
                self.clocks.pop_front();
            }
        }
        let apart = time.saturating_sub(self.shift);
        let contradicts = !is_near(time, self.shift);
        if how.first || self.guessed {
            if how.valid.contains(&time) {
                self.adopt(time);
            }
        } else if let Some(elsewhere) = self.elsewhere(told, contradicts, how) {
            self.adopt(if is_near(time, elsewhere) { time } else { elsewhere });
        } else if how.asked && !contradicts {
            let least = self.base.saturating_sub(WINDOW_MS);
            let most = self.base.saturating_add(WINDOW_MS);
            self.shift = self.shift.saturating_add(apart / BLEND).clamp(least, most);
        }
    }

    /// The shift that more clocks show than ours: rules 4 and 5.
    fn elsewhere(&self, told: Told, contradicts: bool, how: &Taken) -> Option<i64> {
        let all = self.clocks.iter().map(|(_, clock)| *clock).chain([0]);
        let valid = all.filter(|at| how.valid.contains(at));
        // Of equals ours, which is the last.
        let most = valid.max_by_key(|at| self.votes(*at, how.own))?;
        let (there, here) = (self.votes(most, how.own), self.votes(self.shift, how.own));
        if there > here {
            return Some(most);
        }
        let theirs = told.clock.filter(|clock| contradicts && is_near(*clock, told.time))?;
        let even = self.clocks.len() == 1 && self.votes(theirs, how.own) == here;
        let can_be = how.valid.contains(&told.time) && how.possible.contains(&told.time);
        (how.asked && even && can_be).then_some(theirs)
    }

    fn votes(&self, at: i64, own: Own) -> u32 {
        let others = self.clocks.iter().filter(|(_, clock)| is_near(*clock, at)).count();
        let ours = if is_near(0, at) { own as u32 } else { 0 };
        others as u32 * VOTE + ours
    }

    /// Takes a time that nobody has told us.
    pub(super) fn guess(&mut self, shift: i64) {
        self.adopt(shift);
        self.guessed = true;
    }

    /// Takes another time, whatever we had.
    fn adopt(&mut self, shift: i64) {
        self.guessed = false;
        self.leap = None;
        self.shift = shift;
        self.base = if shift.saturating_abs() <= SKEW_MS { 0 } else { shift };
    }

    /// Our clock moved away from the monotonic one by so much.
    pub(super) fn clock_set(&mut self, by: i64, moved: Moved) {
        self.clocks.clear();
        // Leaps that follow each other before it is known what they were are one.
        let before = self.leap.take().map_or((self.shift, self.base), |leap| leap.slept);
        if moved != Moved::With {
            self.adopt(self.shift.saturating_sub(by));
        }
        if let Moved::Perhaps { asked } = moved {
            self.leap = Some(Leap { slept: before, asked, answers: SortedMap::new() });
        }
    }

    /// Takes what a peer says while it is not known whether we have slept. More than half of those that were asked decide.
    fn hear_of_leap(&mut self, peer: PeerId, time: i64) {
        let Some(leap) = &mut self.leap else { return };
        let apart = |shift: i64| time.saturating_sub(shift).saturating_abs();
        let (set, slept) = (apart(self.shift), apart(leap.slept.0));
        if set.min(slept) <= WINDOW_MS && leap.answers.len() < leap.asked {
            leap.answers.insert(peer, slept < set);
        }
        let (slept, set) = leap.votes();
        if slept.max(set) * 2 > leap.asked {
            self.end_leap();
        }
    }

    /// Whether our clock has leapt ahead, and nobody has said yet what that was.
    pub(super) fn has_leapt(&self) -> bool {
        self.leap.is_some()
    }

    /// Decides what a leap was: a sleep, unless more of those that have answered say that our clock was set.
    pub(super) fn end_leap(&mut self) {
        if let Some(leap) = self.leap.take() {
            let (slept, set) = leap.votes();
            if slept >= set {
                (self.shift, self.base) = leap.slept;
            }
        }
    }
}

/// Whether two shifts are so close that one is led to the other.
pub(super) fn is_near(a: i64, b: i64) -> bool {
    a.saturating_sub(b).saturating_abs() <= WINDOW_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn told(n: u8, time: i64) -> Told {
        Told { peer: PeerId::from_bytes([n; 32]), time, clock: Some(time) }
    }

    fn later() -> Taken {
        Taken {
            first: false,
            asked: true,
            own: Own::Fine,
            valid: i64::MIN..=i64::MAX,
            possible: -24 * HOUR_MS..=24 * HOUR_MS,
        }
    }

    fn first() -> Taken {
        Taken { first: true, ..later() }
    }

    #[test]
    fn first_link_decides_and_later_ones_move_a_fifth() {
        let mut time = PeerTime::default();
        time.hear(told(1, 3 * HOUR_MS), &first());
        assert_eq!(time.shift, 3 * HOUR_MS);
        time.hear(told(2, 3 * HOUR_MS + 10_000), &later());
        assert_eq!(time.shift, 3 * HOUR_MS + 2_000);
        let wall = WallTime(1_000_000_000);
        assert_eq!(time.at(wall), WallTime(1_000_000_000 + 3 * HOUR_MS as u64 + 2_000));
        assert_eq!(time.corrected(wall), WallTime(1_000_000_000 + 3 * HOUR_MS as u64));
    }

    #[test]
    fn nobody_is_led_further_than_the_window_from_its_own_clock() {
        let mut time = PeerTime::default();
        time.hear(told(1, 500), &first());
        for _ in 0..1_000 {
            let further = time.shift + WINDOW_MS;
            time.hear(Told { clock: None, ..told(2, further) }, &later());
        }
        assert_eq!(time.shift, WINDOW_MS);
    }

    #[test]
    fn one_peer_that_is_hours_away_is_not_believed_however_often_it_says_so() {
        let mut time = PeerTime::default();
        time.hear(told(1, 0), &first());
        for _ in 0..100 {
            time.hear(told(2, HOUR_MS), &later());
            time.hear(told(3, -HOUR_MS), &later());
        }
        assert_eq!(time.shift, 0);
    }

    #[test]
    fn more_clocks_than_those_that_agree_with_ours_show_that_ours_is_wrong() {
        let mut time = PeerTime::default();
        time.hear(told(1, 0), &first());
        time.hear(told(2, HOUR_MS), &later());
        time.hear(told(3, HOUR_MS + 50), &later());
        assert_eq!(time.shift, 0, "two against two");
        time.hear(told(4, HOUR_MS + 70), &later());
        assert_eq!((time.shift, time.base), (HOUR_MS + 70, HOUR_MS + 70));
        // One that says what ours shows makes three of each.
        time.hear(told(5, 0), &later());
        assert_eq!(time.shift, HOUR_MS + 70);
    }

    #[test]
    fn in_a_group_of_two_the_one_that_asks_yields_to_what_can_be() {
        let mut time = PeerTime::default();
        time.hear(told(1, HOUR_MS), &Taken { asked: false, ..later() });
        assert_eq!(time.shift, 0, "it did not ask");
        time.hear(told(1, HOUR_MS), &later());
        assert_eq!(time.shift, HOUR_MS);
        let mut time = PeerTime::default();
        for shift in [-25 * HOUR_MS, 25 * HOUR_MS] {
            time.hear(told(1, shift), &later());
            assert_eq!(time.shift, 0, "the store knows better");
        }
    }

    #[test]
    fn who_was_led_away_alone_comes_back_with_the_first_clock_that_agrees_with_its_own() {
        let mut time = PeerTime::default();
        time.hear(told(1, 3 * HOUR_MS), &later());
        assert_eq!(time.shift, 3 * HOUR_MS);
        time.hear(told(2, 1_000), &Taken { asked: false, ..later() });
        assert_eq!((time.shift, time.base), (1_000, 0));
    }

    #[test]
    fn clock_that_is_evidently_wrong_has_no_vote() {
        for (own, follows) in [(Own::Wrong, true), (Own::Doubtful, true), (Own::Fine, false)] {
            let mut time = PeerTime::default();
            let how = Taken { own, asked: false, ..later() };
            time.hear(told(1, -300 * 24 * HOUR_MS), &how);
            assert_eq!(time.shift != 0, follows, "{own:?}");
            // A time that our own membership rules out is not taken, whatever many say.
            let how = Taken { valid: -HOUR_MS..=HOUR_MS, ..how };
            let mut time = PeerTime::default();
            (1..9).for_each(|n| time.hear(told(n, 40 * HOUR_MS), &how));
            assert_eq!(time.shift, 0);
        }
    }

    #[test]
    fn time_goes_on_if_the_clock_is_set() {
        let mut time = PeerTime::default();
        time.hear(told(1, 1_000), &first());
        time.clock_set(HOUR_MS, Moved::Alone);
        assert_eq!((time.shift, time.base), (1_000 - HOUR_MS, 1_000 - HOUR_MS));
        time.clock_set(-HOUR_MS, Moved::Alone);
        assert_eq!((time.shift, time.base), (1_000, 0));
        time.clock_set(HOUR_MS, Moved::With);
        assert_eq!(time.shift, 1_000);
    }

    #[test]
    fn leap_of_the_clock_is_a_sleep_unless_more_say_that_it_was_set() {
        const SET: i64 = 1_000 - 2 * HOUR_MS;
        const SLEPT: i64 = 1_000;
        let leapt = |asked| {
            let mut time = PeerTime::default();
            time.hear(told(1, SLEPT), &first());
            time.clock_set(HOUR_MS, Moved::Perhaps { asked });
            time.clock_set(HOUR_MS, Moved::Perhaps { asked });
            assert_eq!((time.shift, time.has_leapt()), (SET, true));
            time
        };
        let answers: [(usize, &[i64], bool, i64); 8] = [
            (3, &[], false, SLEPT),
            (1, &[SET], true, SET),
            (1, &[SLEPT], true, SLEPT),
            (3, &[SET], false, SET),
            (3, &[SET, SET], true, SET),
            (3, &[SLEPT, SET, SET], true, SET),
            (3, &[SET, SLEPT], false, SLEPT),
            (2, &[30 * HOUR_MS, -30 * HOUR_MS], false, SLEPT),
        ];
        for (asked, answers, at_once, shift) in answers {
            let mut time = leapt(asked);
            (1..).zip(answers).for_each(|(n, answer)| time.hear(told(n, *answer), &later()));
            assert_eq!(time.has_leapt(), !at_once, "{answers:?}");
            time.end_leap();
            let base = if shift == SLEPT { 0 } else { shift };
            assert_eq!((time.shift, time.base, time.has_leapt()), (shift, base, false));
            time.end_leap();
            assert_eq!(time.shift, shift, "once");
        }
        // However often one says it, it has one vote.
        let mut time = leapt(3);
        (0..9).for_each(|_| time.hear(told(1, SET), &later()));
        assert!(time.has_leapt());
        // A leap of a minute is told from a minute that passed.
        for (answer, shift) in [(300, 0), (-59_000, -60_000)] {
            let mut time = PeerTime::default();
            time.clock_set(60_000, Moved::Perhaps { asked: 1 });
            time.hear(told(1, answer), &later());
            assert_eq!((time.shift, time.has_leapt()), (shift, false));
        }
    }
}
