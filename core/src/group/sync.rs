//! Sync: two stores become equal at a cost set by their difference.
//!
//! The classes of records are compared one after another, each by range fingerprints (`reconcile.rs`):
//!
//! ```text
//! opener                                     other
//!   SYNC(class, first, ranges) ────────────►
//!                              ◄────────────  SYNC(class, ranges)     … until one side finds nothing to add
//!   WANT(ids), FLOOD(records)  ◄───────────►  WANT(ids), FLOOD(records)
//!   SYNC_END(answered)         ◄───────────►  SYNC_END(answered)
//! ```
//!
//! `SYNC_END` travels behind all records that its sender owed; `answered` counts the receiver's `WANT`s among them. A side
//! is done with a class when the comparison is over and all its `WANT`s are answered. Records come as ordinary floods and
//! travel on as such. While a neighbour reads slowly, what it is owed stays on disk.
use super::graph::Slot;
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::id::RecordId;
use crate::io::{Event, LinkId, StoreTask, SyncPhase};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::reconcile;
use crate::storage::{self, Class, Pending};
use crate::wire::{self, Sync, SyncEnd, Want, kind};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Stores are compared again this often on every link, in case anything was ever missed. Guess.
const SAFETY_NET_EVERY: Duration = Duration::from_secs(120);
/// Records read from disk at once for one neighbour. Guess.
const GIVE_AT_ONCE: usize = 64;
/// No more is read while so many bytes wait for the neighbour. Guess.
const GIVE_BACKLOG_BYTES: usize = 512 * 1024;
/// Records owed to one neighbour. Guess; what is over it comes with the next sync.
const OWED_MAX: usize = 1_000_000;

/// The state of one neighbour's sync.
#[derive(Default)]
pub(super) struct Syncing {
    /// The class that is being compared.
    class: Option<Class>,
    /// Whether no more ranges come.
    compared: bool,
    wants: u32,
    wants_answered: u32,
    answered: u32,
    ended: bool,
    owed: VecDeque<Owed>,
    reading: bool,
}

enum Owed {
    Record(RecordId),
    /// A `WANT` is answered by what stands before.
    Answer,
    End(Class),
}

impl Group {
    /// Begins to compare stores with a new neighbour, or once more with an old one.
    pub(super) fn begin_sync(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        self.sync_class(ctx, links, link, Class::Membership);
    }

    fn sync_class(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, class: Class) {
        let ranges = reconcile::initiate(self.index(class));
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.sync.start(class);
        self.send(ctx, links, link, kind::SYNC, &Sync { class: class as u8, first: true, ranges });
    }

    pub(super) fn on_sync(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Sync { class, first, ranges } = wire::decode(body)?;
        let class = Class::from_wire(class).ok_or(Misbehaved::Sync)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if first {
            if slot.opener {
                return Err(Misbehaved::Sync);
            }
            slot.sync.start(class);
        } else if slot.sync.class != Some(class) || slot.sync.compared {
            return Err(Misbehaved::Sync);
        }
        let answer = reconcile::respond(self.index(class), &ranges)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if slot.sync.owed.len() + answer.give.len() > OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        slot.sync.owed.extend(answer.give.into_iter().map(Owed::Record));
        slot.sync.wants += answer.need.chunks(limits::PAGE_MAX).count() as u32;
        let over = answer.reply.is_none();
        if over {
            slot.sync.end(class);
        }
        for ids in answer.need.chunks(limits::PAGE_MAX) {
            let want = Want { class: class as u8, ids: ids.to_vec() };
            self.send(ctx, links, link, kind::WANT, &want);
        }
        if let Some(ranges) = answer.reply {
            let next = Sync { class: class as u8, first: false, ranges };
            self.send(ctx, links, link, kind::SYNC, &next);
        }
        self.give(ctx, links, link);
        Ok(())
    }

    pub(super) fn on_want(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Want { class, ids } = wire::decode(body)?;
        let class = Class::from_wire(class).ok_or(Misbehaved::Sync)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if slot.sync.class != Some(class) {
            return Err(Misbehaved::Sync);
        }
        if ids.len() > limits::PAGE_MAX || slot.sync.owed.len() + ids.len() > OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        slot.sync.owed.extend(ids.into_iter().map(Owed::Record));
        slot.sync.owed.push_back(Owed::Answer);
        if slot.sync.ended {
            slot.sync.owed.push_back(Owed::End(class));
        }
        self.give(ctx, links, link);
        Ok(())
    }

