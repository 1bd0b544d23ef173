//! Flooding: what goes to which neighbour, and what its answer says.
//!
//! Which neighbours get a record, and which its announcement, see `announce.rs`. All that one input brings goes out as one
//! message of each kind a neighbour. A node that gets a record that it has says so; one that gets a record from its maker says
//! when it is durable. These acknowledgements wait a moment and travel together.
//!
//! A host may want to take a long message in parts, to do other things meanwhile. The node then goes on at the next
//! [`Timeout`](crate::io::Input::Timeout), and before it takes anything else: a part is never overtaken.
//!
//! Both ends of a link keep the same utility: it rises with each record that the link brought first, and decays with
//! each that was only announced on it, or came twice.
use super::batch::Taken;
use super::graph::Slot;
use super::records::Accepted;
use super::tree::Publisher;
use super::waste::units;
use super::{Group, Timer};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{NodeId, RecordId};
use crate::io::{Event, LinkId};
use crate::limits;
use crate::link::Links;
use crate::record::Edition;
use crate::wire::{self, Ack, AckOf, Announced, Wish, Wishes, kind};
use bytes::Bytes;
use std::time::Duration;

/// How long acknowledgements wait for company. Guess: what people still take for at once.
const ACK_DELAY: Duration = Duration::from_millis(100);
/// Acknowledgements in one message. Guess.
const ACKS_MAX: usize = 256;
/// Records of one message end before this. Bytes. Guess: the more come together, the less each signature costs to check.
pub(super) const FLOOD_BYTES: usize = 14 * limits::FRAME_BYTES_MAX;
const _: () = assert!(FLOOD_BYTES + 1024 <= limits::MESSAGE_OVERHEAD_BYTES_MAX);
/// The step by which a useful flood raises a link's utility. Source: reference 2.1; always useful tends to 4096.
const UTILITY_STEP: u32 = 128;

/// All that one input queued for one neighbour.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) wanted: Vec<RecordId>,
    /// Whether an empty request goes out.
    pub(super) hurry: bool,
    announced: Vec<Announced>,
    announced_large: Vec<Announced>,
    pub(super) records: Vec<Bytes>,
    /// Records that were not let in, by short id.
    pub(super) declined: Vec<u64>,
    /// Whether the broadcasts of these nodes are wanted.
    pub(super) wishes: Vec<(NodeId, bool)>,
}

/// The records of one flood that are not taken yet.
pub(super) struct Rest {
    link: LinkId,
    records: std::vec::IntoIter<Bytes>,
}

impl Outgoing {
    pub(super) fn announce(&mut self, announced: Announced, large: bool) {
        if large { &mut self.announced_large } else { &mut self.announced }.push(announced);
    }
}

impl Group {
    /// Queues a record for one neighbour, unless it is queued as the last one already.
    pub(super) fn flood_to(&mut self, link: LinkId, record: Bytes) {
        let records = &mut self.outgoing.entry(link).or_default().records;
        if records.last() != Some(&record) {
            records.push(record);
        }
    }

    /// Sends what this input queued.
    pub(crate) fn flush_floods(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        while let Some((link, outgoing)) = self.outgoing.pop_first() {
            let Some(slot) = self.slots.get(&link) else { continue };
            for ids in outgoing.wanted.chunks(limits::PAGE_MAX) {
                let held = |id: RecordId| {
                    self.meta(id).map_or_else(Edition::default, |(_, meta)| meta.edition())
                };
                let wishes: Vec<Announced> =
                    ids.iter().map(|&id| Announced { id, edition: held(id) }).collect();
                links.send(ctx.now, link, &wire::request(slot.number, &wishes), ctx.out);
            }
            if outgoing.hurry {
                links.send(ctx.now, link, &wire::request(slot.number, &[]), ctx.out);
            }
            for (announced, large) in
                [(&outgoing.announced, false), (&outgoing.announced_large, true)]
            {
                for announced in announced.chunks(limits::PAGE_MAX) {
                    let message = wire::announce(slot.number, announced, large);
                    links.send(ctx.now, link, &message, ctx.out);
                }
            }
            for shorts in outgoing.declined.chunks(limits::PAGE_MAX) {
                links.send(ctx.now, link, &wire::decline(slot.number, shorts), ctx.out);
            }
            for some in outgoing.wishes.chunks(limits::PAGE_MAX) {
                let of = some.iter().map(|&(node, wanted)| Wish { node, wanted }).collect();
                let message =
                    wire::graph_message(kind::BROADCAST_WISHES, slot.number, &Wishes { of });
                links.send(ctx.now, link, &message, ctx.out);
            }
            let mut rest = &outgoing.records[..];
            while !rest.is_empty() {
                let mut bytes = 0;
                let fits = rest.iter().take_while(|record| {
                    bytes += record.len();
                    bytes <= FLOOD_BYTES
                });
                let count = fits.count().clamp(1, limits::FLOOD_RECORDS_MAX);
                let (now, later) = rest.split_at(count);
                links.send(ctx.now, link, &wire::flood(slot.number, now), ctx.out);
                rest = later;
            }
        }
    }

    pub(super) fn on_flood(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let records = wire::decode_flood(body)?.into_iter();
        self.take_part(ctx, Rest { link, records })
    }

