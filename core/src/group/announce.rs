//! Announcements: ids run ahead of records, so that every record is sent once to each node.
//!
//! ```text
//! publisher ──id──► a ──id──► b ──id──► c      every node passes an id on at once, and asks for the record
//!           ◄─ask── a ◄─ask── b ◄─ask── c      where it heard of it first, even if it is not there yet
//!           ──────► a ──────► b ──────► c      the record follows the questions: the fastest way, without a copy
//! ```
//!
//! A neighbour that asked once is sent the next records of that publisher unasked ([`Trees`](super::tree::Trees)), and their
//! announcements to everybody else wait a while ([`Late`]): they are for those whose branch of the tree broke. A node that
//! hears of a record that the tree ought to bring waits a little for it; then it asks, and is on another branch. An announcer
//! that does not deliver is followed by the next. Large records are always asked for: a copy is dear.
//!
//! Announcements that nobody acts on wait longer each time, and so more of them travel together. A node that loses a neighbour,
//! or had to ask for what the tree ought to have brought, asks the others for nothing: an empty request, which says that it
//! depends on their announcements, and brings those that wait.
//!
//! Versions of a record may follow each other faster than they spread. A newer one than was announced is announced and
//! asked for like the first; an older one that comes meanwhile ends no wait. A node that asks says which version it holds, so
//! that it is sent what is newer, at once or when it comes, and nothing else.
//!
//! An id says nothing that could be verified: how many a neighbour may announce, and how many of them are passed on before
//! they came, is the matter of [`Awaited`](super::awaited::Awaited). (The beginnings: Plumtree, Leitão and others 2007.)
use super::awaited::{ANNOUNCERS_MAX, Wanted};
use super::graph::Slot;
use super::records::has_come;
use super::tree::{self, Publisher};
use super::waste::units;
use super::writing::Owed;
use super::{Group, SlotState, Timer};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use crate::link::Links;
use crate::record::{Record, Signed};
use crate::time::{Time, WallTime};
use crate::wire::{self, Announced};
use bytes::Bytes;
use std::time::Duration;

/// How long announcements wait at first where a tree is known. Measured at 1,000 nodes with links of 10–50 ms: shorter
/// costs more messages.
const ANNOUNCE_DELAY: Duration = Duration::from_millis(60);
/// How much longer at the end of a link with the higher node id, which need not say what the other said. Guess: longer
/// than that takes on its way.
const ANNOUNCE_LATER: Duration = Duration::from_millis(80);
/// How often the first doubles while nobody acts on them: to half a second. Guess: what a person waits for one message
/// when a branch breaks unseen.
const CALM_MAX: u8 = 3;
/// Announcements that wait for one neighbour; with one more they go out. Guess: a message of 6 KB.
const LATE_MAX: usize = 256;
/// Between two empty requests. Guess: a branch that broke shows in many records at once.
const HURRY_EVERY: Duration = Duration::from_secs(1);
/// How long a tree has to bring an announced record. Guess: the announcement itself waited as long.
const TREE_DELAY: Duration = Duration::from_millis(60);
/// How long an id is remembered that nobody delivered, so that it is not passed on in circles. Guess: much longer
/// than an id takes through any graph.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Records larger than this are never sent unasked. Bytes. Guess: beyond one frame a copy is dear.
pub(super) const LARGE_BYTES: usize = 8 * 1024;
/// Delayed announcements among which one is looked for that became needless. Guess: those of a second of chat.
const LATER_SEARCHED: usize = 64;

/// Announcements that wait for one neighbour.
#[derive(Default)]
pub(super) struct Late {
    announced: Vec<Announced>,
    /// When they go out.
    at: Time,
    /// How many in a row went out without anybody acting on them, up to [`CALM_MAX`].
    calm: u8,
}

impl Late {
    /// Adds one. Where `first`, the other end counts on us.
    fn add(&mut self, announced: Announced, now: Time, first: bool) {
        if self.announced.is_empty() {
            let later = if first { Duration::ZERO } else { ANNOUNCE_LATER };
            self.at = now.after(ANNOUNCE_DELAY * (1 << self.calm) + later);
        }
        self.announced.push(announced);
        if self.announced.len() >= if first { LATE_MAX } else { 2 * LATE_MAX } {
            self.at = now;
        }
    }

    /// The other end has this version of a record, and need not be told of it, nor of an older one.
    fn needless(&mut self, known: Announced) {
        let needless = |it: &Announced| it.id == known.id && it.edition <= known.edition;
        if let Some(at) = self.announced.iter().take(LATER_SEARCHED).position(needless) {
            self.announced.remove(at);
        }
    }

    /// The other end depends on us: all go out now, and the next ones soon.
    fn hurry(&mut self, now: Time) {
        self.at = now;
        self.calm = 0;
    }

    /// They go out, and nobody acted on them yet.
    fn take(&mut self) -> Vec<Announced> {
        self.calm = CALM_MAX.min(self.calm + 1);
        std::mem::take(&mut self.announced)
    }

