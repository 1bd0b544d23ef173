//! Removing records whose time has come.
use super::{Ctx, Group, Timer};
use crate::cert::VerifiedChain;
use crate::io::Event;
use crate::limits;
use crate::storage::Class;
use crate::time::Now;
use std::time::Duration;

/// Expiry looks again no sooner than this. Guess: many records may end in one second.
const EXPIRY_STEP: Duration = Duration::from_secs(1);
/// While the time is not plausible it is looked at so often. Guess.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// Records removed in one go. Guess.
const EXPIRE_MAX: usize = 256;

impl Group {
    /// Whether records that have ended stay for the time being, and are only hidden: while the time is not plausible, and
    /// if the group's policy says so, until a sync has shown that nobody has lengthened their lives. Presence ends with
    /// those that were present, and is said anew.
    pub(super) fn defers_expiry(&self, now: Now, class: Class) -> bool {
        let until_synced = class == Class::Application
            && self.root().policy().defer_expiry
            && !self.neighbours().any(|(_, slot)| slot.synced);
        until_synced || (class != Class::Presence && !self.is_plausible(now))
    }

    /// Whether what has ended by now may be removed for good.
    pub(super) fn is_plausible(&self, now: Now) -> bool {
        self.plausible.holds(self.peer_time(now.wall), now.mono)
    }

    /// Arms the timer for the record that ends first.
    pub(super) fn arm_expiry(&mut self, ctx: &Ctx<'_>) {
        if !self.is_plausible(ctx.now) {
            self.timers.set_earlier(Timer::Expiry, ctx.now.mono.after(LOOK_AGAIN));
        }
        let classes = Class::ALL.into_iter().filter(|&class| !self.defers_expiry(ctx.now, class));
        let first = classes.filter_map(|class| self.index(class).next_expiry()).min();
        let Some((at, _)) = first else { return };
        let wait = at.0.saturating_sub(self.peer_time(ctx.now.wall).0);
        let wait = wait.min(self.passwords_end_in(self.clock(ctx.now.wall)));
        let wait = Duration::from_millis(wait).clamp(EXPIRY_STEP, Duration::from_secs(86_400));
        // Never later than it is armed for: one short-lived record after another would put it off for ever.
        self.timers.set_earlier(Timer::Expiry, ctx.now.mono.after(wait));
    }

    /// Removes what has ended.
    pub(super) fn expire(&mut self, ctx: &mut Ctx<'_>) {
        let now = self.peer_time(ctx.now.wall);
        if self.plausible.look(now, ctx.now.mono) {
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
        }
        for class in Class::ALL {
            if self.defers_expiry(ctx.now, class) {
                continue;
            }
            for _ in 0..EXPIRE_MAX {
                let index = &self.indexes[class as usize];
                let Some((_, id)) = index.next_expiry().filter(|(at, _)| *at <= now) else { break };
                let deleted = self.remove(ctx, class, id).is_some_and(|meta| meta.deleted);
                let group = self.id;
                match class {
                    Class::Application if !deleted => self.event(ctx, Event::Expired { group, id }),
                    Class::Presence => {
                        self.presence_expired(ctx, id);
                        self.contact_expired(ctx, id);
                    }
                    Class::Application | Class::Membership => {}
                }
            }
        }
        self.roll.settle();
        self.withheld.expire(now);
        if !self.is_plausible(ctx.now) {
            self.arm_expiry(ctx);
            return;
        }
        let ours = self.chain.as_ref().map(VerifiedChain::id);
        self.roll.forget_ended(now.before(limits::CERTIFICATE_CLOCK_SKEW), ours);
        self.forget_ended_invitations(ctx.now.wall);
        self.forget_passwords(ctx);
        self.arm_expiry(ctx);
    }
}
