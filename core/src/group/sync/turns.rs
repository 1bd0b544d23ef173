//! Turns: who lacks much takes it from one neighbour at a time.
//!
//! A node that joins or comes back finds several neighbours at once, and each would give it all that it lacks. So it begins to
//! compare with one of them, or answers one that began; the next one's turn comes when that one is done, lost, or brings
//! little. All that came stays, so that the next one gives the rest only. A node that is done with one goes on with all others:
//! little differs then.
use super::super::graph::Slot;
use super::super::{Group, Timer};
use crate::group::Ctx;
use crate::io::LinkId;
use crate::link::Links;
use crate::storage::Class;
use crate::wire::Sync;
use std::time::Duration;

/// A neighbour that brings less than so many bytes in that time is slow: the next one's turn comes, too. Guess: a megabit a
/// second for the time of some round trips.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const SLOW_BYTES: usize = 256 * 1024;

impl Group {
    /// Begins to compare stores with a neighbour, once it is its turn.
    pub(in crate::group) fn begin_sync(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
    ) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.sync.queued = true;
        }
        self.next_turn(ctx, links);
    }

    /// A neighbour began to compare stores: it waits for its turn.
    pub(super) fn put_off(&mut self, ctx: &Ctx<'_>, link: LinkId, begun: Sync) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.sync.begun = Some(begun);
            self.timers.set_if_unarmed(Timer::Turn, ctx.now.mono.after(LOOK_EVERY));
        }
    }

    /// Begins with those whose turn it is.
    pub(super) fn next_turn(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        while let Some(link) = self.neighbour_where(Slot::waits_for_turn) {
            if self.is_served() {
                self.timers.set_if_unarmed(Timer::Turn, ctx.now.mono.after(LOOK_EVERY));
                return;
            }
            let begun = self.slots.get_mut(&link).and_then(|slot| slot.sync.begun.take());
            let Some(begun) = begun else {
                self.sync_class(ctx, links, link, Class::Membership);
                continue;
            };
            self.start_class(link, Class::Membership);
            // A neighbour that began with what makes no sense is not heard again: it waits for our answer.
            let _ = self.follow(ctx, links, link, Class::Membership, begun);
        }
    }

    /// Whether somebody brings what we lack, and nobody has brought all of it yet.
    pub(super) fn is_served(&self) -> bool {
        let serves = |slot: &Slot| slot.sync.class.is_some() && !slot.sync.slow;
        self.neighbour_where(|slot| slot.synced).is_none() && self.neighbour_where(serves).is_some()
    }

    /// A neighbour is gone: if it was its turn, it is the next one's.
    pub(in crate::group) fn lost_turn(&mut self, ctx: &Ctx<'_>) {
        if self.neighbour_where(Slot::waits_for_turn).is_some() && !self.is_served() {
            self.timers.set_earlier(Timer::Turn, ctx.now.mono);
        }
    }

    /// Looks who is slow.
    pub(in crate::group) fn look_at_turns(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for slot in self.slots.values_mut() {
            let serves = slot.sync.class.is_some();
            slot.sync.slow = serves && slot.sync.came.is_some_and(|came| came < SLOW_BYTES);
            slot.sync.came = serves.then_some(0);
        }
        self.next_turn(ctx, links);
    }

    fn neighbour_where(&self, what: impl Fn(&Slot) -> bool) -> Option<LinkId> {
        self.neighbours().find(|(_, slot)| what(slot)).map(|(link, _)| link)
    }
}

impl Slot {
    fn waits_for_turn(&self) -> bool {
        self.sync.queued || self.sync.begun.is_some()
    }
}
