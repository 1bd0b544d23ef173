//! The budgets of connection signals: how many may be carried of whom.
//!
//! A signal comes over one neighbour, and from one origin, whose signature it bears. Both count, in each graph:
//!
//! 1. A neighbour may bring so many in all. A copy of what another has brought costs it nothing: it is dropped unread.
//! 2. Of these a member may be the origin of its share only, whoever brings them. So whatever one member signs, every
//!    neighbour has room for what others sign, at each hop.
//! 3. Of those whom nobody knows there are as many as one likes. All that one neighbour brings of them have one member's share
//!    together, and each of them a part of that.
//!
//! A signal over a budget is not carried on: it is nobody's fault, and whoever wants a link tries again.
use crate::budget::Accounts;
use crate::id::PeerId;
use crate::limits::{GUEST_SIGNALS, GUEST_SIGNALS_PER_SECOND, SIGNALS, SIGNALS_PER_SECOND};
use crate::time::Time;

/// How much each peer used.
pub(super) struct Carriage {
    bringers: Accounts,
    members: Accounts,
    /// By who brings them.
    guests: Accounts,
    guest: Accounts,
}

/// On whose account a signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) bringer: PeerId,
    pub(super) origin: PeerId,
    /// Whether the origin is a member.
    pub(super) member: bool,
}

impl Default for Carriage {
    fn default() -> Self {
        Self {
            bringers: Accounts::new(SIGNALS_PER_SECOND.all()),
            members: Accounts::new(SIGNALS_PER_SECOND.each()),
            guests: Accounts::new(GUEST_SIGNALS_PER_SECOND.all()),
            guest: Accounts::new(GUEST_SIGNALS_PER_SECOND.each()),
        }
    }
}

impl Carriage {
    /// Whether there is room for one more signal. Nothing is billed: it may be forged.
    pub(super) fn has_room(&mut self, now: Time, bill: Bill) -> bool {
        let Bill { bringer, origin, member } = bill;
        let room = |accounts: &mut Accounts, who, most| accounts.over(now, who, most - 1) == 0;
        room(&mut self.bringers, &bringer, SIGNALS.all())
            && match member {
                true => room(&mut self.members, &origin, SIGNALS.each()),
                false => {
                    room(&mut self.guests, &bringer, GUEST_SIGNALS.all())
                        && room(&mut self.guest, &origin, GUEST_SIGNALS.each())
                }
            }
    }

    /// A genuine signal is carried.
    pub(super) fn carried(&mut self, now: Time, bill: Bill) {
        let Bill { bringer, origin, member } = bill;
        self.bringers.add(now, bringer, 1);
        if member {
            self.members.add(now, origin, 1);
        } else {
            self.guests.add(now, bringer, 1);
            self.guest.add(now, origin, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::peer;
    use std::time::Duration;

    /// How many of `count` signals are carried.
    fn carried(carriage: &mut Carriage, now: Time, bill: impl Fn(u64) -> Bill, count: u64) -> u64 {
        let mut heard = 0;
        for n in 0..count {
            if carriage.has_room(now, bill(n)) {
                carriage.carried(now, bill(n));
                heard += 1;
            }
        }
        heard
    }

    /// Goal: one origin at its maximum leaves every other its part, at a node to which all comes over one honest neighbour.
    /// Method: a member signs as much as it can for a minute; after it three others sign their share at once. The same
    /// with a guest, and with guests whose names are made up.
    #[test]
    fn one_origin_at_its_maximum_leaves_every_other_its_part() {
        let relay = peer(1);
        let member =
            |origin: u64| move |_| Bill { bringer: relay, origin: peer(origin), member: true };
        let guest =
            |origin: u64| move |_| Bill { bringer: relay, origin: peer(origin), member: false };
        let made_up = |n| Bill { bringer: relay, origin: peer(1_000 + n), member: false };
        for hostile in 0..3 {
            let (mut carriage, mut now) = (Carriage::default(), Time::ZERO);
            for _ in 0..60 {
                now = now.after(Duration::from_secs(1));
                match hostile {
                    0 => carried(&mut carriage, now, member(2), 10_000),
                    1 => carried(&mut carriage, now, guest(2), 10_000),
                    _ => carried(&mut carriage, now, made_up, 10_000),
                };
            }
            for honest in 3..6 {
                let heard = carried(&mut carriage, now, member(honest), SIGNALS.each());
                assert_eq!(heard, SIGNALS.each(), "{hostile} {honest}");
            }
            if hostile < 2 {
                let heard = carried(&mut carriage, now, guest(9), GUEST_SIGNALS.each());
                assert_eq!(heard, GUEST_SIGNALS.each());
            }
            // Another neighbour brings what it may.
            let other = |n| Bill { bringer: peer(9), origin: peer(20 + n % 4), member: true };
            assert_eq!(carried(&mut carriage, now, other, SIGNALS.all()), SIGNALS.all());
        }
    }

    #[test]
    fn what_is_not_carried_costs_nothing_more() {
        let (mut carriage, now) = (Carriage::default(), Time::ZERO);
        let bill = |_| Bill { bringer: peer(1), origin: peer(2), member: true };
        assert_eq!(carried(&mut carriage, now, bill, 10 * SIGNALS.each()), SIGNALS.each());
        let later = now.after(Duration::from_secs(1));
        assert_eq!(carried(&mut carriage, later, bill, 1_000), SIGNALS_PER_SECOND.each());
    }
}
