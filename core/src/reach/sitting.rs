//! Our own seats at the tables of rendezvous nodes.
//!
//! A table is named by a hash of the group, of the rendezvous node's peer id, and of a period of time. So two tables of one
//! group cannot be told to be that, and a name that somebody has learnt is of no use elsewhere or later.
//!
//! ```text
//!   periods    |      d-1      |       d       |      d+1      |
//!   tables              [ d-1 and d  ][  d and d+1  ]
//!                                     '- half a period before d+1 begins
//! ```
//!
//! 1. A node sits at two tables: of the period half a period ago, and of the one half a period from now. It changes one of
//!    them in the middle of each period, and nodes differ by up to [`SHIFT_MAX_MS`] in when they do. So two nodes whose
//!    clocks differ by less than a period, less that, have a table in common at any moment.
//! 2. The rendezvous node tells what its clock shows. If that differs by more than half a period, one of the two clocks is
//!    wrong. A node that has nobody sits then at the tables of both times: others that are right, or wrong as the rendezvous
//!    node is, are at one of them. A node that has neighbours stays at those of its own time, so that a rendezvous node
//!    cannot keep a group at one table by telling an old time.
//! 3. A rendezvous node is believed about a table on the link over which we sit there, and nowhere else. It may name
//!    seats once for each time that we asked.
//! 4. A rendezvous node that takes a seat back is not asked again for [`REFUSED_FOR`].
use crate::id::{Digest, GroupId, NodeId, PeerId};
use crate::io::LinkId;
use crate::sorted::SortedMap;
use crate::time::{Now, Time, WallTime};
use crate::wire::{Sit, Table, part_of, table_of};
use std::time::Duration;

/// How long a period is. Milliseconds. Guess: a day; clocks that are wrong by a time zone are right enough.
const PERIOD_MS: u64 = 86_400_000;
/// By how much nodes differ in when they change their tables. Milliseconds. Guess: a rendezvous node hears three of ten
/// thousand a second then.
const SHIFT_MAX_MS: u64 = 3_600_000;
/// A rendezvous node that took a seat back is not asked for so long. Guess: others that are as many as its places have
/// found somebody by then.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The seats of a node.
pub(crate) struct Sitting {
    places: SortedMap<(LinkId, GroupId), Place>,
    groups: SortedMap<(LinkId, Digest), GroupId>,
    shift_ms: u64,
    /// When the tables change.
    due: Option<Time>,
}

/// One seat, or the wish for one.
#[derive(Default)]
struct Place {
    /// Empty if the seat was taken back.
    tables: Vec<Digest>,
    /// Questions that are not answered.
    asked: u32,
    /// By how much the rendezvous node's clock is ahead of ours, as it told first.
    ahead_ms: Option<i64>,
    refused: Option<Time>,
}

/// Where somebody sits.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) link: LinkId,
    /// The rendezvous node.
    pub(crate) peer: PeerId,
}

/// The purpose of a seat.
#[derive(Clone, Copy)]
pub(crate) struct Sitter {
    pub(crate) group: GroupId,
    /// Whether it has nobody.
    pub(crate) lonely: bool,
    /// The signature that a contact sees.
    pub(crate) signature: Option<NodeId>,
}

/// The messages to be sent for a seat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A table of an earlier seat that is of no use.
    pub(crate) rise: Option<Digest>,
    pub(crate) sit: Sit,
}

/// The group that an answer is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) group: GroupId,
    /// Whether the clock that it told differs so much that who has nobody sits down again, at more tables.
    pub(crate) differs: bool,
}

impl Sitting {
    /// Nobody sits. `seed` tells nodes apart.
    pub(crate) fn new(seed: u64) -> Self {
        let (places, groups) = (SortedMap::new(), SortedMap::new());
        Self { places, groups, shift_ms: seed % SHIFT_MAX_MS, due: None }
    }