    fn due(&self) -> Option<Time> {
        (!self.announced.is_empty()).then_some(self.at)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
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
        let Some((id, edition)) = Signed::peek(record) else { return Vec::new() };
        let wanted = self.awaited.came(id, edition);
        let publisher = Publisher::of(id);
        let large = record.len() > LARGE_BYTES;
        if from.is_none() {
            self.trees.outgrow(publisher, ctx.now.mono, tree::KEPT_FOR);
        }
        let (tree, settled) = self.trees.touch(publisher, ctx.now.mono);
        if let Some(from) = from {
            let asked = wanted.as_ref().is_some_and(|wanted| wanted.was_asked(from));
            // A record that a comparison brings says nothing about the tree.
            let compared = self.slots.get(&from).is_some_and(|slot| slot.sync.is_comparing());
            if asked || !compared {
                tree.came(from);
            }
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
        let announced = Announced { id, edition };
        for (&link, slot) in &mut self.slots {
            if slot.state != SlotState::Neighbour || Some(link) == from {
                continue;
            }
            let told = |wanted: &Wanted| wanted.edition == edition && wanted.was_told(slot.since);
            let asked = || wanted.as_ref().is_some_and(|wanted| wanted.askers.contains(&link));
            if (!large && tree.children.contains(&link)) || (large && asked()) {
                slot.used(true);
                self.outgoing.entry(link).or_default().records.push(record.clone());
            } else if wanted.as_ref().is_some_and(told) {
                // It was passed on when it was announced.
            } else if large || !settled || from.is_none() {
                slot.used(false);
                self.outgoing.entry(link).or_default().announce(announced, large);
            } else {
                slot.late.add(announced, ctx.now.mono, ctx.node < slot.node);
                self.timers.set_earlier(Timer::Announce, slot.late.at);
            }
        }
        wanted.map_or_else(Vec::new, |wanted| wanted.announcers)
    }

    /// The delayed announcements that are due go out at the end of this input.
    pub(super) fn announce_late(&mut self, now: Time) {
        for (&link, slot) in &mut self.slots {
            let Some(at) = slot.late.due() else { continue };
            if at > now {
                self.timers.set_earlier(Timer::Announce, at);
                continue;
            }
            let outgoing = self.outgoing.entry(link).or_default();
            for announced in slot.late.take() {
                slot.used(false);
                outgoing.announce(announced, false);
            }
        }
    }

    /// Our branch of a tree broke: until it is mended we depend on what the neighbours announce.
    pub(super) fn hurry(&mut self, now: Time) {
        if self.hurried.is_some_and(|at| now.since(at) < HURRY_EVERY) {
            return;
        }
        self.hurried = Some(now);
        for (&link, slot) in &self.slots {
            if slot.state == SlotState::Neighbour {
                self.outgoing.entry(link).or_default().hurry = true;
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
        let peer_time = self.peer_time(ctx.now.wall);
        for announced in all {
            let Announced { id, edition } = announced;
            if let Some(slot) = self.slots.get_mut(&link) {
                slot.used(false);
                slot.late.needless(announced);
            }
            if let Some((_, meta)) = self.meta(id)
                && meta.edition() >= edition
                && has_come(meta.version, meta.modified, peer_time)
            {
                let maker = meta.modifier().unwrap_or(meta.creator());
                if meta.edition() == edition && self.is_from(link, maker) {
                    self.ack_when_durable(ctx, link, id, meta.version, false);
                }
                continue;
            }
            // One whose time has not come is not taken either.
            if self.withheld.knows(id, edition)
                || !has_come(edition.version(), WallTime(0), peer_time)
            {
                continue;
            }
            self.announced(ctx, link, announced, large);
        }
        self.arm_graft();
        Ok(())
    }

    /// A record that we lack is announced.
    fn announced(&mut self, ctx: &Ctx<'_>, link: LinkId, announced: Announced, large: bool) {
        let Announced { id, edition } = announced;
        let awaited = self.awaited.records.get_mut(&id);
        // A question is due already where nobody was asked.
        let due = awaited.as_ref().is_some_and(|wanted| wanted.asked == 0);
        if let Some(wanted) = awaited
            && wanted.edition >= edition
        {
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
        if self.refused.holds_back(ctx.now.mono, id, edition) {
            return;
        }
        let Some(peer) = self.slots.get(&link).map(|slot| slot.peer) else { return };
        let Some(passed_on) = self.awaited.begin(ctx.now.mono, (link, peer), announced, large)
        else {
            return;
        };
        let publisher = Publisher::of(id);
        self.trees.outgrow(publisher, ctx.now.mono, tree::KEPT_BY_OTHERS_FOR);
        let parent = self.trees.get(publisher).and_then(|tree| tree.parent);
        if large || parent.is_none_or(|parent| parent == link) {
            self.ask(ctx, id);
        } else if !due {
            self.awaited.due.set(id, ctx.now.mono.after(TREE_DELAY));
        }
        // Of whose ids too many did not come, they are passed on once they came.
        for (&other, slot) in &mut self.slots {
            if passed_on && slot.state == SlotState::Neighbour && other != link {
                slot.used(false);
                self.outgoing.entry(other).or_default().announce(announced, large);
            }
        }
    }

    /// Whether `peer`, who made a record, is at the other end of `link`: it wants to know who holds it.
    pub(super) fn is_from(&self, link: LinkId, peer: PeerId) -> bool {
        self.slots.get(&link).is_some_and(|slot| slot.peer == peer)
    }

    /// A record is durable: its maker, if it is a neighbour who sent or announced it, learns that we hold it.
    pub(super) fn acknowledge(
        &mut self,
        ctx: &Ctx<'_>,
        record: &Record,
        from: Option<LinkId>,
        owed: &[Owed],
    ) {
        let maker = record.modifier.unwrap_or(record.creator);
        let owed = owed.iter().filter(|owed| Some(owed.link) != from);
        let owed = owed.map(|owed| (owed.link, owed.useful));
        for (link, useful) in from.map(|from| (from, true)).into_iter().chain(owed) {
            if self.is_from(link, maker) {
                self.ack(ctx, link, record.id, record.version, useful);
            }
        }
    }

    /// A record came, but is of no use yet: nobody else is asked for it meanwhile.
    pub(super) fn await_later(&mut self, ctx: &Ctx<'_>, id: RecordId) {
        if let Some(wanted) = self.awaited.records.get_mut(&id) {
            (wanted.asked, wanted.came) = (wanted.announcers.len(), true);
            self.awaited.due.set(id, ctx.now.mono.after(FORGOTTEN_AFTER));
        }
    }

    /// A record could not be written: whoever announces it again is asked again.
    pub(super) fn forget_awaited(&mut self, id: RecordId) {
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
            self.hurry(ctx.now.mono);
        }
        self.arm_graft();
    }

    /// Asks the next announcer of a record, then those to whom we announced it. Once all were asked it is forgotten,
    /// after a while: if it is real, the next sync brings it.
    fn ask(&mut self, ctx: &Ctx<'_>, id: RecordId) {
        let Some(wanted) = self.awaited.records.get_mut(&id) else { return };
        if wanted.asked > wanted.announcers.len() {
            self.awaited.did_not_come(ctx.now.mono, id);
            return;
        }
        // A neighbour that heard of the record from us does not announce it to us, but may have it by now.
        let told = |wanted: &Wanted| {
            let told = |link: &LinkId, slot: &Slot| {
                slot.state == SlotState::Neighbour
                    && wanted.was_told(slot.since)
                    && !wanted.announcers.contains(link)
            };
            let more = !wanted.came && wanted.announcers.len() < ANNOUNCERS_MAX;
            self.slots.iter().find(|(link, slot)| more && told(link, slot)).map(|(&link, _)| link)
        };
        while let Some(link) = wanted.announcers.get(wanted.asked).copied().or_else(|| told(wanted))
        {
            if wanted.asked == wanted.announcers.len() {
                wanted.announcers.push(link);
            }
            wanted.asked += 1;
            if self.slots.get(&link).is_some_and(|slot| slot.state == SlotState::Neighbour) {
                self.trees.asked(Publisher::of(id), link);
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
        let mut asked = 0;
        let mut wishes = wire::decode_request(body)?.peekable();
        if wishes.peek().is_none()
            && let Some(slot) = self.slots.get_mut(&link)
        {
            slot.late.hurry(ctx.now.mono);
            if let Some(at) = slot.late.due() {
                self.timers.set_earlier(Timer::Announce, at);
            }
        }
        for Announced { id, edition } in wishes {
            if let Some(wanted) = self.awaited.records.get_mut(&id)
                && wanted.edition > edition
                && wanted.askers.len() < ANNOUNCERS_MAX
                && !wanted.askers.contains(&link)
            {
                wanted.askers.push(link);
            }
            if let Some((_, meta)) = self.meta(id).filter(|(_, meta)| meta.edition() > edition) {
                let (short, bytes) = (meta.short(), meta.size as usize);
                asked += units(bytes);
                if bytes <= LARGE_BYTES {
                    self.trees.adopt(Publisher::of(id), link, ctx.now.mono);
                }
                let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
                slot.used(true);
                slot.gate.wanted(short);
                slot.sync.owe(id);
            }
        }
        self.note_waste(ctx, link, asked)?;
        self.publishing.asked();
        self.give(ctx, links, link);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::{second, version};

    #[test]
    fn who_announces_an_older_version_is_told_of_the_newer_one() {
        let mut late = Late::default();
        late.add(version(2), second(1), true);
        late.needless(version(1));
        assert_eq!(late.announced, [version(2)]);
        late.needless(version(2));
        assert_eq!(late.announced, []);
    }
}
