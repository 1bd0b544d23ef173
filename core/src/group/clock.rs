//! Our own clock: what shows that it is wrong, and what follows.
//!
//! A wrong clock costs no link and no record. The group's time is kept without it:
//!
//! 1. Memberships and invitations are judged by our clock as far as it is right. How wrong it is tells `peer_time.rs`; within
//!    [`CERTIFICATE_CLOCK_SKEW`](limits::CERTIFICATE_CLOCK_SKEW) it counts as right.
//! 2. Members tell each other the time before they judge each other. One whose membership does not stand by our time is heard
//!    only if it stands by our uncorrected clock; or if our clock is doubtful, and it stands by the time that it tells.
//! 3. A clock that is **set** while the node runs moves away from the monotonic one. With neighbours the group's time goes on
//!    as before. Alone we follow our clock, unless it is set right, or our own membership speaks against it. A leap ahead may
//!    also be the end of a sleep, in which the monotonic clock stood still. So neighbours are asked for the time, and have
//!    [`LEAP_DECIDED_AFTER`] to say that the clock was set. Meanwhile the application is told nothing.
//! 4. A clock at which our own membership has **not begun**, or has ended though that time is not plausible (`plausible.rs`),
//!    is evidently wrong: we go on from the last time that the store has seen.
//! 5. Records of ours that were signed for a time that has not come are signed again (`again.rs`).
//! 6. The application is told by how much the clock is wrong, and when it is right again.
use super::peer_time::{Moved, Own, SKEW_MS, Taken, Told, WINDOW_MS, is_near};
use super::{Group, Timer};
use crate::cert::VerifiedChain;
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::PeerId;
use crate::io::{Event, LinkId};
use crate::limits;
use crate::link::Links;
use crate::sorted::SortedSet;
use crate::time::{Now, WallTime};
use crate::wire::{self, Times, kind};
use bytes::Bytes;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A change by more than this is written to the store. Guess.
const SAVED_MS: i64 = 1_000;
/// How long neighbours have to say what time it is when our clock has leapt ahead. Source: a link that is quiet for so long
/// after a question is doubted.
const LEAP_DECIDED_AFTER: Duration = limits::DOUBTED_AFTER;
/// The application is told again if what it was told is wrong by more. Guess.
const TOLD_AGAIN_MS: i64 = 60 * 1000;

impl Group {
    /// Our clock, set right as far as we know how wrong it is. Memberships and invitations are judged by it.
    pub(super) fn clock(&self, wall: WallTime) -> WallTime {
        self.peer_time.corrected(wall)
    }

    /// The time that we tell others.
    pub(super) fn times(&self, now: Now) -> Times {
        let told = self.own_clock(now) != Own::Wrong && !self.has_gone_back(now.wall);
        let clock = told.then_some(now.wall.0);
        Times { peer_time: self.peer_time(now.wall).0, clock }
    }

    /// How much our own clock counts, uncorrected.
    fn own_clock(&self, now: Now) -> Own {
        let covered = self.chain.as_ref().is_none_or(|chain| chain.covers(now.wall));
        let plausible = self.plausible.holds(now.wall, now.mono);
        match () {
            () if !covered => Own::Wrong,
            () if !plausible || self.has_gone_back(now.wall) => Own::Doubtful,
            () => Own::Fine,
        }
    }

    /// Whether our clock shows an earlier time than our store has seen. It may have been wrong then.
    fn has_gone_back(&self, wall: WallTime) -> bool {
        wall.after(Duration::from_millis(WINDOW_MS as u64)) < self.plausible.latest()
    }

    /// The other end of a link, which has shown this membership, says what it takes the time for. `asked`: how long ago we
    /// asked to become its neighbour, if we did.
    pub(super) fn hear_time(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        chain: &VerifiedChain,
        times: Times,
        asked: Option<Duration>,
    ) {
        let Some(peer) = self.slots.get(&link).map(|slot| slot.peer) else { return };
        let own = self.own_clock(ctx.now);
        let claim = WallTime(times.peer_time);
        let stands = |at: WallTime| self.roll.standing(chain, at).is_member();
        let earliest = self.plausible.since();
        let doubtful = !self.ready || (own < Own::Fine && claim >= earliest);
        let ours = stands(self.clock(ctx.now.wall)) || stands(ctx.now.wall);
        if !(ours || doubtful && stands(claim)) {
            return;
        }
        let way = asked.map_or(0, |asked| i64::try_from(asked.as_millis() / 2).unwrap_or(i64::MAX));
        let shift = |theirs: u64| WallTime(theirs).ahead_of(ctx.now.wall).saturating_add(way);
        let told = Told { peer, time: shift(times.peer_time), clock: times.clock.map(shift) };
        let how = Taken {
            first: !self.ready,
            asked: asked.is_some(),
            own,
            valid: self.valid_shifts(ctx.now.wall),
            possible: earliest.ahead_of(ctx.now.wall)
                ..=self.plausible.until().ahead_of(ctx.now.wall),
        };
        let before = self.peer_time.shift_ms();
        self.peer_time.hear(told, &how);
        let after = self.peer_time.shift_ms();
        if is_near(told.time, after) {
            let before = self.is_plausible(ctx.now);
            self.plausible.agreed(self.peer_time(ctx.now.wall), after);
            if !before {
                self.arm_expiry(ctx);
            }
        }
        self.time_changed(ctx, after.saturating_sub(before));
    }

