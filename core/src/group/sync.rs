//! Sync: two stores become equal at a cost set by their difference.
//!
//! The classes of records are compared one after another (`reconcile.rs`):
//!
//! ```text
//! opener                                     other
//!   SYNC(class, first, step)   ────────────►
//!                              ◄────────────  SYNC(class, step)      … until one side has nothing to compare:
//!   SYNC(class, no step)       ────────────►
//!   WANT(ids), FLOOD(records)  ◄───────────►  FLOOD(records), GIVEN(class)
//!   SYNC_END(class)            ◄───────────►  SYNC_END(class)
//! ```
//!
//! `GIVEN` travels behind the records that answer a `WANT`. A side says `SYNC_END` when the comparison is over, all its
//! `WANT`s are answered, and all that it owes is on its way; a class is done when both have said so. At the end of the last
//! class, what came in any of them is durable: no other class waits for a disk. Records come as ordinary floods and travel
//! on as such. While a neighbour reads slowly, what it is owed stays on disk. All that arrived before a link was lost stays, so
//! that the next sync costs what is left.
//!
//! The end also tells who holds the other's own records: those that were not given, since they were there before, unless
//! it says that a disk refused some. Those that are given are acknowledged one by one, when they are durable.
//!
//! The debt to a neighbour is bounded (`sync/owed.rs`), and so is what a peer may have us do (`sync/budget.rs`): past
//! that, answers and records come later. A node that lacks much takes it from one neighbour at a time (`sync/turns.rs`).
use super::flood::FLOOD_BYTES;
use super::graph::Slot;
use super::waste::units;
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::RecordId;
use crate::index::Index;
use crate::io::{Event, LinkId, StoreId, SyncPhase};
use crate::limits;
use crate::link::Links;
use crate::reconcile::{Answer, Comparison, Step};
use crate::record::RecordType;
use crate::sorted::SortedMap;
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
/// Records read from disk at once for one neighbour: one message of short ones, or one large record. Guess: a page asks its disk for
/// each of them in one go.
const GIVE_AT_ONCE: usize = limits::FLOOD_RECORDS_MAX;
/// No more is read while so many bytes wait for the neighbour. Guess.
const GIVE_BACKLOG_BYTES: usize = 512 * 1024;
/// The work that a peer's budget pays for a step besides its parts: comparing fingerprints of all records.
const STEP_WORK: u64 = 1_000;
/// Stores are compared for what was put off so long after the disk has caught up. Guess: one sync brings all of it.
const PUT_OFF_FOR: Duration = Duration::from_secs(1);

mod budget;
mod owed;
mod turns;
pub(super) use budget::Budgets;
use owed::{Debts, Due, WANTS_MAX};

/// The state of one neighbour's sync.
#[derive(Default)]
pub(super) struct Syncing {
    /// Whether it waits for its turn.
    queued: bool,
    /// The message that the neighbour began with, which waits for its turn.
    begun: Option<Sync>,
    /// Bytes that brought news since that was looked at; none in what was left of that time when its turn began.
    came: Option<usize>,
    /// Whether those were few.
    slow: bool,
    /// The class that is being compared.
    class: Option<Class>,
    /// Our part in it.
    comparison: Comparison,
    /// An answer that waits until the peer may have it.
    held: Option<Sync>,
    /// Whether the stores were equal once: then they should be.
    again: bool,
    /// Short ids of records to give once our `WANT`s are answered: what turns out to be old is not given then.
    later: VecDeque<u64>,
    /// Whether no more ranges come.
    compared: bool,
    /// Our `WANT`s that are not answered.
    wants: usize,
    /// Those that go out when these are.
    unasked: VecDeque<Want>,
    owed: Debts,
    /// Whether we have yet to say what we want first.
    untold: bool,
    /// Whether the neighbour said that it gave what we want first: the application is told once.
    prioritised: bool,
    /// Types that the neighbour wants first.
    priorities: Vec<RecordType>,
    /// Whether the disk is being read for this neighbour.
    reading: bool,
    /// The last write that must be durable before we say that we have everything.
    barrier: Option<StoreId>,
    end_sent: bool,
    end_received: bool,
    /// Whether our disk refused anything since this sync began.
    lacks: bool,
    /// Records of ours of before this sync that were not given in it.
    tracked_before: SortedMap<RecordId, u64>,
}

