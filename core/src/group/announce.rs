//! Announcements: ids run ahead of records, so that every record is sent once to each node.
//!
//! ```text
//! publisher ──id──► a ──id──► b ──id──► c      every node passes an id on at once, and asks for the record
//!           ◄─ask── a ◄─ask── b ◄─ask── c      where it heard of it first, even if it is not there yet
//!           ──────► a ──────► b ──────► c      the record follows the questions: the fastest way, without a copy
//! ```
//!
//! Who asked once is sent the next records of that publisher unasked ([`Trees`](super::tree::Trees)), and their
//! announcements to everybody else wait a while: they are for those whose branch of the tree broke. Who hears of a
//! record that the tree ought to bring waits a little for it; then it asks, and is on another branch. An announcer
//! that does not deliver is followed by the next. Large records are always asked for: a copy is dear.
//!
//! An id says nothing that could be verified. A neighbour may have [`PROMISED_MAX`] ids open that it did not deliver;
//! more are neither passed on nor asked for. (The beginnings: Plumtree, Leitão and others 2007.)
use super::graph::Slot;
use super::tree::{self, Publisher};
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use crate::link::Links;
use crate::node::Ctx;
use crate::record::{Record, Signed};
use crate::time::{Deadlines, Time};
use crate::wire::{self, Announced};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long announcements wait where a tree is known: at the end of a link with the lower node id, and at the other,
/// which need not say what the first said. Measured at 1,000 nodes with links of 10–50 ms: with 150 and 400 ms a tree
/// that a lost link had lengthened stayed so (last delivery 0.66 s instead of 0.15 s); shorter costs more messages.
const ANNOUNCE_DELAY: Duration = Duration::from_millis(60);
const ANNOUNCE_LATE_DELAY: Duration = Duration::from_millis(140);
/// How long a tree has to bring an announced record. Guess: the announcement itself waited as long.
const TREE_DELAY: Duration = Duration::from_millis(60);
/// How long an announcer has to deliver before the next one is asked too: a few round trips. Guess.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// The same for a large record. Guess.
const ASK_LARGE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// How long an id is remembered that nobody delivered, so that it is not passed on in circles. Guess: much longer
/// than an id takes through any graph.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Records larger than this are never sent unasked. Bytes. Guess: beyond one frame a copy is dear.
const LARGE_BYTES: usize = 8 * 1024;
/// Announced records that we wait for. Guess; what is over it comes with the next sync.
const AWAITED_MAX: usize = 16_384;
/// The same of those that one neighbour was first to announce. Guess.
const PROMISED_MAX: usize = 4_096;
/// Announcers and askers remembered for one record. Guess: twice the maximum of neighbours.
const ANNOUNCERS_MAX: usize = 16;
/// Delayed announcements among which one is looked for that became needless. Guess: those of a second of chat.
const LATER_SEARCHED: usize = 64;

/// Records that were announced and are not here.
#[derive(Default)]
pub(super) struct Awaited {
    records: BTreeMap<RecordId, Wanted>,
    due: Deadlines<RecordId>,
    /// By neighbour: how many of them it was first to announce.
    promised: BTreeMap<LinkId, usize>,
}

struct Wanted {
    version: u64,
    large: bool,
    /// Who announced it, in order, and how many of them were asked.
    announcers: Vec<LinkId>,
    asked: usize,
    /// Who asked us for it.
    askers: Vec<LinkId>,
}

impl Awaited {
    fn take(&mut self, id: RecordId) -> Option<Wanted> {
        let wanted = self.records.remove(&id)?;
        self.due.clear(id);
        if let Some(first) = wanted.announcers.first()
            && let Some(promised) = self.promised.get_mut(first)
        {
            *promised -= 1;
            if *promised == 0 {
                self.promised.remove(first);
            }
        }
        Some(wanted)
    }

    /// Notes the first announcement of a record, unless there are too many.
    fn begin(&mut self, link: LinkId, id: RecordId, version: u64, large: bool) -> bool {
        let promised = self.promised.get(&link).copied().unwrap_or(0);
        if self.records.len() >= AWAITED_MAX || promised >= PROMISED_MAX {
            return false;
        }
        self.promised.insert(link, promised + 1);
        let wanted =
            Wanted { version, large, announcers: vec![link], asked: 0, askers: Vec::new() };
        self.records.insert(id, wanted);
        true
    }

    /// A neighbour that was asked is gone: the next one's turn is now.
    pub(super) fn lost(&mut self, link: LinkId, now: Time) {
        for (&id, wanted) in &self.records {
            let asked_last = wanted.asked.checked_sub(1).and_then(|at| wanted.announcers.get(at));
            if asked_last == Some(&link) {
                self.due.set(id, now);
            }
        }
    }
}

