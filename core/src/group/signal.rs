//! Carrying connection signals: the offers of members that have no link yet travel over the graph.
//!
//! A signal goes to a node by the way on which that node was heard of: the link over which its presence, or an earlier
//! signal of its, came first. Whose signal it is shows its signature, and who passes on a forged one is to blame. Where no
//! way is known, or the last signals to that node came to nothing, it goes to every neighbour, once. Newcomers that have proved an
//! invitation, and members that were refused for lack of room, may send signals too; that is how they find others.
use super::{Group, SlotState};
use crate::error::Misbehaved;
use crate::id::NodeId;
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::recent::Recent;
use crate::record::Record;
use crate::time::WallTime;
use crate::wire::{self, Signal};
use bytes::Bytes;

/// Signals remembered so that copies are dropped. Guess: some seconds of a busy graph.
const SEEN_MAX: usize = 4_096;
/// Ways remembered. Guess. All are forgotten at the bound, and learnt again.
const ROUTES_MAX: usize = 16_384;
/// A link with so many bytes waiting carries no signals for others. Guess.
const BACKLOG_BYTES: usize = 1024 * 1024;

/// What a signal asks of the node.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was for another, and has been sent on or dropped.
    Carried,
    /// It is for us.
    Ours(Signal),
}

type Name = (NodeId, u64, u32);

/// Signals that passed lately. Only genuine ones: the name of another could be taken.
pub(super) type Seen = Recent<Name, SEEN_MAX>;

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
        if self.signals_seen.knows(&name) {
            return Ok(Verdict::Carried);
        }
        if !signal.is_genuine(self.id, ctx.checks.verify) {
            return Err(Misbehaved::Signal);
        }
        self.signals_seen.note(name);
        if signal.from != ctx.node {
            self.learn(signal.from, link);
        }
        if signal.to == ctx.node {
            return Ok(Verdict::Ours(signal));
        }
        signal.hops = signal.hops.saturating_add(1);
        if signal.hops <= limits::SIGNAL_HOPS_MAX {
            self.pass_on(ctx, links, &signal, Some(link));
        }
        Ok(Verdict::Carried)
    }

    /// Sends a signal of ours.
    pub(crate) fn send_signal(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, signal: &Signal) {
        self.signals_seen.note((signal.from, signal.attempt, signal.number));
        self.pass_on(ctx, links, signal, None);
    }

    fn pass_on(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        signal: &Signal,
        except: Option<LinkId>,
    ) {
        let straight = self.slots.iter().find(|(_, slot)| slot.node == signal.to);
        let known = self.routes.get(&signal.to).copied();
        // What came to nothing may have been swallowed on that way.
        let known = known.filter(|_| except.is_some() || !self.swallowed.contains(&signal.to));
        let way = straight.map(|(&link, _)| link).or(known);
        let now = ctx.now.wall;
        let carries = |&link: &LinkId| Some(link) != except && self.carries_signals(now, link);
        let ways: Vec<LinkId> = match way.filter(carries) {
            Some(link) => vec![link],
            None => {
                let open = |state| {
                    matches!(state, SlotState::Neighbour | SlotState::Idle | SlotState::GuestOf)
                };
                let all = self.slots.iter().filter(|(_, slot)| open(slot.state));
                all.map(|(&link, _)| link).filter(carries).collect()
            }
        };
        for link in ways {
            if let Some(slot) = self.slots.get(&link)
                && links.backlog(link) < BACKLOG_BYTES
            {
                links.send(ctx.now, link, &wire::signal(slot.number, signal), ctx.out);
            }
        }
    }

    /// What became of a link for which our signals went to a node.
    pub(crate) fn signalled(&mut self, to: NodeId, opened: bool) {
        if opened {
            self.swallowed.remove(&to);
        } else if self.swallowed.len() < ROUTES_MAX {
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
            self.learn(node, link);
        }
    }

    fn learn(&mut self, node: NodeId, link: LinkId) {
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        self.routes.insert(node, link);
    }

    /// Ways over a lost link lead nowhere.
    pub(super) fn forget_routes(&mut self, link: LinkId) {
        self.routes.retain(|_, way| *way != link);
    }
}