impl Group {
    fn sync_class(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, class: Class) {
        self.start_class(link, class);
        let Some(slot) = self.slots.get_mut(&link) else { return };
        let index = &self.indexes[class as usize];
        let begin = if slot.sync.again { Comparison::check } else { Comparison::open };
        let (comparison, step) = begin(index);
        slot.sync.comparison = comparison;
        let priorities = slot.sync.tell_priorities(ctx);
        let sync = Sync { class: class as u8, first: true, step: Some(step), priorities };
        self.send(ctx, links, link, kind::SYNC, &sync);
    }

    fn start_class(&mut self, link: LinkId, class: Class) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.sync.start(class);
        if class == Class::Application {
            slot.sync.tracked_before = self.tracked.versions().collect();
        }
    }

    pub(super) fn on_sync(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let sync: Sync = wire::decode(body)?;
        let class = Class::from_wire(sync.class).ok_or(Misbehaved::Sync)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if sync.first {
            if slot.opener || slot.sync.class.is_some() || slot.sync.begun.is_some() {
                return Err(Misbehaved::Sync);
            }
            if sync.step.is_none() {
                return Err(Misbehaved::Sync);
            }
            if class == Class::Membership && self.is_served() {
                self.put_off(ctx, link, sync);
                return Ok(());
            }
            self.start_class(link, class);
        } else if slot.sync.class != Some(class) || slot.sync.compared || slot.sync.held.is_some() {
            return Err(Misbehaved::Sync);
        }
        self.follow(ctx, links, link, class, sync)
    }

    /// Does what a neighbour's message about a comparison asks for.
    fn follow(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        class: Class,
        sync: Sync,
    ) -> Result<(), Misbehaved> {
        let Sync { step, priorities, .. } = sync;
        if let (Some(priorities), Some(slot)) = (priorities, self.slots.get_mut(&link)) {
            slot.sync.prioritise(&priorities)?;
        }
        match step {
            None => {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.sync.compared = true;
                }
            }
            Some(step) => self.compare(ctx, links, link, class, &step)?,
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
        step: &Step,
    ) -> Result<(), Misbehaved> {
        let refuses = self.disk_refuses(ctx.now.mono);
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        let index = &self.indexes[class as usize];
        let Answer { reply, mut need, give, mut differ } =
            slot.sync.comparison.respond(index, step)?;
        if refuses {
            // Records that the disk would not take are not asked for: the next sync brings them.
            slot.sync.lacks = true;
            need.clear();
            differ.theirs.clear();
        }
        slot.sync.owe_all(index, give);
        // A record that nobody has is not ours alone.
        slot.sync
            .later
            .extend(differ.ours.iter().filter(|&&it| index.by_short(it).next().is_some()));
        let by_id = need.chunks(limits::PAGE_MAX).map(|ids| (ids, &[][..]));
        let by_short = differ.theirs.chunks(limits::PAGE_MAX).map(|shorts| (&[][..], shorts));
        let wants = by_id.chain(by_short).map(|(ids, shorts): (_, &[u64])| Want {
            class: class as u8,
            ids: ids.to_vec(),
            shorts: shorts.iter().flat_map(|short| short.to_le_bytes()).collect(),
        });
        slot.sync.unasked.extend(wants);
        let work = STEP_WORK + step.work() + reply.as_ref().map_or(0, Step::work);
        let priorities = slot.sync.tell_priorities(ctx);
        let next = Sync { class: class as u8, first: false, step: reply, priorities };
        slot.sync.held = Some(next);
        self.budgets.spend(ctx.now.mono, slot.peer, work);
        self.ask_wanted(ctx, links, link);
        self.answer(ctx, links, link);
        Ok(())
    }

    /// Asks for what we lack, as much as may be under way at one time; then what is ours alone may go.
    fn ask_wanted(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        while !ctx.puts_off(Some(link))
            && let Some(slot) = self.slots.get_mut(&link)
            && slot.sync.wants < WANTS_MAX
            && let Some(want) = slot.sync.unasked.pop_front()
        {
            slot.sync.wants += 1;
            self.send(ctx, links, link, kind::WANT, &want);
        }
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.sync.release(&self.indexes);
        }
    }

    /// Sends the answer to the last step, if there is one and the peer may have it: what follows from that step is nearly
    /// done.
    fn answer(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let puts_off = ctx.puts_off(Some(link));
        let waits = |slot: &Slot| slot.sync.may_answer(puts_off);
        if !self.slots.get(&link).is_some_and(waits) || self.must_wait(ctx, link) {
            return;
        }
        let Some(slot) = self.slots.get_mut(&link) else { return };
        if let Some(next) = slot.sync.held.take() {
            slot.sync.compared = next.step.is_none();
            self.send(ctx, links, link, kind::SYNC, &next);
        }
    }

    /// Whether a peer has used up its budget; what waits for that goes on in time.
    fn must_wait(&mut self, ctx: &Ctx<'_>, link: LinkId) -> bool {
        let Some(slot) = self.slots.get(&link) else { return true };
        let records = self.indexes.iter().map(|index| index.len() as u64 + index.bytes() / 1024);
        let wait = self.budgets.wait(ctx.now.mono, slot.peer, records.sum());
        if let Some(wait) = wait {
            self.timers.set_earlier(Timer::Sync, ctx.now.mono.after(wait));
        }
        wait.is_some()
    }

    /// Goes on with what waited for a budget.
    pub(super) fn resume_syncs(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
        for link in neighbours {
            self.give(ctx, links, link);
        }
    }

    pub(super) fn on_want(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Want { class, ids, shorts } = wire::decode(body)?;
        let class = Class::from_wire(class).ok_or(Misbehaved::Sync)?;
        let slot = self.slots.get_mut(&link).ok_or(Misbehaved::Unexpected)?;
        if slot.sync.class != Some(class) || slot.sync.end_received {
            return Err(Misbehaved::Sync);
        }
        let (shorts, []) = shorts.as_chunks() else { return Err(Misbehaved::BadMessage) };
        let wanted = ids.len() + shorts.len();
        if wanted > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        self.budgets.spend(ctx.now.mono, slot.peer, wanted as u64);
        let index = &self.indexes[class as usize];
        let by_short = shorts.iter().flat_map(|short| index.by_short(u64::from_le_bytes(*short)));
        slot.sync.owe_all(index, ids.into_iter().chain(by_short));
        slot.sync.owed.answer(class)?;
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
        if slot.sync.check_class(body)?.first == Some(true) {
            if std::mem::replace(&mut slot.sync.prioritised, true) {
                return Ok(());
            }
            let (group, phase) = (self.id, SyncPhase::Prioritised);
            self.event(ctx, Event::Sync { group, link, phase });
            return Ok(());
        }
        slot.sync.wants = slot.sync.wants.checked_sub(1).ok_or(Misbehaved::Sync)?;
        self.ask_wanted(ctx, links, link);
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
        if slot.sync.check_class(body)?.lacks == Some(true) {
            slot.sync.tracked_before.clear();
        }
        if !slot.sync.compared || slot.sync.end_received {
            return Err(Misbehaved::Sync);
        }
        slot.sync.end_received = true;
        self.give(ctx, links, link);
        // Records that the neighbour asked for since may still be read from disk: the next class does not wait for them.
        self.end_class(ctx, links, link);
        Ok(())
    }

    /// Says that we want and owe nothing more, and goes on when both ends have said so. The last class waits until what we
    /// got in all of them is durable.
    fn settle(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        let sync = &mut slot.sync;
        let Some(class) = sync.class else { return };
        if sync.compared && sync.wants == 0 && sync.later.is_empty() && !sync.end_sent {
            if class.next().is_none() {
                let barrier = *sync.barrier.get_or_insert(ctx.storage.barrier());
                if !ctx.storage.is_durable(barrier) {
                    return;
                }
            }
            sync.end_sent = true;
            let lacks = sync.lacks.then_some(true);
            let end = OfClass { class: class as u8, first: None, lacks };
            self.send(ctx, links, link, kind::SYNC_END, &end);
        }
        self.end_class(ctx, links, link);
    }

    /// Goes on with the next class where both ends have said that they want and owe nothing more.
    fn end_class(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        if slot.sync.end_sent
            && slot.sync.end_received
            && let Some(class) = slot.sync.class.take()
        {
            self.class_done(ctx, links, link, class);
        }
    }

    /// The disk refused a record: what seemed to be held, as stores were compared, is not.
    pub(super) fn lacks(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.sync.lacks = true);
    }

    /// The disk answered: syncs that waited for it go on.
    pub(crate) fn settle_all(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let waits = |slot: &Slot| slot.sync.barrier.is_some() && !slot.sync.end_sent;
        let waiting: Vec<LinkId> =
            self.slots.iter().filter(|(_, slot)| waits(slot)).map(|(&link, _)| link).collect();
        for link in waiting {
            self.settle(ctx, links, link);
        }
        if ctx.config.reads_on {
            self.resume_put_off(ctx, links);
        }
    }

    /// There may be room again for what neighbours bring: syncs go on, and what was put off comes with the next ones.
    fn resume_put_off(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let held = |slot: &Slot| slot.sync.held.is_some() || !slot.sync.unasked.is_empty();
        let held = self.neighbours().filter(|(_, slot)| held(slot)).map(|(link, _)| link);
        for link in held.collect::<Vec<_>>() {
            self.ask_wanted(ctx, links, link);
            self.give(ctx, links, link);
        }
        if ctx.storage.waiting_bytes() == 0 && std::mem::take(&mut self.put_off) {
            self.timers.set_earlier(Timer::SafetyNet, ctx.now.mono.after(PUT_OFF_FOR));
        }
    }

    /// A neighbour has what of ours was there when the sync began and was not given.
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
        if class == Class::Presence {
            self.greet(ctx, links, link);
            self.tell_losses(ctx, links, link);
        }
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
                    slot.sync.again = true;
                }
                self.held_after_sync(ctx, link);
                self.synced(ctx, links);
                self.next_turn(ctx, links);
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
            self.tell_group(ctx);
            self.maintain(ctx, links, false);
        }
        self.review_signature(ctx);
        // Records that ended while nobody was there go.
        self.arm_expiry(ctx);
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
        self.budgets.sweep(ctx.now.mono);
        let wait = Self::jitter(ctx, SAFETY_NET_EVERY);
        self.timers.set(Timer::SafetyNet, ctx.now.mono.after(wait));
    }

    /// Sends what a neighbour is owed, as far as it keeps up.
    pub(crate) fn give(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        loop {
            self.answer(ctx, links, link);
            let Some(slot) = self.slots.get_mut(&link) else { return };
            if slot.sync.reading || links.backlog(link) > GIVE_BACKLOG_BYTES {
                return;
            }
            slot.sync.release(&self.indexes);
            if slot.sync.owed.next_record().is_some() && self.must_wait(ctx, link) {
                return;
            }
            let Some(slot) = self.slots.get_mut(&link) else { return };
            let peer = slot.peer;
            let mut ids = Vec::new();
            let mut bytes = 0;
            while ids.len() < GIVE_AT_ONCE
                && bytes < FLOOD_BYTES
                && let Some(id) = slot.sync.owed.next_record()
            {
                let size = |index: &Index| index.get(&id).map(|meta| meta.size as usize);
                bytes += self.indexes.iter().find_map(size).unwrap_or(0);
                ids.push(id);
                slot.sync.owed.pay();
            }
            if ids.is_empty() {
                match slot.sync.owed.pop_answer() {
                    Some(Due::Answer(class)) => {
                        let given = OfClass { class: class as u8, first: None, lacks: None };
                        self.send(ctx, links, link, kind::GIVEN, &given);
                        continue;
                    }
                    Some(Due::First) => {
                        if let Some(class) = slot.sync.class {
                            let given =
                                OfClass { class: class as u8, first: Some(true), lacks: None };
                            self.send(ctx, links, link, kind::GIVEN, &given);
                        }
                        continue;
                    }
                    Some(Due::Record(_)) | None => return self.settle(ctx, links, link),
                }
            }
            let mut missing = Vec::new();
            for id in ids {
                let Some((class, meta)) = self.meta(id) else { continue };
                if meta.expires <= self.peer_time(ctx.now.wall) || self.is_useless(link, id) {
                    continue;
                }
                self.budgets.spend(ctx.now.mono, peer, units(meta.size as usize));
                match self.bytes_at_hand(ctx, id) {
                    Some(bytes) => self.flood_to(link, bytes),
                    None => missing.push(storage::record_key(self.id, class, id)),
                }
            }
            if !missing.is_empty() {
                if let Some(slot) = self.slots.get_mut(&link) {
                    slot.sync.reading = true;
                }
                let pending = Pending::Give { group: self.id, link };
                ctx.read(missing, pending);
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
        let (reading, again) = (self.reading, self.again);
        let untold = class == Class::Application;
        let begun = class != Class::Membership;
        let (slow, lacks) = (begun && self.slow, begun && self.lacks);
        let came = self.came.filter(|_| begun);
        *self = Self {
            class: Some(class),
            owed,
            reading,
            again,
            untold,
            slow,
            lacks,
            came,
            ..Self::default()
        };
    }

    /// All that we asked for is here: what is ours alone may go, as far as it still stands and little else is owed.
    fn release(&mut self, indexes: &[Index]) {
        let index = self.class.and_then(|class| indexes.get(class as usize));
        let Some(index) = index.filter(|_| self.wants == 0 && self.unasked.is_empty()) else {
            return;
        };
        while self.owed.are_few()
            && let Some(short) = self.later.pop_front()
        {
            self.owe_all(index, index.by_short(short));
        }
    }

    /// Whether the held answer may go: it is the last one, or nearly all is done that followed from the step before, and we
    /// do not put off what follows from the next.
    fn may_answer(&self, puts_off: bool) -> bool {
        let done = self.unasked.is_empty() && self.later.is_empty() && self.owed.are_few();
        self.held.as_ref().is_some_and(|held| done && !puts_off || held.step.is_none())
    }

    /// Whether a class is being compared.
    pub(super) fn is_comparing(&self) -> bool {
        self.class.is_some()
    }

    /// So many bytes brought something new.
    pub(super) fn came(&mut self, bytes: usize) {
        if let Some(came) = &mut self.came {
            *came += bytes;
        }
    }

    /// The types that we want first, where we have not said so.
    fn tell_priorities(&mut self, ctx: &Ctx<'_>) -> Option<Vec<String>> {
        let wanted = &ctx.config.priorities;
        let tell = std::mem::take(&mut self.untold) && !wanted.is_empty();
        let names = || wanted.iter().take(limits::PRIORITIES_MAX).map(|kind| kind.to_string());
        tell.then(|| names().collect())
    }

    /// A message must be about the class that is being compared.
    fn check_class(&self, body: &Bytes) -> Result<OfClass, Misbehaved> {
        let message: OfClass = wire::decode(body)?;
        let class = Class::from_wire(message.class).ok_or(Misbehaved::Sync)?;
        if self.class == Some(class) { Ok(message) } else { Err(Misbehaved::Sync) }
    }
}
