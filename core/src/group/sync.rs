//! Sync: two stores become equal at a cost set by their difference.
//!
//! The classes of records are compared one after another, each by range fingerprints (`reconcile.rs`):
//!
//! ```text
//! opener                                     other
//!   SYNC(class, first, ranges) ────────────►
//!                              ◄────────────  SYNC(class, ranges)    … until one side has nothing to compare:
//!   SYNC(class, no ranges)     ────────────►
//!   WANT(ids), FLOOD(records)  ◄───────────►  FLOOD(records), GIVEN(class)
//!   SYNC_END(class)            ◄───────────►  SYNC_END(class)
//! ```
//!
//! `GIVEN` travels behind the records that answer a `WANT`. A side says `SYNC_END` when the comparison is over, all its
//! `WANT`s are answered, and all that it owes is on its way; a class is done when both have said so. Records come as
//! ordinary floods and travel on as such. While a neighbour reads slowly, what it is owed stays on disk.
use super::flood::FLOOD_BYTES;
use super::graph::Slot;
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::id::RecordId;
use crate::index::Index;
use crate::io::{Event, LinkId, StoreId, StoreTask, SyncPhase};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::reconcile;
use crate::storage::{self, Class, Pending};
use crate::wire::{self, OfClass, Sync, Want, kind};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Stores are compared again this often on every link, in case anything was ever missed. Guess.
const SAFETY_NET_EVERY: Duration = Duration::from_secs(120);
/// How long a newcomer to a large group waits, about, before it says that it is here. Guess after the ancestors' 30–180 s,
/// shorter because people wait for it.
const PRESENCE_CROWDED: Duration = Duration::from_secs(6);
/// Records read from disk at once for one neighbour: what one message holds, or one large record.
const GIVE_AT_ONCE: usize = limits::PAGE_MAX;
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
    /// Our `WANT`s that are not answered.
    wants: usize,
    owed: VecDeque<Owed>,
    /// Whether the disk is being read for this neighbour.
    reading: bool,
    /// What must be durable before we say that we have everything.
    barrier: Option<StoreId>,
    end_sent: bool,
    end_received: bool,
    /// Records of ours of before this sync.
    tracked_before: Vec<(RecordId, u64)>,
}

enum Owed {
    Record(RecordId),
    /// A `WANT` is answered by what stands before.
    Answer(Class),
}

impl Group {
    /// Begins to compare stores with a new neighbour, or once more with an old one.
    pub(super) fn begin_sync(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        self.sync_class(ctx, links, link, Class::Membership);
    }

    fn sync_class(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, class: Class) {
        let ranges = Some(reconcile::initiate(self.index(class)));
        self.start_class(link, class);
        self.send(ctx, links, link, kind::SYNC, &Sync { class: class as u8, first: true, ranges });
    }