    /// Whether a flood is taken only in part.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Goes on with a flood that is taken only in part. Says who sent it, and the fault of the part.
    pub(crate) fn take_rest(&mut self, ctx: &mut Ctx<'_>) -> Option<(LinkId, Misbehaved)> {
        let rest = self.rest.take().filter(|rest| self.is_neighbour(rest.link))?;
        let link = rest.link;
        self.take_part(ctx, rest).err().map(|fault| (link, fault))
    }

    fn take_part(&mut self, ctx: &mut Ctx<'_>, mut rest: Rest) -> Result<(), Misbehaved> {
        let link = rest.link;
        let count = ctx.config.records_at_once.max(1);
        let records: Vec<Bytes> = rest.records.by_ref().take(count).collect();
        let bytes = records.iter().map(Bytes::len).sum();
        let (taken, mut result) = self.take_all(ctx, link, records, Some(link));
        if taken.iter().any(|it| it.outcome == Accepted::New)
            && let Some(slot) = self.slots.get_mut(&link)
        {
            slot.sync.came(bytes);
        }
        for Taken { outcome, id, .. } in taken {
            match outcome {
                Accepted::New => self.used(link, true),
                Accepted::Known(version) => {
                    let keeps = self.trees.keeps(Publisher::of(id), link);
                    self.used(link, keeps);
                    self.ack_when_durable(ctx, link, id, version, keeps);
                }
                Accepted::Old => {
                    // Its sender learns of ours; that is its acknowledgement.
                    self.used(link, false);
                    if !self.is_useless(link, id)
                        && let Some(bytes) = self.bytes_at_hand(ctx, id)
                    {
                        result = result.and(self.note_waste(ctx, link, units(bytes.len())));
                        self.flood_to(link, bytes);
                    }
                }
                Accepted::Later => self.await_later(ctx, id),
                Accepted::PutOff => {
                    self.forget_awaited(id);
                    self.put_off = true;
                    self.lacks();
                }
                Accepted::Refused => {}
                Accepted::OverQuota { .. } => self.forget_awaited(id),
                Accepted::Withheld(digest) => {
                    self.forget_awaited(id);
                    self.decline(link, id, digest);
                }
            }
        }
        if result.is_ok() && rest.records.len() > 0 {
            self.rest = Some(rest);
        }
        result
    }

    /// Acknowledges a record that we have: to its maker, who counts who holds it, not before it is durable.
    pub(super) fn ack_when_durable(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        id: RecordId,
        version: u64,
        useful: bool,
    ) {
        let Some((_, meta)) = self.meta(id) else { return };
        let maker = meta.modifier().unwrap_or(meta.creator());
        let waits = self.is_from(link, maker) && self.writing.owe(link, id, version, useful);
        if !waits {
            self.ack(ctx, link, id, version, useful);
        }
    }

    /// Notes an acknowledgement for the neighbour that sent a record.
    pub(super) fn ack(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        id: RecordId,
        version: u64,
        useful: bool,
    ) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.acks.push(AckOf { id, version, useful });
            self.timers.set_if_unarmed(Timer::Acks, ctx.now.mono.after(ACK_DELAY));
        }
    }

    pub(super) fn send_acks(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for (&link, slot) in &mut self.slots {
            for acks in std::mem::take(&mut slot.acks).chunks(ACKS_MAX) {
                let message =
                    wire::graph_message(kind::ACK, slot.number, &Ack { acks: acks.to_vec() });
                links.send(ctx.now, link, &message, ctx.out);
            }
        }
    }

    pub(super) fn on_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Ack { acks } = wire::decode(body)?;
        if acks.len() > ACKS_MAX {
            return Err(Misbehaved::TooMuch);
        }
        for AckOf { id, version, useful } in acks {
            if !useful {
                self.trees.disown(Publisher::of(id), link);
                if let Some(slot) = self.slots.get_mut(&link) {
                    // It counted as useful when it was sent.
                    slot.utility = slot.utility.saturating_sub(UTILITY_STEP);
                }
            }
            self.held(ctx, link, id, version);
        }
        Ok(())
    }

    /// A neighbour holds a record of ours.
    pub(super) fn held(&mut self, ctx: &mut Ctx<'_>, link: LinkId, id: RecordId, version: u64) {
        let Some(node) = self.slots.get(&link).map(|slot| slot.node) else { return };
        if self.tracked.held(id, version, node) {
            self.tell_held(ctx, id);
        }
    }

    /// Tells how many hold a record of ours, once we hold it ourselves.
    pub(super) fn tell_held(&self, ctx: &mut Ctx<'_>, id: RecordId) {
        let held_by = self.tracked.holders(id);
        if held_by > 0 && !self.writing.contains(id) {
            let held_by = u32::try_from(held_by).unwrap_or(u32::MAX);
            let group = self.id;
            self.event(ctx, Event::Status { group, id, held_by });
        }
    }

    /// How useful a link is to this graph.
    pub(crate) fn utility_of(&self, link: LinkId) -> u32 {
        self.slots.get(&link).map_or(0, |slot| slot.utility)
    }

    fn used(&mut self, link: LinkId, useful: bool) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.used(useful);
        }
    }
}

impl Slot {
    /// A record passed this link, or only its announcement.
    pub(super) fn used(&mut self, useful: bool) {
        self.utility -= self.utility / 32;
        if useful {
            self.utility += UTILITY_STEP;
        }
    }
}