    /// Takes a seat, or keeps it. Nothing if it was taken back a moment ago.
    pub(crate) fn sit(&mut self, now: Now, at: At, sitter: Sitter) -> Option<Asked> {
        let Sitter { group, lonely, signature } = sitter;
        let place = self.places.entry((at.link, group)).or_default();
        if place.refused.is_some_and(|when| now.mono.since(when) < REFUSED_FOR) {
            return None;
        }
        let mut periods = periods(now.wall, self.shift_ms);
        if let Some(ahead) = place.ahead_ms.filter(|&ahead| lonely && is_wrong(ahead)) {
            periods.extend(self::periods(
                WallTime(now.wall.0.saturating_add_signed(ahead)),
                self.shift_ms,
            ));
        }
        let mut names: Vec<Digest> = Vec::new();
        for period in periods {
            let name = table_of(group, at.peer, period);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let before = std::mem::replace(&mut place.tables, names.clone());
        place.asked = place.asked.saturating_add(1);
        for name in &before {
            self.groups.remove(&(at.link, *name));
        }
        self.groups.extend(names.iter().map(|&name| ((at.link, name), group)));
        self.due.get_or_insert(now.mono.after(until_change(now.wall, self.shift_ms)));
        let rise = before.first().copied().filter(|_| !before.iter().any(|it| names.contains(it)));
        let part = |name| signature.map(|signature| part_of(group, name, signature));
        let tables = names.into_iter().map(|name| Table { name, part: part(name) }).collect();
        Some(Asked { rise, sit: Sit { tables } })
    }

    /// A rendezvous node names seats. Nothing if it was not asked, or has no seat of ours.
    pub(crate) fn answered(
        &mut self,
        now: Now,
        link: LinkId,
        table: Digest,
        clock: WallTime,
    ) -> Option<Answered> {
        let group = self.group_at(link, table)?;
        let place = self.places.get_mut(&(link, group))?;
        place.asked = place.asked.checked_sub(1)?;
        let ahead = clock.ahead_of(now.wall);
        let first = place.ahead_ms.is_none();
        place.ahead_ms.get_or_insert(ahead);
        Some(Answered { group, differs: first && is_wrong(ahead) })
    }

    /// The group whose table this is, at which we sit over a link.
    pub(crate) fn group_at(&self, link: LinkId, table: Digest) -> Option<GroupId> {
        self.groups.get(&(link, table)).copied()
    }

    /// A table at which a group sits over a link.
    pub(crate) fn table(&self, link: LinkId, group: GroupId) -> Option<Digest> {
        self.places.get(&(link, group))?.tables.first().copied()
    }

    /// The rendezvous node takes a seat back. Answers whose.
    pub(crate) fn refused(&mut self, now: Time, link: LinkId, table: Digest) -> Option<GroupId> {
        let group = self.group_at(link, table)?;
        let place = self.places.get_mut(&(link, group))?;
        for table in std::mem::take(&mut place.tables) {
            self.groups.remove(&(link, table));
        }
        place.refused = Some(now);
        Some(group)
    }

    /// A group needs no seat any longer. Answers where it had some.
    pub(crate) fn leave(&mut self, group: GroupId) -> Vec<(LinkId, Digest)> {
        let of = |(&(link, it), place): (&(LinkId, GroupId), &Place)| {
            place.tables.first().filter(|_| it == group).map(|&table| (link, table))
        };
        let seats = self.places.iter().filter_map(of).collect();
        self.places.retain(|(_, it), _| *it != group);
        self.groups.retain(|_, it| *it != group);
        seats
    }

    /// The seats over a link are gone with it.
    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.places.retain(|(it, _), _| *it != link);
        self.groups.retain(|(it, _), _| *it != link);
    }

    /// Another link to the same rendezvous node takes over the seats of one, but for groups that have one there.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        let moving: Vec<GroupId> = self.at(from).collect();
        for group in moving {
            let Some(place) = self.places.remove(&(from, group)) else { continue };
            for table in &place.tables {
                self.groups.remove(&(from, *table));
            }
            if self.table(to, group).is_none() {
                self.groups.extend(place.tables.iter().map(|&table| ((to, table), group)));
                self.places.insert((to, group), place);
            }
        }
    }

    /// When the tables change.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due
    }

    /// The clock was set: tables may have changed.
    pub(crate) fn clock_set(&mut self, now: Time) {
        if self.due.is_some() {
            self.due = Some(now);
        }
    }

    /// The seats to take anew, if the tables have changed.
    pub(crate) fn changed(&mut self, now: Now) -> Vec<(LinkId, GroupId)> {
        if self.due.is_none_or(|due| now.mono < due) {
            return Vec::new();
        }
        let next = now.mono.after(until_change(now.wall, self.shift_ms));
        self.due = (!self.places.is_empty()).then_some(next);
        self.places.keys().copied().collect()
    }

    /// The groups that sit over a link, or were refused there.
    fn at(&self, link: LinkId) -> impl Iterator<Item = GroupId> {
        let places = self.places.range((link, GroupId::default())..);
        places.take_while(move |((it, _), _)| *it == link).map(|((_, group), _)| *group)
    }
}

/// The periods of whose tables one sits at one: the later first.
fn periods(wall: WallTime, shift_ms: u64) -> Vec<u64> {
    let later = moment(wall, shift_ms) / PERIOD_MS;
    [Some(later), later.checked_sub(1)].into_iter().flatten().collect()
}

/// How long the tables stay.
fn until_change(wall: WallTime, shift_ms: u64) -> Duration {
    Duration::from_millis(PERIOD_MS - moment(wall, shift_ms) % PERIOD_MS)
}

fn moment(wall: WallTime, shift_ms: u64) -> u64 {
    wall.0.saturating_add(shift_ms).saturating_add(PERIOD_MS / 2)
}

/// Whether one of two clocks that differ so much is wrong.
fn is_wrong(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() > PERIOD_MS / 2
}

#[cfg(test)]
mod tests;
