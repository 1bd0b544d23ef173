//! Relaying: a node carries sealed frames between two that have no direct path.
//!
//! ```text
//!   A ──ask token──►        ◄──ask token── B        both have heard the token from each other, by signals
//!   A ◄──paired, 7── relay ──paired, 7──► B        a circuit, with a number that the relay gives
//!   A ══data, 7════► relay ══data, 7════► B        frames that only A and B can open
//!   A ◄═════taken, 7 relay ◄═════taken, 7 B        credit: what B has taken, so that A may send more
//! ```
//!
//! A circuit is the transport of a link like any other: the handshake between A and B runs over it, and every frame is
//! sealed under its keys. The relay sees two links of its own, sizes and times. It can drop and delay; what it changes,
//! invents or repeats does not open, and costs the relayed link.
//!
//! # Its cost
//!
//! 1. **Memory.** At most [`RELAY_WINDOW_BYTES`] of a circuit are on their way to one end, and a frame. An end that sends more
//!    has broken the protocol.
//! 2. **Traffic.** Each frame counts for the party that sends it: the place that its link comes from, or its peer. A party
//!    that has used up [`RELAY_SPARE_BYTES`] gets its credit back at [`RELAY_BYTES_PER_SECOND`], so it sends no faster.
//! 3. **Circuits**, and asks that wait, are [`RELAY_CIRCUITS`]. The oldest of the party that has most gives way.
//!
//! [`Relays`] is what a relaying node keeps; the two ends are in [`circuits`](super::circuits).
use super::rendezvous::Party;
use crate::budget::Accounts;
use crate::fault::Misbehaved;
use crate::io::LinkId;
use crate::limits::{
    FRAME_BYTES_MAX, RELAY_BYTES_PER_SECOND, RELAY_CIRCUITS, RELAY_SPARE_BYTES, RELAY_WAITS_MAX,
    RELAY_WINDOW_BYTES,
};
use crate::share::Crowd;
use crate::sorted::SortedMap;
use crate::time::{Deadlines, Time};
use crate::wire::{RELAYED_BYTES, Token};
use std::time::Duration;

/// The number of a circuit. Never reused by one relay.
pub(crate) type Circuit = u64;

/// The circuits that a node carries for others.
pub(crate) struct Relays {
    /// Asks whose other end has not come.
    waiting: SortedMap<Token, Waiting>,
    circuits: SortedMap<Circuit, Pair>,
    by_link: SortedMap<(LinkId, Circuit), ()>,
    /// Asks that wait, by their number, and circuits, for the party that asked first.
    crowd: Crowd<Party, Circuit>,
    /// Of bytes relayed.
    spent: Accounts<Party>,
    /// When credit that was kept back is given, or an ask has waited long enough.
    due: Deadlines<Circuit>,
    made: Circuit,
}

struct Waiting {
    number: Circuit,
    link: LinkId,
    party: Party,
}

struct Pair {
    ends: [End; 2],
}

struct End {
    link: LinkId,
    party: Party,
    /// Bytes on their way to this end, which it has not taken.
    coming: u64,
    /// Bytes that the other end has taken, for which this one gets no credit yet.
    kept: u64,
}

/// The consequences of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Two links that are the ends of a new circuit, with their token.
    pub(crate) paired: Option<(Token, Circuit, [LinkId; 2])>,
    /// Ends of circuits that are no more.
    pub(crate) closed: Vec<(LinkId, Circuit)>,
}

/// The consequences of the word that an end has taken bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenBytes {
    /// Whether any were on their way to that end.
    pub(crate) counts: bool,
    /// Credit of the other end, unless it has to wait for it.
    pub(crate) credit: Option<Credit>,
}

/// Credit for one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    pub(crate) link: LinkId,
    pub(crate) circuit: Circuit,
    pub(crate) bytes: u64,
}

impl Default for Relays {
    fn default() -> Self {
        Self {
            waiting: SortedMap::new(),
            circuits: SortedMap::new(),
            by_link: SortedMap::new(),
            crowd: Crowd::new(RELAY_CIRCUITS),
            spent: Accounts::new(RELAY_BYTES_PER_SECOND),
            due: Deadlines::default(),
            made: 0,
        }
    }
}

impl Relays {
    /// Somebody asks for a circuit to whoever shows the same token.
    pub(crate) fn ask(&mut self, now: Time, link: LinkId, party: Party, token: Token) -> Outcome {
        match self.waiting.get(&token) {
            None => {}
            Some(waiting) if waiting.link == link => return Outcome::default(),
            Some(_) => return self.pair(link, party, token),
        }
        self.made += 1;
        let number = self.made;
        let gone = self.crowd.enter(&party, number);
        let closed = gone.map_or_else(Vec::new, |gone| self.end(gone));
        self.waiting.insert(token, Waiting { number, link, party });
        self.due.set(number, now.after(RELAY_WAITS_MAX));
        Outcome { paired: None, closed }
    }

    fn pair(&mut self, link: LinkId, party: Party, token: Token) -> Outcome {
        let Some(first) = self.waiting.remove(&token) else { return Outcome::default() };
        let circuit = first.number;
        self.due.clear(circuit);
        let end = |link, party| End { link, party, coming: 0, kept: 0 };
        let links = [first.link, link];
        self.circuits
            .insert(circuit, Pair { ends: [end(first.link, first.party), end(link, party)] });
        for link in links {
            self.by_link.insert((link, circuit), ());
        }
        Outcome { paired: Some((token, circuit, links)), closed: Vec::new() }
    }

