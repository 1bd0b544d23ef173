//! Carrying connection signals: the offers of members that have no link yet travel over the graph.
//!
//! ```text
//!   bob ──search──► every neighbour ──► … ──► cleo      where no way is known: nothing is carried
//!   bob ◄── a ◄── b ◄────────found──────────── cleo      the way on which the search came first
//!   bob ──► a ──► b ──────offer, candidates──► cleo
//! ```
//!
//! A signal goes to a node by the way on which that node was heard of: the link over which its presence, or an earlier
//! signal of its, came last. The signature of a signal shows whose it is, and who passes on a forged one is to blame. Where no
//! way is known the origin asks for one: only searches go to everybody, and they carry nothing. If the last signals to a node
//! came to nothing, something on the way may have swallowed them: they go to every neighbour then, each of which knows a way of
//! its own, and a search beside them. A node that knows no way carries no content.
//!
//! Newcomers that have proved an invitation, and members that were refused for lack of room, may send signals too; that is
//! how they find others. How much of whom is carried is the matter of `carriage.rs`.
use super::carriage::Bill;
use super::{Group, SlotState};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::NodeId;
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::recent::Recent;
use crate::record::Record;
use crate::sorted::SortedMap;
use crate::time::{Now, WallTime};
use crate::wire::{self, Signal};
use bytes::Bytes;

/// Signals remembered so that copies are dropped. Guess: some seconds of a busy graph.
const SEEN_MAX: usize = 4_096;
/// Nodes to which signals came to nothing that are remembered. Guess.
const SWALLOWED_MAX: usize = 16_384;
/// A link with so many bytes waiting carries no signals for others. Guess.
const BACKLOG_BYTES: usize = 1024 * 1024;

/// The task that a signal leaves to the node.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was for another, and has been sent on or dropped.
    Carried,
    /// It is for us.
    Ours(Signal),
    /// Somebody looks for us.
    Sought(Signal),
}

type Name = (NodeId, u64, u32);

/// Signals that passed lately. Only genuine ones: the name of another could be taken.
pub(super) type Seen = Recent<Name, SEEN_MAX>;

/// Signals of ours that wait until the way to their node is found, by node and attempt.
pub(super) type Sought = SortedMap<(NodeId, u64), Vec<Signal>>;

