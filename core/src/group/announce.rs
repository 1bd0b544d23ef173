//! Lazy links: where a record came twice, its id goes instead the next time.
//!
//! Every link begins eager. An acknowledgement that says "not new" makes it lazy, at both ends: another link is faster.
//! Over lazy links ids are announced, many at a time. Who lacks a record that was announced waits a moment for the
//! record itself, then asks an announcer; that link is useful again, and eager. Large records are announced
//! everywhere and asked for at once: a round trip costs less than a second copy. (After Plumtree, Leitão and others 2007.)
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::record::{Record, Signed};
use crate::time::Deadlines;
use crate::wire::{self, Announce, Announced, Request, kind};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long announcements wait for company. Guess: less than what a person notices.
const ANNOUNCE_DELAY: Duration = Duration::from_millis(40);
/// How long an announced record may still come by itself. Guess: a few hops more than the announcement had.
const GRAFT_DELAY: Duration = Duration::from_millis(120);
/// How long an announcer has to answer before the next one is asked. Guess: some round trips.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Records larger than this are announced on every link. Bytes. Guess: beyond one frame a copy is dear.
const LARGE_BYTES: usize = 8 * 1024;
/// Announced records that we wait for. Guess; what is over it comes with the next sync.
const AWAITED_MAX: usize = 16_384;
/// Announcers remembered for one record. Guess: the maximum of neighbours.
const ANNOUNCERS_MAX: usize = 8;

/// Records that were announced and are not here.
#[derive(Default)]
pub(super) struct Awaited {
    records: BTreeMap<RecordId, Wanted>,
    due: Deadlines<RecordId>,
}

struct Wanted {
    version: u64,
    large: bool,
    announcers: VecDeque<LinkId>,
}

impl Group {
    /// Queues a record, or its announcement, for every neighbour but one. They go out at the end of this input, or
    /// shortly after it.
    pub(super) fn flood(&mut self, ctx: &Ctx<'_>, record: Bytes, except: Option<LinkId>) {
        let Some((id, version)) = Signed::peek(&record) else { return };
        self.awaited.due.clear(id);
        if except.is_none() {
            self.keep_one_eager();
        }
        let large = record.len() > LARGE_BYTES;
        let announced = Announced { id, version, large };
        let neighbours = self.slots.iter_mut().filter(|(_, s)| s.state == SlotState::Neighbour);
        for (&link, slot) in neighbours.filter(|(link, _)| Some(**link) != except) {
            if slot.lazy || large {
                slot.announced.push(announced);
                let wait = if large { Duration::ZERO } else { ANNOUNCE_DELAY };
                self.timers.set_earlier(Timer::Announce, ctx.now.mono.after(wait));
            } else {
                self.flooding.entry(link).or_default().push(record.clone());
            }
        }
    }

    /// What begins here goes whole to somebody: nobody could be faster, and who publishes much feels how much that
    /// neighbour takes.
    fn keep_one_eager(&mut self) {
        let neighbours = self.slots.values_mut().filter(|s| s.state == SlotState::Neighbour);
        let most_useful = neighbours.max_by_key(|slot| (!slot.lazy, slot.utility));
        if let Some(slot) = most_useful {
            slot.lazy = false;
        }
    }

    pub(super) fn send_announcements(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for (&link, slot) in &mut self.slots {
            for records in std::mem::take(&mut slot.announced).chunks(limits::PAGE_MAX) {
                let announce = Announce { records: records.to_vec() };
                let message = wire::graph_message(kind::ANNOUNCE, slot.number, &announce);
                links.send(ctx.now, link, &message, ctx.out);
            }
        }
    }