impl Group {
    /// Queues a record, or its announcement, for every neighbour that needs it. They go out at the end of this input,
    /// or shortly after it. Answers who has announced it.
    pub(super) fn flood(
        &mut self,
        ctx: &Ctx<'_>,
        record: &Bytes,
        from: Option<LinkId>,
    ) -> Vec<LinkId> {
        let Some((id, version)) = Signed::peek(record) else { return Vec::new() };
        let wanted = self.awaited.take(id);
        let publisher = Publisher::of(id);
        let large = record.len() > LARGE_BYTES;
        if from.is_none() {
            self.trees.outgrow(publisher, ctx.now.mono, tree::KEPT_FOR);
        }
        let (tree, settled) = self.trees.touch(publisher, ctx.now.mono);
        if from.is_some() {
            tree.parent = from;
        }
        if let Some(wanted) = &wanted
            && !large
        {
            for asker in &wanted.askers {
                if !tree.children.contains(asker) {
                    tree.children.push(*asker);
                }
            }
        }
        let announced = Announced { id, version };
        for (&link, slot) in &mut self.slots {
            if slot.state != SlotState::Neighbour || Some(link) == from {
                continue;
            }
            let asked = || wanted.as_ref().is_some_and(|wanted| wanted.askers.contains(&link));
            if (!large && tree.children.contains(&link)) || (large && asked()) {
                slot.used(true);
                self.outgoing.entry(link).or_default().records.push(record.clone());
            } else if wanted.is_some() {
                // It was passed on when it was announced.
            } else if large || !settled || from.is_none() {
                slot.used(false);
                self.outgoing.entry(link).or_default().announce(announced, large);
            } else {
                let first = ctx.node < slot.node;
                let wait = if first { ANNOUNCE_DELAY } else { ANNOUNCE_LATE_DELAY };
                slot.announce_late(announced, ctx.now.mono.after(wait));
                self.timers.set_earlier(Timer::Announce, slot.later_at);
            }
        }
        wanted.map_or_else(Vec::new, |wanted| wanted.announcers)
    }

    /// The delayed announcements that are due go out at the end of this input.
    pub(super) fn announce_late(&mut self, now: Time) {
        for (&link, slot) in &mut self.slots {
            if slot.later.is_empty() {
                continue;
            }
            if slot.later_at > now {
                self.timers.set_earlier(Timer::Announce, slot.later_at);
                continue;
            }
            let outgoing = self.outgoing.entry(link).or_default();
            for announced in std::mem::take(&mut slot.later) {
                slot.used(false);
                outgoing.announce(announced, false);
            }
        }
    }

    pub(super) fn on_announce(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let (all, large) = wire::decode_announce(body)?;
        for announced in all {
            let Announced { id, version } = announced;
            if let Some(slot) = self.slots.get_mut(&link) {
                slot.used(false);
                let later = &mut slot.later;
                if let Some(at) = later.iter().take(LATER_SEARCHED).position(|a| a.id == id) {
                    later.remove(at);
                }
            }
            if let Some((_, meta)) = self.meta(id)
                && meta.version >= version
            {
                let signer = meta.modifier().unwrap_or(meta.creator());
                if meta.version == version && self.is_from(link, signer) {
                    match self.writing.get_mut(&id) {
                        Some(announcers) => announcers.push(link),
                        None => self.ack(ctx, link, id, version, false),
                    }
                }
                continue;
            }
            if self.withheld.knows_version(id, version) {
                continue;
            }
            self.announced(ctx, link, announced, large);
        }
        self.arm_graft();
        Ok(())
    }

    /// A record that we lack is announced.
    fn announced(&mut self, ctx: &Ctx<'_>, link: LinkId, announced: Announced, large: bool) {
        let Announced { id, version } = announced;
        if let Some(wanted) = self.awaited.records.get_mut(&id) {
            wanted.version = wanted.version.max(version);
            if wanted.announcers.len() >= ANNOUNCERS_MAX || wanted.announcers.contains(&link) {
                return;
            }
            let given_up = wanted.asked > wanted.announcers.len();
            wanted.announcers.push(link);
            if given_up {
                wanted.asked = wanted.announcers.len() - 1;
                self.ask(ctx, id);
            }
            return;
        }
        if self.refused.holds_back(ctx.now.mono, id, version)
            || !self.awaited.begin(link, id, version, large)
        {
            return;
        }
        let publisher = Publisher::of(id);
        self.trees.outgrow(publisher, ctx.now.mono, tree::KEPT_BY_OTHERS_FOR);
        let parent = self.trees.get(publisher).and_then(|tree| tree.parent);
        if large || parent.is_none_or(|parent| parent == link) {
            self.ask(ctx, id);
        } else {
            self.awaited.due.set(id, ctx.now.mono.after(TREE_DELAY));
        }
        for (&other, slot) in &mut self.slots {
            if slot.state == SlotState::Neighbour && other != link {
                slot.used(false);
                self.outgoing.entry(other).or_default().announce(announced, large);
            }
        }
    }