impl Group {
    pub(super) fn on_signal(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<Verdict, Misbehaved> {
        let mut signal = wire::decode_signal(body)?;
        // The other end need not know that we have put it out, or that its time is over.
        if !self.carries_signals(ctx.now.wall, link) {
            return Ok(Verdict::Carried);
        }
        let name = (signal.from, signal.attempt, signal.number);
        let Some(bringer) = self.slots.get(&link).map(|slot| slot.peer) else {
            return Ok(Verdict::Carried);
        };
        // A node that asks after us may have kept its question back since others brought it.
        let asks_after_us = signal.is_loss() && signal.to == ctx.node;
        if self.signals_seen.knows(&name) && !asks_after_us || !self.may_be_news(ctx, &signal) {
            return Ok(Verdict::Carried);
        }
        let origin = signal.origin.peer().ok_or(Misbehaved::Signal)?;
        let member = self.knows_member(origin, ctx.now.wall);
        let bill = Bill { bringer, origin, member };
        if !self.carriage.has_room(ctx.now.mono, bill) {
            return Ok(Verdict::Carried);
        }
        if !signal.is_genuine(self.id, ctx.checks.verify) {
            return Err(Misbehaved::Signal);
        }
        self.carriage.carried(ctx.now.mono, bill);
        if signal.from != ctx.node {
            self.routes.called(signal.from, origin, link);
        }
        if signal.is_loss() || signal.is_life() {
            if member {
                self.on_sign(ctx, links, link, signal);
            }
            return Ok(Verdict::Carried);
        }
        if signal.to == ctx.node {
            self.signals_seen.note(name);
            if signal.is_found() {
                self.found(ctx, links, signal.from);
                return Ok(Verdict::Carried);
            }
            let sought = signal.is_search();
            return Ok(if sought { Verdict::Sought(signal) } else { Verdict::Ours(signal) });
        }
        signal.hops = signal.hops.saturating_add(1);
        if signal.hops <= limits::SIGNAL_HOPS_MAX {
            let ways = self.ways(ctx.now, links, &signal, Some(link));
            // A signal that finds no way here may come again, and find one.
            if !ways.is_empty() {
                self.signals_seen.note(name);
            }
            self.carry(ctx, links, &signal, ways);
        }
        Ok(Verdict::Carried)
    }

    /// Sends a signal of ours, or keeps it until a way is found. Whether it is to be [searched](Self::search) for.
    pub(crate) fn send_signal(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        signal: Signal,
    ) -> bool {
        let attempt = (signal.to, signal.attempt);
        let swallowed = self.swallowed.contains(&signal.to);
        let mut ways = self.ways(ctx.now, links, &signal, None);
        let known = !ways.is_empty() && !swallowed;
        if swallowed && !self.is_beside(ctx.now, links, signal.to) {
            ways = self.everywhere(ctx.now.wall, None);
        }
        self.signals_seen.note((signal.from, signal.attempt, signal.number));
        self.carry(ctx, links, &signal, ways);
        if known {
            return false;
        }
        if let Some(waiting) = self.sought.get_mut(&attempt) {
            waiting.push(signal);
            return false;
        }
        let room = self.sought.len() < limits::SOUGHT_MAX;
        if room {
            self.sought.insert(attempt, vec![signal]);
        }
        room
    }

    /// Asks everybody for the way to a node.
    pub(crate) fn search(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, search: &Signal) {
        self.signals_seen.note((search.from, search.attempt, search.number));
        let ways = self.everywhere(ctx.now.wall, None);
        self.carry(ctx, links, search, ways);
    }

    /// Answers a search of another.
    pub(crate) fn send_found(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, found: &Signal) {
        self.signals_seen.note((found.from, found.attempt, found.number));
        let ways = self.ways(ctx.now, links, found, None);
        self.carry(ctx, links, found, ways);
    }

    /// A node answers our search: what waits for it goes the way on which the answer came.
    fn found(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, node: NodeId) {
        self.swallowed.remove(&node);
        for attempt in self.attempts_at(node) {
            for signal in self.sought.remove(&attempt).unwrap_or_default() {
                let ways = self.ways(ctx.now, links, &signal, None);
                self.carry(ctx, links, &signal, ways);
            }
        }
    }

    fn attempts_at(&self, node: NodeId) -> Vec<(NodeId, u64)> {
        self.sought.range((node, 0)..=(node, u64::MAX)).map(|(&attempt, _)| attempt).collect()
    }

    /// Over which links a signal goes that came over `except`: over the one that leads to its node. A search goes over all
    /// where none is known. A link that does not answer is no way.
    fn ways(
        &self,
        now: Now,
        links: &Links,
        signal: &Signal,
        except: Option<LinkId>,
    ) -> Vec<LinkId> {
        let carries = |link: &LinkId| {
            Some(*link) != except
                && self.carries_signals(now.wall, *link)
                && !links.is_doubted(now, *link)
        };
        let straight = self.slots.iter().filter(|(_, slot)| slot.node == signal.to);
        let straight = straight.map(|(&link, _)| link).find(|link| !links.is_doubted(now, *link));
        match straight.or(self.routes.way(signal.to)).filter(carries) {
            Some(link) => vec![link],
            None if signal.is_search() => self.everywhere(now.wall, except),
            None => Vec::new(),
        }
    }

    /// All links over which others may be found.
    pub(super) fn everywhere(&self, now: WallTime, except: Option<LinkId>) -> Vec<LinkId> {
        let open =
            |state| matches!(state, SlotState::Neighbour | SlotState::Idle | SlotState::GuestOf);
        let all = self.slots.iter().filter(|(_, slot)| open(slot.state));
        let carries = |&link: &LinkId| Some(link) != except && self.carries_signals(now, link);
        all.map(|(&link, _)| link).filter(carries).collect()
    }

    /// Whether a link leads straight to a node.
    fn is_beside(&self, now: Now, links: &Links, node: NodeId) -> bool {
        let mut leads = self.slots.iter().filter(|(_, slot)| slot.node == node);
        leads.any(|(&link, _)| self.carries_signals(now.wall, link) && !links.is_doubted(now, link))
    }

    pub(super) fn carry(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        signal: &Signal,
        ways: Vec<LinkId>,
    ) {
        for link in ways {
            if let Some(slot) = self.slots.get(&link)
                && links.backlog(link) < BACKLOG_BYTES
            {
                links.send(ctx.now, link, &wire::signal(slot.number, signal), ctx.out);
            }
        }
    }

    /// Notes what became of a link for which our signals went to a node.
    pub(crate) fn signalled(&mut self, to: NodeId, opened: bool) {
        for attempt in self.attempts_at(to) {
            self.sought.remove(&attempt);
        }
        if opened {
            self.swallowed.remove(&to);
        } else if self.swallowed.len() < SWALLOWED_MAX {
            self.swallowed.insert(to);
        }
    }

    /// Whether a signal of ours could get anywhere.
    pub(super) fn can_signal(&self) -> bool {
        self.slots.values().any(|slot| slot.state.has_signals())
    }

    /// Whether signals pass over a link: not to or from a member whose membership no longer stands, nor a guest that was put
    /// out before.
    fn carries_signals(&self, wall: WallTime, link: LinkId) -> bool {
        let Some(slot) = self.slots.get(&link).filter(|slot| slot.state.has_signals()) else {
            return false;
        };
        let now = self.clock(wall);
        if slot.state == SlotState::Guest {
            !self.is_put_out(slot.peer, now)
        } else {
            !self.has_fallen(slot, now)
        }
    }

    /// A presence record shows the way to its node.
    pub(super) fn learn_route(&mut self, record: &Record, link: LinkId) {
        if let Some(node) = self.present_by(record.id) {
            self.routes.present(node, link);
        }
    }
}