    pub(super) fn on_sync_end(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let SyncEnd { class, answered } = wire::decode(body)?;
        let class = Class::from_wire(class).ok_or(Misbehaved::Sync)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if slot.sync.class != Some(class) || answered > slot.sync.wants {
            return Err(Misbehaved::Sync);
        }
        slot.sync.wants_answered = answered;
        if !slot.sync.ended {
            slot.sync.end(class);
        }
        slot.sync.compared = true;
        self.give(ctx, links, link);
        let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
        if slot.sync.wants_answered == slot.sync.wants {
            self.class_done(ctx, links, link, class);
        }
        Ok(())
    }

    fn class_done(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, class: Class) {
        let phase = match class {
            Class::Membership => SyncPhase::Membership,
            Class::Presence => SyncPhase::Presence,
            Class::Application => SyncPhase::Complete,
        };
        let group = self.id;
        self.event(ctx, Event::Sync { group, link, phase });
        let opener = self.slots.get(&link).is_some_and(|slot| slot.opener);
        match class.next() {
            Some(next) if opener => self.sync_class(ctx, links, link, next),
            Some(_) => {}
            None => {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.synced = true;
                }
                self.synced(ctx, links);
            }
        }
    }

    /// A sync was completed: from the first one on the group is ready.
    fn synced(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.timers.set_if_unarmed(Timer::SafetyNet, ctx.now.mono.after(SAFETY_NET_EVERY));
        if self.own_presence.is_none() {
            self.publish_presence(ctx);
        }
        if !self.ready {
            self.ready = true;
            self.save(ctx);
            let info = self.info();
            self.event(ctx, Event::Group(info));
            self.maintain(ctx, links, false);
        }
    }

    /// Compares again with every neighbour whose sync is over.
    pub(super) fn safety_net(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let idle = |slot: &Slot| slot.state == SlotState::Neighbour && slot.opener && slot.synced;
        let neighbours: Vec<LinkId> =
            self.slots.iter().filter(|(_, slot)| idle(slot)).map(|(&link, _)| link).collect();
        for link in neighbours {
            if let Some(slot) = self.slots.get_mut(&link) {
                slot.synced = false;
            }
            self.begin_sync(ctx, links, link);
        }
        let wait = Self::jitter(ctx, SAFETY_NET_EVERY);
        self.timers.set(Timer::SafetyNet, ctx.now.mono.after(wait));
    }

    /// Sends what a neighbour is owed, as far as it keeps up.
    pub(crate) fn give(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        loop {
            let Some(slot) = self.slots.get_mut(&link) else { return };
            if slot.sync.reading || links.backlog(link) > GIVE_BACKLOG_BYTES {
                return;
            }
            let mut ids = Vec::new();
            while ids.len() < GIVE_AT_ONCE
                && let Some(Owed::Record(id)) = slot.sync.owed.front()
            {
                ids.push(*id);
                slot.sync.owed.pop_front();
            }
            if ids.is_empty() {
                match slot.sync.owed.pop_front() {
                    Some(Owed::Answer) => slot.sync.answered += 1,
                    Some(Owed::End(class)) => {
                        // Behind the records: they must be on their way first.
                        let answered = slot.sync.answered;
                        self.flush_floods(ctx, links);
                        let end = SyncEnd { class: class as u8, answered };
                        self.send(ctx, links, link, kind::SYNC_END, &end);
                    }
                    Some(Owed::Record(_)) | None => return,
                }
                continue;
            }
            let mut missing = Vec::new();
            for id in ids {
                let Some((class, meta)) = self.meta(id) else { continue };
                if meta.expires <= self.peer_time(ctx.now.wall) {
                    continue;
                }
                match ctx.storage.cached(self.id, id) {
                    Some(bytes) => self.flood_to(link, bytes),
                    None => missing.push(storage::record_key(self.id, class, id)),
                }
            }
            if !missing.is_empty() {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.sync.reading = true;
                }
                let pending = Pending::Give { group: self.id, link };
                ctx.storage.ask(StoreTask::Read { keys: missing }, pending, ctx.out);
            }
            self.flush_floods(ctx, links);
        }
    }

    /// The disk gave what a neighbour is owed.
    pub(crate) fn given(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        records: Vec<Option<Bytes>>,
    ) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.sync.reading = false;
        for record in records.into_iter().flatten() {
            self.flood_to(link, record);
        }
        self.flush_floods(ctx, links);
        self.give(ctx, links, link);
    }
}

impl Syncing {
    fn start(&mut self, class: Class) {
        self.class = Some(class);
        self.compared = false;
        self.ended = false;
        self.wants = 0;
        self.wants_answered = 0;
        self.answered = 0;
    }

    /// Nothing more to compare: the end travels behind what is owed.
    fn end(&mut self, class: Class) {
        self.compared = true;
        self.ended = true;
        self.owed.push_back(Owed::End(class));
    }
}
