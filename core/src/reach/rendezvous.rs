//! Rendezvous: where members who have no link yet find each other, served by a node that need not be a member.
//!
//! Members of a group sit at common tables, whose names only they can make ([`sitting`](super::sitting)), so that the node
//! learns that they belong together and nothing else. A member that sits down is told some of the other seats, and offers to
//! them; the node carries the signals. [`Tables`] is what a rendezvous node keeps.
//!
//! # Whose places these are
//!
//! 1. Identities cost nothing, so places are shared by where the links come from; a link that signals brought about has no
//!    source, and counts for its peer. Places that one source has beyond its part give way to others ([`SEATS`]).
//! 2. One peer has at most its own share, wherever it comes from ([`SEATS_OF_PEER`]). One seat more costs it its oldest.
//! 3. The holder of a seat that gives way is told, and looks elsewhere. Nobody waits at a table where it does not sit.
use crate::context::Ambient;
use crate::fault::Misbehaved;
use crate::id::{Digest, PeerId};
use crate::io::LinkId;
use crate::limits::{self, SEATS, SEATS_OF_PEER};
use crate::link::Links;
use crate::random::Random;
use crate::share::Crowd;
use crate::sorted::{SortedMap, SortedSet};
use crate::source::Source;
use crate::wire::{self, Carry, Rise, Seats, Sit, kind};
use rand_chacha::rand_core::Rng as _;

/// Seats named at once. Guess: more than a newcomer offers to.
const SEATS_NAMED_MAX: usize = 10;
/// Seats of other parts named at once. Guess: one link joins two parts.
const APART_NAMED_MAX: usize = 2;
/// Tries to draw one seat that was not drawn yet. Guess: of twice as many as are named, nearly all are found.
const TRIES: usize = 4;
/// A link with so many bytes waiting is carried nothing. Guess.
const BACKLOG_BYTES: usize = 256 * 1024;

/// Numbers seats by their age, and is never reused.
type Age = u64;

/// The tables of a rendezvous node.
pub(crate) struct Tables {
    tables: SortedMap<Digest, Table>,
    places: SortedMap<Age, Place>,
    /// The seat of a link at each table.
    by_link: SortedMap<(LinkId, Digest), Age>,
    parties: Crowd<Party, Age>,
    peers: Crowd<PeerId, Age>,
    made: Age,
}

/// The peers at a table, by the number of the seat, which is random.
#[derive(Default)]
struct Table {
    seats: SortedMap<u64, Age>,
    /// Contacts of a broken graph, by the part in which they are.
    parts: SortedSet<(u64, u64)>,
}

/// One seat, at a few tables of one group.
struct Place {
    link: LinkId,
    seat: u64,
    tables: Vec<wire::Table>,
}

/// On whose account a place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Source(Source),
    Peer(PeerId),
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            tables: SortedMap::new(),
            places: SortedMap::new(),
            by_link: SortedMap::new(),
            parties: Crowd::new(SEATS),
            peers: Crowd::new(SEATS_OF_PEER),
            made: 0,
        }
    }
}

impl Tables {
    /// Gives a seat, or keeps it, and names some others. Contacts of another part are named apart.
    pub(crate) fn sit(
        &mut self,
        ctx: &mut Ambient<'_>,
        links: &mut Links,
        link: LinkId,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        let Sit { tables } = wire::decode(body)?;
        let names: SortedSet<Digest> = tables.iter().map(|table| table.name).collect();
        if names.len() != tables.len() || names.is_empty() {
            return Err(Misbehaved::BadMessage);
        }
        if tables.len() > limits::TABLES_PER_SEAT_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let (Some(source), Some(ready)) = (links.get(link).map(|it| it.source), links.ready(link))
        else {
            return Ok(());
        };
        let peer = ready.peer;
        let party = source.map_or(Party::Peer(peer), Party::Source);
        let table = tables[0].name;
        let (age, gone) = self.seat(ctx.rng, (link, party, peer), tables);
        for (link, table) in gone {
            links.send(ctx.now, link, &wire::message(kind::RISE, &Rise { table }), ctx.out);
        }
        let (seats, apart) = self.others(ctx.rng, age);
        let apart = (!apart.is_empty()).then_some(apart);
        let clock = ctx.now.wall.0;
        let message = wire::message(kind::SEATS, &Seats { table, seats, apart, clock });
        links.send(ctx.now, link, &message, ctx.out);
        Ok(())
    }

