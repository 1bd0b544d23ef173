//! Direct links: from one member's node to another's, for messages, calls and streams of applications.
//!
//! ```text
//!   asker                                           the other end
//!   Open ── a link to the node: there, dialled, ──►
//!           offered over the graph, or relayed
//!        ── ASK: number, group, chain, purpose ───► chain verified; policy, or the application, decides
//!        ◄──────────── AGREED: chain ────────────── Connected
//!   Connected                     ◄── frames ──►
//!        ◄──────────── END: reason ───────────────► either end, at any time
//! ```
//!
//! 1. **Who.** Both ends show their membership over a link whose handshake has proved their identities; it must stand, and go on
//!    to stand. The asker knows its peer to be a member before it asks, so that nobody else learns of the group. The words
//!    of the other end, its purpose included, are for people.
//! 2. **Both agree.** A node asks its application, unless [`DirectAdmit`] has decided. Nothing but the answer passes before.
//! 3. **Which link.** A direct link uses whatever link joins the two nodes, with graphs on it or not. It never floods, and its
//!    node is no neighbour by it. A link of its own is found as graphs find theirs, and goes when nothing needs it.
//! 4. **Names.** The asker draws a number; with the other node, which the handshake proves, it names the direct link on every
//!    link between the two. So it outlives a link if another one follows within [`limits::DIRECT_APART_MAX`]:
//!    frames are numbered and kept until they are acknowledged (`direct/end.rs`), and each comes once and in order.
//! 5. **Channels** (`direct/channel.rs`): number 0 for messages, then one for each call and stream; even numbers are of
//!    the asker, odd ones of the other. A channel is over when both ends have said so. Each has credit, which the
//!    application's taking renews: a slow application stops its peer, and nobody else.
//! 6. **Small before large.** Messages and calls go first, and streams only while little waits for their link, in turn, and
//!    no faster than their path carries them without a queue (`direct/pace.rs`).
//! 7. The application takes what comes (messages, calls, streams, bytes) when it wants it; nothing is pushed but the news that
//!    somebody asks, and that a direct link is open or over. So all that waits is bounded here, once for all hosts.
//! 8. **Bounds** stand in [`limits`]: direct links by peer and by group, questions by peer and time, channels, bytes that wait
//!    in either direction. An end that goes beyond what it was given, or out of order, loses the link and the direct link.
use crate::budget::Accounts;
use crate::fault::Misbehaved;
use crate::group::{Ctx, Group};
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::{DirectAdmit, DirectChange, DirectError, DirectId, Event, LinkId, Outbox, Output};
use crate::limits;
use crate::link::Links;
use crate::share::{Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Deadlines, Now, Time};
use crate::wire::{self, DirectAck, DirectReason};
use bytes::Bytes;
use std::time::Duration;

mod asking;
mod channel;
mod commands;
mod end;
mod pace;
mod served;

use end::{Came, End, Hand, MESSAGES, State};
use served::Served;

/// Milliseconds in a second: questions are forgiven at the pace of time.
const MS_PER_SECOND: u64 = 1_000;
/// Direct links that are over and of which frames may still be under way that are remembered. Guess: all of some peers.
const GONE_MAX: usize = 256;

/// The direct links of a node.
pub(crate) struct Direct {
    ends: SortedMap<DirectId, End>,
    by_number: SortedMap<(NodeId, u64), DirectId>,
    of_peers: Shares<PeerId>,
    of_groups: Shares<GroupId>,
    asks: Accounts,
    admits: SortedMap<GroupId, DirectAdmit>,
    served: Served,
    /// The deadlines of each: 0 for itself, else the call of that number.
    due: Deadlines<(DirectId, u32)>,
    /// Those that may have something to send.
    dirty: SortedSet<DirectId>,
    /// The cost of frames that may still come of those that are over.
    gone: SortedMap<(NodeId, u64), u64>,
}

impl Default for Direct {
    fn default() -> Self {
        Self {
            ends: SortedMap::new(),
            by_number: SortedMap::new(),
            of_peers: Shares::new(limits::DIRECT_LINKS),
            of_groups: Shares::new(limits::DIRECT_LINKS_OF_GROUP),
            asks: Accounts::new(MS_PER_SECOND),
            admits: SortedMap::new(),
            served: Served::default(),
            due: Deadlines::default(),
            dirty: SortedSet::new(),
            gone: SortedMap::new(),
        }
    }
}