    pub(super) fn on_announce(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Announce { records } = wire::decode(body)?;
        if records.len() > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        for Announced { id, version, large } in records {
            if let Some((_, meta)) = self.meta(id)
                && meta.version >= version
            {
                let (held, creator) = (meta.version, meta.creator());
                if held == version && self.is_from(link, creator) {
                    if self.writing.contains(&id) {
                        self.await_from(link, id, version, false);
                    } else {
                        self.ack(ctx, link, id, version, false);
                    }
                }
                continue;
            }
            let full = self.awaited.records.len() >= AWAITED_MAX;
            if full && !self.awaited.records.contains_key(&id) {
                continue;
            }
            self.await_from(link, id, version, large);
            let wait = if large { Duration::ZERO } else { GRAFT_DELAY };
            self.awaited.due.set_if_unarmed(id, ctx.now.mono.after(wait));
        }
        self.arm_graft();
        Ok(())
    }

    /// Whether `peer`, who made a record, is at the other end of `link`: it wants to know who holds it.
    fn is_from(&self, link: LinkId, peer: PeerId) -> bool {
        self.slots.get(&link).is_some_and(|slot| slot.peer == peer)
    }

    fn await_from(&mut self, link: LinkId, id: RecordId, version: u64, large: bool) {
        let new = || Wanted { version, large, announcers: VecDeque::new() };
        let wanted = self.awaited.records.entry(id).or_insert_with(new);
        wanted.version = wanted.version.max(version);
        if wanted.announcers.len() < ANNOUNCERS_MAX {
            wanted.announcers.push_back(link);
        }
    }

    /// A record is durable: its maker, if it announced it to us, learns that we hold it.
    pub(super) fn ack_announcers(&mut self, ctx: &Ctx<'_>, record: &Record, from: Option<LinkId>) {
        self.writing.remove(&record.id);
        let Some(wanted) = self.awaited.records.remove(&record.id) else { return };
        for link in wanted.announcers {
            if Some(link) != from && self.is_from(link, record.creator) {
                self.ack(ctx, link, record.id, record.version, false);
            }
        }
    }

    /// A record could not be written: whoever announces it again is asked again.
    pub(super) fn forget_awaited(&mut self, id: RecordId) {
        self.writing.remove(&id);
        self.awaited.records.remove(&id);
        self.awaited.due.clear(id);
    }

    fn arm_graft(&mut self) {
        if let Some((at, _)) = self.awaited.due.next() {
            self.timers.set(Timer::Graft, at);
        }
    }

    /// Asks announcers for what did not come by itself.
    pub(super) fn graft(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let mut requests: BTreeMap<LinkId, Vec<RecordId>> = BTreeMap::new();
        while let Some(id) = self.awaited.due.pop_due(ctx.now.mono) {
            let Some(wanted) = self.awaited.records.get_mut(&id) else { continue };
            let slots = &self.slots;
            let neighbour =
                |link: &LinkId| slots.get(link).is_some_and(|s| s.state == SlotState::Neighbour);
            let announcer = loop {
                match wanted.announcers.pop_front() {
                    Some(link) if neighbour(&link) => break Some(link),
                    Some(_) => {}
                    None => break None,
                }
            };
            let Some(link) = announcer else {
                // Nobody is left to ask: the next sync brings it, if it is real.
                self.awaited.records.remove(&id);
                continue;
            };
            let large = wanted.large;
            if !large && let Some(slot) = self.slots.get_mut(&link) {
                slot.lazy = false;
            }
            requests.entry(link).or_default().push(id);
            self.awaited.due.set(id, ctx.now.mono.after(REQUEST_TIMEOUT));
        }
        for (link, ids) in requests {
            for ids in ids.chunks(limits::PAGE_MAX) {
                self.send(ctx, links, link, kind::REQUEST, &Request { ids: ids.to_vec() });
            }
        }
        self.arm_graft();
    }

    pub(super) fn on_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Request { ids } = wire::decode(body)?;
        if ids.len() > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        for id in ids {
            let small = self.meta(id).is_some_and(|(_, meta)| meta.size as usize <= LARGE_BYTES);
            let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
            if small {
                slot.lazy = false;
            }
            slot.sync.owe(id)?;
        }
        self.give(ctx, links, link);
        Ok(())
    }

    /// A record came over this link that was not new: another link is faster.
    pub(super) fn make_lazy(&mut self, link: LinkId) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.lazy = true;
        }
    }
}