    fn start_class(&mut self, link: LinkId, class: Class) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.sync.start(class);
        if class == Class::Application {
            let tracked = self.tracked.iter().map(|(&id, tracked)| (id, tracked.version));
            slot.sync.tracked_before = tracked.collect();
        }
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
            if slot.opener || slot.sync.class.is_some() {
                return Err(Misbehaved::Sync);
            }
            self.start_class(link, class);
        } else if slot.sync.class != Some(class) || slot.sync.compared {
            return Err(Misbehaved::Sync);
        }
        match ranges {
            None => {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.sync.compared = true;
                }
            }
            Some(ranges) => self.compare(ctx, links, link, class, &ranges)?,
        }
        self.give(ctx, links, link);
        Ok(())
    }

    /// Compares what the neighbour says of its store with ours.
    fn compare(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        class: Class,
        ranges: &reconcile::Ranges,
    ) -> Result<(), Misbehaved> {
        let answer = reconcile::respond(self.index(class), ranges)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if slot.sync.owed.len() + answer.give.len() > OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        slot.sync.owed.extend(answer.give.into_iter().map(Owed::Record));
        slot.sync.wants += answer.need.chunks(limits::PAGE_MAX).count();
        slot.sync.compared = answer.reply.is_none();
        for ids in answer.need.chunks(limits::PAGE_MAX) {
            let want = Want { class: class as u8, ids: ids.to_vec() };
            self.send(ctx, links, link, kind::WANT, &want);
        }
        let next = Sync { class: class as u8, first: false, ranges: answer.reply };
        self.send(ctx, links, link, kind::SYNC, &next);
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
        if slot.sync.class != Some(class) || slot.sync.end_received {
            return Err(Misbehaved::Sync);
        }
        if ids.len() > limits::PAGE_MAX || slot.sync.owed.len() + ids.len() > OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        slot.sync.owed.extend(ids.into_iter().map(Owed::Record));
        slot.sync.owed.push_back(Owed::Answer(class));
        self.give(ctx, links, link);
        Ok(())
    }

    pub(super) fn on_given(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        slot.sync.check_class(body)?;
        slot.sync.wants = slot.sync.wants.checked_sub(1).ok_or(Misbehaved::Sync)?;
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
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        slot.sync.check_class(body)?;
        if !slot.sync.compared || slot.sync.end_received {
            return Err(Misbehaved::Sync);
        }
        slot.sync.end_received = true;
        self.give(ctx, links, link);
        Ok(())
    }

    /// Says that we want and owe nothing more, once what we got is durable, and goes on when both ends have said so.
    fn settle(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        let sync = &mut slot.sync;
        let Some(class) = sync.class else { return };
        if sync.compared && sync.wants == 0 && !sync.end_sent {
            let barrier = *sync.barrier.get_or_insert(ctx.storage.barrier());
            if !ctx.storage.is_durable(barrier) {
                return;
            }
            sync.end_sent = true;
            self.send(ctx, links, link, kind::SYNC_END, &OfClass { class: class as u8 });
        }
        let Some(slot) = self.slots.get_mut(&link) else { return };
        if slot.sync.end_sent && slot.sync.end_received {
            slot.sync.class = None;
            self.class_done(ctx, links, link, class);
        }
    }

    /// Something became durable: syncs that waited for it go on.
    pub(crate) fn settle_all(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let waits = |slot: &Slot| slot.sync.barrier.is_some() && !slot.sync.end_sent;
        let waiting: Vec<LinkId> =
            self.slots.iter().filter(|(_, slot)| waits(slot)).map(|(&link, _)| link).collect();
        for link in waiting {
            self.settle(ctx, links, link);
        }
    }

    /// A neighbour has everything of ours that was there when the sync began: it said so behind the last record.
    fn held_after_sync(&mut self, ctx: &mut Ctx<'_>, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        for (id, version) in std::mem::take(&mut slot.sync.tracked_before) {
            self.held(ctx, link, id, version);
        }
    }

    fn class_done(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, class: Class) {
        let phase = match class {
            Class::Membership => SyncPhase::Membership,
            Class::Presence => SyncPhase::Presence,
            Class::Application => SyncPhase::Complete,
        };
        let group = self.id;
        self.event(ctx, Event::Sync { group, link, phase });
        if class == Class::Presence && self.ready {
            // Now we know who is here.
            self.maintain(ctx, links, false);
        }
        let opener = self.slots.get(&link).is_some_and(|slot| slot.opener);
        match class.next() {
            Some(next) if opener => self.sync_class(ctx, links, link, next),
            Some(_) => {}
            None => {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.synced = true;
                }
                self.held_after_sync(ctx, link);
                self.synced(ctx, links);
            }
        }
    }

    /// A sync was completed: from the first one on the group is ready.
    fn synced(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.timers.set_if_unarmed(Timer::SafetyNet, ctx.now.mono.after(SAFETY_NET_EVERY));
        if self.own_presence.is_none() {
            // Many who arrive together look again after a while, so that not all of them go over the bound.
            let crowded = self.present.len() as u64 * 2 >= self.presence_max;
            let wait = if crowded { Self::jitter(ctx, PRESENCE_CROWDED) } else { Duration::ZERO };
            self.timers.set_if_unarmed(Timer::Presence, ctx.now.mono.after(wait));
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
            let mut bytes = 0;
            while ids.len() < GIVE_AT_ONCE
                && bytes < FLOOD_BYTES
                && let Some(&Owed::Record(id)) = slot.sync.owed.front()
            {
                let size = |index: &Index| index.get(&id).map(|meta| meta.size as usize);
                bytes += self.indexes.iter().find_map(size).unwrap_or(0);
                ids.push(id);
                slot.sync.owed.pop_front();
            }
            if ids.is_empty() {
                match slot.sync.owed.pop_front() {
                    Some(Owed::Answer(class)) => {
                        let given = OfClass { class: class as u8 };
                        self.send(ctx, links, link, kind::GIVEN, &given);
                        continue;
                    }
                    Some(Owed::Record(_)) | None => return self.settle(ctx, links, link),
                }
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
        if slot.state != SlotState::Neighbour {
            return;
        }
        for record in records.into_iter().flatten() {
            self.flood_to(link, record);
        }
        self.flush_floods(ctx, links);
        self.give(ctx, links, link);
    }
}

impl Syncing {
    fn start(&mut self, class: Class) {
        let owed = std::mem::take(&mut self.owed);
        *self = Self { class: Some(class), owed, reading: self.reading, ..Self::default() };
    }

    /// One more record is owed.
    pub(super) fn owe(&mut self, id: RecordId) -> Result<(), Misbehaved> {
        if self.owed.len() >= OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        self.owed.push_back(Owed::Record(id));
        Ok(())
    }

    /// A message must be about the class that is being compared.
    fn check_class(&self, body: &Bytes) -> Result<(), Misbehaved> {
        let OfClass { class } = wire::decode(body)?;
        let class = Class::from_wire(class).ok_or(Misbehaved::Sync)?;
        if self.class == Some(class) { Ok(()) } else { Err(Misbehaved::Sync) }
    }
}