    /// A frame came for the other end. Answers the link over which it goes on; nothing if the circuit is no more.
    pub(crate) fn data(
        &mut self,
        now: Time,
        link: LinkId,
        circuit: Circuit,
        bytes: usize,
    ) -> Result<Option<LinkId>, Misbehaved> {
        let Some((pair, at)) = self.pair_at(link, circuit) else { return Ok(None) };
        let other = &mut pair.ends[1 - at];
        if other.coming >= RELAY_WINDOW_BYTES as u64 || bytes > FRAME_BYTES_MAX + RELAYED_BYTES {
            return Err(Misbehaved::TooMuch);
        }
        other.coming += bytes as u64;
        let (to, party) = (other.link, pair.ends[at].party);
        self.spent.add(now, party, bytes as u64);
        Ok(Some(to))
    }

    /// An end has taken bytes.
    pub(crate) fn taken(
        &mut self,
        now: Time,
        link: LinkId,
        circuit: Circuit,
        bytes: u64,
    ) -> TakenBytes {
        let Some((pair, at)) = self.pair_at(link, circuit) else { return TakenBytes::default() };
        // An end that says that it has taken more than came has no more for it.
        let bytes = bytes.min(pair.ends[at].coming);
        pair.ends[at].coming -= bytes;
        pair.ends[1 - at].kept += bytes;
        TakenBytes { counts: bytes > 0, credit: self.give(now, circuit, 1 - at) }
    }

    /// Gives an end the credit that is kept for it, once its party has paid.
    fn give(&mut self, now: Time, circuit: Circuit, at: usize) -> Option<Credit> {
        let end = self.circuits.get_mut(&circuit).map(|pair| &mut pair.ends[at])?;
        let over = self.spent.over(now, &end.party, RELAY_SPARE_BYTES);
        if over > 0 {
            let wait =
                Duration::from_millis(over.saturating_mul(1_000) / RELAY_BYTES_PER_SECOND + 1);
            self.due.set_earlier(circuit, now.after(wait));
            return None;
        }
        let bytes = std::mem::take(&mut end.kept);
        (bytes > 0).then_some(Credit { link: end.link, circuit, bytes })
    }

    /// An end leaves a circuit.
    pub(crate) fn close(&mut self, link: LinkId, circuit: Circuit) -> Vec<(LinkId, Circuit)> {
        if !self.by_link.contains_key(&(link, circuit)) {
            return Vec::new();
        }
        let mut closed = self.end(circuit);
        closed.retain(|(end, _)| *end != link);
        closed
    }

    /// A link is gone, with its circuits. Answers the other ends.
    pub(crate) fn link_down(&mut self, link: LinkId) -> Vec<(LinkId, Circuit)> {
        let of_link = self.by_link.range((link, 0)..=(link, Circuit::MAX));
        let circuits: Vec<Circuit> = of_link.map(|((_, circuit), ())| *circuit).collect();
        let asks = self.waiting.values().filter(|it| it.link == link);
        let asks: Vec<Circuit> = asks.map(|it| it.number).collect();
        let mut closed: Vec<_> =
            circuits.into_iter().chain(asks).flat_map(|circuit| self.end(circuit)).collect();
        closed.retain(|(end, _)| *end != link);
        closed
    }

    /// Another link to the same node takes the place of one.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        let of_link = self.by_link.range((from, 0)..=(from, Circuit::MAX));
        let circuits: Vec<Circuit> = of_link.map(|((_, circuit), ())| *circuit).collect();
        for circuit in circuits {
            self.by_link.remove(&(from, circuit));
            self.by_link.insert((to, circuit), ());
            let ends = self.circuits.get_mut(&circuit).into_iter().flat_map(|pair| &mut pair.ends);
            ends.filter(|end| end.link == from).for_each(|end| end.link = to);
        }
        self.waiting.values_mut().filter(|it| it.link == from).for_each(|it| it.link = to);
    }

    /// Whether somebody is relayed, or waits to be, over a link.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        self.by_link.range((link, 0)..=(link, Circuit::MAX)).next().is_some()
    }

    /// When [`Relays::due`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.next().map(|(at, _)| at)
    }

    /// Ends asks that have waited in vain, and gives credit that was kept back.
    pub(crate) fn due(&mut self, now: Time) -> Vec<Credit> {
        let mut credits = Vec::new();
        while let Some(number) = self.due.pop_due(now) {
            if self.circuits.contains_key(&number) {
                credits.extend([0, 1].into_iter().filter_map(|at| self.give(now, number, at)));
            } else {
                self.end(number);
            }
        }
        credits
    }

    fn pair_at(&mut self, link: LinkId, circuit: Circuit) -> Option<(&mut Pair, usize)> {
        let pair = self.circuits.get_mut(&circuit)?;
        let at = pair.ends.iter().position(|end| end.link == link)?;
        Some((pair, at))
    }

    /// Forgets a circuit, or an ask. Answers the ends that it had.
    fn end(&mut self, number: Circuit) -> Vec<(LinkId, Circuit)> {
        self.crowd.leave(&number);
        self.due.clear(number);
        self.waiting.retain(|_, it| it.number != number);
        let Some(pair) = self.circuits.remove(&number) else { return Vec::new() };
        for end in &pair.ends {
            self.by_link.remove(&(end.link, number));
        }
        pair.ends.iter().map(|end| (end.link, number)).collect()
    }
}

#[cfg(test)]
mod tests;
