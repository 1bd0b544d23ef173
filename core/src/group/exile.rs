//! Coming back: who was revoked and is taken back is among us again soon.
//!
//! Nobody tells the revoked one, since nobody keeps a link to it. So both ends see to it. Its neighbours of then, and whoever
//! takes it back, dial it as soon as they know that it stands again: over that link it learns so. And it asks by itself,
//! soon after the revocation first and then ever more rarely; that is for browsers, which nobody can dial, and those whom
//! nobody remembers.
use super::{Group, SlotState, Timer};
use crate::address::Address;
use crate::group::Ctx;
use crate::id::{NodeId, PeerId};
use crate::limits;
use crate::link::Links;
use crate::roll::Standing;
use std::collections::VecDeque;
use std::time::Duration;

/// A member that was revoked asks again after this; each time it waits twice as long, at most so long. Guesses: a mistake is
/// often seen at once; and who is never taken back costs others a handshake now and then.
const ASK_FIRST: Duration = Duration::from_secs(5);
const ASK_LAST: Duration = Duration::from_secs(300);

/// The nodes that had to go, and our own asking if we had to.
#[derive(Default)]
pub(super) struct Exiles {
    nodes: VecDeque<Exile>,
    /// How often we asked.
    asked: u32,
}

impl Exiles {
    /// Where they were.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.nodes.iter().flat_map(|exile| &exile.addresses)
    }
}

struct Exile {
    node: NodeId,
    peer: PeerId,
    addresses: Vec<Address>,
    /// Whether it is for us to dial it.
    ours: bool,
}

impl Group {
    /// A node that can be dialled is out, as it does not stand. `near` if it was our neighbour.
    pub(super) fn exile(
        &mut self,
        node: NodeId,
        peer: PeerId,
        addresses: Vec<Address>,
        near: bool,
    ) {
        let nodes = &mut self.exiles.nodes;
        let known = nodes.iter().position(|exile| exile.node == node);
        let known = known.and_then(|at| nodes.remove(at));
        let ours = near || known.as_ref().is_some_and(|exile| exile.ours);
        let addresses = match known {
            Some(exile) if addresses.is_empty() => exile.addresses,
            Some(_) | None => addresses,
        };
        if !addresses.is_empty() {
            nodes.push_back(Exile { node, peer, addresses, ours });
        }
        if nodes.len() > limits::EXILES_MAX {
            nodes.pop_front();
        }
    }

    /// We take a peer back: it is for us to tell it.
    pub(super) fn will_call_back(&mut self, peer: PeerId) {
        for exile in self.exiles.nodes.iter_mut().filter(|exile| exile.peer == peer) {
            exile.ours = true;
        }
    }

    /// Dials those that stand again.
    pub(super) fn call_back(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let (now, roll) = (self.clock(ctx.now.wall), &self.roll);
        let stands = |peer| {
            roll.best_of(peer, now).is_some_and(|best| roll.standing(best, now) == Standing::Member)
        };
        let (back, out): (VecDeque<Exile>, _) = std::mem::take(&mut self.exiles.nodes)
            .into_iter()
            .partition(|exile| stands(exile.peer));
        self.exiles.nodes = out;
        for exile in back.into_iter().filter(|exile| exile.ours).take(limits::ATTEMPTS_MAX) {
            match links.to_node(exile.node) {
                Some(link) if self.slots.contains_key(&link) => self.connect_idle(ctx, links, link),
                Some(link) => self.open_on(ctx, links, link),
                None => self.wish_for(ctx, exile.node, exile.addresses),
            }
        }
    }

    /// We were revoked, and ask soon whether that still holds.
    pub(super) fn ask_soon(&mut self, ctx: &mut Ctx<'_>) {
        self.exiles.asked = 0;
        let wait = Self::jitter(ctx, ASK_FIRST);
        self.timers.set(Timer::Maintain, ctx.now.mono.after(wait));
    }

    /// Asks over a link that is there whether we stand again; where there is none, one is looked for as ever. Answers how long
    /// to wait before the next time.
    pub(super) fn ask_to_return(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) -> Duration {
        let mut idle = self.slots.iter().filter(|(_, slot)| slot.state == SlotState::Idle);
        if let Some((&link, _)) = idle.next() {
            self.connect_idle(ctx, links, link);
        }
        self.exiles.asked = self.exiles.asked.saturating_add(1);
        ASK_FIRST.saturating_mul(1 << self.exiles.asked.min(10)).min(ASK_LAST)
    }
}