    /// Whether `peer`, who made a record, is at the other end of `link`: it wants to know who holds it.
    fn is_from(&self, link: LinkId, peer: PeerId) -> bool {
        self.slots.get(&link).is_some_and(|slot| slot.peer == peer)
    }

    /// A record is durable: its maker, if it is a neighbour who sent or announced it, learns that we hold it.
    pub(super) fn acknowledge(&mut self, ctx: &Ctx<'_>, record: &Record, from: Option<LinkId>) {
        let mut links = self.writing.remove(&record.id).unwrap_or_default();
        links.retain(|link| Some(*link) != from);
        let maker = record.modifier.unwrap_or(record.creator);
        for link in from.into_iter().chain(links) {
            if self.is_from(link, maker) {
                self.ack(ctx, link, record.id, record.version, Some(link) == from);
            }
        }
    }

    /// A record came, but is of no use yet: nobody else is asked for it meanwhile.
    pub(super) fn await_later(&mut self, ctx: &Ctx<'_>, id: RecordId) {
        if let Some(wanted) = self.awaited.records.get_mut(&id) {
            wanted.asked = wanted.announcers.len();
            self.awaited.due.set(id, ctx.now.mono.after(FORGOTTEN_AFTER));
        }
    }

    /// A record could not be written: whoever announces it again is asked again.
    pub(super) fn forget_awaited(&mut self, id: RecordId) {
        self.writing.remove(&id);
        self.awaited.take(id);
    }

    pub(super) fn arm_graft(&mut self) {
        if let Some((at, _)) = self.awaited.due.next() {
            self.timers.set_earlier(Timer::Graft, at);
        }
    }

    /// Asks for what did not come.
    pub(super) fn graft(&mut self, ctx: &Ctx<'_>) {
        while let Some(id) = self.awaited.due.pop_due(ctx.now.mono) {
            self.ask(ctx, id);
        }
        self.arm_graft();
    }

    /// Asks the next announcer of a record. Once all were asked it is forgotten, after a while: if it is real, the
    /// next sync brings it.
    fn ask(&mut self, ctx: &Ctx<'_>, id: RecordId) {
        let Some(wanted) = self.awaited.records.get_mut(&id) else { return };
        if wanted.asked > wanted.announcers.len() {
            self.awaited.take(id);
            return;
        }
        while let Some(&link) = wanted.announcers.get(wanted.asked) {
            wanted.asked += 1;
            if self.slots.get(&link).is_some_and(|slot| slot.state == SlotState::Neighbour) {
                self.outgoing.entry(link).or_default().wanted.push(id);
                let wait = wanted.patience();
                self.awaited.due.set(id, ctx.now.mono.after(wait));
                return;
            }
        }
        // One more than there are: the next time is the end.
        wanted.asked += 1;
        self.awaited.due.set(id, ctx.now.mono.after(FORGOTTEN_AFTER));
    }

    pub(super) fn on_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        for id in wire::decode_request(body)? {
            if let Some((_, meta)) = self.meta(id) {
                let short = meta.short();
                if meta.size as usize <= LARGE_BYTES {
                    self.trees.adopt(Publisher::of(id), link, ctx.now.mono);
                }
                let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
                slot.used(true);
                slot.declined.remove(&short);
                slot.sync.owe(id)?;
            } else if let Some(wanted) = self.awaited.records.get_mut(&id)
                && wanted.askers.len() < ANNOUNCERS_MAX
                && !wanted.askers.contains(&link)
            {
                wanted.askers.push(link);
            }
        }
        self.publishing.asked();
        self.give(ctx, links, link);
        Ok(())
    }
}

impl Slot {
    fn announce_late(&mut self, announced: Announced, at: Time) {
        if self.later.is_empty() {
            self.later_at = at;
        }
        self.later.push(announced);
    }
}

impl Wanted {
    fn patience(&self) -> Duration {
        if self.large { ASK_LARGE_TIMEOUT } else { ASK_TIMEOUT }
    }
}