    /// How much our clock may be corrected for our own membership to be valid.
    fn valid_shifts(&self, wall: WallTime) -> RangeInclusive<i64> {
        let Some(chain) = &self.chain else { return i64::MIN..=i64::MAX };
        let begin = chain.not_before().before(limits::CERTIFICATE_CLOCK_SKEW);
        let end = chain.not_after().after(limits::CERTIFICATE_CLOCK_SKEW);
        begin.ahead_of(wall)..=end.ahead_of(wall)
    }

    /// Our clock moved away from the monotonic one by so many milliseconds.
    pub(crate) fn clock_set(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, by: i64) {
        if self.chain.is_none() {
            return;
        }
        let (shift, base) = (self.peer_time.shift_ms(), self.peer_time.base_ms());
        let set_right = base != 0 && is_near(shift, by);
        let certain = set_right || !self.valid_shifts(ctx.now.wall).contains(&base);
        let (neighbours, peers): (Vec<LinkId>, SortedSet<PeerId>) =
            self.neighbours().map(|(link, slot)| (link, slot.peer)).unzip();
        let moved = match (certain, peers.len()) {
            (false, 0) => Moved::With,
            (false, asked) if by > 0 => Moved::Perhaps { asked },
            _ => Moved::Alone,
        };
        self.peer_time.clock_set(by, moved);
        match moved {
            Moved::Perhaps { .. } => {
                self.timers.set(Timer::Leap, ctx.now.mono.after(LEAP_DECIDED_AFTER));
                for link in neighbours {
                    self.send(ctx, links, link, kind::ASK_TIME, &());
                }
            }
            Moved::With | Moved::Alone => self.timers.clear(Timer::Leap),
        }
        self.settle_clock(ctx);
        let after = self.peer_time.shift_ms();
        self.time_changed(ctx, by.saturating_add(after.saturating_sub(shift)));
    }

    /// Decides what a leap of our clock was: not enough neighbours have said it.
    pub(super) fn end_leap(&mut self, ctx: &mut Ctx<'_>) {
        let before = self.peer_time.shift_ms();
        self.peer_time.end_leap();
        self.settle_clock(ctx);
        let after = self.peer_time.shift_ms();
        self.time_changed(ctx, after.saturating_sub(before));
    }

    pub(super) fn on_ask_time(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        wire::decode::<()>(body)?;
        if !self.peer_time.has_leapt() {
            let times = self.times(ctx.now);
            self.send(ctx, links, link, kind::TIME, &times);
        }
        Ok(())
    }

    pub(super) fn on_time(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let times: Times = wire::decode(body)?;
        // An answer that comes late is normal, and nobody is heard unasked.
        let asked = self.peer_time.has_leapt();
        let chain = self.slots.get(&link).and_then(|slot| slot.chain.clone());
        if let Some(chain) = chain.filter(|_| asked) {
            self.hear_time(ctx, link, &chain, times, Some(Duration::ZERO));
        }
        Ok(())
    }

    /// Goes on from the last time that is known, if our own membership shows that our clock is wrong.
    pub(super) fn settle_clock(&mut self, ctx: &mut Ctx<'_>) {
        let Some(chain) = &self.chain else { return };
        let (wall, now) = (ctx.now.wall, self.clock(ctx.now.wall));
        // It has ended: nothing speaks against that.
        let ended = now > chain.not_after() && self.is_plausible(ctx.now);
        if chain.covers(now) || ended {
            return;
        }
        let shift = match chain.covers(wall) && self.own_clock(ctx.now) == Own::Fine {
            // It was wrong, and is right.
            true => 0,
            false => {
                let begin = chain.not_before().after(limits::CERTIFICATE_CLOCK_SKEW);
                let known = self.plausible.latest().max(begin).min(chain.not_after());
                known.ahead_of(wall)
            }
        };
        let before = self.peer_time.shift_ms();
        self.peer_time.guess(shift);
        self.time_changed(ctx, shift.saturating_sub(before));
    }

    /// Peer time has moved by so much.
    fn time_changed(&mut self, ctx: &mut Ctx<'_>, by: i64) {
        if by.saturating_abs() > SAVED_MS {
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
            self.arm_expiry(ctx);
        }
        if by.saturating_abs() > SKEW_MS {
            self.standing_changed(ctx);
            self.arm_refresh(ctx);
            self.timers.set(Timer::Again, ctx.now.mono);
            if self.own_presence.is_some() {
                self.timers.set(Timer::Presence, ctx.now.mono);
            }
        }
        self.tell_clock(ctx);
    }

    /// How far our clock is ahead, if it is wrong.
    pub(super) fn clock_ahead_ms(&self) -> i64 {
        self.peer_time.base_ms().saturating_neg()
    }

    /// Tells the application how wrong our clock is, if that is news.
    pub(super) fn tell_clock(&mut self, ctx: &mut Ctx<'_>) {
        let ahead_ms = self.clock_ahead_ms();
        let differs = ahead_ms.abs_diff(self.clock_told) > TOLD_AGAIN_MS as u64;
        if self.joined
            && !self.peer_time.has_leapt()
            && (differs || (ahead_ms == 0) != (self.clock_told == 0))
        {
            self.clock_told = ahead_ms;
            let group = self.id;
            self.event(ctx, Event::Clock { group, ahead_ms });
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
        }
    }
}
