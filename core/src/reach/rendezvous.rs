//! Rendezvous: where members who have no link yet find each other, served by a node that need not be a member.
//!
//! Members of a group sit at one table, named by a hash of the group id, so that the node learns that they belong
//! together and nothing else. Who sits down is told some of the other seats, and offers to them; the node carries the
//! signals. Both halves of that are here: [`Tables`] is what a rendezvous node keeps.
use crate::error::Misbehaved;
use crate::id::Digest;
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::wire::{self, Carry, Seats, Sit, kind};
use rand_chacha::rand_core::Rng as _;
use std::collections::BTreeMap;

/// Seats named at once. Guess: more than a newcomer offers to.
const SEATS_NAMED_MAX: usize = 10;
/// A link with so many bytes waiting is carried nothing. Guess.
const BACKLOG_BYTES: usize = 256 * 1024;

/// The tables of a rendezvous node.
#[derive(Default)]
pub(crate) struct Tables {
    tables: BTreeMap<Digest, BTreeMap<u64, Seat>>,
    by_link: BTreeMap<LinkId, BTreeMap<Digest, u64>>,
    seats: usize,
}

/// Who sits there.
struct Seat {
    link: LinkId,
    /// Which part of a broken graph it is in, if it is a contact.
    part: Option<u64>,
}

impl Tables {
    /// Gives a seat, or keeps it, and names some others. Contacts of another part are named apart.
    pub(crate) fn sit(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        let Sit { table, part } = wire::decode(body)?;
        let own = self.by_link.entry(link).or_default();
        if !own.contains_key(&table) {
            if own.len() >= limits::TABLES_PER_LINK_MAX {
                return Err(Misbehaved::TooMuch);
            }
            if self.seats >= limits::SEATS_MAX {
                return Ok(());
            }
            let seat = ctx.rng.next_u64();
            own.insert(table, seat);
            self.tables.entry(table).or_default().insert(seat, Seat { link, part });
            self.seats += 1;
        }
        let own = own[&table];
        let Some(taken) = self.tables.get_mut(&table) else { return Ok(()) };
        if let Some(seat) = taken.get_mut(&own) {
            seat.part = part;
        }
        let others = taken.iter().filter(|(seat, _)| **seat != own);
        let elsewhere = |seat: &Seat| part.is_some() && seat.part.is_some_and(|p| Some(p) != part);
        let apart = others.clone().filter(|(_, seat)| elsewhere(seat));
        let apart = draw(ctx, apart.map(|(&seat, _)| seat).collect());
        let seats = draw(ctx, others.map(|(&seat, _)| seat).collect());
        let apart = (!apart.is_empty()).then_some(apart);
        let message = wire::message(kind::SEATS, &Seats { table, seats, apart });
        links.send(ctx.now, link, &message, ctx.out);
        Ok(())
    }

    /// Carries a signal to another seat of the sender's table.
    pub(crate) fn carry(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        let mut carry: Carry = wire::decode(body)?;
        if carry.signal.len() > limits::SIGNAL_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let from = self.by_link.get(&link).and_then(|own| own.get(&carry.table)).copied();
        let from = from.ok_or(Misbehaved::Unexpected)?;
        let to = self.tables.get(&carry.table).and_then(|table| table.get(&carry.seat));
        let to = to.map(|seat| seat.link);
        // Whoever sat there may have left meanwhile.
        let Some(to) = to.filter(|&to| links.backlog(to) < BACKLOG_BYTES) else { return Ok(()) };
        carry.seat = from;
        links.send(ctx.now, to, &wire::message(kind::CARRY, &carry), ctx.out);
        Ok(())
    }

    /// Frees one seat.
    pub(crate) fn rise(&mut self, link: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Sit { table, .. } = wire::decode(body)?;
        let seat = self.by_link.get_mut(&link).and_then(|own| own.remove(&table));
        if let Some(seat) = seat {
            self.free(table, seat);
        }
        Ok(())
    }

    /// Whether a table has a seat of `link`.
    pub(crate) fn sits(&self, link: LinkId, table: Digest) -> bool {
        self.by_link.get(&link).is_some_and(|own| own.contains_key(&table))
    }

    /// Another link to the same node takes over the seats of one, but for tables at which it has one.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        for (table, number) in self.by_link.remove(&from).unwrap_or_default() {
            if self.sits(to, table) {
                self.free(table, number);
                continue;
            }
            self.by_link.entry(to).or_default().insert(table, number);
            if let Some(seat) = self.tables.get_mut(&table).and_then(|seats| seats.get_mut(&number))
            {
                seat.link = to;
            }
        }
    }

    /// Frees the seats of a lost link.
    pub(crate) fn link_down(&mut self, link: LinkId) {
        for (table, seat) in self.by_link.remove(&link).unwrap_or_default() {
            self.free(table, seat);
        }
    }

    /// Whether somebody sits there over `link`.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        self.by_link.get(&link).is_some_and(|own| !own.is_empty())
    }

    fn free(&mut self, table: Digest, seat: u64) {
        if let Some(seats) = self.tables.get_mut(&table) {
            self.seats -= usize::from(seats.remove(&seat).is_some());
            if seats.is_empty() {
                self.tables.remove(&table);
            }
        }
    }
}

/// Some of them, by chance.
fn draw(ctx: &mut Ctx<'_>, mut from: Vec<u64>) -> Vec<u64> {
    let mut drawn = Vec::new();
    while !from.is_empty() && drawn.len() < SEATS_NAMED_MAX {
        drawn.push(from.swap_remove((ctx.rng.next_u64() % from.len() as u64) as usize));
    }
    drawn
}