    /// Carries a signal to another seat of the sender's tables. Its own seat, or the other, may have gone meanwhile.
    pub(crate) fn carry(
        &mut self,
        ctx: &mut Ambient<'_>,
        links: &mut Links,
        link: LinkId,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        let mut carry: Carry = wire::decode(body)?;
        if carry.signal.len() > limits::SIGNAL_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let own = self.by_link.get(&(link, carry.table)).and_then(|age| self.places.get(age));
        let Some(own) = own else { return Ok(()) };
        let common = own.tables.iter().filter_map(|table| self.tables.get(&table.name));
        let other = common.filter_map(|table| table.seats.get(&carry.seat)).next();
        let Some(other) = other.and_then(|age| self.places.get(age)) else { return Ok(()) };
        if links.backlog(other.link) >= BACKLOG_BYTES {
            return Ok(());
        }
        (carry.table, carry.seat) = (other.tables[0].name, own.seat);
        links.send(ctx.now, other.link, &wire::message(kind::CARRY, &carry), ctx.out);
        Ok(())
    }

    /// Frees one seat.
    pub(crate) fn rise(&mut self, link: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Rise { table } = wire::decode(body)?;
        if let Some(&age) = self.by_link.get(&(link, table)) {
            self.free(age);
        }
        Ok(())
    }