impl Direct {
    /// Whether a direct link needs this link to stay.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        self.ends.values().any(|end| end.link == Some(link))
    }

    /// The group of a direct link that uses this link.
    pub(crate) fn group_over(&self, link: LinkId) -> Option<GroupId> {
        self.ends.values().find(|end| end.link == Some(link)).map(|end| end.group)
    }

    /// When something is [due](Self::pop_due).
    pub(crate) fn deadline(&self) -> Option<(Time, &'static str)> {
        self.due.next().map(|(at, _)| (at, "direct link"))
    }

    /// The next thing that is due: the direct link, its group, and the call, 0 for none.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(DirectId, GroupId, u32)> {
        loop {
            let (id, call) = self.due.pop_due(now)?;
            if let Some(end) = self.ends.get(&id) {
                return Some((id, end.group, call));
            }
        }
    }

    /// The group of a direct link.
    pub(crate) fn group_of(&self, id: DirectId) -> Option<GroupId> {
        self.ends.get(&id).map(|end| end.group)
    }

    fn tell(&self, id: DirectId, change: DirectChange, out: &mut Outbox) {
        if let Some(end) = self.ends.get(&id) {
            out.push_back(Output::Event(Event::Direct { direct: end.info(), change }));
        }
    }

    /// Takes up a direct link, if there is room.
    fn add(&mut self, end: End) -> Result<(), DirectError> {
        let (of_peers, of_groups) = (&mut self.of_peers, &mut self.of_groups);
        of_peers.fits(&end.peer, 1, Rank::Junior).map_err(|_| DirectError::TooMany)?;
        of_groups.take(&end.group, 1, Rank::Junior).map_err(|_| DirectError::TooMany)?;
        of_peers.book(&end.peer, 1);
        self.by_number.insert((end.node, end.number), end.id);
        self.ends.insert(end.id, end);
        Ok(())
    }

    /// A direct link is over. `reason`: what its other end is told.
    fn remove(
        &mut self,
        id: DirectId,
        why: &DirectError,
        reason: Option<(DirectReason, Option<String>)>,
        hand: &mut Hand<'_>,
    ) {
        let Some(mut end) = self.ends.remove(&id) else { return };
        self.by_number.remove(&(end.node, end.number));
        self.of_peers.give_back(&end.peer, 1);
        self.of_groups.give_back(&end.group, 1);
        self.dirty.remove(&id);
        self.due.clear((id, MESSAGES));
        for call in end.channels.keys() {
            self.due.clear((id, *call));
        }
        self.served.forget(id);
        if self.gone.len() >= GONE_MAX {
            self.gone.pop_first();
        }
        self.gone.insert((end.node, end.number), limits::DIRECT_UNACKNOWLEDGED_MAX);
        if let (Some(link), Some((reason, words))) = (end.link, reason) {
            let message = wire::direct_end(end.number, reason, words);
            hand.links.send(hand.now, link, &message, hand.out);
        }
        let told = end.request.is_none();
        let direct = end.info();
        end.end(why, hand.out);
        // The application that asked to open it has the answer already.
        if told {
            let change = DirectChange::Closed(why.clone());
            hand.out.push_back(Output::Event(Event::Direct { direct, change }));
        }
    }

    /// Ends all direct links of a group, which this node leaves.
    pub(crate) fn leave(
        &mut self,
        group: GroupId,
        why: &DirectError,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
    ) {
        let of = self.ends.values().filter(|end| end.group == group).map(|end| end.id);
        let reason = if *why == DirectError::NotStanding {
            DirectReason::NotStanding
        } else {
            DirectReason::Leaving
        };
        for id in of.collect::<Vec<_>>() {
            let hand = &mut Hand { now, links, out };
            self.remove(id, why, Some((reason, None)), hand);
        }
        self.served.leave(group, out);
        self.admits.remove(&group);
    }

    /// Memberships of a group have changed: ends what no longer stands.
    pub(crate) fn review(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, group: &Group) {
        let of = self.ends.values().filter(|end| end.group == group.id);
        let fallen =
            |end: &&End| end.chain.as_ref().is_some_and(|chain| !group.stands(chain, ctx.now.wall));
        let ours = group.standing_chain(ctx).is_ok();
        let fallen: Vec<DirectId> =
            of.filter(|end| !ours || fallen(end)).map(|end| end.id).collect();
        for id in fallen {
            let hand = &mut Hand { now: ctx.now, links, out: &mut *ctx.ambient.out };
            let reason = Some((DirectReason::NotStanding, None));
            self.remove(id, &DirectError::NotStanding, reason, hand);
        }
    }

    // --- links ---------------------------------------------------------------------------------------

    /// A link is lost. Those that used it go on over another one to the same node, if there is one, or wait for one. Answers
    /// those that have to look for one, with their groups.
    pub(crate) fn link_down(
        &mut self,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
        link: LinkId,
        heir: Option<LinkId>,
    ) -> Vec<(DirectId, GroupId)> {
        let mut seek = Vec::new();
        for (&id, end) in &mut self.ends {
            if let Some(seeking) = &mut end.seeking
                && let Some(at) = seeking.offered.iter().position(|it| *it == link)
            {
                seeking.offered.swap_remove(at);
                if heir.is_none() {
                    self.due.set_earlier((id, MESSAGES), now.mono);
                }
            }
            if end.link != Some(link) {
                continue;
            }
            end.link = None;
            self.dirty.insert(id);
            match (end.state, heir) {
                (State::Open, Some(heir)) => {
                    let hand = &mut Hand { now, links: &mut *links, out: &mut *out };
                    end.move_to(heir, hand, true);
                }
                // Asked anew by the other end.
                (State::Asked, heir) => end.link = heir,
                (State::Asking | State::Open, _) if end.ours => seek.push((id, end.group)),
                (State::Asking | State::Open, _) => {
                    self.due.set((id, MESSAGES), now.mono.after(limits::DIRECT_APART_MAX));
                }
            }
        }
        seek
    }

    /// The transport of a link has taken something.
    pub(crate) fn drained(&mut self, link: LinkId) {
        let over = self.ends.iter().filter(|(_, end)| end.link == Some(link));
        let over: Vec<DirectId> = over.map(|(&id, _)| id).collect();
        self.dirty.extend(over);
    }

    /// Sends what can be sent: the small first, then a part of each stream in turn.
    pub(crate) fn send(&mut self, now: Now, links: &mut Links, out: &mut Outbox) {
        if self.dirty.is_empty() {
            return;
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        let hand = &mut Hand { now, links, out };
        for id in &dirty {
            if let Some(end) = self.ends.get_mut(id) {
                end.send_small(hand);
            }
        }
        while !dirty.is_empty() {
            let ends = &mut self.ends;
            dirty.retain(|id| ends.get_mut(id).is_some_and(|end| end.send_bulk(hand)));
        }
    }

    // --- messages ------------------------------------------------------------------------------------

    fn at(&self, link: LinkId, number: u64, links: &Links) -> Option<DirectId> {
        let ready = links.ready(link)?;
        let id = *self.by_number.get(&(ready.node, number))?;
        self.ends.get(&id).filter(|end| end.peer == ready.peer).map(|end| end.id)
    }

    /// Something came of a direct link that is over. Whether it was paid for: it may have been under way.
    fn late(&mut self, link: LinkId, number: u64, cost: u64, links: &Links) -> bool {
        let Some(node) = links.ready(link).map(|ready| ready.node) else { return false };
        let Some(left) = self.gone.get_mut(&(node, number)) else { return false };
        let paid = *left >= cost;
        *left = left.saturating_sub(cost);
        paid
    }

    /// Takes a frame. Whether it was paid for: any other is a word.
    pub(crate) fn on_frame(
        &mut self,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
        link: LinkId,
        message: &Bytes,
    ) -> Result<bool, Misbehaved> {
        let frame = wire::decode_direct_frame(message)?;
        let Some(id) = self.at(link, frame.number, links) else {
            return Ok(self.late(link, frame.number, frame.part.cost(), links));
        };
        let Some(end) = self.ends.get_mut(&id) else { return Ok(false) };
        self.dirty.insert(id);
        let came = end.on_frame(frame, out);
        let (group, peer, node) = (end.group, end.peer, end.node);
        match came {
            Ok((paid, Came::Nothing)) => Ok(paid),
            Ok((paid, Came::Over(call))) => {
                self.served.over(id, call);
                self.due.clear((id, call));
                Ok(paid)
            }
            Ok((paid, Came::Call(call, open))) => {
                let halt = self.served.came(group, (id, call), (peer, node), open, out);
                if let (Some((halt, why)), Some(end)) = (halt, self.ends.get_mut(&id)) {
                    end.reset(call, halt, None, &why, out);
                }
                Ok(paid)
            }
            Err(fault) => {
                let hand = &mut Hand { now, links, out };
                self.remove(id, &DirectError::Broken, None, hand);
                Err(fault)
            }
        }
    }

    /// Takes an acknowledgement. Whether it was paid for.
    pub(crate) fn on_ack(
        &mut self,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
        link: LinkId,
        body: &[u8],
    ) -> Result<bool, Misbehaved> {
        let ack: DirectAck = wire::decode(body)?;
        let Some(id) = self.at(link, ack.number, links) else {
            if ack.moved == Some(true) {
                let unknown = wire::direct_end(ack.number, DirectReason::Unknown, None);
                links.send(now, link, &unknown, out);
                return Ok(false);
            }
            return Ok(self.late(link, ack.number, limits::DIRECT_FRAME_COSTS, links));
        };
        let Some(end) = self.ends.get_mut(&id) else { return Ok(false) };
        self.dirty.insert(id);
        let hand = &mut Hand { now, links, out };
        match end.on_ack(now.mono, &ack, hand.out) {
            Ok(news) => {
                if ack.moved == Some(true) && end.state == State::Open {
                    if end.link != Some(link) {
                        self.due.clear((id, MESSAGES));
                        end.move_to(link, hand, false);
                    }
                    end.go_on();
                }
                Ok(news)
            }
            Err(fault) => {
                self.remove(id, &DirectError::Broken, None, hand);
                Err(fault)
            }
        }
    }

    /// A call is due: its time is over.
    pub(crate) fn call_due(&mut self, id: DirectId, call: u32, out: &mut Outbox) {
        if let Some(end) = self.ends.get_mut(&id).filter(|end| end.is_awaited(call)) {
            self.dirty.insert(id);
            end.reset(call, wire::DirectHalt::TimedOut, None, &DirectError::TimedOut, out);
        }
    }
}