    /// Another link to the same node takes over the seats of one, but for tables at which it has one.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        for age in self.of(from) {
            let Some(place) = self.places.get(&age) else { continue };
            if place.tables.iter().any(|table| self.by_link.contains_key(&(to, table.name))) {
                self.free(age);
                continue;
            }
            for table in &place.tables {
                self.by_link.remove(&(from, table.name));
                self.by_link.insert((to, table.name), age);
            }
            if let Some(place) = self.places.get_mut(&age) {
                place.link = to;
            }
        }
    }

    /// Frees the seats of a lost link.
    pub(crate) fn link_down(&mut self, link: LinkId) {
        for age in self.of(link) {
            self.free(age);
        }
    }

    /// Whether somebody sits there over `link`.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        self.of_link(link).next().is_some()
    }

    /// Gives a seat at these tables: the one that is at one of them, or a new one. Answers it, and the seats that gave way
    /// to it, by a table of each.
    fn seat(
        &mut self,
        rng: &mut Random,
        (link, party, peer): (LinkId, Party, PeerId),
        tables: Vec<wire::Table>,
    ) -> (Age, Vec<(LinkId, Digest)>) {
        let at = |table: &wire::Table| self.by_link.get(&(link, table.name)).copied();
        let mut own = tables.iter().filter_map(at).collect::<SortedSet<Age>>().into_iter();
        let (kept, spare) = (own.next(), own.collect::<Vec<_>>());
        for age in spare {
            self.free(age);
        }
        let mut gone = Vec::new();
        let age = match kept {
            Some(age) => {
                self.leave_tables(age);
                age
            }
            None => {
                self.made += 1;
                let age = self.made;
                // Of the peer's own first: if it has its share, nobody else gives way to it.
                let mine = self.peers.own_in_the_way(&peer).copied();
                gone.extend(mine.and_then(|mine| self.free(mine)));
                let others = self.parties.enter(&party, age);
                gone.extend(others.and_then(|other| self.free(other)));
                self.peers.enter(&peer, age);
                let place = Place { link, seat: rng.next_u64(), tables: Vec::new() };
                self.places.insert(age, place);
                age
            }
        };
        if let Some(place) = self.places.get_mut(&age) {
            for wire::Table { name, part } in &tables {
                let table = self.tables.entry(*name).or_default();
                table.seats.insert(place.seat, age);
                table.parts.extend(part.map(|part| (part, place.seat)));
                self.by_link.insert((link, *name), age);
            }
            place.tables = tables;
        }
        (age, gone)
    }

    /// Some of the others at the tables of a seat, and some of those that are in other parts, by chance.
    fn others(&self, rng: &mut Random, age: Age) -> (Vec<u64>, Vec<u64>) {
        let Some(place) = self.places.get(&age) else { return Default::default() };
        let at = |name: &Digest| self.tables.get(name);
        let tables: Vec<(&Table, Option<u64>)> =
            place.tables.iter().filter_map(|it| Some((at(&it.name)?, it.part))).collect();
        let draw = |rng: &mut Random, max: usize, one: &dyn Fn(&mut Random) -> Option<u64>| {
            let mut drawn: Vec<u64> = Vec::new();
            for _ in 0..TRIES * max {
                let seat = one(rng).filter(|&seat| seat != place.seat && !drawn.contains(&seat));
                drawn.extend(seat);
                if drawn.len() >= max {
                    break;
                }
            }
            drawn
        };
        let any = |rng: &mut Random| {
            let (table, _) = tables[(rng.next_u64() % tables.len() as u64) as usize];
            table.next(rng.next_u64())
        };
        let apart = |rng: &mut Random| {
            let (table, part) = tables[(rng.next_u64() % tables.len() as u64) as usize];
            table.next_apart(part?, (rng.next_u64(), rng.next_u64()))
        };
        let few = tables.iter().map(|(table, _)| table.seats.len()).sum::<usize>();
        let seats = if few <= 2 * SEATS_NAMED_MAX {
            // All are looked at, so that nobody at a small table is missed.
            let all = tables.iter().flat_map(|(table, _)| table.seats.keys().copied());
            let mut all: Vec<u64> = all.filter(|&seat| seat != place.seat).collect();
            all.sort_unstable();
            all.dedup();
            for at in (1..all.len()).rev() {
                all.swap(at, (rng.next_u64() % (at as u64 + 1)) as usize);
            }
            all.truncate(SEATS_NAMED_MAX);
            all
        } else {
            draw(rng, SEATS_NAMED_MAX, &any)
        };
        (seats, draw(rng, APART_NAMED_MAX, &apart))
    }

    /// Frees a seat. Answers where it was.
    fn free(&mut self, age: Age) -> Option<(LinkId, Digest)> {
        self.leave_tables(age);
        self.parties.leave(&age);
        self.peers.leave(&age);
        let place = self.places.remove(&age)?;
        Some((place.link, place.tables.first()?.name))
    }

    fn leave_tables(&mut self, age: Age) {
        let Some(place) = self.places.get(&age) else { return };
        for wire::Table { name, part } in &place.tables {
            self.by_link.remove(&(place.link, *name));
            let Some(table) = self.tables.get_mut(name) else { continue };
            table.seats.remove(&place.seat);
            if let Some(part) = part {
                table.parts.remove(&(*part, place.seat));
            }
            if table.seats.is_empty() {
                self.tables.remove(name);
            }
        }
    }

    fn of_link(&self, link: LinkId) -> impl Iterator<Item = Age> {
        let seats = self.by_link.range((link, Digest::default())..);
        seats.take_while(move |((it, _), _)| *it == link).map(|(_, &age)| age)
    }

    fn of(&self, link: LinkId) -> SortedSet<Age> {
        self.of_link(link).collect()
    }
}

impl Table {
    /// The seat whose number follows, or the first one.
    fn next(&self, number: u64) -> Option<u64> {
        let next = self.seats.range(number..).chain(&self.seats).next();
        next.map(|(&seat, _)| seat)
    }

    /// The next seat after this one in the order of parts, round about, that is in another part than `own`. All seats of one
    /// part are passed over at once.
    fn next_apart(&self, own: u64, from: (u64, u64)) -> Option<u64> {
        let other = |from: (u64, u64)| {
            let &(part, seat) = self.parts.range(from..).next()?;
            if part != own {
                return Some(seat);
            }
            let behind = (own.checked_add(1)?, 0);
            self.parts.range(behind..).next().map(|&(_, seat)| seat)
        };
        other(from).or_else(|| other((0, 0)))
    }
}

#[cfg(test)]
mod tests;
